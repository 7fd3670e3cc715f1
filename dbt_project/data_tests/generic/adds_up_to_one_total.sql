{#-
    The sum of `figure` is `total` for each value of the columns, where any row has the figure.
-#}
{% test adds_up_to_one_total(model, figure, total, columns) %}
    select
        {{ columns | join(', ') }},
        sum({{ figure }}) as shown_total
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count({{ figure }}) = count(*) and sum({{ figure }}) <> {{ total }}
{% endtest %}
