"""The Dagster graph from landing to exports, with one job, a schedule and a sensor."""

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
from dagster_dbt import DagsterDbtTranslator, DbtProject, dbt_assets

from orchestration import erasure, exports, models, pages, publish, restatements, telemetry
from orchestration.asked import asked_report, export_job
from orchestration.closed import close_off
from orchestration.forgotten import Forgotten
from orchestration.landing.contract import read_contract
from orchestration.landing.load import land
from orchestration.lock import held
from orchestration.night import Night, check_loads, prepare, read_night
from orchestration.project import CONTRACT, DBT_PROJECT, DBT_TARGET, Settings
from orchestration.reports import write_organisation_sets
from orchestration.schedules import JOB, new_files_have_landed, nightly_at_four
from orchestration.timeframes import latest_midnight, parse_as_of

log = logging.getLogger("warehouse")

POOL = "warehouse"
PREVIEW_ROWS = 10
PAGES_PART = ".pages.part"
RUN_TABLES = (
    "night", "windows", "buckets", "slots", "slot_buckets", "loads", "ignored_files", "prices",
    "model_matches", *telemetry.TABLES, *restatements.TABLES,
)  # fmt: skip
UNIQUE_ID = "dagster_dbt/unique_id"
WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR

models.prepare_manifest()

_contract = read_contract(CONTRACT)
_BOOKS = [name for name, source in _contract.items() if source.role == "bookkeeping"]
_sources = [name for name, source in _contract.items() if source.role != "bookkeeping"]


class NightConfig(dg.Config):
    """What one night may be told; the defaults are the schedule's."""

    as_of: str | None = None
    full_refresh: bool = False
    full_check: bool = False


class WarehouseHome(dg.ConfigurableResource):
    """The warehouse's folders, held by one run at a time for as long as the run lasts.

    A folder left out is that of the WAREHOUSE_* variables, else the default.
    """

    landing: str | None = None
    home: str | None = None
    exports: str | None = None
    target: str | None = None

    @property
    def settings(self) -> Settings:
        """The settings of this run."""
        return Settings.read(self.landing, self.home, self.exports, target=self.target)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["WarehouseHome"]:
        """Hold the lock of the home while the run's steps execute."""
        with held(self.settings.home):
            yield self


landing_sources = [
    dg.AssetSpec(
        ["landing", name],
        group_name="landing",
        description=f"Files below <landing>/{name}, which other systems append to.",
        kinds={"json", "parquet"} if name != "otlp" else {"json"},
    )
    for name in _sources
]


