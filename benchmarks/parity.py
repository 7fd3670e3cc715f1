"""The same nights on DuckDB and on Spark, and every published table of both held row by row.

Three nights on each engine and tree: the sample and a generated tree, each whole in one night, and
in two nights of which the second brings late days, corrected events and a file delivered again.
With --kill only the two nights: in the middle of the first an executor is killed, which the night
survives, and the second is killed itself and begun again. Nights count, killed or not, and one that
builds from the loads applies them all: numbers of nights are left out of the comparison then.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from benchmarks import generate
from orchestration.project import SAMPLE

WAREHOUSE = str(Path(sys.executable).with_name("warehouse"))
ENGINES = ("duckdb", "spark")
PUBLISHED = (0, 3)
EXECUTOR, NIGHT = "executor", "night"
# What a night has said when about a third of its work is done, and something is killed.
MOMENT = "built and tested 100 nodes"
# Of the sample, what the second of two nights finds: late files, a copy, and the last days.
HELD_BACK = re.compile(r"/late/|copy|-000[45]\.|metrics|identities")


@dataclass(frozen=True)
class Difference:
    """A table that differs, and how many of its rows only one of the engines has."""

    relation: str
    only_duckdb: int
    only_spark: int


def main() -> int:
    """Run the nights and compare; 0 where no row differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument("--events", type=int, default=20_000, help="of the generated tree")
    parser.add_argument("--only", choices=("sample", "generated"), help="one of the two trees")
    parser.add_argument(
        "--kill", action="store_true", help="an executor, which local-cluster has, and a night"
    )
    parser.add_argument("--work", type=Path, metavar="DIR", help="an empty folder to keep it all")
    options = parser.parse_args()
    with ExitStack() as stack:
        work = options.work or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="parity-"))
        )
        found = [
            difference
            for name in ("sample", "generated")
            if options.only in (None, name)
            for difference in _compare_tree(name, work / name, options.events, options.kill)
        ]
    return 1 if found else 0


def _compare_tree(name: str, work: Path, events: int, kills: bool) -> list[Difference]:
    whole, first = work / "whole", work / "first"
    if name == "sample":
        shutil.copytree(SAMPLE / "landing", whole)
        shutil.copytree(whole, first, ignore=_held_back)
        as_of = (SAMPLE / "as_of").read_text(encoding="utf-8").strip()
    else:
        tree = generate.Tree(events=events, days=40, agents=50, users=80, sessions=2_000)
        generate.write(tree, whole, "ndjson")
        generate.write(tree, first, "ndjson", last_day=tree.days - 2)
        as_of = f"{tree.end}T00:00:00Z"
    found = []
    if not kills:
        found += _compare_nights(f"{name}, whole", work / "full", [whole], as_of)
    second = work / "second"
    shutil.copytree(whole, second)
    _deliver_again(second)
    return found + _compare_nights(
        f"{name}, in two nights",
        work / "two",
        [first, second],
        as_of,
        [EXECUTOR, NIGHT] if kills else [None, None],
    )


def _held_back(folder: str, names: list[str]) -> set[str]:
    paths = {name: Path(folder) / name for name in names}
    return {name for name, path in paths.items() if path.is_file() and HELD_BACK.search(str(path))}


def _deliver_again(landing: Path) -> None:
    """The rows of a known file in another, and two of them corrected: one moves to another day."""
    known = min(path for path in (landing / "agent_runs").rglob("*.ndjson") if path.name[0] != ".")
    lines = known.read_text(encoding="utf-8").splitlines()
    again = "\n".join(reversed(lines)) + "\n"
    known.with_name("delivered-again.ndjson").write_text(again, encoding="utf-8")
    corrected = []
    for days, line in enumerate(lines[:2]):
        row = {**json.loads(line), "revision": 9, "status": "failed"}
        moved = datetime.fromisoformat(row["started_at"]) - timedelta(days=days)
        row["started_at"], row["ended_at"] = moved.isoformat(), None
        corrected.append(json.dumps(row))
    text = "\n".join(corrected) + "\n"
    known.with_name("corrected.ndjson").write_text(text, encoding="utf-8")


def _compare_nights(
    title: str,
    work: Path,
    landings: list[Path],
    as_of: str,
    killed: Sequence[str | None] = (None,),
) -> list[Difference]:
    landing = work / "landing"
    for number, (source, victim) in enumerate(zip(landings, killed, strict=True), 1):
        shutil.copytree(source, landing, dirs_exist_ok=True)
        for engine in ENGINES:
            started = time.monotonic()
            if victim and engine == "spark":
                _kill_in_a_night(victim, landing, work / engine, as_of)
                print(f"{title}: night {number} on spark: the {victim} was killed", flush=True)
            if not victim or engine != "spark" or victim == NIGHT:
                _run_night(engine, landing, work / engine, as_of)
            seconds = time.monotonic() - started
            print(f"{title}: night {number} on {engine}: {seconds:.0f} s", flush=True)
    files = [published_file(work / engine) for engine in ENGINES]
    left_out = ("night_id",) if NIGHT in killed else ()
    tables, rows, found = differences(*files, left_out)
    print(f"{title}: {rows:,} rows of {tables} tables, {len(found)} tables differ", flush=True)
    for each in found:
        print(f"  {each.relation}: only duckdb {each.only_duckdb}, only spark {each.only_spark}")
    return found


