"""What `warehouse doctor` says of a warehouse that is well, and of each thing that can be amiss."""

import fcntl
import json
import os
import shutil
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration import doctor
from orchestration.forgotten import Forgotten
from orchestration.project import bytes_of
from tests.conftest import SAMPLE_LANDING, Answer, Warehouse, call


def examined(warehouse: Warehouse) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    """The exit code, and per check the states and sentences."""
    answer = ask(warehouse, "--json")
    found: dict[str, list[tuple[str, str]]] = {}
    for each in json.loads(answer.output)["findings"]:
        found.setdefault(each["check"], []).append((each["state"], each["sentence"]))
    assert json.loads(answer.output)["exit_code"] == answer.code
    return answer.code, found


def ask(warehouse: Warehouse, *flags: str) -> Answer:
    return call(
        "doctor", "--landing", str(warehouse.landing), "--home", str(warehouse.home),
        "--exports", str(warehouse.exports), *flags,
    )  # fmt: skip


@pytest.fixture
def warehouse(sample: Warehouse, tmp_path: Path) -> Warehouse:
    """The sample after its night, in a folder of its own."""
    copied = Warehouse.below(tmp_path, SAMPLE_LANDING)
    shutil.copytree(sample.home, copied.home)
    shutil.copytree(sample.exports, copied.exports, symlinks=True)
    return copied


def test_a_warehouse_that_is_well_is_said_to_be_in_one_line_a_check(warehouse: Warehouse) -> None:
    before = sorted(warehouse.home.rglob("*"))
    answer = ask(warehouse)
    assert answer.code == 0, answer.output
    assert answer.output.splitlines()[-1] == "All is well."
    states = [line.split()[0] for line in answer.output.splitlines()[:-1]]
    assert set(states) == {"ok"}
    assert len(states) > 12
    assert sorted(warehouse.home.rglob("*")) == before


def test_a_warehouse_that_never_ran_is_no_error_and_stays_unmade(tmp_path: Path) -> None:
    warehouse = Warehouse.below(tmp_path, SAMPLE_LANDING)
    code, found = examined(warehouse)
    assert code == 0
    assert found["last night"][0][0] == "warning"
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_used_are_errors(tmp_path: Path) -> None:
    (tmp_path / "exports").write_text("a file in the way", encoding="utf-8")
    code, found = examined(Warehouse.below(tmp_path, tmp_path / "nowhere"))
    assert code == 1
    assert found["landing zone"][0][0] == "error"
    assert "--landing" in found["landing zone"][0][1]
    assert [state for state, _ in found["folders"]] == ["ok", "error"]
    assert "--exports" in found["folders"][1][1]


