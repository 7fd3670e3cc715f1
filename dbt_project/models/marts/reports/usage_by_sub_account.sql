{%- set windows = ref('int_windows') -%}
{%- set timeframes = timeframes_of('reports') -%}
with spans_of_windows as (

    {{ spans_of_windows(windows, 'reports') }}

),

windows_as_spans as (

    {{ windows_as_spans(windows, 'reports') }}

),

runs_in_spans as (

    {{ in_spans(
        ref('int_runs_enriched'), 'started_at',
        ['coalesce(organisation_id, ' ~ unattributed() ~ ') as organisation_id', 'session_id',
         'user_id', 'is_failed', 'input_tokens_total', 'output_tokens_total',
         'estimated_cost_usd', 'reported_cost_usd'],
        windows, 'reports', timeframes
    ) }}

),

credits_in_spans as (

    {{ in_spans(
        ref('int_credit_lines_attributed'), 'occurred_at',
        ['coalesce(organisation_id, ' ~ unattributed() ~ ') as organisation_id', 'credits'],
        windows, 'reports', timeframes, 'is_consumption'
    ) }}

),

figures_per_span as (

    select
        span,
        organisation_id,
        count(*) as total_runs,
        count_if(is_failed) as failed_runs,
        sum(input_tokens_total) as input_tokens_total,
        sum(output_tokens_total) as output_tokens_total,
        cast(null as decimal(38, 12)) as credits_consumed,
        sum(estimated_cost_usd) as estimated_cost_usd,
        sum(reported_cost_usd) as reported_cost_usd
    from runs_in_spans
    group by span, organisation_id

    union all

    select
        span,
        organisation_id,
        0 as total_runs,
        0 as failed_runs,
        0 as input_tokens_total,
        0 as output_tokens_total,
        sum(credits) as credits_consumed,
        null as estimated_cost_usd,
        null as reported_cost_usd
    from credits_in_spans
    group by span, organisation_id

),

organisations_with_figures as (

    select organisation_id
    from figures_per_span
    group by organisation_id

),

descendants as (

    select
        organisation_id,
        descendant_id
    from {{ ref('int_organisation_descendants') }}

),

-- Whose figures each row shows; an organisation that no reference knows includes itself.
scopes as (

    select
        organisation_id,
        'own' as scope,
        organisation_id as included_id
    from organisations_with_figures

    union all

    select
        organisation_id,
        'with_sub_organisations' as scope,
        descendant_id as included_id
    from descendants

    union all

    select
        organisation_id,
        'with_sub_organisations' as scope,
        organisation_id as included_id
    from organisations_with_figures
    where organisation_id not in (select descendant_id from descendants)

),

{% for thing in ['session', 'user'] -%}
{{ thing }}s as (

    select
        organisation_id,
        {{ thing }}_id,
        bit_or(span) as span
    from runs_in_spans
    where {{ thing }}_id is not null
    group by organisation_id, {{ thing }}_id

),

{{ thing }}s_in_scopes as (

    select
        scopes.organisation_id,
        scopes.scope,
        {{ thing }}s.{{ thing }}_id,
        {{ thing }}s.span
    from {{ thing }}s
    inner join scopes on {{ thing }}s.organisation_id = scopes.included_id

),

{{ thing }}s_per_scope as (

    {{ distinct_in_windows(
        thing ~ 's_in_scopes', ['organisation_id', 'scope'], [thing ~ '_id'],
        'total_' ~ thing ~ 's', 'windows_as_spans'
    ) }}

),

{% endfor -%}
figures_per_scope as (

    select
        spans_of_windows.timeframe,
        scopes.organisation_id,
        scopes.scope,

        cast(sum(figures.total_runs) as bigint) as total_runs,
        cast(sum(figures.failed_runs) as bigint) as failed_runs,
        cast(sum(figures.input_tokens_total) as bigint) as input_tokens_total,
        cast(sum(figures.output_tokens_total) as bigint) as output_tokens_total,
        cast(coalesce(sum(figures.credits_consumed), 0) as decimal(38, 12)) as credits_consumed,
        cast(sum(figures.estimated_cost_usd) as decimal(38, 12)) as estimated_cost_usd,
        cast(sum(figures.reported_cost_usd) as decimal(38, 12)) as reported_cost_usd

    from figures_per_span as figures
    inner join spans_of_windows on figures.span = spans_of_windows.span
    inner join scopes on figures.organisation_id = scopes.included_id
    group by spans_of_windows.timeframe, scopes.organisation_id, scopes.scope

),

per_scope as (

    select
        figures.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        figures.organisation_id,
        {{ name_of('figures.organisation_id', 'organisations.name') }} as organisation_name,
        organisations.parent_organisation_id,
        figures.scope,

        figures.total_runs,
        coalesce(sessions.total_sessions, 0) as total_sessions,
        coalesce(users.total_users, 0) as active_users,
        figures.credits_consumed,
        figures.input_tokens_total,
        figures.output_tokens_total,
        figures.estimated_cost_usd,
        figures.reported_cost_usd,
        {{ ratio('figures.failed_runs', 'figures.total_runs') }} as error_rate
    from figures_per_scope as figures
    inner join {{ windows }} as windows
        on figures.timeframe = windows.timeframe and windows.page = 'reports'
    left join sessions_per_scope as sessions
        on
            figures.timeframe = sessions.timeframe
            and figures.organisation_id = sessions.organisation_id
            and figures.scope = sessions.scope
    left join users_per_scope as users
        on
            figures.timeframe = users.timeframe
            and figures.organisation_id = users.organisation_id
            and figures.scope = users.scope
    left join {{ ref('int_organisations_as_of') }} as organisations
        on figures.organisation_id = organisations.organisation_id

)

select * from per_scope
