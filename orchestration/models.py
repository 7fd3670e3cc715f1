"""The dbt build, run in this process: its progress as it goes, and what became of each node."""

import json
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from orchestration import spark
from orchestration.closed import close_off
from orchestration.filters import TIMES
from orchestration.night import dbt_environment, start_build_file
from orchestration.project import (
    BUILD_FILE_NAME,
    DBT_PROJECT,
    DBT_TARGET,
    DUCKDB,
    Settings,
    bytes_of,
    dbt_project_version,
)
from orchestration.publish import log_of

log = logging.getLogger("warehouse")

MANIFEST = DBT_TARGET / "manifest.json"
MANIFEST_VERSION = DBT_TARGET / "manifest.version"
PARTIAL_PARSE = "partial_parse.msgpack"
OUT_OF_MEMORY = "Out of Memory Error"


class BuildFailed(RuntimeError):
    """A model or test failed, and nothing is published; the text names it in one sentence."""


@dataclass
class BuildOutcome:
    """What became of each node: seconds by unique id, failures of tests and models by name.

    A test that warns is neither passed nor a failure: the night goes on, and says so. compiled: the
    SQL of each model that was built, by unique id.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    passed_tests: dict[str, bool] = field(default_factory=dict)
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    compiled: dict[str, str] = field(default_factory=dict)
    error: str | None = None

    def raise_for_failures(self) -> None:
        """Raise BuildFailed for the first failure, with the number of the others."""
        if self.error:
            raise BuildFailed(f"dbt could not start: {self.error}")
        if self.failures:
            kind, name, message = self.failures[0]
            others = len(self.failures) - 1
            more = f" (and {others} more)" if others else ""
            if kind == "test":
                raise BuildFailed(
                    f"The test {name} failed{more}: {message}; nothing was published, and "
                    "yesterday's figures stay."
                )
            raise BuildFailed(
                f"The model {name} could not be built{more}: {message}; nothing was published."
            )


def build(settings: Settings, leaves_facts: bool = False) -> BuildOutcome:
    """Build and test the models over the night that `<home>/run` describes.

    leaves_facts: the tables that grow have all loads and passed their tests in an earlier night, so
    that they, what they are made from, and the costliest of those tests are left out.
    Parses what changed since the manifest was made. Leaves no connection to the build file open.
    """
    command = ["build", "--exclude-resource-type", "unit_test"]
    if leaves_facts:
        # Tests are left out by their own name, and not because they read a model that is.
        command += ["--indirect-selection", "empty"]
        command += ["--exclude", "path:models/staging", "config.materialized:incremental"]
        command += ["test_name:one_current_version"]
    if settings.target != DUCKDB:
        return _build_on_spark(settings, command)
    threads = 2 if fits_twice(settings) else 1
    outcome = _outcome(settings, [*command, "--threads", str(threads)])
    if threads > 1 and any(OUT_OF_MEMORY in message for _, _, message in outcome.failures):
        log.info("two models at once needed more than %s: one at a time", settings.memory_limit)
        outcome = _outcome(settings, [*command, "--threads", "1"])
    return outcome


def fits_twice(settings: Settings) -> bool:
    """Whether what a night works on is so small that two models may share DuckDB's memory.

    Then the SQL of one runs while dbt compiles the other. With 20 million events under a limit of
    2 GB the costliest two need more than there is, and win nothing.
    """
    loads = pq.read_table(settings.run / "loads.parquet", columns=["path"])["path"].to_pylist()
    files = [settings.build_file, *(settings.home / path for path in loads)]
    size = sum(file.stat().st_size for file in files if file.exists())
    return size <= bytes_of(settings.memory_limit) / 2


def _build_on_spark(settings: Settings, command: list[str]) -> BuildOutcome:
    spark.check_installed(settings.target)
    with _session(settings):
        outcome = _outcome(settings, command, settings.target)
    if not outcome.failures and not outcome.error:
        served = _serve(settings)
        outcome.compiled, outcome.error = served.compiled, served.error
        outcome.failures = served.failures
    return outcome


def _serve(settings: Settings) -> BuildOutcome:
    """Make the build file out of what Spark has built, for everything that comes after it.

    DuckDB makes its own tables and views first, without a row: their types, their order, and the
    SQL of the reports are those of a night on DuckDB.
    """
    home = spark.prepare_serving(settings)
    build_file = home / settings.build_file.relative_to(settings.home)
    start_build_file(build_file)
    outcome = _outcome(settings, ["run"], home=home)
    if not outcome.failures and not outcome.error:
        spark.fill(settings, build_file)
        settings.build_file.parent.mkdir(parents=True, exist_ok=True)
        log_of(settings.build_file).unlink(missing_ok=True)
        os.replace(build_file, settings.build_file)
    return outcome


def record_queries(settings: Settings, outcome: BuildOutcome) -> None:
    """Keep the SQL of the reports in the build file, for exports of other windows and filters.

    Only what is computed from the facts that a filter can narrow: the rest is read as it is.
    """
    nodes = json.loads(MANIFEST.read_text(encoding="utf-8"))["nodes"]
    reads = {
        unique_id: [parent for parent in node["depends_on"]["nodes"] if parent in nodes]
        for unique_id, node in nodes.items()
        if node["resource_type"] == "model"
        and node["schema"] in ("intermediate", "marts")
        # What adds up months for good is no part of a report.
        and not (node["config"]["materialized"] == "incremental" and node["name"] not in TIMES)
    }
    facts = {unique_id for unique_id in reads if nodes[unique_id]["name"] in TIMES}
    counting: set[str] = set()
    for unique_id in TopologicalSorter(reads).static_order():
        if unique_id not in facts and not (facts | counting).isdisjoint(reads.get(unique_id, ())):
            counting.add(unique_id)

    def relation(unique_id: str) -> str:
        return f"{nodes[unique_id]['schema']}.{nodes[unique_id]['name']}"

    rows = [
        (
            relation(unique_id),
            outcome.compiled[unique_id],
            ",".join(relation(parent) for parent in reads[unique_id]),
        )
        for unique_id in sorted(counting)
    ]
    with duckdb.connect(str(settings.build_file)) as connection:
        close_off(connection)
        connection.execute("delete from quality.report_queries")
        connection.executemany("insert into quality.report_queries values ($1, $2, $3)", rows)


def run_unit_tests(settings: Settings) -> BuildOutcome:
    """Run the unit tests of the models beside the tables of a finished night.

    A session on Spark knows no tables: there the models are run first, over the night's loads.
    """
    command = ["test", "--select", "test_type:unit"]
    if settings.target == DUCKDB:
        return _outcome(settings, command)
    spark.check_installed(settings.target)
    spark.start_tables(settings)
    with _session(settings):
        outcome = _outcome(settings, ["run"], settings.target)
        if outcome.failures or outcome.error:
            return outcome
        return _outcome(settings, command, settings.target)


def _outcome(
    settings: Settings, command: list[str], target: str = DUCKDB, home: Path | None = None
) -> BuildOutcome:
    outcome = BuildOutcome()
    from dbt.cli.main import dbtRunner

    # What dbt has parsed for one target is of no use to another.
    folder = settings.home / ("dbt" if target == DUCKDB else f"dbt-{target}")
    folder.mkdir(parents=True, exist_ok=True)
    with _environment(dbt_environment(settings, home)):
        runner = dbtRunner(_parse(folder, target), _progress())
        result = _invoke(runner, [*command, "--target", target], folder)
    if result.exception is not None:
        outcome.error = _one_line(str(result.exception))
    for node in getattr(result.result, "results", None) or []:
        unique_id, status = node.node.unique_id, str(node.status)
        kind = str(node.node.resource_type)
        outcome.seconds[unique_id] = node.execution_time
        if kind == "model" and status == "success":
            outcome.compiled[unique_id] = node.node.compiled_code
        if kind == "test" and status != "skipped":
            outcome.passed_tests[unique_id] = status == "pass"
        if status == "warn":
            outcome.warnings.append((unique_id, f"The test {node.node.name} warns: {node.message}"))
        if status in ("error", "fail", "runtime error"):
            outcome.failures.append((kind, node.node.name, _one_line(node.message or status)))
    if not result.success and not outcome.failures and not outcome.error:
        outcome.error = "it reported no success, and no reason"
    return outcome


@contextmanager
def _session(settings: Settings) -> Iterator[None]:
    """Spark for as long as it is needed: its catalogue and settings are those of one night."""
    try:
        yield
    finally:
        if settings.target == "spark":
            from pyspark.errors import PySparkRuntimeError
            from pyspark.sql import SparkSession

            # Where none has started, there is none to stop.
            with suppress(PySparkRuntimeError):
                SparkSession.active().stop()


def prepare_manifest(force: bool = False) -> None:
    """Have dbt parse the project where its manifest is missing or older than a file of it."""
    wanted = dbt_project_version()
    if (
        not force
        and MANIFEST.exists()
        and MANIFEST_VERSION.exists()
        and MANIFEST_VERSION.read_text(encoding="utf-8") == wanted
    ):
        return
    log.info("preparing the dbt manifest")
    DBT_TARGET.mkdir(exist_ok=True)
    # Beside the manifest, which another process may read meanwhile, and then in its place.
    with tempfile.TemporaryDirectory(dir=DBT_TARGET) as folder:
        _parse(Path(folder), DUCKDB, "--write-json")
        (Path(folder) / MANIFEST_VERSION.name).write_text(wanted, encoding="utf-8")
        for name in (PARTIAL_PARSE, MANIFEST.name, MANIFEST_VERSION.name):
            os.replace(Path(folder) / name, DBT_TARGET / name)


def _parse(folder: Path, target: str, *options: str) -> Any:
    """The project as dbt parses it for a target, in a folder of its own.

    A parse starts from the last one, unless the profile has changed: so it is told of no home.
    """
    from dbt.cli.main import dbtRunner

    parsed = DBT_TARGET / PARTIAL_PARSE
    if parsed.exists() and target == DUCKDB:
        shutil.copyfile(parsed, folder / PARTIAL_PARSE)
    with _environment({"WAREHOUSE_BUILD_FILE": BUILD_FILE_NAME}):
        result = _invoke(dbtRunner(), ["parse", *options, "--target", target], folder)
    if not result.success:
        raise BuildFailed(f"dbt cannot parse the project: {_one_line(str(result.exception))}")
    return result.result


def _invoke(runner: Any, command: list[str], folder: Path) -> Any:
    """What dbt answers, with all that it writes below the folder and its connections closed."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    arguments = ["--log-level", "none", "--log-level-file", "none", *command]
    arguments += ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
    arguments += ["--target-path", str(folder), "--log-path", str(folder)]
    if "--write-json" not in command:
        arguments.append("--no-write-json")
    try:
        return runner.invoke(arguments)
    finally:
        DuckDBConnectionManager.close_all_connections()


def _progress() -> list[Any]:
    """A callback that tells of every twenty-fifth node."""
    counter = {"done": 0, "told": 0}
    lock = threading.Lock()

    def tell(event: Any) -> None:
        if event.info.name != "NodeFinished":
            return
        with lock:
            counter["done"] += 1
            if counter["done"] - counter["told"] >= 25:
                counter["told"] = counter["done"]
                log.info("built and tested %s nodes", counter["done"])

    return [tell]


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _one_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines)[:400]
