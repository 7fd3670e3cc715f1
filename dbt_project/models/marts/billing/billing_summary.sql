with lines as (

    {{ in_buckets(
        ref('int_credit_lines_aggregated'),
        ['counted.category', 'counted.credits', 'counted.line_count'],
        ref('int_slot_buckets'), 'billing'
    ) }}

),

buckets as (

    select * from {{ ref('int_buckets') }}
    where page = 'billing'

),

windows as (

    select * from {{ ref('int_windows') }}
    where page = 'billing'

),

periods as (

    {{ periods_of(ref('int_windows'), 'billing') }}

),

days_of_periods as (

    select
        periods.timeframe,
        periods.window_start_at,
        periods.window_end_at,
        periods.period,
        case periods.period
            when 'current' then windows.local_days
            else windows.previous_local_days
        end as days
    from periods
    inner join windows on periods.timeframe = windows.timeframe

),

per_day as (

    select
        timeframe,
        period,
        bucket_index,
        cast(sum(credits) as decimal(38, 12)) as credits
    from lines
    group by timeframe, period, bucket_index

),

peaks as (

    select
        per_day.timeframe,
        per_day.period,
        buckets.bucket_date as peak_date,
        per_day.credits as peak_credits
    from per_day
    inner join buckets
        on
            per_day.timeframe = buckets.timeframe
            and per_day.period = buckets.period
            and per_day.bucket_index = buckets.bucket_index
    qualify
        row_number() over (
            partition by per_day.timeframe, per_day.period
            order by per_day.credits desc, per_day.bucket_index asc
        ) = 1

),

totals as (

    select
        timeframe,
        period,

        cast(sum(credits) as decimal(38, 12)) as total_credits,
        count(distinct category) as active_categories,
        cast(sum(line_count) as bigint) as line_count

    from lines
    group by timeframe, period

),

lines_in_slots as (

    {{ in_slots(
        ref('int_credit_lines_attributed'), 'occurred_at', ['conversation_id'], ref('int_slots'),
        'is_consumption and conversation_id is not null'
    ) }}

),

conversations_in_slots as (

    select
        slot_id,
        conversation_id
    from lines_in_slots
    group by slot_id, conversation_id

),

conversations_in_buckets as (

    {{ in_buckets(
        'conversations_in_slots', ['counted.conversation_id'], ref('int_slot_buckets'), 'billing'
    ) }}

),

conversations as (

    select
        timeframe,
        period,
        count(distinct conversation_id) as conversation_count
    from conversations_in_buckets
    group by timeframe, period

),

per_period as (

    select
        periods.timeframe,
        periods.window_start_at,
        periods.window_end_at,

        periods.period,

        cast(coalesce(totals.total_credits, 0) as decimal(38, 12)) as total_credits,
        periods.days,
        coalesce(
            {{ average_amount('totals.total_credits', 'periods.days') }},
            cast(0 as decimal(38, 12))
        ) as average_daily_usage,
        peaks.peak_date,
        peaks.peak_credits,
        coalesce(totals.active_categories, 0) as active_categories,
        coalesce(totals.line_count, 0) as line_count,
        coalesce(conversations.conversation_count, 0) as conversation_count
    from days_of_periods as periods
    left join totals
        on periods.timeframe = totals.timeframe and periods.period = totals.period
    left join peaks
        on periods.timeframe = peaks.timeframe and periods.period = peaks.period
    left join conversations
        on
            periods.timeframe = conversations.timeframe
            and periods.period = conversations.period

)

select * from per_period
