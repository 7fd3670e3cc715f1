{{ config(materialized='incremental', unique_key='message_id') }}

{{ versions(ref('stg_conversation_messages'), 'conversation_messages') }}
