{{ usage_by_user(
    runs=ref('int_runs_enriched'),
    credit_lines=ref('int_credit_lines_attributed'),
    users=ref('int_users_as_of'),
    agents=ref('int_agents_created'),
    windows=ref('int_windows'),
    timeframes=timeframes_of('reports')
) }}
