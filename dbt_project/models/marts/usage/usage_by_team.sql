with requests as (

    {{ usage_in_buckets(
        ref('int_llm_requests_aggregated'), ref('int_users_as_of'), ref('int_slot_buckets'),
        "slot_buckets.period = 'current'"
    ) }}

),

teams as (

    select * from {{ ref('int_teams_as_of') }}

),

windows as (

    select * from {{ ref('int_windows') }}
    where page = 'usage'

),

figures_per_team as (

    {{ usage_figures('requests', ['timeframe', 'team_id']) }}

),

trends as (

    {{ request_trends('requests', 'team_id', ref('int_buckets'), 'usage') }}

),

models_of_teams as (

    select
        timeframe,
        team_id,
        model
    from requests
    where model is not null
    group by timeframe, team_id, model

),

model_lists as (

    select
        timeframe,
        team_id,
        {{ joined('array_sort(array_agg(model))', ', ') }} as models_used
    from models_of_teams
    group by timeframe, team_id

),

per_team as (

    select
        figures.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        figures.team_id,
        {{ name_of('figures.team_id', 'teams.name') }} as team_name,

        figures.active_users,
        figures.request_count,
        figures.input_tokens_total,
        figures.output_tokens_total,
        figures.estimated_cost_usd,
        figures.reported_cost_usd,

        model_lists.models_used,
        trends.trend
    from figures_per_team as figures
    inner join windows on figures.timeframe = windows.timeframe
    left join trends
        on figures.timeframe = trends.timeframe and figures.team_id = trends.team_id
    left join model_lists
        on figures.timeframe = model_lists.timeframe and figures.team_id = model_lists.team_id
    left join teams on figures.team_id = teams.team_id

)

select * from per_team
