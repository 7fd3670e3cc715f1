"""Every edge of time that reports need, as small tables: windows, their buckets, and slots.

A bucket is a bar of a chart: an hour or a local day of a window or of the period before it, cut at
that period's edges. A slot is a piece of time that no edge cuts, so that what adds up is counted
once a slot, and every bucket and window is a union of slots. All times are naive and in UTC.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pyarrow as pa

from orchestration.timeframes import Window, local_date, start_of_day

HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
IN_HOURS = re.compile(r"last_[0-9]+_hours?")
LONGEST_HOURLY = timedelta(hours=48)
INSTANT = pa.timestamp("us")


@dataclass(frozen=True)
class PageWindow:
    """A window as a page shows it; position orders the timeframes of a page."""

    page: str
    position: int
    window: Window


@dataclass(frozen=True)
class Bucket:
    """A bar of a chart, half-open: the one of this index in the current or previous period."""

    page: str
    timeframe: str
    period: str
    grain: str
    index: int
    start_at: datetime
    end_at: datetime
    local_date: date


def tables_of_time(windows: Iterable[PageWindow], timezone: ZoneInfo) -> dict[str, pa.Table]:
    """The tables windows, buckets, slots and slot_buckets over some windows."""
    windows = list(windows)
    buckets = [bucket for window in windows for bucket in buckets_of(window, timezone)]
    edges = sorted({edge for bucket in buckets for edge in (bucket.start_at, bucket.end_at)})
    number = {edge: position for position, edge in enumerate(edges)}
    return {
        "windows": _windows_table(windows, timezone),
        "buckets": _buckets_table(buckets),
        "slots": _slots_table(edges),
        "slot_buckets": _slot_buckets_table(buckets, number),
    }


def buckets_of(shown: PageWindow, timezone: ZoneInfo) -> Iterator[Bucket]:
    """The buckets of a window and of the period before it, which has the window's grain."""
    window = shown.window
    is_hourly = shown.page == "analytics" and window.end_at - window.start_at <= LONGEST_HOURLY
    grain = "hour" if is_hourly else "day"
    for period, start_at, end_at in _periods(window):
        edges = [start_at, *_inner_edges(start_at, end_at, grain, timezone), end_at]
        for index, (begin, end) in enumerate(pairwise(edges)):
            if begin < end:
                day = local_date(begin, timezone)
                yield Bucket(
                    shown.page, window.timeframe, period, grain, index, begin, end, day
                )  # fmt: skip


def local_days_of(window: Window, timezone: ZoneInfo) -> dict[str, int]:
    """The days that an average per day divides by, at least one, of each period of a window.

    A window that is named in hours has whole days of elapsed time, since 24 hours are one day
    wherever midnight falls; any other has the local days that it touches.
    """
    if IN_HOURS.fullmatch(window.timeframe):
        return {
            period: max(1, round((end - start) / DAY)) for period, start, end in _periods(window)
        }
    return {
        period: 1 + sum(1 for _ in _inner_edges(start, end, "day", timezone))
        for period, start, end in _periods(window)
    }


def _periods(window: Window) -> Iterator[tuple[str, datetime, datetime]]:
    """The current and the previous period of a window: name, start and end."""
    yield "current", window.start_at, window.end_at
    yield "previous", window.previous_start_at, window.previous_end_at


def _inner_edges(
    start_at: datetime, end_at: datetime, grain: str, timezone: ZoneInfo
) -> Iterator[datetime]:
    """The edges of hours or local days strictly between two instants."""
    if grain == "hour":
        edge = _hour_after(start_at, timezone)
        while edge < end_at:
            yield edge
            edge = _hour_after(edge, timezone)
    else:
        day, latest = local_date(start_at, timezone) + timedelta(days=1), start_at
        while (edge := start_of_day(day, timezone)) < end_at:
            if edge > latest:  # a day that a change of zone leaves out begins with the next one
                yield edge
            latest, day = edge, day + timedelta(days=1)


def _hour_after(instant: datetime, timezone: ZoneInfo) -> datetime:
    """The next full hour of the wall clock: where clocks are half an hour off, so are the hours."""
    wall = instant.astimezone(timezone)
    into_hour = timedelta(
        minutes=wall.minute, seconds=wall.second, microseconds=wall.microsecond
    )  # fmt: skip
    return instant + HOUR - into_hour


def _windows_table(windows: Iterable[PageWindow], timezone: ZoneInfo) -> pa.Table:
    times = ("window_start_at", "window_end_at", "previous_start_at", "previous_end_at")
    schema = pa.schema(
        [("page", pa.string()), ("timeframe", pa.string()), ("position", pa.int64())]
        + [(name, INSTANT) for name in times]
        + [("local_days", pa.int64()), ("previous_local_days", pa.int64())]
    )
    rows = []
    for shown in windows:
        window = shown.window
        edges = (
            window.start_at, window.end_at, window.previous_start_at, window.previous_end_at,
        )  # fmt: skip
        row = {"page": shown.page, "timeframe": window.timeframe, "position": shown.position}
        days = local_days_of(window, timezone)
        row |= {"local_days": days["current"], "previous_local_days": days["previous"]}
        rows.append(row | dict(zip(times, map(_naive, edges), strict=True)))
    return pa.Table.from_pylist(rows, schema=schema)


def _buckets_table(buckets: Iterable[Bucket]) -> pa.Table:
    schema = pa.schema(
        [
            ("page", pa.string()), ("timeframe", pa.string()), ("period", pa.string()),
            ("grain", pa.string()), ("bucket_index", pa.int64()), ("bucket_start_at", INSTANT),
            ("bucket_end_at", INSTANT), ("bucket_date", pa.date32()),
        ]
    )  # fmt: skip
    rows = [
        {
            "page": bucket.page,
            "timeframe": bucket.timeframe,
            "period": bucket.period,
            "grain": bucket.grain,
            "bucket_index": bucket.index,
            "bucket_start_at": _naive(bucket.start_at),
            "bucket_end_at": _naive(bucket.end_at),
            "bucket_date": bucket.local_date,
        }
        for bucket in buckets
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def _slots_table(edges: list[datetime]) -> pa.Table:
    """One row per slot and UTC day that it touches, so that a join on the day finds few."""
    schema = pa.schema(
        [
            ("slot_id", pa.int64()), ("utc_date", pa.date32()), ("slot_start_at", INSTANT),
            ("slot_end_at", INSTANT),
        ]
    )  # fmt: skip
    rows = []
    for slot_id, (start_at, end_at) in enumerate(pairwise(edges)):
        start, end = _naive(start_at), _naive(end_at)
        day = start.date()
        while datetime.combine(day, datetime.min.time()) < end:
            rows.append(
                {"slot_id": slot_id, "utc_date": day, "slot_start_at": start, "slot_end_at": end}
            )
            day += timedelta(days=1)
    return pa.Table.from_pylist(rows, schema=schema)


def _slot_buckets_table(buckets: Iterable[Bucket], number: dict[datetime, int]) -> pa.Table:
    schema = pa.schema(
        [
            ("page", pa.string()), ("timeframe", pa.string()), ("period", pa.string()),
            ("bucket_index", pa.int64()), ("slot_id", pa.int64()),
        ]
    )  # fmt: skip
    rows = [
        {
            "page": bucket.page,
            "timeframe": bucket.timeframe,
            "period": bucket.period,
            "bucket_index": bucket.index,
            "slot_id": slot_id,
        }
        for bucket in buckets
        for slot_id in range(number[bucket.start_at], number[bucket.end_at])
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)
