{#-
    Every key that this night touched (or, in a full check, every key) has one current version. A
    hash finds the keys that may not.
-#}
{% test one_current_version(model, key) %}
    with loads as (

        select distinct load_id from {{ source('run', 'loads') }}
        where is_to_apply or (select is_full_check from {{ source('run', 'night') }})

    ),

    touched as (

        select {{ hashed_key(key) }} as key_hash from {{ model }}
        semi join loads using (load_id)
        group by {{ hashed_key(key) }}

    ),

    suspicious as (

        select {{ hashed_key(key) }} as key_hash from {{ model }}
        semi join touched on {{ hashed_key(key) }} = touched.key_hash
        group by {{ hashed_key(key) }}
        having count_if(is_current) <> 1

    )

    select {{ key | join(', ') }}
    from {{ model }}
    semi join suspicious on {{ hashed_key(key) }} = suspicious.key_hash
    group by {{ key | join(', ') }}
    having count_if(is_current) <> 1
{% endtest %}
