with ignored as (

    select * from {{ source('run', 'ignored_files') }}

)

select
    path,
    reason
from ignored
