{{ config(materialized='view') }}

{{ with_users(
    ref('int_llm_requests_combined'),
    ref('int_identities_resolved'),
    [
        'client', 'request_key', 'is_request', 'request_id', 'run_id', 'session_id',
        'agent_id', 'account_uuid', 'email', 'installation_id', 'organisation_id', 'team_id',
        'cost_centre', 'api_key_id', 'provider', 'model', 'service_tier', 'speed', 'is_failed',
        'tags', 'input_tokens', 'cache_read_tokens', 'cache_write_5m_tokens',
        'cache_write_1h_tokens', 'output_tokens', 'estimated_cost_usd', 'reported_cost_usd',
        'duration_ms', 'counted_at', 'started_at', 'ended_at',
    ]
) }}
