{#-
    Each figure, added up over the rows that share the columns, is what `whole` shows for them.

    figures: those of the model, and what `whole` calls them. condition: which rows of `whole`.
-#}
{% test adds_up_to(model, figures, whole, columns, condition='true') %}
    with added as (

        select
            {{ columns | join(', ') }},
            {%- for figure in figures %}
            sum({{ figure }}) as {{ figure }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ model }}
        group by {{ columns | join(', ') }}

    ),

    whole as (

        select
            {{ columns | join(', ') }},
            {%- for figure in figures.values() %}
            sum({{ figure }}) as {{ figure }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ whole }}
        where {{ condition }}
        group by {{ columns | join(', ') }}

    )

    select *
    from added
    full outer join whole using ({{ columns | join(', ') }})
    where
        {%- for figure, whole_figure in figures.items() %}
        coalesce(added.{{ figure }}, 0) <> coalesce(whole.{{ whole_figure }}, 0)
        {%- if not loop.last %} or{% endif %}
        {%- endfor %}
{% endtest %}
