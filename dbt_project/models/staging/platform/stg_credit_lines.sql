with source as (

    select * from {{ source('raw', 'credit_lines') }}

),

typed as (

    select
        load_id,
        file_id,
        line_id,
        occurred_at,
        organisation_id,
        agent_id,
        user_id,
        conversation_id,
        run_id,
        category,
        description,
        credits,
        coalesce(kind, 'usage') as kind,
        coalesce(revision, 0) as revision,
        extra,
        cast(occurred_at as date) as event_date
    from source

)

select * from typed
