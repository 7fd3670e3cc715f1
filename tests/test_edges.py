"""Edges of time held against an independent calculation, minute by minute, and against their laws."""

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orchestration.edges import PageWindow, buckets_of, local_days_of, tables_of_time
from orchestration.project import SEEDS
from orchestration.timeframes import PAGES, Window, custom_window, read_timeframes, window_of

TIMEFRAMES = read_timeframes(SEEDS / "timeframes.csv")
MINUTE = timedelta(minutes=1)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Havana",
    "Africa/Cairo",
    "America/Santiago",
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(timeframe: str, as_of: str | datetime, zone: str) -> Window:
    found = next(each for each in TIMEFRAMES if each.timeframe == timeframe)
    instant = at(as_of) if isinstance(as_of, str) else as_of
    return window_of(found, instant, ZoneInfo(zone), "monday")


def bars(page: str, shown: Window, zone: str, period: str = "current") -> list[tuple[str, str]]:
    """Return start and end of each bucket, as UTC text without seconds."""
    return [
        (f"{bucket.start_at:%m-%d %H:%M}", f"{bucket.end_at:%m-%d %H:%M}")
        for bucket in buckets_of(PageWindow(page, 0, shown), ZoneInfo(zone))
        if bucket.period == period
    ]


def all_windows(as_of: datetime, zone: str) -> list[PageWindow]:
    """Return the windows of every page, as a night has them."""
    return [
        PageWindow(page, position, window_of(timeframe, as_of, ZoneInfo(zone), "monday"))
        for position, timeframe in enumerate(TIMEFRAMES)
        for page in PAGES
        if page in timeframe.pages
    ]


def random_nights(seed: int, number: int) -> list[tuple[datetime, str]]:
    """Return instants of 2015 to 2030, on whole minutes, half of them local midnights or near."""
    print(f"seed {seed}")
    randomly = random.Random(seed)
    nights = []
    for _ in range(number):
        zone = randomly.choice(ZONES)
        instant = at("2015-01-01") + timedelta(minutes=randomly.randrange(15 * 365 * 24 * 60))
        if randomly.random() < 0.5:
            wall = instant.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, fold=0)
            instant = wall.astimezone(UTC) + randomly.choice([0, 0, -1, 1, 90]) * MINUTE
        nights.append((instant, zone))
    return nights


# Days and hours of the wall clock


def test_a_day_has_as_many_hours_as_its_clocks_say() -> None:
    zone = "Europe/Berlin"
    spring = bars("usage", window("last_7_days", "2025-03-31 22:00", zone), zone)
    autumn = bars("usage", window("last_7_days", "2025-10-27 23:00", zone), zone)
    assert spring[4:] == [
        ("03-28 23:00", "03-29 23:00"),
        ("03-29 23:00", "03-30 22:00"),
        ("03-30 22:00", "03-31 22:00"),
    ]
    assert autumn[5:] == [("10-25 22:00", "10-26 23:00"), ("10-26 23:00", "10-27 23:00")]


def test_hours_are_counted_on_through_a_change_of_clocks() -> None:
    zone = "Europe/Berlin"
    assert len(bars("analytics", window("today", "2025-03-30 22:00", zone), zone)) == 0
    assert len(bars("analytics", window("today", "2025-03-30 21:59", zone), zone)) == 23
    assert len(bars("analytics", window("today", "2025-10-26 22:59", zone), zone)) == 25


def test_hours_of_a_clock_that_is_half_an_hour_off_begin_on_its_full_hours() -> None:
    zone = "Asia/Kolkata"
    assert bars("analytics", window("last_1_hour", "2025-03-10 06:45", zone), zone) == [
        ("03-10 05:45", "03-10 06:30"),
        ("03-10 06:30", "03-10 06:45"),
    ]
    assert bars("usage", window("last_24_hours", "2025-03-10 18:30", zone), zone) == [
        ("03-09 18:30", "03-10 18:30")
    ]


def test_a_change_by_half_an_hour_makes_half_an_hour_of_its_own() -> None:
    zone = "Australia/Lord_Howe"
    # At 02:00 of 6 April 2025 (15:00 UTC) the clock goes back to 01:30.
    assert bars(
        "analytics", custom_window(at("2025-04-05 13:00"), at("2025-04-05 16:30")), zone
    ) == [
        ("04-05 13:00", "04-05 14:00"),
        ("04-05 14:00", "04-05 15:00"),
        ("04-05 15:00", "04-05 15:30"),
        ("04-05 15:30", "04-05 16:30"),
    ]
    # At 02:00 of 5 October 2025 (15:30 UTC) it goes forward to 02:30.
    assert bars(
        "analytics", custom_window(at("2025-10-04 14:30"), at("2025-10-04 17:00")), zone
    ) == [
        ("10-04 14:30", "10-04 15:30"),
        ("10-04 15:30", "10-04 16:00"),
        ("10-04 16:00", "10-04 17:00"),
    ]


