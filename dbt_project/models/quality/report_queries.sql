-- Empty here: what dbt compiled is kept when all is built and tested.
select
    cast(null as string) as relation,
    cast(null as string) as sql_text,
    cast(null as string) as reads
where false
