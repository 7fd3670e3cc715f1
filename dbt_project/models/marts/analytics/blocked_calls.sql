{{ blocked_calls(
    tool_calls=ref('int_tool_calls_attributed'),
    mcp_servers=ref('int_mcp_servers_as_of'),
    agents=ref('int_agents_as_of'),
    users=ref('int_users_as_of'),
    windows=ref('int_windows'),
    timeframes=timeframes_of('analytics')
) }}