@dg.multi_asset(
    name="load",
    specs=[
        *(
            dg.AssetSpec(
                ["raw", name],
                deps=[["landing", source] for source in _sources if name in (source, *_BOOKS)],
                group_name="raw",
                kinds={"parquet"},
                description=f"Rows of {name}, one folder of Parquet a load.",
            )
            for name in _contract
        ),
        *(
            dg.AssetSpec(
                ["run", name],
                deps=[["raw", "landed_files"]],
                group_name="run",
                kinds={"parquet"},
                description=f"This night's {name.replace('_', ' ')}, written before dbt starts.",
            )
            for name in RUN_TABLES
        ),
    ],
    pool=POOL,
)
def load(
    context: dg.AssetExecutionContext, config: NightConfig, warehouse: WarehouseHome
) -> Iterator[dg.MaterializeResult]:
    """Load what is new in the landing zone, and set the parameters of the night."""
    settings = warehouse.settings
    exports.check_writable(settings)
    exports.finish_showing(settings)
    forgotten = Forgotten.read(settings.home)
    if not forgotten.is_finished:
        erasure.rewrite_loads(settings, forgotten)
    check_loads(settings)
    report = land(
        settings.landing,
        settings.raw,
        _contract,
        settings.keeps_content,
        settings.memory_limit,
        log.info,
    )
    as_of = (
        parse_as_of(config.as_of, settings.timezone)
        if config.as_of
        else latest_midnight(datetime.now(UTC), settings.timezone)
    )
    forgotten = Forgotten.read(settings.home)
    if report.has_learnt:
        # The delivery told another identity of somebody forgotten, which earlier ones may name.
        erasure.rewrite_loads(settings, forgotten)
    full_refresh = config.full_refresh or not forgotten.is_finished
    night = prepare(
        settings, as_of, report.ignored, full_refresh, config.full_check, report.load_id
    )
    log.info(
        "night %s as of %s: %s files read, %s rows loaded, %s rejected",
        night.night_id,
        as_of.isoformat(),
        report.files["loaded"],
        report.rows.total(),
        report.rejected.total(),
    )
    for name in _contract:
        metadata: dict[str, Any] = {"dagster/row_count": report.rows[name]}
        if name == "rejected_rows":
            metadata = {"dagster/row_count": report.rejected.total(), **report.rejected}
        elif name == "landed_files":
            metadata = {"dagster/row_count": report.files.total(), **report.files}
        if report.load_id is not None:
            metadata["load"] = dg.MetadataValue.path(settings.raw / f"{report.load_id:09d}" / name)
        yield dg.MaterializeResult(asset_key=["raw", name], metadata=metadata)
    for name in RUN_TABLES:
        yield dg.MaterializeResult(
            asset_key=["run", name],
            metadata={"night_id": night.night_id, "ignored files": len(report.ignored)},
        )


class FolderTranslator(DagsterDbtTranslator):
    """Groups dbt models as their folders are."""

    def get_group_name(self, dbt_resource_props: Any) -> str | None:
        """The folders below models/, joined by an underscore."""
        return "_".join(dbt_resource_props["fqn"][1:-1]) or None


