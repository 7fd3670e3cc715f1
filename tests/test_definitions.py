"""The Dagster graph: whole, connected, guarded by every dbt test, started by clock and by files."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pytest

from orchestration import schedules
from orchestration.definitions import NightConfig, defs
from orchestration.landing.contract import read_contract
from orchestration.landing.load import land
from orchestration.models import MANIFEST
from orchestration.project import CONTRACT, ROOT, SAMPLE, Settings

JOB = "nightly"
POOL = "warehouse"
ASKED = dg.AssetKey(["asked", "report"])
UNIQUE_ID = "dagster_dbt/unique_id"
DAGSTER_YAML = ROOT / "orchestration" / "dagster.yaml"
SOURCES = [name for name, source in read_contract(CONTRACT).items() if source.role != "bookkeeping"]
SUNDAY = datetime(2026, 3, 15, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def job() -> dg.JobDefinition:
    return defs.resolve_job_def(JOB)


@pytest.fixture(scope="module")
def specs() -> dict[dg.AssetKey, dg.AssetSpec]:
    """What a night is made of: all but the report that somebody asks for."""
    found = {spec.key: spec for spec in defs.resolve_all_asset_specs()}
    del found[ASKED]
    return found


@pytest.fixture(scope="module")
def checks() -> dict[str, dg.AssetCheckSpec]:
    """The asset checks, by the unique id of their dbt test."""
    found = [spec for assets in _assets_definitions() for spec in assets.check_specs]
    return {spec.metadata[UNIQUE_ID]: spec for spec in found}


@pytest.fixture(scope="module")
def nodes() -> dict[str, dict[str, Any]]:
    """The nodes of the dbt manifest, which importing the definitions has brought up to date."""
    return json.loads(MANIFEST.read_text(encoding="utf-8"))["nodes"]


def _assets_definitions() -> Iterator[dg.AssetsDefinition]:
    return (assets for assets in defs.assets or [] if isinstance(assets, dg.AssetsDefinition))


def upstream(specs: dict[dg.AssetKey, dg.AssetSpec], *path: str) -> set[dg.AssetKey]:
    """Return every asset that an asset needs, directly or not."""
    found: set[dg.AssetKey] = set()
    waiting = [dg.AssetKey(path)]
    while waiting:
        parents = {dep.asset_key for dep in specs[waiting.pop()].deps} - found
        found |= parents
        waiting += parents
    return found


# The graph


def test_the_definitions_can_be_loaded() -> None:
    dg.Definitions.validate_loadable(defs)


def test_the_nightly_job_holds_every_asset(
    job: dg.JobDefinition, specs: dict[dg.AssetKey, dg.AssetSpec]
) -> None:
    landing = {dg.AssetKey(["landing", name]) for name in SOURCES}
    assert job.asset_layer.executable_asset_keys == specs.keys() - landing


def test_the_nightly_job_holds_every_check(
    job: dg.JobDefinition, checks: dict[str, dg.AssetCheckSpec]
) -> None:
    held = job.asset_layer.asset_graph.asset_check_keys
    assert held == {check.key for check in checks.values()}


def test_every_source_of_the_landing_zone_is_an_asset(
    specs: dict[dg.AssetKey, dg.AssetSpec],
) -> None:
    landing = {key.path[1] for key in specs if key.path[0] == "landing"}
    assert landing == set(SOURCES)


@pytest.mark.parametrize("source", SOURCES)
def test_what_lands_reaches_what_is_published(
    source: str, specs: dict[dg.AssetKey, dg.AssetSpec]
) -> None:
    assert dg.AssetKey(["landing", source]) in upstream(specs, "publish", "published")


def test_every_asset_is_on_the_way_to_what_is_published(
    specs: dict[dg.AssetKey, dg.AssetSpec],
) -> None:
    published = dg.AssetKey(["publish", "published"])
    assert upstream(specs, "publish", "published") == specs.keys() - {published}


def test_no_asset_depends_on_one_that_is_not_defined(
    specs: dict[dg.AssetKey, dg.AssetSpec],
) -> None:
    assert {dep.asset_key for spec in specs.values() for dep in spec.deps} <= specs.keys()


def test_every_model_is_built_before_the_candidate(
    specs: dict[dg.AssetKey, dg.AssetSpec], nodes: dict[str, dict[str, Any]]
) -> None:
    models = {key for key, node in nodes.items() if node["resource_type"] == "model"}
    before = upstream(specs, "publish", "candidate")
    assert {specs[key].metadata.get(UNIQUE_ID) for key in before} >= models


def test_every_csv_waits_for_the_candidate(specs: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    for key in specs:
        if key.path[0] == "exports":
            assert dg.AssetKey(["publish", "candidate"]) in upstream(specs, *key.path)


# Groups


def test_models_are_grouped_as_their_folders_are(
    specs: dict[dg.AssetKey, dg.AssetSpec], nodes: dict[str, dict[str, Any]]
) -> None:
    groups = {spec.metadata.get(UNIQUE_ID): spec.group_name for spec in specs.values()}
    for unique_id, node in nodes.items():
        if node["resource_type"] == "model":
            folders = Path(node["original_file_path"]).parts[1:-1]
            assert groups[unique_id] == "_".join(folders), unique_id


@pytest.mark.parametrize("group", ["landing", "raw", "run", "exports", "publish"])
def test_other_assets_are_grouped_by_the_first_part_of_their_key(
    group: str, specs: dict[dg.AssetKey, dg.AssetSpec]
) -> None:
    keyed = {key for key in specs if key.path[0] == group}
    assert keyed == {key for key, spec in specs.items() if spec.group_name == group}
    assert keyed


def test_the_groups_are_those_of_the_house(specs: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    folders = {"staging_platform", "staging_telemetry", "intermediate", "quality"}
    pages = {"marts_reports", "marts_analytics", "marts_billing"}
    others = {"landing", "raw", "run", "exports", "publish"}
    found = {spec.group_name for spec in specs.values()}
    assert found - {"marts_usage"} == folders | pages | others


# Checks


def test_every_dbt_test_is_an_asset_check(
    checks: dict[str, dg.AssetCheckSpec], nodes: dict[str, dict[str, Any]]
) -> None:
    tests = {key for key, node in nodes.items() if node["resource_type"] == "test"}
    assert checks.keys() == tests


def test_every_dbt_test_that_can_fail_a_night_blocks_it(
    checks: dict[str, dg.AssetCheckSpec], nodes: dict[str, dict[str, Any]]
) -> None:
    for unique_id, check in checks.items():
        is_error = nodes[unique_id]["config"]["severity"].lower() == "error"
        assert check.blocking == is_error, unique_id


# The clock


def tick(module: ModuleType, moment: datetime) -> dg.RunRequest:
    context = dg.build_schedule_context(scheduled_execution_time=moment)
    requests = module.nightly_at_four.evaluate_tick(context).run_requests
    assert requests is not None
    assert len(requests) == 1
    return requests[0]


def full_check(request: dg.RunRequest) -> bool:
    return request.run_config["ops"]["load"]["config"]["full_check"]


def schedules_in(zone: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load a second copy of the module, as a process with another reporting timezone has it."""
    monkeypatch.setenv("WAREHOUSE_TIMEZONE", zone)
    spec = spec_from_file_location("schedules_elsewhere", str(schedules.__file__))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_schedule_starts_the_nightly_job() -> None:
    assert [(each.name, each.job_name) for each in defs.schedules or []] == [
        ("nightly_at_four", JOB)
    ]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Auckland"])
