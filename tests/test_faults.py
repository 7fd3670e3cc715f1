"""What a night does when something goes wrong: the published figures are the old or the new ones."""

import fcntl
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestration import cli, exports, models, publish
from orchestration import night as night_module
from orchestration.landing.contract import read_contract
from orchestration.landing.history import check_part
from orchestration.landing.load import land
from orchestration.night import read_night
from orchestration.project import CONTRACT, DBT_PROJECT, Settings
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


def cpu_seconds(process: subprocess.Popen) -> float:
    """What a process has worked by now, which other work on the machine does not change."""
    try:
        text = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ended_at(process: subprocess.Popen, moment: float, ending: int) -> int:
    """Send a signal when a process has worked so many seconds; returns how it ended."""
    while process.poll() is None and cpu_seconds(process) < moment:
        time.sleep(0.005)
    process.send_signal(ending)
    return process.wait(timeout=60)


def is_anyone_left(group: int) -> bool:
    """Whether a process of the group is alive, after a moment for helpers to see it end."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True


def test_a_night_ended_at_any_moment_leaves_the_old_or_the_new_and_the_next_is_undisturbed(
    sample: Warehouse, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed = request.config.getoption("--kill-seed")
    rng = random.Random(seed)
    print(f"seed {seed}")
    warehouse = Warehouse.below(tmp_path, tmp_path / "landing")
    shutil.copytree(SAMPLE_LANDING, warehouse.landing)
    late = [path for path in sorted(warehouse.landing.rglob("*")) if path.is_file()]
    late = rng.sample(late, len(late) // 2)
    for file in late:
        file.rename(tmp_path / f"late-{late.index(file)}")
    started = time.process_time()
    assert warehouse.night().code in (0, 3)
    whole_night = time.process_time() - started
    old = (warehouse.csv_bytes(), warehouse.tables())
    new = (sample.csv_bytes(), sample.tables())
    assert old != new
    for file in late:
        (tmp_path / f"late-{late.index(file)}").rename(file)

    for number in range(request.config.getoption("--kills")):
        ending = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)[number % 3]
        # At the start libraries are imported; the first moments come after it.
        moment = rng.uniform(4, whole_night + 4)
        process = subprocess.Popen(
            warehouse.command(), stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        code = ended_at(process, moment, ending)
        assert process.stderr is not None
        said = process.stderr.read()
        print(f"{ending!r} after {moment:.1f} s of work: {code}")
        if code == 1:
            assert "Interrupted" in said.splitlines()[-1]
        assert code in (0, 3, {signal.SIGTERM: 1}.get(ending, -ending)), said
        assert not is_anyone_left(process.pid)
        with (warehouse.home / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert warehouse.csv_bytes() in (old[0], new[0])
        assert warehouse.tables() in (old[1], new[1])

    # Local time of the process says nothing, on either side of the date line.
    done = subprocess.run(
        warehouse.command(),
        capture_output=True,
        text=True,
        env={**os.environ, "TZ": "Pacific/Apia"},
    )
    assert done.returncode in (0, 3), done.stderr
    assert warehouse.csv_bytes() == new[0]
    assert warehouse.tables() == new[1]
    assert not list((warehouse.home / "raw").glob(".load-*"))
    assert not list((warehouse.exports / "sets").glob(".building-*"))
    assert not list((warehouse.home / "closed_months").glob(".keeping-*"))


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


HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
night = lambda: connection.execute("select night_id from quality.night").fetchall()[0][0]
print(night(), flush=True)
sys.stdin.readline()
print(night(), flush=True)
"""


