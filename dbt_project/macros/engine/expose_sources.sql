{#-
    Relations over the Parquet files that this night reads: of the source `raw` those of load 0
    (empty, typed) and of the loads to apply, by an explicit list; of the source `run` its one file.
    run/loads.parquet says which. Nothing is parsed from paths, and nothing here outlives the dbt
    run where the catalogue is in memory: DuckDB's database `scratch`, and Spark's in a session.
-#}
{% macro expose_sources() %}
    {%- if execute -%}
        {%- for schema in ('raw', 'run', 'staging') -%}
            {%- do run_query('create schema if not exists ' ~ scratch_schema(schema)) -%}
        {%- endfor -%}
        {%- set files = {} -%}
        {%- set listing -%}
            select source, path from {{ read_files(['run/loads.parquet']) }}
            where is_to_apply or load_id = 0
            order by load_id, path
        {%- endset -%}
        {%- for row in run_query(listing).rows -%}
            {%- do files.setdefault(row['source'], []).append(row['path']) -%}
        {%- endfor -%}
        {%- for source in graph.sources.values() -%}
            {%- set paths = files[source.name] if source.source_name == 'raw'
                else ['run/' ~ source.name ~ '.parquet'] -%}
            {%- for statement in exposed(source, paths) -%}
                {%- do run_query(statement) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}


{#- The statements that make a source readable: its Parquet files, columns matched by name. -#}
{% macro exposed(source, paths) %}
    {{- return(adapter.dispatch('exposed', 'warehouse')(source, paths)) -}}
{% endmacro %}

{% macro duckdb__exposed(source, paths) %}
    {{- return([
        'create or replace view ' ~ scratch_schema(source.schema) ~ '.' ~ source.name
        ~ ' as select * from ' ~ read_files(paths)
    ]) -}}
{% endmacro %}

{#-
    A table with the columns of the contract, so that no file is opened to learn them. Each load is
    a partition in its own place, which `load_folder` only tells apart.
-#}
{% macro spark__exposed(source, paths) %}
    {%- set relation = source.schema ~ '.' ~ source.name -%}
    {%- set columns = [] -%}
    {%- for column in source.columns.values() -%}
        {%- do columns.append('`' ~ column.name ~ '` ' ~ spark_type(column.data_type)) -%}
    {%- endfor -%}
    {%- set create = 'create table ' ~ relation ~ ' (' ~ columns | join(', ') -%}
    {%- set statements = ['drop table if exists ' ~ relation] -%}
    {%- if source.source_name == 'raw' -%}
        {%- set parts = [] -%}
        {%- set folders = [] -%}
        {%- for path in paths -%}
            {%- do folders.append(path.rsplit('/', 1)[0]) -%}
        {%- endfor -%}
        {%- for folder in folders | unique -%}
            {%- do parts.append(
                "partition (load_folder = '" ~ loop.index ~ "') location '"
                ~ home_of_files() ~ folder ~ "'"
            ) -%}
        {%- endfor -%}
        {%- do statements.append(
            create ~ ', load_folder string) using parquet partitioned by (load_folder) location \''
            ~ home_of_files() ~ 'raw\''
        ) -%}
        {%- do statements.append('alter table ' ~ relation ~ ' add ' ~ parts | join(' ')) -%}
    {%- else -%}
        {%- do statements.append(
            create ~ ") using parquet location '" ~ home_of_files() ~ paths[0] ~ "'"
        ) -%}
    {%- endif -%}
    {{- return(statements) -}}
{% endmacro %}


{#- A type of the contract in Spark's words. -#}
{% macro spark_type(data_type) %}
    {%- if data_type.endswith('[]') -%}
        {{- return('array<' ~ data_type[:-2] ~ '>') -}}
    {%- elif data_type.startswith('map(') -%}
        {{- return('map<' ~ data_type[4:-1] ~ '>') -}}
    {%- endif -%}
    {{- return(data_type) -}}
{% endmacro %}


{% macro scratch_schema(schema) %}
    {{- return(adapter.dispatch('scratch_schema', 'warehouse')(schema)) -}}
{% endmacro %}

{% macro duckdb__scratch_schema(schema) %}
    {{- return('scratch.' ~ schema) -}}
{% endmacro %}

{% macro spark__scratch_schema(schema) %}
    {{- return(schema) -}}
{% endmacro %}


{#- A relation over Parquet files of the home, columns matched by name. -#}
{% macro read_files(paths) %}
    {{- return(adapter.dispatch('read_files', 'warehouse')(paths)) -}}
{% endmacro %}

{% macro duckdb__read_files(paths) %}
    {%- set quoted = [] -%}
    {%- for path in paths -%}
        {%- do quoted.append("'" ~ (home_of_files() ~ path) | replace("'", "''") ~ "'") -%}
    {%- endfor -%}
    {{- return('read_parquet([' ~ quoted | join(', ') ~ '], union_by_name = true)') -}}
{% endmacro %}

{% macro spark__read_files(paths) %}
    {{- return('parquet.`' ~ home_of_files() ~ paths[0] ~ '`') -}}
{% endmacro %}


{#- The folder that the paths of files are relative to, with a slash at its end. -#}
{% macro home_of_files() %}
    {{- return(env_var('WAREHOUSE_BUILD_FILE') | replace('build/warehouse.duckdb', '')) -}}
{% endmacro %}
