{{ top_tool_users(
    calls=ref('int_tool_calls_aggregated'),
    slot_buckets=ref('int_slot_buckets'),
    users=ref('int_users_as_of'),
    windows=ref('int_windows'),
    outcomes=is_execution(),
    figure='tool_executions'
) }}
