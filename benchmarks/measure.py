"""What a piece of work costs: seconds of wall clock and CPU, and the most memory it held."""

import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cost:
    """Seconds and megabytes of a piece of work, and what it returned."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    result: Any = None


def in_process(function: Callable[..., Any], *arguments: Any) -> Cost:
    """Run a function in a new process; its imports are not counted, its peak memory is whole."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError as error:
        raise RuntimeError(f"{function.__name__} ended without a result") from error
    finally:
        process.join()


def _run(answer: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    result = function(*arguments)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    answer.send(Cost(wall, cpu, after.ru_maxrss / 1024, result))


def command(*words: str) -> Cost:
    """Run a command whole, from the start of its process; raises where it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    output = process.stdout.read().decode("utf-8", "replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    # 3: published, and some rows were rejected.
    if process.returncode not in (0, 3):
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}:\n{output}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)


def machine() -> str:
    """The machine in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} cores ({processor}), {memory:.0f} GiB, Python {python}"
