"""When a night starts by itself: at 04:00 reporting time, and when new files have landed."""

import hashlib
import time

import dagster as dg

from orchestration.landing.contract import read_contract
from orchestration.landing.files import Found, scan
from orchestration.landing.history import read_history
from orchestration.project import CONTRACT, Settings

JOB = "nightly"
QUIET_SECONDS = 60
DAY_OF_FULL_CHECK = 6


@dg.schedule(
    job_name=JOB,
    cron_schedule="0 4 * * *",
    execution_timezone=Settings.read().timezone.key,
)
def nightly_at_four(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """At 04:00, an hour that every day has; once a week all of history is checked."""
    is_full_check = context.scheduled_execution_time.weekday() == DAY_OF_FULL_CHECK
    return dg.RunRequest(run_config={"ops": {"load": {"config": {"full_check": is_full_check}}}})


@dg.sensor(job_name=JOB, minimum_interval_seconds=30)
def new_files_have_landed(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """A night when unknown files lie in the landing zone and none is younger than a minute."""
    news = unknown_files(Settings.read())
    if not news:
        return dg.SkipReason("No file has landed that no load knows.")
    # A time in the future says nothing of how long a file has been quiet.
    if any(0 <= time.time() - file.modified_ns / 1e9 < QUIET_SECONDS for file in news):
        return dg.SkipReason("Files have landed, but have not been quiet for a minute yet.")
    return dg.RunRequest(run_key=hashlib.blake2b(repr(news).encode(), digest_size=12).hexdigest())


def unknown_files(settings: Settings) -> list[Found]:
    """The files of the landing zone that no load knows by path, size and time."""
    if not settings.landing.is_dir():
        return []
    contract = read_contract(CONTRACT)
    sources = [name for name, source in contract.items() if source.role != "bookkeeping"]
    return read_history(settings.raw).unknown(scan(settings.landing, sources))
