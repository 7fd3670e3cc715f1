{#-
    CTEs that lead from each organisation to all that it includes, 64 levels down: rows of `links`
    (organisation_id and the included_id right below it), and what follows from them. One parent
    each: a step finds no more rows than there are links, on cycles too. The last one is named
    {prefix}_all; the query says `with recursive`.
-#}
{% macro inclusions(links, prefix, steps=64) %}
{{ prefix }}_levels as (

    select
        organisation_id,
        included_id,
        1 as level
    from {{ links }}

    union all

    select
        upper_levels.organisation_id,
        lower_levels.included_id,
        upper_levels.level + 1 as level
    from {{ prefix }}_levels as upper_levels
    inner join {{ links }} as lower_levels
        on upper_levels.included_id = lower_levels.organisation_id
    where upper_levels.level < {{ steps }}

),

{{ prefix }}_all as (

    select
        organisation_id,
        included_id
    from {{ prefix }}_levels
    group by organisation_id, included_id

)
{%- endmacro %}
