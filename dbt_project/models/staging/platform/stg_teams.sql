with source as (

    select * from {{ source('raw', 'teams') }}

),

typed as (

    select
        load_id,
        file_id,
        team_id,
        name,
        organisation_id,
        updated_at,
        extra
    from source

)

select * from typed
