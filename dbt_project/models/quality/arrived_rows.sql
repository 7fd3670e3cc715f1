{{ config(materialized='incremental', unique_key='file_id') }}

-- Counted where the rows are, and not by subtraction.
with counted as (
    {% for entity, key in platform_entities() %}
    {{ arrivals(
        ref('stg_' ~ entity),
        ref('int_' ~ entity ~ '_versioned'),
        key,
        canonical_json(contract_of(entity))
    ) }}

    union all
    {% endfor %}
    {{ arrivals(
        ref('stg_otlp_identities'),
        ref('int_otlp_records_deduplicated'),
        ['record_id'],
        'record_id'
    ) }}

),

lines_with_records as (

    select
        file_id,
        line
    from {{ source('raw', 'otlp') }}

    union

    select
        file_id,
        line
    from {{ source('raw', 'rejected_rows') }}
    where record_number is not null

    except

    -- The line of a record that was loaded later counts where its other records do.
    select
        replayed_file_id as file_id,
        line
    from {{ source('raw', 'replayed_rows') }}
    where record_number is not null and outcome = 'loaded'

),

lines_per_file as (

    select
        file_id,
        count(*) as lines_with_records
    from lines_with_records
    group by file_id

),

rows_per_file as (

    select
        file_id,
        cast(sum(loaded) as bigint) as loaded,
        cast(sum(duplicate) as bigint) as duplicate
    from counted
    group by file_id

),

per_file as (

    select
        coalesce(rows_per_file.file_id, lines_per_file.file_id) as file_id,
        coalesce(rows_per_file.loaded, 0) as loaded,
        coalesce(rows_per_file.duplicate, 0) as duplicate,
        coalesce(lines_per_file.lines_with_records, 0) as lines_with_records
    from rows_per_file
    full outer join lines_per_file on rows_per_file.file_id = lines_per_file.file_id

)

select * from per_file
