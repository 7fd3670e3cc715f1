{{ config(materialized='incremental', unique_key='load_id') }}

-- The last step of a build: a load counts as applied when everything that it touched has passed its
-- tests. A night that died before is simply applied again.
{%- set after = [
    'usage_by_agent', 'usage_by_user', 'session_metrics', 'billing_conversation_lines',
    'billing_conversations', 'row_ledger', 'superseded_rows', 'ignored_files', 'night',
    'unpriced_models', 'telemetry_rules', 'reconciliation', 'source_freshness', 'report_queries',
    'int_agent_instances_as_of', 'int_api_keys_as_of', 'int_group_members_as_of',
    'int_groups_as_of', 'int_mcp_servers_as_of', 'int_organisations_as_of', 'int_role_grants_as_of',
    'int_teams_as_of', 'int_tools_as_of', 'int_credit_lines_aggregated', 'int_buckets',
    'int_llm_requests_aggregated', 'int_slot_buckets', 'int_tool_calls_aggregated', 'restatements',
    'focus_cost_and_usage', 'int_month_days',
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
