"""Nights for the tests: run in this process, each in a home of its own."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from orchestration.cli import main
from orchestration.project import SAMPLE

SAMPLE_LANDING = SAMPLE / "landing"
SAMPLE_AS_OF = (SAMPLE / "as_of").read_text(encoding="utf-8").strip()


# Summer time, half and quarter hours, half an hour of summer time, a month of winter time within
# summer, and both sides of the date line, one of which left out a day.
ZONES = (
    "Asia/Kolkata", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia",
    "Pacific/Kiritimati", "America/St_Johns", "Africa/Casablanca", "Europe/London",
    "Pacific/Chatham", "Pacific/Pago_Pago", "America/Santiago", "Asia/Tehran", "Africa/Cairo",
    "America/Havana", "Asia/Gaza", "Europe/Dublin", "Antarctica/Troll", "Asia/Pyongyang", "UTC",
)  # fmt: skip
OF_MANY_NIGHTS = {
    "test_faults", "test_forgotten", "test_restatements", "test_night", "test_telemetry",
    "test_conservation", "test_closed", "test_reports", "test_zones", "test_replay", "test_fuzz",
}  # fmt: skip
FUZZ_SEED = 20260301
FUZZ_ROUNDS = 10
KILL_SEED = 5
KILLS = 1


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much of tests that draw: pytest tests/test_fuzz.py --fuzz-rounds 500 --fuzz-seed 7.

    `make faults` runs the long form of faults and timezones.
    """
    parser.addoption("--fuzz-rounds", type=int, default=FUZZ_ROUNDS, help="rounds of damaged files")
    parser.addoption("--fuzz-seed", type=int, default=FUZZ_SEED, help="seed of the first round")
    parser.addoption("--kills", type=int, default=KILLS, help="moments at which a night is killed")
    parser.addoption("--kill-seed", type=int, default=KILL_SEED, help="seed of these moments")
    parser.addoption("--spark", action="store_true", help="the unit tests of the models on Spark")
    parser.addoption("--all-zones", action="store_true", help="a night in every timezone")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that run the most nights come first, so that no core waits for one of them at the end."""
    items.sort(key=lambda item: item.path.stem not in OF_MANY_NIGHTS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One seed a round."""
    if "fuzz_seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--fuzz-seed")
        rounds = metafunc.config.getoption("--fuzz-rounds")
        metafunc.parametrize("fuzz_seed", range(first, first + rounds))
    if "night_zone" in metafunc.fixturenames:
        is_all = metafunc.config.getoption("--all-zones")
        metafunc.parametrize("night_zone", ZONES if is_all else ZONES[:1])


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

    def command(self, *flags: str, as_of: str = SAMPLE_AS_OF) -> list[str]:
        """The command of one night, for a process of its own."""
        return [
            sys.executable, "-m", "orchestration", "night", "--as-of", as_of,
            "--landing", str(self.landing), "--home", str(self.home),
            "--exports", str(self.exports), *flags,
        ]  # fmt: skip

    def tables(self) -> dict[str, list[tuple]]:
        """Every row of every mart, by its name."""
        marts = self.query("select table_name from duckdb_tables() where schema_name = 'marts'")
        return {name: self.query(f"from marts.{name} order by all") for (name,) in marts}

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
