{{ config(materialized='incremental', unique_key='run_id') }}

-- A run and its requests are decided together: a row of either writes the whole run again, also the
-- run that an older version of a request belonged to.
with touched_runs as (

    select run_id from {{ ref('stg_agent_runs') }}

    union

    select run_id from {{ ref('int_llm_requests_versioned') }}
    semi join {{ ref('stg_llm_requests') }} using (request_id)
    where run_id is not null

),

runs as (

    select * from {{ ref('int_agent_runs_versioned') }}
    semi join touched_runs using (run_id)
    where is_current

),

requests as (

    select * from {{ ref('int_llm_requests_versioned') }}
    semi join touched_runs using (run_id)
    where is_current

),

requests_per_model as (

    select
        run_id,
        model,

        count(*) as request_count,
        cast(coalesce(sum(input_tokens), 0) as bigint) as input_tokens,
        cast(coalesce(sum(cache_read_tokens), 0) as bigint) as cache_read_tokens,
        cast(
            coalesce(sum(cache_write_5m_tokens), 0) + coalesce(sum(cache_write_1h_tokens), 0)
            as bigint
        ) as cache_write_tokens,
        cast(coalesce(sum(output_tokens), 0) as bigint) as output_tokens

    from requests
    group by run_id, model

),

main_models as (

    select
        run_id,
        model
    from requests_per_model
    qualify
        row_number() over (
            partition by run_id
            order by
                request_count desc,
                input_tokens + cache_read_tokens + cache_write_tokens + output_tokens desc,
                model
        ) = 1

),

requests_per_run as (

    select
        run_id,

        cast(sum(request_count) as bigint) as request_count,
        cast(sum(input_tokens + cache_read_tokens + cache_write_tokens) as bigint)
            as input_tokens_total,
        cast(sum(output_tokens) as bigint) as output_tokens_total

    from requests_per_model
    group by run_id

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

        coalesce(runs.model, main_models.model) as model,
        runs.status,
        runs.error_type,
        runs.tags,
        runs.status = 'failed' as is_failed,

        coalesce(requests_per_run.request_count, 0) as request_count,
        coalesce(
            requests_per_run.input_tokens_total,
            coalesce(runs.input_tokens, 0)
            + coalesce(runs.cache_read_tokens, 0)
            + coalesce(runs.cache_write_tokens, 0)
        ) as input_tokens_total,
        coalesce(requests_per_run.output_tokens_total, runs.output_tokens, 0)
            as output_tokens_total,
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
