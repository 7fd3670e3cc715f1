{#-
    Usage by agent over relations: runs and credit lines (already filtered where a filter applies),
    agents as of the night, windows.
-#}
{% macro usage_by_agent(runs, credit_lines, agents, windows, timeframes) %}
with runs_in_windows as (

    {{ in_windows(
        runs, 'started_at',
        ['agent_id', 'session_id', 'model', 'is_failed', 'latency_ms', 'input_tokens_total',
         'output_tokens_total'],
        windows, 'reports', timeframes
    ) }}

),

credits_in_windows as (

    {{ in_windows(
        credit_lines, 'occurred_at', ['agent_id', 'credits'], windows, 'reports', timeframes,
        'is_consumption'
    ) }}

),

runs_per_agent as (

    select
        timeframe,
        coalesce(agent_id, {{ unattributed() }}) as agent_id,

        count(*) as total_runs,
        count(distinct session_id) as total_sessions,
        {{ ratio('count(session_id)', 'count(distinct session_id)') }} as avg_runs_per_session,
        cast(sum(input_tokens_total) as bigint) as input_tokens_total,
        cast(sum(output_tokens_total) as bigint) as output_tokens_total,
        {{ average_milliseconds('latency_ms') }} as avg_latency_ms,
        {{ percentile('latency_ms', 0.95) }} as p95_latency_ms,
        {{ ratio('count_if(is_failed)', 'count(*)') }} as error_rate

    from runs_in_windows
    group by timeframe, coalesce(agent_id, {{ unattributed() }})

),

runs_per_model as (

    select
        timeframe,
        coalesce(agent_id, {{ unattributed() }}) as agent_id,
        model,

        count(*) as total_runs,
        sum(input_tokens_total + output_tokens_total) as total_tokens

    from runs_in_windows
    where model is not null
    group by timeframe, coalesce(agent_id, {{ unattributed() }}), model

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
        {{ joined('array_sort(array_agg(distinct model))', ', ') }} as models_used
    from runs_per_model
    group by timeframe, agent_id

),

credits_per_agent as (

    select
        timeframe,
        coalesce(agent_id, {{ unattributed() }}) as agent_id,

        cast(sum(credits) as decimal(38, 12)) as credits_consumed

    from credits_in_windows
    group by timeframe, coalesce(agent_id, {{ unattributed() }})

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
        coalesce(runs_per_agent.total_sessions, 0) as total_sessions,
        runs_per_agent.avg_runs_per_session,
        cast(coalesce(credits_per_agent.credits_consumed, 0) as decimal(38, 12))
            as credits_consumed,
        coalesce(runs_per_agent.input_tokens_total, 0) as input_tokens_total,
        coalesce(runs_per_agent.output_tokens_total, 0) as output_tokens_total,
        runs_per_agent.avg_latency_ms,
        runs_per_agent.p95_latency_ms,
        runs_per_agent.error_rate,

        model_lists.models_used,
        agents.created_by
    from keys
    inner join {{ windows }} as windows
        on keys.timeframe = windows.timeframe and windows.page = 'reports'
    left join runs_per_agent
        on keys.timeframe = runs_per_agent.timeframe and keys.agent_id = runs_per_agent.agent_id
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
