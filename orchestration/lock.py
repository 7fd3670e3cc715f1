"""One night at a time in a home: a lock that holds across processes and dies with its holder."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

# The rights that other accounts of the machine do not get.
OTHERS = 0o027


class HomeIsBusy(RuntimeError):
    """Another night works in this home; the text names its process and start."""


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold the home for the time of the block; raises HomeIsBusy where another process does."""
    # What is written while the home is held is for the account and its group alone.
    mask = os.umask(OTHERS)
    try:
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RuntimeError(
                f"The home {home} cannot be made ({error.strerror}): name another with --home."
            ) from error
        with _locked(home):
            yield
    finally:
        os.umask(mask)


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    with (home / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HomeIsBusy(_sentence(home, file.name)) from error
        file.truncate(0)
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        json.dump({"pid": os.getpid(), "started_at": started_at}, file)
        file.flush()
        yield


def _sentence(home: Path, name: str) -> str:
    try:
        holder = json.loads(Path(name).read_text(encoding="utf-8"))
        who = f"process {holder['pid']}, started at {holder['started_at']}"
    except (ValueError, KeyError):
        who = "a process that has only just started"
    return f"Another night is running in {home} ({who}): wait for it, or name another --home."
