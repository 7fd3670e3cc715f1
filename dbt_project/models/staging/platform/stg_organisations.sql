with source as (

    select * from {{ source('raw', 'organisations') }}

),

typed as (

    select
        load_id,
        file_id,
        organisation_id,
        name,
        parent_organisation_id,
        updated_at,
        extra
    from source

)

select * from typed
