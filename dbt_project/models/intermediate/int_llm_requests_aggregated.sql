-- Of the pages that cut time into days and hours; others add up what is in their windows.
with rows_in_slots as (

    {{ in_slots(
        ref('int_llm_requests_attributed'), 'counted_at',
        [
            'client', 'provider', 'model', 'user_id', 'team_id', 'is_request', 'is_failed',
            'input_tokens', 'cache_read_tokens', 'cache_write_5m_tokens', 'cache_write_1h_tokens',
            'output_tokens', 'estimated_cost_usd', 'reported_cost_usd'
        ],
        slots_of(['analytics', 'usage'], ref('int_slots'), ref('int_slot_buckets'))
    ) }}

),

aggregated as (

    select
        slot_id,
        client,
        provider,
        model,
        user_id,
        team_id,

        cast(count_if(is_request) as bigint) as request_count,
        cast(count_if(is_request and is_failed) as bigint) as failed_requests,
        {{ sums_of_requests() }},
        cast(sum(reported_cost_usd) as decimal(38, 12)) as reported_cost_usd

    from rows_in_slots
    group by slot_id, client, provider, model, user_id, team_id

)

select * from aggregated
