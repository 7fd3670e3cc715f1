{{ config(materialized='incremental', unique_key='request_id') }}

-- depends_on: {{ source('run', 'prices') }}
-- depends_on: {{ source('run', 'model_matches') }}

{{ versions(
    ref('stg_llm_requests'),
    'llm_requests',
    prices={'at': 'requested_at', 'context': platform_price_context()}
) }}
