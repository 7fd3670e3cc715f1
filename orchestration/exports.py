"""CSV sets with a manifest: written whole, shown by links, swept when no link names them."""

import csv
import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from orchestration.night import Night
from orchestration.project import SEEDS, Settings
from orchestration.publish import sync

# A text that a spreadsheet would run as a formula; such a cell gets an apostrophe in front.
FORMULA = r"^[=+\-@\t\r\n\x00＝＋－＠]"
SUMMED_KINDS = ("money", "tokens")
ORDERING_KINDS = ("money", "count")
KEPT_SECONDS = 3600


@dataclass(frozen=True)
class Column:
    """A column and its kind.

    One of text, instant, date, boolean, count, tokens, money, milliseconds, ratio, and index: a
    rank or place, which is never added up.
    """

    name: str
    kind: str
    key_position: int | None

    @property
    def cell(self) -> str:
        """SQL for the column's text in a CSV."""
        if self.kind == "text":
            return f"case when {self.is_formula} then '''' || r.{self.name} else r.{self.name} end"
        if self.kind == "instant":
            return f"strftime(r.{self.name}, '%Y-%m-%dT%H:%M:%S.%fZ')"
        return f"r.{self.name}"

    @property
    def is_formula(self) -> str:
        """SQL that tells whether a text would run as a formula."""
        return f"regexp_matches(r.{self.name}, '{FORMULA}')"


@dataclass(frozen=True)
class Report:
    """A report: the mart of that name, the page whose timeframes it has, the columns of its CSV."""

    name: str
    page: str
    columns: tuple[Column, ...]

    @property
    def order(self) -> str:
        """SQL for the order of rows: the first money or count column descending, then the keys.

        Lines without such a column stand in the order of their keys.
        """
        figures = [column for column in self.columns if column.kind in ORDERING_KINDS]
        keys = sorted(
            (column for column in self.columns if column.key_position),
            key=lambda column: column.key_position or 0,
        )
        return ", ".join(
            [
                *(f"r.{figure.name} desc nulls last" for figure in figures[:1]),
                *(f"r.{key.name} asc nulls last" for key in keys),
            ]
        )


def read_reports(seeds: Path = SEEDS) -> list[Report]:
    """The reports that a night exports, as seeds/reports.csv and report_columns.csv state them."""
    with (seeds / "report_columns.csv").open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["position"]))
    with (seeds / "reports.csv").open(encoding="utf-8", newline="") as file:
        return [
            Report(
                name=report["report"],
                page=report["page"],
                columns=tuple(
                    Column(
                        row["column_name"],
                        row["kind"],
                        int(row["key_position"]) if row["key_position"] else None,
                    )
                    for row in rows
                    if row["report"] == report["report"]
                ),
            )
            for report in csv.DictReader(file)
        ]


def set_name(night: Night) -> str:
    """The folder of a night's set below <exports>/sets."""
    return f"{night.local_date}-{night.night_id}"


def building_folder(settings: Settings, night: Night) -> Path:
    """Where a set is written until it is whole."""
    return settings.sets / f".building-{set_name(night)}"


def start_set(settings: Settings, night: Night) -> None:
    """Make an empty folder for the night's set, and remove what killed nights left."""
    settings.sets.mkdir(parents=True, exist_ok=True)
    for leftover in settings.sets.glob(".building-*"):
        shutil.rmtree(leftover)
    building_folder(settings, night).mkdir()


def write_report(
    database: Path, report: Report, folder: Path, memory_limit: str
) -> list[dict[str, Any]]:
    """Write one CSV per timeframe of a report; returns their entries for the manifest.

    memory_limit: a size as DuckDB reads it, such as 2GB.
    """
    (folder / report.name).mkdir(exist_ok=True)
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set memory_limit = ?", [memory_limit])
        # A mart that is a view is computed once, and not once for each file and once for the sums.
        (is_view,) = connection.execute(
            "select count(*) > 0 from duckdb_views() where schema_name = 'marts' and view_name = ?",
            [report.name],
        ).fetchone() or (False,)
        connection.execute(
            f"create temp {'table' if is_view else 'view'} exported as "
            f"select timeframe, {', '.join(column.name for column in report.columns)} "
            f"from marts.{report.name}"
        )
        windows = connection.execute(
            "select timeframe, window_start_at, window_end_at from intermediate.int_windows "
            "where page = ? order by position",
            [report.page],
        ).fetchall()
        figures = _figures(connection, report)
        return [
            _write_timeframe(connection, report, folder, window, figures.get(window[0]))
            for window in windows
        ]


