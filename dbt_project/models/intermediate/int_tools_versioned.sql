{{ config(materialized='incremental', unique_key=['mcp_id', 'tool_name']) }}

{{ versions(ref('stg_tools'), 'tools') }}
