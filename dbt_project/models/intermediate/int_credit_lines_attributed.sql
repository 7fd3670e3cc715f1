{{ config(materialized='incremental', unique_key='line_id') }}

-- A line and the run that it names are decided together: a row of either writes the line again.
-- depends_on: {{ ref('stg_credit_lines') }}
-- depends_on: {{ ref('stg_agent_runs') }}
with
{% if is_incremental() -%}
touched_lines as (

    select line_id from {{ ref('stg_credit_lines') }}

    union

    select line_id from {{ ref('int_credit_lines_versioned') }}
    semi join {{ ref('stg_agent_runs') }} using (run_id)

),

{% endif -%}
lines as (

    select * from {{ ref('int_credit_lines_versioned') }}
    where
        is_current
        {%- if is_incremental() %}
        and line_id in (select line_id from touched_lines)
        {%- endif %}

),

runs as (

    select
        run_id,
        agent_id,
        user_id
    from {{ ref('int_agent_runs_versioned') }}
    where
        is_current
        {%- if is_incremental() %}
        and run_id in (select run_id from lines)
        {%- endif %}

),

attributed as (

    select
        lines.load_id,
        lines.file_id,
        lines.line_id,
        lines.organisation_id,
        lines.conversation_id,
        lines.run_id,
        runs.run_id is not null as is_run_known,
        coalesce(lines.agent_id, runs.agent_id) as agent_id,
        coalesce(lines.user_id, runs.user_id) as user_id,

        lines.category,
        lines.description,
        lines.kind,
        lines.kind in ('usage', 'refund', 'adjustment') as is_consumption,

        lines.credits,

        lines.occurred_at,
        lines.event_date
    from lines
    left join runs on lines.run_id = runs.run_id

)

select * from attributed
