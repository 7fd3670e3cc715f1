{{ config(materialized='incremental', unique_key='unit_key') }}
{%- set context = telemetry_price_context() %}

-- A session and its authority, a trace and its spans are decided together: one new record writes
-- its whole unit again, so that neither the order nor the nights of delivery matter.
-- depends_on: {{ ref('stg_telemetry_records') }}
with recursive records as (

    {{ of_touched_units(ref('int_telemetry_records_deduplicated')) }}

),

ranked as (

    select
        *,
        case signal
            when 'log' then {{ of_client('log_rank') }}
            when 'metric' then {{ of_client('metric_rank') }}
            else {{ of_client('span_rank') }}
        end as signal_rank,
        {{ of_client('unit') }} = 'session' as is_of_session,
        {{ tokens_of_request() }} > 0 as has_usage
    from records

),

authorities as (

    select
        unit_key,
        authority_date,
        min(nullif(signal_rank, '')) as authority_rank
    from ranked
    where
        role in ('request', 'failed_request', 'attempt', 'tokens_point', 'cost_point')
        or (role = 'agent' and has_usage)
    group by unit_key, authority_date

),

-- Twins are copies of one event, with or without some of its fields, and spans sent twice.
told_apart as (

    select
        *,
        row_number() over (
            partition by {{ twin_of_request() }}
            order by
                has_usage desc,
                cache_read_tokens is null asc,
                recorded_at desc,
                email is null asc,
                record_id asc
        ) as twin_number,
        max(email) over (partition by {{ twin_of_request() }}) as twins_email,
        max(account_uuid) over (partition by {{ twin_of_request() }}) as twins_account_uuid
    from ranked
    where role in ('request', 'failed_request', 'attempt', 'agent')

),

-- The attempts of a request share a span; where they name none, their numbers rise.
attempts as (

    select
        record_id,
        case
            when span_id is null then lead(attempt) over in_order > attempt
            else lead(record_id) over in_order is not null
        end as is_repeated
    from told_apart
    where role = 'attempt' and twin_number = 1
    window in_order as (
        partition by unit_key, model, trace_id, span_id
        order by
            case when span_id is not null then attempt end asc nulls first,
            recorded_at asc,
            attempt asc nulls first,
            record_id asc
    )

),

{{ lineage_of_spans('told_apart') }}

-- What a session tells is finer than the spans of an application around it, and is told before what
-- a gateway or a server tells within.
holding as (

    select
        lineage.trace_id,
        lineage.ancestor_span_id as span_id,
        bool_or(told_apart.role = 'request') as holds_request,
        bool_or(told_apart.has_usage) as holds_usage
    from lineage
    inner join ancestors
        on
            lineage.trace_id = ancestors.trace_id
            and lineage.ancestor_span_id = ancestors.span_id
    inner join told_apart on lineage.record_id = told_apart.record_id
    left join inherited on lineage.record_id = inherited.record_id
    where
        not lineage.is_beyond_tool
        and (told_apart.signal = 'span' or not coalesce(inherited.is_at_usage, false))
        and (
            ancestors.unit_key = told_apart.unit_key
            or (told_apart.is_of_session and not ancestors.is_of_session)
        )
    group by lineage.trace_id, lineage.ancestor_span_id

),