def test_a_landed_file_that_is_closed_is_a_warning(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def access(path: Path, mode: int) -> bool:
        return "runs-0004" not in str(path)

    monkeypatch.setattr(doctor.os, "access", access)
    ((state, sentence),) = examined(warehouse)[1]["landing zone"]
    assert state == "warning"
    assert "runs-0004.ndjson" in sentence


Place = namedtuple("Place", "f_bavail f_frsize")


@pytest.mark.parametrize(("free", "state"), [(10**3, "error"), (5 * 10**8, "warning")])
def test_a_disk_that_is_nearly_full_is_said(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    monkeypatch.setattr(doctor.os, "statvfs", lambda _: Place(free, 1))
    assert [found[0] for found in examined(warehouse)[1]["disk space"]] == [state, state]


@pytest.mark.parametrize(
    ("limit", "state"), [("64GB", "error"), ("7.5GiB", "warning"), ("2 GB", "ok")]
)
def test_a_memory_limit_is_held_against_the_machine(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, limit: str, state: str
) -> None:
    monkeypatch.setattr(doctor, "_machine_bytes", lambda: 8 << 30)
    monkeypatch.setenv("WAREHOUSE_MEMORY_LIMIT", limit)
    assert examined(warehouse)[1]["memory"][0][0] == state


@pytest.mark.parametrize(
    ("size", "count"),
    [("17B", 17), ("500MB", 5 * 10**8), ("1.5GiB", 3 << 29), ("2 gb", 2 * 10**9), ("1KiB", 1024)],
)
def test_sizes_are_read_as_duckdb_reads_them(size: str, count: int) -> None:
    assert bytes_of(size) == count


def test_who_holds_the_home_is_named_and_a_night_that_lasts_is_a_warning(
    warehouse: Warehouse,
) -> None:
    for hours, state in ((1, "ok"), (30, "warning")):
        started_at = (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")
        with (warehouse.home / "lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            json.dump({"pid": 4711, "started_at": started_at}, lock)
            lock.flush()
            ((found, sentence),) = examined(warehouse)[1]["lock"]
        assert found == state
        assert "4711" in sentence
    assert examined(warehouse)[1]["lock"] == [("ok", "No night is running.")]


def test_what_a_killed_night_left_is_a_warning(warehouse: Warehouse) -> None:
    (warehouse.home / "raw" / ".load-000000002").mkdir()
    ((state, sentence),) = examined(warehouse)[1]["lock"]
    assert state == "warning"
    assert ".load-000000002" in sentence


def test_a_night_that_did_not_publish_and_an_old_one_are_warnings(warehouse: Warehouse) -> None:
    note = warehouse.home / "run" / "night.json"
    night = json.loads(note.read_text(encoding="utf-8"))
    note.write_text(json.dumps({**night, "night_id": "000002"}), encoding="utf-8")
    ((state, sentence),) = examined(warehouse)[1]["last night"]
    assert (state, "000002 did not publish" in sentence) == ("warning", True)
    note.write_text(json.dumps(night), encoding="utf-8")
    days_ago = datetime.now(UTC).timestamp() - 3 * 86400
    os.utime(warehouse.home / "published" / "warehouse.duckdb", (days_ago, days_ago))
    ((state, sentence),) = examined(warehouse)[1]["last night"]
    assert (state, "schedule" in sentence) == ("warning", True)


def test_a_load_that_is_not_applied_is_a_warning(warehouse: Warehouse) -> None:
    raw = warehouse.home / "raw"
    shutil.copytree(raw / "000000001", raw / "000000002")
    ((state, sentence),) = examined(warehouse)[1]["loads"]
    assert (state, "the first is 2" in sentence) == ("warning", True)


def test_exports_that_do_not_show_the_published_night_are_an_error(warehouse: Warehouse) -> None:
    manifest = (warehouse.exports / "latest").resolve() / "manifest.json"
    shown = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**shown, "night_id": "000009"}), encoding="utf-8")
    code, found = examined(warehouse)
    assert (code, found["exports"][0][0]) == (1, "error")
    (warehouse.exports / "latest").unlink()
    assert examined(warehouse)[1]["exports"][0][0] == "error"


def test_a_damaged_published_file_is_an_error_and_no_traceback(warehouse: Warehouse) -> None:
    (warehouse.home / "published" / "warehouse.duckdb").write_bytes(b"noise" * 5000)
    code, found = examined(warehouse)
    assert code == 1
    assert found["last night"][0][0] == "error"


def test_the_home_of_dagster_is_examined(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder, state in ((tmp_path / "nowhere", "error"), (tmp_path, "warning")):
        monkeypatch.setenv("DAGSTER_HOME", str(folder))
        assert examined(warehouse)[1]["dagster"][0][0] == state
    (tmp_path / "dagster.yaml").write_text("", encoding="utf-8")
    assert examined(warehouse)[1]["dagster"][0][0] == "ok"


def test_an_unfinished_erasure_and_a_home_open_to_all_are_warnings(warehouse: Warehouse) -> None:
    people = Forgotten.read(warehouse.home)
    people.add("user_ana", [])
    people.save()
    warehouse.home.chmod(0o755)
    found = examined(warehouse)[1]
    assert found["forgotten"][0][0] == "warning"
    assert "o-rwx" in found["folders"][0][1]
    people.finish()
    warehouse.home.chmod(0o750)
    found = examined(warehouse)[1]
    assert (found["forgotten"][0][0], found["folders"][0][0]) == ("ok", "ok")
