"""The parameters of a night: what it applies, what it looks back from, what dbt reads of both."""

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from orchestration import restatements, spark, telemetry
from orchestration.closed import close_off
from orchestration.edges import PageWindow, tables_of_time
from orchestration.forgotten import Forgotten
from orchestration.landing.contract import read_contract
from orchestration.landing.files import Ignored, scan
from orchestration.landing.history import check_part, committed_loads, load_folder, read_history
from orchestration.prices import price_tables
from orchestration.project import (
    CONTRACT,
    DBT_TARGET,
    DUCKDB,
    PRICES,
    SEEDS,
    Settings,
    code_version,
    facts_version,
    price_version,
)
from orchestration.publish import log_of, opened
from orchestration.timeframes import PAGES, local_date, read_timeframes, window_of

log = logging.getLogger("warehouse")

# Analysts on older clients open the published file too: DuckDB from 1.2 on reads this version.
STORAGE_VERSION = "v1.2.0"


@dataclass(frozen=True)
class Night:
    """One night: its identity, its instant, and the loads that nothing published has seen yet.

    has_new_facts: whether there are loads to apply, or the facts are built for the first time.
    """

    night_id: str
    as_of: datetime
    timezone: str
    week_start: str
    code_version: str
    price_version: str
    facts_version: str
    is_full_check: bool
    has_new_facts: bool
    new_loads: tuple[int, ...]

    @property
    def local_date(self) -> str:
        """The local date of as_of, which names the set."""
        return local_date(self.as_of, ZoneInfo(self.timezone)).isoformat()


def prepare(
    settings: Settings,
    as_of: datetime,
    ignored: Iterable[Ignored],
    full_refresh: bool = False,
    is_full_check: bool = False,
    just_landed: int | None = None,
) -> Night:
    """Decide what a night applies, make its build file ready, and write <home>/run for dbt.

    just_landed: the load that this night wrote itself, which needs no second look.

    Facts that are missing, unreadable or of another facts_version are built anew from all loads.
    What a published night could not keep of its whole months is kept first.
    Raises PriceError for a price seed that cannot be used, before anything is changed.
    """
    prices, model_matches = price_tables(PRICES)
    priced_by = price_version(settings.cache_write_ttl)
    # Months are local: in another timezone they are added up anew.
    facts = f"{facts_version(priced_by)}-{settings.timezone.key}"
    restatements.keep_published(settings)
    loads = [load for load in committed_loads(settings.raw) if load > 0]
    applied = None if full_refresh else _applied(settings, facts)
    has_new_facts = applied is None or bool(set(loads) - applied)
    is_built_anew = applied is None
    if applied is None:
        _start_tables(settings)
        applied = set()
    published = applied_and_published(settings.published_file)
    night = Night(
        night_id=_next_night_id(settings),
        as_of=as_of,
        timezone=settings.timezone.key,
        week_start=settings.week_start,
        code_version=code_version(),
        price_version=priced_by,
        facts_version=facts,
        is_full_check=is_full_check,
        has_new_facts=has_new_facts,
        new_loads=tuple(load for load in loads if load not in published),
    )
    settings.run.mkdir(parents=True, exist_ok=True)
    for name, table in (
        ("night", _night_table(night, settings)),
        *tables_of_time(_page_windows(settings, as_of), settings.timezone).items(),
        ("loads", _loads_table(settings.raw, loads, applied, just_landed)),
        ("ignored_files", _ignored_table(ignored)),
        ("prices", prices),
        ("model_matches", model_matches),
        *((name, _seed_table(name)) for name in telemetry.TABLES),
        *restatements.run_tables(settings, loads, set(loads) - applied, is_built_anew).items(),
    ):
        pq.write_table(table, settings.run / f"{name}.parquet")
    written = settings.run / ".night.json"
    written.write_text(json.dumps({**asdict(night), "as_of": as_of.isoformat()}), encoding="utf-8")
    written.replace(settings.run / "night.json")
    return night


def check_loads(settings: Settings) -> None:
    """Raise RuntimeError where raw/ lacks a load that figures were made of.

    The next load would take its number, and would pass for applied.
    """
    there = set(committed_loads(settings.raw))
    applied = _ask(settings.build_file, "select load_id from quality.applied_loads")
    known = {load for night in restatements.kept_nights(settings) for load in night.loads}
    known |= applied_and_published(settings.published_file) | {row[0] for row in applied or ()}
    lacking = sorted((known | set(range(1, max(there, default=0)))) - there)
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise RuntimeError(
            f"{settings.raw} lacks the load {lacking[0]:09d}{more}, which "
            "figures were made of: bring it back from a backup, or load the landing zone into a "
            "new --home."
        )


