{{ session_metrics_summary(
    session_metrics=ref('session_metrics'),
    windows=ref('int_windows')
) }}
