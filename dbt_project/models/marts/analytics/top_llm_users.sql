{{ top_llm_usage(
    keys=['user_id'],
    aggregated=ref('int_llm_requests_aggregated'),
    slot_buckets=ref('int_slot_buckets'),
    windows=ref('int_windows'),
    users=ref('int_users_as_of')
) }}
