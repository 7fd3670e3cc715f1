{{ config(materialized='table') }}

with requests as (

    select * from {{ ref('stg_llm_requests') }}

),

{{ price_ctes('requests', platform_price_context()) }}

select * from prices_of_names
