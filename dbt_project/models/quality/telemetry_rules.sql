-- What became of each record: decided with its unit, left out at first sight, or read by no report.
with records as (

    select
        client,
        signal,
        record_name,
        role,
        left_out_rule,
        count(*) as records
    from {{ ref('int_otlp_records_deduplicated') }}
    group by client, signal, record_name, role, left_out_rule

),

at_first_sight as (

    select
        client,
        signal,
        case role
            when 'left_out' then left_out_rule
            when 'path' then 'span_without_usage'
            when 'tool_part' then 'part_of_a_call'
            else 'informational'
        end as rule,
        cast(sum(records) as bigint) as records,
        cast(0 as bigint) as counted
    from records
    where role in ('left_out', 'path', 'tool_part', 'informational')
    group by client, signal, role, left_out_rule

),

decided as (

    select
        client,
        signal,
        case
            when
                is_counted
                and request_id in (
                    select request_id from {{ ref('int_telemetry_requests_known') }}
                )
                then 'known_to_the_platform'
            else rule
        end as rule,
        is_counted
    from {{ ref('int_telemetry_requests_decided') }}

    union all

    select
        client,
        signal,
        rule,
        is_counted
    from {{ ref('int_telemetry_points_decided') }}

    union all

    select
        client,
        signal,
        rule,
        is_counted
    from {{ ref('int_telemetry_tool_calls_decided') }}

),

with_their_unit as (

    select
        client,
        signal,
        rule,
        count(*) as records,
        cast(count_if(is_counted and rule <> 'known_to_the_platform') as bigint) as counted
    from decided
    group by client, signal, rule

),

combined as (

    select * from at_first_sight

    union all

    select * from with_their_unit

)

select
    client,
    signal,
    rule,
    cast(sum(records) as bigint) as records,
    cast(sum(counted) as bigint) as counted
from combined
group by client, signal, rule