def test_readers_and_a_second_night_neither_stop_nor_change_a_night(
    sample: Warehouse, tmp_path: Path
) -> None:
    warehouse = copied(sample, tmp_path)
    published = warehouse.home / "published" / "warehouse.duckdb"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(published)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdin is not None
        assert holder.stdout is not None
        seen = holder.stdout.readline()
        nights = [
            subprocess.Popen(
                warehouse.command(as_of="2026-03-16"), stderr=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        ended = {night.pid: (night.communicate()[1], night.returncode) for night in nights}
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == seen
    codes = sorted(code for _, code in ended.values())
    assert codes == [0, 75], ended
    ((said, worked),) = [
        (said, other)
        for pid, (said, code) in ended.items()
        for other in ended
        if code == 75 and other != pid
    ]
    assert f"process {worked}" in said.splitlines()[-1]
    assert "Traceback" not in said
    ((night_id, as_of),) = warehouse.query("select night_id, as_of::varchar from quality.night")
    assert (night_id, as_of) == (f"{int(seen) + 1:06d}", "2026-03-16 00:00:00")
    kept = sorted(folder.name for folder in (warehouse.home / "closed_months").iterdir())
    assert kept[-1] == night_id
    assert not (published.parent / ".copy").exists()


def test_what_somebody_wrote_to_the_old_file_does_not_reach_the_new_one(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path, environment={})
    for file, value in ((settings.published_file, 1), (settings.candidate_file, 2)):
        file.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(str(file)) as connection:
            connection.execute(f"create table figures as select {value} as figure")
    dies = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); "
    dies += "c.execute('insert into figures values (7)'); os._exit(1)"
    subprocess.run([sys.executable, "-c", dies, str(settings.published_file)], check=False)
    assert publish.log_of(settings.published_file).exists()
    publish.publish_candidate(settings)
    with duckdb.connect(str(settings.published_file), read_only=True) as connection:
        assert connection.execute("from figures").fetchall() == [(2,)]


def test_a_night_killed_between_database_and_set_is_finished_by_the_next(
    sample: Warehouse, tmp_path: Path
) -> None:
    warehouse = copied(sample, tmp_path)
    before = warehouse.csv_bytes()
    older = warehouse.exports / "sets" / "2026-03-14-000000"
    older.mkdir()
    for link in ("latest", SAMPLE_AS_OF[:10]):
        (warehouse.exports / link).unlink()
    (warehouse.exports / "latest").symlink_to(Path("sets") / older.name)
    answer = warehouse.night("--json")
    assert (answer.code, json.loads(answer.output)["outcome"]) == (0, "nothing new")
    assert warehouse.csv_bytes() == before
    assert (warehouse.exports / SAMPLE_AS_OF[:10]).resolve() == (
        warehouse.exports / "latest"
    ).resolve()


def test_what_cannot_be_shown_is_said_before_anything_is_published(
    sample: Warehouse, tmp_path: Path
) -> None:
    warehouse = copied(sample, tmp_path)
    latest = warehouse.exports / "latest"
    shown = latest.resolve()
    latest.unlink()
    shutil.copytree(shown, latest)
    published = (warehouse.home / "published" / "warehouse.duckdb").read_bytes()
    answer = warehouse.night(as_of="2026-03-16")
    assert answer.code == 1
    assert "is no link" in answer.error.splitlines()[-1]
    assert (warehouse.home / "published" / "warehouse.duckdb").read_bytes() == published


@pytest.mark.parametrize(
    "name", ["home/raw", "home/build", "home/published", "home/run", "exports/sets"]
)
def test_a_file_where_a_folder_should_be_is_said_before_anything_is_loaded(
    tmp_path: Path, name: str
) -> None:
    warehouse = Warehouse.below(tmp_path, SAMPLE_LANDING)
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text("in the way", encoding="utf-8")
    answer = warehouse.night()
    assert answer.code == 1
    assert str(tmp_path / name) in answer.error.splitlines()[-1]
    assert not (warehouse.home / "raw" / "000000001").exists()


@pytest.mark.parametrize("name", ["home", "home/raw", "home/published", "exports", "exports/sets"])
def test_a_folder_that_is_read_only_is_said(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        top.chmod(0o755)
        settings = Settings.read(home=top / "home", exports=top / "exports", environment={})
        exports.check_writable(settings)
        for each in top.rglob("*"):
            each.chmod(0o777)
        (top / name).chmod(0o555)
        child = os.fork()
        if child == 0:
            # Root may write anywhere, so that somebody else has to try.
            if os.geteuid() == 0:
                os.setuid(65534)
            try:
                exports.check_writable(settings)
            except RuntimeError as error:
                os._exit(0 if f"{top / name} cannot be written" in str(error) else 2)
            os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """A disk that is full as soon as a file has so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 2_000, 50_000])
def test_a_disk_that_fills_up_while_loading_leaves_what_was_published(
    sample: Warehouse, tmp_path: Path, size: int
) -> None:
    warehouse = copied(sample, tmp_path)
    warehouse = Warehouse(tmp_path / "landing", warehouse.home, warehouse.exports)
    shutil.copytree(SAMPLE_LANDING, warehouse.landing)
    for run in range(3):
        lines = [
            json.dumps({"line_id": f"{run}-{n}", "occurred_at": "2026-03-14T10:00:00Z",
                        "organisation_id": str(random.random()), "category": "LLM",
                        "credits": str(n)})
            for n in range(20_000)
        ]  # fmt: skip
        (warehouse.landing / "credit_lines" / f"{run}.ndjson").write_text("\n".join(lines) + "\n")
    before = {path: path.read_bytes() for path in warehouse.home.rglob("*.duckdb")}
    with no_file_above(size):
        answer = warehouse.night()
    assert answer.code == 1
    assert "Free some space" in answer.error.splitlines()[-1]
    assert {path: path.read_bytes() for path in warehouse.home.rglob("*.duckdb")} == before
    assert warehouse.csv_bytes() == sample.csv_bytes()
    land(warehouse.landing, warehouse.home / "raw", read_contract(CONTRACT), False, "1GB")
    loads = sorted(folder.name for folder in (warehouse.home / "raw").iterdir())
    assert loads == ["000000000", "000000001", "000000002"]


def test_a_disk_that_fills_up_while_publishing_leaves_what_was_published(
    sample: Warehouse, tmp_path: Path
) -> None:
    warehouse = copied(sample, tmp_path)
    settings = Settings.read(warehouse.landing, warehouse.home, warehouse.exports, {})
    night = read_night(settings)
    published = settings.published_file.read_bytes()
    with duckdb.connect(str(settings.build_file), read_only=True) as connection:
        built = set(
            connection.execute(
                "select schema_name, table_name from duckdb_tables() union all "
                "select schema_name, view_name from duckdb_views()"
            ).fetchall()
        )
    with no_file_above(1_000_000), pytest.raises((OSError, duckdb.Error), match="File too large"):
        publish.stage_candidate(settings, built)
    exports.start_set(settings, night)
    folder = exports.building_folder(settings, night)
    reports = {report.name: report for report in exports.read_reports()}
    with (
        exports.opened(settings.published_file, "1GB", folder) as connection,
        no_file_above(100),
        pytest.raises((duckdb.Error, OSError)),
    ):
        exports.write_report(connection, reports["session_metrics"], folder)
    assert settings.published_file.read_bytes() == published
    assert warehouse.csv_bytes() == sample.csv_bytes()


def test_an_empty_build_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    build = tmp_path / "build" / "warehouse.duckdb"
    (tmp_path / "build").mkdir()
    with no_file_above(5_000), pytest.raises(duckdb.Error):
        night_module.start_build_file(build)
    assert not build.exists()
    night_module.start_build_file(build)
    with duckdb.connect(str(build), read_only=True) as connection:
        assert connection.execute("select count(*) from duckdb_tables()").fetchall() == [(0,)]


def test_a_damaged_build_file_is_named_and_rebuilt_by_a_full_refresh(
    sample: Warehouse, tmp_path: Path
) -> None:
    warehouse = copied(sample, tmp_path)
    build = warehouse.home / "build" / "warehouse.duckdb"
    whole = build.read_bytes()
    damaged = (b"\0" * 4096 + whole[4096:], whole[: len(whole) // 2], whole[:4096], b"noise", b"")
    for content in damaged:
        build.write_bytes(content)
        answer = warehouse.night(as_of="2026-03-16")
        assert answer.code == 1
        assert "--full-refresh" in answer.error.splitlines()[-1]
    assert warehouse.csv_bytes() == sample.csv_bytes()
    answer = warehouse.night("--full-refresh")
    assert answer.code == 0, answer.error
    assert warehouse.csv_bytes() == sample.csv_bytes()


def test_a_full_check_reads_what_no_report_does(sample: Warehouse, tmp_path: Path) -> None:
    warehouse = copied(sample, tmp_path)
    settings = Settings.read(warehouse.landing, warehouse.home, warehouse.exports, {})
    with duckdb.connect(str(settings.build_file)) as connection:
        built = set(
            connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        )
        connection.execute("create table quality.unread as select range::varchar from range(99999)")
        connection.execute("checkpoint")
        ((block,),) = connection.execute(
            "select min(block_id) from pragma_storage_info('quality.unread') "
            "where persistent and block_id >= 0"
        ).fetchall()
    built |= {("quality", "unread")}
    publish.stage_candidate(settings, built, reads_all=True)
    with settings.build_file.open("r+b") as file:
        # After three headers, blocks of 256 KiB.
        file.seek(3 * 4096 + block * 262_144 + 5_000)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    publish.stage_candidate(settings, built)
    with pytest.raises(RuntimeError, match=r"quality\.unread .* --full-refresh"):
        publish.stage_candidate(settings, built, reads_all=True)


@pytest.mark.parametrize("flags", [(), ("--full-refresh",)])
def test_a_load_that_is_lost_is_said_and_its_number_is_not_used_again(
    sample: Warehouse, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    warehouse = copied(sample, tmp_path)
    before = warehouse.csv_bytes()
    shutil.rmtree(warehouse.home / "raw")
    answer = warehouse.night(*flags, as_of="2026-03-16")
    assert answer.code == 1
    assert "lacks the load 000000001" in answer.error.splitlines()[-1]
    assert not (warehouse.home / "raw" / "000000001").exists()
    assert warehouse.csv_bytes() == before


def flipped(content: bytes, at: int, bit: int) -> bytes:
    """A content with one bit turned over."""
    return content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]


def is_refused(part: Path) -> bool:
    """Whether a file of a load is found to be damaged."""
    try:
        check_part(part)
    except RuntimeError:
        return True
    return False


def test_a_flipped_bit_of_a_load_is_found_before_it_is_used(
    sample: Warehouse, tmp_path: Path
) -> None:
    warehouse = copied(sample, tmp_path)
    rng = random.Random(11)
    parts = sorted((warehouse.home / "raw" / "000000001").glob("*/*.parquet"))
    for part in rng.choices(parts, k=40):
        whole = part.read_bytes()
        # The pages; the footer has no checksum.
        pages = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
        at = rng.randrange(4, pages)
        part.write_bytes(flipped(whole, at, rng.randrange(8)))
        if not is_refused(part):
            assert pq.read_table(part).equals(pq.read_table(pa.BufferReader(whole))), (part, at)
        part.write_bytes(whole)
    part = next(part for part in parts if part.parent.name == "credit_lines")
    whole = part.read_bytes()
    for at in range(100, 200):
        part.write_bytes(flipped(whole, at, 0))
        if is_refused(part):
            break
    answer = warehouse.night("--full-refresh")
    assert answer.code == 1
    assert f"{part} is damaged" in answer.error.splitlines()[-1], answer.error
    assert warehouse.csv_bytes() == sample.csv_bytes()


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (OSError(28, "No space left on device"), "Free some space"),
        (RuntimeError("The model x could not be built: Out of Memory Error"), "WAREHOUSE_MEMORY"),
        (RuntimeError("The model x could not be built: Corrupt database file"), "--full-refresh"),
        (RuntimeError("The test x failed: Got 3 results"), None),
    ],
)
def test_what_a_library_complains_of_comes_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, remedy: str | None
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "_execute_nightly", fails)
    answer = Warehouse.below(tmp_path, SAMPLE_LANDING).night()
    assert answer.code == 1
    last = answer.error.splitlines()[-1]
    assert remedy in last if remedy else last.endswith("Got 3 results")


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
