{#-
    Spark works out a CTE again wherever it is read, and its planner takes a time that doubles with
    each such step; DuckDB works it out once. So what is read more than once is written aside first.
    A query of which the steps are not understood is left as it is.
-#}
{%- macro spark__create_table_as(temporary, relation, compiled_code, language='sql') -%}
    {{- dbt.spark__create_table_as(
        temporary, relation, worked_out_once(compiled_code), language
    ) -}}
{%- endmacro -%}


{#- A unit test runs the same query over its fixtures; first without a row, for its types. -#}
{%- macro spark__get_unit_test_sql(main_sql, expected_fixture_sql, expected_column_names) -%}
    {{- dbt.default__get_unit_test_sql(
        worked_out_once(main_sql), expected_fixture_sql, expected_column_names
    ) -}}
{%- endmacro -%}


{%- macro spark__get_empty_subquery_sql(select_sql, select_sql_header=none) -%}
    {{- dbt.default__get_empty_subquery_sql(worked_out_once(select_sql), select_sql_header) -}}
{%- endmacro -%}


{% macro worked_out_once(query) %}
    {%- set split = steps_of(query) -%}
    {%- if not split.steps -%}
        {{- return(query) -}}
    {%- endif -%}
    {%- set known = {} -%}
    {%- for name, body in split.steps.items() -%}
        {%- set is_recursive = split.is_recursive and is_named_in(name, [body]) -%}
        {%- set others = split.steps.values() | reject('equalto', body) | list + [split.last] -%}
        {%- do known.update({name: body}) -%}
        {%- if is_recursive or (is_work(body) and reads_of(name, others) > 1) -%}
            {%- set aside = written_aside(
                name, with_steps(known, 'select * from ' ~ name, is_recursive)
            ) -%}
            {%- do known.update({name: 'select * from ' ~ aside}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return(with_steps(known, split.last)) -}}
{% endmacro %}


{#-
    The steps of a query, bodies by name and in order, and what comes after the last of them. None
    where its beginning is not `with a as (...), b as (...)` and a query, however it is laid out.
-#}
{% macro steps_of(query) %}
    {%- set nothing = {'steps': {}, 'last': query, 'is_recursive': false} -%}
    {%- set text = without_texts(query) -%}
    {%- set found = namespace(depth=0, name=none, start=0, end=0, is_over=false) -%}
    {%- set steps = {} -%}
    {%- for bracket in modules.re.finditer('[()]', text) -%}
        {%- if found.is_over -%}
        {%- elif bracket.group() == '(' -%}
            {%- if found.depth == 0 -%}
                {%- set begins = '(?i)\\s*' ~ (',' if steps else 'with\\s(?:\\s*recursive\\s)?')
                    ~ '\\s*([a-z_][a-z0-9_]*)\\s+as\\s*$' -%}
                {%- set step = modules.re.match(begins, text[found.end:bracket.start()]) -%}
                {%- set found.is_over = step is none -%}
                {%- set found.name = step.group(1) if step -%}
                {%- set found.start = bracket.end() -%}
            {%- endif -%}
            {%- set found.depth = found.depth + 1 -%}
        {%- else -%}
            {%- set found.depth = found.depth - 1 -%}
            {%- if found.depth == 0 -%}
                {%- do steps.update({found.name: query[found.start:bracket.start()]}) -%}
                {%- set found.end = bracket.end() -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if not modules.re.match('(?i)\\s*(?:select|from)\\s', text[found.end:]) -%}
        {{- return(nothing) -}}
    {%- endif -%}
    {{- return({
        'steps': steps,
        'last': query[found.end:],
        'is_recursive': modules.re.match('(?i)\\s*with\\s+recursive\\s', text) is not none
    }) -}}
{% endmacro %}


{#- A query in which comments, texts and quoted names are blank, every other sign in its place. -#}
{% macro without_texts(query) %}
    {%- set pieces = [] -%}
    {%- set found = namespace(end=0) -%}
    {%- for text in modules.re.finditer(
        '(?s)--[^\\n]*|/\\*.*?\\*/|\'[^\']*\'|"[^"]*"|`[^`]*`', query
    ) -%}
        {%- do pieces.append(query[found.end:text.start()] ~ ' ' * (text.end() - text.start())) -%}
        {%- set found.end = text.end() -%}
    {%- endfor -%}
    {{- return(pieces | join ~ query[found.end:]) -}}
{% endmacro %}


{#- How often these queries read a step; a form that this does not see costs time only. -#}
{% macro reads_of(name, queries) %}
    {%- set pattern = '(?i)\\b(?:from|join)\\s+' ~ name ~ '\\b(?!\\.)' -%}
    {{- return(modules.re.findall(pattern, without_texts(queries | join('\n'))) | length) -}}
{% endmacro %}


{#- Whether these queries may read a step: whether it is named where a relation can be. -#}
{% macro is_named_in(name, queries) %}
    {%- set pattern = '(?i)(?:\\bfrom|\\bjoin|\\btable|,|\\()\\s*' ~ name ~ '\\b(?!\\s*\\.)' -%}
    {{- return(
        modules.re.search(pattern, without_texts(queries | join('\n'))) is not none
    ) -}}
{% endmacro %}


{#- Whether a step does more than choose rows and columns. -#}
{% macro is_work(query) %}
    {{- return(
        modules.re.search(
            '(?i)\\b(?:join|group\\s+by|union|qualify|distinct|over)\\b', without_texts(query)
        ) is not none
    ) -}}
{% endmacro %}


{#- A query of its own, with those of the known steps that it needs. -#}
{% macro with_steps(known, last, is_recursive=false) %}
    {%- set needed = [] -%}
    {%- set texts = [last] -%}
    {%- for name in known | reverse -%}
        {%- if is_named_in(name, texts) -%}
            {%- do needed.insert(0, name ~ ' as (\n' ~ known[name] ~ '\n)') -%}
            {%- do texts.append(known[name]) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if not needed -%}
        {{- return(last) -}}
    {%- endif -%}
    {{- return(
        ('with recursive ' if is_recursive else 'with ') ~ needed | join(',\n') ~ '\n' ~ last
    ) -}}
{% endmacro %}
