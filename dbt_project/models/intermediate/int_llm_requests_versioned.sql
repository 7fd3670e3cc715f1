{{ config(materialized='incremental', unique_key='request_id') }}

{{ versions(ref('stg_llm_requests'), 'llm_requests') }}
