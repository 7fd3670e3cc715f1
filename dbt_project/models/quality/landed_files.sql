{{ config(materialized='incremental', unique_key='file_id') }}

with landed as (

    select * from {{ source('raw', 'landed_files') }}

)

select
    load_id,
    file_id,
    source,
    path,
    status,
    detail,
    duplicate_of,
    first_file_id,
    size_bytes,
    start_byte,
    end_byte,
    content_hash,
    lines,
    blank,
    pending,
    rounded_amounts
from landed
