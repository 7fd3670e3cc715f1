{#-
    Whatever the cut, figures sum to the same totals: per timeframe, the sum of each figure equals
    that of the rows of `source_model` in its window. All figures of one source are read at once.

    figures: what the mart shows, and what the source holds; 1 counts rows. shown: which rows of the
    mart make up the total, such as those of the current period. has_lines: whether each row of the
    source is a row of the mart.
-#}
{% test conserves(
    model, figures, source_model, source_at, page, condition='true', shown='true', has_lines=false
) %}
    {%- set totals = [('number_of_lines', 'count(*)', 'count(*)')] if has_lines else [] -%}
    {%- for figure, source_figure in figures.items() -%}
        {%- do totals.append((figure, 'sum(' ~ figure ~ ')', 'sum(' ~ source_figure ~ ')')) -%}
    {%- endfor %}
    with windows as (

        select * from {{ ref('int_windows') }}
        where page = '{{ page }}'

    ),

    shown as (

        select
            timeframe,
            {%- for figure, shown_total, _ in totals %}
            {{ shown_total }} as {{ figure }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ model }}
        where {{ shown }}
        group by timeframe

    ),

    -- Read once, whatever the number of windows: the relation may be a view.
    counted as (

        select
            windows.timeframe,
            {%- for figure, _, source_total in totals %}
            {{ source_total }} as {{ figure }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ source_model }} as facts
        inner join windows
            on
                facts.{{ source_at }} >= windows.window_start_at
                and facts.{{ source_at }} < windows.window_end_at
        where
            facts.{{ source_at }} >= (select min(window_start_at) from windows)
            and {{ condition }}
        group by windows.timeframe

    )
    {% for figure, _, _ in totals %}
    select
        windows.timeframe,
        '{{ figure }}' as figure,
        cast(coalesce(shown.{{ figure }}, 0) as decimal(38, 12)) as shown_total,
        cast(coalesce(counted.{{ figure }}, 0) as decimal(38, 12)) as counted_total
    from windows
    left join shown on windows.timeframe = shown.timeframe
    left join counted on windows.timeframe = counted.timeframe
    where coalesce(shown.{{ figure }}, 0) <> coalesce(counted.{{ figure }}, 0)
    {%- if not loop.last %}

    union all
    {% endif %}
    {%- endfor %}
{% endtest %}
