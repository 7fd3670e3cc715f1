"""What a night needs and what the last one left, checked one by one without changing anything."""

import fcntl
import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import requires, version
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from orchestration.closed import close_off
from orchestration.forgotten import Forgotten
from orchestration.landing.contract import read_contract
from orchestration.landing.files import Found, scan
from orchestration.landing.history import committed_loads
from orchestration.lock import OTHERS
from orchestration.night import STORAGE_VERSION, applied_and_published, read_night
from orchestration.project import CONTRACT, Settings, bytes_of, dagster_home
from orchestration.timeframes import local_date

OK, WARNING, ERROR = "ok", "warning", "error"
LEAST_FREE_BYTES = 1 << 30
# A night writes the build file, the candidate and a set beside what is published.
COPIES_OF_THE_DATABASE = 2
LONGEST_NIGHT = timedelta(hours=12)
# A night a day, and time to finish it.
OLDEST_NIGHT = timedelta(hours=26)
# What Python and dbt take beside DuckDB's own limit.
BESIDE_THE_LIMIT = 600 << 20
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class Finding:
    """One line of the examination. state: ok, warning (a night would run) or error."""

    check: str
    state: str
    sentence: str


def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order in which to mend them; raises nothing for what is broken."""
    findings: list[Finding] = []
    for check in CHECKS:
        name = check.__name__.strip("_").replace("_", " ")
        try:
            findings += [Finding(name, *found) for found in check(settings)]
        except (OSError, ValueError, KeyError, RuntimeError, duckdb.Error) as error:
            findings.append(Finding(name, ERROR, f"It cannot be examined: {_one_line(error)}."))
    return findings


Findings = Iterator[tuple[str, str]]


def _versions(_: Settings) -> Findings:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 11):
        yield OK, f"Python {found}."
    else:
        yield ERROR, f"Python is {found}: make the environment anew with Python 3.11 (make setup)."
    stated = [line.split(";")[0].strip() for line in requires("agent-warehouse") or ()]
    pinned = dict(line.split("==") for line in stated if "==" in line)
    for package in ("duckdb", "dbt-core", "dbt-duckdb", "dagster"):
        wanted, got = pinned.get(package), version(package)
        if wanted and got != wanted:
            yield ERROR, f"{package} is {got} and not {wanted}: run `make setup`."
        else:
            yield OK, f"{package} {got}."


def _storage_version(settings: Settings) -> Findings:
    file = settings.published_file
    if not file.exists():
        return
    with duckdb.connect(str(file), read_only=True) as connection:
        close_off(connection)
        ((tags,),) = connection.execute(
            "select tags['storage_version'] from duckdb_databases() where path is not null"
        ).fetchall()
    if str(tags).startswith(STORAGE_VERSION):
        yield OK, f"The published file has storage version {tags}."
    else:
        yield (
            WARNING,
            (
                f"The published file has storage version {tags} and not {STORAGE_VERSION}: "
                "`warehouse night --full-refresh` writes it anew."
            ),
        )


def _timezone(settings: Settings) -> Findings:
    zone = settings.timezone
    try:
        summer = datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")).utcoffset()
    except (KeyError, OSError):
        summer = None
    if summer != timedelta(hours=2):
        yield ERROR, "The timezone database is missing or wrong: install tzdata (make setup)."
    else:
        today = local_date(datetime.now(UTC), zone)
        yield OK, f"The reporting timezone is {zone.key}, where today is {today}."


def _landing_zone(settings: Settings) -> Findings:
    landing = settings.landing
    if not landing.is_dir():
        yield ERROR, f"The landing zone {landing} is no folder: create it, or name --landing."
        return
    contract = read_contract(CONTRACT)
    sources = [name for name, source in contract.items() if source.role != "bookkeeping"]
    try:
        files = [entry for entry in scan(landing, sources) if isinstance(entry, Found)]
    except PermissionError as error:
        yield ERROR, f"{error.filename} cannot be listed: let the warehouse read it."
        return
    closed = [file.path for file in files if not os.access(landing / file.path, os.R_OK)]
    if closed:
        yield (
            WARNING,
            (
                f"{len(closed)} of {len(files)} landed files cannot be read, such as "
                f"{closed[0]!r}: let the warehouse read them, or they stay out."
            ),
        )
    elif not files:
        yield WARNING, f"The landing zone {landing} holds no file of a source."
    else:
        yield OK, f"All {len(files)} landed files can be read."


def _folders(settings: Settings) -> Findings:
    for what, folder, flag in (
        ("home", settings.home, "--home"),
        ("exports", settings.exports, "--exports"),
    ):
        nearest = _nearest(folder)
        try:
            with tempfile.TemporaryFile(dir=nearest):
                pass
        except OSError as error:
            yield (
                ERROR,
                (
                    f"The {what} {folder} cannot be written ({error.strerror}): "
                    f"mend it, or name another with {flag}."
                ),
            )
            continue
        if nearest != folder:
            yield OK, f"The {what} {folder} is not there yet, and the first night makes it."
        elif what == "home" and stat.S_IMODE(folder.stat().st_mode) & OTHERS & 0o007:
            yield (
                WARNING,
                (
                    f"Every account of this machine can look into the home {folder}: "
                    "chmod o-rwx it, and let in by its group who shall read."
                ),
            )
        else:
            yield OK, f"The {what} {folder} can be written."


def _disk_space(settings: Settings) -> Findings:
    database = _size(settings.build_file)
    wanted = max(LEAST_FREE_BYTES, COPIES_OF_THE_DATABASE * database)
    for what, folder in (("home", settings.home), ("exports", settings.exports)):
        place = os.statvfs(_nearest(folder))
        free = place.f_bavail * place.f_frsize
        sentence = f"{_shown(free)} are free for the {what}"
        if free < database:
            yield ERROR, f"Only {sentence}, and the database takes {_shown(database)}: make room."
        elif free < wanted:
            yield WARNING, f"Only {sentence}: a night should have {_shown(wanted)}."
        else:
            yield OK, f"{sentence}."


def _memory(settings: Settings) -> Findings:
    limit, machine = bytes_of(settings.memory_limit), _machine_bytes()
    sentence = f"DuckDB may take {settings.memory_limit} of {_shown(machine)} of memory"
    if limit > machine:
        yield ERROR, f"{sentence}: set WAREHOUSE_MEMORY_LIMIT to half of what there is."
    elif limit * 4 / 3 + BESIDE_THE_LIMIT > machine:
        yield (
            WARNING,
            (
                f"{sentence}, and a night takes more than its limit: "
                "set WAREHOUSE_MEMORY_LIMIT to half of what there is."
            ),
        )
    else:
        yield OK, f"{sentence}."


def _lock(settings: Settings) -> Findings:
    file = settings.home / "lock"
    if not file.exists():
        yield OK, "No night has run in this home."
        return
    with file.open(encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield _held(lock.read())
            return
    leftovers = [
        *settings.raw.glob(".load-*"),
        *settings.sets.glob(".building-*"),
        *settings.candidate_file.parent.glob("*"),
    ]
    if leftovers:
        yield (
            WARNING,
            (
                f"No night is running, and one that was killed left {leftovers[0].name}: "
                "the next night clears it away."
            ),
        )
    else:
        yield OK, "No night is running."


def _held(content: str) -> tuple[str, str]:
    try:
        holder = json.loads(content)
        since = datetime.fromisoformat(holder["started_at"])
        who = f"process {holder['pid']}, started at {holder['started_at']}"
    except (ValueError, KeyError):
        return OK, "A night has only just started."
    # A lock dies with its holder: who holds it for long is alive, and stuck or slow.
    if datetime.now(UTC) - since > LONGEST_NIGHT:
        return WARNING, (
            f"A night has been running for more than {LONGEST_NIGHT.total_seconds() / 3600:.0f} "
            f"hours ({who}): see what it does, or end that process; the next night goes on."
        )
    return OK, f"A night is running ({who})."


def _last_night(settings: Settings) -> Findings:
    file = settings.published_file
    if not file.exists():
        yield WARNING, "Nothing is published yet: run `warehouse night`."
        return
    with duckdb.connect(str(file), read_only=True) as connection:
        close_off(connection)
        ((night_id, as_of),) = connection.execute(
            "select night_id, as_of from quality.night"
        ).fetchall()
    published_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    sentence = f"night {night_id} as of {as_of:%Y-%m-%dT%H:%M:%SZ}"
    try:
        begun = read_night(settings).night_id
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        begun = night_id
    if int(begun) > int(night_id):
        yield (
            WARNING,
            f"Night {begun} did not publish, and {sentence} stays: run `warehouse night`.",
        )
    elif datetime.now(UTC) - published_at > OLDEST_NIGHT:
        yield (
            WARNING,
            (
                f"The last night, {sentence}, published at {published_at:%Y-%m-%d %H:%M} UTC: "
                "see whether the schedule is on."
            ),
        )
    else:
        yield OK, f"The last night published: {sentence}."


def _loads(settings: Settings) -> Findings:
    applied = applied_and_published(settings.published_file)
    waiting = [load for load in committed_loads(settings.raw) if load > 0 and load not in applied]
    if waiting:
        yield (
            WARNING,
            (
                f"{len(waiting)} loads are in no published figure, the first is {waiting[0]}: "
                "`warehouse night` applies them."
            ),
        )
    else:
        yield OK, f"All {len(applied)} loads are in the published figures."


def _exports(settings: Settings) -> Findings:
    if not settings.published_file.exists():
        return
    with duckdb.connect(str(settings.published_file), read_only=True) as connection:
        close_off(connection)
        ((night_id,),) = connection.execute("select night_id from quality.night").fetchall()
    latest = settings.exports / "latest" / "manifest.json"
    try:
        shown = json.loads(latest.read_text(encoding="utf-8"))["night_id"]
    except (FileNotFoundError, ValueError, KeyError):
        yield (
            ERROR,
            (f"{settings.exports / 'latest'} shows no whole set: `warehouse night` sets it again."),
        )
        return
    if shown != night_id:
        yield (
            ERROR,
            (
                f"{settings.exports / 'latest'} shows night {shown}, but night {night_id} is "
                "published: `warehouse night` sets it again."
            ),
        )
        return
    dangling = [
        link.name for link in sorted(settings.exports.iterdir())
        if link.is_symlink() and not link.exists()
    ]  # fmt: skip
    if dangling:
        yield WARNING, f"The link {dangling[0]} of the exports leads nowhere: remove it."
    else:
        yield OK, f"The exports show the published night {night_id}."


def _forgotten(settings: Settings) -> Findings:
    forgotten = Forgotten.read(settings.home)
    if not forgotten.is_finished:
        yield (
            WARNING,
            "An erasure is not finished: `warehouse night` or `warehouse forget` finishes it.",
        )
    elif forgotten.people:
        yield OK, f"{len(forgotten.people)} people are forgotten."


def _dagster(_: Settings) -> Findings:
    folder = dagster_home()
    if folder is None:
        yield OK, "DAGSTER_HOME is not set: a night of the command line is not recorded."
    elif not folder.is_absolute() or not folder.is_dir():
        yield ERROR, f"DAGSTER_HOME is {folder}, which is no folder: make it, or unset it."
    elif not (folder / "dagster.yaml").exists():
        yield (
            WARNING,
            (
                f"DAGSTER_HOME {folder} has no dagster.yaml: copy orchestration/dagster.yaml "
                "there, which lets one night at a time run."
            ),
        )
    elif not os.access(folder, os.W_OK):
        yield ERROR, f"DAGSTER_HOME {folder} cannot be written: mend it, or unset it."
    else:
        yield OK, f"Nights are recorded in {folder}."


CHECKS: tuple[Callable[[Settings], Findings], ...] = (
    _versions,
    _timezone,
    _landing_zone,
    _folders,
    _disk_space,
    _memory,
    _lock,
    _storage_version,
    _last_night,
    _loads,
    _exports,
    _forgotten,
    _dagster,
)


def _machine_bytes() -> int:
    """The memory of the machine, or of the container where that has less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in CGROUP_LIMITS:
        try:
            found.append(int(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    return min(found)


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest above it that there is."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _shown(size: int) -> str:
    return f"{size / 10**9:,.1f} GB" if size >= 10**8 else f"{size / 10**6:,.1f} MB"


def _one_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
