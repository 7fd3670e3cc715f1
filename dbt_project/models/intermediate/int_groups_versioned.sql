{{ config(materialized='incremental', unique_key='group_id') }}

{{ versions(ref('stg_groups'), 'groups') }}
