-- Only where logs count do metrics tell the same again, and can be held against them.
with
{% for side, relation, condition in [
    ('requests', ref('int_telemetry_requests_decided'), "is_counted and signal = 'log'"),
    (
        'metrics', ref('int_telemetry_points_decided'),
        "rule = 'logs_are_the_authority' and is_first_of_instant"
    ),
] -%}
{{ side }} as (

    select
        client,
        coalesce(session_id, {{ unattributed() }}) as session_id,
        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(cache_read_tokens) as bigint) as cache_read_tokens,
        cast(sum(cache_write_5m_tokens + cache_write_1h_tokens) as bigint) as cache_write_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        cast(sum(reported_cost_usd) as decimal(38, 12)) as reported_cost_usd
    from {{ relation }}
    where {{ condition }}
    group by client, coalesce(session_id, {{ unattributed() }})

),

{% endfor -%}
costs as (

    select
        client,
        coalesce(model, {{ unattributed() }}) as model,
        cast(sum(estimated_cost_usd) as decimal(38, 12)) as estimated_cost_usd,
        cast(sum(reported_cost_usd) as decimal(38, 12)) as reported_cost_usd
    from {{ ref('int_llm_requests_combined') }}
    where estimated_cost_usd is not null and reported_cost_usd is not null
    group by client, coalesce(model, {{ unattributed() }})

),

-- What a run states itself counts only where it has no requests.
runs as (

    select
        coalesce(agent_id, {{ unattributed() }}) as agent_id,
        cast(sum(input_tokens_total) as bigint) as input_tokens,
        cast(sum(output_tokens_total) as bigint) as output_tokens,
        cast(sum(stated_input_tokens) as bigint) as stated_input_tokens,
        cast(sum(stated_output_tokens) as bigint) as stated_output_tokens
    from {{ ref('int_runs_enriched') }}
    where
        request_count > 0
        and stated_input_tokens is not null
        and stated_output_tokens is not null
    group by coalesce(agent_id, {{ unattributed() }})

),

requests_of_runs as (

    select cast(count(*) as bigint) as request_count
    from {{ ref('int_llm_requests_combined') }}
    where run_id is not null

),

requests_of_known_runs as (

    select cast(coalesce(sum(request_count), 0) as bigint) as request_count
    from {{ ref('int_runs_enriched') }}

),

lines_of_runs as (

    select
        organisation_id,
        cast(sum(credits) as decimal(38, 12)) as credits,
        cast(coalesce(sum(case when is_run_known then credits end), 0) as decimal(38, 12))
            as credits_of_known_runs
    from {{ ref('int_credit_lines_attributed') }}
    where run_id is not null and is_consumption
    group by organisation_id

),

compared as (
    {%- for measure in ['input_tokens', 'output_tokens'] %}

    select
        'runs and requests' as comparison,
        'platform' as client,
        agent_id as subject,
        '{{ measure }}' as measure,
        cast({{ measure }} as decimal(38, 12)) as counted,
        cast(stated_{{ measure }} as decimal(38, 12)) as told_otherwise
    from runs

    union all
    {%- endfor %}

    select
        'requests and runs' as comparison,
        'platform' as client,
        'all runs' as subject,
        'request_count' as measure,
        cast(requests_of_runs.request_count as decimal(38, 12)) as counted,
        cast(requests_of_known_runs.request_count as decimal(38, 12)) as told_otherwise
    from requests_of_runs
    cross join requests_of_known_runs

    union all

    select
        'ledger and runs' as comparison,
        'platform' as client,
        organisation_id as subject,
        'credits' as measure,
        credits as counted,
        credits_of_known_runs as told_otherwise
    from lines_of_runs

    union all
    {%- for measure in [
        'input_tokens', 'cache_read_tokens', 'cache_write_tokens', 'output_tokens',
        'reported_cost_usd',
    ] %}

    select
        'logs and metrics' as comparison,
        requests.client,
        requests.session_id as subject,
        '{{ measure }}' as measure,
        cast(coalesce(requests.{{ measure }}, 0) as decimal(38, 12)) as counted,
        cast(coalesce(metrics.{{ measure }}, 0) as decimal(38, 12)) as told_otherwise
    from requests
    inner join metrics
        on requests.client = metrics.client and requests.session_id = metrics.session_id

    union all
    {%- endfor %}

    select
        'estimated and reported cost' as comparison,
        client,
        model as subject,
        'cost_usd' as measure,
        estimated_cost_usd as counted,
        reported_cost_usd as told_otherwise
    from costs

)

select
    comparison,
    client,
    subject,
    measure,
    counted,
    told_otherwise,
    cast(told_otherwise - counted as decimal(38, 12)) as difference,
    told_otherwise = counted as is_equal
from compared
