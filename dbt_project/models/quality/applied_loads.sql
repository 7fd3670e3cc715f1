{{ config(materialized='incremental', unique_key='load_id') }}

-- The last step of a build: a load counts as applied when everything that it touched has passed its
-- tests. A night that died before is simply applied again.
{%- set after = [
    'usage_by_agent', 'usage_by_user', 'usage_by_model', 'usage_by_sub_account', 'tool_usage',
    'tool_usage_over_time', 'tool_usage_by_hour_of_day', 'top_tools', 'top_agent_instances',
    'top_tool_users', 'top_mcp_servers', 'llm_usage', 'llm_tokens_by_type', 'llm_usage_over_time',
    'top_llm_users', 'top_llm_models', 'session_metrics', 'session_models', 'session_timeline',
    'session_metrics_summary', 'blocked_calls', 'blocked_calls_headline', 'blocked_calls_over_time',
    'top_blocked_tools', 'top_blocked_agent_instances', 'top_blocked_users',
    'top_blocked_mcp_servers', 'top_blocking_policies', 'usage_kpis', 'active_users_daily',
    'team_requests_daily', 'usage_by_team', 'usage_by_team_member', 'billing_summary',
    'billing_daily_usage', 'billing_by_category', 'billing_conversations',
    'billing_conversation_lines', 'arrived_rows', 'ignored_files', 'landed_files', 'night',
    'organisation_cycles', 'reconciliation', 'rejected_rows', 'rejections',
    'replayed_rows', 'report_queries', 'row_ledger', 'control_totals',
    'source_freshness', 'superseded_rows', 'telemetry_rules', 'unattributed_usage',
    'unpriced_models', 'int_agent_instances_as_of', 'int_api_keys_as_of', 'int_buckets',
    'int_credit_lines_aggregated', 'int_group_members_as_of', 'int_groups_as_of',
    'int_llm_requests_aggregated', 'int_mcp_servers_as_of', 'int_organisation_descendants',
    'int_organisations_as_of', 'int_role_grants_as_of', 'int_slot_buckets', 'int_teams_as_of',
    'int_tool_calls_aggregated', 'int_tools_as_of', 'restatements', 'focus_cost_and_usage',
    'int_month_days',
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
