{#-
    Session metrics over relations: LLM requests (already filtered where a filter applies), tool
    calls and runs (which only stretch a session's duration), users as of the night, windows.

    Ratios and flags compare a session with all sessions of the same timeframe; the row of requests
    without session stays outside.
-#}
{% macro session_metrics(requests, tool_calls, runs, users, windows, timeframes) %}
{%- set dimensions = [
    ('cost', 'estimated_cost_usd', 6),
    ('tokens', 'total_tokens', 3),
    ('duration', 'duration_ms', 3),
    ('requests', 'request_count', 3),
] -%}
-- The relation may be a view, and is read once.
with requests_in_spans as (

    {{ in_spans(
        requests, 'counted_at',
        ['client', 'coalesce(session_id, ' ~ unattributed() ~ ') as session_id', 'agent_id',
         'user_id', 'email', 'model', 'is_request', 'is_failed', 'input_tokens',
         'cache_read_tokens', 'cache_write_5m_tokens', 'cache_write_1h_tokens', 'output_tokens',
         'estimated_cost_usd', 'reported_cost_usd', 'started_at', 'ended_at'],
        windows, 'analytics', timeframes
    ) }}

),

requests_per_span as (

    select
        span,
        client,
        session_id,
        agent_id,
        user_id,
        model,

        max(email) as email,
        count(*) as records,
        count_if(is_request) as requests,
        count_if(is_failed) as failures,
        {{ sums_of_requests() }},
        sum(reported_cost_usd) as reported_cost_usd,
        min(started_at) as started_at,
        max(ended_at) as ended_at

    from requests_in_spans
    group by span, client, session_id, agent_id, user_id, model

),

requests_in_windows as (

    {{ spans_in_windows('requests_per_span', ['counted.*'], windows, 'analytics') }}

),

calls_in_windows as (

    {{ in_windows(
        tool_calls, 'counted_at',
        ['client', 'coalesce(session_id, ' ~ unattributed() ~ ') as session_id', 'started_at',
         'ended_at'],
        windows, 'analytics', timeframes
    ) }}

),

runs_in_windows as (

    {{ in_windows(
        runs, 'started_at',
        ["'platform' as client", 'coalesce(session_id, ' ~ unattributed() ~ ') as session_id',
         'started_at',
         'coalesce(ended_at, ' ~ moved_by_milliseconds('started_at', 'latency_ms')
         ~ ', started_at) as ended_at'],
        windows, 'analytics', timeframes
    ) }}

),

-- The row of no session is of many users and agents, and names none.
users_of_sessions as (

    select
        timeframe,
        client,
        session_id,
        user_id,
        max(email) as email,
        sum(records) as requests_of_user
    from requests_in_windows
    where user_id is not null and session_id <> {{ unattributed() }}
    group by timeframe, client, session_id, user_id
    qualify
        row_number() over (
            partition by timeframe, client, session_id order by requests_of_user desc, user_id
        ) = 1

),

agents_of_sessions as (

    select
        timeframe,
        client,
        session_id,
        agent_id,
        sum(records) as requests_of_agent
    from requests_in_windows
    where agent_id is not null and session_id <> {{ unattributed() }}
    group by timeframe, client, session_id, agent_id
    qualify
        row_number() over (
            partition by timeframe, client, session_id order by requests_of_agent desc, agent_id
        ) = 1

),

-- In two steps, since an array of all requests of a session has to stay in memory.
models_of_sessions as (

    select
        timeframe,
        client,
        session_id,
        model
    from requests_in_windows
    where model is not null
    group by timeframe, client, session_id, model

),

model_lists as (

    select
        timeframe,
        client,
        session_id,
        {{ joined('array_sort(array_agg(model))', ', ') }} as models_used
    from models_of_sessions
    group by timeframe, client, session_id

),

requests_per_session as (

    select
        timeframe,
        client,
        session_id,

        sum(requests) > 0 as has_timeline,
        cast(nullif(sum(requests), 0) as bigint) as request_count,
        case when sum(requests) > 0 then cast(sum(failures) as bigint) end as failed_requests,
        cast(sum(uncached_input_tokens) as bigint) as uncached_input_tokens,
        cast(sum(cache_read_tokens) as bigint) as cache_read_tokens,
        cast(sum(cache_write_tokens) as bigint) as cache_write_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        cast(sum(estimated_cost_usd) as decimal(38, 12)) as estimated_cost_usd,
        cast(sum(reported_cost_usd) as decimal(38, 12)) as reported_cost_usd

    from requests_in_windows
    group by timeframe, client, session_id

),

spans as (

    select
        timeframe,
        client,
        session_id,
        started_at,
        ended_at
    from requests_in_windows

    union all

    select
        timeframe,
        client,
        session_id,
        started_at,
        ended_at
    from calls_in_windows

    union all

    select
        timeframe,
        client,
        session_id,
        started_at,
        ended_at
    from runs_in_windows

),

span_per_session as (

    select
        timeframe,
        client,
        session_id,

        min(started_at) as started_at,
        max(ended_at) as ended_at

    from spans
    group by timeframe, client, session_id

),

per_session as (

    select
        requests.timeframe,
        requests.session_id,
        requests.client,
        users_of_sessions.user_id,
        coalesce(nullif(users.email, ''), users_of_sessions.email) as user_email,
        agents_of_sessions.agent_id,
        span.started_at,
        span.ended_at,
        model_lists.models_used,
        requests.has_timeline,
        requests.session_id <> {{ unattributed() }} as is_in_baseline,

        requests.request_count,
        requests.failed_requests,
        requests.uncached_input_tokens,
        requests.cache_read_tokens,
        requests.cache_write_tokens,
        requests.output_tokens,
        requests.uncached_input_tokens
        + requests.cache_read_tokens
        + requests.cache_write_tokens
        + requests.output_tokens as total_tokens,
        {{ milliseconds(
            microseconds_of('span.ended_at') ~ ' - ' ~ microseconds_of('span.started_at')
        ) }} as duration_ms,
        requests.estimated_cost_usd,
        requests.reported_cost_usd
    from requests_per_session as requests
    inner join span_per_session as span
        on
            requests.timeframe = span.timeframe
            and requests.client = span.client
            and requests.session_id = span.session_id
    left join model_lists
        on
            requests.timeframe = model_lists.timeframe
            and requests.client = model_lists.client
            and requests.session_id = model_lists.session_id
    left join users_of_sessions
        on
            requests.timeframe = users_of_sessions.timeframe
            and requests.client = users_of_sessions.client
            and requests.session_id = users_of_sessions.session_id
    left join agents_of_sessions
        on
            requests.timeframe = agents_of_sessions.timeframe
            and requests.client = agents_of_sessions.client
            and requests.session_id = agents_of_sessions.session_id
    left join {{ users }} as users on users_of_sessions.user_id = users.user_id

),

baseline as (

    select
        timeframe,

        {% for name, column, decimals in dimensions -%}
        count({{ column }}) as {{ name }}_sessions,
        {{ interpolated(column, 0.5) }} as median_{{ name }},
        {{ without_last_bits(interpolated(column, 0.95), decimals) }} as p95_{{ name }}
        {{- '' if loop.last else ',' }}
        {% endfor %}
    from per_session
    where is_in_baseline
    group by timeframe

),

compared as (

    select
        per_session.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        per_session.session_id,
        per_session.client,
        per_session.user_id,
        per_session.user_email,
        per_session.agent_id,
        per_session.started_at,
        per_session.ended_at,
        per_session.models_used,
        per_session.has_timeline,

        per_session.request_count,
        per_session.failed_requests,
        per_session.uncached_input_tokens,
        per_session.cache_read_tokens,
        per_session.cache_write_tokens,
        per_session.output_tokens,
        per_session.total_tokens,
        per_session.duration_ms,
        per_session.estimated_cost_usd,
        per_session.reported_cost_usd,
        {%- for name, column, decimals in dimensions %}
        {%- set is_comparable = 'per_session.is_in_baseline and baseline.' ~ name
            ~ '_sessions >= 2 and baseline.median_' ~ name ~ ' <> 0' %}
        case
            when {{ is_comparable }}
                then {{ rounded(
                    'cast(per_session.' ~ column ~ ' as double) / nullif(baseline.median_'
                    ~ name ~ ', 0)',
                    6
                ) }}
        end as {{ name }}_ratio_to_median,
        {%- endfor %}
        {%- for name, column, decimals in dimensions %}
        {%- set is_comparable = 'per_session.is_in_baseline and baseline.' ~ name
            ~ '_sessions >= 2 and baseline.median_' ~ name ~ ' <> 0' %}
        case
            when {{ is_comparable }}
                then {{ without_last_bits('per_session.' ~ column, decimals) }}
                    >= baseline.p95_{{ name }}
        end as is_top_5_percent_{{ name }}{{ '' if loop.last else ',' }}
        {%- endfor %}
    from per_session
    inner join {{ windows }} as windows
        on per_session.timeframe = windows.timeframe and windows.page = 'analytics'
    left join baseline on per_session.timeframe = baseline.timeframe

)

select * from compared
{% endmacro %}
