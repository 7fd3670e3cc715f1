with source as (

    select * from {{ source('raw', 'user_identities') }}

),

typed as (

    select
        load_id,
        file_id,
        identity,
        user_id,
        updated_at,
        extra
    from source

)

select * from typed
