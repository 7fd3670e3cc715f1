"""What a first night costs on DuckDB and on Spark, by the number of events, and where they cross.

Each tree lands as Parquet of 40 days. Every published table of both nights is held row by row, too.
"""

import argparse
import ctypes
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import generate
from benchmarks.measure import in_process, machine
from benchmarks.parity import ENGINES, PUBLISHED, differences, night, published_file

# Of prctl(2): orphans of a process come to us, so that Spark's JVM is counted when its night ends.
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Spent:
    """Seconds of a night, of every process that it started."""

    wall_s: float
    cpu_s: float


def main() -> int:
    """Measure, and print a table and the lines through it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[20_000, 200_000, 1_000_000])
    options = parser.parse_args()
    print(machine(), flush=True)
    spent: dict[str, list[Spent]] = {engine: [] for engine in ENGINES}
    for events in options.events:
        with tempfile.TemporaryDirectory(prefix="engines-") as folder:
            measured = _nights(events, Path(folder))
        for engine, cost in measured.items():
            spent[engine].append(cost)
    tell_lines(options.events, spent)
    return 0


def _nights(events: int, work: Path) -> dict[str, Spent]:
    tree = generate.Tree(
        events=events, days=40, agents=2_000, users=5_000, sessions=max(events // 20, 1_000)
    )
    rows = generate.write(tree, work / "landing", "parquet")
    measured = {}
    for engine in ENGINES:
        words = night(engine, work / "landing", work / engine, f"{tree.end}T00:00:00Z")
        measured[engine] = cost = spent_by(words, work / f"{engine}.log")
        print(f"{rows:,} rows on {engine}: {cost.wall_s:.0f} s, {cost.cpu_s:.0f} CPU s", flush=True)
    tables, held, found = differences(*(published_file(work / engine) for engine in ENGINES))
    print(f"{held:,} rows of {tables} tables, {len(found)} tables differ", flush=True)
    for engine in ENGINES:
        shutil.rmtree(work / engine)
    return measured


def spent_by(words: list[str], log: Path) -> Spent:
    """Run a night to the end of its last process. Raises RuntimeError where it fails."""
    # In a process of its own, which has no other children, and to which orphans come.
    code, spent = in_process(_spend, words, log).result
    if code not in PUBLISHED:
        raise RuntimeError(f"{' '.join(words)} ended with {code}: {log.read_text()[-2000:]}")
    return spent


def _spend(words: list[str], log: Path) -> tuple[int, Spent]:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    started = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(words, stderr=file, stdout=file)
        code = process.wait()
    wall = time.monotonic() - started
    with suppress(ChildProcessError):
        while True:
            os.wait()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return code, Spent(wall, spent.ru_utime + spent.ru_stime)


def tell_lines(events: list[int], spent: dict[str, list[Spent]]) -> None:
    """The line through the figures: what any night costs, and what a million events add."""
    millions = np.array(events) / 1e6
    for name in ("cpu_s", "wall_s"):
        lines = {}
        for engine, costs in spent.items():
            slope, fixed = np.polyfit(millions, [getattr(cost, name) for cost in costs], 1)
            lines[engine] = (slope, fixed)
            print(f"{name} on {engine}: {fixed:.0f} + {slope:.0f} a million events")
        slopes = [lines[engine][0] for engine in ENGINES]
        fixed = [lines[engine][1] for engine in ENGINES]
        if slopes[0] > slopes[1]:
            print(
                f"{name}: the same at {(fixed[1] - fixed[0]) / (slopes[0] - slopes[1]):.1f} million"
            )
        else:
            print(f"{name}: a million more costs no less on spark, so the lines do not cross")


if __name__ == "__main__":
    sys.exit(main())
