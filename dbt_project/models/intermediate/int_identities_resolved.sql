-- What the map says and users' own e-mails; an identity that several users claim is nobody's.
with claimed as (

    select
        case when identity like '%@%' then lower(identity) else identity end as identity,
        user_id
    from {{ ref('int_user_identities_as_of') }}
    where user_id is not null

    union

    select
        lower(email) as identity,
        user_id
    from {{ ref('int_users_as_of') }}
    where email <> ''

),

resolved as (

    select
        identity,
        case when count(*) = 1 then min(user_id) end as user_id,
        count(*) as claimant_count
    from claimed
    group by identity

)

select * from resolved