def test_buckets_are_cut_at_the_edges_of_their_period() -> None:
    shown = window("last_24_hours", "2025-03-10 06:15", "UTC")
    assert bars("usage", shown, "UTC") == [
        ("03-09 06:15", "03-10 00:00"),
        ("03-10 00:00", "03-10 06:15"),
    ]
    assert bars("usage", shown, "UTC", "previous") == [
        ("03-08 06:15", "03-09 00:00"),
        ("03-09 00:00", "03-09 06:15"),
    ]
    assert bars("analytics", shown, "UTC")[0] == ("03-09 06:15", "03-09 07:00")
    assert len(bars("analytics", shown, "UTC")) == 25


def test_a_day_that_a_change_of_zone_left_out_is_no_bucket() -> None:
    zone = "Pacific/Apia"  # it had no 30 December 2011
    shown = custom_window(at("2011-12-29 10:00"), at("2012-01-01 10:00"))
    days = [bucket for bucket in buckets_of(PageWindow("usage", 0, shown), ZoneInfo(zone))]
    current = [(bucket.index, bucket.local_date) for bucket in days if bucket.period == "current"]
    assert current == [
        (0, date(2011, 12, 29)),
        (1, date(2011, 12, 31)),
        (2, date(2012, 1, 1)),
    ]
    assert local_days_of(shown, ZoneInfo(zone))["current"] == 3


@pytest.mark.parametrize(
    ("page", "length", "grain"),
    [
        ("analytics", timedelta(hours=48), "hour"),
        ("analytics", timedelta(hours=48, microseconds=1), "day"),
        ("usage", timedelta(hours=1), "day"),
        ("billing", timedelta(hours=24), "day"),
        ("reports", timedelta(hours=24), "day"),
    ],
)
def test_bars_are_hours_on_analytics_up_to_48_of_them_else_days(
    page: str, length: timedelta, grain: str
) -> None:
    shown = custom_window(at("2025-03-10 00:00"), at("2025-03-10 00:00") + length)
    grains = {bucket.grain for bucket in buckets_of(PageWindow(page, 0, shown), ZoneInfo("UTC"))}
    assert grains == {grain}


def test_the_period_before_has_the_grain_of_the_window() -> None:
    # This month has lasted two days, and so is told in hours; so is the part of the month before,
    # though a change of clocks gives that 49 of them.
    zone = "America/New_York"
    shown = window("this_month", "2025-12-03 05:00", zone)
    assert shown.previous_end_at - shown.previous_start_at == timedelta(hours=49)
    for period, number in (("current", 48), ("previous", 49)):
        assert len(bars("analytics", shown, zone, period)) == number


# Days of an average


@pytest.mark.parametrize(
    ("timeframe", "as_of", "zone", "days"),
    [
        ("last_1_hour", "2025-03-10 06:15", "UTC", (1, 1)),
        ("last_24_hours", "2025-03-10 06:15", "UTC", (1, 1)),
        ("last_72_hours", "2025-03-10 06:15", "UTC", (3, 3)),
        ("last_72_hours", "2025-03-31 22:00", "Europe/Berlin", (3, 3)),
        ("last_30_days", "2025-03-31 22:00", "Europe/Berlin", (30, 30)),
        ("last_7_days", "2025-03-10 06:15", "UTC", (8, 8)),
        ("last_12_months", "2025-01-01 00:00", "UTC", (366, 365)),
        ("last_12_months", "2026-01-01 00:00", "UTC", (365, 366)),
        ("today", "2025-03-10 00:00", "UTC", (1, 1)),
        ("last_month", "2025-03-10 00:00", "UTC", (28, 31)),
    ],
)
def test_days_are_whole_24_hours_of_a_timeframe_in_hours_else_local_days(
    timeframe: str, as_of: str, zone: str, days: tuple[int, int]
) -> None:
    shown = window(timeframe, as_of, zone)
    found = local_days_of(shown, ZoneInfo(zone))
    assert (found["current"], found["previous"]) == days
    table = tables_of_time([PageWindow("billing", 0, shown)], ZoneInfo(zone))["windows"]
    (row,) = table.to_pylist()
    assert (row["local_days"], row["previous_local_days"]) == days


def test_a_custom_window_has_the_local_days_that_it_touches() -> None:
    shown = custom_window(at("2025-03-09 23:00"), at("2025-03-11 01:00"))
    assert local_days_of(shown, ZoneInfo("UTC")) == {"current": 3, "previous": 2}
    assert local_days_of(shown, ZoneInfo("Europe/Berlin"))["current"] == 2


# Against an independent calculation


