{{ config(materialized='incremental', unique_key='policy_id') }}

{{ versions(ref('stg_policies'), 'policies') }}
