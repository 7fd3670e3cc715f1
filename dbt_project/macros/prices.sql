{#-
    Estimated cost of requests by list prices, overrides applied. Three pieces, so that each name is
    resolved once, and a request meets only the few prices of its own model:

        with …, {{ price_ctes(requests, context) }}
        select …, {{ estimated_cost() }} as estimated_cost_usd
        from requests {{ join_prices(at, context) }}

    Of many requests the CTEs are a table of their own (stg_llm_request_prices): an engine that
    knows how few its rows are hashes those, and not the requests.

    requests: a relation with provider, model and the five buckets of tokens. at: its UTC instant.
    context: SQL for processing, service_tier and speed where a request says them, else `''`.
    The prices of a name never overlap, so that no request finds two.
-#}

{% macro price_context(processing="''", service_tier="''", speed="''") %}
    {{- return({'processing': processing, 'service_tier': service_tier, 'speed': speed}) -}}
{% endmacro %}


{#- What a request of the platform says of itself; fields beyond the contract stand in `extra`. -#}
{% macro platform_price_context() %}
    {%- set said = {} -%}
    {%- for name in ('processing', 'service_tier', 'speed') -%}
        {%- do said.update({name:
            "case when extra is null then '' else coalesce("
            ~ json_member('extra', name) ~ ", '') end"
        }) -%}
    {%- endfor -%}
    {#- Some clients name a batch as the tier of the service. -#}
    {%- do said.update({'processing':
        'case when ' ~ said.service_tier ~ " = 'batch' then 'batch' else "
        ~ said.processing ~ ' end'
    }) -%}
    {{- return(said) -}}
{% endmacro %}


{#- What a record of telemetry says of itself. -#}
{% macro telemetry_price_context() %}
    {{- return(price_context(
        processing="case when service_tier = 'batch' then 'batch' else '' end",
        service_tier="coalesce(service_tier, '')",
        speed="coalesce(speed, '')"
    )) -}}
{% endmacro %}


{% macro price_ctes(requests, context) %}
asked as (

    select
        coalesce(provider, '') as asked_provider,
        coalesce(model, '') as asked_model,
        {{ context.processing }} as asked_processing,
        {{ context.service_tier }} as asked_service_tier,
        {{ context.speed }} as asked_speed
    from {{ requests }}
    group by all

),

-- A gateway may write the provider in front of the model.
names as (

    select
        asked_provider,
        asked_model,
        lower(trim(asked_provider)) as provider_name,
        lower(asked_model) as model_name,
        case
            when lower(trim(asked_provider)) = 'litellm' and position('/' in asked_model) > 0
                then lower(split_part(asked_model, '/', 1))
            else lower(trim(asked_provider))
        end as searched_provider
    from asked
    group by all

),

provider_texts as (

    select
        'provider_id' as subject,
        '' as provider_id,
        searched_provider as name
    from names
    group by searched_provider

    union all

    select
        'provider_of_model' as subject,
        '' as provider_id,
        model_name as name
    from names
    where provider_name in ('', 'litellm')
    group by model_name

),

{{ found_by_clauses('provider_texts', 'providers_found') }},

located as (

    select
        names.asked_provider,
        names.asked_model,
        case
            when by_name.price_provider_id is not null then by_name.price_provider_id
            when names.provider_name in ('', 'litellm') then by_model.price_provider_id
        end as provider_id,
        case
            when
                names.searched_provider <> names.provider_name
                and by_name.price_provider_id is not null
                then substring(names.model_name, position('/' in names.model_name) + 1)
            else names.model_name
        end as model_name
    from names
    left join providers_found as by_name
        on names.searched_provider = by_name.name and by_name.subject = 'provider_id'
    left join providers_found as by_model
        on names.model_name = by_model.name and by_model.subject = 'provider_of_model'

),

-- A date in a name may be written without dashes: tried where the name as it is finds nothing.
dated as (

    select
        *,
        regexp_extract(model_name, {{ compact_date() }}, 1) as written_year,
        regexp_extract(model_name, {{ compact_date() }}, 2) as written_month,
        regexp_extract(model_name, {{ compact_date() }}, 3) as written_day,
        regexp_extract(model_name, {{ compact_date() }}, 4) as follower
    from located
    where provider_id is not null

),

spelled as (

    select
        asked_provider,
        asked_model,
        provider_id,
        model_name,
        case
            when
                try_cast(
                    written_year || '-' || written_month || '-' || written_day as date
                ) is not null
                then replace(
                    model_name,
                    '-' || written_year || written_month || written_day || follower,
                    '-' || written_year || '-' || written_month || '-' || written_day || follower
                )
        end as dashed_name
    from dated

),

model_texts as (

    select
        'model' as subject,
        provider_id,
        model_name as name
    from spelled
    group by provider_id, model_name

    union

    select
        'model' as subject,
        provider_id,
        dashed_name as name
    from spelled
    where dashed_name is not null
    group by provider_id, dashed_name

),

{{ found_by_clauses('model_texts', 'models_found') }},

-- What one provider charges for another's models are the other's prices, without variants.
resolved as (

    select
        spelled.asked_provider,
        spelled.asked_model,
        coalesce(as_written.price_provider_id, dashed.price_provider_id) as price_provider_id,
        case
            when as_written.name is not null then as_written.price_model_id
            else dashed.price_model_id
        end as price_model_id,
        spelled.provider_id
        = coalesce(as_written.price_provider_id, dashed.price_provider_id) as has_variants
    from spelled
    left join models_found as as_written
        on
            spelled.provider_id = as_written.provider_id
            and spelled.model_name = as_written.name
    left join models_found as dashed
        on
            spelled.provider_id = dashed.provider_id
            and spelled.dashed_name = dashed.name

),

price_contexts as (

    select
        provider_id,
        model_id,
        processing,
        service_tier,
        speed
    from {{ source('run', 'prices') }}
    group by all

),

-- The variant of which a request says most.
variants as (

    select
        asked.*,
        price_contexts.*
    from asked
    inner join resolved
        on
            asked.asked_provider = resolved.asked_provider
            and asked.asked_model = resolved.asked_model
    inner join price_contexts
        on
            resolved.price_provider_id = price_contexts.provider_id
            and resolved.price_model_id = price_contexts.model_id
            {%- for name in ('processing', 'service_tier', 'speed') %}
            and (
                price_contexts.{{ name }} = ''
                or (resolved.has_variants and price_contexts.{{ name }} = asked.asked_{{ name }})
            )
            {%- endfor %}
    qualify
        row_number() over (
            partition by
                asked.asked_provider,
                asked.asked_model,
                asked.asked_processing,
                asked.asked_service_tier,
                asked.asked_speed
            order by
                case when price_contexts.processing = '' then 0 else 1 end
                + case when price_contexts.service_tier = '' then 0 else 1 end
                + case when price_contexts.speed = '' then 0 else 1 end desc,
                price_contexts.processing desc,
                price_contexts.service_tier desc
        ) = 1

),

prices_of_names as (

    select
        variants.asked_provider,
        variants.asked_model,
        variants.asked_processing,
        variants.asked_service_tier,
        variants.asked_speed,
        prices.valid_from,
        prices.valid_to,
        prices.time_from * 1000000 as microsecond_from,
        prices.time_to * 1000000 as microsecond_to,
        prices.tier_above,
        prices.tier_up_to,
        {%- for bucket in price_names() %}
        prices.price_{{ bucket }}{{ '' if loop.last else ',' }}
        {%- endfor %}
    from variants
    inner join {{ source('run', 'prices') }} as prices
        on
            variants.provider_id = prices.provider_id
            and variants.model_id = prices.model_id
            and variants.processing = prices.processing
            and variants.service_tier = prices.service_tier
            and variants.speed = prices.speed

)
{%- endmacro %}


{% macro price_names() %}
    {{- return(
        ['input', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'output', 'per_request']
    ) -}}
{% endmacro %}


{#- Year, month, day of a date without dashes, and what follows it. -#}
{% macro compact_date() -%}
    '-(20[0-9][0-9])(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])(-|:|$)'
{%- endmacro %}


{#-
    Two CTEs, the second named `found`: per subject, provider_id and name of `texts` what the first
    rule finds that holds. Equal texts, nearly all rules, meet by an equi-join.
-#}
{% macro found_by_clauses(texts, found) %}
{{ found }}_clauses as (

    select
        texts.subject,
        texts.provider_id,
        texts.name,
        matches.position,
        matches.alternative,
        matches.clauses,
        matches.price_provider_id,
        matches.price_model_id
    from {{ texts }} as texts
    inner join {{ source('run', 'model_matches') }} as matches
        on
            texts.subject = matches.subject
            and texts.provider_id = matches.provider_id
            and texts.name = matches.text
            and matches.kind = 'equals'

    union all

    select
        texts.subject,
        texts.provider_id,
        texts.name,
        matches.position,
        matches.alternative,
        matches.clauses,
        matches.price_provider_id,
        matches.price_model_id
    from {{ texts }} as texts
    inner join {{ source('run', 'model_matches') }} as matches
        on
            texts.subject = matches.subject
            and texts.provider_id = matches.provider_id
            and case matches.kind
                when 'starts_with' then left(texts.name, length(matches.text)) = matches.text
                when 'ends_with' then right(texts.name, length(matches.text)) = matches.text
                when 'contains' then position(matches.text in texts.name) > 0
                when 'regex' then regexp_extract(texts.name, matches.text, 0) <> ''
                when 'not_regex' then regexp_extract(texts.name, matches.text, 0) = ''
                else false
            end

),

{{ found }} as (

    select
        subject,
        provider_id,
        name,
        price_provider_id,
        price_model_id
    from {{ found }}_clauses
    group by
        subject,
        provider_id,
        name,
        position,
        alternative,
        price_provider_id,
        price_model_id
    having count(*) = max(clauses)
    qualify
        row_number() over (
            partition by subject, provider_id, name order by position, alternative
        ) = 1

)
{%- endmacro %}


{#-
    Left-joins `prices`, of which at most one row fits; the request's columns stay unqualified.

    prompt_tokens: the size that tiers go by, where a row's tokens are not those of one prompt.
-#}
{% macro join_prices(at, context, prices='prices_of_names', prompt_tokens=none) -%}
    {%- set size = prompt_tokens or priced_input_tokens() -%}
    left join {{ prices }} as prices
        on
            coalesce(provider, '') = prices.asked_provider
            and coalesce(model, '') = prices.asked_model
            and {{ context.processing }} = prices.asked_processing
            and {{ context.service_tier }} = prices.asked_service_tier
            and {{ context.speed }} = prices.asked_speed
            and cast({{ at }} as date) >= prices.valid_from
            and cast({{ at }} as date) < prices.valid_to
            and {{ microseconds_of(at) }} % 86400000000 >= prices.microsecond_from
            and {{ microseconds_of(at) }} % 86400000000 < prices.microsecond_to
            and {{ size }} > prices.tier_above
            and {{ size }} <= prices.tier_up_to
{%- endmacro %}


{% macro priced_input_tokens() -%}
    coalesce(input_tokens, 0)
            + coalesce(cache_read_tokens, 0)
            + coalesce(cache_write_5m_tokens, 0)
            + coalesce(cache_write_1h_tokens, 0)
{%- endmacro %}


{#-
    Tokens times the price of a token, summed exactly and rounded once, half away from zero. A
    bucket that is not known counts nothing; null where none is known, or no price. A price per
    request is due where any token was used.

    Whole numbers have up to 14 digits (the loader sees to it) and prices 24 decimals: 38 in all.
-#}
{% macro estimated_cost() -%}
    case
        when
            prices.price_input is not null
            and coalesce(
                input_tokens,
                cache_read_tokens,
                cache_write_5m_tokens,
                cache_write_1h_tokens,
                output_tokens
            ) is not null
            then cast(
                {%- for bucket in price_names() if bucket != 'per_request' %}
                {{ '+ ' if not loop.first }}cast(coalesce({{ bucket }}_tokens, 0) as decimal(14, 0))
                * prices.price_{{ bucket }}
                {%- endfor %}
                + case
                    when {{ priced_input_tokens() }} + coalesce(output_tokens, 0) > 0
                        then prices.price_per_request
                    else 0
                end
                as decimal(38, 12)
            )
    end
{%- endmacro %}