def published_file(folder: Path) -> Path:
    """The database that a night in this folder publishes."""
    return folder / "home" / "published" / "warehouse.duckdb"


def night(engine: str, landing: Path, folder: Path, as_of: str) -> list[str]:
    """The command of a night, with its home and exports in a folder."""
    folders = ["--landing", landing, "--home", folder / "home", "--exports", folder / "exports"]
    return [WAREHOUSE, "night", "--as-of", as_of, "--target", engine, *map(str, folders)]


def _run_night(engine: str, landing: Path, folder: Path, as_of: str) -> None:
    """A whole night. Raises RuntimeError with what it said where nothing was published."""
    done = subprocess.run(
        night(engine, landing, folder, as_of), capture_output=True, text=True, check=False
    )
    if done.returncode not in PUBLISHED:
        raise RuntimeError(f"the night on {engine} ended with {done.returncode}: {done.stderr}")


def _kill_in_a_night(victim: str, landing: Path, folder: Path, as_of: str) -> None:
    """Begin a night on Spark, and kill an executor or the night itself in the middle.

    Raises RuntimeError where a night that lost an executor is not published, or where one that was
    killed has changed what is published.
    """
    published = published_file(folder)
    before = published.stat().st_mtime_ns if published.exists() else None
    process = subprocess.Popen(
        night("spark", landing, folder, as_of),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said, is_killed = [], False
    for line in process.stderr or ():
        said.append(line)
        # Publishing has a build of its own, which says so again.
        if MOMENT in line and not is_killed:
            is_killed = True
            victims = [process.pid] if victim == NIGHT else executors_of(process.pid)
            if not victims:
                process.kill()
                raise RuntimeError(
                    "no executor runs beside the night: set "
                    "WAREHOUSE_SPARK_MASTER='local-cluster[2,1,1024]'"
                )
            os.kill(victims[0], signal.SIGKILL)
    code = process.wait()
    if not is_killed:
        raise RuntimeError(f"the night ended with {code} before its middle: {''.join(said)}")
    if victim == EXECUTOR and code not in PUBLISHED:
        raise RuntimeError(f"the night without an executor ended with {code}: {''.join(said)}")
    after = published.stat().st_mtime_ns if published.exists() else None
    if victim == NIGHT and (code in PUBLISHED or after != before):
        raise RuntimeError(f"the killed night ended with {code}, and published")


def executors_of(night: int) -> list[int]:
    """The executors among the processes that a night has started, and that those have."""
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    started, executors = {night}, []
    for process, parent, words in (line.split(None, 2) for line in listed.stdout.splitlines()):
        if int(parent) in started:
            started.add(int(process))
            if ".CoarseGrainedExecutorBackend " in words:
                executors.append(int(process))
    return executors


def differences(
    duckdb_file: Path, spark_file: Path, left_out: Sequence[str] = ()
) -> tuple[int, int, list[Difference]]:
    """Tables and rows compared, and the tables whose rows are not the same, however often each.

    left_out: columns that are not looked at. A table that only one of the files has, or that has
    other columns there, is an error of DuckDB.
    """
    with duckdb.connect() as connection:
        for name, file in (("ours", duckdb_file), ("theirs", spark_file)):
            quoted = str(file).replace("'", "''")
            connection.execute(f"attach '{quoted}' as {name} (read_only)")
        relations = connection.execute(
            "select distinct table_schema || '.' || table_name from information_schema.tables "
            "where table_catalog in ('ours', 'theirs') order by all"
        ).fetchall()
        found, rows = [], 0
        for (relation,) in relations:
            only_ours, only_theirs = (
                _count(connection, f"{left}.{relation}", f"{right}.{relation}", left_out)
                for left, right in (("ours", "theirs"), ("theirs", "ours"))
            )
            (counted,) = connection.execute(f"select count(*) from ours.{relation}").fetchall()
            rows += counted[0]
            if only_ours or only_theirs:
                found.append(Difference(relation, only_ours, only_theirs))
    return len(relations), rows, found


def _count(
    connection: duckdb.DuckDBPyConnection, left: str, right: str, left_out: Sequence[str]
) -> int:
    """Rows of one relation that the other has not, or not as often."""
    described = connection.execute(f"describe {left}").fetchall()
    columns = ", ".join(f'"{name}"' for name, *_ in described if name not in left_out)
    (row,) = connection.execute(
        f"select count(*) from (select {columns} from {left} "
        f"except all select {columns} from {right})"
    ).fetchall()
    return row[0]


if __name__ == "__main__":
    sys.exit(main())
