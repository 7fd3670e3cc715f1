"""Local days in every timezone: no instant is lost or told twice, whatever the clocks do.

A day is counted here by walking the wall clock minute by minute: it is the latest date that the
clock has shown so far, so that a clock set back over midnight does not begin a day twice.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from orchestration.edges import PageWindow, buckets_of, tables_of_time
from orchestration.restatements import month_days
from orchestration.timeframes import (
    custom_window,
    latest_midnight,
    local_date,
    start_of_day,
)
from tests.conftest import SAMPLE_LANDING, ZONES, Warehouse
from tests.test_night import differences

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
FIRST, LAST = datetime(2011, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def changes_of(zone: ZoneInfo) -> list[datetime]:
    """The hours, to the full one before, in which the clocks of a zone changed."""
    found, instant = [], FIRST
    offset = instant.astimezone(zone).utcoffset()
    while instant < LAST:
        following = instant + timedelta(hours=12)
        if following.astimezone(zone).utcoffset() != offset:
            hour = instant
            while (hour + timedelta(hours=1)).astimezone(zone).utcoffset() == offset:
                hour += timedelta(hours=1)
            found.append(hour)
            offset = following.astimezone(zone).utcoffset()
        instant = following
    return found


def told_apart(changes: list[datetime], zone: ZoneInfo) -> list[datetime]:
    """One change of each kind: from what to what, and at which hour of the wall clock."""
    kinds = {
        (
            change.astimezone(zone).utcoffset(),
            (change + timedelta(hours=2)).astimezone(zone).utcoffset(),
            change.astimezone(zone).hour,
        ): change
        for change in changes
    }
    return list(kinds.values())


def days_by_minutes(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[tuple]:
    """Each day with the minute that it begins in, from the second day on."""
    latest = start.astimezone(zone).date()
    instant = start
    while instant < end:
        shown = instant.astimezone(zone).date()
        if shown > latest:
            yield shown, instant
            latest = shown
        instant += MINUTE


@pytest.mark.parametrize("name", ZONES)
def test_days_are_what_the_wall_clock_shows_around_every_change_of_clocks(
    name: str, request: pytest.FixtureRequest
) -> None:
    zone = ZoneInfo(name)
    changes = changes_of(zone) or [datetime(2026, 3, 15, tzinfo=UTC)]
    is_all = request.config.getoption("--all-zones")
    for change in changes if is_all else told_apart(changes, zone):
        start, end = change - 2 * DAY, change + 2 * DAY
        days = list(days_by_minutes(start, end, zone))
        shown = PageWindow("usage", 0, custom_window(start, end))
        found = [bucket for bucket in buckets_of(shown, zone) if bucket.period == "current"]
        assert [(each.local_date, each.start_at) for each in found[1:]] == days, change
        assert (found[0].start_at, found[-1].end_at) == (start, end)
        assert all(first.end_at == second.start_at for first, second in pairwise(found))
        for bucket in found:
            for instant in (bucket.start_at, bucket.end_at - MINUTE):
                assert local_date(instant, zone) == bucket.local_date, (change, instant)
        for day, begins in days:
            assert latest_midnight(begins + MINUTE, zone) == begins == start_of_day(day, zone)
        # Slots, which SQL joins events to by their UTC day, hold every minute once.
        rows = tables_of_time([shown], zone)["slots"].to_pylist()
        edges = sorted({(row["slot_start_at"], row["slot_end_at"]) for row in rows})
        first, last = shown.window.previous_start_at, shown.window.end_at
        assert edges[0][0].replace(tzinfo=UTC) == first
        assert edges[-1][1].replace(tzinfo=UTC) == last
        assert all(one[1] == other[0] for one, other in pairwise(edges))


def test_samoa_had_no_30_december_2011_and_its_neighbours_hold_every_instant() -> None:
    zone = ZoneInfo("Pacific/Apia")
    midnight = datetime(2011, 12, 30, 10, tzinfo=UTC)
    assert local_date(midnight - MINUTE, zone) == date(2011, 12, 29)
    assert local_date(midnight, zone) == date(2011, 12, 31)
    window = custom_window(midnight - 2 * DAY, midnight + 2 * DAY)
    days = [
        bucket.local_date
        for bucket in buckets_of(PageWindow("billing", 0, window), zone)
        if bucket.period == "current"
    ]
    assert days == [date(2011, 12, 28), date(2011, 12, 29), date(2011, 12, 31), date(2012, 1, 1)]


@pytest.mark.parametrize("name", ZONES)
def test_months_meet_at_the_midnight_of_their_first_day(name: str) -> None:
    zone = ZoneInfo(name)
    rows = month_days(zone).to_pylist()
    months = sorted({(row["month"], row["month_start_at"], row["month_end_at"]) for row in rows})
    assert all(one[2] == other[1] for one, other in pairwise(months))
    for month, start_at, _ in months[::7]:
        first = date.fromisoformat(f"{month}-01")
        assert local_date(start_at.replace(tzinfo=UTC), zone) == first
        assert local_date(start_at.replace(tzinfo=UTC) - MINUTE, zone) < first


def test_a_night_in_another_timezone_shows_its_days_whatever_that_of_the_process(
    sample: Warehouse, tmp_path: Path, night_zone: str
) -> None:
    as_of = "2026-03-10T17:45:30Z"
    warehouse = Warehouse.below(tmp_path, SAMPLE_LANDING)
    shutil.copytree(sample.home, warehouse.home)
    done = subprocess.run(
        warehouse.command(as_of=as_of),
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "TZ": "Pacific/Kiritimati",
            "WAREHOUSE_TIMEZONE": night_zone,
            "WAREHOUSE_WEEK_START": "sunday",
        },
    )
    assert done.returncode == 0, done.stderr
    assert differences(warehouse, as_of, night_zone, "sunday") == []
