{{ config(materialized='incremental', unique_key='load_id') }}

with replayed as (

    select * from {{ source('raw', 'replayed_rows') }}

)

select
    load_id,
    file_id,
    line,
    record_number,
    replayed_file_id,
    outcome,
    reason,
    detail
from replayed
