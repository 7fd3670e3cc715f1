with source as (

    select * from {{ source('raw', 'role_grants') }}

),

typed as (

    select
        load_id,
        file_id,
        user_id,
        organisation_id,
        role,
        is_granted,
        updated_at,
        extra
    from source

)

select * from typed
