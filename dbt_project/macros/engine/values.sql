{#- A value as JSON text: quoted and escaped. -#}
{% macro json_text(expression) %}
    {{- return(adapter.dispatch('json_text', 'warehouse')(expression)) -}}
{% endmacro %}

{% macro duckdb__json_text(expression) %}
    {{- return('cast(to_json(' ~ expression ~ ') as varchar)') -}}
{% endmacro %}

{% macro spark__json_text(expression) %}
    {#- A null is no member of the object, and the text between its braces is empty then. -#}
    {%- set object = 'to_json(struct(' ~ expression ~ ' as v))' -%}
    {{- return('nullif(substring(' ~ object ~ ', 6, length(' ~ object ~ ") - 6), '')") -}}
{% endmacro %}


{#- A UTC timestamp as ISO 8601 text with six decimals and Z. -#}
{% macro instant_text(expression) %}
    {{- return(adapter.dispatch('instant_text', 'warehouse')(expression)) -}}
{% endmacro %}

{% macro duckdb__instant_text(expression) %}
    {{- return('strftime(' ~ expression ~ ", '%Y-%m-%dT%H:%M:%S.%fZ')") -}}
{% endmacro %}

{% macro spark__instant_text(expression) %}
    {{- return(
        'date_format(' ~ expression ~ ", 'yyyy-MM-dd') || 'T' || "
        ~ 'date_format(' ~ expression ~ ", 'HH:mm:ss.SSSSSS') || 'Z'"
    ) -}}
{% endmacro %}


{#- Whole microseconds since 1970 of a UTC timestamp. -#}
{% macro microseconds_of(expression) %}
    {{- return(adapter.dispatch('microseconds_of', 'warehouse')(expression)) -}}
{% endmacro %}

{% macro duckdb__microseconds_of(expression) %}
    {{- return('epoch_us(' ~ expression ~ ')') -}}
{% endmacro %}

{% macro spark__microseconds_of(expression) %}
    {{- return('unix_micros(cast(' ~ expression ~ ' as timestamp_ltz))') -}}
{% endmacro %}


{#- A timestamp moved by milliseconds, a DECIMAL(18, 3) that may be negative. -#}
{% macro moved_by_milliseconds(expression, milliseconds) %}
    {{- return(adapter.dispatch('moved_by_milliseconds', 'warehouse')(expression, milliseconds)) -}}
{% endmacro %}

{% macro duckdb__moved_by_milliseconds(expression, milliseconds) %}
    {%- set exact = 'cast(' ~ milliseconds ~ ' as decimal(38, 3))' -%}
    {{- return(expression ~ ' + to_microseconds(cast(' ~ exact ~ ' * 1000 as bigint))') -}}
{% endmacro %}

{% macro spark__moved_by_milliseconds(expression, milliseconds) %}
    {%- set exact = 'cast(' ~ milliseconds ~ ' as decimal(18, 3))' -%}
    {%- set seconds = 'cast(' ~ exact ~ ' * cast(0.001 as decimal(4, 3)) as decimal(21, 6))' -%}
    {{- return(expression ~ ' + make_dt_interval(0, 0, 0, ' ~ seconds ~ ')') -}}
{% endmacro %}


{#- The elements of an array, in its order, as one text. -#}
{% macro joined(array, separator) %}
    {{- return(adapter.dispatch('joined', 'warehouse')(array, separator)) -}}
{% endmacro %}

{% macro duckdb__joined(array, separator) %}
    {{- return('array_to_string(' ~ array ~ ", '" ~ separator ~ "')") -}}
{% endmacro %}

{% macro spark__joined(array, separator) %}
    {{- return('array_join(' ~ array ~ ", '" ~ separator ~ "')") -}}
{% endmacro %}


{#- The texts of a group, in the order of a number that no two of them share, as one text. -#}
{% macro joined_in_order(expression, position, separator) %}
    {{- return(
        adapter.dispatch('joined_in_order', 'warehouse')(expression, position, separator)
    ) -}}
{% endmacro %}

{% macro duckdb__joined_in_order(expression, position, separator) %}
    {{- return('string_agg(' ~ expression ~ ", '" ~ separator ~ "' order by " ~ position ~ ')') -}}
{% endmacro %}

{% macro spark__joined_in_order(expression, position, separator) %}
    {{- return(
        'listagg(' ~ expression ~ ", '" ~ separator ~ "') within group (order by " ~ position ~ ')'
    ) -}}
{% endmacro %}


{#- A 64-bit number that equal keys share, and others hardly ever: who has to know compares. -#}
{% macro hashed_key(columns) %}
    {{- return(adapter.dispatch('hashed_key', 'warehouse')(columns)) -}}
{% endmacro %}

{% macro duckdb__hashed_key(columns) %}
    {{- return('hash(' ~ columns | join(', ') ~ ')') -}}
{% endmacro %}

{% macro spark__hashed_key(columns) %}
    {{- return('xxhash64(' ~ columns | join(', ') ~ ')') -}}
{% endmacro %}


{#- A member of a JSON object as text; null where it is missing or null. -#}
{% macro json_member(expression, name) %}
    {{- return(adapter.dispatch('json_member', 'warehouse')(expression, name)) -}}
{% endmacro %}

{% macro duckdb__json_member(expression, name) %}
    {{- return('json_extract_string(' ~ expression ~ ", '$." ~ name ~ "')") -}}
{% endmacro %}

{% macro spark__json_member(expression, name) %}
    {{- return('get_json_object(' ~ expression ~ ", '$." ~ name ~ "')") -}}
{% endmacro %}
