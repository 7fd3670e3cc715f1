{#- The figures of LLM usage that add up, and their types. -#}
{% macro llm_figures() %}
    {{- return({
        'request_count': 'bigint',
        'failed_requests': 'bigint',
        'uncached_input_tokens': 'bigint',
        'cache_read_tokens': 'bigint',
        'cache_write_tokens': 'bigint',
        'output_tokens': 'bigint',
        'estimated_cost_usd': 'decimal(38, 12)',
        'reported_cost_usd': 'decimal(38, 12)',
    }) -}}
{% endmacro %}


{#-
    Three steps, for a `with`: usage_per_slot, usage_in_buckets, and `usage`, which has a row per
    timeframe, `cut` and keys with the figures of llm_figures and total_tokens. Costs are null where
    none is known.

    aggregated: rows of int_llm_requests_aggregated. cut: columns of int_slot_buckets, such as
    period. keys: ids of the requests; none is `(unattributed)`.
-#}
{% macro llm_usage_by(cut, keys, aggregated, slot_buckets, condition='true') %}
{%- set figures = llm_figures() -%}
{%- set named_keys = [] -%}
{%- for key in keys -%}
    {%- do named_keys.append('coalesce(counted.' ~ key ~ ', ' ~ unattributed() ~ ') as ' ~ key) -%}
{%- endfor -%}
usage_per_slot as (

    select
        {% for column in ['slot_id'] + keys -%}
        {{ column }},
        {% endfor -%}
        {% for figure, type in figures.items() -%}
        cast(sum({{ figure }}) as {{ type }}) as {{ figure }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ aggregated }}
    group by {{ (['slot_id'] + keys) | join(', ') }}

),

usage_in_buckets as (

    {{ in_buckets(
        'usage_per_slot', named_keys + figures.keys() | list, slot_buckets, 'analytics', condition
    ) }}

),

usage as (

    select
        {% for column in ['timeframe'] + cut + keys -%}
        {{ column }},
        {% endfor -%}
        {% for figure, type in figures.items() -%}
        cast(sum({{ figure }}) as {{ type }}) as {{ figure }},
        {% endfor -%}
        cast(
            sum(
                uncached_input_tokens + cache_read_tokens + cache_write_tokens + output_tokens
            ) as bigint
        ) as total_tokens
    from usage_in_buckets
    group by {{ (['timeframe'] + cut + keys) | join(', ') }}

)
{%- endmacro %}


{#- A cost of a row that may have no usage: 0 without any, null where no price is known. -#}
{% macro cost_or_zero(usage, cost) -%}
    cast(
            case when {{ usage }}.timeframe is null then 0 else {{ usage }}.{{ cost }} end
            as decimal(38, 12)
        )
{%- endmacro %}


{#- The headline of LLM usage, in two rows a timeframe. -#}
{% macro llm_usage(aggregated, slot_buckets, windows) %}
with {{ llm_usage_by(['period'], [], aggregated, slot_buckets) }},

models_per_slot as (

    select
        slot_id,
        provider,
        model
    from {{ aggregated }}
    where model is not null
    group by slot_id, provider, model

),

models_in_buckets as (

    {{ in_buckets('models_per_slot', ['provider', 'model'], slot_buckets, 'analytics') }}

),

models_used as (

    select
        timeframe,
        period,
        provider,
        model
    from models_in_buckets
    group by timeframe, period, provider, model

),

models_per_period as (

    select
        timeframe,
        period,
        count(*) as model_count
    from models_used
    group by timeframe, period

),

users_per_slot as (

    select
        slot_id,
        user_id
    from {{ aggregated }}
    where user_id is not null
    group by slot_id, user_id

),

users_in_buckets as (

    {{ in_buckets('users_per_slot', ['user_id'], slot_buckets, 'analytics') }}

),

users_per_period as (

    select
        timeframe,
        period,
        count(distinct user_id) as active_users
    from users_in_buckets
    group by timeframe, period

),

periods as (

    {{ periods_of(windows, 'analytics') }}

),

per_period as (

    select
        periods.timeframe,
        periods.window_start_at,
        periods.window_end_at,

        periods.period,

        coalesce(usage.total_tokens, 0) as total_tokens,
        {{ cost_or_zero('usage', 'estimated_cost_usd') }} as estimated_cost_usd,
        {{ cost_or_zero('usage', 'reported_cost_usd') }} as reported_cost_usd,
        coalesce(models_per_period.model_count, 0) as model_count,
        coalesce(usage.request_count, 0) as request_count,
        coalesce(usage.failed_requests, 0) as failed_requests,
        coalesce(users_per_period.active_users, 0) as active_users
    from periods
    left join usage
        on periods.timeframe = usage.timeframe and periods.period = usage.period
    left join models_per_period
        on
            periods.timeframe = models_per_period.timeframe
            and periods.period = models_per_period.period
    left join users_per_period
        on
            periods.timeframe = users_per_period.timeframe
            and periods.period = users_per_period.period

)

select * from per_period
{% endmacro %}


{#- Tokens by type, and the share of each, in four rows a period. -#}
{% macro llm_tokens_by_type(aggregated, slot_buckets, windows) %}
with {{ llm_usage_by(['period'], [], aggregated, slot_buckets) }},

periods as (

    {{ periods_of(windows, 'analytics') }}

),

tokens_of_types as (
    {% for type in ['uncached_input', 'cache_read', 'cache_write', 'output'] %}
    select
        periods.timeframe,
        periods.window_start_at,
        periods.window_end_at,
        periods.period,
        '{{ type }}' as token_type,
        coalesce(usage.{{ type }}_tokens, 0) as tokens,
        coalesce(usage.total_tokens, 0) as total_tokens
    from periods
    left join usage
        on periods.timeframe = usage.timeframe and periods.period = usage.period
    {%- if not loop.last %}

    union all
    {% endif %}
    {%- endfor %}

),

per_type as (

    select
        timeframe,
        window_start_at,
        window_end_at,

        period,
        token_type,

        tokens,
        {{ ratio('tokens', 'total_tokens') }} as share
    from tokens_of_types

)

select * from per_type
{% endmacro %}


{#- LLM usage in each bucket of both periods. -#}
{% macro llm_usage_over_time(aggregated, buckets, slot_buckets, windows) %}
with {{ llm_usage_by(['period', 'bucket_index'], [], aggregated, slot_buckets) }},

per_bucket as (

    select
        buckets.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        buckets.period,
        buckets.bucket_index,
        buckets.bucket_start_at,
        buckets.bucket_end_at,

        {% for figure in [
            'total_tokens', 'uncached_input_tokens', 'cache_read_tokens', 'cache_write_tokens',
            'output_tokens',
        ] -%}
        coalesce(usage.{{ figure }}, 0) as {{ figure }},
        {% endfor -%}
        {{ cost_or_zero('usage', 'estimated_cost_usd') }} as estimated_cost_usd,
        {{ cost_or_zero('usage', 'reported_cost_usd') }} as reported_cost_usd,
        coalesce(usage.request_count, 0) as request_count
    from {{ buckets }} as buckets
    inner join {{ windows }} as windows
        on buckets.timeframe = windows.timeframe and buckets.page = windows.page
    left join usage
        on
            buckets.timeframe = usage.timeframe
            and buckets.period = usage.period
            and buckets.bucket_index = usage.bucket_index
    where buckets.page = 'analytics'

)

select * from per_bucket
{% endmacro %}


{#-
    LLM usage of each value of the keys, with its ranks by tokens and by cost: two orders of the
    same rows.

    users: users as of the night, where the one key is user_id; their e-mail is shown.
-#}
{% macro top_llm_usage(keys, aggregated, slot_buckets, windows, users=none) %}
{%- set ordered_keys = [] -%}
{%- for key in keys -%}
    {%- do ordered_keys.append('usage.' ~ key) -%}
{%- endfor -%}
with {{ llm_usage_by([], keys, aggregated, slot_buckets, "slot_buckets.period = 'current'") }},

ranked as (

    select
        usage.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        {% for rank, figure in [
            ('rank_by_tokens', 'total_tokens'), ('rank_by_cost', 'estimated_cost_usd')
        ] -%}
        cast(
            row_number() over (
                partition by usage.timeframe
                order by usage.{{ figure }} desc nulls last, {{ ordered_keys | join(', ') }}
            ) as bigint
        ) as {{ rank }},
        {% endfor %}
        {%- for key in keys %}
        usage.{{ key }},
        {%- endfor %}
        {%- if users is not none %}
        {{ email_of('usage.user_id', 'users.email') }} as user_email,
        {%- endif %}

        usage.total_tokens,
        usage.estimated_cost_usd,
        usage.reported_cost_usd,
        usage.request_count
    from usage
    inner join {{ windows }} as windows
        on usage.timeframe = windows.timeframe and windows.page = 'analytics'
    {%- if users is not none %}
    left join {{ users }} as users on usage.user_id = users.user_id
    {%- endif %}

)

select * from ranked
{% endmacro %}
