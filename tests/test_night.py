"""A night from landing to CSV: its figures against an independent recomputation, and run again."""

import csv
import json
import random
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import oracle, oracle_reports, random_landing
from tests.conftest import SAMPLE_AS_OF, SAMPLE_LANDING, Warehouse, call

GOLDEN = Path(__file__).parent / "golden"


def differences(
    warehouse: Warehouse, as_of: str, timezone: str = "UTC", week_start: str = "monday"
) -> list[str]:
    """Reports whose CSV is not what the oracle computes from the landing zone, cell by cell."""
    instant = datetime.fromisoformat(as_of)
    expected = oracle.expected_reports(warehouse.landing, instant, timezone, week_start)
    assert len(expected) == oracle_reports.count_of_files()
    found = []
    for (report, timeframe), rows in expected.items():
        file = warehouse.exports / "latest" / report / f"{timeframe}.csv"
        with file.open(encoding="utf-8", newline="") as stream:
            shown = oracle_reports.comparable(report, list(csv.DictReader(stream)))
        rows = oracle_reports.comparable(report, rows)
        if shown != rows:
            first = next(
                (pair for pair in zip(shown, rows, strict=False) if pair[0] != pair[1]),
                (len(shown), len(rows)),
            )
            found.append(f"{report}/{timeframe}: {first}")
    return found


def test_every_figure_of_the_sample_equals_its_recomputation(sample: Warehouse) -> None:
    assert differences(sample, SAMPLE_AS_OF) == []


def test_the_sample_gives_the_golden_files(sample: Warehouse) -> None:
    golden = {
        path.relative_to(GOLDEN).as_posix(): path.read_bytes() for path in GOLDEN.rglob("*.csv")
    }
    shown = sample.csv_bytes()
    assert {path: shown.get(path) for path in golden} == golden


def test_every_line_of_the_sample_is_accounted_for(sample: Warehouse) -> None:
    lines = {
        path.relative_to(SAMPLE_LANDING).as_posix(): len(path.read_bytes().splitlines())
        for path in SAMPLE_LANDING.rglob("*")
        if path.suffix in (".ndjson", ".jsonl", ".json") and not path.name.startswith(".")
    }
    ledger = sample.query(
        "select path, lines, is_balanced from quality.row_ledger where status = 'loaded'"
    )
    assert ledger
    assert all(is_balanced for _, _, is_balanced in ledger)
    counted = {path: count for path, count, _ in ledger}
    # One of the two files of equal content is the duplicate.
    plain = {path for path in lines if not path.startswith("invoices/")} - {
        "credit_lines/2026/01/lines-0002.ndjson"
    }
    assert {path: counted[path] for path in plain} == {path: lines[path] for path in plain}


def test_a_second_night_loads_nothing_and_changes_no_byte(
    sample: Warehouse, tmp_path: Path
) -> None:
    warehouse = Warehouse.below(tmp_path, SAMPLE_LANDING)
    shutil.copytree(sample.home, warehouse.home)
    shutil.copytree(sample.exports, warehouse.exports, symlinks=True)
    before = warehouse.csv_bytes()
    answer = warehouse.night("--json")
    assert (answer.code, json.loads(answer.output)["outcome"]) == (0, "nothing new")
    assert warehouse.csv_bytes() == before


def test_a_full_refresh_gives_the_same_bytes_and_says_where_its_seconds_went(
    sample: Warehouse, tmp_path: Path
) -> None:
    warehouse = Warehouse.below(tmp_path, SAMPLE_LANDING)
    shutil.copytree(sample.home, warehouse.home)
    started = time.monotonic()
    answer = warehouse.night("--full-refresh", "--json")
    elapsed = time.monotonic() - started
    assert answer.code == 0, answer.error
    assert warehouse.csv_bytes() == sample.csv_bytes()
    seconds = json.loads(answer.output)["seconds"]
    assert seconds.keys() == {"loading", "models and tests", "files", "publishing", "starting"}
    assert min(seconds.values()) > 0
    assert elapsed / 2 < sum(seconds.values()) < elapsed


@pytest.mark.parametrize("seed", [12])
def test_random_input_gives_the_same_figures_however_it_is_delivered(
    tmp_path: Path, seed: int
) -> None:
    print(f"seed {seed}")
    as_of = random_landing.AS_OF.astimezone(UTC).isoformat()
    deliveries = random_landing.random_deliveries(seed)
    nightly = Warehouse.below(tmp_path / "nightly", tmp_path / "nightly" / "landing")
    for night in range(1, max(delivery.night for delivery in deliveries) + 1):
        shutil.rmtree(nightly.landing, ignore_errors=True)
        random_landing.deliver(deliveries, nightly.landing, night)
        answer = nightly.night(as_of=as_of)
        assert answer.code in (0, 3), answer.error
    assert differences(nightly, as_of) == []
    assert nightly.query("select count(*) from quality.row_ledger where not is_balanced") == [(0,)]

    refreshed = nightly.csv_bytes()
    answer = nightly.night("--full-refresh", as_of=as_of)
    assert answer.code == 0, answer.error
    assert nightly.csv_bytes() == refreshed

    shuffled = Warehouse.below(tmp_path / "shuffled", tmp_path / "shuffled" / "landing")
    random_landing.deliver(
        random_landing.shuffled(deliveries, random.Random(seed).randrange(10**6)),
        shuffled.landing,
    )
    answer = shuffled.night(as_of=as_of)
    assert answer.code in (0, 3), answer.error
    assert shuffled.csv_bytes() == nightly.csv_bytes()


def test_an_empty_landing_zone_gives_headers_alone(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    warehouse = Warehouse.below(tmp_path, tmp_path / "landing")
    answer = warehouse.night()
    assert answer.code == 0, answer.error
    files = warehouse.csv_bytes()
    of_focus = {path for path in files if path.startswith("focus_")}
    assert len(files) == oracle_reports.count_of_files() + len(of_focus)
    # Headlines and series are there without any event: in zeros, as the recomputation has them.
    assert differences(warehouse, SAMPLE_AS_OF) == []
    of_lines = {f"{name}/" for name in ("usage_by_agent", "session_metrics", "blocked_calls")}
    assert all(
        content.count(b"\r\n") == 1
        for path, content in files.items()
        if any(path.startswith(name) for name in of_lines)
    )
    status = json.loads(call("status", "--home", str(warehouse.home), "--json").output)
    assert status["data_through"] is None
