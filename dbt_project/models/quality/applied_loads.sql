{{ config(materialized='incremental', unique_key='load_id') }}

-- The last step of a build: a load counts as applied when everything that it touched has passed its
-- tests. A night that died before is simply applied again.
{%- set after = [
    'usage_by_agent', 'usage_by_user', 'session_metrics', 'billing_conversation_lines',
    'billing_conversations', 'row_ledger', 'superseded_rows', 'ignored_files', 'night',
    'unpriced_models',
    'telemetry_rules', 'reconciliation', 'source_freshness',
] %}
{%- for model in after %}
-- depends_on: {{ ref(model) }}
{%- endfor %}

with loads as (

    select distinct load_id from {{ source('run', 'loads') }}
    where is_to_apply

),

night as (

    select * from {{ source('run', 'night') }}

)

select
    loads.load_id,
    night.night_id,
    night.facts_version
from loads
cross join night
