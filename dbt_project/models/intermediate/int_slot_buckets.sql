with slot_buckets as (

    select * from {{ source('run', 'slot_buckets') }}

)

select * from slot_buckets
