{{ config(materialized='view') }}

{{ billing_conversation_lines(
    credit_lines=ref('int_credit_lines_attributed'),
    windows=ref('int_windows'),
    timeframes=timeframes_of('billing')
) }}
