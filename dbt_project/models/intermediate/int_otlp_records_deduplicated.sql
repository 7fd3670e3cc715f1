{{ config(materialized='incremental', unique_key='record_id') }}

{{ first_copies(ref('stg_otlp_identities'), 'record_id') }}
