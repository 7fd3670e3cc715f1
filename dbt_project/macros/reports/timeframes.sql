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
    The rows of a relation that lie in each timeframe's window, once per timeframe.

    relation: rows with a time `at`. columns: what to select. windows: rows of int_windows.
-#}
{% macro in_windows(relation, at, columns, windows, page, timeframes, condition='true') %}
    {%- set rows -%}
    (
        {{ in_spans(relation, at, columns, windows, page, timeframes, condition) }}
    )
    {%- endset -%}
    {{- spans_in_windows(rows, ['counted.*'], windows, page) }}
{%- endmacro %}


{#- Rows with their span, once for each timeframe that has the span in its window. -#}
{% macro spans_in_windows(relation, columns, windows, page, condition='true') %}
    select
        spans_of_windows.timeframe,
        {{ columns | join(',\n        ') }}
    from {{ relation }} as counted
    inner join ({{ spans_of_windows(windows, page) }}) as spans_of_windows
        on counted.span = spans_of_windows.span
    where {{ condition }}
{%- endmacro %}


{#-
    The spans of a page: from each edge of its windows to the next. A window is a union of spans, so
    what adds up is counted once a span and then added, however many windows there are. A span is
    told by a power of two, so that several of them are one whole number (bit_or).
-#}
{% macro spans(windows, page) %}
    select
        edge_at,
        cast(power(2, row_number() over (order by edge_at) - 1) as bigint) as span
    from (
        select window_start_at as edge_at from {{ windows }}
        where page = '{{ page }}'

        union all

        select window_end_at as edge_at from {{ windows }}
        where page = '{{ page }}'
    ) as edges
{%- endmacro %}


{#-
    One row per timeframe and span of its window.

    Grouped, so that these few rows are made first, whatever many rows are joined with them.
-#}
{% macro spans_of_windows(windows, page) %}
    select
        windows.timeframe,
        spans.span
    from {{ windows }} as windows
    inner join ({{ spans(windows, page) }}) as spans
        on
            spans.edge_at >= windows.window_start_at
            and spans.edge_at < windows.window_end_at
    where windows.page = '{{ page }}'
    group by windows.timeframe, spans.span
{%- endmacro %}


{#-
    The rows of a relation that lie in any window of a page, each once, with their span.

    Arguments as those of in_windows.
-#}
{% macro in_spans(relation, at, columns, windows, page, timeframes, condition='true') %}
    {%- set edges = range(2 * timeframes | length) %}
    select
        case
            {%- for edge in edges[1:] %}
            when counted.{{ at }} < edges.edge_{{ edge }} then {{ 2 ** (edge - 1) }}
            {%- endfor %}
        end as span,
        {{ columns | join(',\n        ') }}
    from {{ relation }} as counted
    cross join (
        select
            min(edge_at) as first_edge_at,
            {%- for edge in edges[1:] %}
            max(case when span = {{ 2 ** edge }} then edge_at end) as edge_{{ edge }},
            {%- endfor %}
            max(edge_at) as last_edge_at
        from ({{ spans(windows, page) }}) as spans
    ) as edges
    where
        counted.{{ at }} >= edges.first_edge_at
        and counted.{{ at }} < edges.last_edge_at
        and {{ condition }}
{%- endmacro %}


{#- Whether a time lies between the first and the last edge of a page's windows. -#}
{% macro in_any_window(at, windows, page) -%}
    {{ at }} >= (select min(window_start_at) from {{ windows }} where page = '{{ page }}')
        and {{ at }} < (select max(window_end_at) from {{ windows }} where page = '{{ page }}')
{%- endmacro %}


{#- The rows of a relation that lie in any slot, each once, with its slot. -#}
{% macro in_slots(relation, at, columns, slots, condition='true') %}
    select
        slots.slot_id,
        {{ columns | join(',\n        ') }}
    from {{ relation }} as counted
    inner join {{ slots }} as slots
        on
            cast(counted.{{ at }} as date) = slots.utc_date
            and counted.{{ at }} >= slots.slot_start_at
            and counted.{{ at }} < slots.slot_end_at
    where {{ condition }}
{%- endmacro %}


{#- The slots that the buckets of these pages are made of, in either period. -#}
{% macro slots_of(pages, slots, slot_buckets) -%}
    (
        select * from {{ slots }}
        where slot_id in (
            select slot_id from {{ slot_buckets }}
            where page in ('{{ pages | join("', '") }}')
        )
    )
{%- endmacro %}


{#- The label of what carries no id. -#}
{% macro unattributed() -%}
    '(unattributed)'
{%- endmacro %}
