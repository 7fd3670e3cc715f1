{{ config(materialized='view') }}

{{ with_users(
    ref('int_tool_calls_combined'),
    ref('int_identities_resolved'),
    [
        'client', 'call_key', 'call_id', 'run_id', 'session_id', 'agent_id',
        'agent_instance_id', 'account_uuid', 'email', 'installation_id', 'organisation_id',
        'mcp_id', 'tool_name', 'policy_id', 'policy_name', 'policy_description', 'tags',
        'outcome', 'duration_ms', 'counted_at', 'started_at', 'ended_at',
    ]
) }}
