{{ llm_tokens_by_type(
    aggregated=ref('int_llm_requests_aggregated'),
    slot_buckets=ref('int_slot_buckets'),
    windows=ref('int_windows')
) }}