def counted_minutes(
    start_at: datetime, end_at: datetime, zone: ZoneInfo, grain: str
) -> list[tuple[datetime, int]]:
    """Group the minutes of a period by day or hour of the wall clock: start and length of each.

    An hour that the clock shows twice is two, told by its offset, as are the parts of one that a
    change of clocks splits.
    """
    groups: dict[Any, list[datetime]] = defaultdict(list)
    instant = start_at
    while instant < end_at:
        wall = instant.astimezone(zone)
        key = wall.date() if grain == "day" else (wall.date(), wall.hour, wall.utcoffset())
        groups[key].append(instant)
        instant += MINUTE
    return sorted((minutes[0], len(minutes)) for minutes in groups.values())


@pytest.mark.parametrize("zone", ZONES)
def test_buckets_are_the_days_and_hours_that_minutes_fall_into(zone: str) -> None:
    clock = ZoneInfo(zone)
    nights = ["2025-03-31 22:00", "2025-10-27 05:17", "2025-11-03 05:00", "2025-04-06 13:30"]
    for night in nights:
        for page, timeframe, grain in (
            ("analytics", "last_24_hours", "hour"),
            ("analytics", "last_1_hour", "hour"),
            ("usage", "last_24_hours", "day"),
            ("usage", "last_7_days", "day"),
            ("billing", "last_72_hours", "day"),
        ):
            shown = window(timeframe, night, zone)
            found = list(buckets_of(PageWindow(page, 0, shown), clock))
            for period, start_at, end_at in (
                ("current", shown.start_at, shown.end_at),
                ("previous", shown.previous_start_at, shown.previous_end_at),
            ):
                lengths = [
                    (bucket.start_at, (bucket.end_at - bucket.start_at) // MINUTE)
                    for bucket in found
                    if bucket.period == period
                ]
                expected = counted_minutes(start_at, end_at, clock, grain)
                assert lengths == expected, (zone, night, page, timeframe, period)


# Laws


def test_buckets_tile_their_period_at_random_nights() -> None:
    for as_of, zone in random_nights(20250310, 60):
        for shown in all_windows(as_of, zone):
            found = list(buckets_of(shown, ZoneInfo(zone)))
            case = (as_of, zone, shown)
            assert len({bucket.grain for bucket in found}) <= 1, case
            for period, start_at, end_at in (
                ("current", shown.window.start_at, shown.window.end_at),
                ("previous", shown.window.previous_start_at, shown.window.previous_end_at),
            ):
                of_period = [bucket for bucket in found if bucket.period == period]
                edges = [bucket.start_at for bucket in of_period] + [end_at]
                assert edges[0] == start_at, case
                assert [bucket.end_at for bucket in of_period] == edges[1:], case
                assert all(bucket.start_at < bucket.end_at for bucket in of_period), case
                assert [bucket.index for bucket in of_period] == list(range(len(of_period))), case
                if of_period and of_period[0].grain == "day":
                    days = [bucket.local_date for bucket in of_period]
                    assert days == sorted(set(days)), case
                    if not shown.window.timeframe.endswith(("_hour", "_hours")):
                        counted = local_days_of(shown.window, ZoneInfo(zone))[period]
                        assert counted == len(of_period), case


def test_slots_tile_every_bucket_and_their_days_cover_them() -> None:
    for as_of, zone in random_nights(20250311, 8):
        tables = tables_of_time(all_windows(as_of, zone), ZoneInfo(zone))
        case = (as_of, zone)
        slots: dict[int, tuple[datetime, datetime]] = {}
        days = defaultdict(set)
        for row in tables["slots"].to_pylist():
            edges = (row["slot_start_at"], row["slot_end_at"])
            assert slots.setdefault(row["slot_id"], edges) == edges, case
            assert row["utc_date"] not in days[row["slot_id"]], case
            days[row["slot_id"]].add(row["utc_date"])
        ordered = sorted(slots.values())
        assert all(start < end for start, end in ordered), case
        assert all(first[1] <= second[0] for first, second in pairwise(ordered)), case
        for slot_id, (start, end) in slots.items():
            last = (end - timedelta(microseconds=1)).date()
            touched = {
                start.date() + timedelta(days=n) for n in range((last - start.date()).days + 1)
            }
            assert days[slot_id] == touched, case

        parts = defaultdict(list)
        key = ("page", "timeframe", "period", "bucket_index")
        for row in tables["slot_buckets"].to_pylist():
            parts[tuple(row[name] for name in key)].append(slots[row["slot_id"]])
        buckets = {
            tuple(row[name] for name in key): (row["bucket_start_at"], row["bucket_end_at"])
            for row in tables["buckets"].to_pylist()
        }
        assert parts.keys() == buckets.keys(), case
        for bucket, (start, end) in buckets.items():
            pieces = sorted(parts[bucket])
            assert pieces[0][0] == start, (case, bucket)
            assert pieces[-1][1] == end, (case, bucket)
            assert all(a[1] == b[0] for a, b in pairwise(pieces)), (case, bucket)
