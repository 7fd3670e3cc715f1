with buckets as (

    select * from {{ source('run', 'buckets') }}

)

select * from buckets