-- The finest record of a usage counts. A log event is told by the span whose id it carries, but for
-- a usage that this span does not tell. A call without usage counts unless it holds another, or is
-- part of one that has usage.
judged as (

    select
        told_apart.*,
        coalesce(told_apart.session_id, inherited.session_id) as own_session_id,
        coalesce(
            told_apart.account_uuid, told_apart.twins_account_uuid, inherited.account_uuid
        ) as own_account_uuid,
        coalesce(told_apart.email, told_apart.twins_email, inherited.email) as own_email,
        coalesce(told_apart.installation_id, inherited.installation_id) as own_installation_id,
        coalesce(told_apart.agent_id, inherited.agent_id) as own_agent_id,
        coalesce(told_apart.team_id, inherited.team_id) as own_team_id,
        coalesce(told_apart.cost_centre, inherited.cost_centre) as own_cost_centre,
        told_apart.role <> 'agent' or not coalesce(holding.holds_request, false) as is_request,
        case
            when coalesce(told_apart.signal_rank, '') <> authorities.authority_rank
                then
                    case authorities.authority_rank
                        when {{ of_client('log_rank') }} then 'logs_are_the_authority'
                        when {{ of_client('metric_rank') }} then 'metrics_are_the_authority'
                        else 'spans_are_the_authority'
                    end
            when told_apart.twin_number > 1 then 'twin_of_a_record_that_counts'
            when
                told_apart.signal = 'log'
                and not told_apart.is_of_session
                and (
                    inherited.is_at_usage
                    or (inherited.is_at_request and not told_apart.has_usage)
                )
                then 'told_by_its_span'
            when told_apart.role = 'attempt' and coalesce(attempts.is_repeated, false)
                then 'attempt_that_was_repeated'
            when told_apart.role = 'attempt' and not told_apart.is_failed
                then 'attempt_that_succeeded'
            when not told_apart.is_of_session and coalesce(inherited.is_inside_a_session, false)
                then 'part_of_a_request'
            when told_apart.role = 'agent' and not told_apart.has_usage
                then 'agent_without_usage_of_its_own'
            when told_apart.has_usage and coalesce(holding.holds_usage, false)
                then 'adds_up_its_children'
            when not told_apart.has_usage and coalesce(holding.holds_request, false)
                then 'wraps_a_request'
            when
                not told_apart.has_usage
                and coalesce(inherited.is_inside_usage, false)
                and (told_apart.signal = 'span' or not told_apart.is_of_session)
                then 'part_of_a_request'
            when told_apart.is_failed then 'failed_request'
            else 'request'
        end as rule
    from told_apart
    left join authorities
        on
            told_apart.unit_key = authorities.unit_key
            and told_apart.authority_date is not distinct from authorities.authority_date
    left join inherited on told_apart.record_id = inherited.record_id
    left join attempts on told_apart.record_id = attempts.record_id
    left join holding
        on
            told_apart.signal = 'span'
            and told_apart.trace_id = holding.trace_id
            and told_apart.span_id = holding.span_id

),

-- A failed request of a log used nothing, by the client's own account.
decided as (

    select
        load_id,
        file_id,
        record_id,
        unit_key,
        signal,
        client,
        rule,
        rule in ('request', 'failed_request') as is_counted,
        is_request,
        request_id,
        own_session_id as session_id,
        own_account_uuid as account_uuid,
        own_email as email,
        own_installation_id as installation_id,
        own_team_id as team_id,
        own_cost_centre as cost_centre,
        own_agent_id as agent_id,
        provider,
        model,
        service_tier,
        speed,
        is_failed,
        case when is_failed then error_type end as error_type,
        attempt,
        is_input_repaired,
        duration_ms,
        {% for bucket in [
            'input_tokens', 'cache_read_tokens', 'cache_write_5m_tokens', 'cache_write_1h_tokens',
            'output_tokens',
        ] -%}
        case
            when role in ('failed_request', 'attempt') then 0
            else {{ bucket }}
        end as {{ bucket }},
        {% endfor -%}
        reasoning_tokens,
        stated_total_tokens,
        case
            when role = 'failed_request' and {{ of_client('reports_cost') }} = 'true' then 0
            else reported_cost_usd
        end as reported_cost_usd,
        recorded_at,
        event_date
    from judged

),

{{ price_ctes('decided', context) }},

priced as (

    select
        decided.*,
        {{ estimated_cost() }} as estimated_cost_usd
    from decided
    {{ join_prices('recorded_at', context) }}

)

select * from priced
