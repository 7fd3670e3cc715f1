{#-
    Per file: the rows that arrived of an entity, and how many of them are duplicates, that is,
    identical to a row that the facts keep from another file, or to another row of the same file.
    Only keys that occur twice are compared. A row that the facts lost is loaded and no duplicate:
    the ledger does not balance then.

    versions: the fact. identity: what two identical rows share beside the key, as SQL.
-#}
{% macro arrivals(arrived, versions, key, identity) %}
{%- set keys = key | join(', ') -%}
{%- set key_hash = hashed_key(key) %}
    select
        file_id,
        count(*) as loaded,
        cast(0 as bigint) as duplicate
    from {{ arrived }}
    group by file_id

    union all

    select
        file_id,
        cast(0 as bigint) as loaded,
        duplicate
    from (
        with contested as (

            select {{ key_hash }} as key_hash from {{ arrived }}
            group by {{ key_hash }}
            having count(*) > 1
            {%- if is_incremental() %}

            union

            select {{ key_hash }} as key_hash from {{ versions }}
            semi join {{ arrived }} using ({{ keys }})
            where
                load_id not in (
                    select load_id from {{ source('run', 'loads') }}
                    where is_to_apply
                )
            {%- endif %}

        ),

        copies as (

            select
                file_id,
                {{ keys }},
                {{ identity }} as compared_text,
                count(*) as rows_alike
            from {{ arrived }}
            semi join contested on {{ key_hash }} = contested.key_hash
            group by file_id, {{ keys }}, {{ identity }}

        ),

        kept as (

            select
                file_id,
                {{ keys }},
                {{ identity }} as compared_text
            from {{ versions }}
            semi join contested on {{ key_hash }} = contested.key_hash

        )

        select
            copies.file_id,
            sum(copies.rows_alike - case when kept.file_id = copies.file_id then 1 else 0 end)
                as duplicate
        from copies
        inner join kept
            on
                copies.compared_text = kept.compared_text
                {%- for column in key %}
                and copies.{{ column }} = kept.{{ column }}
                {%- endfor %}
        group by copies.file_id
    ) as duplicates
{% endmacro %}
