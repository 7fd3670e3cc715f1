{{ config(materialized='incremental', unique_key='file_id') }}

-- Counted where the rows are: what raw holds of a file, and which of that has an identical row in
-- the facts that came from elsewhere (or a second time). A row that the facts lost is in neither.
with counted as (
    {%- for entity, key in platform_entities() %}
    {%- set arrived = ref('stg_' ~ entity) %}
    {%- set facts = ref('int_' ~ entity ~ '_versioned') %}
    {%- set canonical = canonical_json(contract_of(entity)) %}

    select
        arrived_copies.file_id,
        sum(arrived_copies.copies) as loaded,
        sum(
            case
                when kept.file_id is null then 0
                when kept.file_id = arrived_copies.file_id then arrived_copies.copies - 1
                else arrived_copies.copies
            end
        ) as duplicate,
        cast(0 as bigint) as lines_with_records
    from (
        select
            file_id,
            {{ key | join(', ') }},
            {{ canonical }} as canonical,
            count(*) as copies
        from {{ arrived }}
        group by file_id, {{ key | join(', ') }}, {{ canonical }}
    ) as arrived_copies
    left join (
        select
            file_id,
            {{ key | join(', ') }},
            {{ canonical }} as canonical
        from {{ facts }}
        semi join {{ arrived }} using ({{ key | join(', ') }})
    ) as kept
        on
            arrived_copies.canonical = kept.canonical
            {%- for column in key %}
            and arrived_copies.{{ column }} = kept.{{ column }}
            {%- endfor %}
    group by arrived_copies.file_id

    union all
    {%- endfor %}

    select
        arrived_copies.file_id,
        sum(arrived_copies.copies) as loaded,
        sum(
            case
                when kept.file_id is null then 0
                when kept.file_id = arrived_copies.file_id then arrived_copies.copies - 1
                else arrived_copies.copies
            end
        ) as duplicate,
        cast(0 as bigint) as lines_with_records
    from (
        select
            file_id,
            record_id,
            count(*) as copies
        from {{ ref('stg_otlp_identities') }}
        group by file_id, record_id
    ) as arrived_copies
    left join {{ ref('int_otlp_records_deduplicated') }} as kept
        on arrived_copies.record_id = kept.record_id
    group by arrived_copies.file_id

    union all

    select
        file_id,
        cast(0 as bigint) as loaded,
        cast(0 as bigint) as duplicate,
        count(distinct line) as lines_with_records
    from (
        select
            file_id,
            line
        from {{ source('raw', 'otlp') }}

        union all

        select
            file_id,
            line
        from {{ source('raw', 'rejected_rows') }}
        where record_number is not null
    ) as lines_of_records
    group by file_id

)

select
    file_id,
    cast(sum(loaded) as bigint) as loaded,
    cast(sum(duplicate) as bigint) as duplicate,
    cast(sum(lines_with_records) as bigint) as lines_with_records
from counted
group by file_id
