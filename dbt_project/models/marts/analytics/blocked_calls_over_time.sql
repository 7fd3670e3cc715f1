{{ tool_calls_over_time(
    calls=ref('int_tool_calls_aggregated'),
    slot_buckets=ref('int_slot_buckets'),
    buckets=ref('int_buckets'),
    windows=ref('int_windows'),
    outcomes=is_blocked(),
    figure='blocked_calls'
) }}
