with requests as (

    {{ usage_in_buckets(
        ref('int_llm_requests_aggregated'), ref('int_users_as_of'), ref('int_slot_buckets')
    ) }}

),

periods as (

    {{ periods_of(ref('int_windows'), 'usage') }}

),

views as (

    select 'user' as view

    union all

    select 'team' as view

),

figures_per_period as (

    {{ usage_figures('requests', ['timeframe', 'period']) }}

),

-- The views differ by what a filter on teams means: the user's team, or the request's.
per_view as (

    select
        periods.timeframe,
        periods.window_start_at,
        periods.window_end_at,

        views.view,
        periods.period,

        coalesce(figures.active_users, 0) as active_users,
        {{ ratio('figures.request_count', 'figures.active_users') }} as avg_requests_per_user,
        coalesce(figures.request_count, 0) as request_count,
        coalesce(figures.input_tokens_total + figures.output_tokens_total, 0) as total_tokens,
        {{ cost_or_zero('figures', 'estimated_cost_usd') }} as estimated_cost_usd,
        {{ cost_or_zero('figures', 'reported_cost_usd') }} as reported_cost_usd
    from periods
    cross join views
    left join figures_per_period as figures
        on
            periods.timeframe = figures.timeframe
            and periods.period = figures.period

)

select * from per_view
