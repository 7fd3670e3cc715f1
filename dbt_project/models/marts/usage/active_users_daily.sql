with requests as (

    {{ usage_in_buckets(
        ref('int_llm_requests_aggregated'), ref('int_users_as_of'), ref('int_slot_buckets')
    ) }}

),

buckets as (

    select * from {{ ref('int_buckets') }}
    where page = 'usage'

),

windows as (

    select * from {{ ref('int_windows') }}
    where page = 'usage'

),

figures_per_bucket as (

    {{ usage_figures('requests', ['timeframe', 'period', 'bucket_index']) }}

),

per_bucket as (

    select
        buckets.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        buckets.period,
        buckets.bucket_index,
        buckets.bucket_date,
        buckets.bucket_start_at,
        buckets.bucket_end_at,

        coalesce(figures.active_users, 0) as active_users,
        coalesce(figures.request_count, 0) as request_count
    from buckets
    inner join windows on buckets.timeframe = windows.timeframe
    left join figures_per_bucket as figures
        on
            buckets.timeframe = figures.timeframe
            and buckets.period = figures.period
            and buckets.bucket_index = figures.bucket_index

)

select * from per_bucket
