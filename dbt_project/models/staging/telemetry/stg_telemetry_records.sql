{%- set everywhere = ['attributes', 'resource'] -%}
-- depends_on: {{ source('run', 'telemetry_attributes') }}
with night as (

    select * from {{ source('run', 'night') }}

),

records as (

    select * from {{ ref('stg_otlp_records') }}
    where
        role not in ('informational', 'left_out')
        -- It may stand between two that are not.
        or (role = 'left_out' and signal = 'span')

),

read as (

    select
        load_id,
        file_id,
        record_id,
        signal,
        client,
        role,
        trace_id,
        span_id,
        parent_span_id,
        {{ telemetry_attribute('session_id', everywhere) }} as session_id,
        {{ telemetry_attribute('account_uuid', everywhere) }} as account_uuid,
        {{ telemetry_attribute('email', everywhere) }} as email,
        {{ telemetry_attribute('installation_id', everywhere) }} as installation_id,
        {{ telemetry_attribute('end_user', everywhere) }} as end_user,
        {{ telemetry_attribute('team_id', everywhere) }} as team_id,
        {{ telemetry_attribute('cost_centre', everywhere) }} as cost_centre,
        {{ telemetry_attribute('agent_id') }} as agent_id,
        {{ telemetry_attribute('request_id') }} as request_id,
        -- Some instrumentations name what is no provider, and then the model alone tells it.
        nullif(
            nullif(lower({{ telemetry_attribute('provider') }}), 'unknown'), 'langchain'
        ) as named_provider,
        {{ of_client('provider') }} as usual_provider,
        {{ telemetry_attribute('model') }} as model,
        {{ telemetry_attribute('service_tier') }} as service_tier,
        {{ telemetry_attribute('speed') }} as speed,
        {{ telemetry_attribute('error_type') }} as error_type,
        {{ telemetry_attribute('error') }} is not null as has_error,
        span_status,
        {{ telemetry_attribute('attempt') }} as attempt,
        {{ telemetry_attribute('stamp') }} as stamp,
        {{ telemetry_attribute('sequence') }} as sequence,
        {{ telemetry_attribute('tool_use_id') }} as tool_use_id,
        {{ telemetry_attribute('tool_name') }} as tool_name,
        {{ telemetry_attribute('mcp_tool') }} as mcp_tool,
        {{ telemetry_attribute('mcp_server') }} as mcp_server,
        {{ telemetry_attribute('mcp_method') }} is not null
        or coalesce(span_kind = 'server', false) as is_mcp_call,
        lower({{ telemetry_attribute('decision') }}) as decision,
        lower({{ telemetry_attribute('decision_source') }}) as decision_source,
        {{ telemetry_attribute('is_success') }} as is_success,
        series_id,
        temporality,
        {{ telemetry_attribute('token_type') }} as token_type,
        value,
        -- What is embedded is all input, and some say no more than the total.
        coalesce(
            {{ telemetry_attribute('input_tokens') }},
            case
                when lower({{ telemetry_attribute('operation') }}) in ('embedding', 'embeddings')
                    then {{ telemetry_attribute('total_tokens') }}
            end
        ) as stated_input_tokens,
        {{ telemetry_attribute('cache_read_tokens') }} as cache_read_tokens,
        {{ telemetry_attribute('cache_write_tokens') }} as cache_write_tokens,
        {{ telemetry_attribute('cache_write_1h_tokens') }} as stated_1h_tokens,
        {{ telemetry_attribute('output_tokens') }} as stated_output_tokens,
        {{ telemetry_attribute('reasoning_tokens') }} as stated_reasoning_tokens,
        {{ telemetry_attribute('thoughts_tokens') }} as thoughts_tokens,
        {{ telemetry_attribute('tool_tokens') }} as tool_tokens,
        {{ telemetry_attribute('total_tokens') }} as stated_total_tokens,
        {{ telemetry_attribute('reported_cost_usd') }} as reported_cost_usd,
        {{ telemetry_attribute('duration_ms') }} as stated_duration_ms,
        {{ of_client('unit') }} as unit,
        {{ of_client('input_includes_cache') }} = 'true' as input_includes_cache,
        {{ of_client('output_includes_thoughts') }} = 'true' as output_includes_thoughts,
        started_at,
        recorded_at,
        event_date
    from records

),

