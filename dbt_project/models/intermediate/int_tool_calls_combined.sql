{{ config(materialized='view') }}

with platform as (

    select * from {{ ref('int_tool_calls_versioned') }}
    where is_current

),

telemetry as (

    select * from {{ ref('int_telemetry_tool_calls_decided') }}
    where is_counted

),

combined as (

    select
        'platform' as client,
        call_id as call_key,
        call_id,
        run_id,
        session_id,
        agent_id,
        agent_instance_id,
        user_id,
        cast(null as string) as account_uuid,
        cast(null as string) as email,
        cast(null as string) as installation_id,
        organisation_id,
        mcp_id,
        tool_name,
        policy_id,
        policy_name,
        policy_description,
        tags,
        outcome,
        duration_ms,
        called_at as counted_at,
        called_at as started_at,
        {{ moved_by_milliseconds('called_at', 'coalesce(duration_ms, 0)') }} as ended_at
    from platform

    union all

    select
        client,
        record_id as call_key,
        coalesce(tool_use_id, record_id) as call_id,
        cast(null as string) as run_id,
        session_id,
        agent_id,
        cast(null as string) as agent_instance_id,
        cast(null as string) as user_id,
        account_uuid,
        email,
        installation_id,
        cast(null as string) as organisation_id,
        mcp_id,
        tool_name,
        cast(null as string) as policy_id,
        cast(null as string) as policy_name,
        cast(null as string) as policy_description,
        null as tags,
        outcome,
        duration_ms,
        recorded_at as counted_at,
        {{ moved_by_milliseconds('recorded_at', '-coalesce(duration_ms, 0)') }} as started_at,
        recorded_at as ended_at
    from telemetry

)

select * from combined
