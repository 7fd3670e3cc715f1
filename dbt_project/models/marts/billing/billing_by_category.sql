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

per_category as (

    select
        timeframe,
        period,
        category,

        cast(sum(credits) as decimal(38, 12)) as credits,
        cast(sum(line_count) as bigint) as line_count

    from lines
    group by timeframe, period, category

),

with_totals as (

    select
        *,
        cast(sum(credits) over (partition by timeframe, period) as decimal(38, 12))
            as total_credits,
        row_number() over (
            partition by timeframe, period order by credits desc, category asc
        ) as category_rank
    from per_category

),

with_rounded_shares as (

    select
        *,
        {{ share_of_amount('credits', 'total_credits') }} as rounded_share
    from with_totals

),

-- The greatest category takes what rounding left over, so that shares add up to 1.
with_shares as (

    select
        shares.timeframe,
        windows.window_start_at,
        windows.window_end_at,

        shares.period,
        shares.category,

        shares.credits,
        case
            when shares.category_rank = 1
                then
                    cast(
                        shares.rounded_share
                        + 1
                        - sum(shares.rounded_share)
                            over (partition by shares.timeframe, shares.period)
                        as decimal(18, 6)
                    )
            else shares.rounded_share
        end as share,
        shares.line_count
    from with_rounded_shares as shares
    inner join windows on shares.timeframe = windows.timeframe

)

select * from with_shares
