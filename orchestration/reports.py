"""A report for any timeframe under any filters, by the SQL that its mart was built with.

It runs over tables of the same names that hold only the rows that pass.
"""

import difflib
import hashlib
import string
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from orchestration.closed import close_off
from orchestration.edges import PageWindow, tables_of_time
from orchestration.exports import (
    AT_ONCE,
    FORMS,
    Report,
    read_reports,
    write_file,
    write_timeframes,
)
from orchestration.filters import (
    CALLS,
    FILTERS,
    LINES,
    REQUESTS,
    RUNS,
    TEAM_VIEWS,
    TIMES,
    UNATTRIBUTED,
    Filter,
    filters_of,
)  # fmt: skip
from orchestration.project import SEEDS, Settings, bytes_of
from orchestration.timeframes import (
    Window,
    custom_window,
    parse_as_of,
    read_timeframes,
    window_of,
)

SHOWN_VALUES = 20
# Its rows are organisations with all below them, which are chosen and not narrowed.
BY_ORGANISATION = "usage_by_sub_account"
FOLDER_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_-")
LONGEST_FOLDER_NAME = 200
TIME_TABLES = ("windows", "buckets", "slots", "slot_buckets")

# Telemetry names no organisation: it is that of its user.
_ORGANISATION = {name: "r.organisation_id" for name in TIMES} | {
    name: "coalesce(r.organisation_id, (select max(u.organisation_id) "
    "from published.intermediate.int_users_as_of as u where u.user_id = r.user_id))"
    for name in (REQUESTS, CALLS)
}


class AskError(ValueError):
    """A report that cannot be made as asked; the text says what to ask instead."""


@dataclass(frozen=True)
class Ask:
    """A report as somebody wants it.

    values: by filter, those of which a row must have one. window: None for the timeframes that the
    night computed for the report's page.
    """

    report: Report
    window: Window | None = None
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    include_sub_organisations: bool = False


@dataclass(frozen=True)
class AskedExport:
    """An export in the words of a person: names and texts, as the command or the job takes them."""

    report: str
    timeframe: str | None = None
    start: str | None = None
    end: str | None = None
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    include_sub_organisations: bool = False
    as_user: str | None = None
    form: str = "csv"


def write_asked(settings: Settings, asked: AskedExport, file: Path) -> str:
    """Write a report to a file, which is there whole or not at all; returns what was written.

    Raises AskError for what cannot be asked, OSError where the file cannot be written.
    """
    report = report_named(asked.report)
    published = settings.published_file
    if not published.exists():
        raise AskError(f"Nothing is published in {settings.home}: run `warehouse night` first.")
    if asked.form not in FORMS:
        raise AskError(f"There is no format {asked.form!r}: there are {', '.join(FORMS)}.")
    window = window_asked(published, asked.timeframe, asked.start, asked.end)
    granted = None
    if asked.as_user is not None:
        granted = organisations_granted(published, asked.as_user, report.roles)
    ask = Ask(report, window, asked.filters, asked.include_sub_organisations)
    with answered(published, ask, settings.memory_limit, granted, file.parent) as connection:
        ((rows,),) = connection.execute("select count(*) from exported").fetchall()
        part = file.with_name(f".{file.name}.part")
        try:
            part.touch()
            write_file(connection, report, part, asked.form)
            part.replace(file)
        except ValueError as error:
            raise AskError(str(error)) from error
        finally:
            part.unlink(missing_ok=True)
    start, end = (f"{edge:%Y-%m-%dT%H:%M:%SZ}" for edge in (window.start_at, window.end_at))
    narrowed = "".join(
        f", {name.replace('_', ' ')} {' or '.join(values)}"
        for name, values in asked.filters.items()
    )
    if asked.include_sub_organisations:
        narrowed += " with all below"
    of_whom = f", organisations {', '.join(granted)}" if granted else ""
    return f"Wrote {rows:,} rows of {report.name}, {start} to {end}{narrowed}{of_whom}."


