"""CSV sets with a manifest: written whole, shown by links, swept when no link names them."""

import csv
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from orchestration.closed import close_off
from orchestration.night import Night, published_night_id, read_night
from orchestration.project import SEEDS, Settings
from orchestration.publish import sync

# How a text begins that a spreadsheet would run; such a cell gets an apostrophe in front.
STARTS_OF_FORMULAS = "=+-@\t\r\n\0＝＋－＠"
SUMMED_KINDS = ("money", "tokens")
ORDERING_KINDS = ("money", "count")
KEPT_SECONDS = 3600
MOST_SHEET_ROWS = 1_048_576
LONGEST_SHEET_NAME = 31
HOME_FOLDERS = ("raw", "run", "build", "published", "dbt", "closed_months")
MANIFEST = "manifest.json"
# While one file is written, which takes one core, the next is sorted: three quarters of the time.
AT_ONCE = 2


@dataclass(frozen=True)
class Column:
    """A column and its kind.

    One of text, instant, second (an instant without a fraction), date, boolean, count, tokens,
    money, milliseconds, ratio, and index: a rank or place, which is never added up. header: its
    name in a file.
    """

    name: str
    kind: str
    key_position: int | None
    header: str

    @property
    def cell(self) -> str:
        """SQL for the column's text in a CSV."""
        if self.kind == "text":
            return f"case when {self.is_formula} then '''' || r.{self.name} else r.{self.name} end"
        if self.kind == "instant":
            return f"strftime(r.{self.name}, '%Y-%m-%dT%H:%M:%S.%fZ')"
        if self.kind == "second":
            return f"strftime(r.{self.name}, '%Y-%m-%dT%H:%M:%SZ')"
        return f"r.{self.name}"

    @property
    def is_formula(self) -> str:
        """SQL that tells whether a text would run as a formula, by its first character.

        A list of them would be joined with, which loses the order of rows and costs three times as
        much, and a regular expression more than that.
        """
        first = f"substr(r.{self.name}, 1, 1)"
        return f"r.{self.name} <> '' and contains('{STARTS_OF_FORMULAS}', {first})"


@dataclass(frozen=True)
class Report:
    """A report: the mart of that name, the page whose timeframes it has, the columns of its CSV.

    roles: of which a person needs one in an organisation to see its rows.
    """

    name: str
    page: str
    roles: tuple[str, ...]
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
                roles=tuple(report["roles"].split()),
                columns=tuple(
                    Column(
                        row["column_name"],
                        row["kind"],
                        int(row["key_position"]) if row["key_position"] else None,
                        _header(row["report"], row["column_name"]),
                    )
                    for row in rows
                    if row["report"] == report["report"]
                ),
            )
            for report in csv.DictReader(file)
        ]


def _header(report: str, column: str) -> str:
    """Names as they are; those of FOCUS, which the models write in snake_case, as it has them."""
    if not report.startswith("focus_"):
        return column
    own, name = column.startswith("x_"), column.removeprefix("x_")
    return ("x_" if own else "") + "".join(part.capitalize() for part in name.split("_"))


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


