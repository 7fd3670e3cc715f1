{#-
    The rows of what is counted once a slot, in every bucket of a page that the slot belongs to:
    timeframe, period, bucket_index and `columns`.

    aggregated: rows with slot_id. Where period = 'current' the buckets of a timeframe make up its
    window.
-#}
{% macro in_buckets(aggregated, columns, slot_buckets, page, condition='true') %}
    select
        slot_buckets.timeframe,
        slot_buckets.period,
        slot_buckets.bucket_index,
        {{ columns | join(',\n        ') }}
    from {{ aggregated }} as counted
    inner join {{ slot_buckets }} as slot_buckets on counted.slot_id = slot_buckets.slot_id
    where
        slot_buckets.page = '{{ page }}'
        and {{ condition }}
{%- endmacro %}


{#- Each timeframe of a page with its window, for the current and for the previous period. -#}
{% macro periods_of(windows, page) %}
    {%- for period in ['current', 'previous'] %}
    select
        timeframe,
        window_start_at,
        window_end_at,
        '{{ period }}' as period
    from {{ windows }}
    where page = '{{ page }}'
    {%- if not loop.last %}

    union all
    {% endif %}
    {%- endfor %}
{%- endmacro %}


{#-
    Every bucket of a page, in both periods, for each value of `key` that a timeframe has in `rows`
    (timeframe and key): what a series is filled up with.
-#}
{% macro keys_in_buckets(rows, key, buckets, page) %}
    select
        buckets.timeframe,
        buckets.period,
        buckets.bucket_index,
        buckets.bucket_date,
        buckets.bucket_start_at,
        buckets.bucket_end_at,
        keys.{{ key }}
    from {{ buckets }} as buckets
    inner join (
        select
            timeframe,
            {{ key }}
        from {{ rows }}
        group by timeframe, {{ key }}
    ) as keys on buckets.timeframe = keys.timeframe
    where buckets.page = '{{ page }}'
{%- endmacro %}


{#- The e-mail of a user: that of the reference, else of an identity that is an e-mail itself. -#}
{% macro email_of(user_id, email) -%}
    case
        when {{ user_id }} = {{ unattributed() }} then {{ user_id }}
        when {{ email }} <> '' then {{ email }}
        when {{ user_id }} like '%@%' then {{ user_id }}
    end
{%- endmacro %}


{#- The name of an id: `(unattributed)` for none, null for an unknown one. -#}
{% macro name_of(id, name) -%}
    case when {{ id }} = {{ unattributed() }} then {{ id }} else {{ name }} end
{%- endmacro %}


{#- What LLM requests add up to: tokens by kind, and the estimated cost of those that have one. -#}
{% macro sums_of_requests() -%}
    cast(coalesce(sum(input_tokens), 0) as bigint) as uncached_input_tokens,
        cast(coalesce(sum(cache_read_tokens), 0) as bigint) as cache_read_tokens,
        cast(
            coalesce(sum(cache_write_5m_tokens), 0) + coalesce(sum(cache_write_1h_tokens), 0)
            as bigint
        ) as cache_write_tokens,
        cast(coalesce(sum(output_tokens), 0) as bigint) as output_tokens,
        cast(sum(estimated_cost_usd) as decimal(38, 12)) as estimated_cost_usd
{%- endmacro %}
