{{ billing_conversations(
    credit_lines=ref('int_credit_lines_attributed'),
    messages=ref('int_conversation_messages_versioned'),
    agents=ref('int_agents_as_of'),
    windows=ref('int_windows'),
    timeframes=timeframes_of('billing')
) }}
