{{ session_metrics(
    requests=ref('int_llm_requests_combined'),
    tool_calls=ref('int_tool_calls_combined'),
    runs=ref('int_runs_enriched'),
    users=ref('int_users_as_of'),
    identities=ref('int_identities_resolved'),
    windows=ref('int_windows'),
    timeframes=timeframes_of('analytics')
) }}
