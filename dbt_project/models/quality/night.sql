{%- set instants = [
    ('int_runs_enriched', 'started_at'),
    ('int_llm_requests_versioned', 'requested_at'),
    ('int_tool_calls_versioned', 'called_at'),
    ('int_conversation_messages_versioned', 'sent_at'),
    ('int_credit_lines_attributed', 'occurred_at'),
    ('int_otlp_records_deduplicated', 'recorded_at'),
] -%}
with night as (

    select * from {{ source('run', 'night') }}

),

newest as (

    {% for model, instant in instants -%}
    select max({{ instant }}) as happened_at
    from {{ ref(model) }}
    where {{ instant }} < (select as_of from night)
    {%- if not loop.last %}

    union all

    {% endif %}
    {%- endfor %}

)

select
    night.night_id,
    night.as_of,
    night.timezone,
    night.week_start,
    night.code_version,
    night.price_version,
    (select max(happened_at) from newest) as data_through
from night
