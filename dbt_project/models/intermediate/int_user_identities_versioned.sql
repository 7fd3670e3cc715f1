{{ config(materialized='incremental', unique_key='identity') }}

{{ versions(ref('stg_user_identities'), 'user_identities') }}
