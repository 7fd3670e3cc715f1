with requests as (

    select * from {{ ref('int_llm_requests_combined') }}

),

-- A request that used nothing needs no price.
unpriced as (

    select * from requests
    where
        estimated_cost_usd is null
        and coalesce(input_tokens, 0)
        + coalesce(cache_read_tokens, 0)
        + coalesce(cache_write_5m_tokens, 0)
        + coalesce(cache_write_1h_tokens, 0)
        + coalesce(output_tokens, 0) > 0

),

per_model as (

    select
        client,
        provider,
        model,

        count(*) as request_count,
        {% for bucket in [
            'input_tokens', 'cache_read_tokens', 'cache_write_5m_tokens', 'cache_write_1h_tokens',
            'output_tokens',
        ] -%}
        cast(coalesce(sum({{ bucket }}), 0) as bigint) as {{ bucket }},
        {% endfor -%}
        min(counted_at) as first_seen_at,
        max(counted_at) as last_seen_at

    from unpriced
    group by client, provider, model

)

select * from per_model
