{{ config(materialized='incremental', unique_key='request_id') }}

{{ versions(
    ref('stg_llm_requests'),
    'llm_requests',
    prices={
        'relation': ref('stg_llm_request_prices'),
        'at': 'requested_at',
        'context': platform_price_context(),
    }
) }}
