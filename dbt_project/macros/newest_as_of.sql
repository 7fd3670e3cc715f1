{#-
    One row per key of a reference: the newest version that is not later than as_of, else the
    earliest known.
-#}
{% macro newest_as_of(versions, key) %}
with night as (

    select as_of from {{ source('run', 'night') }}

),

versions as (

    select
        versions.*,
        versions.updated_at <= night.as_of as is_known_by_then
    from {{ versions }} as versions
    cross join night

),

chosen as (

    select * from versions
    qualify
        row_number() over (
            partition by {{ key }}
            order by
                case when is_known_by_then then version_rank end asc nulls last,
                updated_at,
                version_rank
        ) = 1

)

select * from chosen
{% endmacro %}
