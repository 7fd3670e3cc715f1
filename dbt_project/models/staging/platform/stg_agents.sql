with source as (

    select * from {{ source('raw', 'agents') }}

),

typed as (

    select
        load_id,
        file_id,
        agent_id,
        name,
        agent_type,
        model,
        created_by,
        organisation_id,
        tags,
        created_at,
        deleted_at,
        updated_at,
        extra
    from source

)

select * from typed
