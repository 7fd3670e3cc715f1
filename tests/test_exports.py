"""What finance picks up: CSV sets, their manifest and links; and the database that analysts open."""

import csv
import hashlib
import io
import json
import os
import shutil
import time
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from orchestration import exports
from orchestration.project import Settings
from tests.conftest import SAMPLE_LANDING, Warehouse


def manifest_of(warehouse: Warehouse) -> dict:
    return json.loads((warehouse.exports / "latest" / "manifest.json").read_text(encoding="utf-8"))


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


def test_the_manifest_describes_every_file_as_it_reads_from_disk(sample: Warehouse) -> None:
    files = sample.csv_bytes()
    entries = {entry["path"]: entry for entry in manifest_of(sample)["files"]}
    assert entries.keys() == files.keys()
    for path, content in files.items():
        entry, rows = entries[path], rows_of(content)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["bytes"] == len(content)
        assert entry["rows"] == len(rows)
        assert content.decode("utf-8").splitlines()[0] == ",".join(entry["columns"])
        for column, total in entry["sums"].items():
            cells = [Decimal(row[column]) for row in rows if row[column]]
            assert Decimal(total) == sum(cells), (path, column)


def test_the_manifest_counts_the_rejected_rows_by_reason(sample: Warehouse) -> None:
    assert manifest_of(sample)["rejected"] == {
        "instant_out_of_range": 1,
        "instant_without_offset": 1,
        "missing_required": 3,
        "negative": 1,
        "not_allowed_value": 4,
        "not_an_object": 1,
        "not_json": 2,
        "not_whole_number": 1,
        "too_many_decimals": 1,
        "wrong_type": 1,
    }


def test_a_cell_that_a_spreadsheet_would_run_is_neutralised_and_counted(sample: Warehouse) -> None:
    files = sample.csv_bytes()
    dangerous = "=+-@\t\r\n\0＝＋－＠"
    counted = 0
    for entry in manifest_of(sample)["files"]:
        report = next(r for r in exports.read_reports() if r.name == entry["report"])
        texts = [column.header for column in report.columns if column.kind == "text"]
        cells = [row[name] for row in rows_of(files[entry["path"]]) for name in texts]
        assert not [cell for cell in cells if cell[:1] and cell[0] in dangerous]
        neutralised = [cell for cell in cells if cell[:1] == "'" and cell[1:2] in dangerous]
        assert entry["neutralised_cells"] == len(neutralised)
        counted += len(neutralised)
    assert counted > 0


def test_instants_decimals_and_booleans_are_plain_text(sample: Warehouse) -> None:
    session = rows_of(sample.csv_bytes()["session_metrics/last_30_days.csv"])[0]
    assert session["started_at"].endswith("Z")
    assert session["has_timeline"] == "true"
    assert len(session["duration_ms"].partition(".")[2]) == 3
    line = rows_of(sample.csv_bytes()["billing_conversation_lines/last_30_days.csv"])[0]
    assert len(line["credits"].partition(".")[2]) == 12


def test_rows_stand_by_their_first_figure_and_lines_without_one_by_their_keys() -> None:
    keys = (
        exports.Column("name", "text", 2, "name"),
        exports.Column("client", "text", 1, "client"),
    )
    figures = (
        exports.Column("calls", "count", None, "calls"),
        exports.Column("cost", "money", None, "cost"),
    )
    by_keys = "r.client asc nulls last, r.name asc nulls last"
    place = (exports.Column("rank", "index", None, "rank"),)
    for columns, order in (
        (place + keys + figures, f"r.calls desc nulls last, {by_keys}"),
        (place + keys, by_keys),
    ):
        assert exports.Report("any", "analytics", (), columns).order == order


def test_a_large_file_is_in_order_and_every_start_of_a_formula_is_neutralised(
    tmp_path: Path,
) -> None:
    report = exports.Report(
        "any",
        "analytics",
        (),
        (
            exports.Column("name", "text", 1, "name"),
            exports.Column("note", "text", None, "note"),
            exports.Column("calls", "count", None, "calls"),
        ),
    )
    # More rows than DuckDB sorts and writes in one piece; "=\u0301" is one letter to a reader.
    formulas = [f"{start}1" for start in "=+-@\t\r\n\0＝＋－＠"] + ["=\u0301"]
    notes = [*formulas, "", None, "a=1", "1", "é"]
    with duckdb.connect() as connection:
        connection.execute("set threads = 2")
        connection.execute(
            "create table exported as select 'day' as timeframe, 'name ' || hash(range) as name, "
            "($1)[1 + range % len($1)] as note, range % 10 as calls from range(400000)",
            [notes],
        )
        rows = connection.execute(
            "select name, note, calls from exported order by calls desc, name"
        ).fetchall()
        exports.write_file(connection, report, tmp_path / "large.csv", "csv", "day")
    with (tmp_path / "large.csv").open(encoding="utf-8", newline="") as file:
        written = [tuple(row) for row in csv.reader(file)][1:]
    assert written == [
        (name, "'" + note if note in formulas else note or "", str(calls))
        for name, note, calls in rows
    ]


