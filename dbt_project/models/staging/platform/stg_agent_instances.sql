with source as (

    select * from {{ source('raw', 'agent_instances') }}

),

typed as (

    select
        load_id,
        file_id,
        agent_instance_id,
        agent_id,
        user_id,
        updated_at,
        extra
    from source

)

select * from typed