def report_named(name: str) -> Report:
    """The report of that name; raises AskError with the names that there are."""
    reports = {report.name: report for report in read_reports()}
    if name not in reports:
        near = difflib.get_close_matches(name, reports, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise AskError(
            f"There is no report {name!r}{hint}: `warehouse reports` lists {len(reports)}."
        )
    return reports[name]


def window_asked(
    published: Path, timeframe: str | None, start: str | None, end: str | None
) -> Window:
    """The window of a timeframe as of the published night, or of two instants or local dates.

    Raises AskError where neither is given, or one cannot be used.
    """
    with _open(published) as connection:
        as_of, timezone, week_start = _night(connection)
    if timeframe is not None:
        if start is not None or end is not None:
            raise AskError("Ask for a --timeframe, or for --from and --to, and not for both.")
        timeframes = {each.timeframe: each for each in read_timeframes(SEEDS / "timeframes.csv")}
        if timeframe not in timeframes:
            raise AskError(
                f"There is no timeframe {timeframe!r}: there are {', '.join(timeframes)}; "
                "or ask --from and --to."
            )
        return window_of(timeframes[timeframe], as_of, timezone, week_start)
    if start is None or end is None:
        raise AskError("Ask for a --timeframe, or for --from and --to.")
    try:
        window = custom_window(parse_as_of(start, timezone), parse_as_of(end, timezone))
    except ValueError as error:
        raise AskError(str(error).replace("as_of ", "The time ", 1)) from error
    if window.end_at > as_of:
        raise AskError(
            f"The window ends at {window.end_at.isoformat()}, after what the published night "
            f"looks back from: ask --to {as_of.isoformat()} at most, or run a later night."
        )
    return window


def write_organisation_sets(
    database: Path, folder: Path, memory_limit: str
) -> list[dict[str, Any]]:
    """Write the billing reports of each organisation alone; returns their manifest entries.

    Below `<folder>/organisations/<id>/`: `billing` for those who hold that role, `detail` for
    owners and contributors. Only their group may read them: modes 0750 and 0640.
    """
    with _open(database) as connection:
        ids = connection.execute(
            f"select distinct organisation_id from published.intermediate.{LINES} order by 1"
        ).fetchall()
    memory = f"{bytes_of(memory_limit) // AT_ONCE}B"
    with ThreadPoolExecutor(AT_ONCE) as pool:
        written = pool.map(
            lambda row: _write_organisation_set(database, folder, memory, row[0]), ids
        )
        entries = [entry for files in written for entry in files]
    for path in (folder / "organisations", *(folder / "organisations").rglob("*")):
        if path.exists():
            path.chmod(0o750 if path.is_dir() else 0o640)
    return entries


def _write_organisation_set(
    database: Path, folder: Path, memory_limit: str, organisation_id: str
) -> list[dict[str, Any]]:
    organisation = FILTERS["organisation"]
    entries: list[dict[str, Any]] = []
    with _open(database, memory_limit, folder) as connection:
        windows = connection.execute(
            "select timeframe, window_start_at, window_end_at "
            "from published.intermediate.int_windows where page = 'billing' order by position"
        ).fetchall()
        _keep(connection, organisation.name, [organisation_id])
        narrowing = _Narrowing(connection, [organisation], is_shared=True)
        # Those that are made of the ledger alone, whose lines all name an organisation.
        for report in read_reports():
            if not report.name.startswith("billing_"):
                continue
            part = "billing" if "billing" in report.roles else "detail"
            below = f"organisations/{folder_name(organisation_id)}/{part}/{report.name}"
            narrowing.answer(report, None)
            entries += write_timeframes(
                connection, report, folder, below, windows, {"organisation": [organisation_id]}
            )
    return entries


def folder_name(identity: str) -> str:
    """An id as the name of a folder: percent-encoded outside [A-Za-z0-9_-], and never too long."""
    encoded = "".join(
        chr(byte) if chr(byte) in FOLDER_CHARACTERS else f"%{byte:02X}"
        for byte in identity.encode()
    )
    if len(encoded) <= LONGEST_FOLDER_NAME:
        return encoded
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return f"{encoded[: LONGEST_FOLDER_NAME - len(digest) - 1]}-{digest}"


def organisations_granted(published: Path, user: str, roles: Sequence[str]) -> list[str]:
    """The organisations in which a user, by id or e-mail, holds one of the roles as of the night.

    Raises AskError where there is none.
    """
    with _open(published) as connection:
        rows = connection.execute(
            "select distinct g.organisation_id from published.intermediate.int_role_grants_as_of g "
            "left join published.intermediate.int_users_as_of u on g.user_id = u.user_id "
            "where g.is_granted and list_contains($2::varchar[], g.role) "
            "and (g.user_id = $1 or lower(u.email) = lower($1)) order by 1",
            [user, list(roles)],
        ).fetchall()
    if not rows:
        raise AskError(
            f"{user} holds none of the roles that this report needs in any organisation: "
            f"{' or '.join(roles)}."
        )
    return [row[0] for row in rows]


@contextmanager
def answered(
    published: Path,
    ask: Ask,
    memory_limit: str,
    granted: Sequence[str] | None = None,
    folder: Path | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose table `exported` holds the report's rows, each with its timeframe.

    granted: organisations outside of which no row counts; None for all of them. folder: the only
    one that the connection can write to.
    Raises AskError for a filter that the report has not, or a value that nothing has.
    """
    filters, is_granted = _filters_asked(ask), granted is not None
    with _open(published, memory_limit, folder) as connection:
        for each in filters:
            _keep_values(connection, each, ask)
        if granted is not None:
            _keep(connection, "granted", granted)
        views = [each for each in filters if each.name in TEAM_VIEWS]
        if len(views) < 2:
            _Narrowing(connection, filters, is_granted).answer(ask.report, ask.window)
        else:
            # Each view of the page has its own meaning of a team.
            parts = []
            for position, view in enumerate(views):
                others = [each for each in filters if each not in views]
                narrowing = _Narrowing(connection, [*others, view], is_granted)
                narrowing.answer(ask.report, ask.window)
                part = f"part_{position}"
                connection.execute(
                    f"create temp table {part} as from exported where view = $1",
                    [TEAM_VIEWS[view.name]],
                )
                parts.append(f"from {part}")
            connection.execute(
                f"create or replace temp table exported as {' union all '.join(parts)}"
            )
        yield connection


def _filters_asked(ask: Ask) -> list[Filter]:
    possible = filters_of(ask.report.name)
    options = {each.option for each in possible}
    for name in ask.values:
        if name not in options:
            flags = ", ".join(sorted({each.flag for each in possible})) or "none"
            raise AskError(
                f"{ask.report.name} has no filter {name.replace('_', '-')}: it has {flags}."
            )
    if ask.include_sub_organisations and "organisation" not in ask.values:
        raise AskError("--include-sub-organisations needs an --organisation.")
    return [each for each in possible if ask.values.get(each.option)]


def _keep_values(connection: duckdb.DuckDBPyConnection, each: Filter, ask: Ask) -> None:
    """Keep the ids that somebody asked for, by id or by name, in the filter's table."""
    option = each.option
    connection.execute(f"create temp table known as {each.known}")
    found: list[str] = []
    for asked in ask.values[option]:
        value = asked.lower() if each.is_lowered else asked
        if value == UNATTRIBUTED:
            found.append(value)
            continue
        rows = (
            connection.execute(
                "select distinct value from known where value = $1 or lower(name) = lower($1) "
                "or (value like '%@%' and lower(value) = lower($1))",
                [value],
            ).fetchall()
            or connection.execute(
                "select distinct value from known where lower(value) = lower($1)", [value]
            ).fetchall()
        )
        if not rows:
            raise AskError(_unknown_value(connection, option, asked))
        found += [row[0] for row in rows]
    connection.execute("drop table known")
    _keep(connection, each.name, found)
    if option == "organisation" and ask.include_sub_organisations:
        connection.execute(
            f"insert into asked.{each.name} select distinct d.descendant_id "
            "from published.intermediate.int_organisation_descendants as d "
            f"where d.organisation_id in (select value from asked.{each.name})"
        )


def _unknown_value(connection: duckdb.DuckDBPyConnection, option: str, asked: str) -> str:
    rows = connection.execute(
        "select value, max(name) from known where value is not null group by value order by value"
    ).fetchall()
    shown = [
        value if name in (None, "", value) else f"{value} ({' '.join(name.split())})"
        for value, name in rows
    ]
    near = difflib.get_close_matches(asked, shown, n=SHOWN_VALUES, cutoff=0.6)
    listed = (near + [value for value in shown if value not in near])[:SHOWN_VALUES]
    more = f" and {len(shown) - len(listed)} more" if len(shown) > len(listed) else ""
    there_are = f"there are {', '.join(listed)}{more}" if listed else "there are none"
    return f"No {option.replace('_', ' ')} is {asked!r}: {there_are}."


def _keep(connection: duckdb.DuckDBPyConnection, name: str, values: Sequence[str]) -> None:
    table = pa.table({"value": pa.array(values, pa.string())})
    connection.register("arriving", table)
    connection.execute(f'create or replace table asked."{name}" as from arriving')
    connection.unregister("arriving")


@dataclass
class _Narrowing:
    """Facts narrowed by filters whose values are kept, and what was made from them so far.

    is_shared: whether several reports are made from them.
    """

    connection: duckdb.DuckDBPyConnection
    filters: Sequence[Filter]
    is_granted: bool = False
    is_shared: bool = False
    made: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        for schema in ("intermediate", "marts"):
            self.connection.execute(f"drop schema if exists {schema} cascade")
            self.connection.execute(f"create schema {schema}")
        by_run = [each for each in self.filters if each.is_by_run and RUNS in each.conditions]
        self.is_by_run = bool(by_run)
        if by_run:
            conditions = " and ".join(each.conditions[RUNS] for each in by_run)
            self.connection.execute(
                "create or replace temp table asked_runs as "
                f"select r.run_id from published.intermediate.{RUNS} as r where {conditions}"
            )

    def answer(self, report: Report, window: Window | None) -> None:
        """Make the table `exported`: of a window, or of the timeframes of the night."""
        self.is_by_organisation = report.name == BY_ORGANISATION
        if window is None:
            self._make("marts", report.name)
            query, values = f"select r.* from marts.{report.name} as r where true", []
        else:
            slot = _expose_window(self.connection, report.page, window)
            self.made |= {("intermediate", f"int_{name}") for name in TIME_TABLES}
            self._make("marts", report.name)
            query = f"select r.* replace ($1 as timeframe) from marts.{report.name} as r "
            query += "where r.timeframe = $2"
            values = [window.timeframe, slot]
        for each in self.filters:
            if each.rows is not None:
                query += f" and {each.rows} in (select value from asked.{each.name})"
        if self.is_granted and self.is_by_organisation:
            query += " and r.organisation_id in (select value from asked.granted)"
        self.connection.execute(f"create or replace temp table exported as {query}", values)

    def _make(self, schema: str, name: str) -> None:
        """Make a relation: a fact's rows that pass, what is computed from them, or as published."""
        if (schema, name) in self.made:
            return
        self.made.add((schema, name))
        published = f"published.{schema}.{name}"
        if name in TIMES:
            where = " and ".join(self._conditions(name)) or "true"
            # A long window holds most of a fact: it is read where it lies, by the columns needed.
            # The rows of one organisation are few, and all its reports read them.
            kind = "table" if self.is_shared else "view"
            self.connection.execute(
                f"create {kind} {schema}.{name} as select r.* from {published} as r where {where}"
            )
            return
        queries = self.connection.execute(
            "select sql_text, reads from published.quality.report_queries where relation = $1",
            [f"{schema}.{name}"],
        ).fetchall()
        if not queries:
            self.connection.execute(f"create view {schema}.{name} as from {published}")
            return
        ((sql, reads),) = queries
        for read in reads.split(","):
            self._make(*read.split("."))
        self.connection.execute(f"create table {schema}.{name} as {sql}")

    def _conditions(self, fact: str) -> list[str]:
        conditions = [each.conditions[fact] for each in self.filters if fact in each.conditions]
        if fact == LINES and self.is_by_run:
            conditions.append("r.run_id in (select run_id from asked_runs)")
        if self.is_granted and not self.is_by_organisation:
            conditions.append(f"{_ORGANISATION[fact]} in (select value from asked.granted)")
        if ("intermediate", "int_windows") in self.made:
            edges = "from intermediate.int_windows"
            conditions += [
                f"r.{TIMES[fact]} >= (select min(previous_start_at) {edges})",
                f"r.{TIMES[fact]} < (select max(window_end_at) {edges})",
            ]
        return conditions


def _expose_window(connection: duckdb.DuckDBPyConnection, page: str, window: Window) -> str:
    """Put the window in the place of the page's own, under the name of one that its SQL knows."""
    ((slot,),) = connection.execute(
        "select timeframe from published.intermediate.int_windows where page = $1 "
        "order by position limit 1",
        [page],
    ).fetchall()
    _, timezone, _ = _night(connection)
    for name, table in tables_of_time([PageWindow(page, 0, window)], timezone).items():
        connection.register("arriving", table)
        connection.execute(f"create table intermediate.int_{name} as from arriving")
        connection.unregister("arriving")
        if "timeframe" in table.column_names:
            connection.execute(f"update intermediate.int_{name} set timeframe = $1", [slot])
    return slot


@contextmanager
def _open(
    published: Path, memory_limit: str | None = None, folder: Path | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published file, read-only, beside an empty database that the marts' SQL names.

    folder: where reports are written.
    """
    with tempfile.TemporaryDirectory() as spilled, duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set temp_directory = ?", [spilled])
        if memory_limit is not None:
            connection.execute("set memory_limit = ?", [memory_limit])
        quoted = str(published).replace("'", "''")
        connection.execute(f"attach '{quoted}' as published (read_only)")
        connection.execute("attach ':memory:' as warehouse")
        connection.execute("use warehouse")
        connection.execute("create schema asked")
        close_off(connection, *([folder] if folder else []))
        yield connection


def _night(connection: duckdb.DuckDBPyConnection) -> tuple[datetime, ZoneInfo, str]:
    ((as_of, timezone, week_start),) = connection.execute(
        "select as_of, timezone, week_start from published.quality.night"
    ).fetchall()
    return as_of.replace(tzinfo=UTC), ZoneInfo(timezone), week_start
