{{ usage_by_agent(
    runs=ref('int_runs_enriched'),
    credit_lines=ref('int_credit_lines_attributed'),
    agents=ref('int_agents_as_of'),
    windows=ref('int_windows'),
    timeframes=timeframes_of('reports')
) }}
