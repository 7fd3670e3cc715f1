{#-
    MCP usage and Security: the same figures, of executions and of blocked calls.

    Arguments: tool_calls, int_tool_calls_attributed (already filtered where a filter applies);
    calls, int_tool_calls_aggregated of it; outcomes, which of them count; figure, what their number
    is called.
-#}

{#- Whether a call was executed, successfully or not. -#}
{% macro is_execution() -%}
    outcome in ('executed', 'failed')
{%- endmacro %}


{#- Whether a policy blocked the call. -#}
{% macro is_blocked() -%}
    outcome = 'blocked'
{%- endmacro %}


{#-
    The calls of each timeframe and period, and how many tools, agent instances and users they have.

    tool_figure: what the number of tools is called. other_figure: one more figure, which
    other_expression counts over rows with call_count, outcome and policy_id.
-#}
{% macro tool_calls_headline(
    calls, slot_buckets, windows, outcomes, figure, tool_figure, other_figure, other_expression
) %}
with periods as (

    {{ periods_of(windows, 'analytics') }}

),

calls_in_periods as (

    {{ in_buckets(
        calls,
        ['mcp_id', 'tool_name', 'agent_instance_id', 'user_id', 'policy_id', 'outcome',
         'call_count'],
        slot_buckets, 'analytics', outcomes
    ) }}

),

per_period as (

    select
        timeframe,
        period,

        cast(sum(call_count) as bigint) as {{ figure }},
        count(distinct agent_instance_id) as active_agent_instances,
        count(distinct user_id) as active_users,
        cast({{ other_expression }} as bigint) as {{ other_figure }}

    from calls_in_periods
    group by timeframe, period

),

-- In two steps, since a tool is told by two columns and one of them may be null.
tools_in_periods as (

    select
        timeframe,
        period,
        mcp_id,
        tool_name
    from calls_in_periods
    where tool_name is not null
    group by timeframe, period, mcp_id, tool_name

),

tools_per_period as (

    select
        timeframe,
        period,

        count(*) as {{ tool_figure }}

    from tools_in_periods
    group by timeframe, period

),

headline as (

    select
        periods.timeframe,
        periods.window_start_at,
        periods.window_end_at,

        periods.period,

        coalesce(per_period.{{ figure }}, 0) as {{ figure }},
        coalesce(tools_per_period.{{ tool_figure }}, 0) as {{ tool_figure }},
        coalesce(per_period.active_agent_instances, 0) as active_agent_instances,
        coalesce(per_period.active_users, 0) as active_users,
        coalesce(per_period.{{ other_figure }}, 0) as {{ other_figure }}
    from periods
    left join per_period
        on
            periods.timeframe = per_period.timeframe
            and periods.period = per_period.period
    left join tools_per_period
        on
            periods.timeframe = tools_per_period.timeframe
            and periods.period = tools_per_period.period

)

select * from headline
{% endmacro %}


{#- The calls of each bucket, zero in an empty one. -#}
{% macro tool_calls_over_time(calls, slot_buckets, buckets, windows, outcomes, figure) %}
with calls_in_buckets as (

    {{ in_buckets(calls, ['call_count'], slot_buckets, 'analytics', outcomes) }}

),

per_bucket as (

    select
        timeframe,
        period,
        bucket_index,

        cast(sum(call_count) as bigint) as {{ figure }}

    from calls_in_buckets
    group by timeframe, period, bucket_index

),

series as (

    select
        buckets.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        buckets.period,
        buckets.bucket_index,
        buckets.bucket_start_at,
        buckets.bucket_end_at,

        coalesce(per_bucket.{{ figure }}, 0) as {{ figure }}
    from {{ buckets }} as buckets
    inner join {{ windows }} as windows
        on buckets.page = windows.page and buckets.timeframe = windows.timeframe
    left join per_bucket
        on
            buckets.timeframe = per_bucket.timeframe
            and buckets.period = per_bucket.period
            and buckets.bucket_index = per_bucket.bucket_index
    where buckets.page = 'analytics'

)

select * from series
{% endmacro %}


{#- The calls of each UTC hour of the day, 24 of them in each timeframe and period. -#}
{% macro tool_calls_by_hour_of_day(calls, slot_buckets, windows, outcomes, figure) %}
with periods as (

    {{ periods_of(windows, 'analytics') }}

),

calls_in_periods as (

    {{ in_buckets(calls, ['hour_of_day', 'call_count'], slot_buckets, 'analytics', outcomes) }}

),

hours as (

    select cast(hour_of_day as bigint) as hour_of_day
    from range(24) as hours(hour_of_day)

),

per_hour as (

    select
        timeframe,
        period,
        hour_of_day,

        cast(sum(call_count) as bigint) as {{ figure }}

    from calls_in_periods
    group by timeframe, period, hour_of_day

),

distribution as (

    select
        periods.timeframe,
        periods.window_start_at,
        periods.window_end_at,

        periods.period,
        hours.hour_of_day,

        coalesce(per_hour.{{ figure }}, 0) as {{ figure }}
    from periods
    cross join hours
    left join per_hour
        on
            periods.timeframe = per_hour.timeframe
            and periods.period = per_hour.period
            and hours.hour_of_day = per_hour.hour_of_day

)

select * from distribution
{% endmacro %}


{#-
    The steps that every ranking of calls begins with: calls_in_windows, and ranked, the calls of
    each value of the columns `keys` with their rank, the most calls first, then by the keys.
-#}
{% macro ranked_calls(calls, slot_buckets, keys, outcomes, figure) -%}
calls_in_windows as (

    {{ in_buckets(
        calls,
        ['mcp_id', 'tool_name', 'agent_id', 'agent_instance_id', 'user_id', 'policy_id',
         'call_count'],
        slot_buckets, 'analytics', outcomes ~ " and slot_buckets.period = 'current'"
    ) }}

),

per_key as (

    select
        timeframe,
        {%- for key in keys %}
        coalesce({{ key }}, {{ unattributed() }}) as {{ key }},
        {%- endfor %}

        cast(sum(call_count) as bigint) as {{ figure }}

    from calls_in_windows
    group by
        timeframe,
        {%- for key in keys %}
        coalesce({{ key }}, {{ unattributed() }}){{ ',' if not loop.last }}
        {%- endfor %}

),

ranked as (

    select
        timeframe,
        {{ keys | join(',\n        ') }},

        cast(
            row_number() over (
                partition by timeframe order by {{ figure }} desc, {{ keys | join(', ') }}
            ) as bigint
        ) as rank,
        {{ figure }}
    from per_key

)
{%- endmacro %}


{#- Tools by their calls, with the MCP server that each belongs to. -#}
{% macro top_tools(calls, slot_buckets, mcp_servers, windows, outcomes, figure) %}
with {{ ranked_calls(calls, slot_buckets, ['mcp_id', 'tool_name'], outcomes, figure) }},

named as (

    select
        ranked.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        ranked.rank,
        ranked.tool_name,
        ranked.mcp_id,
        {{ name_of('ranked.mcp_id', 'mcp_servers.name') }} as mcp_name,

        ranked.{{ figure }}
    from ranked
    inner join {{ windows }} as windows
        on ranked.timeframe = windows.timeframe and windows.page = 'analytics'
    left join {{ mcp_servers }} as mcp_servers on ranked.mcp_id = mcp_servers.mcp_id

)

select * from named
{% endmacro %}


{#-
    Agent instances by their calls, with agent and owner as of the night. The agent of an instance
    that no reference knows is that of most of its calls, and nobody is known to own it.
-#}
{% macro top_agent_instances(
    calls, slot_buckets, agent_instances, agents, users, windows, outcomes, figure
) %}
with {{ ranked_calls(calls, slot_buckets, ['agent_instance_id'], outcomes, figure) }},

agents_of_calls as (

    select
        timeframe,
        agent_instance_id,
        agent_id,
        sum(call_count) as calls_of_agent
    from calls_in_windows
    where agent_instance_id is not null and agent_id is not null
    group by timeframe, agent_instance_id, agent_id
    qualify
        row_number() over (
            partition by timeframe, agent_instance_id order by calls_of_agent desc, agent_id
        ) = 1

),

owned as (

    select
        ranked.timeframe,
        ranked.rank,
        ranked.agent_instance_id,
        case
            when instances.agent_instance_id is not null
                then coalesce(instances.agent_id, {{ unattributed() }})
            else coalesce(agents_of_calls.agent_id, {{ unattributed() }})
        end as agent_id,
        case
            when
                instances.agent_instance_id is not null
                or ranked.agent_instance_id = {{ unattributed() }}
                then coalesce(instances.user_id, {{ unattributed() }})
        end as user_id,
        ranked.{{ figure }}
    from ranked
    left join {{ agent_instances }} as instances
        on ranked.agent_instance_id = instances.agent_instance_id
    left join agents_of_calls
        on
            ranked.timeframe = agents_of_calls.timeframe
            and ranked.agent_instance_id = agents_of_calls.agent_instance_id

),

named as (

    select
        owned.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        owned.rank,
        owned.agent_instance_id,
        owned.agent_id,
        {{ name_of('owned.agent_id', 'agents.name') }} as agent_name,
        owned.user_id,
        {{ email_of('owned.user_id', 'users.email') }} as user_email,

        owned.{{ figure }}
    from owned
    inner join {{ windows }} as windows
        on owned.timeframe = windows.timeframe and windows.page = 'analytics'
    left join {{ agents }} as agents on owned.agent_id = agents.agent_id
    left join {{ users }} as users on owned.user_id = users.user_id

)

select * from named
{% endmacro %}


{#- Users by their calls. -#}
{% macro top_tool_users(calls, slot_buckets, users, windows, outcomes, figure) %}
with {{ ranked_calls(calls, slot_buckets, ['user_id'], outcomes, figure) }},

named as (

    select
        ranked.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        ranked.rank,
        ranked.user_id,
        {{ email_of('ranked.user_id', 'users.email') }} as user_email,

        ranked.{{ figure }}
    from ranked
    inner join {{ windows }} as windows
        on ranked.timeframe = windows.timeframe and windows.page = 'analytics'
    left join {{ users }} as users on ranked.user_id = users.user_id

)

select * from named
{% endmacro %}


{#- MCP servers by their calls. -#}
{% macro top_mcp_servers(calls, slot_buckets, mcp_servers, windows, outcomes, figure) %}
with {{ ranked_calls(calls, slot_buckets, ['mcp_id'], outcomes, figure) }},

named as (

    select
        ranked.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        ranked.rank,
        ranked.mcp_id,
        {{ name_of('ranked.mcp_id', 'mcp_servers.name') }} as mcp_name,

        ranked.{{ figure }}
    from ranked
    inner join {{ windows }} as windows
        on ranked.timeframe = windows.timeframe and windows.page = 'analytics'
    left join {{ mcp_servers }} as mcp_servers on ranked.mcp_id = mcp_servers.mcp_id

)

select * from named
{% endmacro %}


{#- The steps that lead to every blocked call of each window, blocks_in_windows. -#}
{% macro blocks_in_windows(tool_calls, windows, timeframes) -%}
-- The relation may be a view, and each window reads it.
recent_blocks as (

    select
        client,
        call_key,
        call_id,
        tool_name,
        mcp_id,
        agent_instance_id,
        agent_id,
        user_id,
        policy_id,
        policy_name,
        policy_description,
        session_id,
        organisation_id,
        counted_at
    from {{ tool_calls }}
    where
        {{ is_blocked() }}
        and {{ in_any_window('counted_at', windows, 'analytics') }}

),

blocks_in_windows as (

    {{ in_windows(
        'recent_blocks', 'counted_at', ['counted.*'], windows, 'analytics', timeframes
    ) }}

)
{%- endmacro %}


{#- Policies by the calls that they blocked, named as they read at the latest of these blocks. -#}
{% macro top_blocking_policies(calls, tool_calls, slot_buckets, windows, timeframes) %}
with {{ ranked_calls(calls, slot_buckets, ['policy_id'], is_blocked(), 'blocked_calls') }},

{{ blocks_in_windows(tool_calls, windows, timeframes) }},

latest_blocks as (

    select * from blocks_in_windows
    qualify
        row_number() over (
            partition by timeframe, policy_id
            order by counted_at desc, call_key desc, client desc
        ) = 1

),

named as (

    select
        ranked.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        ranked.rank,
        ranked.policy_id,
        {{ name_of('ranked.policy_id', 'latest_blocks.policy_name') }} as policy_name,
        latest_blocks.policy_description,

        ranked.blocked_calls
    from ranked
    inner join {{ windows }} as windows
        on ranked.timeframe = windows.timeframe and windows.page = 'analytics'
    left join latest_blocks
        on
            ranked.timeframe = latest_blocks.timeframe
            and ranked.policy_id = latest_blocks.policy_id

)

select * from named
{% endmacro %}


{#- Every blocked call, its policy as it read at the block, everything else as of the night. -#}
{% macro blocked_calls(tool_calls, mcp_servers, agents, users, windows, timeframes) %}
with {{ blocks_in_windows(tool_calls, windows, timeframes) }},

named as (

    select
        blocks.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        blocks.counted_at as called_at,
        blocks.client,
        blocks.call_id,
        blocks.tool_name,
        blocks.mcp_id,
        mcp_servers.name as mcp_name,
        blocks.agent_instance_id,
        blocks.agent_id,
        agents.name as agent_name,
        blocks.user_id,
        {{ email_of('blocks.user_id', 'users.email') }} as user_email,
        blocks.policy_id,
        blocks.policy_name,
        blocks.policy_description,
        blocks.session_id,
        blocks.organisation_id,

        blocks.call_key
    from blocks_in_windows as blocks
    inner join {{ windows }} as windows
        on blocks.timeframe = windows.timeframe and windows.page = 'analytics'
    left join {{ mcp_servers }} as mcp_servers on blocks.mcp_id = mcp_servers.mcp_id
    left join {{ agents }} as agents on blocks.agent_id = agents.agent_id
    left join {{ users }} as users on blocks.user_id = users.user_id

)

select * from named
{% endmacro %}
