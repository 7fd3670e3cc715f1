{#- The timeframes that a page's marts hold, in their order; empty while dbt parses. -#}
{% macro timeframes_of(page) %}
    {%- set names = [] -%}
    {%- if execute -%}
        {%- set listing -%}
            select timeframe from {{ scratch_schema('run') }}.windows
            where page = '{{ page }}'
            order by position
        {%- endset -%}
        {%- for row in run_query(listing).rows -%}
            {%- do names.append(row['timeframe']) -%}
        {%- endfor -%}
    {%- endif -%}
    {{- return(names or ['none']) -}}
{% endmacro %}


{#-
    The rows of a relation that lie in each timeframe's window, once per timeframe, by a union of
    one select a window (a join on the windows is several times slower).

    relation: rows with a time `at`. columns: what to select. windows: rows of int_windows.
-#}
{% macro in_windows(relation, at, columns, windows, page, timeframes, condition='true') %}
    {%- for timeframe in timeframes %}
    select
        '{{ timeframe }}' as timeframe,
        {{ columns | join(',\n        ') }}
    from {{ relation }} as counted
    where
        counted.{{ at }} >= (
            select max(window_start_at) from {{ windows }}
            where page = '{{ page }}' and timeframe = '{{ timeframe }}'
        )
        and counted.{{ at }} < (
            select max(window_end_at) from {{ windows }}
            where page = '{{ page }}' and timeframe = '{{ timeframe }}'
        )
        and {{ condition }}
    {%- if not loop.last %}

    union all
    {% endif -%}
    {%- endfor %}
{%- endmacro %}


{#- The label of what carries no id. -#}
{% macro unattributed() -%}
    '(unattributed)'
{%- endmacro %}
