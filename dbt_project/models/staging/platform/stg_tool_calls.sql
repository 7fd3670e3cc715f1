with source as (

    select * from {{ source('raw', 'tool_calls') }}

),

typed as (

    select
        load_id,
        file_id,
        call_id,
        run_id,
        session_id,
        agent_id,
        agent_instance_id,
        user_id,
        organisation_id,
        mcp_id,
        tool_name,
        called_at,
        duration_ms,
        outcome,
        policy_id,
        policy_name,
        policy_description,
        tags,
        coalesce(revision, 0) as revision,
        extra,
        cast(called_at as date) as event_date
    from source

)

select * from typed
