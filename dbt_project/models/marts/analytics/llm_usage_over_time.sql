{{ llm_usage_over_time(
    aggregated=ref('int_llm_requests_aggregated'),
    buckets=ref('int_buckets'),
    slot_buckets=ref('int_slot_buckets'),
    windows=ref('int_windows')
) }}
