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
