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

compared as (
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
