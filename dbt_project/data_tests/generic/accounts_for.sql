{#-
    The sum of `figure` is the number of rows of `source_model`, for each value of the columns.

    condition: which rows of `source_model`.
-#}
{% test accounts_for(model, figure, source_model, columns, condition='true') %}
    with accounted as (

        select
            {{ columns | join(', ') }},
            sum({{ figure }}) as total
        from {{ model }}
        group by {{ columns | join(', ') }}

    ),

    counted as (

        select
            {{ columns | join(', ') }},
            count(*) as total
        from {{ source_model }}
        where {{ condition }}
        group by {{ columns | join(', ') }}

    )

    select *
    from accounted
    full outer join counted using ({{ columns | join(', ') }})
    where coalesce(accounted.total, 0) <> coalesce(counted.total, 0)
{% endtest %}
