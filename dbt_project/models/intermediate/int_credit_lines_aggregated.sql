with rows_in_slots as (

    {{ in_slots(
        ref('int_credit_lines_attributed'), 'occurred_at',
        [
            'organisation_id', 'agent_id', 'category', 'credits'
        ],
        slots_of(['billing'], ref('int_slots'), ref('int_slot_buckets')), 'is_consumption'
    ) }}

),

aggregated as (

    select
        slot_id,
        organisation_id,
        agent_id,
        category,

        cast(sum(credits) as decimal(38, 12)) as credits,
        count(*) as line_count

    from rows_in_slots
    group by slot_id, organisation_id, agent_id, category

)

select * from aggregated
