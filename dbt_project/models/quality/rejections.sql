{{ config(materialized='incremental', unique_key='file_id') }}

with rejected as (

    select * from {{ source('raw', 'rejected_rows') }}

)

select
    load_id,
    file_id,
    source,
    path,
    line,
    record_number,
    reason,
    detail,
    raw_text
from rejected
