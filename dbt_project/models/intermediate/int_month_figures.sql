{{ config(materialized='incremental', unique_key='month') }}
{%- set of_runs = ['total_runs', 'input_tokens_total', 'output_tokens_total'] %}
{%- set parts = [
    ('billing', 'credit_lines', ['credits_consumed']),
    ('agent', 'runs', of_runs),
    ('user', 'runs', of_runs),
    ('user', 'credit_lines', ['credits_consumed']),
    ('model', 'requests', [
        'request_count', 'uncached_input_tokens', 'cache_read_tokens', 'cache_write_tokens',
        'output_tokens', 'estimated_cost_usd', 'reported_cost_usd',
    ]),
] %}
-- A month is added up again as a whole when a row of this night touches it; the others stay as they
-- are. Its marker row stands also where nothing is left of it, so that it is written again.
-- depends_on: {{ ref('int_month_arrivals') }}
with month_days as (

    select * from {{ source('run', 'month_days') }}
    {%- if is_incremental() %}
    where month in (select month from {{ ref('int_month_arrivals') }})
    {%- endif %}

),

period as (

    select
        min(month_start_at) as period_start_at,
        max(month_end_at) as period_end_at
    from month_days

),

credit_lines as (

    select
        month_days.month,
        lines.organisation_id,
        lines.category,
        lines.agent_id,
        lines.user_id,
        lines.credits as credits_consumed
    from {{ ref('int_credit_lines_attributed') }} as lines
    inner join month_days
        on
            {{ in_month('lines.occurred_at', 'lines.event_date') }}
    where
        lines.is_consumption
        and lines.occurred_at >= (select period_start_at from period)
        and lines.occurred_at < (select period_end_at from period)

),

runs as (

    select
        month_days.month,
        runs.agent_id,
        runs.user_id,
        1 as total_runs,
        runs.input_tokens_total,
        runs.output_tokens_total
    from {{ ref('int_runs_enriched') }} as runs
    inner join month_days
        on
            {{ in_month('runs.started_at', 'runs.event_date') }}
    where
        runs.started_at >= (select period_start_at from period)
        and runs.started_at < (select period_end_at from period)

),

requests as (

    select
        month_days.month,
        requests.client,
        requests.provider,
        requests.model,
        case when requests.is_request then 1 else 0 end as request_count,
        requests.input_tokens as uncached_input_tokens,
        requests.cache_read_tokens,
        coalesce(requests.cache_write_5m_tokens, 0)
        + coalesce(requests.cache_write_1h_tokens, 0) as cache_write_tokens,
        requests.output_tokens,
        requests.estimated_cost_usd,
        requests.reported_cost_usd
    from {{ ref('int_llm_requests_combined') }} as requests
    inner join month_days
        on
            {{ in_month('requests.counted_at') }}
    where
        requests.counted_at >= (select period_start_at from period)
        and requests.counted_at < (select period_end_at from period)

),
{%- for cut, relation, figures in parts %}

{{ relation }}_by_{{ cut }} as (

    select
        month,
        {%- for figure in figures %}
        cast(sum({{ figure }}) as decimal(38, 12)) as {{ figure }},
        {%- endfor %}
        {{ keys_of_cut(cut) }}
    from {{ relation }}
    group by all

),
{%- endfor %}

marked_months as (
    {% if is_incremental() %}
    select month from month_days
    {%- else %}
    select month from credit_lines

    union

    select month from runs

    union

    select month from requests
    {%- endif %}

),

-- A figure of nothing is no row.
figures as (

    select distinct
        month,
        'month' as cut,
        'month' as figure,
        {%- for key in month_keys() %}
        cast(null as string) as {{ key }},
        {%- endfor %}
        cast(1 as decimal(38, 12)) as figure_value
    from marked_months
    {%- for cut, relation, figures in parts %}
    {%- for figure in figures %}

    union all

    select
        month,
        '{{ cut }}' as cut,
        '{{ figure }}' as figure,
        {%- for key in month_keys() %}
        {{ key }},
        {%- endfor %}
        {{ figure }} as figure_value
    from {{ relation }}_by_{{ cut }}
    where {{ figure }} <> 0
    {%- endfor %}
    {%- endfor %}

)

select * from figures
