{{ config(materialized='incremental', unique_key='organisation_id') }}

{{ versions(ref('stg_organisations'), 'organisations') }}
