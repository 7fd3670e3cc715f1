with records as (

    select * from {{ ref('stg_otlp_records') }}

),

identities as (

    select
        load_id,
        file_id,
        record_id,
        signal,
        client,
        record_name,
        role,
        left_out_rule,
        recorded_at,
        event_date
    from records

)

select * from identities
