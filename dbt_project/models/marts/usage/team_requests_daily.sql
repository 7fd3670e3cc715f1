with requests as (

    {{ usage_in_buckets(
        ref('int_llm_requests_aggregated'), ref('int_users_as_of'), ref('int_slot_buckets'),
        'counted.request_count > 0'
    ) }}

),

teams as (

    select * from {{ ref('int_teams_as_of') }}

),

windows as (

    select * from {{ ref('int_windows') }}
    where page = 'usage'

),

figures_per_bucket as (

    {{ usage_figures('requests', ['timeframe', 'period', 'bucket_index', 'team_id']) }}

),

teams_in_buckets as (

    {{ keys_in_buckets('requests', 'team_id', ref('int_buckets'), 'usage') }}

),

per_bucket as (

    select
        buckets.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        buckets.period,
        buckets.bucket_index,
        buckets.bucket_date,
        buckets.team_id,
        {{ name_of('buckets.team_id', 'teams.name') }} as team_name,

        coalesce(figures.request_count, 0) as request_count
    from teams_in_buckets as buckets
    inner join windows on buckets.timeframe = windows.timeframe
    left join figures_per_bucket as figures
        on
            buckets.timeframe = figures.timeframe
            and buckets.period = figures.period
            and buckets.bucket_index = figures.bucket_index
            and buckets.team_id = figures.team_id
    left join teams on buckets.team_id = teams.team_id

)

select * from per_bucket
