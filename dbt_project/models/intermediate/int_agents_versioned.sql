{{ config(materialized='incremental', unique_key='agent_id') }}

{{ versions(ref('stg_agents'), 'agents') }}
