-- Each figure is counted in a table of its own: lines by the loader, rows in raw, in the rejected
-- rows and in the facts.
with files as (

    select * from {{ ref('landed_files') }}

),

arrived as (

    select * from {{ ref('arrived_rows') }}

),

rejected as (

    select
        file_id,
        count_if(record_number is null) as rejected,
        count_if(record_number is not null) as rejected_records
    from {{ ref('rejected_rows') }}
    group by file_id

),

facts as (
    {%- for entity, key in platform_entities() %}

    select
        file_id,
        {%- if loop.index <= 5 %}
        count_if(is_current) as used,
        count_if(not is_current) as superseded
        {%- else %}
        count(*) as used,
        cast(0 as bigint) as superseded
        {%- endif %}
    from {{ ref('int_' ~ entity ~ '_versioned') }}
    group by file_id

    union all
    {%- endfor %}

    select
        file_id,
        count(*) as used,
        cast(0 as bigint) as superseded
    from {{ ref('int_otlp_records_deduplicated') }}
    group by file_id

),

-- A file that grew is one file: its parts add up, and only its newest part can be pending. What a
-- replay loaded is a part without lines: they are counted where they were rejected.
per_file as (

    select
        coalesce(files.first_file_id, files.file_id) as file_id,
        min(files.source) as source,
        max_by(files.path, files.file_id) as path,
        max_by(files.status, files.file_id) filter (where files.status <> 'replayed') as status,
        cast(count_if(files.status <> 'replayed') as bigint) as parts,

        cast(sum(files.lines) as bigint)
        + max_by(files.pending, files.file_id) filter (where files.status <> 'replayed') as lines,
        cast(
            sum(
                case
                    when files.source = 'otlp' then coalesce(arrived.lines_with_records, 0)
                    else coalesce(arrived.loaded, 0)
                end
            ) as bigint
        ) as loaded,
        cast(sum(coalesce(rejected.rejected, 0)) as bigint) as rejected,
        cast(sum(files.blank) as bigint) as blank,
        max_by(files.pending, files.file_id) filter (where files.status <> 'replayed') as pending,

        cast(sum(coalesce(arrived.loaded, 0)) as bigint) as records,
        cast(sum(coalesce(rejected.rejected_records, 0)) as bigint) as rejected_records,
        cast(sum(coalesce(facts.used, 0)) as bigint) as used,
        cast(sum(coalesce(arrived.duplicate, 0)) as bigint) as duplicate,
        cast(sum(coalesce(facts.superseded, 0)) as bigint) as superseded,
        cast(sum(files.rounded_amounts) as bigint) as rounded_amounts
    from files
    left join arrived on files.file_id = arrived.file_id
    left join rejected on files.file_id = rejected.file_id
    left join facts on files.file_id = facts.file_id
    group by coalesce(files.first_file_id, files.file_id)

)

select
    *,
    lines = loaded + rejected + blank + pending
    and records = used + duplicate + superseded as is_balanced
from per_file