def test_the_schedule_runs_at_four_in_the_reporting_timezone(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = schedules_in(zone, monkeypatch).nightly_at_four
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 4 * * *", zone)


@pytest.mark.parametrize("first", range(7))
def test_seven_nights_in_a_row_have_one_full_check(first: int) -> None:
    nights = [SUNDAY + timedelta(days=first + night) for night in range(7)]
    assert [full_check(tick(schedules, night)) for night in nights].count(True) == 1


def test_the_job_accepts_what_the_schedule_requests(job: dg.JobDefinition) -> None:
    assert dg.validate_run_config(job, tick(schedules, SUNDAY).run_config)


def test_a_night_without_configuration_is_plain(job: dg.JobDefinition) -> None:
    config = NightConfig()
    assert (config.as_of, config.full_refresh, config.full_check) == (None, False, False)
    assert dg.validate_run_config(job, {})


# The sensor


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty landing zone and a home in which nothing has landed."""
    monkeypatch.setenv("WAREHOUSE_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path / "home"))
    (tmp_path / "landing" / "teams").mkdir(parents=True)
    return Settings.read()


def deliver(settings: Settings, name: str, seconds_ago: float) -> Path:
    """Deliver a file of teams, last written so many seconds ago."""
    file = settings.landing / "teams" / name
    shutil.copyfile(SAMPLE / "landing" / "teams" / "teams.ndjson", file)
    written = time.time() - seconds_ago
    os.utime(file, (written, written))
    return file


def load_all(settings: Settings) -> None:
    land(settings.landing, settings.raw, read_contract(CONTRACT), False, "1GB", lambda *_: None)


def sense() -> dg.RunRequest | dg.SkipReason:
    (sensor,) = defs.sensors or []
    assert isinstance(sensor, dg.SensorDefinition)
    with dg.build_sensor_context() as context:
        outcome = sensor.evaluate_tick(context)
    if outcome.skip_message:
        assert not outcome.run_requests
        return dg.SkipReason(outcome.skip_message)
    (request,) = outcome.run_requests or []
    return request


def run_key() -> str:
    request = sense()
    assert isinstance(request, dg.RunRequest)
    assert request.run_key
    return request.run_key


def skip_message() -> str:
    skipped = sense()
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message
    return skipped.skip_message


def test_the_sensor_starts_the_nightly_job() -> None:
    (sensor,) = defs.sensors or []
    assert isinstance(sensor, dg.SensorDefinition)
    assert sensor.job_name == JOB


def test_the_sensor_skips_when_nothing_is_there(settings: Settings) -> None:
    assert "No file has landed" in skip_message()


def test_the_sensor_skips_without_a_landing_zone(settings: Settings) -> None:
    shutil.rmtree(settings.landing)
    assert "No file has landed" in skip_message()


def test_the_sensor_skips_what_a_load_knows(settings: Settings) -> None:
    deliver(settings, "teams.ndjson", seconds_ago=3600)
    load_all(settings)
    assert "No file has landed" in skip_message()


def test_the_sensor_skips_what_is_not_read(settings: Settings) -> None:
    deliver(settings, "teams.ndjson.tmp", seconds_ago=3600)
    assert "No file has landed" in skip_message()


@pytest.mark.parametrize("seconds_ago", [0, 30, 55])
def test_the_sensor_waits_until_files_are_a_minute_old(
    settings: Settings, seconds_ago: float
) -> None:
    deliver(settings, "old.ndjson", seconds_ago=3600)
    deliver(settings, "young.ndjson", seconds_ago=seconds_ago)
    assert "quiet" in skip_message()


def test_the_sensor_requests_one_run_for_files_that_are_quiet(settings: Settings) -> None:
    deliver(settings, "one.ndjson", seconds_ago=61)
    deliver(settings, "other.ndjson", seconds_ago=90)
    assert run_key()


def test_the_sensor_asks_for_the_same_run_while_nothing_changes(settings: Settings) -> None:
    deliver(settings, "teams.ndjson", seconds_ago=90)
    assert run_key() == run_key()


def test_the_sensor_asks_for_another_run_when_a_file_is_added(settings: Settings) -> None:
    deliver(settings, "teams.ndjson", seconds_ago=90)
    before = run_key()
    deliver(settings, "more.ndjson", seconds_ago=90)
    assert run_key() != before


def test_the_sensor_asks_for_another_run_when_a_known_file_grows(settings: Settings) -> None:
    file = deliver(settings, "teams.ndjson", seconds_ago=3600)
    before = run_key()
    load_all(settings)
    file.write_bytes(file.read_bytes() + b'{"team_id": "team-added"}\n')
    written = time.time() - 90
    os.utime(file, (written, written))
    assert run_key() != before


def test_looking_for_new_files_writes_nothing(settings: Settings) -> None:
    deliver(settings, "teams.ndjson", seconds_ago=90)
    sense()
    assert not settings.home.exists()
    assert len(list(settings.landing.rglob("*"))) == 2


# One night at a time


def test_every_step_of_the_job_is_in_the_pool(job: dg.JobDefinition) -> None:
    assert {node.name: node.definition.pool for node in job.nodes} == {
        node.name: POOL for node in job.nodes
    }


def test_the_steps_of_a_night_share_one_process(job: dg.JobDefinition) -> None:
    assert job.executor_def.name == "in_process"


def test_the_instance_allows_one_run_at_a_time(tmp_path: Path) -> None:
    shutil.copyfile(DAGSTER_YAML, tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        pools = instance.get_concurrency_config().pool_config
    assert pools.default_pool_limit == 1
    assert pools.pool_granularity is not None
    assert pools.pool_granularity.value == "run"
