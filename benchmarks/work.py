"""The warehouse's own work, as functions that a measurement runs in a process of their own."""

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.plain import MEMORY_LIMIT
from orchestration import exports, models, night, publish
from orchestration.landing.contract import read_contract
from orchestration.landing.files import scan
from orchestration.landing.load import land
from orchestration.project import CONTRACT, Settings

FACTS = ("model.warehouse.int_", "model.warehouse.stg_")


def load(landing: Path, raw: Path) -> int:
    """Load a landing zone into an empty raw folder; returns the rows."""
    shutil.rmtree(raw, ignore_errors=True)
    return land(landing, raw, read_contract(CONTRACT), False, MEMORY_LIMIT).rows.total()


def publish_again(settings: Settings, relations: set[tuple[str, str]]) -> None:
    """Publish the build file, all that it holds: schema and name of each relation."""
    publish.stage_candidate(settings, relations)
    publish.publish_candidate(settings)


def export_again(settings: Settings, folder: Path) -> None:
    """Write every report of the published file as a night does."""
    for _ in exports.write_reports(settings.published_file, settings.memory_limit, folder):
        pass


def facts_of_new_day(settings: Settings, as_of: datetime) -> float:
    """Load what is new and build; returns the seconds of the facts and of the tests on them."""
    contract = read_contract(CONTRACT)
    land(settings.landing, settings.raw, contract, False, settings.memory_limit)
    night.prepare(settings, as_of, [])
    outcome = models.build(settings)
    outcome.raise_for_failures()
    nodes = json.loads(models.MANIFEST.read_text(encoding="utf-8"))["nodes"]
    return sum(seconds for name, seconds in outcome.seconds.items() if _is_fact(name, nodes))


def _is_fact(name: str, nodes: dict[str, Any]) -> bool:
    if name.startswith(FACTS):
        return True
    attached = nodes.get(name, {}).get("attached_node") or ""
    return attached.startswith(FACTS)


def scan_again(landing: Path) -> int:
    """Look at every file of the landing zone; returns how many there are."""
    return sum(1 for _ in scan(landing, read_contract(CONTRACT)))
