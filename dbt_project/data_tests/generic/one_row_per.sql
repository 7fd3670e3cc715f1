{#-
    No two rows share these columns, and none of them is null, but for those of `nullable`. scope:
    `all` rows; `touched`, those of the loads that this night applies; `full_check`, none but in a
    full check, which looks at all rows in any scope.
-#}
{% test one_row_per(model, columns, scope='all', nullable=[]) %}
    select {{ columns | join(', ') }}
    from {{ model }}
    {%- if scope != 'all' %}
    where
        (select is_full_check from {{ source('run', 'night') }})
        {%- if scope == 'touched' %}
        or load_id in (select load_id from {{ source('run', 'loads') }} where is_to_apply)
        {%- endif %}
    {%- endif %}
    group by {{ columns | join(', ') }}
    having
        count(*) > 1
        {%- for column in columns if column not in nullable %}
        or {{ column }} is null
        {%- endfor %}
{% endtest %}
