{{ config(materialized='incremental', unique_key='user_id') }}

{{ versions(ref('stg_users'), 'users') }}
