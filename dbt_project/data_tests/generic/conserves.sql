{#-
    Whatever the cut, figures sum to the same totals: per timeframe, the sum of each figure equals
    that of the events in the window, which control_totals has counted.

    figures: what the mart shows, and what its page's row of control_totals has. shown: which rows
    of the mart make up the total, such as those of the current period. lines: what of
    control_totals the mart has a row each of.
-#}
{% test conserves(model, page, figures={}, shown='true', lines=none) %}
    {%- set totals = [('number_of_lines', 'count(*)', lines)] if lines else [] -%}
    {%- for figure, counted in figures.items() -%}
        {%- do totals.append((figure, 'sum(' ~ figure ~ ')', counted)) -%}
    {%- endfor %}
    with shown as (

        select
            timeframe,
            {%- for figure, shown_total, _ in totals %}
            {{ shown_total }} as {{ figure }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ model }}
        where {{ shown }}
        group by timeframe

    ),

    counted as (

        select
            timeframe,
            {%- for figure, _, counted_total in totals %}
            {{ counted_total }} as {{ figure }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ ref('control_totals') }}
        where page = '{{ page }}'

    )
    {% for figure, _, _ in totals %}
    select
        counted.timeframe,
        '{{ figure }}' as figure,
        cast(coalesce(shown.{{ figure }}, 0) as decimal(38, 12)) as shown_total,
        cast(counted.{{ figure }} as decimal(38, 12)) as counted_total
    from counted
    left join shown on counted.timeframe = shown.timeframe
    where coalesce(shown.{{ figure }}, 0) <> counted.{{ figure }}
    {%- if not loop.last %}

    union all
    {% endif %}
    {%- endfor %}
{% endtest %}
