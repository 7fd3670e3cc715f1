"""Where things are and how a night is set: the only module that reads the environment."""

import csv
import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[1]
DBT_PROJECT = ROOT / "dbt_project"
BUILD_FILE_NAME = "warehouse.duckdb"
DBT_TARGET = DBT_PROJECT / "target"
SEEDS = ROOT / "seeds"
SAMPLE = SEEDS / "sample"
PRICES = SEEDS / "prices"
CONTRACT = DBT_PROJECT / "models" / "staging" / "platform" / "_raw__sources.yml"

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SIZES = {"B": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
         "KI": 1 << 10, "MI": 1 << 20, "GI": 1 << 30, "TI": 1 << 40}  # fmt: skip
TRUE_WORDS = {"1", "true", "yes", "on"}
CACHE_WRITE_TTLS = ("5m", "1h")
DUCKDB = "duckdb"
TARGETS = (DUCKDB, "spark", "thrift")


class SettingsError(ValueError):
    """A setting that cannot be used; its text is one sentence for the person who set it."""


@dataclass(frozen=True)
class Settings:
    """The settings of a warehouse: folders, calendar, and what may be kept."""

    landing: Path
    home: Path
    exports: Path
    timezone: ZoneInfo
    week_start: str
    keeps_content: bool
    memory_limit: str
    cache_write_ttl: str
    target: str

    @classmethod
    def read(
        cls,
        landing: str | Path | None = None,
        home: str | Path | None = None,
        exports: str | Path | None = None,
        environment: Mapping[str, str] | None = None,
        target: str | None = None,
    ) -> Self:
        """Settings from the arguments, else the WAREHOUSE_* variables, else the defaults.

        Raises SettingsError for a value that cannot be used.
        """
        given = os.environ if environment is None else environment

        def folder(argument: str | Path | None, name: str, default: Path) -> Path:
            return Path(argument or given.get(name) or default).expanduser().absolute()

        timezone = given.get("WAREHOUSE_TIMEZONE") or "UTC"
        try:
            zone = ZoneInfo(timezone)
        except (KeyError, ValueError, OSError) as error:
            raise SettingsError(
                f"WAREHOUSE_TIMEZONE is {timezone!r}, which is no timezone: "
                "set a name of the tz database, such as Europe/Berlin."
            ) from error
        week_start = (given.get("WAREHOUSE_WEEK_START") or "monday").lower()
        if week_start not in WEEKDAYS:
            raise SettingsError(
                f"WAREHOUSE_WEEK_START is {week_start!r}, which is no day: "
                f"set one of {', '.join(WEEKDAYS)}."
            )
        memory_limit = given.get("WAREHOUSE_MEMORY_LIMIT") or "2GB"
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?\s*([KMGT]i?)?B", memory_limit, re.I):
            raise SettingsError(
                f"WAREHOUSE_MEMORY_LIMIT is {memory_limit!r}, which is no size: "
                "set one such as 2GB or 500MB."
            )
        cache_write_ttl = (given.get("WAREHOUSE_CACHE_WRITE_TTL") or "5m").lower()
        if cache_write_ttl not in CACHE_WRITE_TTLS:
            raise SettingsError(
                f"WAREHOUSE_CACHE_WRITE_TTL is {cache_write_ttl!r}, which no price is listed for: "
                f"set one of {', '.join(CACHE_WRITE_TTLS)}."
            )
        target = target or given.get("WAREHOUSE_TARGET") or TARGETS[0]
        if target not in TARGETS:
            raise SettingsError(
                f"WAREHOUSE_TARGET is {target!r}, which no profile is for: "
                f"set one of {', '.join(TARGETS)}."
            )
        return cls(
            landing=folder(landing, "WAREHOUSE_LANDING", SAMPLE / "landing"),
            home=folder(home, "WAREHOUSE_HOME", ROOT / ".warehouse"),
            exports=folder(exports, "WAREHOUSE_EXPORTS", ROOT / "exports"),
            timezone=zone,
            week_start=week_start,
            keeps_content=given.get("WAREHOUSE_KEEP_CONTENT", "").lower() in TRUE_WORDS,
            memory_limit=memory_limit,
            cache_write_ttl=cache_write_ttl,
            target=target,
        )

    @property
    def raw(self) -> Path:
        """Committed loads, one folder each."""
        return self.home / "raw"

    @property
    def closed_months(self) -> Path:
        """Figures of whole months as first exported, and each restatement, one folder a night."""
        return self.home / "closed_months"

    @property
    def run(self) -> Path:
        """Parameters of the night in progress, read by dbt."""
        return self.home / "run"

    @property
    def build_file(self) -> Path:
        """The database that a night works in; nobody else opens it."""
        return self.home / "build" / BUILD_FILE_NAME

    @property
    def spark(self) -> Path:
        """The tables of Spark, one folder of Parquet each; a cluster sees it under this path."""
        return self.home / "spark"

    @property
    def published_file(self) -> Path:
        """The database that analysts open."""
        return self.home / "published" / "warehouse.duckdb"

    @property
    def candidate_file(self) -> Path:
        """The next published database, before it takes its place."""
        return self.home / "published" / ".candidate" / "warehouse.duckdb"

    @property
    def sets(self) -> Path:
        """One folder per exported set."""
        return self.exports / "sets"


