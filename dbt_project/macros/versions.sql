{#-
    Every differing version of the rows that a source delivers, with version_rank (1 wins).

    Events: the higher revision wins, then the greater canonical JSON. References: the newest
    updated_at, then the greater canonical JSON. Identical rows are kept once, from the file that
    landed first. Incremental by key: the rows of the loads to apply, and whatever the table knows
    of their keys; what it has from those very loads is left out, so that applying a load twice
    changes nothing. Only keys that occur twice pay for the comparison; they are found by a hash,
    and a key that shares it by chance is only compared with itself.

    arrived: the staging model. entity: the source's table, whose contract names key and columns.
    prices: where the rows are requests to be priced (prices.sql), the relation of the prices of
    what arrived, with `at` and `context`. What the table knows keeps the cost it was stored with.
-#}
{% macro versions(arrived, entity, prices=none) %}
{%- set contract = contract_of(entity) -%}
{%- set key = contract.key | join(', ') -%}
{%- set columns = contract.columns | list + (['event_date'] if contract.role == 'event' else []) -%}
{%- set key_hash = hashed_key(contract.key) -%}
{%- set order = 'revision' if contract.role == 'event' else 'updated_at' -%}
{%- set carried = columns + (['stored_cost_usd'] if prices and is_incremental() else []) -%}
{#- A relation and not a CTE in a build from all loads: its rows are read thrice, and not kept. -#}
{%- set candidates = 'candidates' if is_incremental() else arrived -%}
with
{% if is_incremental() -%}
known as (

    select
        {{ columns | join(', ') }}
        {%- if prices %},
        estimated_cost_usd as stored_cost_usd
        {%- endif %}
    from {{ this }}
    semi join {{ arrived }} as arrived using ({{ key }})
    where load_id not in (select load_id from {{ source('run', 'loads') }} where is_to_apply)

),

candidates as (

    select
        {{ columns | join(', ') }}
        {%- if prices %},
        cast(null as decimal(38, 12)) as stored_cost_usd
        {%- endif %}
    from {{ arrived }}

    union all

    select * from known

),

{% endif -%}
contested_keys as (

    select {{ key_hash }} as key_hash from {{ candidates }}
    group by {{ key_hash }}
    having count(*) > 1

),

compared as (

    select
        *,
        {{ canonical_json(contract) }} as canonical
    from {{ candidates }}
    semi join contested_keys on {{ key_hash }} = contested_keys.key_hash

),

deduplicated as (

    select * from compared
    qualify row_number() over (partition by {{ key }}, canonical order by load_id, file_id) = 1

),

ranked as (

    select
        {{ carried | join(', ') }},
        1 as version_rank
    from {{ candidates }}
    anti join contested_keys on {{ key_hash }} = contested_keys.key_hash

    union all

    select
        {{ carried | join(', ') }},
        row_number() over (
            partition by {{ key }} order by {{ order }} desc, canonical desc
        ) as version_rank
    from deduplicated

)

select
    {{ columns | join(', ') }},
    {%- if prices and is_incremental() %}
    coalesce(
        stored_cost_usd,
        {{ estimated_cost() }}
    ) as estimated_cost_usd,
    {%- elif prices %}
    {{ estimated_cost() }} as estimated_cost_usd,
    {%- endif %}
    cast(version_rank as bigint) as version_rank,
    version_rank = 1 as is_current
from ranked
{%- if prices %}
{{ join_prices(prices.at, prices.context, prices.relation) }}
{%- endif %}
{% endmacro %}


{#- Role, key and columns of a source as the sources file states them; empty while dbt parses. -#}
{% macro contract_of(entity) %}
    {%- set found = namespace(contract={'role': '', 'key': ['key'], 'columns': {'key': {}}}) -%}
    {%- if execute -%}
        {%- for source in graph.sources.values()
            if source.source_name == 'raw' and source.name == entity -%}
            {%- set found.contract = {
                'role': source.config.meta.role,
                'key': source.config.meta.key,
                'columns': source.columns,
            } -%}
        {%- endfor -%}
    {%- endif -%}
    {{- return(found.contract) -}}
{% endmacro %}


{#-
    A row as canonical JSON text: keys sorted, nulls left out, instants in UTC, numbers as text. It
    only serves to compare two versions: the same for every order of arrival and every format.
-#}
{% macro canonical_json(contract) %}
    {%- set members = [] -%}
    {%- for name, column in contract.columns | dictsort if name not in ('load_id', 'file_id') -%}
        {%- set kind = column.config.meta.get('kind', 'json') if execute else 'json' -%}
        {%- if kind == 'instant' -%}
            {%- set value = "'\"' || " ~ instant_text(name) ~ " || '\"'" -%}
        {%- elif kind == 'whole' -%}
            {%- set value = "'\"' || cast(" ~ name ~ " as string) || '\"'" -%}
        {%- elif kind in ('latency', 'amount') -%}
            {%- set plain = "rtrim(rtrim(cast(" ~ name ~ " as string), '0'), '.')" -%}
            {%- set value = "'\"' || " ~ plain ~ " || '\"'" -%}
        {%- elif kind == 'json' -%}
            {%- set value = name -%}
        {%- else -%}
            {%- set value = json_text(name) -%}
        {%- endif -%}
        {%- do members.append("'\"" ~ name ~ "\":' || " ~ value) -%}
    {%- endfor -%}
    '{' || concat_ws(',', {{ members | join(', ') }}) || '}'
{%- endmacro %}
