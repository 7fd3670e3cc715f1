"""The measurements run, and what they compare is the same work."""

import subprocess
import time
from pathlib import Path

import duckdb
import pytest

from benchmarks import engines, generate, parity, plain
from benchmarks.measure import in_process
from benchmarks.work import load
from orchestration.landing.contract import read_contract
from orchestration.project import CONTRACT
from tests.conftest import Warehouse

TREE = generate.Tree(events=4_000, days=30, agents=20, users=50, sessions=300, odd=0.05)


@pytest.mark.parametrize("file_format", ["ndjson", "parquet"])
def test_the_generator_writes_the_same_tree_again(tmp_path: Path, file_format: str) -> None:
    for name in ("once", "again"):
        generate.write(TREE, tmp_path / name, file_format, 0, 3)
    paths = sorted(path.relative_to(tmp_path / "once") for path in (tmp_path / "once").rglob("*.*"))
    assert len(paths) > 15
    for path in paths:
        contents = [(tmp_path / name / path).read_bytes() for name in ("once", "again")]
        if file_format == "ndjson":
            # Two threads may write the rows in another order.
            contents = [b"".join(sorted(content.splitlines(True))) for content in contents]
            assert contents[0] == contents[1], path
        else:
            rows = [
                duckdb.sql(f"from '{tmp_path / name / path}' order by all").fetchall()
                for name in ("once", "again")
            ]
            assert rows[0] == rows[1], path


def test_a_day_written_later_is_the_day_of_the_whole_tree(tmp_path: Path) -> None:
    generate.write(TREE, tmp_path / "whole", "ndjson", 0, 3)
    generate.write(TREE, tmp_path / "later", "ndjson", 2, 3)
    for file in (tmp_path / "later").rglob("*.ndjson"):
        other = tmp_path / "whole" / file.relative_to(tmp_path / "later")
        assert sorted(file.read_bytes().splitlines()) == sorted(other.read_bytes().splitlines())


def test_the_tree_has_the_awkward_cases_and_every_source_of_events(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    generate.write(TREE, landing, "ndjson")
    loaded = in_process(load, landing, tmp_path / "raw")
    part = tmp_path / "raw" / "000000001"
    counts = dict(
        duckdb.sql(
            f"select reason, count(*) from '{part}/rejected_rows/*.parquet' group by all"
        ).fetchall()
    )
    assert counts.keys() == {"not_json", "instant_out_of_range"}
    with_extra, repeated, late = duckdb.sql(
        f"""select count(extra), count(*) - count(distinct (run_id, revision)),
            count_if(started_at < '{TREE.start}') from '{part}/agent_runs/*.parquet'"""
    ).fetchall()[0]
    assert min(with_extra, repeated, late) > 0
    assert loaded.result > TREE.events
    assert set(generate.SHARES) <= {path.name for path in landing.iterdir()}


def test_what_loading_is_compared_with_reads_the_same_rows(tmp_path: Path) -> None:
    tree = generate.Tree(events=2_000, days=10, agents=20, users=50, sessions=300, odd=0.0)
    rows = []
    for name, read in (("ndjson", plain.read_ndjson), ("parquet", plain.read_parquet)):
        generate.write(tree, tmp_path / name, name)
        database = tmp_path / f"{name}.duckdb"
        read(tmp_path / name, database)
        with duckdb.connect(str(database)) as connection:
            tables = [row[0] for row in connection.execute("show tables").fetchall()]
            rows.append(
                sum(
                    connection.execute(f"select count(*) from {table}").fetchall()[0][0]
                    for table in tables
                )
            )
    loaded = in_process(load, tmp_path / "ndjson", tmp_path / "raw").result
    assert rows == [loaded, loaded]
    assert set(tables) <= set(read_contract(CONTRACT))


def test_what_a_rebuild_is_compared_with_makes_the_same_marts(
    sample: Warehouse, tmp_path: Path
) -> None:
    database = tmp_path / "warehouse.duckdb"
    plain.build_models(sample.home, database)
    with duckdb.connect(str(database), read_only=True) as connection:
        for mart in ("usage_by_agent", "usage_by_user", "session_metrics", "billing_conversations"):
            query = f"select * from marts.{mart} order by all"
            assert connection.execute(query).fetchall() == sample.query(query), mart


def test_an_executor_is_found_among_what_a_night_has_started_and_that_has() -> None:
    words = "bash -c 'exec -a org.apache.CoarseGrainedExecutorBackend sleep 60' & wait"
    with subprocess.Popen(["bash", "-c", words]) as night:
        for _ in range(100):
            if found := parity.executors_of(night.pid):
                break
            time.sleep(0.05)
        night.kill()
    (executor,) = found
    subprocess.run(["kill", str(executor)], check=True)
    assert parity.executors_of(night.pid) == []


def test_what_a_night_leaves_behind_is_counted_with_it(tmp_path: Path) -> None:
    busy = "(sleep 0.1; head -c 100000000 /dev/zero | sha256sum)"
    spent = engines.spent_by(["sh", "-c", f"{busy} & exit 3"], tmp_path / "log")
    assert spent.cpu_s > 0.03
    with pytest.raises(RuntimeError, match=r"ended with 1: no java"):
        engines.spent_by(["sh", "-c", "echo no java; exit 1"], tmp_path / "log")


@pytest.mark.parametrize(
    ("theirs", "said"), [(200, "the same at 2.0 million"), (400, "the lines do not cross")]
)
def test_the_lines_through_the_figures_say_where_they_cross(
    theirs: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = {
        "duckdb": [engines.Spent(300.0 * n, 300.0 * n) for n in (1, 2)],
        "spark": [engines.Spent(200.0 + theirs * n, 200.0 + theirs * n) for n in (1, 2)],
    }
    engines.tell_lines([1_000_000, 2_000_000], costs)
    assert f"cpu_s: {said}" in capsys.readouterr().out.replace(
        "a million more costs no less on spark, so ", ""
    )


def test_rows_that_differ_are_counted_on_both_sides_and_as_often_as_they_are(
    tmp_path: Path,
) -> None:
    for name, values in (
        ("ours", "(1, 'a'), (1, 'a')"),
        ("theirs", "(1, 'a'), (2, 'a'), (3, 'b')"),
    ):
        with duckdb.connect(str(tmp_path / name)) as connection:
            connection.execute(f"create table t as from (values {values}) as v (night_id, x)")
    files = tmp_path / "ours", tmp_path / "theirs"
    assert parity.differences(*files) == (1, 2, [parity.Difference("main.t", 1, 2)])
    assert parity.differences(*files, ("night_id",)) == (1, 2, [parity.Difference("main.t", 0, 1)])
