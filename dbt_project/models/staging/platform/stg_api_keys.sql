with source as (

    select * from {{ source('raw', 'api_keys') }}

),

typed as (

    select
        load_id,
        file_id,
        api_key_id,
        name,
        user_id,
        team_id,
        updated_at,
        extra
    from source

)

select * from typed
