{#-
    CTEs that lead from each organisation to all that it includes: rows of `links` (organisation_id
    and the included_id right below it), and what follows from them. Each step doubles the levels,
    so that six reach 64. The last one is named {prefix}_all.
-#}
{% macro inclusions(links, prefix, steps=6) %}
{%- set names = [links] -%}
{%- for step in range(1, steps + 1) -%}
    {%- do names.append(prefix ~ ('_all' if step == steps else '_' ~ 2 ** step)) %}
{{ names[step] }} as (

    select
        organisation_id,
        included_id
    from {{ names[step - 1] }}

    union

    select
        upper_levels.organisation_id,
        lower_levels.included_id
    from {{ names[step - 1] }} as upper_levels
    inner join {{ names[step - 1] }} as lower_levels
        on upper_levels.included_id = lower_levels.organisation_id

)
{{- ',' if not loop.last }}
{%- endfor %}
{%- endmacro %}
