{#-
    Usage by agent over relations: runs and credit lines (already filtered where a filter applies),
    agents as of the night, windows.
-#}
{% macro usage_by_agent(runs, credit_lines, agents, windows, timeframes) %}
with spans_of_windows as (

    {{ spans_of_windows(windows, 'reports') }}

),

windows_as_spans as (

    {{ windows_as_spans(windows, 'reports') }}

),

runs_in_spans as (

    {{ in_spans(
        runs, 'started_at',
        ['agent_id', 'session_id', 'model', 'is_failed', 'latency_ms', 'input_tokens_total',
         'output_tokens_total'],
        windows, 'reports', timeframes
    ) }}

),

sessions_in_spans as (

    {{ in_spans(
        runs, 'started_at', ['agent_id', 'session_id'], windows, 'reports', timeframes,
        'session_id is not null'
    ) }}

),

latencies_in_windows as (

    {{ in_windows(
        runs, 'started_at', ['agent_id', 'latency_ms'], windows, 'reports', timeframes,
        'latency_ms is not null'
    ) }}

),

credits_in_spans as (

    {{ in_spans(
        credit_lines, 'occurred_at', ['agent_id', 'credits'], windows, 'reports', timeframes,
        'is_consumption'
    ) }}

),

-- By the id as it is: an expression would cost as much again.
runs_per_span as (

    select
        span,
        agent_id,
        model,

        count(*) as total_runs,
        count(session_id) as runs_in_sessions,
        count_if(is_failed) as failed_runs,
        sum(input_tokens_total) as input_tokens_total,
        sum(output_tokens_total) as output_tokens_total,
        sum(latency_ms) as latency_ms,
        count(latency_ms) as runs_with_latency

    from runs_in_spans
    group by span, agent_id, model

),

grouped_runs as (

    select
        spans_of_windows.timeframe,
        coalesce(runs_per_span.agent_id, {{ unattributed() }}) as agent_id,
        runs_per_span.model,

        sum(runs_per_span.total_runs) as total_runs,
        sum(runs_per_span.runs_in_sessions) as runs_in_sessions,
        sum(runs_per_span.failed_runs) as failed_runs,
        sum(runs_per_span.input_tokens_total) as input_tokens_total,
        sum(runs_per_span.output_tokens_total) as output_tokens_total,
        sum(runs_per_span.latency_ms) as latency_ms,
        sum(runs_per_span.runs_with_latency) as runs_with_latency

    from runs_per_span
    inner join spans_of_windows on runs_per_span.span = spans_of_windows.span
    group by
        spans_of_windows.timeframe,
        coalesce(runs_per_span.agent_id, {{ unattributed() }}),
        runs_per_span.model

),

runs_per_agent as (

    select
        timeframe,
        agent_id,

        cast(sum(total_runs) as bigint) as total_runs,
        sum(runs_in_sessions) as runs_in_sessions,
        cast(sum(input_tokens_total) as bigint) as input_tokens_total,
        cast(sum(output_tokens_total) as bigint) as output_tokens_total,
        {{ average_milliseconds('sum(latency_ms)', 'sum(runs_with_latency)') }} as avg_latency_ms,
        {{ ratio('sum(failed_runs)', 'sum(total_runs)') }} as error_rate

    from grouped_runs
    group by timeframe, agent_id

),

runs_per_model as (

    select
        timeframe,
        agent_id,
        model,

        total_runs,
        input_tokens_total + output_tokens_total as total_tokens

    from grouped_runs
    where model is not null

),

latency_per_agent as (

    select
        timeframe,
        coalesce(agent_id, {{ unattributed() }}) as agent_id,
        {{ percentile('latency_ms', 0.95) }} as p95_latency_ms
    from latencies_in_windows
    group by timeframe, coalesce(agent_id, {{ unattributed() }})

),

counted_sessions as (

    {{ distinct_in_windows(
        'sessions_in_spans', ['agent_id'], ['session_id'], 'total_sessions', 'windows_as_spans'
    ) }}

),

sessions_per_agent as (

    select
        timeframe,
        coalesce(agent_id, {{ unattributed() }}) as agent_id,
        total_sessions
    from counted_sessions

),

main_models as (

    select
        timeframe,
        agent_id,
        model
    from runs_per_model
    qualify
        row_number() over (
            partition by timeframe, agent_id order by total_runs desc, total_tokens desc, model
        ) = 1

),

model_lists as (

    select
        timeframe,
        agent_id,
        {{ joined('array_sort(array_agg(model))', ', ') }} as models_used
    from runs_per_model
    group by timeframe, agent_id

),

credits_per_span as (

    select
        span,
        agent_id,
        sum(credits) as credits
    from credits_in_spans
    group by span, agent_id

),

credits_per_agent as (

    select
        spans_of_windows.timeframe,
        coalesce(credits_per_span.agent_id, {{ unattributed() }}) as agent_id,

        cast(sum(credits_per_span.credits) as decimal(38, 12)) as credits_consumed

    from credits_per_span
    inner join spans_of_windows on credits_per_span.span = spans_of_windows.span
    group by spans_of_windows.timeframe, coalesce(credits_per_span.agent_id, {{ unattributed() }})

),

keys as (

    select
        timeframe,
        agent_id
    from runs_per_agent

    union

    select
        timeframe,
        agent_id
    from credits_per_agent

),

per_agent as (

    select
        keys.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        case
            when keys.agent_id = {{ unattributed() }} then keys.agent_id
            else agents.name
        end as agent_name,
        keys.agent_id,
        main_models.model as model_used,
        agents.agent_type,

        coalesce(runs_per_agent.total_runs, 0) as total_runs,
        coalesce(sessions_per_agent.total_sessions, 0) as total_sessions,
        {{ ratio('runs_per_agent.runs_in_sessions', 'sessions_per_agent.total_sessions') }}
            as avg_runs_per_session,
        cast(coalesce(credits_per_agent.credits_consumed, 0) as decimal(38, 12))
            as credits_consumed,
        coalesce(runs_per_agent.input_tokens_total, 0) as input_tokens_total,
        coalesce(runs_per_agent.output_tokens_total, 0) as output_tokens_total,
        runs_per_agent.avg_latency_ms,
        latency_per_agent.p95_latency_ms,
        runs_per_agent.error_rate,

        model_lists.models_used,
        agents.created_by
    from keys
    inner join {{ windows }} as windows
        on keys.timeframe = windows.timeframe and windows.page = 'reports'
    left join runs_per_agent
        on keys.timeframe = runs_per_agent.timeframe and keys.agent_id = runs_per_agent.agent_id
    left join latency_per_agent
        on
            keys.timeframe = latency_per_agent.timeframe
            and keys.agent_id = latency_per_agent.agent_id
    left join sessions_per_agent
        on
            keys.timeframe = sessions_per_agent.timeframe
            and keys.agent_id = sessions_per_agent.agent_id
    left join main_models
        on keys.timeframe = main_models.timeframe and keys.agent_id = main_models.agent_id
    left join model_lists
        on keys.timeframe = model_lists.timeframe and keys.agent_id = model_lists.agent_id
    left join credits_per_agent
        on
            keys.timeframe = credits_per_agent.timeframe
            and keys.agent_id = credits_per_agent.agent_id
    left join {{ agents }} as agents on keys.agent_id = agents.agent_id

)

select * from per_agent
{% endmacro %}
