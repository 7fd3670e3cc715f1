"""What differs between the engines: the macros of both, and what Spark leaves for publishing."""

import json
import re
import shutil
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from orchestration import models, spark
from orchestration.project import DBT_PROJECT, Settings, SettingsError
from tests.conftest import SAMPLE_LANDING, Warehouse

ENGINE = DBT_PROJECT / "macros" / "engine"
DISPATCHED = re.compile(r"adapter\.dispatch\('([a-z_]+)'")

# What a macro is called with, and what Spark reads then.
RENDERED = {
    "{{ joined('models', ', ') }}": "array_join(models, ', ')",
    "{{ joined_in_order('path', 'file_id', ', ') }}": "listagg(path, ', ') within group (order by file_id)",
    "{{ hashed_key(['a', 'b']) }}": "xxhash64(a, b)",
    "{{ json_member('extra', 'speed') }}": "get_json_object(extra, '$.speed')",
    "{{ microseconds_of('at') }}": "unix_micros(cast(at as timestamp_ltz))",
    "{{ instant_text('at') }}": "date_format(at, 'yyyy-MM-dd') || 'T' || date_format(at, 'HH:mm:ss.SSSSSS') || 'Z'",
    "{{ scratch_schema('raw') }}": "raw",
    "{{ read_files(['run/loads.parquet']) }}": "parquet.`/srv/of/run/loads.parquet`",
    "{{ spark_type('string[]') }} {{ spark_type('map(string, string)') }}": "array<string> map<string, string>",
    "{{ is_work('select a from b where c') }} {{ is_work('select a from b group by a') }}": "False True",
    "{{ reads_of('a', ['select 1 from a join a using (x)', 'from ab']) }}": "2",
    "{{ is_named_in('a', ['from b as a, c join d on a.x']) }} {{ is_named_in('a', ['from c, a']) }}": "False True",
    "{{ reads_of('a', [\"select ' from a ' -- from a\", '/* from a */']) }}": "0",
}  # fmt: skip

# Queries in every layout, and the steps that are found in them; none where it is not understood.
STEPS = {
    "with a as (\n    select 1\n),\n\n-- why\nb as (\n    from a\n)\n\nfrom b": ["a", "b"],
    "with a as (select (1 + (2))), b as (select 1 from a) select * from b": ["a", "b"],
    "with a as (\r\n    select 1\r\n),\r\nb as (\r\n    select 2\r\n)\r\nselect * from b\r\n": ["a", "b"],
    "WITH A AS (\nSELECT 1\n)\nSELECT * FROM A": ["A"],
    "-- with z as (\nwith a as (\n-- )\n/* ), */\nselect ')', '(', 'it''s )' as \")\"\n)\nfrom a": ["a"],
    "with a as (\n    with b as (\n        select 1\n    )\n    from b\n)\nfrom a": ["a"],
    "with a as (\n    select '\n)\nfrom b'\n)\nfrom a": ["a"],
    "with recursive a as (select 1 union all select 2 from a)\nselect * from a": ["a"],
    "with a (x) as (select 1) from a": [],
    "with a as (select 1), b (x) as (select 2) from a": [],
    "with a as materialized (select 1) from a": [],
    "with a as (select 1": [],
    "with a as (select 1)": [],
    "select * from (select 1) as a": [],
    "select 1": [],
    "": [],
}  # fmt: skip


def test_every_macro_of_the_engines_has_a_form_for_each() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in ENGINE.glob("*.sql"))
    names = DISPATCHED.findall(text)
    assert names
    defined = set(re.findall(r"macro ([a-z_]+)\(", text))
    missing = {f"{engine}__{name}" for name in names for engine in ("duckdb", "spark")} - defined
    assert not missing


