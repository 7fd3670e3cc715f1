-- Of its own beside the agents: a filter on what was created does not take names away.
with created as (

    select
        agent_id,
        created_by,
        organisation_id,
        created_at,
        deleted_at
    from {{ ref('int_agents_as_of') }}

)

select * from created
