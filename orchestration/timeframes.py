"""All edges of time of a warehouse's reports, computed with zoneinfo so that SQL needs no calendar.

Every window is half-open, `[start_at, end_at)`, and every datetime returned is aware and in UTC.
Local means the reporting timezone. Days, weeks and months are steps on its wall clock; a wall time
that does not exist moves forward by the length of the gap, one that exists twice means the first.
"""

import csv
import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

PAGES = ("reports", "analytics", "usage", "billing")
COLUMNS = ("timeframe", "kind", "unit", "steps", *PAGES)
KINDS = ("trailing", "to_date", "previous")
DAYS_OF = {"day": 1, "week": 7}
MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}
UNITS = ("hour", *DAYS_OF, *MONTHS_OF)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

DATE_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
INSTANT_FORM = re.compile(
    DATE_FORM.pattern
    + r"T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    + r"(Z|[+-][0-9]{2}(:?[0-5][0-9])?)"
)
FIRST_YEAR, LAST_YEAR = 1900, 2999  # steps back, and offsets, stay within what datetime can hold


@dataclass(frozen=True)
class Timeframe:
    """One row of seeds/timeframes.csv; `pages` are those whose marts hold the timeframe."""

    timeframe: str
    kind: str
    unit: str
    steps: int
    pages: frozenset[str]


@dataclass(frozen=True)
class Window:
    """The half-open edges of one timeframe and of the period it is compared with, all in UTC."""

    timeframe: str
    start_at: datetime
    end_at: datetime
    previous_start_at: datetime
    previous_end_at: datetime


