{#- Every key that this night touched (or, in a full check, every key) has one current version. -#}
{% test one_current_version(model, key) %}
    with loads as (

        select distinct load_id from {{ source('run', 'loads') }}
        where is_to_apply or (select is_full_check from {{ source('run', 'night') }})

    ),

    touched as (

        select distinct {{ key | join(', ') }} from {{ model }}
        semi join loads using (load_id)

    )

    select {{ key | join(', ') }}
    from {{ model }}
    semi join touched using ({{ key | join(', ') }})
    group by {{ key | join(', ') }}
    having count_if(is_current) <> 1
{% endtest %}
