"""Edges of time, held against values computed by hand, and against laws on random instants."""

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from orchestration.timeframes import (
    WEEKDAYS,
    Timeframe,
    Window,
    custom_window,
    latest_midnight,
    local_date,
    parse_as_of,
    read_timeframes,
    start_of_day,
    window_of,
)

SEED_FILE = Path(__file__).parents[1] / "seeds" / "timeframes.csv"
HEADER = "timeframe,kind,unit,steps,reports,analytics,usage,billing\n"


def at(text: str) -> datetime:
    """Read an instant in UTC, written without the Z."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def named(timeframe: str) -> Timeframe:
    return next(each for each in read_timeframes(SEED_FILE) if each.timeframe == timeframe)


def edges(timeframe: str, as_of: str, zone: str, week_start: str = "monday") -> list[str]:
    """Return start, end, previous start and previous end in UTC, to the minute."""
    window = window_of(named(timeframe), at(as_of), ZoneInfo(zone), week_start)
    return [
        edge.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
        for edge in (
            window.start_at,
            window.end_at,
            window.previous_start_at,
            window.previous_end_at,
        )
    ]


# The seed


def test_the_seed_lists_the_timeframes_in_the_order_of_the_judgement() -> None:
    assert [each.timeframe for each in read_timeframes(SEED_FILE)] == [
        "last_1_hour",
        "last_24_hours",
        "last_72_hours",
        "last_7_days",
        "last_14_days",
        "last_30_days",
        "last_90_days",
        "last_3_months",
        "last_6_months",
        "last_12_months",
        "today",
        "this_week",
        "this_month",
        "this_quarter",
        "this_year",
        "last_week",
        "last_month",
    ]


@pytest.mark.parametrize(
    ("page", "timeframes"),
    [
        (
            "reports",
            "last_7_days last_30_days last_3_months last_6_months last_12_months this_week"
            " this_month last_week last_month",
        ),
        (
            "analytics",
            "last_1_hour last_24_hours last_7_days last_30_days last_90_days today this_week"
            " this_month this_quarter this_year",
        ),
        ("usage", "last_24_hours last_7_days last_14_days last_30_days"),
        ("billing", "last_24_hours last_72_hours last_30_days last_12_months"),
    ],
)
def test_each_page_holds_its_own_timeframes(page: str, timeframes: str) -> None:
    held = [each.timeframe for each in read_timeframes(SEED_FILE) if page in each.pages]
    assert held == timeframes.split()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("timeframe,kind\n", "make its header timeframe,kind,unit,steps"),
        (HEADER + "a,sliding,day,1,true,true,true,true\n", "line 2: kind is 'sliding'"),
        (HEADER + "a,trailing,fortnight,1,true,true,true,true\n", "line 2: unit is 'fortnight'"),
        (HEADER + "a,trailing,day,0,true,true,true,true\n", "line 2: steps is '0'"),
        (HEADER + "a,trailing,day,1,yes,true,true,true\n", "line 2: reports is 'yes'"),
        (HEADER + "a,to_date,hour,1,true,true,true,true\n", "line 2: to_date knows one day"),
        (HEADER + "a,previous,week,2,true,true,true,true\n", "not 2 week"),
        (HEADER + "a,trailing,day,1,true\n", "line 2 has not 8 cells"),
        (HEADER + "a,trailing,day,1,true,true,true,true,true\n", "line 2 has not 8 cells"),
        (HEADER + ",trailing,day,1,true,true,true,true\n", "line 2: the timeframe has no name"),
        (HEADER + 2 * "a,trailing,day,1,true,true,true,true\n", "line 3: a occurs twice"),
    ],
)
def test_a_seed_that_cannot_be_computed_is_named_with_its_line(
    tmp_path: Path, text: str, complaint: str
) -> None:
    seed_file = tmp_path / "timeframes.csv"
    seed_file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        read_timeframes(seed_file)


# Every timeframe once, in UTC, where nothing moves: Wednesday 15 May 2024, 10:30


@pytest.mark.parametrize(
    ("timeframe", "start", "end", "previous_start", "previous_end"),
    [
        ("last_1_hour", "05-15 09:30", "05-15 10:30", "05-15 08:30", "05-15 09:30"),
        ("last_24_hours", "05-14 10:30", "05-15 10:30", "05-13 10:30", "05-14 10:30"),
        ("last_72_hours", "05-12 10:30", "05-15 10:30", "05-09 10:30", "05-12 10:30"),
        ("last_7_days", "05-08 10:30", "05-15 10:30", "05-01 10:30", "05-08 10:30"),
        ("last_14_days", "05-01 10:30", "05-15 10:30", "04-17 10:30", "05-01 10:30"),
        ("last_30_days", "04-15 10:30", "05-15 10:30", "03-16 10:30", "04-15 10:30"),
        ("last_90_days", "02-15 10:30", "05-15 10:30", "2023-11-17 10:30", "02-15 10:30"),
        ("last_3_months", "02-15 10:30", "05-15 10:30", "2023-11-15 10:30", "02-15 10:30"),
        ("last_6_months", "2023-11-15 10:30", "05-15 10:30", "2023-05-15 10:30", None),
        ("last_12_months", "2023-05-15 10:30", "05-15 10:30", "2022-05-15 10:30", None),
        ("today", "05-15 00:00", "05-15 10:30", "05-14 00:00", "05-14 10:30"),
        ("this_week", "05-13 00:00", "05-15 10:30", "05-06 00:00", "05-08 10:30"),
        ("this_month", "05-01 00:00", "05-15 10:30", "04-01 00:00", "04-15 10:30"),
        # 44 days into the quarter: 1 January + 44 days; 135 into the year: 1 January 2023 + 135.
        ("this_quarter", "04-01 00:00", "05-15 10:30", "01-01 00:00", "02-14 10:30"),
        ("this_year", "01-01 00:00", "05-15 10:30", "2023-01-01 00:00", "2023-05-16 10:30"),
        ("last_week", "05-06 00:00", "05-13 00:00", "04-29 00:00", "05-06 00:00"),
        ("last_month", "04-01 00:00", "05-01 00:00", "03-01 00:00", "04-01 00:00"),
    ],
)
def test_every_timeframe_where_nothing_moves(
    timeframe: str, start: str, end: str, previous_start: str, previous_end: str | None
) -> None:
    expected = [
        edge if edge[:2] == "20" else f"2024-{edge}"
        for edge in (start, end, previous_start, previous_end or start)
    ]
    assert edges(timeframe, "2024-05-15 10:30", "UTC") == expected


# Changes of clocks


@pytest.mark.parametrize(
    ("timeframe", "as_of", "zone", "expected"),
    [
        pytest.param(
            *("last_7_days", "2024-04-07 00:30", "Europe/Berlin"),
            ["2024-03-31 01:30", "2024-04-07 00:30", "2024-03-24 01:30", "2024-03-31 01:30"],
            id="Berlin: 02:30 on 31 March does not exist and becomes 03:30",
        ),
        pytest.param(
            *("last_7_days", "2024-11-03 01:30", "Europe/Berlin"),
            ["2024-10-27 00:30", "2024-11-03 01:30", "2024-10-20 00:30", "2024-10-27 00:30"],
            id="Berlin: 02:30 on 27 October exists twice and means the first",
        ),
        pytest.param(
            *("last_7_days", "2024-10-27 01:30", "Europe/Berlin"),
            ["2024-10-20 00:30", "2024-10-27 01:30", "2024-10-13 00:30", "2024-10-20 00:30"],
            id="Berlin: an as_of in the second 02:30 steps back to the only 02:30 of that day",
        ),
        pytest.param(
            *("today", "2024-10-27 01:30", "Europe/Berlin"),
            ["2024-10-26 22:00", "2024-10-27 01:30", "2024-10-25 22:00", "2024-10-26 00:30"],
            id="Berlin: today up to the second 02:30 is 3.5 hours, yesterday's 2.5",
        ),
        pytest.param(
            *("last_24_hours", "2024-10-27 23:00", "Europe/Berlin"),
            ["2024-10-26 23:00", "2024-10-27 23:00", "2024-10-25 23:00", "2024-10-26 23:00"],
            id="Berlin: 24 hours are elapsed time, an hour less than that local day",
        ),
        pytest.param(
            *("last_3_months", "2024-05-31 22:00", "Europe/Berlin"),
            ["2024-02-29 23:00", "2024-05-31 22:00", "2023-11-30 23:00", "2024-02-29 23:00"],
            id="Berlin: three months from 1 June start at the local midnight of 1 March",
        ),
        pytest.param(
            *("this_week", "2024-04-03 08:00", "Europe/Berlin"),
            ["2024-03-31 22:00", "2024-04-03 08:00", "2024-03-24 23:00", "2024-03-27 09:00"],
            id="Berlin: two days and 10:00 into the week before, an hour off in UTC",
        ),
        pytest.param(
            *("today", "2024-03-10 16:00", "America/New_York"),
            ["2024-03-10 05:00", "2024-03-10 16:00", "2024-03-09 05:00", "2024-03-09 17:00"],
            id="New York: noon of the 23-hour day against noon of the day before",
        ),
        pytest.param(
            *("last_7_days", "2024-03-17 06:15", "America/New_York"),
            ["2024-03-10 07:15", "2024-03-17 06:15", "2024-03-03 07:15", "2024-03-10 07:15"],
            id="New York: 02:15 on 10 March does not exist and becomes 03:15",
        ),
        pytest.param(
            *("last_7_days", "2024-11-05 05:00", "America/New_York"),
            ["2024-10-29 04:00", "2024-11-05 05:00", "2024-10-22 04:00", "2024-10-29 04:00"],
            id="New York: midnight to midnight over the change is 169 hours",
        ),
        pytest.param(
            *("last_72_hours", "2024-11-05 05:00", "America/New_York"),
            ["2024-11-02 05:00", "2024-11-05 05:00", "2024-10-30 05:00", "2024-11-02 05:00"],
            id="New York: 72 hours start at 01:00 local",
        ),
        pytest.param(
            *("last_7_days", "2024-10-12 15:15", "Australia/Lord_Howe"),
            ["2024-10-05 15:45", "2024-10-12 15:15", "2024-09-28 15:45", "2024-10-05 15:45"],
            id="Lord Howe: 02:15 on 6 October does not exist and becomes 02:45",
        ),
        pytest.param(
            *("last_7_days", "2024-04-13 15:15", "Australia/Lord_Howe"),
            ["2024-04-06 14:45", "2024-04-13 15:15", "2024-03-30 14:45", "2024-04-06 14:45"],
            id="Lord Howe: 01:45 on 7 April exists twice, half an hour apart, and means the first",
        ),
        pytest.param(
            *("last_week", "2024-09-17 12:00", "America/Santiago"),
            ["2024-09-09 03:00", "2024-09-16 03:00", "2024-09-02 04:00", "2024-09-09 03:00"],
            id="Santiago: the week before the last holds the 23-hour Sunday",
        ),
        pytest.param(
            *("today", "2024-09-08 15:00", "America/Santiago"),
            ["2024-09-08 04:00", "2024-09-08 15:00", "2024-09-07 04:00", "2024-09-07 16:00"],
            id="Santiago: a day whose midnight does not exist starts at 01:00",
        ),
        pytest.param(
            *("today", "2024-04-26 09:00", "Africa/Cairo"),
            ["2024-04-25 22:00", "2024-04-26 09:00", "2024-04-24 22:00", "2024-04-25 10:00"],
            id="Cairo: a day whose midnight does not exist starts at 01:00",
        ),
        pytest.param(
            *("today", "2011-12-30 20:00", "Pacific/Apia"),
            ["2011-12-30 10:00", "2011-12-30 20:00", "2011-12-30 10:00", "2011-12-30 10:00"],
            id="Apia: the 30th of December 2011 was left out, so yesterday is empty",
        ),
        pytest.param(
            *("last_7_days", "2012-01-06 10:00", "Pacific/Apia"),
            ["2011-12-30 10:00", "2012-01-06 10:00", "2011-12-24 10:00", "2011-12-30 10:00"],
            id="Apia: the week before counts the day that was left out",
        ),
        pytest.param(
            *("today", "2010-11-07 02:45", "America/St_Johns"),
            ["2010-11-07 02:30", "2010-11-07 02:45", "2010-11-06 02:30", "2010-11-06 02:30"],
            id="St. John's: set back from 00:01 to 23:01, the day that has begun goes on",
        ),
    ],
)
def test_steps_are_taken_on_the_local_wall_clock(
    timeframe: str, as_of: str, zone: str, expected: list[str]
) -> None:
    assert edges(timeframe, as_of, zone) == expected


# Lengths of months


@pytest.mark.parametrize(
    ("timeframe", "as_of", "start", "previous_start"),
    [
        ("last_3_months", "2023-05-31 12:00", "2023-02-28 12:00", "2022-11-30 12:00"),
        ("last_3_months", "2024-05-31 12:00", "2024-02-29 12:00", "2023-11-30 12:00"),
        ("last_12_months", "2024-02-29 12:00", "2023-02-28 12:00", "2022-02-28 12:00"),
        ("last_12_months", "2025-02-28 12:00", "2024-02-28 12:00", "2023-02-28 12:00"),
        ("last_6_months", "2024-08-31 12:00", "2024-02-29 12:00", "2023-08-31 12:00"),
        ("last_6_months", "2024-03-31 12:00", "2023-09-30 12:00", "2023-03-31 12:00"),
    ],
)
def test_months_clamp_and_the_period_before_is_stepped_from_as_of(
    timeframe: str, as_of: str, start: str, previous_start: str
) -> None:
    assert edges(timeframe, as_of, "UTC") == [start, as_of, previous_start, start]


def test_at_midnight_on_the_first_last_month_is_the_month_just_ended() -> None:
    assert edges("last_month", "2024-04-30 18:30", "Asia/Kolkata") == [
        "2024-03-31 18:30",
        "2024-04-30 18:30",
        "2024-02-29 18:30",
        "2024-03-31 18:30",
    ]


def test_at_midnight_on_the_first_this_month_and_today_are_empty() -> None:
    assert edges("this_month", "2024-04-30 18:30", "Asia/Kolkata") == [
        "2024-04-30 18:30",
        "2024-04-30 18:30",
        "2024-03-31 18:30",
        "2024-03-31 18:30",
    ]
    assert edges("today", "2024-04-30 18:30", "Asia/Kolkata") == [
        "2024-04-30 18:30",
        "2024-04-30 18:30",
        "2024-04-29 18:30",
        "2024-04-29 18:30",
    ]


def test_this_year_in_kiritimati_starts_fourteen_hours_before_utc() -> None:
    assert edges("this_year", "2025-01-01 10:00", "Pacific/Kiritimati") == [
        "2024-12-31 10:00",
        "2025-01-01 10:00",
        "2023-12-31 10:00",
        "2024-01-01 10:00",
    ]


@pytest.mark.parametrize(
    ("timeframe", "as_of", "start", "previous_start"),
    [
        # 30 days and 12:00 into February 2024 would be 2 March.
        ("this_month", "2024-03-31 12:00", "2024-03-01 00:00", "2024-02-01 00:00"),
        # 91 days and 12:00 into the first quarter of 2023, which has 90, would be 2 April.
        ("this_quarter", "2023-09-30 12:00", "2023-07-01 00:00", "2023-04-01 00:00"),
        # Day 366 of 2024; 2023 has 365.
        ("this_year", "2024-12-31 12:00", "2024-01-01 00:00", "2023-01-01 00:00"),
    ],
)
def test_a_period_to_date_is_compared_with_no_more_than_the_whole_period_before(
    timeframe: str, as_of: str, start: str, previous_start: str
) -> None:
    assert edges(timeframe, as_of, "UTC") == [start, as_of, previous_start, start]


# Weeks


@pytest.mark.parametrize(
    ("week_start", "as_of", "start", "last_week_start"),
    [
        ("sunday", "2024-05-15 10:30", "2024-05-12 00:00", "2024-05-05 00:00"),
        ("wednesday", "2024-05-15 10:30", "2024-05-15 00:00", "2024-05-08 00:00"),
        ("thursday", "2024-05-15 10:30", "2024-05-09 00:00", "2024-05-02 00:00"),
        ("saturday", "2024-05-18 00:00", "2024-05-18 00:00", "2024-05-11 00:00"),
    ],
)
def test_a_week_starts_on_the_weekday_of_the_project(
    week_start: str, as_of: str, start: str, last_week_start: str
) -> None:
    assert edges("this_week", as_of, "UTC", week_start)[0] == start
    assert edges("last_week", as_of, "UTC", week_start)[:2] == [last_week_start, start]


@pytest.mark.parametrize("week_start", ["Monday", "mon", "", "0"])
def test_a_week_start_that_is_no_weekday_is_refused(week_start: str) -> None:
    with pytest.raises(ValueError, match="WAREHOUSE_WEEK_START to one of monday, tuesday"):
        edges("today", "2024-05-15 10:30", "UTC", week_start)


# Custom windows


def test_a_custom_window_is_compared_with_the_equal_elapsed_time_before() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    # From midnight to midnight over the spring change: 23 hours, not 24.
    window = custom_window(
        datetime(2024, 3, 31, tzinfo=berlin), datetime(2024, 4, 1, tzinfo=berlin)
    )
    assert window == Window(
        "custom",
        at("2024-03-30 23:00"),
        at("2024-03-31 22:00"),
        at("2024-03-30 00:00"),
        at("2024-03-30 23:00"),
    )
    assert window.start_at.tzinfo is UTC


def test_a_custom_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"after its end 2024-05-01T00:00:00.*exchange the two"):
        custom_window(at("2024-05-02"), at("2024-05-01"))


def test_an_instant_without_an_offset_is_refused_everywhere() -> None:
    naive, utc = datetime(2024, 5, 1), ZoneInfo("UTC")
    with pytest.raises(ValueError, match="The as_of 2024-05-01T00:00:00 has no offset"):
        window_of(named("today"), naive, utc, "monday")
    with pytest.raises(ValueError, match="The start 2024-05-01T00:00:00 has no offset"):
        custom_window(naive, at("2024-05-02"))
    with pytest.raises(ValueError, match="has no offset"):
        local_date(naive, utc)
    with pytest.raises(ValueError, match="has no offset"):
        latest_midnight(naive, utc)


# Midnights and local days


@pytest.mark.parametrize(
    ("now", "zone", "midnight", "day"),
    [
        ("2024-05-15 00:00", "UTC", "2024-05-15 00:00", "2024-05-15"),
        ("2024-05-15 23:59", "UTC", "2024-05-15 00:00", "2024-05-15"),
        ("2024-05-14 18:29", "Asia/Kolkata", "2024-05-13 18:30", "2024-05-14"),
        ("2024-05-14 18:30", "Asia/Kolkata", "2024-05-14 18:30", "2024-05-15"),
        ("2024-12-31 10:00", "Pacific/Kiritimati", "2024-12-31 10:00", "2025-01-01"),
        # Midnight does not exist: the day starts at 01:00 local.
        ("2024-09-08 03:59", "America/Santiago", "2024-09-07 04:00", "2024-09-07"),
        ("2024-09-08 04:00", "America/Santiago", "2024-09-08 04:00", "2024-09-08"),
        ("2024-04-25 22:00", "Africa/Cairo", "2024-04-25 22:00", "2024-04-26"),
        # Set back from 24:00 to 23:00: the day has not begun in the hour in between.
        ("2024-04-07 03:30", "America/Santiago", "2024-04-06 03:00", "2024-04-06"),
        ("2024-04-07 04:00", "America/Santiago", "2024-04-07 04:00", "2024-04-07"),
        # Midnight exists twice: the day begins with the first and does not begin again.
        ("2024-11-03 04:00", "America/Havana", "2024-11-03 04:00", "2024-11-03"),
        ("2024-11-03 05:30", "America/Havana", "2024-11-03 04:00", "2024-11-03"),
        ("2010-11-07 02:45", "America/St_Johns", "2010-11-07 02:30", "2010-11-07"),
        # 30 December 2011 was left out: the 31st follows the 29th.
        ("2011-12-30 09:59", "Pacific/Apia", "2011-12-29 10:00", "2011-12-29"),
        ("2011-12-30 10:00", "Pacific/Apia", "2011-12-30 10:00", "2011-12-31"),
        # Set forward from 23:30 to 00:30: midnight moves to 01:00, and the day with it.
        ("1919-03-31 04:45", "America/Toronto", "1919-03-30 05:00", "1919-03-30"),
        ("1919-03-31 05:00", "America/Toronto", "1919-03-31 05:00", "1919-03-31"),
    ],
)
def test_the_latest_midnight_begins_the_local_day(
    now: str, zone: str, midnight: str, day: str
) -> None:
    timezone = ZoneInfo(zone)
    assert latest_midnight(at(now), timezone) == at(midnight)
    assert latest_midnight(at(now), timezone).tzinfo is UTC
    assert local_date(at(now), timezone) == date.fromisoformat(day)


# as_of as people write it


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2025-03-01T06:00:00Z", "Europe/Berlin", "2025-03-01 06:00"),
        ("2025-03-01T06:00Z", "Europe/Berlin", "2025-03-01 06:00"),
        ("2025-03-01T07:00:00.25+01:00", "Asia/Kolkata", "2025-03-01 06:00:00.250"),
        ("2025-03-01T07:00:00+0100", "UTC", "2025-03-01 06:00"),
        ("2025-03-01T07:00:00-05", "UTC", "2025-03-01 12:00"),
        ("2025-03-01", "UTC", "2025-03-01 00:00"),
        ("2025-03-01", "Asia/Kolkata", "2025-02-28 18:30"),
        ("2025-03-01", "America/New_York", "2025-03-01 05:00"),
        ("2024-09-08", "America/Santiago", "2024-09-08 04:00"),
        ("2024-11-03", "America/Havana", "2024-11-03 04:00"),
    ],
)
def test_as_of_is_an_instant_or_the_midnight_that_begins_a_date(
    text: str, zone: str, instant: str
) -> None:
    as_of = parse_as_of(text, ZoneInfo(zone))
    assert as_of == at(instant)
    assert as_of.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-01T06:00:00",
        "2025-03-01 06:00:00Z",
        "2025-02-29",
        "2025-02-29T00:00:00Z",
        "2025-03-01T25:00:00Z",
        "2025-03-01T06:00:00+25:00",
        "2025-03-01T06:00:00+01:75",
        "20250301",
        "2025-W09-6",
        "2025-3-1",
        "2025-03-01\n",
        "٢٠٢٥-03-01",
        "0025-03-01",
        "9999-12-31T23:59:59-05:00",
        "1740787200",
        "yesterday",
        "",
    ],
)
def test_any_other_as_of_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it like 2025-03-01T06:00:00Z, .* or 2025-03-01"):
        parse_as_of(text, ZoneInfo("America/New_York"))


# Laws


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "America/Santiago",
    "Africa/Cairo",
    "America/Havana",
    "America/St_Johns",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Antarctica/Troll",
]


def random_instant(randomly: random.Random, timezone: ZoneInfo) -> datetime:
    """Return an instant of 1990 to 2040, half of them at or near a local midnight."""
    minutes = randomly.randrange(50 * 365 * 24 * 60)
    instant = at("1990-01-01") + timedelta(minutes=minutes, microseconds=randomly.choice([0, 1]))
    if randomly.random() < 0.5:
        nearby = timedelta(minutes=randomly.choice([0, 0, -1, 1, -59, 59, 150]))
        instant = latest_midnight(instant, timezone) + nearby
    return instant


def test_the_laws_of_windows_hold_at_random_instants() -> None:
    seed = 20250301
    print(f"seed {seed}")
    randomly = random.Random(seed)
    timeframes = read_timeframes(SEED_FILE)
    for _ in range(1500):
        timezone = ZoneInfo(randomly.choice(ZONES))
        as_of = random_instant(randomly, timezone)
        week_start = randomly.choice(WEEKDAYS)
        for timeframe in timeframes:
            window = window_of(timeframe, as_of, timezone, week_start)
            case = f"seed {seed}, {timezone}, {as_of}, {week_start}: {window}"
            assert window.previous_start_at <= window.previous_end_at <= window.start_at, case
            assert window.start_at <= window.end_at <= as_of, case
            if timeframe.kind != "previous":
                assert window.end_at == as_of, case
            if timeframe.kind != "to_date":
                assert window.previous_end_at == window.start_at, case
            if timeframe.timeframe == "last_7_days":
                assert starts_seven_days_earlier(window, timezone), case


def starts_seven_days_earlier(window: Window, timezone: ZoneInfo) -> bool:
    """Tell whether the start is at the same wall time, or later where that does not exist."""
    wanted = window.end_at.astimezone(timezone).replace(tzinfo=None) - timedelta(days=7)
    shown = window.start_at.astimezone(timezone).replace(tzinfo=None)
    there = wanted.replace(tzinfo=timezone).astimezone(UTC).astimezone(timezone)
    exists = there.replace(tzinfo=None) == wanted
    return shown == wanted if exists else shown > wanted


def test_local_days_hold_every_random_instant_exactly_once() -> None:
    seed = 20250302
    print(f"seed {seed}")
    randomly = random.Random(seed)
    for _ in range(3000):
        timezone = ZoneInfo(randomly.choice(ZONES))
        instant = random_instant(randomly, timezone)
        day = local_date(instant, timezone)
        next_day = day + timedelta(days=1)
        case = f"seed {seed}, {timezone}, {instant}: {day}"
        assert start_of_day(day, timezone) <= instant < start_of_day(next_day, timezone), case
        assert latest_midnight(instant, timezone) == start_of_day(day, timezone), case
