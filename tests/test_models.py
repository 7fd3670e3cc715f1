"""How many models a night builds at once: two where the memory lasts, and one where it did not."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestration import models
from orchestration.project import Settings

NO_MEMORY = "Out of Memory Error: could not allocate block of size 256.0 KiB (1.8 GiB/1.8 GiB used)"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with one load of 40 kB to apply, under a limit of 100 kB."""
    home = tmp_path / "home"
    (home / "raw").mkdir(parents=True)
    (home / "run").mkdir()
    (home / "raw" / "runs.parquet").write_bytes(bytes(40_000))
    pq.write_table(pa.table({"path": ["raw/runs.parquet"]}), home / "run" / "loads.parquet")
    return Settings.read(
        None, str(home), str(tmp_path / "exports"), {"WAREHOUSE_MEMORY_LIMIT": "100KB"}
    )


def test_small_tables_share_the_memory(settings: Settings) -> None:
    assert models.fits_twice(settings)


def test_what_is_built_and_what_is_to_apply_count_together(settings: Settings) -> None:
    settings.build_file.parent.mkdir()
    settings.build_file.write_bytes(bytes(10_000))
    assert models.fits_twice(settings)
    settings.build_file.write_bytes(bytes(10_001))
    assert not models.fits_twice(settings)


@pytest.mark.parametrize(
    ("message", "threads"), [(NO_MEMORY, ["2", "1"]), ("Binder Error: no such column", ["2"])]
)
def test_only_a_lack_of_memory_is_tried_again_one_at_a_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, message: str, threads: list[str]
) -> None:
    asked: list[str] = []

    def outcome(_: Settings, command: list[str]) -> models.BuildOutcome:
        asked.append(command[command.index("--threads") + 1])
        failures = [("model", "usage_by_agent", message)] if len(asked) == 1 else []
        return models.BuildOutcome(failures=failures)

    monkeypatch.setattr(models, "_outcome", outcome)
    result = models.build(settings)
    assert asked == threads
    assert bool(result.failures) == (len(threads) == 1)
