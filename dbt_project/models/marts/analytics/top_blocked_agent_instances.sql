{{ top_agent_instances(
    calls=ref('int_tool_calls_aggregated'),
    slot_buckets=ref('int_slot_buckets'),
    agent_instances=ref('int_agent_instances_as_of'),
    agents=ref('int_agents_as_of'),
    users=ref('int_users_as_of'),
    windows=ref('int_windows'),
    outcomes=is_blocked(),
    figure='blocked_calls'
) }}
