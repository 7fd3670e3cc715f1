{{ config(materialized='incremental', unique_key='agent_instance_id') }}

{{ versions(ref('stg_agent_instances'), 'agent_instances') }}