def dagster_home() -> Path | None:
    """Where Dagster records nights; None where DAGSTER_HOME is not set."""
    folder = os.environ.get("DAGSTER_HOME")
    return Path(folder) if folder else None


def finds_java() -> bool:
    """Whether Spark would find a Java to start."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=f"{home}/bin" if home else None) is not None


def _digest(paths: list[Path]) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(paths):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _sources_of(*folders: Path) -> list[Path]:
    skipped = {"target", "sample", "logs", "__pycache__"}
    endings = {".sql", ".yml", ".py", ".csv", ".md", ".j2", ".css", ".js"}
    return [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in endings and not skipped & set(path.parts)
    ]


def bytes_of(size: str) -> int:
    """A size as DuckDB reads it, such as 2GB or 500 MiB, in bytes."""
    text = size.strip().upper().removesuffix("B").strip()
    number = text.rstrip("KMGTI").strip()
    return int(float(number) * SIZES[text[len(number) :].strip() or "B"])


def code_version() -> str:
    """The version of the package and a digest of all that decides a figure."""
    digest = _digest(_sources_of(DBT_PROJECT, ROOT / "orchestration", SEEDS))
    return f"{version('agent-warehouse')}+{digest}"


def price_version(cache_write_ttl: str) -> str:
    """The list's release, a digest of the price seeds, and where cache writes go that say nothing.

    Such as `0.2.3+65af02b1c9d4-5m`: requests are priced again when it changes.
    """
    with (PRICES / "releases.csv").open(encoding="utf-8", newline="") as file:
        release = max(csv.DictReader(file), key=lambda row: row["released_on"])["release"]
    return f"{release}+{_digest(list(PRICES.glob('*.csv')))}-{cache_write_ttl}"


def facts_version(price_version: str) -> str:
    """A digest of what decides the tables that grow: those of another version are rebuilt."""
    models = DBT_PROJECT / "models"
    folders = (models / "staging", models / "intermediate", models / "quality")
    sql = [path for path in _sources_of(*folders) if path.suffix == ".sql"]
    macros = [path for path in _sources_of(DBT_PROJECT / "macros") if "reports" not in path.parts]
    readers = [ROOT / "orchestration" / "prices.py", *SEEDS.glob("telemetry_*.csv")]
    digest = _digest([DBT_PROJECT / "dbt_project.yml", CONTRACT, *sql, *macros, *readers])
    return f"{digest}-{price_version}"


def dbt_project_version() -> str:
    """A digest of every file that dbt parses, which tells whether its manifest is out of date."""
    return _digest(_sources_of(DBT_PROJECT))
