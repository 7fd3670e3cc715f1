"""Names and values that want to be SQL or paths, connections that want to see the machine."""

import ast
import json
import shutil
import stat
from pathlib import Path

import duckdb
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.cli.main import dbtRunner

from orchestration.closed import close_off
from orchestration.night import dbt_environment
from orchestration.plugin import Plugin
from orchestration.project import DBT_PROJECT, DBT_TARGET, ROOT, Settings
from tests.conftest import Warehouse, call

SECRET = "canary-0f9e"
# As names of files and folders: SQL, patterns, line ends, formats, and what looks like a path.
AWKWARD = (
    "a'b", 'say "yes"', "x'); drop table candidates; --", "*", "a?[b]", "{a,b}", "line\nend",
    "a..%2f..", "%s", "{{ boom() }}", "$HOME", "`id`", "Ünïcode 🚀", "a;b", " spaced ", "back\\slash",
)  # fmt: skip


def run(number: int, **fields: str) -> str:
    at = "2026-03-14T10:00:00Z"
    row = {"run_id": f"r{number}", "started_at": at, "status": "succeeded", **fields}
    return json.dumps(row) + "\n"


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse in folders of awkward names whose landing zone is full of them."""
    root = tmp_path_factory.mktemp("awkward")
    outside = root / "outside.ndjson"
    outside.write_text(run(900, agent_id=SECRET), encoding="utf-8")
    warehouse = Warehouse.below(root / "o'clock [1]*", root / "landing 'x' {a}*")
    folder = warehouse.landing / "agent_runs"
    for number, name in enumerate(AWKWARD):
        (folder / name).mkdir(parents=True)
        values = {"agent_id": name, "user_id": f"../../{name}", "model": f"{name}', '"}
        content = run(number, **values, organisation_id=f"../../../{name}")
        (folder / name / f"{name}.ndjson").write_text(content, encoding="utf-8")
    lines = warehouse.landing / "credit_lines"
    lines.mkdir()
    (lines / "lines.ndjson").write_text(
        "".join(
            json.dumps(
                {"line_id": f"l{number}", "occurred_at": "2026-03-14T10:00:00Z", "credits": "1",
                 "organisation_id": f"../../../{name}", "category": f"{name}'; select 1; --"}
            ) + "\n"
            for number, name in enumerate(AWKWARD)
        ),
        encoding="utf-8",
    )  # fmt: skip
    (folder / "link.ndjson").symlink_to(outside)
    (folder / "linked").symlink_to(root, target_is_directory=True)
    (warehouse.landing / "users").symlink_to(root, target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_API_KEY", SECRET)
        answer = warehouse.night()
    assert answer.code == 0, answer.error
    assert SECRET not in answer.output + answer.error
    return warehouse


def test_names_and_values_stay_names_and_values(awkward: Warehouse) -> None:
    ids = awkward.query("select distinct agent_id from intermediate.int_runs_enriched")
    assert {row[0] for row in ids} == set(AWKWARD)
    paths = awkward.query("select path from quality.landed_files where source = 'agent_runs'")
    assert {row[0] for row in paths} == {f"agent_runs/{name}/{name}.ndjson" for name in AWKWARD}
    rows = sum(content.count(SECRET.encode()) for content in awkward.csv_bytes().values())
    assert rows == 0


def test_links_out_of_the_landing_zone_are_not_followed(awkward: Warehouse) -> None:
    ignored = dict(awkward.query("select path, reason from quality.ignored_files"))
    assert set(ignored) == {"agent_runs/link.ndjson", "agent_runs/linked", "users"}
    assert set(ignored.values()) == {"symbolic links are not followed"}


def test_nothing_is_written_beside_home_and_exports(awkward: Warehouse) -> None:
    root = awkward.landing.parent
    assert {path.name for path in root.iterdir()} == {
        "outside.ndjson", awkward.landing.name, awkward.home.parent.name,
    }  # fmt: skip
    assert {path.name for path in awkward.home.parent.iterdir()} == {"home", "exports"}
    organisations = awkward.exports / "latest" / "organisations"
    assert len(list(organisations.iterdir())) == len(AWKWARD)


def test_a_filter_of_any_value_finds_what_it_names(awkward: Warehouse, tmp_path: Path) -> None:
    for name in AWKWARD:
        file = tmp_path / "asked.csv"
        answer = call(
            "export", "usage_by_agent", "--timeframe", "last_7_days", "--model", f"{name}', '",
            "--output", str(file), "--home", str(awkward.home),
        )  # fmt: skip
        assert answer.code == 0, answer.error
        assert answer.error.startswith("Wrote 1 rows")


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_text('{outside}')",
        "select * from read_csv('{inside}/../outside.txt')",
        "select * from read_text('{inside}/link.txt')",
        "select * from glob('{outside}*')",
        "select * from sniff_csv('{outside}')",
        "copy (select 1) to '{outside}'",
        "copy (select 1) to '{inside}/../new.txt'",
        "attach '{outside}.duckdb' as other",
        "export database '{outside}-all'",
        "install httpfs",
        "create secret (type s3, key_id 'a', secret 'b')",
        "set enable_external_access = true",
        "set allowed_directories = ['/']",
        "set temp_directory = '{inside}/..'",
        "reset lock_configuration",
        "set autoload_known_extensions = true",
    ],
)
def test_a_closed_connection_reaches_its_folder_and_nothing_else(
    tmp_path: Path, query: str
) -> None:
    outside, inside = tmp_path / "outside.txt", tmp_path / "inside"
    outside.write_text(SECRET, encoding="utf-8")
    inside.mkdir()
    (inside / "link.txt").symlink_to(outside)
    (inside / "own.csv").write_text("a\n1\n", encoding="utf-8")
    asked = query.format(outside=outside, inside=inside)
    with duckdb.connect(str(tmp_path / "own.duckdb")) as connection:
        close_off(connection, inside)
        assert connection.execute(f"from read_csv('{inside}/own.csv')").fetchall() == [(1,)]
        connection.execute("create table t as select 1; checkpoint")
        with pytest.raises(duckdb.Error):
            connection.execute(asked).fetchall()
    assert outside.read_text(encoding="utf-8") == SECRET
    assert not (tmp_path / "new.txt").exists()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select count(*) as n from read_text('{outside}')", "Cannot access file"),
        ("select count(*) as n from quality.applied_loads", None),
    ],
)
def test_dbt_reaches_its_tables_and_no_file_beside_the_loads(
    awkward: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str, said: str
) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text(SECRET, encoding="utf-8")
    settings = Settings.read(awkward.landing, awkward.home, awkward.exports, {})
    for name, value in dbt_environment(settings).items():
        monkeypatch.setenv(name, value)
    shutil.copy(DBT_TARGET / "partial_parse.msgpack", tmp_path)
    project, target = str(DBT_PROJECT), str(tmp_path)
    try:
        answer = dbtRunner().invoke(
            ["--log-level", "none", "--log-level-file", "none",
             "show", "--inline", query.format(outside=outside), "--project-dir",
             project, "--profiles-dir", project, "--target-path", target, "--log-path", target]
        )  # fmt: skip
    finally:
        DuckDBConnectionManager.close_all_connections()
    problems = str(answer.exception) + str([each.message for each in answer.result or ()])
    assert answer.success == (said is None), problems
    assert said is None or said in problems


@pytest.mark.parametrize(
    "leak",
    [
        "select * from read_text('{outside}')",
        "copy (select 1) to '{outside}'",
        "attach '{outside}.duckdb' as other",
        "set lock_configuration = false",
        "set enable_external_access = true",
    ],
)
def test_what_dbt_connects_with_is_closed_off(tmp_path: Path, leak: str) -> None:
    outside, build = tmp_path / "outside.txt", tmp_path / "home" / "build" / "warehouse.duckdb"
    outside.write_text(SECRET, encoding="utf-8")
    for folder in ("build", "raw"):
        (tmp_path / "home" / folder).mkdir(parents=True)
    readable = tmp_path / "home" / "raw" / "a.csv"
    readable.write_text("a\n1\n", encoding="utf-8")
    plugin = Plugin(
        "closed", {}, DuckDBCredentials(path=str(build), database="warehouse", schema="main")
    )
    with duckdb.connect(str(build)) as connection:
        plugin.configure_connection(connection)
        assert connection.execute(f"from read_csv('{readable}')").fetchall() == [(1,)]
        assert connection.execute("select current_setting('TimeZone')").fetchall() == [("UTC",)]
        with pytest.raises(duckdb.Error):
            connection.execute(leak.format(outside=outside)).fetchall()
    assert outside.read_text(encoding="utf-8") == SECRET


def test_every_connection_is_closed_off_where_it_is_opened() -> None:
    opened = []
    for path in sorted((ROOT / "orchestration").rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                body = ast.unparse(function)
                if "duckdb.connect(" in body:
                    opened.append(function.name)
                    assert body.count("duckdb.connect(") == body.count("close_off("), (
                        f"{path.name}: {function.name} opens a connection: close it off, too."
                    )
    assert len(opened) > 15


def test_the_profile_names_no_secret_and_closes_the_connection() -> None:
    profile = (DBT_PROJECT / "profiles.yml").read_text(encoding="utf-8")
    assert "orchestration.plugin" in profile
    for word in ("password", "secret", "token", "settings:"):
        assert word not in profile


def test_other_accounts_of_the_machine_read_neither_home_nor_exports(awkward: Warehouse) -> None:
    for folder in (awkward.home, awkward.exports):
        assert stat.S_IMODE(folder.stat().st_mode) & 0o007 == 0, folder
        for path in folder.rglob("*"):
            if not path.is_symlink():
                assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0, path


def test_a_secret_of_the_environment_is_in_no_file(awkward: Warehouse) -> None:
    assert [
        path
        for path in (*awkward.home.rglob("*"), *awkward.exports.rglob("*"))
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ] == []
