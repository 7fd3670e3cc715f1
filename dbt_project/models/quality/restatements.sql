{%- set keys = month_keys() -%}
-- What was kept of the months that were shown whole, held against what the same months add up to
-- now. What earlier nights restated stays listed, as kept with the months.
with night as (

    select * from {{ source('run', 'night') }}

),

kept_night as (

    select * from {{ source('run', 'kept_night') }}

),

kept_months as (

    select month from {{ source('run', 'kept_months') }}

),

both_values as (

    select
        month,
        cut,
        figure,
        {{ keys | join(',\n        ') }},
        figure_value as old_value,
        cast(0 as decimal(38, 12)) as new_value
    from {{ source('run', 'kept_figures') }}

    union all

    select
        month,
        cut,
        figure,
        {{ keys | join(',\n        ') }},
        cast(0 as decimal(38, 12)) as old_value,
        figure_value as new_value
    from {{ ref('int_month_figures') }}
    where cut <> 'month' and month in (select month from kept_months)

),

compared as (

    select
        month,
        cut,
        figure,
        {{ keys | join(',\n        ') }},
        cast(sum(old_value) as decimal(38, 12)) as old_value,
        cast(sum(new_value) as decimal(38, 12)) as new_value
    from both_values
    group by all

),

changed as (

    select * from compared
    where old_value <> new_value

),

arrivals as (

    select
        arrivals.month,
        arrivals.cut,
        {%- for key in keys %}
        arrivals.{{ key }},
        {%- endfor %}
        {{ joined('array_sort(array_agg(distinct files.path))', ', ') }} as files
    from {{ ref('int_month_arrivals') }} as arrivals
    inner join {{ ref('landed_files') }} as files on arrivals.file_id = files.file_id
    where arrivals.month in (select month from kept_months)
    group by all

),

restated_figures as (

    select
        changed.*,
        case
            when kept_night.timezone <> night.timezone then 'timezone'
            when
                changed.figure = 'estimated_cost_usd'
                and kept_night.price_version <> night.price_version
                then
                    case
                        when arrivals.files is null then 'prices'
                        else 'late_or_corrected_and_prices'
                    end
            when arrivals.files is null and kept_night.facts_version <> night.facts_version
                then 'rules'
            else 'late_or_corrected'
        end as cause,
        arrivals.files
    from changed
    cross join night
    cross join kept_night
    left join arrivals
        on
            changed.month = arrivals.month
            and changed.cut = arrivals.cut
            {%- for key in keys %}
            and changed.{{ key }} is not distinct from arrivals.{{ key }}
            {%- endfor %}

),

-- A night that looks back from before what was kept sees older names, and restates none.
names as (

    select
        names.kind,
        names.id,
        kept_names.name as old_name,
        names.name as new_name,
        files.path as files
    from {{ ref('int_names_as_of') }} as names
    left join {{ ref('landed_files') }} as files on names.file_id = files.file_id
    left join {{ source('run', 'kept_names') }} as kept_names
        on names.kind = kept_names.kind and names.id = kept_names.id
    where names.name is distinct from kept_names.name

),

renamed as (

    select names.* from names
    inner join night on true
    inner join kept_night on night.as_of >= kept_night.as_of

),

months_of_ids as (
    {%- for kind, key in [
        ('organisation_name', 'organisation_id'), ('agent_name', 'agent_id'),
        ('user_email', 'user_id'), ('user_team', 'user_id'),
    ] %}

    select distinct
        kept_figures.month,
        renamed.kind,
        renamed.id
    from {{ source('run', 'kept_figures') }} as kept_figures
    inner join renamed on kept_figures.{{ key }} = renamed.id and renamed.kind = '{{ kind }}'
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

restated_names as (

    select
        months_of_ids.month,
        'name' as cut,
        renamed.kind as figure,
        case when renamed.kind = 'organisation_name' then renamed.id end as organisation_id,
        cast(null as string) as category,
        case when renamed.kind = 'agent_name' then renamed.id end as agent_id,
        case when renamed.kind in ('user_email', 'user_team') then renamed.id end as user_id,
        cast(null as string) as client,
        cast(null as string) as provider,
        cast(null as string) as model,
        renamed.old_name,
        renamed.new_name,
        case when renamed.kind = 'user_team' then 'teams' else 'names' end as cause,
        renamed.files
    from renamed
    inner join months_of_ids
        on renamed.kind = months_of_ids.kind and renamed.id = months_of_ids.id

),

restated as (

    select
        month,
        cut,
        figure,
        {{ keys | join(',\n        ') }},
        old_value,
        new_value,
        cast(new_value - old_value as decimal(38, 12)) as difference,
        cast(null as string) as old_name,
        cast(null as string) as new_name,
        cause,
        files
    from restated_figures

    union all

    select
        month,
        cut,
        figure,
        {{ keys | join(',\n        ') }},
        cast(null as decimal(38, 12)) as old_value,
        cast(null as decimal(38, 12)) as new_value,
        cast(null as decimal(38, 12)) as difference,
        old_name,
        new_name,
        cause,
        files
    from restated_names

),

listed as (

    select * from {{ source('run', 'kept_restatements') }}

    union all

    select
        night.night_id,
        restated.*,
        restated.month in (select month from {{ source('run', 'closed_months') }}) as is_closed
    from restated
    cross join night

)

select * from listed
