{#- Each timeframe of a page with the spans of its window as one whole number. -#}
{% macro windows_as_spans(windows, page) %}
    select
        timeframe,
        cast(sum(span) as bigint) as spans
    from ({{ spans_of_windows(windows, page) }}) as spans_of_windows
    group by timeframe
{%- endmacro %}


{#-
    The number of distinct things in each window, per value of `keys`. A thing is looked at once,
    and counts in every window that one of its spans is in.

    things: rows with keys, columns that tell the thing, and its span, or several as one whole
    number. windows_as_spans: rows of that macro.
-#}
{% macro distinct_in_windows(
    things, keys, thing, name, windows_as_spans, condition='true'
) %}
    select
        windows_as_spans.timeframe,
        {% for key in keys -%}
        alike.{{ key }},
        {% endfor -%}
        cast(sum(alike.things) as bigint) as {{ name }}
    from (
        select
            {{ keys | join(',\n            ') }},
            spans,
            count(*) as things
        from (
            select
                {{ keys | join(',\n                ') }},
                bit_or(span) as spans
            from {{ things }}
            where {{ condition }}
            group by {{ (keys + thing) | join(', ') }}
        ) as each_thing
        group by {{ keys | join(', ') }}, spans
    ) as alike
    inner join {{ windows_as_spans }} as windows_as_spans
        on (alike.spans & windows_as_spans.spans) <> 0
    group by
        windows_as_spans.timeframe,
        {%- for key in keys %}
        alike.{{ key }}{{ ',' if not loop.last }}
        {%- endfor %}
{%- endmacro %}


{#-
    What each window sees of a thing: those of its spans that lie in the window, as one whole
    number. Windows that see the same part of a thing share what is worked out of it.

    things: rows with keys that tell the thing, and its span.
-#}
{% macro parts_in_windows(things, keys, windows_as_spans) %}
    select
        windows_as_spans.timeframe,
        {% for key in keys -%}
        each_thing.{{ key }},
        {% endfor -%}
        each_thing.spans & windows_as_spans.spans as part
    from (
        select
            {{ keys | join(',\n            ') }},
            bit_or(span) as spans
        from {{ things }}
        group by {{ keys | join(', ') }}
    ) as each_thing
    inner join {{ windows_as_spans }} as windows_as_spans
        on (each_thing.spans & windows_as_spans.spans) <> 0
{%- endmacro %}


{#- Rows with keys and a span, once for each part of their thing that has the span. -#}
{% macro in_parts(relation, keys, parts_in_windows) %}
    select
        parts.part,
        counted.*
    from {{ relation }} as counted
    inner join (
        select
            {{ keys | join(',\n            ') }},
            part
        from {{ parts_in_windows }}
        group by {{ keys | join(', ') }}, part
    ) as parts
        on
            {%- for key in keys %}
            {{ 'and ' if not loop.first }}counted.{{ key }} = parts.{{ key }}
            {%- endfor %}
            and (counted.span & parts.part) <> 0
{%- endmacro %}
