with source as (

    select * from {{ source('raw', 'otlp') }}

),

named as (

    select
        load_id,
        file_id,
        record_id,
        signal,
        case
            when scope_name = 'com.anthropic.claude_code.events' or service_name = 'claude-code'
                then 'claude_code'
            else service_name
        end as client,
        replace(record_name, 'claude_code.', '') as record_name,
        attributes,
        resource,
        recorded_at,
        cast(recorded_at as date) as event_date
    from source

)

select * from named
