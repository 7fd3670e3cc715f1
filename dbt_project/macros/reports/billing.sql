{#- Every line of a conversation with its running total, over credit lines and windows. -#}
{% macro billing_conversation_lines(credit_lines, windows, timeframes) %}
with lines_in_windows as (

    {{ in_windows(
        credit_lines, 'occurred_at', ['counted.*'], windows, 'billing', timeframes,
        'is_consumption'
    ) }}

),

with_running_totals as (

    select
        lines.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        coalesce(conversation_id, {{ unattributed() }}) as conversation_id,
        line_id,
        occurred_at,
        category,
        description,

        credits,
        cast(
            sum(credits) over (
                partition by lines.timeframe, coalesce(conversation_id, {{ unattributed() }})
                order by occurred_at, line_id
                rows between unbounded preceding and current row
            ) as decimal(38, 12)
        ) as running_total,

        kind,
        organisation_id,
        agent_id,
        user_id
    from lines_in_windows as lines
    inner join {{ windows }} as windows
        on lines.timeframe = windows.timeframe and windows.page = 'billing'

)

select * from with_running_totals
{% endmacro %}


{#- A row per conversation with credit lines, over credit lines, messages, agents and windows. -#}
{% macro billing_conversations(credit_lines, messages, agents, windows, timeframes) %}
with lines_in_windows as (

    {{ in_windows(
        credit_lines, 'occurred_at',
        ['coalesce(conversation_id, ' ~ unattributed() ~ ') as conversation_id', 'agent_id',
         'credits', 'occurred_at'],
        windows, 'billing', timeframes, 'is_consumption'
    ) }}

),

messages_in_windows as (

    {{ in_windows(
        messages, 'sent_at', ['conversation_id', 'sent_at'], windows, 'billing', timeframes,
        'is_current'
    ) }}

),

lines_per_conversation as (

    select
        timeframe,
        conversation_id,

        cast(sum(credits) as decimal(38, 12)) as total_credits,
        max(occurred_at) as last_line_at

    from lines_in_windows
    group by timeframe, conversation_id

),

agents_of_conversations as (

    select
        timeframe,
        conversation_id,
        agent_id,
        count(*) as lines_of_agent
    from lines_in_windows
    where agent_id is not null and conversation_id <> {{ unattributed() }}
    group by timeframe, conversation_id, agent_id
    qualify
        row_number() over (
            partition by timeframe, conversation_id order by lines_of_agent desc, agent_id
        ) = 1

),

messages_per_conversation as (

    select
        timeframe,
        conversation_id,

        count(*) as message_count,
        max(sent_at) as last_message_at

    from messages_in_windows
    group by timeframe, conversation_id

),

per_conversation as (

    select
        lines.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        lines.conversation_id,
        coalesce(agents_of_conversations.agent_id, {{ unattributed() }}) as agent_id,
        case
            when agents_of_conversations.agent_id is null then {{ unattributed() }}
            else agents.name
        end as agent_name,
        greatest(
            lines.last_line_at, coalesce(messages.last_message_at, lines.last_line_at)
        ) as last_activity_at,

        lines.total_credits,
        coalesce(messages.message_count, 0) as message_count
    from lines_per_conversation as lines
    inner join {{ windows }} as windows
        on lines.timeframe = windows.timeframe and windows.page = 'billing'
    left join agents_of_conversations
        on
            lines.timeframe = agents_of_conversations.timeframe
            and lines.conversation_id = agents_of_conversations.conversation_id
    left join messages_per_conversation as messages
        on
            lines.timeframe = messages.timeframe
            and lines.conversation_id = messages.conversation_id
    left join {{ agents }} as agents on agents_of_conversations.agent_id = agents.agent_id

)

select * from per_conversation
{% endmacro %}
