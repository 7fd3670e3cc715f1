{#- The keys of a figure of a month; those that its cut does not have are null. -#}
{% macro month_keys() %}
    {{- return([
        'organisation_id', 'category', 'agent_id', 'user_id', 'client', 'provider', 'model'
    ]) -}}
{% endmacro %}


{#- The cuts of a month: each is figures by some of the keys. -#}
{% macro month_cuts() %}
    {{- return({
        'billing': ['organisation_id', 'category', 'agent_id'],
        'agent': ['agent_id'],
        'user': ['user_id'],
        'model': ['client', 'provider', 'model'],
    }) -}}
{% endmacro %}


{#-
    The keys of a cut as columns, in the order of month_keys: an id that nobody names is
    `(unattributed)`, and a key of another cut is null.
-#}
{% macro keys_of_cut(cut) %}
    {%- for key in month_keys() %}
        {%- if key not in month_cuts()[cut] %}
        cast(null as string) as {{ key }}
        {%- elif key in ('agent_id', 'user_id') %}
        coalesce({{ key }}, '(unattributed)') as {{ key }}
        {%- else %}
        {{ key }}
        {%- endif %}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{#- Which local month an instant falls in: joined on its UTC day, which one or two months touch. -#}
{% macro in_month(at, day=none) -%}
    {{ day or 'cast(' ~ at ~ ' as date)' }} = month_days.utc_date
            and {{ at }} >= month_days.month_start_at
            and {{ at }} < month_days.month_end_at
{%- endmacro %}
