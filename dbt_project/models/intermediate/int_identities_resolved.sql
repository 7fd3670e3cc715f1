-- What the map says and users' own e-mails; an identity that two users share is nobody's.
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
        min(user_id) as user_id
    from claimed
    group by identity
    having count(*) = 1

)

select * from resolved
