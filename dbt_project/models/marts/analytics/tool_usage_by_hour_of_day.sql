{{ tool_calls_by_hour_of_day(
    calls=ref('int_tool_calls_aggregated'),
    slot_buckets=ref('int_slot_buckets'),
    windows=ref('int_windows'),
    outcomes=is_execution(),
    figure='tool_executions'
) }}
