"""What a night does when something goes wrong: the published figures are the old or the new ones."""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from orchestration import models
from orchestration.project import DBT_PROJECT
from tests.conftest import SAMPLE_AS_OF, SAMPLE_LANDING, Warehouse, call

FAILING_TEST = """
    data_tests:
      - is_always:
          name: pigs_can_fly
          arguments: {condition: "1 = 0"}
"""


def copied(sample: Warehouse, folder: Path) -> Warehouse:
    """The sample after its night, in a folder of its own."""
    warehouse = Warehouse.below(folder, SAMPLE_LANDING)
    shutil.copytree(sample.home, warehouse.home)
    shutil.copytree(sample.exports, warehouse.exports, symlinks=True)
    return warehouse


def test_a_failed_test_leaves_what_was_published_and_names_itself(
    sample: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = copied(sample, tmp_path)
    before = (warehouse.csv_bytes(), (warehouse.home / "published/warehouse.duckdb").read_bytes())
    project = tmp_path / "dbt_project"
    shutil.copytree(DBT_PROJECT, project, ignore=shutil.ignore_patterns("target"))
    contract = project / "models" / "quality" / "ignored_files.yml"
    contract.write_text(
        contract.read_text(encoding="utf-8").replace("    columns:", FAILING_TEST + "    columns:"),
        encoding="utf-8",
    )
    monkeypatch.setattr(models, "DBT_PROJECT", project)

    answer = warehouse.night(as_of="2026-03-16")

    assert answer.code == 1
    assert "pigs_can_fly" in answer.error.splitlines()[-1]
    after = (warehouse.csv_bytes(), (warehouse.home / "published/warehouse.duckdb").read_bytes())
    assert after == before
    applied = warehouse.query("select count(*) from quality.applied_loads")
    assert applied == [(1,)]


def command(warehouse: Warehouse) -> list[str]:
    return [
        sys.executable, "-m", "orchestration", "night", "--as-of", SAMPLE_AS_OF,
        "--landing", str(warehouse.landing), "--home", str(warehouse.home),
        "--exports", str(warehouse.exports),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_a_night_after_a_killed_one_gives_the_undisturbed_bytes(
    sample: Warehouse, tmp_path: Path, seed: int
) -> None:
    print(f"seed {seed}")
    warehouse = Warehouse.below(tmp_path, SAMPLE_LANDING)
    process = subprocess.Popen(command(warehouse), stderr=subprocess.DEVNULL)
    raw = warehouse.home / "raw" / "000000001"
    while process.poll() is None and not raw.exists():
        time.sleep(0.02)
    time.sleep(random.Random(seed).uniform(0, 12))
    process.kill()
    process.wait()
    if (warehouse.exports / "latest").exists():
        assert warehouse.csv_bytes() == sample.csv_bytes()

    answer = warehouse.night()

    assert answer.code in (0, 3), answer.error
    assert warehouse.csv_bytes() == sample.csv_bytes()
    sessions = "select * from marts.session_metrics order by all"
    assert warehouse.query(sessions) == sample.query(sessions)
    assert not list((warehouse.home / "raw").glob(".load-*"))
    assert not list((warehouse.exports / "sets").glob(".building-*"))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_terminated_night_says_so_and_frees_the_home(tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    warehouse = Warehouse.below(tmp_path, SAMPLE_LANDING)
    process = subprocess.Popen(command(warehouse), stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (warehouse.home / "raw" / "000000001").exists():
        time.sleep(0.02)
    time.sleep(random.Random(seed).uniform(0, 8))
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Interrupted" in error.splitlines()[-1]
    with (warehouse.home / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_second_night_in_the_same_home_is_told_who_is_there(tmp_path: Path) -> None:
    warehouse = Warehouse.below(tmp_path, SAMPLE_LANDING)
    warehouse.home.mkdir(parents=True)
    with (warehouse.home / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        json.dump({"pid": 4711, "started_at": "2026-03-15T04:00:00+00:00"}, lock)
        lock.flush()
        answer = warehouse.night()
    assert answer.code == 75
    assert "4711" in answer.error
    assert "2026-03-15T04:00:00" in answer.error
    assert not (warehouse.home / "raw").exists()


def test_a_damaged_build_file_is_named_and_rebuilt_by_a_full_refresh(
    sample: Warehouse, tmp_path: Path
) -> None:
    warehouse = copied(sample, tmp_path)
    build = warehouse.home / "build" / "warehouse.duckdb"
    build.write_bytes(b"\0" * 4096 + build.read_bytes()[4096:])
    answer = warehouse.night(as_of="2026-03-16")
    assert answer.code == 1
    assert "--full-refresh" in answer.error.splitlines()[-1]
    assert warehouse.csv_bytes() == sample.csv_bytes()
    answer = warehouse.night("--full-refresh")
    assert answer.code == 0, answer.error
    assert warehouse.csv_bytes() == sample.csv_bytes()


def test_wrong_words_and_settings_are_usage_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = ("--home", str(tmp_path / "home"))
    assert call("night", "--as-of", "yesterday", *home).code == 2
    assert call("night", "--as-of", "2026-03-15T10:00:00", *home).code == 2
    assert call("fly").code == 2
    monkeypatch.setenv("WAREHOUSE_TIMEZONE", "Mars/Olympus")
    answer = call("night", *home)
    assert answer.code == 2
    assert "WAREHOUSE_TIMEZONE" in answer.error


def test_a_missing_landing_zone_is_said_in_one_sentence(tmp_path: Path) -> None:
    answer = Warehouse.below(tmp_path, tmp_path / "nowhere").night()
    assert answer.code == 1
    assert "--landing" in answer.error.splitlines()[-1]


def test_queries_cannot_write_nor_read_the_machine(sample: Warehouse) -> None:
    home = ("--home", str(sample.home))
    answer = call("sql", "select count(*) as agents from marts.usage_by_agent", "--json", *home)
    assert (answer.code, json.loads(answer.output)[0]["agents"] > 0) == (0, True)
    for query in (
        "delete from marts.usage_by_agent",
        "select * from read_text('/etc/hostname')",
        f"copy (select 1) to '{sample.home}/out.csv'",
        "set enable_external_access = true",
    ):
        assert call("sql", query, *home).code == 1
    assert not os.path.exists(sample.home / "out.csv")


def test_rejects_show_file_line_reason_and_text(sample: Warehouse) -> None:
    answer = call("rejects", "--home", str(sample.home), "--reason", "not_whole_number")
    assert answer.code == 0
    first = answer.output.splitlines()[0]
    assert first.startswith("llm_requests/2026/03/requests-0003.ndjson:6: not_whole_number: ")
    assert "2.7" in first
    everything = call("rejects", "--home", str(sample.home), "--json").output
    assert len(json.loads(everything)) == 16


def test_a_table_that_is_missing_is_built_from_all_loads(sample: Warehouse, tmp_path: Path) -> None:
    warehouse = copied(sample, tmp_path)
    with duckdb.connect(str(warehouse.home / "build" / "warehouse.duckdb")) as connection:
        connection.execute("drop table intermediate.int_credit_lines_attributed cascade")
    assert warehouse.night(as_of="2026-03-16").code == 0
    answer = warehouse.night()
    assert answer.code == 0, answer.error
    assert warehouse.csv_bytes() == sample.csv_bytes()


@pytest.mark.parametrize(
    "damaged",
    ["home/run/night.json", "exports/latest/manifest.json", "home/published/warehouse.duckdb"],
)
def test_a_file_that_can_be_made_anew_stops_no_night(
    sample: Warehouse, tmp_path: Path, damaged: str
) -> None:
    warehouse = copied(sample, tmp_path)
    (tmp_path / damaged).write_bytes(b"")
    if damaged.endswith(".duckdb"):
        (tmp_path / damaged).write_bytes(b"noise" * 5000)
        assert call("status", "--home", str(warehouse.home)).code == 1
    answer = warehouse.night(as_of="2026-03-15T00:00:00Z")
    assert answer.code in (0, 3), answer.error
    assert warehouse.csv_bytes() == sample.csv_bytes()


def test_the_greatest_accepted_values_stop_no_night(tmp_path: Path) -> None:
    warehouse = Warehouse.below(tmp_path, tmp_path / "landing")
    rows = {
        "agent_runs": {
            "run_id": "r", "started_at": "2026-03-14T10:00:00Z", "status": "succeeded",
            "latency_ms": 10**12, "input_tokens": 10**13,
        },
        "llm_requests": {
            "run_id": "r", "model": "m", "requested_at": "2026-03-14T10:00:00Z",
            "duration_ms": 10**12, "input_tokens": 10**13, "session_id": "s",
        },
        "credit_lines": {
            "occurred_at": "2026-03-14T10:00:00Z", "organisation_id": "o", "category": "LLM",
            "credits": str(10**18),
        },
    }  # fmt: skip
    keys = {"agent_runs": "run_id", "llm_requests": "request_id", "credit_lines": "line_id"}
    for source, row in rows.items():
        (warehouse.landing / source).mkdir(parents=True)
        lines = [json.dumps({**row, keys[source]: f"r{n}"}) for n in range(50)]
        (warehouse.landing / source / "a.ndjson").write_text("\n".join(lines) + "\n")
    answer = warehouse.night()
    assert answer.code == 0, answer.error


def test_markup_and_empty_queries_are_shown_as_they_are(sample: Warehouse) -> None:
    home = ("--home", str(sample.home))
    answer = call("sql", "select '[/b] [red]x' as \"a[b]\"", *home)
    assert answer.code == 0
    assert "[/b] [red]x" in answer.output
    assert "a[b]" in answer.output
    assert call("sql", " ", *home).code == 0
    assert call("rejects", "--limit", "-1", *home).code == 2