def read_night(settings: Settings) -> Night:
    """The night that was prepared last in this home."""
    values = json.loads((settings.run / "night.json").read_text(encoding="utf-8"))
    values["as_of"] = datetime.fromisoformat(values["as_of"])
    values["new_loads"] = tuple(values["new_loads"])
    return Night(**values)


def has_news(settings: Settings, as_of: datetime) -> bool:
    """Whether a night would publish anything: new input, parameters or code, a night cut short."""
    published = _published_night(settings.published_file)
    wanted = (
        as_of.replace(tzinfo=None),
        settings.timezone.key,
        settings.week_start,
        code_version(),
        price_version(settings.cache_write_ttl),
    )
    if published is None or published[1:6] != wanted:
        return True
    if not Forgotten.read(settings.home).is_finished:
        return True
    manifest = settings.exports / "latest" / "manifest.json"
    dated = settings.exports / local_date(as_of, settings.timezone).isoformat() / "manifest.json"
    if {_night_id_of(manifest), _night_id_of(dated)} != {published[0]}:
        return True
    if restatements.is_behind(settings):
        return True
    loads = {load for load in committed_loads(settings.raw) if load > 0}
    if loads - applied_and_published(settings.published_file):
        return True
    return _lands_anything(settings, published[6])


def _lands_anything(settings: Settings, known_ignored: set[tuple[str, str]]) -> bool:
    contract = read_contract(CONTRACT)
    sources = [name for name, source in contract.items() if source.role != "bookkeeping"]
    history = read_history(settings.raw)
    entries = list(scan(settings.landing, sources))
    shown = Forgotten.read(settings.home).wording
    ignored = {
        (shown(entry.path), shown(entry.reason)) for entry in entries if isinstance(entry, Ignored)
    }
    return bool(history.unknown(entries) or history.pending()) or ignored != known_ignored


def applied_and_published(published_file: Path) -> set[int]:
    """The loads whose figures are published; none where nothing is."""
    rows = _ask(published_file, "select load_id from quality.applied_loads")
    return {row[0] for row in rows or ()}


def published_as_of(settings: Settings) -> datetime | None:
    """The instant that the published figures look back from; None where nothing is published."""
    published = _published_night(settings.published_file)
    return published[1].replace(tzinfo=UTC) if published else None


def published_night_id(published_file: Path) -> str | None:
    """The night that is published; None where nothing is."""
    rows = _ask(published_file, "select night_id from quality.night")
    return rows[0][0] if rows else None


def _ask(published_file: Path, query: str) -> list[tuple] | None:
    """What the published file answers; None where there is none, or one of an older make."""
    if not published_file.exists():
        return None
    try:
        with opened(published_file) as connection:
            return connection.execute(query).fetchall()
    except duckdb.Error as error:
        log.info("%s is of an older make or damaged: %s", published_file, error)
        return None


def _published_night(published_file: Path) -> tuple | None:
    nights = _ask(
        published_file,
        "select night_id, as_of, timezone, week_start, code_version, price_version "
        "from quality.night",
    )
    ignored = _ask(published_file, "select path, reason from quality.ignored_files")
    return (*nights[0], set(ignored or ())) if nights else None


def _night_id_of(manifest: Path) -> str | None:
    if not manifest.exists():
        return None
    try:
        return json.loads(manifest.read_text(encoding="utf-8"))["night_id"]
    except ValueError:
        return None


def _applied(settings: Settings, facts: str) -> set[int] | None:
    """The loads that the target has applied; None where its facts must be built anew."""
    if settings.target != DUCKDB:
        return spark.applied_loads(settings, facts, growing_tables())
    build_file = settings.build_file
    if not build_file.exists():
        return None
    try:
        with duckdb.connect(str(build_file)) as connection:
            close_off(connection)
            rows = connection.execute(
                "select load_id, facts_version from quality.applied_loads"
            ).fetchall()
            found = connection.execute(
                "select schema_name, table_name from duckdb_tables()"
            ).fetchall()
    except duckdb.CatalogException:
        return None
    except duckdb.Error as error:
        raise RuntimeError(
            f"The build file {build_file} cannot be opened ({error}): if nobody has it open, "
            "rebuild it from the loads with `warehouse night --full-refresh`."
        ) from error
    if any(version != facts for _, version in rows) or growing_tables() - set(found):
        return None
    return {load for load, _ in rows}


