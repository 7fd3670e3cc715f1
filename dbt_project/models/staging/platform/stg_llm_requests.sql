with source as (

    select * from {{ source('raw', 'llm_requests') }}

),

typed as (

    select
        load_id,
        file_id,
        request_id,
        run_id,
        session_id,
        conversation_id,
        agent_id,
        agent_instance_id,
        user_id,
        organisation_id,
        team_id,
        api_key_id,
        provider,
        model,
        requested_at,
        duration_ms,
        status,
        error_type,
        attempt,
        input_tokens,
        cache_read_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        output_tokens,
        reasoning_tokens,
        reported_cost_usd,
        tags,
        coalesce(revision, 0) as revision,
        extra,
        cast(requested_at as date) as event_date
    from source

)

select * from typed
