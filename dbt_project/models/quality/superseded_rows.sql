{{ config(materialized='view') }}

-- Losing versions of events; every version of a reference counts as used.
with superseded as (
    {%- for entity, key in platform_entities()[:5] %}

    select
        '{{ entity }}' as source,
        losers.load_id,
        losers.file_id,
        losers.{{ key[0] }} as key_value,
        losers.version_rank,
        losers.revision,
        losers.event_date,
        winners.revision as winning_revision,
        winners.file_id as winning_file_id,
        case
            when losers.revision < winners.revision then 'lower revision'
            else 'equal revision, lesser content'
        end as reason
    from {{ ref('int_' ~ entity ~ '_versioned') }} as losers
    inner join {{ ref('int_' ~ entity ~ '_versioned') }} as winners
        on losers.{{ key[0] }} = winners.{{ key[0] }} and winners.is_current
    where not losers.is_current
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

)

select * from superseded
