with records as (

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
            ('cache_write_5m_tokens', 'cache_creation_tokens'),
            ('output_tokens', 'output_tokens'),
        ] -%}
        case
            when record_name = 'api_error' then 0
            else cast(attributes['{{ attribute }}'] as bigint)
        end as {{ bucket }},
        {% endfor -%}
        cast(0 as bigint) as cache_write_1h_tokens,
        case
            when record_name = 'api_error' then 0
            else cast(attributes['cost_usd'] as decimal(38, 12))
        end as reported_cost_usd,
        recorded_at,
        event_date
    from records

)

select * from typed
