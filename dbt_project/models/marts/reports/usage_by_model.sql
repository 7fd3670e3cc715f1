{%- set requests = ref('int_llm_requests_attributed') -%}
{%- set windows = ref('int_windows') -%}
{%- set timeframes = timeframes_of('reports') -%}
-- The relation may be a view, and is read once.
with requests_in_spans as (

    {{ in_spans(
        requests, 'counted_at',
        ['coalesce(provider, ' ~ unattributed() ~ ') as provider',
         'coalesce(model, ' ~ unattributed() ~ ') as model', 'client', 'run_id', 'session_id',
         'is_request', 'is_failed', 'input_tokens', 'cache_read_tokens', 'cache_write_5m_tokens',
         'cache_write_1h_tokens', 'output_tokens', 'estimated_cost_usd', 'reported_cost_usd',
         'case when is_request then duration_ms end as duration_ms'],
        windows, 'reports', timeframes
    ) }}

),

windows_as_spans as (

    {{ windows_as_spans(windows, 'reports') }}

),

requests_per_span as (

    select
        span,
        provider,
        model,

        count_if(is_request) as request_count,
        count_if(is_request and is_failed) as failed_requests,
        {{ sums_of_requests() }},
        sum(reported_cost_usd) as reported_cost_usd

    from requests_in_spans
    group by span, provider, model

),

requests_in_windows as (

    {{ spans_in_windows('requests_per_span', ['counted.*'], windows, 'reports') }}

),

latencies_in_windows as (

    {{ spans_in_windows(
        'requests_in_spans', ['provider', 'model', 'duration_ms'], windows, 'reports',
        'duration_ms is not null'
    ) }}

),

runs_per_model as (

    {{ distinct_in_windows(
        'requests_in_spans', ['provider', 'model'], ['run_id'], 'total_runs', 'windows_as_spans',
        'run_id is not null'
    ) }}

),

sessions_per_model as (

    {{ distinct_in_windows(
        'requests_in_spans', ['provider', 'model'], ['client', 'session_id'], 'total_sessions',
        'windows_as_spans', 'session_id is not null'
    ) }}

),

latency_per_model as (

    select
        timeframe,
        provider,
        model,

        {{ average_milliseconds('sum(duration_ms)', 'count(*)') }} as avg_latency_ms,
        {{ percentile('duration_ms', 0.95) }} as p95_latency_ms

    from latencies_in_windows
    group by timeframe, provider, model

),

requests_per_model as (

    select
        timeframe,
        provider,
        model,

        cast(sum(request_count) as bigint) as request_count,
        cast(sum(failed_requests) as bigint) as failed_requests,
        cast(sum(uncached_input_tokens) as bigint) as uncached_input_tokens,
        cast(sum(cache_read_tokens) as bigint) as cache_read_tokens,
        cast(sum(cache_write_tokens) as bigint) as cache_write_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens_total,
        cast(sum(estimated_cost_usd) as decimal(38, 12)) as estimated_cost_usd,
        cast(sum(reported_cost_usd) as decimal(38, 12)) as reported_cost_usd

    from requests_in_windows
    group by timeframe, provider, model

),

per_model as (

    select
        requests.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        requests.provider,
        requests.model,

        requests.request_count,
        requests.failed_requests,
        coalesce(runs.total_runs, 0) as total_runs,
        coalesce(sessions.total_sessions, 0) as total_sessions,
        requests.uncached_input_tokens,
        requests.cache_read_tokens,
        requests.cache_write_tokens,
        requests.uncached_input_tokens
        + requests.cache_read_tokens
        + requests.cache_write_tokens as input_tokens_total,
        requests.output_tokens_total,
        requests.estimated_cost_usd,
        requests.reported_cost_usd,
        latency.avg_latency_ms,
        latency.p95_latency_ms,
        {{ ratio('requests.failed_requests', 'requests.request_count') }} as error_rate
    from requests_per_model as requests
    inner join {{ windows }} as windows
        on requests.timeframe = windows.timeframe and windows.page = 'reports'
    left join runs_per_model as runs
        on
            requests.timeframe = runs.timeframe
            and requests.provider = runs.provider
            and requests.model = runs.model
    left join sessions_per_model as sessions
        on
            requests.timeframe = sessions.timeframe
            and requests.provider = sessions.provider
            and requests.model = sessions.model
    left join latency_per_model as latency
        on
            requests.timeframe = latency.timeframe
            and requests.provider = latency.provider
            and requests.model = latency.model

)

select * from per_model