@dbt_assets(
    manifest=models.MANIFEST,
    project=DbtProject(DBT_PROJECT, target_path=DBT_TARGET),
    dagster_dbt_translator=FolderTranslator(),
    name="dbt_build",
    pool=POOL,
)
def dbt_build(
    context: dg.AssetExecutionContext, warehouse: WarehouseHome
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Build and test what is new; one failed test publishes nothing."""
    settings = warehouse.settings
    night = read_night(settings)
    leaves_facts = not (night.has_new_facts or night.is_full_check)
    outcome = models.build(settings, leaves_facts)
    rows = _row_counts(settings)
    failed = {name for _, name, _ in outcome.failures}
    warned = {unique_id for unique_id, _ in outcome.warnings}
    for spec in _in_order(context.assets_def.specs):
        unique_id = spec.metadata[UNIQUE_ID]
        is_unchanged = leaves_facts and unique_id not in outcome.seconds
        is_built = unique_id in outcome.seconds and unique_id.rpartition(".")[2] not in failed
        if is_built or (is_unchanged and not outcome.failures and not outcome.error):
            metadata: dict[str, Any] = {"seconds": outcome.seconds.get(unique_id, 0.0)}
            if is_unchanged:
                metadata["unchanged"] = "no load brought anything new"
            if tuple(spec.key.path) in rows:
                metadata["dagster/row_count"] = rows[tuple(spec.key.path)]
            yield dg.MaterializeResult(asset_key=spec.key, metadata=metadata)
    for check in context.assets_def.check_specs:
        unique_id = check.metadata[UNIQUE_ID]
        if unique_id in outcome.passed_tests:
            yield dg.AssetCheckResult(
                asset_key=check.asset_key,
                check_name=check.name,
                passed=outcome.passed_tests[unique_id],
                severity=WARN if unique_id in warned else ERROR,
            )
    outcome.raise_for_failures()
    models.record_queries(settings, outcome)
    for _, sentence in outcome.warnings:
        log.warning(sentence)
    of_tests = sum(outcome.seconds[unique_id] for unique_id in outcome.passed_tests)
    log.info(
        "%s models built (%.0f s), %s tests passed (%.0f s), %s warned",
        len(outcome.seconds) - len(outcome.passed_tests),
        sum(outcome.seconds.values()) - of_tests,
        sum(outcome.passed_tests.values()),
        of_tests,
        len(outcome.warnings),
    )


def _in_order(specs: Iterable[dg.AssetSpec]) -> list[dg.AssetSpec]:
    """Assets after those that they depend on, the order that Dagster accepts."""
    by_key = {spec.key: spec for spec in specs}
    order = TopologicalSorter(
        {key: {dep.asset_key for dep in spec.deps} & by_key.keys() for key, spec in by_key.items()}
    )
    return [by_key[key] for key in order.static_order()]


def _row_counts(settings: Settings) -> dict[tuple[str, ...], int]:
    """Rows of the tables that the night built, as DuckDB's catalogue estimates them."""
    with duckdb.connect(str(settings.build_file)) as connection:
        close_off(connection)
        found = connection.execute(
            "select schema_name, table_name, estimated_size from duckdb_tables()"
        ).fetchall()
    return {(schema, table): size for schema, table, size in found}


_marts = {report.name: dg.AssetKey(["marts", report.name]) for report in exports.read_reports()}


@dg.asset(
    key=["publish", "candidate"],
    group_name="publish",
    deps=[spec.key for spec in dbt_build.specs if spec.key.path[0] in ("marts", "quality")],
    kinds={"duckdb"},
    pool=POOL,
)
def candidate(warehouse: WarehouseHome) -> dg.MaterializeResult:
    """A copy of the tested build file, which waits to be published."""
    settings = warehouse.settings
    built = {tuple(spec.key.path) for spec in dbt_build.specs}
    night = read_night(settings)
    file = publish.stage_candidate(settings, built, reads_all=night.is_full_check)
    exports.start_set(settings, night)
    return dg.MaterializeResult(metadata={"bytes": file.stat().st_size})


@dg.multi_asset(
    name="exports",
    specs=[
        dg.AssetSpec(
            ["exports", report.name],
            deps=[["publish", "candidate"], _marts[report.name]],
            group_name="exports",
            kinds={"csv"},
            description=f"The CSV files of {report.name}, one a timeframe.",
        )
        for report in exports.read_reports()
    ],
    pool=POOL,
)
def export_reports(warehouse: WarehouseHome) -> Iterator[dg.MaterializeResult]:
    """The CSV files of every report."""
    settings = warehouse.settings
    folder = exports.building_folder(settings, read_night(settings))
    written = exports.write_reports(settings.candidate_file, settings.memory_limit, folder)
    for report, files in written:
        (folder / f".{report.name}.json").write_text(json.dumps(files), encoding="utf-8")
        longest = max(files, key=lambda file: file["rows"])
        preview = pd.read_csv(folder / longest["path"], nrows=PREVIEW_ROWS, dtype=str)
        yield dg.MaterializeResult(
            asset_key=["exports", report.name],
            metadata={
                "dagster/row_count": sum(file["rows"] for file in files),
                "files": len(files),
                f"preview of {longest['timeframe']}": dg.MetadataValue.md(_markdown(preview)),
            },
        )
    log.info("wrote the CSV files of %s reports", len(_marts))


def _markdown(frame: pd.DataFrame) -> str:
    """A small table in Markdown."""
    rows = [list(frame.columns), ["---"] * len(frame.columns), *frame.fillna("").values.tolist()]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


@dg.asset(
    key=["exports", "organisations"],
    group_name="exports",
    deps=[
        ["publish", "candidate"],
        *(_marts[report.name] for report in exports.read_reports() if report.page == "billing"),
    ],
    kinds={"csv"},
    pool=POOL,
)
def organisation_sets(warehouse: WarehouseHome) -> dg.MaterializeResult:
    """The billing reports of each organisation alone, for those who hold its roles."""
    settings = warehouse.settings
    folder = exports.building_folder(settings, read_night(settings))
    files = write_organisation_sets(settings.candidate_file, folder, settings.memory_limit)
    (folder / ".organisations.json").write_text(json.dumps(files), encoding="utf-8")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(file["rows"] for file in files),
            "files": len(files),
            "organisations": len({file["filters"]["organisation"][0] for file in files}),
        }
    )


