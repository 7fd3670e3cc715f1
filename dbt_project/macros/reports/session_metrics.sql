{#-
    Session metrics over relations: LLM requests (already filtered where a filter applies), tool
    calls and runs (which only stretch a session's duration), users as of the night, windows.

    A session that several windows see the same part of is worked out once.

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
{%- set session = ['client', 'session_id'] -%}
with windows_as_spans as (

    {{ windows_as_spans(windows, 'analytics') }}

),

-- The relation may be a view, and is read once.
requests_in_spans as (

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

calls_in_spans as (

    {{ in_spans(
        tool_calls, 'counted_at',
        ['client', 'coalesce(session_id, ' ~ unattributed() ~ ') as session_id', 'started_at',
         'ended_at'],
        windows, 'analytics', timeframes
    ) }}

),

runs_in_spans as (

    {{ in_spans(
        runs, 'started_at',
        ["'platform' as client", 'coalesce(session_id, ' ~ unattributed() ~ ') as session_id',
         'started_at',
         'coalesce(ended_at, ' ~ moved_by_milliseconds('started_at', 'latency_ms')
         ~ ', started_at) as ended_at'],
        windows, 'analytics', timeframes
    ) }}

),

lives as (
    {%- for relation in ['requests_per_span', 'calls_in_spans', 'runs_in_spans'] %}

    select
        span,
        client,
        session_id,
        started_at,
        ended_at
    from {{ relation }}
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

lives_per_span as (

    select
        span,
        client,
        session_id,

        min(started_at) as started_at,
        max(ended_at) as ended_at

    from lives
    group by span, client, session_id

),

parts_in_windows as (

    {{ parts_in_windows('lives_per_span', session, 'windows_as_spans') }}

),

requests_in_parts as (

    {{ in_parts('requests_per_span', session, 'parts_in_windows') }}

),

lives_in_parts as (

    {{ in_parts('lives_per_span', session, 'parts_in_windows') }}

),

-- The row of no session is of many users and agents, and names none.
users_of_sessions as (

    select
        part,
        client,
        session_id,
        user_id,
        max(email) as email,
        sum(records) as requests_of_user
    from requests_in_parts
    where user_id is not null and session_id <> {{ unattributed() }}
    group by part, client, session_id, user_id
    qualify
        row_number() over (
            partition by part, client, session_id order by requests_of_user desc, user_id
        ) = 1

),

agents_of_sessions as (

    select
        part,
        client,
        session_id,
        agent_id,
        sum(records) as requests_of_agent
    from requests_in_parts
    where agent_id is not null and session_id <> {{ unattributed() }}
    group by part, client, session_id, agent_id
    qualify
        row_number() over (
            partition by part, client, session_id order by requests_of_agent desc, agent_id
        ) = 1

),

-- In two steps, since an array of all requests of a session has to stay in memory.
models_of_sessions as (

    select
        part,
        client,
        session_id,
        model
    from requests_in_parts
    where model is not null
    group by part, client, session_id, model

),

model_lists as (

    select
        part,
        client,
        session_id,
        {{ joined('array_sort(array_agg(model))', ', ') }} as models_used
    from models_of_sessions
    group by part, client, session_id

),

requests_per_session as (

    select
        part,
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

    from requests_in_parts
    group by part, client, session_id

),

life_per_session as (

    select
        part,
        client,
        session_id,

        min(started_at) as started_at,
        max(ended_at) as ended_at

    from lives_in_parts
    group by part, client, session_id

),

per_part as (

    select
        requests.part,
        requests.session_id,
        requests.client,
        users_of_sessions.user_id,
        coalesce(nullif(users.email, ''), users_of_sessions.email) as user_email,
        agents_of_sessions.agent_id,
        life.started_at,
        life.ended_at,
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
            microseconds_of('life.ended_at') ~ ' - ' ~ microseconds_of('life.started_at')
        ) }} as duration_ms,
        requests.estimated_cost_usd,
        requests.reported_cost_usd
    from requests_per_session as requests
    inner join life_per_session as life
        on
            requests.part = life.part
            and requests.client = life.client
            and requests.session_id = life.session_id
    left join model_lists
        on
            requests.part = model_lists.part
            and requests.client = model_lists.client
            and requests.session_id = model_lists.session_id
    left join users_of_sessions
        on
            requests.part = users_of_sessions.part
            and requests.client = users_of_sessions.client
            and requests.session_id = users_of_sessions.session_id
    left join agents_of_sessions
        on
            requests.part = agents_of_sessions.part
            and requests.client = agents_of_sessions.client
            and requests.session_id = agents_of_sessions.session_id
    left join {{ users }} as users on users_of_sessions.user_id = users.user_id

),

per_session as (

    select
        parts_in_windows.timeframe,
        per_part.*
    from per_part
    inner join parts_in_windows
        on
            per_part.client = parts_in_windows.client
            and per_part.session_id = parts_in_windows.session_id
            and per_part.part = parts_in_windows.part

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
