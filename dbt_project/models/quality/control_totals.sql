{%- set sources = [
    ('runs', ref('int_runs_enriched'), 'started_at', {
        'total_runs': 'count(*)',
        'run_input_tokens': 'sum(input_tokens_total)',
        'run_output_tokens': 'sum(output_tokens_total)',
        'run_estimated_cost_usd': 'sum(estimated_cost_usd)',
        'run_reported_cost_usd': 'sum(reported_cost_usd)',
    }),
    ('llm_requests', ref('int_llm_requests_combined'), 'counted_at', {
        'request_count': 'count_if(is_request)',
        'failed_requests': 'count_if(is_request and is_failed)',
        'requests_in_sessions': 'count_if(is_request and session_id <> ' ~ unattributed() ~ ')',
        'uncached_input_tokens': 'sum(input_tokens)',
        'cache_read_tokens': 'sum(cache_read_tokens)',
        'cache_write_tokens':
            'sum(coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0))',
        'output_tokens': 'sum(output_tokens)',
        'estimated_cost_usd': 'sum(estimated_cost_usd)',
        'reported_cost_usd': 'sum(reported_cost_usd)',
    }),
    ('tool_calls', ref('int_tool_calls_combined'), 'counted_at', {
        'tool_executions': "count_if(outcome in ('executed', 'failed'))",
        'blocked_calls': "count_if(outcome = 'blocked')",
    }),
    ('credit_lines', ref('int_credit_lines_attributed'), 'occurred_at', {
        'line_count': 'count_if(is_consumption)',
        'credits_consumed': 'sum(case when is_consumption then credits end)',
    }),
] -%}
{%- set types = {
    'run_estimated_cost_usd': 'decimal(38, 12)',
    'run_reported_cost_usd': 'decimal(38, 12)',
    'estimated_cost_usd': 'decimal(38, 12)',
    'reported_cost_usd': 'decimal(38, 12)',
    'credits_consumed': 'decimal(38, 12)',
} -%}
{%- set all_figures = sources | map(attribute=3) | map('list') | sum(start=[]) -%}
-- Counted from the events by time alone, and not by the spans and slots of which reports are made:
-- each event once, between the two edges of windows that it lies between, whatever their number.
with windows as (

    select * from {{ ref('int_windows') }}

),

edges as (

    select window_start_at as edge_at from windows

    union

    select window_end_at as edge_at from windows

),

stretches as (

    select
        edge_at as start_at,
        lead(edge_at) over (order by edge_at) as end_at
    from edges

),
{%- for source, relation, at, figures in sources %}

{{ source }}_between_edges as (

    select
        {% for figure, sum_of_events in figures.items() -%}
        {{ sum_of_events }} as {{ figure }},
        {% endfor -%}
        stretches.start_at
    from {{ relation }} as events
    inner join stretches
        on events.{{ at }} >= stretches.start_at and events.{{ at }} < stretches.end_at
    group by stretches.start_at

),
{%- endfor %}

between_edges as (

    select
        stretches.start_at,
        {{ all_figures | join(',\n        ') }}
    from stretches
    {% for source, relation, at, figures in sources -%}
    left join {{ source }}_between_edges
        on stretches.start_at = {{ source }}_between_edges.start_at
    {% endfor %}

),

per_window as (

    select
        {% for figure in all_figures -%}
        cast(coalesce(sum({{ figure }}), 0) as {{ types.get(figure, 'bigint') }}) as {{ figure }},
        {% endfor -%}
        windows.page,
        windows.timeframe,
        windows.window_start_at,
        windows.window_end_at
    from windows
    left join between_edges
        on
            windows.window_start_at <= between_edges.start_at
            and windows.window_end_at > between_edges.start_at
    group by
        windows.page, windows.timeframe, windows.window_start_at, windows.window_end_at

)

select
    page,
    timeframe,
    window_start_at,
    window_end_at,
    {{ all_figures | join(',\n    ') }}
from per_window
