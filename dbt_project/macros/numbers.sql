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


{#-
    A DECIMAL(38, 12) amount over a positive whole number: 12 decimals, half away from zero; exact
    up to 9 * 10^15. The whole part and the rest are divided apart.
-#}
{% macro average_amount(total, number) %}
    {%- set divisor = 'cast(' ~ number ~ ' as decimal(38, 12))' -%}
    {%- set rest = '(abs(' ~ total ~ ') % ' ~ divisor ~ ')' -%}
    {%- set rest_units = rounded_quotient(
        'cast(cast(' ~ rest ~ ' as decimal(24, 12)) * cast(1000000000000 as decimal(13, 0))'
        ~ ' as bigint)', number
    ) -%}
    cast(
        case when {{ total }} < 0 then -1 else 1 end * (
            cast(
                cast(
                    round(cast(abs({{ total }}) - {{ rest }} as double) / nullif({{ number }}, 0))
                    as decimal(26, 0)
                ) as decimal(38, 12)
            )
            + cast({{ rest_units }} as decimal(18, 0))
            * cast(0.000000000001 as decimal(12, 12))
        ) as decimal(38, 12)
    )
{%- endmacro %}


{#-
    An amount over another: 6 decimals, half away from zero. Null where the total is 0, or where
    either has more than 16 digits before the point or the share more than 12.
-#}
{% macro share_of_amount(part, total) %}
    {%- set magnitude = 'abs(try_cast(' ~ total ~ ' as decimal(28, 12)))' -%}
    {%- set doubled = '(abs(try_cast(' ~ part ~ ' as decimal(28, 12)))'
        ~ ' * cast(2000000 as decimal(7, 0)) + ' ~ magnitude ~ ')' -%}
    {%- set divisor = '(nullif(' ~ magnitude ~ ', 0) * cast(2 as decimal(1, 0)))' -%}
    cast(
        case when ({{ part }} < 0) = ({{ total }} < 0) then 1 else -1 end
        * try_cast(
            round(
                cast({{ doubled }} - {{ doubled }} % {{ divisor }} as double)
                / cast({{ divisor }} as double)
            ) as decimal(18, 0)
        )
        * cast(0.000001 as decimal(6, 6))
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


{#-
    A double as a decimal without its last bits, in which engines differ, and which would decide a
    half: of thousandths 5 places, which is all that a percentile of them has, else 10.
-#}
{% macro without_last_bits(double, decimals) -%}
    cast({{ double }} as decimal({{ '24, 5' if decimals == 3 else '28, 10' }}))
{%- endmacro %}


{#- A double to so many decimals, half away from zero. -#}
{% macro rounded(double, decimals) -%}
    cast(
        round({{ without_last_bits(double, decimals) }}, {{ decimals }})
        as decimal(18, {{ decimals }})
    )
{%- endmacro %}


{#- A percentile of all values, interpolated: a double. -#}
{% macro interpolated(expression, share) -%}
    percentile_cont({{ share }}) within group (order by cast({{ expression }} as double))
{%- endmacro %}


{% macro percentile(expression, share, decimals=3) -%}
    {{ rounded(interpolated(expression, share), decimals) }}
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
