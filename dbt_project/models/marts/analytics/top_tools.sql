{{ top_tools(
    calls=ref('int_tool_calls_aggregated'),
    slot_buckets=ref('int_slot_buckets'),
    mcp_servers=ref('int_mcp_servers_as_of'),
    windows=ref('int_windows'),
    outcomes=is_execution(),
    figure='tool_executions'
) }}
