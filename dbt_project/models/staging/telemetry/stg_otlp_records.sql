with source as (

    select * from {{ source('raw', 'otlp') }}

),

of_clients as (

    select
        *,
        {{ telemetry_client() }} as client
    from source

),

named as (

    select
        load_id,
        file_id,
        record_id,
        signal,
        client,
        replace(record_name, 'claude_code.', '') as record_name,
        trace_id,
        span_id,
        parent_span_id,
        span_kind,
        span_status,
        series_id,
        temporality,
        value,
        attributes,
        resource,
        started_at,
        recorded_at,
        cast(recorded_at as date) as event_date
    from of_clients

),

judged as (

    select
        *,
        {{ telemetry_role() }} as role_and_rule
    from named

)

select
    load_id,
    file_id,
    record_id,
    signal,
    client,
    record_name,
    split_part(role_and_rule, ':', 1) as role,
    nullif(split_part(role_and_rule, ':', 2), '') as left_out_rule,
    trace_id,
    span_id,
    parent_span_id,
    span_kind,
    span_status,
    series_id,
    temporality,
    value,
    attributes,
    resource,
    started_at,
    recorded_at,
    event_date
from judged
