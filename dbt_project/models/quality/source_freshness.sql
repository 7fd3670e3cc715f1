{%- set stamps = {
    'agent_runs': 'started_at',
    'llm_requests': 'requested_at',
    'tool_calls': 'called_at',
    'conversation_messages': 'sent_at',
    'credit_lines': 'occurred_at',
} -%}
-- A source that never sent a file, and a client that never sent a record, are not configured; one
-- that is, but has been silent, shows zero.
with night as (

    select as_of from {{ source('run', 'night') }}

),

expected as (
    {%- for entity, key in platform_entities() %}

    select
        '{{ entity }}' as source,
        cast(null as string) as client

    union all
    {%- endfor %}

    select
        'otlp' as source,
        client
    from {{ source('run', 'telemetry_clients') }}
    where client <> '*'

),

files as (

    select
        source,
        count(*) as files
    from {{ ref('landed_files') }}
    where status = 'loaded'
    group by source

),

events as (
    {%- for entity, key in platform_entities() %}

    select
        '{{ entity }}' as source,
        cast(null as string) as client,
        {{ stamps.get(entity, 'updated_at') }} as event_at
    from {{ ref('int_' ~ entity ~ '_versioned') }}

    union all
    {%- endfor %}

    select
        'otlp' as source,
        client,
        recorded_at as event_at
    from {{ ref('int_otlp_records_deduplicated') }}

),

seen as (

    select
        events.source,
        events.client,

        count(*) as events,
        cast(
            count_if(
                events.event_at >= night.as_of - interval '24' hour
                and events.event_at < night.as_of
            ) as bigint
        ) as events_in_last_24_hours,

        max(events.event_at) as last_event_at
    from events
    cross join night
    group by events.source, events.client

),

compared as (

    select
        coalesce(expected.source, seen.source) as source,
        coalesce(expected.client, seen.client) as client,
        coalesce(files.files, 0) as files,
        coalesce(seen.events, 0) as events,
        coalesce(seen.events_in_last_24_hours, 0) as events_in_last_24_hours,
        seen.last_event_at
    from expected
    full outer join seen
        on
            expected.source = seen.source
            and expected.client is not distinct from seen.client
    left join files on coalesce(expected.source, seen.source) = files.source

)

select
    source,
    coalesce(client, 'platform') as client,
    case
        when files = 0 or (source = 'otlp' and events = 0) then 'never configured'
        when events_in_last_24_hours = 0 then 'silent'
        else 'receiving'
    end as status,
    events,
    events_in_last_24_hours,
    last_event_at
from compared