def growing_tables() -> set[tuple[str, str]]:
    """Schema and name of the tables that nights add to, by the dbt manifest."""
    manifest = json.loads((DBT_TARGET / "manifest.json").read_text(encoding="utf-8"))
    return {
        (node["schema"], node["name"])
        for node in manifest["nodes"].values()
        if node["config"]["materialized"] == "incremental"
    }


def _start_tables(settings: Settings) -> None:
    if settings.target != DUCKDB:
        spark.start_tables(settings)
    else:
        start_build_file(settings.build_file)


def start_build_file(build_file: Path) -> None:
    """An empty build file; made under another name, so that no killed night leaves half of one."""
    build_file.parent.mkdir(parents=True, exist_ok=True)
    started = build_file.with_name(".started.duckdb")
    for file in (log_of(build_file), started, log_of(started)):
        file.unlink(missing_ok=True)
    with duckdb.connect() as connection:
        quoted = str(started).replace("'", "''")
        connection.execute(f"attach '{quoted}' as building (storage_version '{STORAGE_VERSION}')")
        close_off(connection)
        connection.execute("create schema building.quality")
        connection.execute("detach building")
    started.replace(build_file)


def _next_night_id(settings: Settings) -> str:
    numbers = [0]
    try:
        # Of the night before only the number: another release may have noted other things.
        noted = json.loads((settings.run / "night.json").read_text(encoding="utf-8"))
        numbers.append(int(noted["night_id"]))
    except (FileNotFoundError, ValueError, KeyError):
        log.info("no earlier night is noted in %s", settings.run)
    published = _published_night(settings.published_file)
    if published:
        numbers.append(int(published[0]))
    numbers += [int(night.night_id) for night in restatements.kept_nights(settings)]
    if settings.sets.is_dir():
        tails = (folder.name.rpartition("-")[2] for folder in settings.sets.iterdir())
        numbers += [int(tail) for tail in tails if tail.isdigit()]
    return f"{max(numbers) + 1:06d}"


def _night_table(night: Night, settings: Settings) -> pa.Table:
    return pa.table(
        {
            "night_id": [night.night_id],
            "as_of": pa.array([night.as_of.replace(tzinfo=None)], pa.timestamp("us")),
            "timezone": [night.timezone],
            "week_start": [night.week_start],
            "code_version": [night.code_version],
            "price_version": [night.price_version],
            "cache_write_ttl": [settings.cache_write_ttl],
            "facts_version": [night.facts_version],
            "is_full_check": [night.is_full_check],
        }
    )


def _page_windows(settings: Settings, as_of: datetime) -> list[PageWindow]:
    """The windows of every page's own timeframes."""
    return [
        PageWindow(
            page, position, window_of(timeframe, as_of, settings.timezone, settings.week_start)
        )
        for position, timeframe in enumerate(read_timeframes(SEEDS / "timeframes.csv"))
        for page in PAGES
        if page in timeframe.pages
    ]


def _loads_table(
    raw: Path, loads: list[int], applied: set[int], just_landed: int | None
) -> pa.Table:
    """Every Parquet file of load 0 and of the loads to apply; of the others there is no need."""
    rows = []
    for load in [0, *(load for load in loads if load not in applied)]:
        for part in sorted(load_folder(raw, load).glob("*/*.parquet")):
            if load != just_landed:
                check_part(part)
            path = part.relative_to(raw.parent).as_posix()
            rows.append((load, part.parent.name, path, load > 0))
    columns = list(zip(*rows, strict=True))
    names = ["load_id", "source", "path", "is_to_apply"]
    types = [pa.int64(), pa.string(), pa.string(), pa.bool_()]
    arrays = [pa.array(values, kind) for values, kind in zip(columns, types, strict=True)]
    return pa.table(arrays, names=names)


def _seed_table(name: str) -> pa.Table:
    """A telemetry seed as text, its rows numbered."""
    rows = telemetry.rows_of(name)
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    return pa.table({"position": pa.array(range(len(rows)), pa.int64()), **columns})


def _ignored_table(ignored: Iterable[Ignored]) -> pa.Table:
    schema = pa.schema([("path", pa.string()), ("reason", pa.string())])
    return pa.Table.from_pylist([asdict(item) for item in ignored], schema=schema)


def dbt_environment(settings: Settings, home: Path | None = None) -> dict[str, str]:
    """What profiles.yml reads. home: another than that of the settings."""
    build_file = settings.build_file.relative_to(settings.home)
    return {
        **os.environ,
        "WAREHOUSE_BUILD_FILE": str((home or settings.home) / build_file),
        "WAREHOUSE_MEMORY_LIMIT": settings.memory_limit,
    }
