{{ config(materialized='incremental', unique_key=['group_id', 'user_id']) }}

{{ versions(ref('stg_group_members'), 'group_members') }}
