{%- set context = price_context(speed="coalesce(speed, '')") -%}
with night as (

    select * from {{ source('run', 'night') }}

),

records as (

    select * from {{ ref('stg_otlp_records') }}
    where
        signal = 'log'
        and client = 'claude_code'
        and record_name in ('api_request', 'api_error')

),

-- A failed request used nothing, by the client's own account.
typed as (

    select
        load_id,
        file_id,
        record_id,
        client,
        attributes['request_id'] as request_id,
        attributes['session.id'] as session_id,
        attributes['user.account_uuid'] as account_uuid,
        attributes['user.email'] as email,
        attributes['user.id'] as installation_id,
        coalesce(attributes['team.id'], resource['team.id']) as team_id,
        'anthropic' as provider,
        attributes['model'] as model,
        case when record_name = 'api_error' then 'failed' else 'succeeded' end as status,
        cast(attributes['attempt'] as bigint) as attempt,
        cast(attributes['duration_ms'] as decimal(18, 3)) as duration_ms,
        {% for bucket, attribute in [
            ('input_tokens', 'input_tokens'),
            ('cache_read_tokens', 'cache_read_tokens'),
            ('output_tokens', 'output_tokens'),
        ] -%}
        case
            when record_name = 'api_error' then 0
            else cast(attributes['{{ attribute }}'] as bigint)
        end as {{ bucket }},
        {% endfor -%}
        {#- The client does not say for how long: a setting does. #}
        {% for ttl in ('5m', '1h') -%}
        case
            when record_name = 'api_error' then 0
            when night.cache_write_ttl <> '{{ ttl }}'
                then case when attributes['cache_creation_tokens'] is not null then 0 end
            else cast(attributes['cache_creation_tokens'] as bigint)
        end as cache_write_{{ ttl }}_tokens,
        {% endfor -%}
        case
            when record_name = 'api_error' then 0
            else cast(attributes['cost_usd'] as decimal(38, 12))
        end as reported_cost_usd,
        attributes['speed'] as speed,
        recorded_at,
        event_date
    from records
    cross join night

),

{{ price_ctes('typed', context) }},

priced as (

    select
        typed.*,
        {{ estimated_cost() }} as estimated_cost_usd
    from typed
    {{ join_prices('recorded_at', context) }}

)

select * from priced
