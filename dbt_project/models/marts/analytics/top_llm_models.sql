{{ top_llm_usage(
    keys=['provider', 'model'],
    aggregated=ref('int_llm_requests_aggregated'),
    slot_buckets=ref('int_slot_buckets'),
    windows=ref('int_windows')
) }}