def read_timeframes(path: Path) -> list[Timeframe]:
    """Return the timeframes of the seed at `path`, in the order of the file.

    Raises ValueError, naming file and line, for anything that window_of could not compute.
    """
    with open(path, encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(
                f"{path} has the columns {reader.fieldnames}; make its header {','.join(COLUMNS)}."
            )
        timeframes: list[Timeframe] = []
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            timeframe = _timeframe_of(row, where)
            if any(timeframe.timeframe == earlier.timeframe for earlier in timeframes):
                raise ValueError(
                    f"{where}: {timeframe.timeframe} occurs twice; remove one of them."
                )
            timeframes.append(timeframe)
    return timeframes


def window_of(timeframe: Timeframe, as_of: datetime, timezone: ZoneInfo, week_start: str) -> Window:
    """Return the window of `timeframe` as seen from `as_of`, an aware datetime.

    `week_start` is an English weekday in lower case. Raises ValueError for any other one and for
    an as_of without an offset.
    """
    first_weekday = _weekday_number(week_start)
    as_of = _in_utc(as_of, "The as_of")
    if timeframe.kind == "trailing":
        edges = _trailing(timeframe, as_of, timezone)
    elif timeframe.kind == "to_date":
        edges = _to_date(timeframe.unit, as_of, timezone, first_weekday)
    else:
        edges = _whole_previous(timeframe.unit, as_of, timezone, first_weekday)
    return Window(timeframe.timeframe, *edges)


def custom_window(start: datetime, end: datetime) -> Window:
    """Return `[start, end)` with the equal elapsed time before it; both edges must be aware.

    Raises ValueError if an edge has no offset or if `start` is after `end`.
    """
    start, end = _in_utc(start, "The start"), _in_utc(end, "The end")
    if start > end:
        raise ValueError(
            f"The custom window starts at {start.isoformat()}, after its end {end.isoformat()};"
            " exchange the two."
        )
    return Window("custom", start, end, start - (end - start), start)


def latest_midnight(now: datetime, timezone: ZoneInfo) -> datetime:
    """Return, in UTC, the latest local midnight that is not after `now`."""
    return start_of_day(local_date(now, timezone), timezone)


def parse_as_of(text: str, timezone: ZoneInfo) -> datetime:
    """Return, in UTC, the instant that `text` means.

    `text` is an ISO instant with Z or an offset, or a date, which means the local midnight that it
    begins with. Anything else raises ValueError, an instant without an offset too.
    """
    try:
        if DATE_FORM.fullmatch(text):
            day = date.fromisoformat(text)
            if FIRST_YEAR <= day.year <= LAST_YEAR:
                return start_of_day(day, timezone)
        elif INSTANT_FORM.fullmatch(text):
            instant = datetime.fromisoformat(text)
            if FIRST_YEAR <= instant.year <= LAST_YEAR:
                return instant.astimezone(UTC)
    except ValueError:
        pass  # the right form, but no such day, hour or offset: the same sentence says what to do
    raise ValueError(
        f"as_of {text!r} is neither an instant with Z or an offset nor a date, in the years"
        f" {FIRST_YEAR} to {LAST_YEAR}; write it like 2025-03-01T06:00:00Z,"
        " 2025-03-01T07:00:00+01:00 or 2025-03-01."
    )


def local_date(instant: datetime, timezone: ZoneInfo) -> date:
    """Return the local day that holds `instant`: the last one to have begun by then.

    This is the date on the wall clock, except within a change of clocks that straddles midnight
    (St. John's until 2011 set them back from 00:01 to 23:01): a day that has begun does not end
    twice, so that the days `[start_of_day, next start_of_day)` hold every instant exactly once.
    """
    instant = _in_utc(instant, "The instant")
    day = _wall_clock(instant, timezone).date() + timedelta(days=1)
    while start_of_day(day, timezone) > instant:
        day -= timedelta(days=1)
    return day


def start_of_day(day: date, timezone: ZoneInfo) -> datetime:
    """Return, in UTC, the local midnight that `day` begins with."""
    return _instant_of(datetime.combine(day, time.min), timezone)


Edges = tuple[datetime, datetime, datetime, datetime]


def _trailing(timeframe: Timeframe, as_of: datetime, timezone: ZoneInfo) -> Edges:
    unit, steps = timeframe.unit, timeframe.steps
    if unit == "hour":
        start, previous_start = (as_of - timedelta(hours=steps * times) for times in (1, 2))
    else:
        # Both steps are taken from as_of: from a start clamped to 28 February the next one back
        # would be a 28th as well.
        wall = _wall_clock(as_of, timezone)
        start, previous_start = (
            _instant_of(_steps_back(wall, unit, steps * times), timezone) for times in (1, 2)
        )
    return start, as_of, previous_start, start


def _to_date(unit: str, as_of: datetime, timezone: ZoneInfo, first_weekday: int) -> Edges:
    period = _period_start(local_date(as_of, timezone), unit, first_weekday)
    period_before = _steps_back(period, unit, 1)
    start = _instant_of(period, timezone)
    previous_start = _instant_of(period_before, timezone)
    # Days are counted on the wall clock, so a 23-hour day in between counts as one.
    into_period = _wall_clock(as_of, timezone) - period
    previous_end = _instant_of(period_before + into_period, timezone)
    return start, as_of, previous_start, max(previous_start, min(previous_end, start))


def _whole_previous(unit: str, as_of: datetime, timezone: ZoneInfo, first_weekday: int) -> Edges:
    period = _period_start(local_date(as_of, timezone), unit, first_weekday)
    end, start, previous_start = (
        _instant_of(_steps_back(period, unit, steps), timezone) for steps in (0, 1, 2)
    )
    return start, end, previous_start, start


def _period_start(day: date, unit: str, first_weekday: int) -> datetime:
    """Return the wall clock's midnight at which the day, week, month, quarter or year began."""
    if unit == "week":
        day -= timedelta(days=(day.weekday() - first_weekday) % 7)
    elif unit in MONTHS_OF:
        months = MONTHS_OF[unit]
        day = day.replace(month=(day.month - 1) // months * months + 1, day=1)
    return datetime.combine(day, time.min)


def _steps_back(wall: datetime, unit: str, steps: int) -> datetime:
    """Return the wall time `steps` units earlier, clamped to the last day of a shorter month."""
    if unit in DAYS_OF:
        return wall - timedelta(days=DAYS_OF[unit] * steps)
    year, month = divmod(wall.year * 12 + wall.month - 1 - MONTHS_OF[unit] * steps, 12)
    month += 1
    return wall.replace(year=year, month=month, day=min(wall.day, monthrange(year, month)[1]))


def _wall_clock(instant: datetime, timezone: ZoneInfo) -> datetime:
    return instant.astimezone(timezone).replace(tzinfo=None, fold=0)


def _instant_of(wall: datetime, timezone: ZoneInfo) -> datetime:
    # fold=0 reads a wall time that exists twice as the first, and one that does not exist with the
    # offset before the gap, which moves it forward by the gap's length (PEP 495).
    return wall.replace(tzinfo=timezone, fold=0).astimezone(UTC)


def _in_utc(instant: datetime, name: str) -> datetime:
    if instant.utcoffset() is None:
        raise ValueError(
            f"{name} {instant.isoformat()} has no offset from UTC; give it a timezone."
        )
    return instant.astimezone(UTC)


def _weekday_number(week_start: str) -> int:
    if week_start not in WEEKDAYS:
        raise ValueError(
            f"The week cannot start on {week_start!r}; set WAREHOUSE_WEEK_START to one of"
            f" {', '.join(WEEKDAYS)}."
        )
    return WEEKDAYS.index(week_start)


def _timeframe_of(row: dict[str, str], where: str) -> Timeframe:
    if None in row or None in row.values():
        raise ValueError(f"{where} has not {len(COLUMNS)} cells; fill {','.join(COLUMNS)}.")
    allowed = {"kind": KINDS, "unit": UNITS} | {page: ("true", "false") for page in PAGES}
    for column, values in allowed.items():
        if row[column] not in values:
            raise ValueError(
                f"{where}: {column} is {row[column]!r}; make it one of {', '.join(values)}."
            )
    if not row["timeframe"]:
        raise ValueError(f"{where}: the timeframe has no name; give it one.")
    if not re.fullmatch(r"[1-9][0-9]{0,3}", row["steps"]):
        raise ValueError(f"{where}: steps is {row['steps']!r}; make it a whole number from 1 on.")
    if row["kind"] != "trailing" and (row["unit"] == "hour" or row["steps"] != "1"):
        raise ValueError(
            f"{where}: {row['kind']} knows one day, week, month, quarter or year,"
            f" not {row['steps']} {row['unit']}; make it trailing, or change unit and steps."
        )
    pages = frozenset(page for page in PAGES if row[page] == "true")
    return Timeframe(row["timeframe"], row["kind"], row["unit"], int(row["steps"]), pages)
