{{ config(materialized='incremental', unique_key='run_id') }}

{{ versions(ref('stg_agent_runs'), 'agent_runs') }}
