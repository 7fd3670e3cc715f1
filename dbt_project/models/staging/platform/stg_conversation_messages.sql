with source as (

    select * from {{ source('raw', 'conversation_messages') }}

),

typed as (

    select
        load_id,
        file_id,
        message_id,
        conversation_id,
        organisation_id,
        agent_id,
        user_id,
        role,
        sent_at,
        coalesce(revision, 0) as revision,
        extra,
        cast(sent_at as date) as event_date
    from source

)

select * from typed
