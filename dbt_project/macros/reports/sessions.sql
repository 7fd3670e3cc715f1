{#-
    Usage of each model in each session, which adds up to session_metrics, over relations: LLM
    requests (already filtered where a filter applies), windows.
-#}
{% macro session_models(requests, windows, timeframes) %}
{%- set keys = ['client', 'session_id', 'provider', 'model'] -%}
{%- set figures = {
    'uncached_input_tokens': 'bigint',
    'cache_read_tokens': 'bigint',
    'cache_write_tokens': 'bigint',
    'output_tokens': 'bigint',
    'estimated_cost_usd': 'decimal(38, 12)',
    'reported_cost_usd': 'decimal(38, 12)',
} -%}
with requests_in_spans as (

    {{ in_spans(
        requests, 'counted_at',
        keys + ['is_request', 'is_failed', 'input_tokens', 'cache_read_tokens',
         'cache_write_5m_tokens', 'cache_write_1h_tokens', 'output_tokens', 'estimated_cost_usd',
         'reported_cost_usd', 'duration_ms'],
        windows, 'analytics', timeframes
    ) }}

),

usage_per_span as (

    select
        span,
        {% for key in keys -%}
        {{ key }},
        {% endfor %}
        count_if(is_request) as requests,
        count_if(is_failed) as failures,
        {{ sums_of_requests() }},
        sum(reported_cost_usd) as reported_cost_usd,
        sum(case when is_request then duration_ms end) as latency_ms,
        count(case when is_request then duration_ms end) as requests_with_latency

    from requests_in_spans
    group by span, {{ keys | join(', ') }}

),

usage_in_windows as (

    {{ spans_in_windows('usage_per_span', ['counted.*'], windows, 'analytics') }}

),

per_model as (

    select
        timeframe,
        {% for key in keys -%}
        coalesce({{ key }}, {{ unattributed() }}) as {{ key }},
        {% endfor %}
        cast(nullif(sum(requests), 0) as bigint) as request_count,
        cast(case when sum(requests) > 0 then sum(failures) end as bigint) as failed_requests,
        {% for figure, type in figures.items() -%}
        cast(sum({{ figure }}) as {{ type }}) as {{ figure }},
        {% endfor -%}
        {{ average_milliseconds('sum(latency_ms)', 'sum(requests_with_latency)') }}
            as avg_latency_ms

    from usage_in_windows
    group by
        timeframe,
        {% for key in keys -%}
        coalesce({{ key }}, {{ unattributed() }}){{ ',' if not loop.last }}
        {% endfor %}
),

with_totals as (

    select
        per_model.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        {% for key in keys -%}
        per_model.{{ key }},
        {% endfor %}
        per_model.request_count,
        per_model.failed_requests,
        per_model.uncached_input_tokens,
        per_model.cache_read_tokens,
        per_model.cache_write_tokens,
        per_model.output_tokens,
        per_model.uncached_input_tokens
        + per_model.cache_read_tokens
        + per_model.cache_write_tokens
        + per_model.output_tokens as total_tokens,
        per_model.estimated_cost_usd,
        per_model.reported_cost_usd,
        per_model.avg_latency_ms
    from per_model
    inner join {{ windows }} as windows
        on per_model.timeframe = windows.timeframe and windows.page = 'analytics'

)

select * from with_totals
{% endmacro %}


{#-
    What each session did in up to 48 equal parts of its life in the window (more only where the
    widest part is too short), over relations as those of session_models.

    A session that several windows see from the same first to the same last record is charted once.
-#}
{% macro session_timeline(requests, windows, timeframes) %}
{%- set widths_in_minutes = [1, 5, 15, 60, 360, 1440, 10080, 43200] -%}
{%- set most_buckets = 48 -%}
{%- set tokens = [
    'uncached_input_tokens', 'cache_read_tokens', 'cache_write_tokens', 'output_tokens',
] -%}
{%- set first_us = microseconds_of('first_at') -%}
{%- set last_us = microseconds_of('last_at') -%}
with requests_in_spans as (

    {{ in_spans(
        requests, 'counted_at',
        ['client', 'session_id', 'counted_at', 'is_request', 'input_tokens', 'cache_read_tokens',
         'cache_write_5m_tokens', 'cache_write_1h_tokens', 'output_tokens', 'estimated_cost_usd'],
        windows, 'analytics', timeframes, 'session_id <> ' ~ unattributed()
    ) }}

),

edges_per_span as (

    select
        span,
        client,
        session_id,
        bool_or(is_request) as has_timeline,
        min(counted_at) as first_at,
        max(counted_at) as last_at
    from requests_in_spans
    group by span, client, session_id

),

edges_in_windows as (

    {{ spans_in_windows('edges_per_span', ['counted.*'], windows, 'analytics') }}

),

sessions as (

    select
        timeframe,
        client,
        session_id,
        min(first_at) as first_at,
        max(last_at) as last_at
    from edges_in_windows
    group by timeframe, client, session_id
    having bool_or(has_timeline)

),

-- A number for each, since what follows has many rows of it.
lives as (

    select
        client,
        session_id,
        first_at,
        last_at,
        row_number() over (order by client, session_id, first_at, last_at) as life_id
    from sessions
    group by client, session_id, first_at, last_at

),

with_widths as (

    select
        *,
        cast(
            case
                {%- for width in widths_in_minutes[:-1] %}
                when {{ last_us }} - {{ first_us }} < {{ most_buckets * width * 60000000 }}
                    then {{ width * 60000 }}
                {%- endfor %}
                else {{ widths_in_minutes[-1] * 60000 }}
            end as bigint
        ) as width_ms
    from lives

),

with_numbers_of_buckets as (

    select
        *,
        {{ whole_quotient(last_us ~ ' - ' ~ first_us, 'width_ms * 1000') }} + 1 as bucket_count
    from with_widths

),

numbers as (
    {% for number in range(most_buckets) %}
    select cast({{ number }} as bigint) as number
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}

),

-- One block, but for a life of which 48 of the widest buckets are a part.
blocks as (

    select
        lives.life_id,
        lives.first_at,
        lives.width_ms,
        lives.bucket_count,
        numbers.number * {{ most_buckets }} as first_index
    from with_numbers_of_buckets as lives
    inner join numbers on lives.bucket_count > numbers.number * {{ most_buckets }}

),

buckets as (

    select
        blocks.life_id,
        blocks.first_at,
        blocks.width_ms,
        blocks.first_index + numbers.number as bucket_index
    from blocks
    inner join numbers on blocks.bucket_count - blocks.first_index > numbers.number

),

requests_in_buckets as (

    select
        lives.life_id,
        {{ whole_quotient(
            microseconds_of('requests.counted_at') ~ ' - ' ~ microseconds_of('lives.first_at'),
            'lives.width_ms * 1000'
        ) }} as bucket_index,
        requests.is_request,
        requests.input_tokens,
        requests.cache_read_tokens,
        requests.cache_write_5m_tokens,
        requests.cache_write_1h_tokens,
        requests.output_tokens,
        requests.estimated_cost_usd
    from requests_in_spans as requests
    inner join with_widths as lives
        on
            requests.client = lives.client
            and requests.session_id = lives.session_id
            and requests.counted_at >= lives.first_at
            and requests.counted_at <= lives.last_at

),

usage as (

    select
        life_id,
        bucket_index,

        cast(count_if(is_request) as bigint) as request_count,
        {{ sums_of_requests() }}

    from requests_in_buckets
    group by life_id, bucket_index

),

charted as (

    select
        buckets.life_id,
        buckets.bucket_index,
        {{ moved_by_milliseconds('buckets.first_at', 'buckets.bucket_index * buckets.width_ms') }}
            as bucket_start_at,
        {{ moved_by_milliseconds(
            'buckets.first_at', '(buckets.bucket_index + 1) * buckets.width_ms'
        ) }} as bucket_end_at,

        coalesce(usage.request_count, 0) as request_count,
        {%- for figure in tokens %}
        coalesce(usage.{{ figure }}, 0) as {{ figure }},
        {%- endfor %}
        cast(
            case when usage.bucket_index is null then 0 else usage.estimated_cost_usd end
            as decimal(38, 12)
        ) as estimated_cost_usd,
        cast(
            sum(coalesce(usage.estimated_cost_usd, 0)) over (
                partition by buckets.life_id
                order by buckets.bucket_index
                rows between unbounded preceding and current row
            ) as decimal(38, 12)
        ) as cumulative_estimated_cost_usd
    from buckets
    left join usage
        on
            buckets.life_id = usage.life_id
            and buckets.bucket_index = usage.bucket_index

),

per_bucket as (

    select
        sessions.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        sessions.client,
        sessions.session_id,
        charted.bucket_index,
        charted.bucket_start_at,
        charted.bucket_end_at,

        charted.request_count,
        {%- for figure in tokens %}
        charted.{{ figure }},
        {%- endfor %}
        {% for figure in tokens %}{{ '+ ' if not loop.first }}charted.{{ figure }}
        {% endfor -%}
        as total_tokens,
        charted.estimated_cost_usd,
        charted.cumulative_estimated_cost_usd
    from sessions
    inner join lives
        on
            sessions.client = lives.client
            and sessions.session_id = lives.session_id
            and sessions.first_at = lives.first_at
            and sessions.last_at = lives.last_at
    inner join charted on lives.life_id = charted.life_id
    inner join {{ windows }} as windows
        on sessions.timeframe = windows.timeframe and windows.page = 'analytics'

)

select * from per_bucket
{% endmacro %}


{#-
    What the sessions of a timeframe that have an id are like, over rows of session_metrics and
    windows: a row for each timeframe.
-#}
{% macro session_metrics_summary(session_metrics, windows) %}
{%- set dimensions = ['estimated_cost_usd', 'total_tokens', 'duration_ms', 'request_count'] -%}
with compared as (

    select
        timeframe,

        count(*) as session_count,
        {%- for dimension in dimensions %}
        {%- set is_cost = dimension == 'estimated_cost_usd' %}
        {%- set decimals = 6 if is_cost else 3 %}
        {%- set average = average_money if is_cost else average_milliseconds %}
        {{ percentile(dimension, 0.5, decimals) }} as p50_{{ dimension }},
        {{ average('sum(' ~ dimension ~ ')', 'count(' ~ dimension ~ ')') }} as avg_{{ dimension }},
        {{ percentile(dimension, 0.95, decimals) }} as p95_{{ dimension }}{{ ',' if not loop.last }}
        {%- endfor %}

    from {{ session_metrics }}
    where session_id <> {{ unattributed() }}
    group by timeframe

),

per_timeframe as (

    select
        windows.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        coalesce(compared.session_count, 0) as session_count,
        {%- for dimension in dimensions %}
        compared.p50_{{ dimension }},
        compared.avg_{{ dimension }},
        compared.p95_{{ dimension }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ windows }} as windows
    left join compared on windows.timeframe = compared.timeframe
    where windows.page = 'analytics'

)

select * from per_timeframe
{% endmacro %}
