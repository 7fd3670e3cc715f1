{#-
    Usage by user over relations: runs and credit lines (already filtered where a filter applies),
    users and agents as of the night, windows.
-#}
{% macro usage_by_user(runs, credit_lines, users, agents, windows, timeframes) %}
with spans_of_windows as (

    {{ spans_of_windows(windows, 'reports') }}

),

runs_in_spans as (

    {{ in_spans(
        runs, 'started_at', ['user_id', 'input_tokens_total', 'output_tokens_total'],
        windows, 'reports', timeframes
    ) }}

),

credits_in_spans as (

    {{ in_spans(
        credit_lines, 'occurred_at', ['user_id', 'credits'], windows, 'reports', timeframes,
        'is_consumption'
    ) }}

),

agents_in_windows as (

    {{ in_windows(
        agents, 'created_at', ['created_by as user_id'], windows, 'reports', timeframes
    ) }}

),

runs_per_span as (

    select
        span,
        user_id,

        count(*) as total_runs,
        sum(input_tokens_total) as input_tokens_total,
        sum(output_tokens_total) as output_tokens_total

    from runs_in_spans
    group by span, user_id

),

runs_per_user as (

    select
        spans_of_windows.timeframe,
        coalesce(runs_per_span.user_id, {{ unattributed() }}) as user_id,

        cast(sum(runs_per_span.total_runs) as bigint) as total_runs,
        cast(sum(runs_per_span.input_tokens_total) as bigint) as input_tokens_total,
        cast(sum(runs_per_span.output_tokens_total) as bigint) as output_tokens_total

    from runs_per_span
    inner join spans_of_windows on runs_per_span.span = spans_of_windows.span
    group by spans_of_windows.timeframe, coalesce(runs_per_span.user_id, {{ unattributed() }})

),

credits_per_span as (

    select
        span,
        user_id,
        sum(credits) as credits
    from credits_in_spans
    group by span, user_id

),

credits_per_user as (

    select
        spans_of_windows.timeframe,
        coalesce(credits_per_span.user_id, {{ unattributed() }}) as user_id,

        cast(sum(credits_per_span.credits) as decimal(38, 12)) as credits_consumed

    from credits_per_span
    inner join spans_of_windows on credits_per_span.span = spans_of_windows.span
    group by spans_of_windows.timeframe, coalesce(credits_per_span.user_id, {{ unattributed() }})

),

agents_per_user as (

    select
        timeframe,
        coalesce(user_id, {{ unattributed() }}) as user_id,

        count(*) as agents_created

    from agents_in_windows
    group by timeframe, coalesce(user_id, {{ unattributed() }})

),

keys as (

    select
        timeframe,
        user_id
    from runs_per_user

    union

    select
        timeframe,
        user_id
    from credits_per_user

    union

    select
        timeframe,
        user_id
    from agents_per_user

),

per_user as (

    select
        keys.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        case
            when keys.user_id = {{ unattributed() }} then keys.user_id
            else users.email
        end as user_email,
        users.role,
        keys.user_id,

        coalesce(runs_per_user.total_runs, 0) as total_runs,
        coalesce(agents_per_user.agents_created, 0) as agents_created,
        cast(coalesce(credits_per_user.credits_consumed, 0) as decimal(38, 12))
            as credits_consumed,
        coalesce(runs_per_user.input_tokens_total, 0) as input_tokens_total,
        coalesce(runs_per_user.output_tokens_total, 0) as output_tokens_total,

        users.organisation_id,
        users.team_id
    from keys
    inner join {{ windows }} as windows
        on keys.timeframe = windows.timeframe and windows.page = 'reports'
    left join runs_per_user
        on keys.timeframe = runs_per_user.timeframe and keys.user_id = runs_per_user.user_id
    left join credits_per_user
        on keys.timeframe = credits_per_user.timeframe and keys.user_id = credits_per_user.user_id
    left join agents_per_user
        on keys.timeframe = agents_per_user.timeframe and keys.user_id = agents_per_user.user_id
    left join {{ users }} as users on keys.user_id = users.user_id

)

select * from per_user
{% endmacro %}
