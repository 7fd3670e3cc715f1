{#-
    How Spark keeps tables: Parquet below <home>/spark/<schema>/<table>, what grows and has a day in
    a folder per UTC day. dbt itself looks up what is named spark__, and get_insert_overwrite_sql;
    on DuckDB nothing of this file is used but the two empty forms.
-#}


{#- Where a table is: given, so that a session finds again what another has left. -#}
{% macro spark__location_clause() -%}
    location '{{ place_of_table(model.schema, model.alias) }}'
{%- endmacro %}

{% macro place_of_table(schema, name) %}
    {{- return(home_of_files() ~ 'spark/' ~ schema ~ '/' ~ name) -}}
{% endmacro %}


{% macro spark__partition_cols(label, required=false) -%}
    {%- if is_kept_by_day(model) -%}
        {{ label }} (event_date)
    {%- endif -%}
{%- endmacro %}

{% macro is_kept_by_day(node) %}
    {{- return(
        node.config.materialized == 'incremental' and 'event_date' in node.columns
    ) -}}
{% endmacro %}


{#-
    What delete+insert by unique_key does, for tables of which only whole days, or all, can be
    written: the new rows, and of the days that they or their keys are on the rows of other keys. A
    day that is left without a row is emptied. Written twice, it comes out the same.
-#}
{% macro get_insert_overwrite_sql(source_relation, target_relation, existing_relation) %}
    {%- set key = config.require('unique_key') -%}
    {%- set keys = key if key is string else key | join(', ') -%}
    {%- set columns = adapter.get_columns_in_relation(target_relation)
        | map(attribute='name') | join(', ') -%}
    {%- set arrived = written_aside(
        'new_rows__', 'select ' ~ columns ~ ' from ' ~ source_relation
    ) -%}
    {%- if not run_query('select 1 from ' ~ arrived ~ ' limit 1').rows -%}
        {{- return('select 1 as nothing_arrived') -}}
    {%- endif -%}
    {%- set others -%}
        select {{ columns }} from {{ arrived }}
        union all
        select {{ columns }} from {{ target_relation }} anti join {{ arrived }} using ({{ keys }})
    {%- endset -%}
    {%- if not is_kept_by_day(model) -%}
        {%- set whole = written_aside('all_rows__', others) -%}
        {{- return(
            'insert overwrite table ' ~ target_relation ~ ' select ' ~ columns ~ ' from ' ~ whole
        ) -}}
    {%- endif -%}
    {%- do run_query(
        'insert overwrite table ' ~ target_relation ~ ' partition (event_date) '
        ~ others
        ~ ' where event_date in (select event_date from ' ~ arrived
        ~ ' union select event_date from ' ~ target_relation ~ ' semi join ' ~ arrived
        ~ ' using (' ~ keys ~ '))'
    ) -%}
    {%- set emptied -%}
        select distinct cast(event_date as string) as day
        from {{ target_relation }}
        semi join {{ arrived }} using ({{ keys }})
        where event_date not in (select event_date from {{ arrived }})
    {%- endset -%}
    {%- for row in run_query(emptied).rows -%}
        {%- do run_query(
            'insert overwrite table ' ~ target_relation ~ " partition (event_date = date '"
            ~ row['day'] ~ "') select " ~ columns | replace(', event_date', '') ~ ' from ' ~ arrived
            ~ ' where false'
        ) -%}
    {%- endfor -%}
    {{- return('select count(*) as arrived_rows from ' ~ arrived) -}}
{% endmacro %}


{#- A table beside that of the model, for as long as it is being written. -#}
{% macro written_aside(purpose, query) %}
    {%- set name = model.alias ~ '__' ~ purpose -%}
    {%- set aside = model.schema ~ '.' ~ name -%}
    {%- do run_query('drop table if exists ' ~ aside) -%}
    {%- do run_query(
        'create table ' ~ aside ~ " using parquet location '" ~ place_of_table('aside', name)
        ~ "' as " ~ query
    ) -%}
    {{- return(aside) -}}
{% endmacro %}


{#-
    A session knows no tables when it starts. What the last complete build noted of those that grow
    is made known again; the note is withdrawn until this build is complete, so that tables which it
    left half-written are trusted by nobody.
-#}
{% macro recall_tables() %}
    {%- if execute -%}
        {{- adapter.dispatch('recall_tables', 'warehouse')() -}}
    {%- endif -%}
{% endmacro %}

{% macro duckdb__recall_tables() %}{% endmacro %}

{% macro spark__recall_tables() %}
    {%- for row in run_query('select * from ' ~ read_files(['spark/noted'])).rows if row['name'] -%}
        {%- set table = row['schema'] ~ '.' ~ row['name'] -%}
        {%- do run_query('create schema if not exists ' ~ row['schema']) -%}
        {%- do run_query(
            'create table if not exists ' ~ table ~ ' (' ~ row['columns'] ~ ') using parquet '
            ~ ('partitioned by (event_date) ' if row['is_kept_by_day'])
            ~ "location '" ~ place_of_table(row['schema'], row['name']) ~ "'"
        ) -%}
        {%- if row['is_kept_by_day'] -%}
            {%- do run_query('msck repair table ' ~ table) -%}
        {%- endif -%}
        {%- do adapter.cache_added(
            api.Relation.create(schema=row['schema'], identifier=row['name'], type='table')
        ) -%}
    {%- endfor -%}
    {%- do note([]) -%}
{% endmacro %}


{#- Notes the tables that grow, if every model was built. -#}
{% macro note_tables(results) %}
    {%- if execute -%}
        {{- adapter.dispatch('note_tables', 'warehouse')(results) -}}
    {%- endif -%}
{% endmacro %}

{% macro duckdb__note_tables(results) %}{% endmacro %}

{% macro spark__note_tables(results) %}
    {%- set rows = [] -%}
    {%- for result in results
        if result.node.resource_type == 'model' and result.status == 'error' -%}
        {{- return('') -}}
    {%- endfor -%}
    {%- for node in graph.nodes.values() if node.config.materialized == 'incremental' -%}
        {%- set relation = adapter.get_relation(none, node.schema, node.alias) -%}
        {%- set columns = [] -%}
        {%- for column in adapter.get_columns_in_relation(relation) if relation -%}
            {%- do columns.append('`' ~ column.name ~ '` ' ~ column.dtype) -%}
        {%- endfor -%}
        {%- if columns -%}
            {%- do rows.append(
                (node.schema, node.alias, columns | join(', '), is_kept_by_day(node))
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do note(rows) -%}
{% endmacro %}

{% macro note(rows) %}
    {%- set values = ["('', '', '', false)"] -%}
    {%- for schema, name, columns, by_day in rows -%}
        {%- do values.append(
            "('" ~ schema ~ "', '" ~ name ~ "', '" ~ columns ~ "', " ~ by_day ~ ')'
        ) -%}
    {%- endfor -%}
    {%- do run_query(
        "insert overwrite directory '" ~ home_of_files() ~ "spark/noted' using parquet "
        ~ 'select * from values ' ~ values | join(', ')
        ~ ' as noted (`schema`, name, columns, is_kept_by_day)'
    ) -%}
{% endmacro %}
