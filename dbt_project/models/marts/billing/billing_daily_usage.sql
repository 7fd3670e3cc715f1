with lines as (

    {{ in_buckets(
        ref('int_credit_lines_aggregated'),
        ['counted.category', 'counted.credits', 'counted.line_count'],
        ref('int_slot_buckets'), 'billing'
    ) }}

),

windows as (

    select * from {{ ref('int_windows') }}
    where page = 'billing'

),

lines_per_bucket as (

    select
        timeframe,
        period,
        bucket_index,
        category,

        sum(credits) as credits,
        sum(line_count) as line_count

    from lines
    group by timeframe, period, bucket_index, category

),

categories_in_buckets as (

    {{ keys_in_buckets('lines', 'category', ref('int_buckets'), 'billing') }}

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
        buckets.category,

        cast(coalesce(lines_per_bucket.credits, 0) as decimal(38, 12)) as credits,
        cast(coalesce(lines_per_bucket.line_count, 0) as bigint) as line_count
    from categories_in_buckets as buckets
    inner join windows on buckets.timeframe = windows.timeframe
    left join lines_per_bucket
        on
            buckets.timeframe = lines_per_bucket.timeframe
            and buckets.period = lines_per_bucket.period
            and buckets.bucket_index = lines_per_bucket.bucket_index
            and buckets.category = lines_per_bucket.category

)

select * from per_bucket
