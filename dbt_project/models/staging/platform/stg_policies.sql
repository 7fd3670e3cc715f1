with source as (

    select * from {{ source('raw', 'policies') }}

),

typed as (

    select
        load_id,
        file_id,
        policy_id,
        name,
        description,
        updated_at,
        extra
    from source

)

select * from typed
