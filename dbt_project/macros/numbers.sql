{#-
    numerator / denominator of whole numbers as a whole number, rounded half away from zero; exact,
    which doubles are not. Neither is negative; a denominator of 0 gives null.
-#}
{% macro rounded_quotient(numerator, denominator) %}
    {%- set doubled = '(2 * (' ~ numerator ~ ') + (' ~ denominator ~ '))' -%}
    {%- set divisor = '(2 * nullif(' ~ denominator ~ ', 0))' -%}
    cast(round(({{ doubled }} - {{ doubled }} % {{ divisor }}) / {{ divisor }}) as bigint)
{%- endmacro %}


{#- A share or an average of counts: 6 decimals. A year's tokens in millionths are no bigint. -#}
{% macro ratio(numerator, denominator) %}
    {%- set millionths = rounded_quotient(
        'cast(' ~ numerator ~ ' as decimal(38, 0)) * 1000000', denominator
    ) -%}
    cast(
        cast({{ millionths }} as decimal(18, 0)) * cast(0.000001 as decimal(7, 6))
        as decimal(18, 6)
    )
{%- endmacro %}


{#- A sum of DECIMAL(18, 3) milliseconds over a count: 3 decimals. -#}
{% macro average_milliseconds(total, number) %}
    {%- set thousandths = rounded_quotient('cast(' ~ total ~ ' * 1000 as bigint)', number) -%}
    {{ milliseconds(thousandths) }}
{%- endmacro %}


{#- A sum of DECIMAL(38, 12) money over a count: 6 decimals, for an average only looked at. -#}
{% macro average_money(total, number) %}
    {%- set millionths = rounded_quotient(
        'cast(' ~ total ~ ' * 1000000000000 as decimal(38, 0))', '(' ~ number ~ ') * 1000000'
    ) -%}
    cast(
        cast({{ millionths }} as decimal(18, 0)) * cast(0.000001 as decimal(7, 6))
        as decimal(18, 6)
    )
{%- endmacro %}


{#- Whole microseconds as DECIMAL(18, 3) milliseconds. -#}
{% macro milliseconds(microseconds) -%}
    cast(
        cast({{ microseconds }} as decimal(18, 0)) * cast(0.001 as decimal(4, 3))
        as decimal(18, 3)
    )
{%- endmacro %}


{#- An exact percentile, interpolated. -#}
{% macro percentile(expression, share, decimals=3) -%}
    cast(
        round(
            percentile_cont({{ share }}) within group (order by cast({{ expression }} as double)),
            {{ decimals }}
        )
        as decimal(18, {{ decimals }})
    )
{%- endmacro %}


{#- How often a whole number goes into another: both positive, or the dividend 0. -#}
{% macro whole_quotient(dividend, divisor) -%}
    cast(
        round(
            (({{ dividend }}) - ({{ dividend }}) % ({{ divisor }})) / nullif({{ divisor }}, 0)
        )
        as bigint
    )
{%- endmacro %}
