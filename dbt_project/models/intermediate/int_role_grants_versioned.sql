{{ config(materialized='incremental', unique_key=['user_id', 'organisation_id', 'role']) }}

{{ versions(ref('stg_role_grants'), 'role_grants') }}
