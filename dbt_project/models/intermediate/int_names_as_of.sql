{{ config(materialized='view') }}

-- What reports show beside an id that a month is added up by, as known at as_of.
with names as (

    select
        'organisation_name' as kind,
        organisation_id as id,
        name,
        file_id
    from {{ ref('int_organisations_as_of') }}

    union all

    select
        'agent_name' as kind,
        agent_id as id,
        name,
        file_id
    from {{ ref('int_agents_as_of') }}

    union all

    select
        'user_email' as kind,
        user_id as id,
        email as name,
        file_id
    from {{ ref('int_users_as_of') }}

    union all

    select
        'user_team' as kind,
        user_id as id,
        team_id as name,
        file_id
    from {{ ref('int_users_as_of') }}

)

select * from names
