{#-
    Whatever the cut, a figure sums to the same total: per timeframe, the sum of `figure` equals the
    sum of `source_figure` (`*`: the number) of the rows of `source_model` in its window.
-#}
{% test conserves(model, figure, source_model, source_figure, source_at, page, condition='true') %}
    with windows as (

        select * from {{ ref('int_windows') }}
        where page = '{{ page }}'

    ),

    shown as (

        select
            timeframe,
            sum({{ figure }}) as total
        from {{ model }}
        group by timeframe

    ),

    -- Read once, whatever the number of windows: the relation may be a view.
    counted as (

        select
            windows.timeframe,
            {% if source_figure == '*' -%}
            count(*)
            {%- else -%}
            sum(facts.{{ source_figure }})
            {%- endif %} as total
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

    select
        windows.timeframe,
        coalesce(shown.total, 0) as shown_total,
        coalesce(counted.total, 0) as counted_total
    from windows
    left join shown on windows.timeframe = shown.timeframe
    left join counted on windows.timeframe = counted.timeframe
    where coalesce(shown.total, 0) <> coalesce(counted.total, 0)
{% endtest %}
