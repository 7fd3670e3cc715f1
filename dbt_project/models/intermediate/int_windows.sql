with windows as (

    select * from {{ source('run', 'windows') }}

)

select * from windows
