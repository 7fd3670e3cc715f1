{{ config(materialized='incremental', unique_key='run_id') }}

-- A run and its requests are decided together: a row of either writes the whole run again, also the
-- run that an older version of a request belonged to.
-- depends_on: {{ ref('stg_agent_runs') }}
-- depends_on: {{ ref('stg_llm_requests') }}
with
{% if is_incremental() -%}
touched_runs as (

    select run_id from {{ ref('stg_agent_runs') }}

    union

    select run_id from {{ ref('int_llm_requests_versioned') }}
    semi join {{ ref('stg_llm_requests') }} using (request_id)
    where run_id is not null

),

{% endif -%}
runs as (

    select * from {{ ref('int_agent_runs_versioned') }}
    where
        is_current
        {%- if is_incremental() %}
        and run_id in (select run_id from touched_runs)
        {%- endif %}

),

requests as (

    select
        run_id,
        model,
        coalesce(input_tokens, 0)
        + coalesce(cache_read_tokens, 0)
        + coalesce(cache_write_5m_tokens, 0)
        + coalesce(cache_write_1h_tokens, 0) as input_tokens_total,
        coalesce(output_tokens, 0) as output_tokens_total,
        estimated_cost_usd,
        reported_cost_usd
    from {{ ref('int_llm_requests_versioned') }}
    where
        is_current
        and run_id is not null
        {%- if is_incremental() %}
        and run_id in (select run_id from touched_runs)
        {%- endif %}

),

requests_per_run as (

    select
        run_id,
        min(model) as least_model,
        max(model) as greatest_model,

        count(*) as request_count,
        cast(sum(input_tokens_total) as bigint) as input_tokens_total,
        cast(sum(output_tokens_total) as bigint) as output_tokens_total,
        cast(sum(estimated_cost_usd) as decimal(38, 12)) as estimated_cost_usd,
        cast(sum(reported_cost_usd) as decimal(38, 12)) as reported_cost_usd

    from requests
    group by run_id

),

-- Few runs leave their model to requests that name several: only those are counted by model.
mixed_runs as (

    select requests_per_run.run_id from requests_per_run
    inner join runs on requests_per_run.run_id = runs.run_id
    where runs.model is null and requests_per_run.least_model <> requests_per_run.greatest_model

),

main_models as (

    select
        run_id,
        model,
        count(*) as request_count,
        sum(input_tokens_total + output_tokens_total) as tokens_total
    from requests
    semi join mixed_runs using (run_id)
    group by run_id, model
    qualify
        row_number() over (
            partition by run_id
            order by request_count desc, tokens_total desc, model asc
        ) = 1

),

enriched as (

    select
        runs.load_id,
        runs.file_id,
        runs.run_id,
        runs.agent_id,
        runs.user_id,
        runs.organisation_id,
        runs.session_id,
        runs.conversation_id,
        runs.api_key_id,

        runs.provider,
        coalesce(runs.model, main_models.model, requests_per_run.least_model) as model,
        runs.status,
        runs.error_type,
        runs.tags,
        runs.status = 'failed' as is_failed,

        coalesce(requests_per_run.request_count, 0) as request_count,
        {{ stated_input_tokens('runs') }} as stated_input_tokens,
        runs.output_tokens as stated_output_tokens,
        coalesce(
            requests_per_run.input_tokens_total, {{ stated_input_tokens('runs') }}, 0
        ) as input_tokens_total,
        coalesce(requests_per_run.output_tokens_total, runs.output_tokens, 0)
            as output_tokens_total,
        requests_per_run.estimated_cost_usd,
        requests_per_run.reported_cost_usd,
        coalesce(
            runs.latency_ms,
            case
                when runs.ended_at >= runs.started_at
                    then
                        {{ milliseconds(
                            microseconds_of('runs.ended_at')
                            ~ ' - ' ~ microseconds_of('runs.started_at')
                        ) }}
            end
        ) as latency_ms,

        runs.started_at,
        runs.ended_at,
        runs.event_date
    from runs
    left join requests_per_run on runs.run_id = requests_per_run.run_id
    left join main_models on runs.run_id = main_models.run_id

)

select * from enriched
