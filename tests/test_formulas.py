"""The dbt unit tests: every formula on a few rows, as the YAML beside its model shows them."""

import shutil
from pathlib import Path

from orchestration import models
from orchestration.project import Settings
from tests.conftest import SAMPLE_LANDING, Warehouse


def test_every_formula_gives_what_its_unit_tests_say(sample: Warehouse, tmp_path: Path) -> None:
    shutil.copytree(sample.home, tmp_path / "home")
    settings = Settings.read(SAMPLE_LANDING, tmp_path / "home", tmp_path / "exports", {})
    outcome = models.run_unit_tests(settings)
    assert outcome.error is None
    assert outcome.failures == []
    assert len(outcome.seconds) >= 50
