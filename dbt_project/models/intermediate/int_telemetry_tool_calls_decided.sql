{{ config(materialized='incremental', unique_key='unit_key') }}

-- A decision and its result, a call and its copies in other signals are decided together.
-- depends_on: {{ ref('stg_telemetry_records') }}
with recursive records as (

    {{ of_touched_units(ref('int_telemetry_records_deduplicated')) }}

),

ranked as (

    select
        *,
        case signal
            when 'log' then {{ of_client('log_rank') }}
            else {{ of_client('span_rank') }}
        end as signal_rank,
        case
            when
                decision in ('reject', 'rejected', 'deny', 'denied', 'abort', 'aborted')
                then
                    case
                        when decision_source in ('config', 'hook') then 'blocked'
                        else 'rejected'
                    end
        end as refusal
    from records
    where signal <> 'metric'

),

authorities as (

    select
        unit_key,
        authority_date,
        min(nullif(signal_rank, '')) as authority_rank
    from ranked
    where role not in ('path', 'tool_part')
    group by unit_key, authority_date

),

weighed as (

    select
        ranked.*,
        authorities.authority_rank,
        coalesce(ranked.signal_rank, '') = authorities.authority_rank as is_of_authority
    from ranked
    left join authorities
        on
            ranked.unit_key = authorities.unit_key
            and ranked.authority_date is not distinct from authorities.authority_date
    where ranked.role in ('tool_result', 'tool_decision')

),

told_apart as (

    select
        *,
        row_number() over (
            partition by {{ twin_of_tool_call() }}
            order by recorded_at desc, email is null asc, record_id asc
        ) as twin_number
    from weighed

),

{{ lineage_of_spans('told_apart') }}

-- Some sessions tell their calls in log events alone, which name the span around the call.
told_by_logs as (

    select called.record_id
    from told_apart as called
    inner join lineage on called.record_id = lineage.record_id
    inner join told_apart as callers
        on
            lineage.trace_id = callers.trace_id
            and lineage.ancestor_span_id = callers.span_id
            and called.tool_name = callers.tool_name
    where called.is_mcp_call and callers.signal = 'log' and callers.role = 'tool_result'
    group by called.record_id

),

-- A result or a decision of another signal says nothing where that signal does not count.
results as (

    select
        unit_key,
        tool_use_id
    from told_apart
    where role = 'tool_result' and is_of_authority and tool_use_id is not null
    group by unit_key, tool_use_id

),

refusals as (

    select
        unit_key,
        tool_use_id,
        min(refusal) as refusal
    from told_apart
    where
        role = 'tool_decision'
        and is_of_authority
        and tool_use_id is not null
        and refusal is not null
    group by unit_key, tool_use_id

),

-- Some clients tell the decision and the end of a call in spans within the call's own.
parts_of_calls as (

    select
        unit_key,
        trace_id,
        parent_span_id as span_id,
        min(refusal) as refusal,
        bool_or(is_unsuccessful or coalesce(is_failed, false)) as is_unsuccessful
    from ranked
    where role = 'tool_part' and parent_span_id is not null
    group by unit_key, trace_id, parent_span_id

),

-- Some clients tell an MCP call twice, as the tool that ran and as the request to its server, by
-- the client's side and by the server's. A call within an agent or a request is one of its own.
judged as (

    select
        told_apart.*,
        coalesce(told_apart.session_id, inherited.session_id) as own_session_id,
        coalesce(told_apart.account_uuid, inherited.account_uuid) as own_account_uuid,
        coalesce(told_apart.email, inherited.email) as own_email,
        coalesce(told_apart.installation_id, inherited.installation_id) as own_installation_id,
        coalesce(told_apart.agent_id, inherited.agent_id) as own_agent_id,
        coalesce(told_apart.team_id, inherited.team_id) as own_team_id,
        case
            when told_apart.role = 'tool_decision' then coalesce(told_apart.refusal, 'unknown')
            when told_apart.error_type = 'policy_violation' then 'blocked'
            when told_apart.refusal is not null then told_apart.refusal
            when parts_of_calls.refusal is not null then parts_of_calls.refusal
            when
                told_apart.is_unsuccessful
                and refusals.refusal is not null
                and {{ of_client('denied_calls_have_results') }} = 'true'
                then refusals.refusal
            when told_apart.is_unsuccessful or coalesce(parts_of_calls.is_unsuccessful, false)
                then 'failed'
            when told_apart.signal = 'span' and told_apart.is_failed then 'failed'
            else 'executed'
        end as outcome,
        case
            when not told_apart.is_of_authority
                then
                    case told_apart.authority_rank
                        when {{ of_client('log_rank') }} then 'logs_are_the_authority'
                        else 'spans_are_the_authority'
                    end
            when told_apart.twin_number > 1 then 'twin_of_a_record_that_counts'
            when told_apart.role = 'tool_decision' and results.unit_key is not null
                then 'decision_told_by_its_result'
            when
                told_apart.role = 'tool_decision'
                and told_apart.tool_use_id is null
                and told_apart.refusal is null
                then 'accepted_call_without_an_id'
            when told_apart.role = 'tool_decision' then 'call_without_a_result'
            when
                {{ begins_with('inherited.station', 'tool ') }}
                and (
                    told_apart.is_mcp_call
                    or inherited.station = 'tool ' || coalesce(told_apart.tool_name, '')
                )
                then 'part_of_a_call'
            when told_by_logs.record_id is not null then 'part_of_a_call'
            else 'tool_call'
        end as rule
    from told_apart
    left join inherited on told_apart.record_id = inherited.record_id
    left join told_by_logs on told_apart.record_id = told_by_logs.record_id
    left join parts_of_calls
        on
            told_apart.unit_key = parts_of_calls.unit_key
            and told_apart.trace_id = parts_of_calls.trace_id
            and told_apart.span_id = parts_of_calls.span_id
    left join results
        on
            told_apart.unit_key = results.unit_key
            and told_apart.tool_use_id = results.tool_use_id
    left join refusals
        on
            told_apart.unit_key = refusals.unit_key
            and told_apart.tool_use_id = refusals.tool_use_id

),

decided as (

    select
        load_id,
        file_id,
        record_id,
        unit_key,
        signal,
        client,
        rule,
        rule in ('tool_call', 'call_without_a_result') as is_counted,
        tool_use_id,
        own_session_id as session_id,
        own_account_uuid as account_uuid,
        own_email as email,
        own_installation_id as installation_id,
        own_team_id as team_id,
        own_agent_id as agent_id,
        mcp_id,
        tool_name,
        outcome,
        duration_ms,
        recorded_at,
        event_date
    from judged

)

select * from decided
