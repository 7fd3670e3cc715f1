{#-
    Charges a day as the FinOps Open Cost and Usage Specification 1.2 has them, over requests and
    credit lines. A column is the specification's in snake_case; the CSV has its own spelling.

    A request is charged at list price in USD, by its model's provider; its tokens are the meter. A
    credit line is charged in credits, of which nothing says what they are in USD: 0. A refund or
    adjustment of a run of an earlier month corrects a period that was invoiced before.
-#}
{% macro focus_cost_and_usage(
    requests, credit_lines, runs, users, organisations, month_days, windows, buckets, slots,
    slot_buckets
) %}
{%- set tokens = [
    'uncached_input_tokens', 'cache_read_tokens', 'cache_write_tokens', 'output_tokens'
] %}
with recursive requests_in_slots as (

    {{ in_slots(
        requests, 'counted_at',
        [
            'client', 'provider', 'model', 'organisation_id',
            'case when organisation_id is null then user_id end as user_id', 'is_request',
            'coalesce(input_tokens, 0) as uncached_input_tokens',
            'coalesce(cache_read_tokens, 0) as cache_read_tokens',
            'coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0)'
            ~ ' as cache_write_tokens',
            'coalesce(output_tokens, 0) as output_tokens', 'estimated_cost_usd',
            'reported_cost_usd'
        ],
        slots
    ) }}

),

-- Telemetry names no organisation: it is that of its user.
requests_per_slot as (

    select
        requests_in_slots.slot_id,
        coalesce(requests_in_slots.organisation_id, users.organisation_id) as organisation_id,
        requests_in_slots.client,
        requests_in_slots.provider,
        requests_in_slots.model,

        count_if(requests_in_slots.is_request) as request_count,
        {%- for bucket in tokens %}
        sum(requests_in_slots.{{ bucket }}) as {{ bucket }},
        {%- endfor %}
        sum(requests_in_slots.estimated_cost_usd) as estimated_cost_usd,
        sum(requests_in_slots.reported_cost_usd) as reported_cost_usd

    from requests_in_slots
    left join {{ users }} as users on requests_in_slots.user_id = users.user_id
    group by all

),

requests_in_buckets as (

    {{ in_buckets(
        'requests_per_slot',
        ['organisation_id', 'client', 'provider', 'model', 'request_count'] + tokens
        + ['estimated_cost_usd', 'reported_cost_usd'],
        slot_buckets, 'billing', "slot_buckets.period = 'current'"
    ) }}

),

lines_in_slots as (

    {{ in_slots(
        credit_lines, 'occurred_at',
        ['organisation_id', 'category', 'kind', 'run_id', 'occurred_at', 'credits'],
        slots, 'is_consumption'
    ) }}

),

corrected_runs as (

    select
        run_id,
        started_at
    from {{ runs }}
    where
        is_current
        and run_id in (select run_id from lines_in_slots where kind <> 'usage')

),

lines_per_slot as (

    select
        lines_in_slots.slot_id,
        lines_in_slots.organisation_id,
        lines_in_slots.category,
        lines_in_slots.kind,
        coalesce(
            lines_in_slots.kind <> 'usage' and corrected_runs.started_at < months.month_start_at,
            false
        ) as is_correction,

        sum(lines_in_slots.credits) as credits

    from lines_in_slots
    inner join {{ month_days }} as months
        on
            cast(lines_in_slots.occurred_at as date) = months.utc_date
            and lines_in_slots.occurred_at >= months.month_start_at
            and lines_in_slots.occurred_at < months.month_end_at
    left join corrected_runs on lines_in_slots.run_id = corrected_runs.run_id
    group by all

),

lines_in_buckets as (

    {{ in_buckets(
        'lines_per_slot', ['organisation_id', 'category', 'kind', 'is_correction', 'credits'],
        slot_buckets, 'billing', "slot_buckets.period = 'current'"
    ) }}

),

charges as (

    select
        timeframe,
        bucket_index,
        organisation_id,
        'Usage' as charge_category,
        cast(null as string) as charge_class,
        coalesce(provider, {{ unattributed() }}) as provider_name,
        coalesce(model, {{ unattributed() }}) as service_name,
        'Generative AI' as service_subcategory,
        client as x_client,
        cast(null as string) as x_credit_kind,
        'Tokens' as pricing_unit,
        'USD' as pricing_currency,
        cast(sum({{ tokens | join(' + ') }}) as decimal(38, 12)) as pricing_quantity,
        cast(coalesce(sum(estimated_cost_usd), 0) as decimal(38, 12)) as billed_cost,
        cast(coalesce(sum(estimated_cost_usd), 0) as decimal(38, 12))
            as pricing_currency_effective_cost,
        cast(sum(reported_cost_usd) as decimal(38, 12)) as x_reported_cost_usd,
        cast(sum(request_count) as bigint) as x_request_count,
        {%- for bucket in tokens %}
        cast(sum({{ bucket }}) as bigint) as x_{{ bucket }}{{ ',' if not loop.last }}
        {%- endfor %}
    from requests_in_buckets
    group by timeframe, bucket_index, organisation_id, client, provider, model

    union all

    select
        timeframe,
        bucket_index,
        organisation_id,
        case when kind = 'adjustment' then 'Adjustment' else 'Usage' end as charge_category,
        case when is_correction then 'Correction' end as charge_class,
        'platform' as provider_name,
        category as service_name,
        'Other (AI and Machine Learning)' as service_subcategory,
        'platform' as x_client,
        kind as x_credit_kind,
        'Credits' as pricing_unit,
        'Credits' as pricing_currency,
        cast(sum(credits) as decimal(38, 12)) as pricing_quantity,
        cast(0 as decimal(38, 12)) as billed_cost,
        cast(sum(credits) as decimal(38, 12)) as pricing_currency_effective_cost,
        cast(null as decimal(38, 12)) as x_reported_cost_usd,
        cast(null as bigint) as x_request_count,
        {%- for bucket in tokens %}
        cast(null as bigint) as x_{{ bucket }}{{ ',' if not loop.last }}
        {%- endfor %}
    from lines_in_buckets
    group by timeframe, bucket_index, organisation_id, category, kind, is_correction

),

-- The organisation at the top is billed; a cycle has none, and ends after 32 steps.
lineage as (

    select
        organisation_id,
        organisation_id as ancestor_id,
        0 as steps
    from {{ organisations }}

    union all

    select
        lineage.organisation_id,
        parents.parent_organisation_id as ancestor_id,
        lineage.steps + 1 as steps
    from lineage
    inner join {{ organisations }} as parents on lineage.ancestor_id = parents.organisation_id
    where parents.parent_organisation_id is not null and lineage.steps < 32

),

tops as (

    select
        organisation_id,
        max_by(ancestor_id, steps) as top_id
    from lineage
    group by organisation_id

),

focused as (

    select
        charges.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        charges.billed_cost,
        coalesce(tops.top_id, charges.organisation_id, {{ unattributed() }}) as billing_account_id,
        case
            when charges.organisation_id is null then {{ unattributed() }}
            else accounts.name
        end as billing_account_name,
        'Organisation' as billing_account_type,
        'USD' as billing_currency,
        months.month_end_at as billing_period_end,
        months.month_start_at as billing_period_start,
        charges.charge_category,
        charges.charge_class,
        case
            when charges.pricing_unit = 'Tokens'
                then 'Tokens of ' || charges.service_name || ' at list price'
            else 'Credits for ' || charges.service_name || ' (' || charges.x_credit_kind || ')'
        end as charge_description,
        case
            when charges.charge_category = 'Usage' then 'Usage-Based'
            else 'One-Time'
        end as charge_frequency,
        buckets.bucket_end_at as charge_period_end,
        buckets.bucket_start_at as charge_period_start,
        case when charges.charge_category = 'Usage' then charges.pricing_quantity end
            as consumed_quantity,
        case when charges.charge_category = 'Usage' then charges.pricing_unit end as consumed_unit,
        charges.billed_cost as contracted_cost,
        charges.billed_cost as effective_cost,
        charges.provider_name as invoice_issuer_name,
        charges.billed_cost as list_cost,
        case when charges.charge_category = 'Usage' then 'Standard' end as pricing_category,
        charges.pricing_currency,
        charges.pricing_currency_effective_cost,
        charges.pricing_quantity,
        charges.pricing_unit,
        charges.provider_name,
        charges.provider_name as publisher_name,
        'AI and Machine Learning' as service_category,
        charges.service_name,
        charges.service_subcategory,
        charges.organisation_id as sub_account_id,
        case
            when charges.organisation_id is not null
                then coalesce(organisations.name, charges.organisation_id)
        end as sub_account_name,
        case when charges.organisation_id is not null then 'Organisation' end as sub_account_type,
        charges.x_client,
        charges.x_credit_kind,
        charges.x_reported_cost_usd,
        charges.x_request_count,
        {%- for bucket in tokens %}
        charges.x_{{ bucket }}{{ ',' if not loop.last }}
        {%- endfor %}
    from charges
    inner join {{ windows }} as windows
        on charges.timeframe = windows.timeframe and windows.page = 'billing'
    inner join {{ buckets }} as buckets
        on
            charges.timeframe = buckets.timeframe
            and charges.bucket_index = buckets.bucket_index
            and buckets.page = 'billing'
            and buckets.period = 'current'
    inner join {{ month_days }} as months
        on
            cast(buckets.bucket_start_at as date) = months.utc_date
            and buckets.bucket_start_at >= months.month_start_at
            and buckets.bucket_start_at < months.month_end_at
    left join {{ organisations }} as organisations
        on charges.organisation_id = organisations.organisation_id
    left join tops on charges.organisation_id = tops.organisation_id
    left join {{ organisations }} as accounts on tops.top_id = accounts.organisation_id

)

select * from focused
{% endmacro %}
