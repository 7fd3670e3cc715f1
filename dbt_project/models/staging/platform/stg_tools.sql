with source as (

    select * from {{ source('raw', 'tools') }}

),

typed as (

    select
        load_id,
        file_id,
        mcp_id,
        tool_name,
        tags,
        updated_at,
        extra
    from source

)

select * from typed
