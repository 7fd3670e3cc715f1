with source as (

    select * from {{ source('raw', 'group_members') }}

),

typed as (

    select
        load_id,
        file_id,
        group_id,
        user_id,
        is_member,
        updated_at,
        extra
    from source

)

select * from typed
