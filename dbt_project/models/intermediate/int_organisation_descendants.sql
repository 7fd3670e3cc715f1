with recursive organisations as (

    select
        organisation_id,
        parent_organisation_id
    from {{ ref('int_organisations_as_of') }}

),

stated_links as (

    select
        parent_organisation_id as organisation_id,
        organisation_id as included_id
    from organisations
    where parent_organisation_id is not null

),

{{ inclusions('stated_links', 'stated') }},

-- An organisation that includes itself is on a cycle: its parent does not count.
on_cycles as (

    select organisation_id
    from stated_all
    where organisation_id = included_id

),

links as (

    select
        organisation_id,
        included_id
    from stated_links
    where included_id not in (select organisation_id from on_cycles)

),

{{ inclusions('links', 'linked') }},

-- A parent without a row of its own is an organisation all the same.
each_organisation as (

    select organisation_id from organisations

    union

    select organisation_id from stated_links

),

descendants as (

    select
        organisation_id,
        organisation_id as descendant_id
    from each_organisation

    union all

    select
        organisation_id,
        included_id as descendant_id
    from linked_all

),

marked as (

    select
        organisation_id,
        descendant_id,
        organisation_id in (select organisation_id from on_cycles) as is_on_cycle
    from descendants

)

select * from marked
