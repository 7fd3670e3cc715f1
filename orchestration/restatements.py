"""What finance was shown of whole months, kept beside raw/, and what has read otherwise since.

<home>/closed_months holds a folder per published night: the figures of the months that it was the
first to show whole, what it restated of others, the names that it was the first to show, and the
loads that it knew. Folders are only added, each by one rename, so that a killed night leaves all of
its folder or none; the next one makes up for it from the published database, which holds the same.
"""

import csv
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from orchestration.closed import close_off
from orchestration.project import SEEDS, Settings
from orchestration.publish import opened, sync
from orchestration.timeframes import start_of_day

log = logging.getLogger("warehouse")

KEYS = ("organisation_id", "category", "agent_id", "user_id", "client", "provider", "model")
MONTH_FORM = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
INSTANT = pa.timestamp("us")
AMOUNT = pa.decimal128(38, 12)
TABLES = (
    "month_days", "new_loads", "kept_night", "kept_months", "kept_figures", "kept_names",
    "kept_restatements", "closed_months",
)  # fmt: skip

_FIGURE = [(name, pa.string()) for name in ("month", "cut", "figure", *KEYS)]
FIGURES = pa.schema([*_FIGURE, ("figure_value", AMOUNT)])
NAMES = pa.schema([(name, pa.string()) for name in ("kind", "id", "name")])
RESTATEMENTS = pa.schema(
    [("night_id", pa.string()), *_FIGURE]
    + [(name, AMOUNT) for name in ("old_value", "new_value", "difference")]
    + [(name, pa.string()) for name in ("old_name", "new_name", "cause", "files")]
    + [("is_closed", pa.bool_())]
)
_PARTS = {"figures": FIGURES, "names": NAMES, "restatements": RESTATEMENTS}

# Months of all instants that the landing zone accepts, in every timezone.
FIRST_MONTH, LAST_MONTH = date(1999, 12, 1), date(2100, 1, 1)


@dataclass(frozen=True)
class KeptNight:
    """What a night leaves beside the figures: its parameters, and the loads and months it added.

    as_of: ISO 8601 in UTC. months: as 2026-02, those that no night before had shown whole.
    """

    night_id: str
    as_of: str
    timezone: str
    price_version: str
    facts_version: str
    loads: list[int]
    months: list[str]


@dataclass(frozen=True)
class Restated:
    """How much a night, or all of them, restated of months already shown whole."""

    figures: int
    names: int
    in_closed_months: int
    months: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """For a machine: figures, names, and how many of both are in closed months."""
        return {
            "figures": self.figures,
            "names": self.names,
            "in_closed_months": self.in_closed_months,
        }

    @property
    def sentence(self) -> str:
        """For the end of a night; empty where nothing was restated."""
        if not self.figures + self.names:
            return ""
        counts = [
            f"{count:,} {word if count == 1 else word + 's'}"
            for count, word in ((self.figures, "figure"), (self.names, "name"))
            if count
        ]
        of = self.months[0] if len(self.months) == 1 else f"{len(self.months)} months"
        closed = (
            f"; {self.in_closed_months:,} in a month closed by finance"
            if self.in_closed_months
            else ""
        )
        return f"{' and '.join(counts)} of {of} restated: see quality.restatements{closed}."


def count_restated(connection: duckdb.DuckDBPyConnection, night_id: str | None = None) -> Restated:
    """What a night restated, or every night; read from a published database."""
    (row,) = connection.execute(
        "select count(*) filter (cut <> 'name'), count(*) filter (cut = 'name'), "
        "count(*) filter (is_closed), coalesce(list_sort(list(distinct month)), []) "
        "from quality.restatements where $1 is null or night_id = $1",
        [night_id],
    ).fetchall()
    return Restated(*row[:3], months=tuple(row[3]))


def kept_nights(settings: Settings) -> list[KeptNight]:
    """The nights whose figures are kept, oldest first."""
    folders = settings.closed_months.glob("[0-9]*")
    notes = [folder / "night.json" for folder in sorted(folders, key=lambda each: int(each.name))]
    return [KeptNight(**json.loads(note.read_text(encoding="utf-8"))) for note in notes]


def is_behind(settings: Settings) -> bool:
    """Whether a published night died before its figures were kept."""
    night_id = _published_night_id(settings.published_file)
    return night_id is not None and not (settings.closed_months / night_id).exists()


