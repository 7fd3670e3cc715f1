{{ config(materialized='incremental', unique_key='api_key_id') }}

{{ versions(ref('stg_api_keys'), 'api_keys') }}
