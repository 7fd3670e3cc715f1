{{ config(materialized='view') }}

with platform as (

    select * from {{ ref('int_llm_requests_versioned') }}
    where is_current

),

-- A request that the platform knows too counts once, as the platform's.
telemetry as (

    select * from {{ ref('int_telemetry_requests_decided') }}
    where
        is_counted
        and (
            request_id is null
            or request_id not in (
                select request_id from {{ ref('int_telemetry_requests_known') }}
            )
        )

),

-- Sessions of which only metrics came: tokens and cost, but no single request.
metrics as (

    select * from {{ ref('int_telemetry_points_decided') }}
    where is_counted

),

combined as (

    select
        'platform' as client,
        request_id as request_key,
        true as is_request,
        request_id,
        run_id,
        session_id,
        agent_id,
        user_id,
        cast(null as string) as account_uuid,
        cast(null as string) as email,
        cast(null as string) as installation_id,
        organisation_id,
        team_id,
        cast(null as string) as cost_centre,
        api_key_id,
        provider,
        model,
        cast(null as string) as service_tier,
        cast(null as string) as speed,
        coalesce(status = 'failed', false) as is_failed,
        tags,
        input_tokens,
        cache_read_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        output_tokens,
        estimated_cost_usd,
        reported_cost_usd,
        duration_ms,
        requested_at as counted_at,
        requested_at as started_at,
        {{ moved_by_milliseconds('requested_at', 'coalesce(duration_ms, 0)') }} as ended_at
    from platform

    union all

    select
        client,
        record_id as request_key,
        is_request,
        request_id,
        cast(null as string) as run_id,
        session_id,
        agent_id,
        cast(null as string) as user_id,
        account_uuid,
        email,
        installation_id,
        cast(null as string) as organisation_id,
        team_id,
        cost_centre,
        cast(null as string) as api_key_id,
        provider,
        model,
        service_tier,
        speed,
        is_failed,
        null as tags,
        input_tokens,
        cache_read_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        output_tokens,
        estimated_cost_usd,
        reported_cost_usd,
        duration_ms,
        recorded_at as counted_at,
        {{ moved_by_milliseconds('recorded_at', '-coalesce(duration_ms, 0)') }} as started_at,
        recorded_at as ended_at
    from telemetry

    union all

    select
        client,
        record_id as request_key,
        false as is_request,
        cast(null as string) as request_id,
        cast(null as string) as run_id,
        session_id,
        cast(null as string) as agent_id,
        cast(null as string) as user_id,
        account_uuid,
        email,
        installation_id,
        cast(null as string) as organisation_id,
        team_id,
        cost_centre,
        cast(null as string) as api_key_id,
        provider,
        model,
        cast(null as string) as service_tier,
        speed,
        false as is_failed,
        null as tags,
        input_tokens,
        cache_read_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        output_tokens,
        estimated_cost_usd,
        reported_cost_usd,
        cast(null as decimal(18, 3)) as duration_ms,
        recorded_at as counted_at,
        recorded_at as started_at,
        recorded_at as ended_at
    from metrics

)

select * from combined
