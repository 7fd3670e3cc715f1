with month_days as (

    select * from {{ source('run', 'month_days') }}

)

select * from month_days
