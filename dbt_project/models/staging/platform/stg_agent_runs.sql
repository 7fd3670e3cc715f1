with source as (

    select * from {{ source('raw', 'agent_runs') }}

),

typed as (

    select
        load_id,
        file_id,
        run_id,
        agent_id,
        user_id,
        organisation_id,
        session_id,
        conversation_id,
        api_key_id,
        provider,
        model,
        started_at,
        ended_at,
        latency_ms,
        status,
        error_type,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        tags,
        coalesce(revision, 0) as revision,
        extra,
        cast(started_at as date) as event_date
    from source

)

select * from typed
