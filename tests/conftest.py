"""Nights for the tests: run in this process, each in a home of its own."""

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from orchestration.cli import main
from orchestration.project import SAMPLE

SAMPLE_LANDING = SAMPLE / "landing"
SAMPLE_AS_OF = (SAMPLE / "as_of").read_text(encoding="utf-8").strip()


FUZZ_SEED = 20260301
FUZZ_ROUNDS = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much of tests/test_fuzz.py: pytest tests/test_fuzz.py --fuzz-rounds 500 --fuzz-seed 7."""
    parser.addoption("--fuzz-rounds", type=int, default=FUZZ_ROUNDS, help="rounds of damaged files")
    parser.addoption("--fuzz-seed", type=int, default=FUZZ_SEED, help="seed of the first round")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One seed a round."""
    if "fuzz_seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--fuzz-seed")
        rounds = metafunc.config.getoption("--fuzz-rounds")
        metafunc.parametrize("fuzz_seed", range(first, first + rounds))


@dataclass(frozen=True)
class Answer:
    """What a command printed and returned."""

    code: int
    output: str
    error: str


@dataclass(frozen=True)
class Warehouse:
    """A landing zone with a home and exports of its own."""

    landing: Path
    home: Path
    exports: Path

    @classmethod
    def below(cls, folder: Path, landing: Path) -> "Warehouse":
        """A warehouse in an empty folder."""
        return cls(landing, folder / "home", folder / "exports")

    def night(self, *flags: str, as_of: str = SAMPLE_AS_OF) -> Answer:
        """Run one night."""
        return call(
            "night", "--landing", str(self.landing), "--home", str(self.home),
            "--exports", str(self.exports), "--as-of", as_of, *flags,
        )  # fmt: skip

    def query(self, sql: str) -> list[tuple]:
        """Ask the published database."""
        file = str(self.home / "published" / "warehouse.duckdb")
        with duckdb.connect(file, read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def csv_bytes(self) -> dict[str, bytes]:
        """Every CSV of the set that is shown, by its path."""
        latest = self.exports / "latest"
        return {
            path.relative_to(latest).as_posix(): path.read_bytes()
            for path in sorted(latest.rglob("*.csv"))
        }


def call(*arguments: str) -> Answer:
    """Run a command of `warehouse` in this process."""
    output, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Answer(code, output.getvalue(), error.getvalue())


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """Settings of the machine do not reach the tests."""
    kept = {
        name: os.environ.pop(name) for name in list(os.environ) if name.startswith("WAREHOUSE_")
    }
    yield
    os.environ.update(kept)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The sample after its night; tests only read it."""
    warehouse = Warehouse.below(tmp_path_factory.mktemp("sample"), SAMPLE_LANDING)
    answer = warehouse.night()
    assert answer.code == 3, answer.error
    return warehouse
