{#-
    LLM requests in the buckets of the Usage page, with their team: the one stamped on the request,
    else the user's as of the night.

    requests: rows of int_llm_requests_aggregated.
-#}
{% macro usage_in_buckets(requests, users, slot_buckets, condition='true') %}
    {%- set requests_of_teams %}(
        select
            requests.slot_id,
            coalesce(requests.user_id, {{ unattributed() }}) as user_id,
            coalesce(requests.team_id, users.team_id, {{ unattributed() }}) as team_id,
            requests.model,
            requests.request_count,
            requests.uncached_input_tokens
            + requests.cache_read_tokens
            + requests.cache_write_tokens as input_tokens_total,
            requests.output_tokens as output_tokens_total,
            requests.estimated_cost_usd,
            requests.reported_cost_usd
        from {{ requests }} as requests
        left join {{ users }} as users on requests.user_id = users.user_id
    )
    {%- endset %}
    {{- in_buckets(
        requests_of_teams,
        ['counted.user_id', 'counted.team_id', 'counted.model', 'counted.request_count',
         'counted.input_tokens_total', 'counted.output_tokens_total',
         'counted.estimated_cost_usd', 'counted.reported_cost_usd'],
        slot_buckets, 'usage', condition
    ) }}
{%- endmacro %}


{#- The figures of the Usage page, per value of `keys`, over rows of usage_in_buckets. -#}
{% macro usage_figures(requests, keys) %}
    select
        {{ keys | join(',\n        ') }},

        count(distinct nullif(user_id, {{ unattributed() }})) as active_users,
        cast(sum(request_count) as bigint) as request_count,
        cast(sum(input_tokens_total) as bigint) as input_tokens_total,
        cast(sum(output_tokens_total) as bigint) as output_tokens_total,
        cast(sum(estimated_cost_usd) as decimal(38, 12)) as estimated_cost_usd,
        cast(sum(reported_cost_usd) as decimal(38, 12)) as reported_cost_usd

    from {{ requests }}
    group by {{ keys | join(', ') }}
{%- endmacro %}


{#-
    The number of requests in each bucket of a window, in order, as one text for each value of
    `key`: a sparkline.
-#}
{% macro request_trends(requests, key, buckets, page) %}
    select
        filled.timeframe,
        filled.{{ key }},
        {{ joined_in_order(
            'cast(coalesce(counted.request_count, 0) as string)', 'filled.bucket_index', ' '
        ) }} as trend
    from ({{ keys_in_buckets(requests, key, buckets, page) }}) as filled
    left join (
        select
            timeframe,
            period,
            bucket_index,
            {{ key }},
            cast(sum(request_count) as bigint) as request_count
        from {{ requests }}
        group by timeframe, period, bucket_index, {{ key }}
    ) as counted
        on
            filled.timeframe = counted.timeframe
            and filled.period = counted.period
            and filled.bucket_index = counted.bucket_index
            and filled.{{ key }} = counted.{{ key }}
    where filled.period = 'current'
    group by filled.timeframe, filled.{{ key }}
{%- endmacro %}
