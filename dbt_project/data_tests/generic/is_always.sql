{#- A condition holds for every row. -#}
{% test is_always(model, condition) %}
    select *
    from {{ model }}
    where not coalesce({{ condition }}, false)
{% endtest %}