def compiled_for_spark(
    texts: Iterable[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """What dbt makes of Jinja with the macros of the project, for the target `spark`."""
    pytest.importorskip("pyspark", reason="the extra [spark] is not installed")
    pytest.importorskip("dbt.adapters.spark", reason="the extra [spark] is not installed")
    from dbt.cli.main import dbtRunner

    monkeypatch.setenv("WAREHOUSE_BUILD_FILE", "/srv/of/build/warehouse.duckdb")
    folders = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
    written = ["--target-path", str(folder), "--log-path", str(folder)]
    inline = ["--inline", "\n;\n".join(texts), "--no-introspect", "--no-populate-cache"]
    compiled = dbtRunner().invoke(
        ["--quiet", "compile", "--target", "spark", *inline, *folders, *written]
    )
    assert compiled.success, compiled.exception
    said = compiled.result.results[0].node.compiled_code.split("\n;\n")
    return [text.strip() for text in said]


def test_the_project_compiles_for_spark_and_its_macros_say_what_spark_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = compiled_for_spark(RENDERED, tmp_path, monkeypatch)
    assert dict(zip(RENDERED, said, strict=True)) == RENDERED


def test_the_steps_of_a_query_are_found_in_any_layout_or_the_query_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [f"{{{{ steps_of({json.dumps(query)}) | tojson }}}}" for query in STEPS]
    said = [json.loads(text) for text in compiled_for_spark(asked, tmp_path, monkeypatch)]
    assert [list(split["steps"]) for split in said] == list(STEPS.values())
    for query, split in zip(STEPS, said, strict=True):
        assert split["last"] == query or split["steps"]
        assert all(body in query for body in split["steps"].values())
        assert query.endswith(split["last"])


def test_a_target_that_no_profile_is_for_is_refused() -> None:
    with pytest.raises(SettingsError, match="WAREHOUSE_TARGET is 'sparc'"):
        Settings.read(environment={"WAREHOUSE_TARGET": "sparc"})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.read(tmp_path / "landing", tmp_path / "home", tmp_path / "exports", {}, "spark")


def note(settings: Settings, *names: str) -> None:
    """What a complete build notes of tables of the schema `quality`."""
    rows = [
        {"schema": "quality", "name": name, "columns": "a int", "is_kept_by_day": False}
        for name in names
    ]
    pq.write_table(
        pa.Table.from_pylist(rows, schema=spark.NOTED), settings.spark / "noted" / "part-0.parquet"
    )


def apply_loads(settings: Settings, version: str) -> None:
    folder = settings.spark / "quality" / "applied_loads"
    folder.mkdir(parents=True)
    loads = pa.table({"load_id": [1, 2], "facts_version": [version, version]})
    pq.write_table(loads, folder / "part-0.parquet")


def test_tables_of_spark_count_as_built_only_when_all_that_grow_are_noted(
    settings: Settings,
) -> None:
    growing = {("quality", "applied_loads"), ("quality", "landed_files")}
    assert spark.applied_loads(settings, "v1", growing) is None
    spark.start_tables(settings)
    apply_loads(settings, "v1")
    assert spark.applied_loads(settings, "v1", growing) is None
    note(settings, "applied_loads")
    assert spark.applied_loads(settings, "v1", growing) is None
    note(settings, "applied_loads", "landed_files")
    assert spark.applied_loads(settings, "v1", growing) == {1, 2}
    assert spark.applied_loads(settings, "v2", growing) is None


def build_file_with_facts(path: Path) -> Path:
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema intermediate")
        connection.execute(
            "create table intermediate.facts "
            "(run_id varchar, event_date date, credits decimal(38, 12), started_at timestamp)"
        )
    return path


def test_the_build_file_takes_its_rows_from_sparks_days_in_its_own_order_of_columns(
    settings: Settings, tmp_path: Path
) -> None:
    file = build_file_with_facts(tmp_path / "build.duckdb")
    facts = settings.spark / "intermediate" / "facts"
    for day in ("2026-03-01", "2026-03-02"):
        (facts / f"event_date={day}").mkdir(parents=True)
        with duckdb.connect() as connection:
            connection.execute(
                f"copy (select 1.5::decimal(38, 12) as credits, timestamp '{day} 01:02:03' as started_at, "
                f"'run' as run_id) to '{facts}/event_date={day}/part-0.parquet'"
            )
    unfinished = facts / ".spark-staging-1" / "event_date=2026-03-02"
    unfinished.mkdir(parents=True)
    (unfinished / "part-1.parquet").write_bytes(b"cut short")
    spark.fill(settings, file)
    with duckdb.connect(str(file)) as connection:
        rows = connection.execute(
            "select run_id, event_date, credits::varchar from intermediate.facts order by all"
        ).fetchall()
    assert rows == [
        ("run", date(2026, 3, 1), "1.500000000000"),
        ("run", date(2026, 3, 2), "1.500000000000"),
    ]


def test_a_table_that_spark_did_not_leave_is_named_and_nothing_is_published(
    settings: Settings, tmp_path: Path
) -> None:
    file = build_file_with_facts(tmp_path / "build.duckdb")
    with pytest.raises(
        RuntimeError, match=r"no table intermediate\.facts .* nothing was published"
    ):
        spark.fill(settings, file)


def test_every_formula_gives_on_spark_what_its_unit_tests_say(
    sample: Warehouse, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--spark"):
        pytest.skip("takes minutes, and Java: --spark runs it")
    shutil.copytree(sample.home, tmp_path / "home")
    settings = Settings.read(
        SAMPLE_LANDING, tmp_path / "home", tmp_path / "exports", {}, target="spark"
    )
    outcome = models.run_unit_tests(settings)
    assert outcome.error is None
    assert outcome.failures == []
    written = json.loads(models.MANIFEST.read_text(encoding="utf-8"))["unit_tests"]
    assert written.keys() <= outcome.seconds.keys()


def test_a_server_is_told_the_settings_of_a_session_in_the_form_that_it_hears() -> None:
    text = (DBT_PROJECT / "profiles.yml").read_text(encoding="utf-8")
    outputs = yaml.safe_load(text)["warehouse"]["outputs"]
    session = {
        name: value
        for name, value in outputs["spark"]["server_side_parameters"].items()
        if name.startswith("spark.sql.") and name != "spark.sql.catalogImplementation"
    }
    # Hive's protocol hands a setting on under this prefix only, and says nothing of any other.
    assert outputs["thrift"]["server_side_parameters"] == {
        f"set:hiveconf:{name}": value for name, value in session.items()
    }
    # What dbt-spark wants to be told before it connects.
    assert {"host", "port", "user", "schema"} <= outputs["thrift"].keys()


@pytest.mark.parametrize("target", ["spark", "thrift"])
def test_what_a_target_lacks_is_said_with_the_command_that_brings_it(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark, "find_spec", lambda module: None)
    with pytest.raises(RuntimeError, match=f"The target {target} needs .* run `make spark`"):
        spark.check_installed(target)


def test_a_machine_without_java_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark, "find_spec", lambda module: module)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(RuntimeError, match="needs Java 17, and no java was found"):
        spark.check_installed("spark")
