{{ config(materialized='incremental', unique_key='call_id') }}

{{ versions(ref('stg_tool_calls'), 'tool_calls') }}
