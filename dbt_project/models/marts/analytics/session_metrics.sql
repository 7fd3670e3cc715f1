{{ session_metrics(
    requests=ref('int_llm_requests_attributed'),
    tool_calls=ref('int_tool_calls_attributed'),
    runs=ref('int_runs_enriched'),
    users=ref('int_users_as_of'),
    windows=ref('int_windows'),
    timeframes=timeframes_of('analytics')
) }}
