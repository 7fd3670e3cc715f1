with source as (

    select * from {{ source('raw', 'groups') }}

),

typed as (

    select
        load_id,
        file_id,
        group_id,
        name,
        updated_at,
        extra
    from source

)

select * from typed
