{{ config(materialized='incremental', unique_key='mcp_id') }}

{{ versions(ref('stg_mcp_servers'), 'mcp_servers') }}
