with source as (

    select * from {{ source('raw', 'mcp_servers') }}

),

typed as (

    select
        load_id,
        file_id,
        mcp_id,
        name,
        tags,
        updated_at,
        extra
    from source

)

select * from typed
