{{ focus_cost_and_usage(
    requests=ref('int_llm_requests_attributed'),
    credit_lines=ref('int_credit_lines_attributed'),
    runs=ref('int_agent_runs_versioned'),
    users=ref('int_users_as_of'),
    organisations=ref('int_organisations_as_of'),
    month_days=ref('int_month_days'),
    windows=ref('int_windows'),
    buckets=ref('int_buckets'),
    slots=ref('int_slots'),
    slot_buckets=ref('int_slot_buckets')
) }}
