{{ config(materialized='view') }}

with rejections as (

    select * from {{ ref('rejections') }}

),

latest as (

    select
        file_id,
        line,
        record_number,
        max_by(outcome, load_id) as outcome,
        max_by(reason, load_id) as reason,
        max_by(detail, load_id) as detail,
        max(load_id) as replayed_load_id
    from {{ ref('replayed_rows') }}
    group by file_id, line, record_number

)

select
    rejections.load_id,
    rejections.file_id,
    rejections.source,
    rejections.path,
    rejections.line,
    rejections.record_number,
    coalesce(latest.reason, rejections.reason) as reason,
    coalesce(latest.detail, rejections.detail) as detail,
    rejections.raw_text,
    latest.replayed_load_id
from rejections
left join latest
    on
        rejections.file_id = latest.file_id
        and rejections.line = latest.line
        and rejections.record_number is not distinct from latest.record_number
where coalesce(latest.outcome, 'rejected') = 'rejected'