-- Input tokens include cached ones or not by the client's habit; but where the total says that they
-- do not, or there are more cached ones than input tokens, they cannot.
weighed as (

    select
        *,
        coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0) as cached_tokens,
        not input_includes_cache
        or coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0)
        > coalesce(stated_input_tokens, 0)
        or (
            coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0) > 0
            and stated_total_tokens
            = stated_input_tokens
            + coalesce(cache_read_tokens, 0)
            + coalesce(cache_write_tokens, 0)
            + coalesce(stated_output_tokens, 0)
            + coalesce(thoughts_tokens, 0)
        ) as input_excludes_cache,
        -- Some instrumentations of its API leave the thoughts out of the output, but in the total.
        unit = 'trace'
        and (
            {{ begins_with('named_provider', 'google') }}
            or {{ begins_with('named_provider', 'gcp') }}
            or {{ begins_with('named_provider', 'gemini') }}
            or {{ begins_with('named_provider', 'vertex') }}
        ) as is_of_google
    from read

),

typed as (

    select
        load_id,
        file_id,
        record_id,
        signal,
        client,
        role,
        case
            when unit = 'session' and role <> 'path'
                then
                    client || ':' || coalesce(
                        session_id,
                        'of ' || coalesce(installation_id, account_uuid, email, 'nobody')
                    )
            else 'trace:' || coalesce(trace_id, record_id)
        end as unit_key,
        case
            when unit = 'session' and role <> 'path' and session_id is null then event_date
        end as authority_date,
        case
            when unit = 'session'
                then client || ':of ' || coalesce(installation_id, account_uuid, email)
        end as identity_key,
        trace_id,
        span_id,
        parent_span_id,
        session_id,
        account_uuid,
        coalesce(email, case when end_user like '%@%' then end_user end) as email,
        coalesce(installation_id, case when end_user not like '%@%' then end_user end)
            as installation_id,
        team_id,
        cost_centre,
        agent_id,
        request_id,
        coalesce(named_provider, nullif(usual_provider, '')) as provider,
        model,
        service_tier,
        speed,
        error_type,
        role = 'failed_request' or has_error or coalesce(span_status = 'error', false)
        or (
            signal = 'span'
            and (error_type is not null or coalesce(lower(is_success) = 'false', false))
        ) as is_failed,
        attempt,
        stamp,
        sequence,
        tool_use_id,
        {{ tool_of_call() }} as tool_name,
        {{ server_of_call() }} as mcp_id,
        is_mcp_call,
        decision,
        decision_source,
        coalesce(lower(is_success) = 'false', false) as is_unsuccessful,
        series_id,
        temporality,
        token_type,
        value,
        case
            when stated_input_tokens is null then null
            when input_excludes_cache then stated_input_tokens + coalesce(tool_tokens, 0)
            else stated_input_tokens - cached_tokens + coalesce(tool_tokens, 0)
        end as input_tokens,
        cache_read_tokens,
        {{ cache_writes('5m', 'cache_write_tokens', 'stated_1h_tokens') }} as cache_write_5m_tokens,
        {{ cache_writes('1h', 'cache_write_tokens', 'stated_1h_tokens') }} as cache_write_1h_tokens,
        case
            when is_of_google and stated_total_tokens > stated_input_tokens + stated_output_tokens
                then stated_total_tokens - stated_input_tokens
            when output_includes_thoughts then stated_output_tokens
            else stated_output_tokens + coalesce(thoughts_tokens, 0)
        end as output_tokens,
        coalesce(stated_reasoning_tokens, thoughts_tokens) as reasoning_tokens,
        stated_input_tokens,
        stated_output_tokens,
        stated_total_tokens,
        input_includes_cache and input_excludes_cache and cached_tokens > 0 as is_input_repaired,
        reported_cost_usd,
        coalesce(
            case
                when signal = 'span' and recorded_at >= started_at
                    then
                        {{ milliseconds(
                            microseconds_of('recorded_at') ~ ' - ' ~ microseconds_of('started_at')
                        ) }}
            end,
            stated_duration_ms
        ) as duration_ms,
        recorded_at,
        event_date
    from weighed
    cross join night

)

select * from typed
