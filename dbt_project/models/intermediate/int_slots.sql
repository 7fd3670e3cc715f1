with slots as (

    select * from {{ source('run', 'slots') }}

)

select * from slots
