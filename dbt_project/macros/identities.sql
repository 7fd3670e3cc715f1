{#-
    The rows of a relation with the user whom their identities name: the platform's own id, else
    what the map says of account, e-mail or installation, else the identity itself.

    What the platform sent names its user, and is not joined: it may be much, and would be hashed.
-#}
{% macro with_users(relation, identities, columns) -%}
with platform_rows as (

    select
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        user_id
    from {{ relation }}
    where account_uuid is null and email is null and installation_id is null

),

telemetry_rows as (

    select * from {{ relation }}
    where account_uuid is not null or email is not null or installation_id is not null

),

identified_rows as (

    select
        {%- for column in columns %}
        telemetry_rows.{{ column }},
        {%- endfor %}
        coalesce(
            telemetry_rows.user_id,
            by_account.user_id,
            by_email.user_id,
            by_installation.user_id,
            telemetry_rows.account_uuid,
            lower(telemetry_rows.email),
            telemetry_rows.installation_id
        ) as user_id
    from telemetry_rows
    left join {{ identities }} as by_account on telemetry_rows.account_uuid = by_account.identity
    left join {{ identities }} as by_email on lower(telemetry_rows.email) = by_email.identity
    left join {{ identities }} as by_installation
        on telemetry_rows.installation_id = by_installation.identity

),

attributed as (

    select * from platform_rows

    union all

    select * from identified_rows

)

select * from attributed
{%- endmacro %}
