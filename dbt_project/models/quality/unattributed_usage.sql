-- Usage that counts in every total, and that no user, agent or organisation answers for.
with
{% set kinds = [
    ('runs', ref('int_runs_enriched'), "'platform'", ['user', 'agent', 'organisation'],
     'true', 'count(*)', '0', 'input_tokens_total + output_tokens_total', 'null'),
    ('llm_requests', ref('int_llm_requests_attributed'), 'client', ['user'],
     'true', 'count_if(is_request)', '0',
     'coalesce(input_tokens, 0) + coalesce(cache_read_tokens, 0) + coalesce(output_tokens, 0)'
     ~ ' + coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0)',
     'estimated_cost_usd'),
    ('tool_calls', ref('int_tool_calls_attributed'), 'client', ['user'],
     'true', 'count(*)', '0', '0', 'null'),
    ('credit_lines', ref('int_credit_lines_attributed'), "'platform'",
     ['user', 'agent', 'organisation'], 'is_consumption', 'count(*)', 'credits', '0', 'null'),
] -%}
{% for usage, relation, client, owners, condition, events, credits, tokens, cost in kinds -%}
{% for owner in owners -%}
{{ usage }}_by_{{ owner }} as (

    select
        '{{ usage }}' as usage,
        {{ client }} as client,
        '{{ owner }}' as owner,
        {{ owner }}_id as owner_id,
        cast({{ events }} as bigint) as event_count,
        cast(coalesce(sum({{ tokens }}), 0) as bigint) as tokens,
        cast(coalesce(sum({{ credits }}), 0) as decimal(38, 12)) as credits,
        cast(sum({{ cost }}) as decimal(38, 12)) as estimated_cost_usd
    from {{ relation }}
    where {{ condition }}
    group by {{ 'client, ' if client == 'client' }}{{ owner }}_id

),

{% endfor -%}
{% endfor -%}
owned as (
    {%- for usage, relation, client, owners, condition, events, credits, tokens, cost in kinds -%}
    {%- set outer = loop %}
    {%- for owner in owners %}

    select * from {{ usage }}_by_{{ owner }}
    {%- if not (loop.last and outer.last) %}

    union all
    {%- endif %}
    {%- endfor %}
    {%- endfor %}

),

known as (

    select
        'user' as owner,
        user_id as owner_id
    from {{ ref('int_users_as_of') }}

    union all

    select
        'agent' as owner,
        agent_id as owner_id
    from {{ ref('int_agents_as_of') }}

    union all

    select
        'organisation' as owner,
        organisation_id as owner_id
    from {{ ref('int_organisations_as_of') }}

),

shared as (

    select identity from {{ ref('int_identities_resolved') }}
    where claimant_count > 1

),

explained as (

    select
        owned.usage,
        owned.client,
        owned.owner,
        coalesce(owned.owner_id, {{ unattributed() }}) as owner_id,
        case
            when owned.owner_id is null then 'not_named'
            when shared.identity is not null then 'claimed_by_several_users'
            else 'unknown'
        end as reason,
        owned.event_count,
        owned.tokens,
        owned.credits,
        owned.estimated_cost_usd
    from owned
    left join known on owned.owner = known.owner and owned.owner_id = known.owner_id
    left join shared on owned.owner = 'user' and owned.owner_id = shared.identity
    where known.owner_id is null

)

select * from explained
