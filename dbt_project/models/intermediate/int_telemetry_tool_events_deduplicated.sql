{{ config(materialized='incremental', unique_key='record_id') }}

{{ first_copies(ref('stg_claude_code_tool_events'), 'record_id') }}