def keep_published(settings: Settings) -> None:
    """Keep what the published night was the first to show whole, and what it restated.

    Does nothing where that is kept already, or where nothing is published.
    """
    if not is_behind(settings):
        return
    state = settings.closed_months
    state.mkdir(parents=True, exist_ok=True)
    for leftover in state.glob(".keeping-*"):
        shutil.rmtree(leftover)
    nights = kept_nights(settings)
    known_months = {month for night in nights for month in night.months}
    known_loads = {load for night in nights for load in night.loads}
    with opened(settings.published_file) as connection:
        night_id, as_of, timezone, price_version, facts_version = _one(
            connection,
            "select night_id, as_of, timezone, price_version, "
            "(select max(facts_version) from quality.applied_loads) from quality.night",
        )
        loads = connection.execute(
            "select load_id from quality.applied_loads order by load_id"
        ).fetchall()
        (first,) = _one(connection, "select min(month) from intermediate.int_month_figures")
        whole = whole_months(first, as_of.replace(tzinfo=UTC), ZoneInfo(timezone))
        added = [month for month in whole if month not in known_months]
        connection.register("kept_names", kept_names(settings))
        names_count = all(_naive(night.as_of) <= as_of for night in nights)
        tables = {
            "figures": connection.sql(
                f"select {', '.join(FIGURES.names)} from intermediate.int_month_figures "
                "where cut <> 'month' and list_contains($1::varchar[], month) order by all",
                params=[added],
            ).to_arrow_table(),
            "restatements": connection.sql(
                f"select {', '.join(RESTATEMENTS.names)} from quality.restatements "
                "where night_id = $1 order by all",
                params=[night_id],
            ).to_arrow_table(),
            # Names of before what was kept would be restated back and forth.
            "names": connection.sql(
                "select kind, id, name from intermediate.int_names_as_of where $1 "
                "except select kind, id, name from kept_names order by all",
                params=[names_count],
            ).to_arrow_table(),
        }
    note = KeptNight(
        night_id=night_id,
        as_of=as_of.replace(tzinfo=UTC).isoformat(),
        timezone=timezone,
        price_version=price_version,
        facts_version=facts_version or "",
        loads=[load for (load,) in loads if load not in known_loads],
        months=added,
    )
    _commit(state, note, tables)


def _commit(state: Path, note: KeptNight, tables: dict[str, pa.Table]) -> None:
    """Write a night's folder under another name, and give it its own when the disk holds it."""
    folder = state / f".keeping-{note.night_id}"
    folder.mkdir()
    for name, table in tables.items():
        if table.num_rows:
            pq.write_table(table.cast(_PARTS[name]), folder / f"{name}.parquet", compression="zstd")
    (folder / "night.json").write_text(json.dumps(asdict(note), indent=1) + "\n", encoding="utf-8")
    for file in folder.iterdir():
        sync(file)
    sync(folder)
    os.rename(folder, state / note.night_id)
    sync(state)
    sync(state.parent)


def run_tables(
    settings: Settings, loads: Iterable[int], to_apply: Iterable[int], is_built_anew: bool
) -> dict[str, pa.Table]:
    """The tables of TABLES for dbt: what is kept, and which loads it does not know.

    loads: all that are committed. to_apply: those that the build file lacks.
    """
    nights = kept_nights(settings)
    new_loads = set() if is_built_anew else set(to_apply)
    if nights:
        new_loads |= set(loads) - {load for night in nights for load in night.loads}
    months = sorted({month for night in nights for month in night.months})
    return {
        "month_days": month_days(settings.timezone),
        "new_loads": pa.table({"load_id": pa.array(sorted(new_loads), pa.int64())}),
        "kept_night": _night_table(nights),
        "kept_months": pa.table({"month": pa.array(months, pa.string())}),
        "kept_figures": kept_figures(settings),
        "kept_names": kept_names(settings),
        "kept_restatements": _all_of(settings, "restatements"),
        "closed_months": read_closed_months(SEEDS / "closed_months.csv"),
    }


def kept_figures(settings: Settings) -> pa.Table:
    """The figures of whole months as first exported, with all restatements since."""
    with duckdb.connect() as connection:
        close_off(connection)
        connection.register("figures", _all_of(settings, "figures"))
        connection.register("restatements", _all_of(settings, "restatements"))
        identity = ", ".join(("month", "cut", "figure", *KEYS))
        added_up = connection.sql(
            f"select {identity}, cast(sum(figure_value) as decimal(38, 12)) as figure_value "
            f"from (select * from figures union all select {identity}, difference "
            "from restatements where cut <> 'name') group by all having sum(figure_value) <> 0"
        )
        return added_up.to_arrow_table().cast(FIGURES)


