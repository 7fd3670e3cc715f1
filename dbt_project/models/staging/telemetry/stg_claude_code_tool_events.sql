with records as (

    select * from {{ ref('stg_otlp_records') }}
    where
        signal = 'log'
        and client = 'claude_code'
        and (
            record_name = 'tool_result'
            or (record_name = 'tool_decision' and attributes['decision'] = 'reject')
        )

),

typed as (

    select
        load_id,
        file_id,
        record_id,
        client,
        record_name,
        attributes['tool_use_id'] as tool_use_id,
        attributes['session.id'] as session_id,
        coalesce(attributes['mcp_tool_name'], attributes['tool_name']) as tool_name,
        case
            when record_name = 'tool_result' and attributes['success'] = 'false' then 'failed'
            when record_name = 'tool_result' then 'executed'
            when attributes['source'] in ('config', 'hook') then 'blocked'
            else 'rejected'
        end as outcome,
        cast(attributes['duration_ms'] as decimal(18, 3)) as duration_ms,
        recorded_at,
        event_date
    from records

)

select * from typed