@contextmanager
def opened(database: Path, memory_limit: str, folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database read-only, to write reports below a folder from.

    memory_limit: a size as DuckDB reads it, such as 2GB.
    """
    with duckdb.connect(str(database), read_only=True) as connection:
        # Of every cursor, too.
        connection.execute("set global TimeZone = 'UTC'")
        connection.execute("set memory_limit = ?", [memory_limit])
        close_off(connection, folder)
        yield connection


def write_reports(
    database: Path, memory_limit: str, folder: Path
) -> Iterator[tuple[Report, list[dict[str, Any]]]]:
    """Write the CSVs of every report, several reports at once; yields each with its entries.

    memory_limit: of all of them together. Raises what the first report that fails raises.
    """
    with opened(database, memory_limit, folder) as connection:

        def write(report: Report) -> list[dict[str, Any]]:
            with connection.cursor() as cursor:
                return write_report(cursor, report, folder)

        reports = read_reports()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from zip(reports, pool.map(write, reports), strict=True)


def write_report(
    connection: duckdb.DuckDBPyConnection, report: Report, folder: Path
) -> list[dict[str, Any]]:
    """Write one CSV per timeframe of a report; returns their entries for the manifest."""
    # A mart that is a view is computed once, and not once for each file and once for the sums.
    ((is_view,),) = connection.execute(
        "select count(*) > 0 from duckdb_views() where schema_name = 'marts' and view_name = ?",
        [report.name],
    ).fetchall()
    kind = "table" if is_view else "view"
    connection.execute(
        f"create temp {kind} exported as "
        f"select timeframe, {', '.join(column.name for column in report.columns)} "
        f"from marts.{report.name}"
    )
    windows = connection.execute(
        "select timeframe, window_start_at, window_end_at from intermediate.int_windows "
        "where page = ? order by position",
        [report.page],
    ).fetchall()
    entries = write_timeframes(connection, report, folder, report.name, windows, {})
    connection.execute(f"drop {kind} exported")
    return entries


def write_timeframes(
    connection: duckdb.DuckDBPyConnection,
    report: Report,
    folder: Path,
    below: str,
    windows: Sequence[tuple[str, datetime, datetime]],
    filters: Mapping[str, Sequence[str]],
) -> list[dict[str, Any]]:
    """Write one CSV per timeframe from the relation `exported`; returns their manifest entries.

    below: folder of the files below `folder`. filters: what the rows were narrowed to.
    """
    (folder / below).mkdir(parents=True, exist_ok=True)
    figures = _figures(connection, report)
    entries = []
    for timeframe, start_at, end_at in windows:
        path = f"{below}/{timeframe}.csv"
        write_file(connection, report, folder / path, "csv", timeframe)
        with (folder / path).open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        nothing = {
            column.header: "0.000000000000" if column.kind == "money" else "0"
            for column in report.columns
            if column.kind in SUMMED_KINDS
        }
        rows, sums, neutralised = figures.get(timeframe, (0, nothing, 0))
        entries.append(
            {
                "path": path,
                "report": report.name,
                "timeframe": timeframe,
                "window_start_at": _instant(start_at),
                "window_end_at": _instant(end_at),
                "filters": dict(filters),
                "columns": [column.header for column in report.columns],
                "rows": rows,
                "bytes": (folder / path).stat().st_size,
                "sums": {name: sums[name] or zero for name, zero in nothing.items()},
                "neutralised_cells": neutralised,
                "sha256": digest,
            }
        )
    return entries


def write_file(
    connection: duckdb.DuckDBPyConnection,
    report: Report,
    file: Path,
    form: str,
    timeframe: str | None = None,
) -> None:
    """Write the relation `exported`, or one timeframe of it, in the report's columns and order.

    form: csv, json (numbers with decimals as text, so that no digit is lost), parquet or xlsx.
    """
    where = "" if timeframe is None else f"where r.timeframe = '{timeframe}'"
    cells = ", ".join(f"{_CELLS[form](column)} as {column.header}" for column in report.columns)
    # Sorted as they are, and made texts after that: a sort moves all that it is given.
    rows = f"(select * from exported as r {where} order by {report.order})"
    query = f"select {cells} from {rows} as r"
    if form == "xlsx":
        _write_workbook(connection, report, query, file)
    else:
        quoted = str(file).replace("'", "''")
        connection.execute(f"copy ({query}) to '{quoted}' ({_COPY_OPTIONS[form]})")
    sync(file)


def _json_cell(column: Column) -> str:
    if column.kind in ("instant", "second"):
        return column.cell
    if column.kind in ("money", "milliseconds", "ratio", "date"):
        return f"cast(r.{column.name} as varchar)"
    return f"r.{column.name}"


_CELLS: dict[str, Callable[[Column], str]] = {
    "csv": lambda column: column.cell,
    "json": _json_cell,
    "parquet": lambda column: f"r.{column.name}",
    "xlsx": lambda column: column.cell,
}
_COPY_OPTIONS = {
    "csv": "format csv, header true, new_line '\\r\\n'",
    "json": "format json, array true",
    "parquet": "format parquet, compression zstd",
}
FORMS = tuple(_CELLS)


def _write_workbook(
    connection: duckdb.DuckDBPyConnection, report: Report, query: str, file: Path
) -> None:
    """One sheet; raises ValueError for more rows than a sheet holds."""
    from openpyxl import Workbook

    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet(report.name[:LONGEST_SHEET_NAME])
    sheet.append([column.header for column in report.columns])
    written = 1
    result = connection.execute(query)
    while rows := result.fetchmany(10_000):
        written += len(rows)
        if written > MOST_SHEET_ROWS:
            raise ValueError(
                f"{report.name} has more rows than the {MOST_SHEET_ROWS:,} of a sheet: "
                "ask for csv or parquet, a shorter window, or more filters."
            )
        for row in rows:
            sheet.append(row)
    workbook.save(file)


def _figures(
    connection: duckdb.DuckDBPyConnection, report: Report
) -> dict[str, tuple[int, dict[str, str], int]]:
    """Per timeframe: rows, the sums of money and token columns, and the neutralised cells."""
    summed = [column for column in report.columns if column.kind in SUMMED_KINDS]
    headers = [column.header for column in summed]
    texts = [column for column in report.columns if column.kind == "text"]
    guarded = [f"count(*) filter ({column.is_formula})" for column in texts]
    figures = [" + ".join(guarded) or "0"]
    figures += [f"cast(sum(r.{column.name}) as varchar)" for column in summed]
    rows = connection.execute(
        f"select r.timeframe, count(*), {', '.join(figures)} from exported as r "
        "group by r.timeframe"
    ).fetchall()
    return {
        timeframe: (count, dict(zip(headers, values, strict=True)), int(cells))
        for timeframe, count, cells, *values in rows
    }


def finish_set(
    settings: Settings,
    night: Night,
    database: Path,
    files: list[dict[str, Any]],
    pages: list[dict[str, Any]],
) -> Path:
    """Write the manifest last, and give the set its name; returns its folder.

    files: the entries of its CSVs. pages: path, bytes and sha256 of what is there to look at.
    """
    building = building_folder(settings, night)
    with duckdb.connect(str(database), read_only=True) as connection:
        close_off(connection)
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
        "pages": pages,
    }
    path = building / MANIFEST
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sync(path)
    for folder in (*(item for item in building.rglob("*") if item.is_dir()), building):
        sync(folder)
    final = settings.sets / set_name(night)
    if final.exists():
        shutil.rmtree(final)
    os.rename(building, final)
    sync(settings.sets)
    return final


def make_links(settings: Settings, night: Night) -> None:
    """Make the links of the night's set under other names: all of showing it that can fail."""
    for link, shown in _links(settings, night).items():
        _check_link(shown)
        if shown.is_dir():
            # Whoever reads the set that was shown has an hour from now.
            os.utime(shown)
        link.unlink(missing_ok=True)
        link.symlink_to(Path("sets") / set_name(night))


def show_set(settings: Settings, night: Night) -> None:
    """Have <exports>/<local date> and <exports>/latest be the links made, each by a rename."""
    for link, shown in _links(settings, night).items():
        os.replace(link, shown)
    sync(settings.exports)


def _links(settings: Settings, night: Night) -> dict[Path, Path]:
    names = (night.local_date, "latest")
    return {settings.exports / f".{name}.new": settings.exports / name for name in names}


def finish_showing(settings: Settings) -> None:
    """Show the set of the published database, where a night died between the two."""
    try:
        night = read_night(settings)
    except (OSError, ValueError, KeyError, TypeError):
        return  # no night, or one of another release
    whole = settings.sets / set_name(night) / MANIFEST
    links = _links(settings, night).values()
    is_shown = all(link.resolve() == whole.parent.resolve() for link in links)
    if is_shown or not whole.exists():
        return
    if published_night_id(settings.published_file) == night.night_id:
        make_links(settings, night)
        show_set(settings, night)


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
    """Raise, with a sentence, where the home, the exports or what is in them cannot be written."""
    homes = (settings.home, *(settings.home / name for name in HOME_FOLDERS))
    for folder, top, flag in (
        *((folder, settings.home, "--home") for folder in homes),
        *((folder, settings.exports, "--exports") for folder in (settings.exports, settings.sets)),
    ):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".writable"
            probe.write_text("", encoding="utf-8")
            probe.unlink()
        except OSError as error:
            raise RuntimeError(
                f"The folder {folder} cannot be written ({error.strerror}): "
                f"mend it, or name another place than {top} with {flag}."
            ) from error
    _check_link(settings.exports / "latest")


def _check_link(shown: Path) -> None:
    if shown.exists() and not shown.is_symlink():
        raise RuntimeError(
            f"{shown} is no link, so that no set can be shown there: move it away, "
            "or name another place with --exports."
        )


def _instant(value: Any) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
