{{ config(materialized='incremental', unique_key='team_id') }}

{{ versions(ref('stg_teams'), 'teams') }}
