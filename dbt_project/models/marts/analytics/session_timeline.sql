{{ session_timeline(
    requests=ref('int_llm_requests_attributed'),
    slots=ref('int_slots'),
    slot_buckets=ref('int_slot_buckets'),
    windows=ref('int_windows')
) }}
