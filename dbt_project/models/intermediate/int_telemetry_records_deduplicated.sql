{{ config(materialized='incremental', unique_key='record_id') }}

{{ first_copies(ref('stg_telemetry_records'), 'record_id') }}
