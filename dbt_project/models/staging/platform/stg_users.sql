with source as (

    select * from {{ source('raw', 'users') }}

),

typed as (

    select
        load_id,
        file_id,
        user_id,
        email,
        display_name,
        role,
        organisation_id,
        team_id,
        created_at,
        deleted_at,
        updated_at,
        extra
    from source

)

select * from typed