def _figures(
    connection: duckdb.DuckDBPyConnection, report: Report
) -> dict[str, tuple[int, dict[str, str], int]]:
    """Per timeframe: rows, the sums of money and token columns, and the neutralised cells."""
    summed = [column.name for column in report.columns if column.kind in SUMMED_KINDS]
    texts = [column for column in report.columns if column.kind == "text"]
    guarded = " + ".join(f"count(*) filter ({column.is_formula})" for column in texts)
    sums = ", ".join(f"cast(sum(r.{name}) as varchar)" for name in summed)
    rows = connection.execute(
        f"select r.timeframe, count(*), {guarded}, {sums} from exported as r group by r.timeframe"
    ).fetchall()
    return {
        timeframe: (count, dict(zip(summed, values, strict=True)), int(cells))
        for timeframe, count, cells, *values in rows
    }


def _write_timeframe(
    connection: duckdb.DuckDBPyConnection,
    report: Report,
    folder: Path,
    window: tuple[str, Any, Any],
    figures: tuple[int, dict[str, str], int] | None,
) -> dict[str, Any]:
    timeframe, start_at, end_at = window
    path = f"{report.name}/{timeframe}.csv"
    file = folder / path
    cells = ", ".join(f"{column.cell} as {column.name}" for column in report.columns)
    quoted = str(file).replace("'", "''")
    connection.execute(
        f"copy (select {cells} from exported as r where r.timeframe = '{timeframe}' "
        f"order by {report.order}) to '{quoted}' (format csv, header true, new_line '\\r\\n')"
    )
    sync(file)
    with file.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    nothing = {
        column.name: "0.000000000000" if column.kind == "money" else "0"
        for column in report.columns
        if column.kind in SUMMED_KINDS
    }
    rows, sums, neutralised = figures or (0, nothing, 0)
    return {
        "path": path,
        "report": report.name,
        "timeframe": timeframe,
        "window_start_at": _instant(start_at),
        "window_end_at": _instant(end_at),
        "filters": {},
        "columns": [column.name for column in report.columns],
        "rows": rows,
        "bytes": file.stat().st_size,
        "sums": {name: sums[name] or zero for name, zero in nothing.items()},
        "neutralised_cells": neutralised,
        "sha256": digest,
    }


def finish_set(
    settings: Settings, night: Night, database: Path, files: list[dict[str, Any]]
) -> Path:
    """Write the manifest last, and give the set its name; returns its folder."""
    building = building_folder(settings, night)
    with duckdb.connect(str(database), read_only=True) as connection:
        row = connection.execute("select data_through from quality.night").fetchone()
        rejected = connection.execute(
            "select reason, count(*) from quality.rejected_rows group by reason order by reason"
        ).fetchall()
    assert row is not None
    manifest = {
        "night_id": night.night_id,
        "as_of": _instant(night.as_of),
        "timezone": night.timezone,
        "week_start": night.week_start,
        "data_through": _instant(row[0]) if row[0] else None,
        "code_version": night.code_version,
        "price_version": night.price_version,
        "rejected": dict(rejected),
        "files": sorted(files, key=lambda file: file["path"]),
    }
    path = building / "manifest.json"
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sync(path)
    for folder in (*(item for item in building.iterdir() if item.is_dir()), building):
        sync(folder)
    final = settings.sets / set_name(night)
    if final.exists():
        shutil.rmtree(final)
    os.rename(building, final)
    sync(settings.sets)
    return final


def show_set(settings: Settings, night: Night) -> None:
    """Point <exports>/<local date> and <exports>/latest at the night's set, each by a rename."""
    for name in (night.local_date, "latest"):
        if (settings.exports / name).is_dir():
            # Whoever reads the set that was shown has an hour from now.
            os.utime(settings.exports / name)
        link = settings.exports / f".{name}.new"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("sets") / set_name(night))
        os.replace(link, settings.exports / name)
    sync(settings.exports)


def sweep(settings: Settings) -> list[str]:
    """Remove sets that no link names and that are older than an hour; returns their names."""
    linked = {
        Path(os.readlink(entry)).name for entry in settings.exports.iterdir() if entry.is_symlink()
    }
    removed = []
    for folder in sorted(settings.sets.glob("[0-9]*-[0-9]*-[0-9]*-[0-9]*/")):
        age = time.time() - folder.stat().st_mtime
        if folder.name not in linked and age > KEPT_SECONDS:
            shutil.rmtree(folder)
            removed.append(folder.name)
    return removed


def check_writable(settings: Settings) -> None:
    """Raise, with a sentence, where the home or the exports cannot be written."""
    for folder, flag in ((settings.home, "--home"), (settings.exports, "--exports")):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".writable"
            probe.write_text("", encoding="utf-8")
            probe.unlink()
        except OSError as error:
            raise RuntimeError(
                f"The folder {folder} cannot be written ({error.strerror}): "
                f"mend it, or name another with {flag}."
            ) from error


def _instant(value: Any) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
