"""The command `warehouse` as a process: a signal ends it at once, whatever library is at work.

A night may be killed at any moment and the next one makes it good, so there is nothing to unwind.
Dagster and dbt each hold signals back in their own way, but leave them alone outside the main
thread: the command runs in another, and the main thread waits for it or for a signal.
"""

import os
import signal
import sys
import threading
from types import FrameType


def run() -> None:
    """Run the command line and exit with its code; 1 after SIGTERM or Ctrl-C."""
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, _end)
    # A helper of multiprocessing outlives an ended night, and would have the last word.
    os.putenv("PYTHONWARNINGS", "ignore::UserWarning:multiprocessing.resource_tracker")
    codes: list[int] = []
    command = threading.Thread(target=_command, args=(codes,), name="warehouse")
    command.start()
    command.join()
    sys.exit(codes[0] if codes else 1)


def _command(codes: list[int]) -> None:
    from orchestration.cli import main

    try:
        codes.append(main())
    except SystemExit as stop:
        codes.append(stop.code if isinstance(stop.code, int) else 1)


def _end(signal_number: int, frame: FrameType | None) -> None:
    sentence = (
        "warehouse: Interrupted: what is published stays whole, and the next night goes on.\n"
    )
    os.write(sys.stderr.fileno(), sentence.encode())
    os._exit(1)


if __name__ == "__main__":
    run()
