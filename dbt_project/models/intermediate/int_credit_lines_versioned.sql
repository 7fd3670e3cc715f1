{{ config(materialized='incremental', unique_key='line_id') }}

{{ versions(ref('stg_credit_lines'), 'credit_lines') }}
