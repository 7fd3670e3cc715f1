with organisations as (

    select
        organisation_id,
        name,
        parent_organisation_id
    from {{ ref('int_organisations_as_of') }}

),

on_cycles as (

    select organisation_id from {{ ref('int_organisation_descendants') }}
    where is_on_cycle

),

listed as (

    select * from organisations
    where organisation_id in (select organisation_id from on_cycles)

)

select * from listed
