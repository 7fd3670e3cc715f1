with requests as (

    {{ usage_in_buckets(
        ref('int_llm_requests_aggregated'), ref('int_users_as_of'), ref('int_slot_buckets'),
        "slot_buckets.period = 'current'"
    ) }}

),

users as (

    select * from {{ ref('int_users_as_of') }}

),

teams as (

    select * from {{ ref('int_teams_as_of') }}

),

windows as (

    select * from {{ ref('int_windows') }}
    where page = 'usage'

),

figures_per_user as (

    {{ usage_figures('requests', ['timeframe', 'user_id']) }}

),

trends as (

    {{ request_trends('requests', 'user_id', ref('int_buckets'), 'usage') }}

),

models_of_users as (

    select
        timeframe,
        user_id,
        model,

        row_number() over (
            partition by timeframe, user_id order by sum(request_count) desc, model asc
        ) as model_rank,
        count(*) over (partition by timeframe, user_id) as model_count

    from requests
    where model is not null
    group by timeframe, user_id, model

),

model_lists as (

    select
        timeframe,
        user_id,

        {{ joined_in_order('model', 'model_rank', ', ') }} as models_used,
        max(model_count) - count(*) as more_models

    from models_of_users
    where model_rank <= 3
    group by timeframe, user_id

),

per_user as (

    select
        figures.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        figures.user_id,
        {{ name_of('figures.user_id', 'users.display_name') }} as user_name,
        {{ email_of('figures.user_id', 'users.email') }} as user_email,
        coalesce(users.team_id, {{ unattributed() }}) as team_id,
        case when users.team_id is null then {{ unattributed() }} else teams.name end as team_name,
        trends.trend,
        model_lists.models_used,
        coalesce(model_lists.more_models, 0) as more_models,

        figures.request_count,
        figures.input_tokens_total,
        figures.output_tokens_total,
        figures.estimated_cost_usd,
        figures.reported_cost_usd
    from figures_per_user as figures
    inner join windows on figures.timeframe = windows.timeframe
    left join trends
        on figures.timeframe = trends.timeframe and figures.user_id = trends.user_id
    left join model_lists
        on figures.timeframe = model_lists.timeframe and figures.user_id = model_lists.user_id
    left join users on figures.user_id = users.user_id
    left join teams on users.team_id = teams.team_id

)

select * from per_user
