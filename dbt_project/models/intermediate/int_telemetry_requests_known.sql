{{ config(materialized='incremental', unique_key='request_id') }}

-- A match is found once, by the request or by the record that comes later, and stays.
-- depends_on: {{ ref('stg_llm_requests') }}
-- depends_on: {{ ref('stg_telemetry_records') }}
with telemetry as (

    select distinct request_id from {{ ref('int_telemetry_records_deduplicated') }}
    where request_id is not null

),

{% if is_incremental() -%}
arrived_in_telemetry as (

    select distinct request_id from {{ ref('stg_telemetry_records') }}
    where request_id is not null

),

matched as (

    select request_id from {{ ref('stg_llm_requests') }}
    semi join telemetry using (request_id)

    union

    select request_id from {{ ref('int_llm_requests_versioned') }}
    semi join arrived_in_telemetry using (request_id)

)
{%- else -%}
matched as (

    select distinct request_id from {{ ref('int_llm_requests_versioned') }}
    semi join telemetry using (request_id)

)
{%- endif %}

select request_id from matched
