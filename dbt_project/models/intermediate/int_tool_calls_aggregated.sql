with rows_in_slots as (

    {{ in_slots(
        ref('int_tool_calls_attributed'), 'counted_at',
        [
            'client', 'mcp_id', 'tool_name', 'agent_id', 'agent_instance_id', 'user_id',
            'policy_id', 'outcome',
            'cast(extract(hour from counted.counted_at) as bigint) as hour_of_day'
        ],
        slots_of(['analytics'], ref('int_slots'), ref('int_slot_buckets'))
    ) }}

),

aggregated as (

    select
        slot_id,
        client,
        mcp_id,
        tool_name,
        agent_id,
        agent_instance_id,
        user_id,
        policy_id,
        outcome,
        hour_of_day,

        count(*) as call_count

    from rows_in_slots
    group by
        slot_id,
        client,
        mcp_id,
        tool_name,
        agent_id,
        agent_instance_id,
        user_id,
        policy_id,
        outcome,
        hour_of_day

)

select * from aggregated