@dg.asset(
    key=["exports", "report_html"],
    group_name="exports",
    deps=[
        ["publish", "candidate"],
        ["quality", "night"],
        ["quality", "source_freshness"],
        ["quality", "unpriced_models"],
        *(_marts[name] for name in pages.MARTS),
    ],
    kinds={"html"},
    pool=POOL,
)
def report_html(warehouse: WarehouseHome) -> dg.MaterializeResult:
    """The page to look at: headline figures, charts and first rows, in one file without network."""
    settings = warehouse.settings
    folder = exports.building_folder(settings, read_night(settings))
    entry = pages.write_page(settings.candidate_file, folder, settings.memory_limit)
    (folder / PAGES_PART).write_text(json.dumps([entry]), encoding="utf-8")
    return dg.MaterializeResult(metadata={"bytes": entry["bytes"]})


@dg.asset(
    key=["exports", "manifest"],
    group_name="exports",
    deps=[
        ["exports", "organisations"],
        ["exports", "report_html"],
        *(["exports", name] for name in _marts),
    ],
    kinds={"json"},
    pool=POOL,
)
def manifest(warehouse: WarehouseHome) -> dg.MaterializeResult:
    """The manifest of the set, written when every file of it is there."""
    settings = warehouse.settings
    night = read_night(settings)
    folder = exports.building_folder(settings, night)
    written = folder / PAGES_PART
    shown = json.loads(written.read_text(encoding="utf-8"))
    written.unlink()
    files: list[dict[str, Any]] = []
    for part in sorted(folder.glob(".*.json")):
        files += json.loads(part.read_text(encoding="utf-8"))
        part.unlink()
    final = exports.finish_set(settings, night, settings.candidate_file, files, shown)
    return dg.MaterializeResult(
        metadata={
            "set": dg.MetadataValue.path(final),
            "manifest": dg.MetadataValue.path(final / "manifest.json"),
            "dagster/row_count": sum(file["rows"] for file in files),
        }
    )


@dg.asset(
    key=["publish", "published"],
    group_name="publish",
    deps=[["exports", "manifest"]],
    kinds={"duckdb"},
    pool=POOL,
)
def published(warehouse: WarehouseHome) -> dg.MaterializeResult:
    """What analysts open and what finance picks up, shown together, then kept."""
    settings = warehouse.settings
    night: Night = read_night(settings)
    exports.make_links(settings, night)
    publish.publish_candidate(settings)
    exports.show_set(settings, night)
    publish.sync(settings.published_file.parent)
    restatements.keep_published(settings)
    swept = exports.sweep(settings)
    erasure.finish(settings)
    return dg.MaterializeResult(
        metadata={
            "night_id": night.night_id,
            "database": dg.MetadataValue.path(settings.published_file),
            "set": dg.MetadataValue.path(settings.exports / "latest"),
            "sets removed": len(swept),
        }
    )


nightly = dg.define_asset_job(
    JOB,
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(asked_report),
    executor_def=dg.in_process_executor,
    description="One night: load, build, test, export, publish.",
    tags={"dagster/concurrency_key": POOL},
)

defs = dg.Definitions(
    assets=[
        *landing_sources,
        load,
        dbt_build,
        candidate,
        export_reports,
        organisation_sets,
        report_html,
        manifest,
        published,
        asked_report,
    ],
    jobs=[nightly, export_job],
    schedules=[nightly_at_four],
    sensors=[new_files_have_landed],
    resources={"warehouse": WarehouseHome()},
)
