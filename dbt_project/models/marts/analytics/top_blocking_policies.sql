{{ top_blocking_policies(
    calls=ref('int_tool_calls_aggregated'),
    tool_calls=ref('int_tool_calls_attributed'),
    slot_buckets=ref('int_slot_buckets'),
    windows=ref('int_windows'),
    timeframes=timeframes_of('analytics')
) }}
