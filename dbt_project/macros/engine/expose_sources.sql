{#-
    Views over the Parquet files that this night reads: of the source `raw` the files of load 0
    (empty, typed) and of the loads to apply, by an explicit list; of the source `run` its one file.
    run/loads.parquet says which. Nothing is parsed from paths, and no view outlives the dbt run on
    DuckDB, whose database `scratch` is in memory.
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
            {%- do run_query(
                'create or replace view ' ~ scratch_schema(source.schema) ~ '.' ~ source.name
                ~ ' as select * from ' ~ read_files(paths)
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}


{% macro scratch_schema(schema) %}
    {{- return(adapter.dispatch('scratch_schema', 'warehouse')(schema)) -}}
{% endmacro %}

{% macro duckdb__scratch_schema(schema) %}
    {{- return('scratch.' ~ schema) -}}
{% endmacro %}


{#- A relation over Parquet files of the home, columns matched by name. -#}
{% macro read_files(paths) %}
    {{- return(adapter.dispatch('read_files', 'warehouse')(paths)) -}}
{% endmacro %}

{% macro duckdb__read_files(paths) %}
    {%- set home = target.path | replace('build/warehouse.duckdb', '') -%}
    {%- set quoted = [] -%}
    {%- for path in paths -%}
        {%- do quoted.append("'" ~ (home ~ path) | replace("'", "''") ~ "'") -%}
    {%- endfor -%}
    {{- return('read_parquet([' ~ quoted | join(', ') ~ '], union_by_name = true)') -}}
{% endmacro %}