def kept_names(settings: Settings) -> pa.Table:
    """The names as they were shown last."""
    names: dict[tuple[str, str], str | None] = {}
    for row in _all_of(settings, "names").to_pylist():
        names[row["kind"], row["id"]] = row["name"]
    rows = [{"kind": kind, "id": id_, "name": name} for (kind, id_), name in names.items()]
    return pa.Table.from_pylist(rows, schema=NAMES)


def month_days(timezone: ZoneInfo) -> pa.Table:
    """The UTC days that each local month touches, with the month's edges, naive and in UTC."""
    columns: dict[str, list[Any]] = {
        "month": [], "utc_date": [], "month_start_at": [], "month_end_at": [],
    }  # fmt: skip
    first = FIRST_MONTH
    while first <= LAST_MONTH:
        start_at, end_at = (
            start_of_day(each, timezone).replace(tzinfo=None) for each in (first, _next(first))
        )
        day = start_at.date()
        while day <= (end_at - timedelta(microseconds=1)).date():
            columns["month"].append(f"{first:%Y-%m}")
            columns["utc_date"].append(day)
            columns["month_start_at"].append(start_at)
            columns["month_end_at"].append(end_at)
            day += timedelta(days=1)
        first = _next(first)
    kinds = (pa.string(), pa.date32(), INSTANT, INSTANT)
    arrays = [pa.array(values, kind) for values, kind in zip(columns.values(), kinds, strict=True)]
    return pa.table(arrays, names=list(columns))


def whole_months(first: str | None, as_of: datetime, timezone: ZoneInfo) -> list[str]:
    """The local months from `first` on, such as 2026-02, that had ended by an instant."""
    months: list[str] = []
    if first is None:
        return months
    start = date.fromisoformat(f"{first}-01")
    while start_of_day(_next(start), timezone) <= as_of:
        months.append(f"{start:%Y-%m}")
        start = _next(start)
    return months


def _next(first: date) -> date:
    """The first day of the next month."""
    return (first + timedelta(days=31)).replace(day=1)


def _naive(instant: str) -> datetime:
    return datetime.fromisoformat(instant).astimezone(UTC).replace(tzinfo=None)


def _night_table(nights: list[KeptNight]) -> pa.Table:
    schema = pa.schema(
        [("night_id", pa.string()), ("as_of", INSTANT)]
        + [(name, pa.string()) for name in ("timezone", "price_version", "facts_version")]
    )
    rows = []
    if nights:
        last = {name: getattr(nights[-1], name) for name in schema.names}
        rows = [{**last, "as_of": max(_naive(night.as_of) for night in nights)}]
    return pa.Table.from_pylist(rows, schema=schema)


def read_closed_months(seed: Path) -> pa.Table:
    """The months that finance has closed, as the seed names them.

    Raises ValueError, naming file and line, for what is no month.
    """
    schema = pa.schema([(name, pa.string()) for name in ("month", "closed_on", "closed_by")])
    with seed.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for line, row in enumerate(rows, 2):
        if not MONTH_FORM.fullmatch(row["month"] or ""):
            raise ValueError(
                f"{seed.name}, line {line}: {row['month']!r} is no month: write it as 2026-02."
            )
    return pa.Table.from_pylist(rows, schema=schema)


def _all_of(settings: Settings, part: str) -> pa.Table:
    """The rows of one part of every kept night, oldest night first."""
    folders = (settings.closed_months / night.night_id for night in kept_nights(settings))
    files = [file for folder in folders if (file := folder / f"{part}.parquet").exists()]
    schema = _PARTS[part]
    return pa.concat_tables([schema.empty_table(), *(pq.read_table(file) for file in files)])


def _published_night_id(published_file: Path) -> str | None:
    """The published night; None where nothing is, or what is cannot be kept."""
    if not published_file.exists():
        return None
    try:
        with opened(published_file) as connection:
            connection.execute("select 1 from intermediate.int_month_figures limit 0")
            (night_id,) = _one(connection, "select night_id from quality.night")
            return night_id
    except duckdb.Error as error:
        log.info("%s is of an older make or damaged: %s", published_file, error)
        return None


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple:
    (row,) = connection.execute(query).fetchall()
    return row
