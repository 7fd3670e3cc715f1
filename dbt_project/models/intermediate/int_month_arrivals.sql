-- Which figures the rows of the loads that were not kept yet may have changed: the month and keys
-- of every version of what they name, since a correction moves a figure from one key, or one month,
-- to another. By file, which is the one that brought the change.
with new_loads as (

    select load_id from {{ source('run', 'new_loads') }}

),

month_days as (

    select * from {{ source('run', 'month_days') }}

),

arrived_runs as (

    select
        run_id,
        file_id
    from {{ ref('int_agent_runs_versioned') }}
    where load_id in (select load_id from new_loads)

),

arrived_requests as (

    select
        request_id,
        file_id
    from {{ ref('int_llm_requests_versioned') }}
    where load_id in (select load_id from new_loads)

),

request_versions as (

    select
        versions.run_id,
        'platform' as client,
        versions.provider,
        versions.model,
        versions.requested_at as counted_at,
        arrived_requests.file_id
    from {{ ref('int_llm_requests_versioned') }} as versions
    inner join arrived_requests on versions.request_id = arrived_requests.request_id

),

-- A run has the tokens of its requests, also those that an older version of one gave it.
touched_runs as (

    select
        run_id,
        file_id
    from arrived_runs

    union

    select
        run_id,
        file_id
    from request_versions
    where run_id is not null

),

run_versions as (

    select
        versions.agent_id,
        versions.user_id,
        versions.started_at,
        touched_runs.file_id
    from {{ ref('int_agent_runs_versioned') }} as versions
    inner join touched_runs on versions.run_id = touched_runs.run_id

),

touched_lines as (

    select
        line_id,
        file_id
    from {{ ref('int_credit_lines_versioned') }}
    where load_id in (select load_id from new_loads)

    union

    select
        lines.line_id,
        arrived_runs.file_id
    from {{ ref('int_credit_lines_versioned') }} as lines
    inner join arrived_runs on lines.run_id = arrived_runs.run_id

),

line_versions as (

    select
        versions.organisation_id,
        versions.category,
        versions.agent_id,
        versions.user_id,
        versions.run_id,
        versions.occurred_at,
        touched_lines.file_id
    from {{ ref('int_credit_lines_versioned') }} as versions
    inner join touched_lines on versions.line_id = touched_lines.line_id

),

-- A line is its own agent's and user's, else those of its run, which may not have been known.
line_owners as (

    select
        organisation_id,
        category,
        agent_id,
        user_id,
        occurred_at,
        file_id
    from line_versions

    union

    select
        line_versions.organisation_id,
        line_versions.category,
        coalesce(line_versions.agent_id, runs.agent_id) as agent_id,
        coalesce(line_versions.user_id, runs.user_id) as user_id,
        line_versions.occurred_at,
        line_versions.file_id
    from line_versions
    inner join {{ ref('int_agent_runs_versioned') }} as runs
        on line_versions.run_id = runs.run_id

),

-- A record decides its whole session or trace.
touched_units as (

    select distinct
        unit_key,
        file_id
    from {{ ref('int_telemetry_records_deduplicated') }}
    where load_id in (select load_id from new_loads)

),

requests as (

    select
        client,
        provider,
        model,
        counted_at,
        file_id
    from request_versions

    union all

    -- A request that the platform tells too counts as the platform's, in whatever order they come.
    select
        telemetry.client,
        telemetry.provider,
        telemetry.model,
        telemetry.recorded_at as counted_at,
        arrived_requests.file_id
    from {{ ref('int_telemetry_requests_decided') }} as telemetry
    inner join arrived_requests on telemetry.request_id = arrived_requests.request_id
    {%- for model in ['int_telemetry_requests_decided', 'int_telemetry_points_decided'] %}

    union all

    select
        telemetry.client,
        telemetry.provider,
        telemetry.model,
        telemetry.recorded_at as counted_at,
        touched_units.file_id
    from {{ ref(model) }} as telemetry
    inner join touched_units on telemetry.unit_key = touched_units.unit_key
    {%- endfor %}

),

touched as (
    {%- for cut, relation, at in [
        ('billing', 'line_owners', 'occurred_at'),
        ('agent', 'run_versions', 'started_at'),
        ('user', 'run_versions', 'started_at'),
        ('user', 'line_owners', 'occurred_at'),
        ('model', 'requests', 'counted_at'),
    ] %}

    select
        month_days.month,
        '{{ cut }}' as cut,
        {{ keys_of_cut(cut) }},
        file_id
    from {{ relation }}
    inner join month_days
        on
            {{ in_month(at) }}
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

)

select distinct * from touched
