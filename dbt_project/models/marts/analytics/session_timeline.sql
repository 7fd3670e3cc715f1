{{ session_timeline(
    requests=ref('int_llm_requests_attributed'),
    windows=ref('int_windows'),
    timeframes=timeframes_of('analytics')
) }}