def test_both_links_show_the_set_of_the_published_database(sample: Warehouse) -> None:
    night = manifest_of(sample)["night_id"]
    assert sample.query("select night_id from quality.night") == [(night,)]
    wanted = f"sets/2026-03-15-{night}"
    assert os.readlink(sample.exports / "latest") == wanted
    assert os.readlink(sample.exports / "2026-03-15") == wanted


def test_a_set_that_no_link_names_goes_after_an_hour(tmp_path: Path) -> None:
    settings = Settings.read(SAMPLE_LANDING, tmp_path / "home", tmp_path / "exports", {})
    for name in ("2026-03-13-000001", "2026-03-14-000002", "2026-03-15-000003"):
        (settings.sets / name).mkdir(parents=True)
    (settings.exports / "latest").symlink_to(Path("sets") / "2026-03-15-000003")
    long_ago = time.time() - 3700
    for name in ("2026-03-13-000001", "2026-03-15-000003"):
        os.utime(settings.sets / name, (long_ago, long_ago))
    assert exports.sweep(settings) == ["2026-03-13-000001"]
    assert sorted(folder.name for folder in settings.sets.iterdir()) == [
        "2026-03-14-000002",
        "2026-03-15-000003",
    ]


def test_the_published_file_holds_marts_quality_and_facts_and_no_path(sample: Warehouse) -> None:
    schemas = sample.query(
        "select distinct schema_name from duckdb_tables() union select distinct schema_name "
        "from duckdb_views() where not internal order by all"
    )
    assert schemas == [("intermediate",), ("marts",), ("quality",)]
    content = (sample.home / "published" / "warehouse.duckdb").read_bytes()
    for folder in (sample.home, sample.exports, SAMPLE_LANDING):
        assert str(folder).encode() not in content


def test_every_relation_opens_when_the_published_file_is_attached_under_another_name(
    sample: Warehouse,
) -> None:
    file = str(sample.home / "published" / "warehouse.duckdb")
    with duckdb.connect() as connection:
        connection.execute(f"attach '{file}' as elsewhere (read_only)")
        relations = connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'elsewhere' "
            "union all select schema_name, view_name from duckdb_views() "
            "where database_name = 'elsewhere' and not internal"
        ).fetchall()
        assert len(relations) > 40
        for schema, name in relations:
            connection.execute(f"select * from elsewhere.{schema}.{name} limit 1")


def test_the_published_file_is_of_a_version_that_older_clients_read(sample: Warehouse) -> None:
    tags = sample.query("select tags from duckdb_databases() where database_name = 'warehouse'")
    assert "v1.2.0" in str(tags)


def test_planted_content_is_in_no_byte_of_home_or_exports(sample: Warehouse) -> None:
    planted = b"planted "
    assert planted in (SAMPLE_LANDING / "otlp/claude_code/2026/logs.jsonl").read_bytes()
    found = [
        path
        for root in (sample.home, sample.exports)
        for path in root.rglob("*")
        if path.is_file() and planted in path.read_bytes()
    ]
    assert found == []
    telemetry = duckdb.read_parquet(str(sample.home / "raw" / "*" / "otlp" / "*.parquet"))
    assert telemetry.filter("cast(attributes as varchar) like '%planted %'").fetchall() == []


def test_a_folder_that_cannot_be_written_fails_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "exports").write_text("a file in the way", encoding="utf-8")
    warehouse = Warehouse.below(tmp_path, SAMPLE_LANDING)
    answer = warehouse.night()
    assert answer.code == 1
    assert "exports" in answer.error.splitlines()[-1]
    assert not list((warehouse.home / "raw").iterdir())


@pytest.mark.parametrize("broken", ["latest", "2026-03-15"])
def test_a_link_that_is_lost_is_set_again_by_the_next_night(
    sample: Warehouse, tmp_path: Path, broken: str
) -> None:
    warehouse = Warehouse.below(tmp_path, SAMPLE_LANDING)
    shutil.copytree(sample.home, warehouse.home)
    shutil.copytree(sample.exports, warehouse.exports, symlinks=True)
    (warehouse.exports / broken).unlink()
    before = sample.csv_bytes()
    answer = warehouse.night()
    assert answer.code == 0, answer.error
    assert warehouse.csv_bytes() == before
    assert (warehouse.exports / broken / "manifest.json").exists()
