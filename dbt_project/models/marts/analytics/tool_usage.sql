{{ tool_calls_headline(
    calls=ref('int_tool_calls_aggregated'),
    slot_buckets=ref('int_slot_buckets'),
    windows=ref('int_windows'),
    outcomes=is_execution(),
    figure='tool_executions',
    tool_figure='unique_tools',
    other_figure='failed_executions',
    other_expression="sum(case when outcome = 'failed' then call_count else 0 end)"
) }}
