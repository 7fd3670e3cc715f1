{{ tool_calls_headline(
    calls=ref('int_tool_calls_aggregated'),
    slot_buckets=ref('int_slot_buckets'),
    windows=ref('int_windows'),
    outcomes=is_blocked(),
    figure='blocked_calls',
    tool_figure='blocked_tools',
    other_figure='blocking_policies',
    other_expression='count(distinct policy_id)'
) }}
