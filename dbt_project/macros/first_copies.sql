{#-
    Records whose identity is their content: one row per key, from the file that landed first.
    Incremental by key: new rows and what the table knows of their keys, apart from what it has from
    the loads that are being applied.
-#}
{% macro first_copies(arrived, key) %}
with arrived as (

    select * from {{ arrived }}

),

{% if is_incremental() -%}
known as (

    -- A star over `using` has the key first on some engines.
    select kept.* from {{ this }} as kept
    semi join arrived on kept.{{ key }} = arrived.{{ key }}
    where kept.load_id not in (select load_id from {{ source('run', 'loads') }} where is_to_apply)

),

{% endif -%}
candidates as (

    select * from arrived
    {%- if is_incremental() %}
    union all
    select * from known
    {%- endif %}

),

deduplicated as (

    select * from candidates
    qualify row_number() over (partition by {{ key }} order by load_id, file_id) = 1

)

select * from deduplicated
{% endmacro %}
