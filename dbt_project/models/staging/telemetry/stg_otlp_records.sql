-- depends_on: {{ source('run', 'telemetry_clients') }}
-- depends_on: {{ source('run', 'telemetry_records') }}
with source as (

    select * from {{ source('raw', 'otlp') }}

),

-- Told once per sender and name: engines would work it out again wherever it is used.
senders as (

    select
        service_name,
        scope_name,
        record_name,
        {{ telemetry_client() }} as client
    from source
    group by service_name, scope_name, record_name

),

of_clients as (

    select
        source.*,
        senders.client
    from source
    inner join senders
        on
            coalesce(source.service_name, '') = coalesce(senders.service_name, '')
            and coalesce(source.scope_name, '') = coalesce(senders.scope_name, '')
            and coalesce(source.record_name, '') = coalesce(senders.record_name, '')

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
