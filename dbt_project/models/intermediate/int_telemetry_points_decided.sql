{{ config(materialized='incremental', unique_key='unit_key') }}
{%- set context = price_context(speed="coalesce(speed, '')") %}
{%- set buckets = {
    'stated_input': ['input', 'prompt'],
    'cache_read': ['cacheread', 'cache', 'cache_read', 'cached_input'],
    'cache_write': ['cachecreation', 'cache_creation', 'cache_write'],
    'stated_output': ['output', 'completion'],
    'thoughts': ['thought', 'thoughts'],
    'tool': ['tool'],
} %}

-- All points of a touched unit, and so of a touched series, are taken again: a point that comes
-- late changes the increment of the next one.
-- depends_on: {{ ref('stg_telemetry_records') }}
with night as (

    select * from {{ source('run', 'night') }}

),

records as (

    {{ of_touched_units(ref('int_telemetry_records_deduplicated')) }}

),

-- Logs of errors alone tell no tokens.
has_finer as (

    select
        unit_key,
        authority_date,
        bool_or(signal = 'log') as has_logs
    from records
    where role = 'request'
    group by unit_key, authority_date

    union

    -- Metrics that name no session tell the day of the sessions that their installation logs.
    select
        identity_key as unit_key,
        event_date as authority_date,
        true as has_logs
    from {{ ref('int_telemetry_records_deduplicated') }}
    where
        role = 'request'
        and signal = 'log'
        and session_id is not null
        and identity_key in (select unit_key from records)

),

finer as (

    select
        unit_key,
        authority_date,
        bool_or(has_logs) as has_logs
    from has_finer
    group by unit_key, authority_date

),

-- A series ends where its start changes (its id holds the start) or its value falls.
stepped as (

    select
        *,
        value - lag(value) over (
            partition by unit_key, series_id order by recorded_at, value, record_id
        ) as step
    from records
    where role in ('tokens_point', 'cost_point')

),

increments as (

    select
        *,
        case when temporality = 'cumulative' and step >= 0 then step else value end as increment
    from stepped

),

sorted as (

    select
        *,
        {% for bucket in buckets -%}
        {{ increment_of_types(buckets[bucket]) }} as {{ bucket }},
        {% endfor -%}
        case when role = 'cost_point' then increment end as cost,
        role = 'tokens_point'
        and {{ increment_of_types(buckets.values() | sum(start=[])) }} is null
            as is_of_unknown_type,
        {{ of_client('input_includes_cache') }} = 'true' as input_includes_cache
    from increments

),

-- What the points of one instant say of a model is one row, which its first point bears.
merged as (

    select
        *,
        row_number() over (
            partition by {{ instant_of_points() }} order by is_of_unknown_type, record_id
        ) as point_number,
        {%- for bucket in buckets.keys() | list + ['cost'] %}
        sum({{ bucket }}) over (partition by {{ instant_of_points() }}) as {{ bucket }}_sum,
        {%- endfor %}
        max(email) over (partition by {{ instant_of_points() }}) as points_email
    from sorted

),

decided as (

    select
        merged.load_id,
        merged.file_id,
        merged.record_id,
        merged.unit_key,
        merged.signal,
        merged.client,
        case
            when merged.is_of_unknown_type then 'unknown_type_of_tokens'
            when finer.has_logs then 'logs_are_the_authority'
            when merged.point_number > 1 then 'merged_with_points_of_its_instant'
            else 'metrics'
        end as rule,
        not coalesce(finer.has_logs, false)
        and not merged.is_of_unknown_type
        and merged.point_number = 1 as is_counted,
        merged.point_number = 1 as is_first_of_instant,
        merged.session_id,
        merged.account_uuid,
        coalesce(merged.email, merged.points_email) as email,
        merged.installation_id,
        merged.team_id,
        merged.cost_centre,
        merged.provider,
        merged.model,
        merged.speed,
        cast(
            case
                when
                    merged.input_includes_cache
                    and coalesce(merged.stated_input_sum, 0) >= coalesce(merged.cache_read_sum, 0)
                    then
                        merged.stated_input_sum
                        - coalesce(merged.cache_read_sum, 0)
                        + coalesce(merged.tool_sum, 0)
                else merged.stated_input_sum + coalesce(merged.tool_sum, 0)
            end as bigint
        ) as input_tokens,
        cast(merged.cache_read_sum as bigint) as cache_read_tokens,
        {{ cache_writes('5m', 'cast(merged.cache_write_sum as bigint)') }} as cache_write_5m_tokens,
        {{ cache_writes('1h', 'cast(merged.cache_write_sum as bigint)') }} as cache_write_1h_tokens,
        cast(merged.stated_output_sum + coalesce(merged.thoughts_sum, 0) as bigint)
            as output_tokens,
        cast(merged.cost_sum as decimal(38, 12)) as reported_cost_usd,
        merged.recorded_at,
        merged.event_date
    from merged
    cross join night
    left join finer
        on
            merged.unit_key = finer.unit_key
            and merged.authority_date is not distinct from finer.authority_date

),

{{ price_ctes('decided', context) }},

-- A point adds up requests, so that no tier of large prompts can be told from it.
priced as (

    select
        decided.*,
        {{ estimated_cost() }} as estimated_cost_usd
    from decided
    {{ join_prices('recorded_at', context, prompt_tokens='0') }}

)

select * from priced
