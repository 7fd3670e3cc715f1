{#-
    Spark works out a CTE again wherever it is read, and its planner takes a time that doubles with
    each such step; DuckDB works it out once. So what is read more than once is written aside first.

    The steps of a query are found by the layout that sqlfluff holds every model to: `name as (` and
    its `)` or `),` stand at the left edge. A query without that layout is left as it is.
-#}
{%- macro spark__create_table_as(temporary, relation, compiled_code, language='sql') -%}
    {{- dbt.spark__create_table_as(
        temporary, relation, worked_out_once(compiled_code), language
    ) -}}
{%- endmacro -%}


{% macro worked_out_once(query) %}
    {%- set split = steps_of(query) -%}
    {%- set known = {} -%}
    {%- for name, body in split.steps.items() -%}
        {%- set is_recursive = reads_of(name, [body]) > 0 -%}
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


{#- The steps of a query, bodies by name and in order, and what comes after the last of them. -#}
{% macro steps_of(query) %}
    {%- set found = namespace(name=none, body=[], is_over=false) -%}
    {%- set steps = {} -%}
    {%- set last = [] -%}
    {%- for line in query.split('\n') -%}
        {%- set start = modules.re.match('(?:with )?(?:recursive )?([a-z0-9_]+) as \\($', line) -%}
        {%- if found.name -%}
            {%- if line.rstrip() in (')', '),') -%}
                {%- do steps.update({found.name: found.body | join('\n')}) -%}
                {%- set found.name = none -%}
            {%- else -%}
                {%- do found.body.append(line) -%}
            {%- endif -%}
        {%- elif start and not last -%}
            {%- set found.name = start.group(1) -%}
            {%- set found.body = [] -%}
        {%- elif last or line.strip() not in ('', 'with', 'with recursive', ',')
            and not line.startswith('--') -%}
            {%- do last.append(line) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if found.name -%}
        {{- return({'steps': {}, 'last': query}) -}}
    {%- endif -%}
    {{- return({'steps': steps, 'last': last | join('\n')}) -}}
{% endmacro %}


{#- How often these texts read a step. -#}
{% macro reads_of(name, texts) %}
    {%- set pattern = '\\b(?:from|join)\\s+' ~ name ~ '\\b(?!\\.)' -%}
    {{- return(modules.re.findall(pattern, texts | join('\n')) | length) -}}
{% endmacro %}


{#- Whether a step does more than choose rows and columns. -#}
{% macro is_work(body) %}
    {{- return(
        modules.re.search('\\b(join|group by|union|qualify|distinct|over)\\b', body) is not none
    ) -}}
{% endmacro %}


{#- A query of its own, with those of the known steps that it needs. -#}
{% macro with_steps(known, last, is_recursive=false) %}
    {%- set needed = [] -%}
    {%- set texts = [last] -%}
    {%- for name in known | reverse -%}
        {%- if reads_of(name, texts) -%}
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
