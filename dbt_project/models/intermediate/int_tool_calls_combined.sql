{{ config(materialized='view') }}

with platform as (

    select * from {{ ref('int_tool_calls_versioned') }}
    where is_current

),

telemetry as (

    select * from {{ ref('int_telemetry_tool_events_deduplicated') }}

),

results as (

    select
        client,
        session_id,
        tool_use_id
    from telemetry
    where record_name = 'tool_result'

),

-- A rejected call that ran all the same is told by its result.
telemetry_calls as (

    select telemetry.* from telemetry
    left join results
        on
            telemetry.record_name <> 'tool_result'
            and telemetry.client = results.client
            and telemetry.tool_use_id = results.tool_use_id
            and telemetry.session_id is not distinct from results.session_id
    where results.client is null

),

combined as (

    select
        'platform' as client,
        call_id as call_key,
        call_id,
        session_id,
        tool_name,
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
        session_id,
        tool_name,
        outcome,
        duration_ms,
        recorded_at as counted_at,
        {{ moved_by_milliseconds('recorded_at', '-coalesce(duration_ms, 0)') }} as started_at,
        recorded_at as ended_at
    from telemetry_calls

)

select * from combined
