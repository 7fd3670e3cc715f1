"""The rules of the house, held against the dbt manifest and the files of the repository."""

import ast
import csv
import json
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.exports import read_reports
from orchestration.models import MANIFEST, prepare_manifest
from orchestration.project import DBT_PROJECT, ROOT, SEEDS
from tests.conftest import Warehouse

Node = dict[str, Any]
Types = dict[str, str]

MEBIBYTE = 1 << 20
LONGEST_LINE = 100

# What a layer may read: other layers, and the sources `raw` and `run`.
MAY_READ = {
    "staging": {"raw", "run", "staging"},
    "intermediate": {"run", "staging", "intermediate"},
    "marts": {"intermediate", "marts"},
    "quality": {"raw", "run", "staging", "intermediate", "marts", "quality"},
}

TYPES_OF_KINDS = {
    "text": "string",
    "instant": "timestamp",
    "second": "timestamp",
    "boolean": "boolean",
    "count": "bigint",
    "tokens": "bigint",
    "money": "decimal(38,12)",
    "milliseconds": "decimal(18,3)",
    "ratio": "decimal(18,6)",
    "index": "bigint",
    "date": "date",
}

PRODUCT_COLUMNS = {
    "usage_by_agent": "agent_name agent_id model_used agent_type total_runs total_sessions"
    " avg_runs_per_session credits_consumed input_tokens_total output_tokens_total avg_latency_ms"
    " p95_latency_ms error_rate",
    "usage_by_user": "user_email role user_id total_runs agents_created credits_consumed"
    " input_tokens_total output_tokens_total",
    "session_metrics": "session_id client user_id user_email agent_id started_at ended_at"
    " models_used has_timeline request_count failed_requests uncached_input_tokens"
    " cache_read_tokens cache_write_tokens output_tokens total_tokens duration_ms"
    " estimated_cost_usd reported_cost_usd cost_ratio_to_median tokens_ratio_to_median"
    " duration_ratio_to_median requests_ratio_to_median is_top_5_percent_cost"
    " is_top_5_percent_tokens is_top_5_percent_duration is_top_5_percent_requests",
    "billing_conversation_lines": "conversation_id line_id occurred_at category description"
    " credits running_total",
    "billing_conversations": "conversation_id agent_id agent_name last_activity_at total_credits"
    " message_count",
}

# Constructs that fail on DuckDB or on Spark, or that mean something else on the other.
ONE_ENGINE = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "quantile_cont": r"\bquantile",
        "arg_max": r"\barg_m(ax|in)\b",
        "asof join": r"\basof\b",
        "string_agg": r"\bstring_agg\b",
        "listagg": r"\blistagg\b",
        "array_agg with an order": r"\barray_agg\s*\([^()]*\border\s+by\b",
        "->>": r"->>?",
        "timestamptz": r"\btimestamptz\b|\btimestamp\s+with\s+time\s+zone\b",
        "at time zone": r"\bat\s+time\s+zone\b",
        "exclude or replace list": r"\*\s*(exclude|replace|except)\s*\(",
        "union by name": r"\bunion\s+(all\s+)?by\s+name\b",
        "similar to": r"\bsimilar\s+to\b",
        "regexp_matches": r"\bregexp_(matches|like)\b",
        "regexp_replace": r"\bregexp_replace\b",
        "epoch_us": r"\bepoch(_us|_ms|_ns)?\s*\(",
        "to_microseconds": r"\bto_(micro|milli)?seconds\b",
        "strftime": r"\bstr[fp]time\b",
        "to_json": r"\b(to|from)_json\b",
        "json_extract": r"\bjson_extract",
        "read_parquet": r"\bread_\w+\s*\(\s*'",
        "bare varchar": r"\bvarchar\b(?!\s*\()",
        "//": r"//",
        "array literal": r"\barray\s*\[",
        "map literal": r"\bmap\s*\{",
        "unnest": r"\b(unnest|explode)\s*\(",
        "list function": r"\blist(_\w+)?\s*\(",
        "array_to_string": r"\barray_(to_string|distinct)\b",
        "concat": r"\bconcat\s*\(",
        "median": r"\bmedian\s*\(",
        "day of the week": r"\b(iso)?dow\b|\bday_?of_?week\b|\bweekday\s*\(",
        "hash other than md5": r"\b(sha1|sha2|sha256|hash|xxhash64)\s*\(",
        "ignore nulls": r"\bignore\s+nulls\b",
        "hugeint": r"\bhugeint\b",
    }.items()
}
COMMENTS = re.compile(r"\{#.*?#\}|/\*.*?\*/|--[^\n]*", re.DOTALL)


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    prepare_manifest()
    return json.loads(MANIFEST.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> dict[str, Node]:
    """The models, by name."""
    nodes = manifest["nodes"].values()
    return {node["name"]: node for node in nodes if node["resource_type"] == "model"}


@pytest.fixture(scope="module")
def marts(models: dict[str, Node]) -> dict[str, Node]:
    """The marts, by name."""
    return {name: model for name, model in models.items() if layer(model) == "marts"}


@pytest.fixture(scope="module")
def dbt_tests(manifest: dict[str, Any]) -> list[Node]:
    """The dbt tests, generic and singular."""
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]


@pytest.fixture(scope="module")
def relations(sample: Warehouse) -> dict[str, Types]:
    """Columns and types of what dbt stores, by relation; staging is not stored."""
    with built(sample) as connection:
        columns = connection.execute(
            "select table_name, column_name, data_type from duckdb_columns() "
            "where not internal order by table_name, column_index"
        ).fetchall()
    found: dict[str, Types] = {}
    for table, column, data_type in columns:
        found.setdefault(table, {})[column] = data_type
    return found


def built(sample: Warehouse) -> duckdb.DuckDBPyConnection:
    """Open the build file of the sample night."""
    return duckdb.connect(str(sample.home / "build" / "warehouse.duckdb"), read_only=True)


def layer(model: Node) -> str:
    return model["fqn"][1]


def arguments_of(model: Node, dbt_tests: list[Node], name: str) -> list[dict[str, Any]]:
    """Return the arguments of the generic tests of this name that a model has."""
    return [
        test["test_metadata"]["kwargs"]
        for test in dbt_tests
        if test["attached_node"] == model["unique_id"] and test["test_metadata"]["name"] == name
    ]


def bare(data_type: str) -> str:
    return data_type.replace(" ", "").lower()


def ancestors(unique_id: str, manifest: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = [unique_id]
    while waiting:
        parents = set(manifest["parent_map"][waiting.pop()]) - found
        found |= parents
        waiting += parents
    return found


# Layers


def test_layers_only_look_down(manifest: dict[str, Any], models: dict[str, Node]) -> None:
    layers = {model["unique_id"]: layer(model) for model in models.values()}
    layers |= {key: source["source_name"] for key, source in manifest["sources"].items()}
    upward = [
        (name, parent)
        for name, model in models.items()
        for parent in model["depends_on"]["nodes"]
        if layers[parent] not in MAY_READ[layer(model)]
    ]
    assert upward == []


def test_nothing_reads_marts_but_those_of_their_page_and_the_last_step_of_a_build(
    manifest: dict[str, Any], marts: dict[str, Node]
) -> None:
    for mart in marts.values():
        of_the_page = {
            each["unique_id"] for each in marts.values() if each["fqn"][2] == mart["fqn"][2]
        }
        readers = {
            child
            for child in manifest["child_map"][mart["unique_id"]]
            if child.startswith("model.")
        }
        assert readers - of_the_page == {"model.warehouse.applied_loads"}, mart["name"]


def test_no_model_reads_a_relation_past_ref_and_source(manifest: dict[str, Any]) -> None:
    named = re.compile(r"\b(?:from|join)\s+(raw|run|staging|intermediate|marts|quality)\.\w", re.I)
    assert [path for path, sql in portable_sql(manifest) if named.search(sql)] == []


def test_loads_are_applied_when_everything_else_is_built(
    manifest: dict[str, Any], models: dict[str, Node]
) -> None:
    last = models["applied_loads"]["unique_id"]
    others = {model["unique_id"] for model in models.values()} - {last}
    assert others - ancestors(last, manifest) == set()


# Descriptions


def test_every_model_has_its_yaml_beside_its_sql(models: dict[str, Node]) -> None:
    for name, model in models.items():
        sql = Path(model["original_file_path"])
        described = Path((model["patch_path"] or "none://").partition("://")[2])
        shared = sql.parent / f"_{sql.parent.name}__models.yml"
        is_shared = layer(model) == "staging" and described == shared
        assert described == sql.with_suffix(".yml") or is_shared, name


def test_every_yaml_describes_a_model_or_the_sources() -> None:
    files = set((DBT_PROJECT / "models").rglob("*.yml"))
    strays = [file for file in files if not file.with_suffix(".sql").exists()]
    assert all(file.name.endswith(("__models.yml", "__sources.yml")) for file in strays), strays


def test_every_description_opens_with_its_grain(models: dict[str, Node]) -> None:
    grain = re.compile(r"One row(?: per |: | for )\S")
    assert [name for name, model in models.items() if not grain.match(model["description"])] == []


def test_every_model_names_its_grain(models: dict[str, Node]) -> None:
    assert [
        name for name, model in models.items() if not model["config"]["meta"].get("grain")
    ] == []


def test_the_grain_of_what_is_stored_is_made_of_its_columns(models: dict[str, Node]) -> None:
    for name, model in models.items():
        if layer(model) != "staging":
            grain = model["config"]["meta"]["grain"]
            assert isinstance(grain, list), name
            assert set(grain) <= model["columns"].keys(), name


def test_every_column_of_a_model_is_described(models: dict[str, Node]) -> None:
    assert [name for name, model in models.items() if not model["columns"]] == []
    assert undescribed(models.values()) == []


def test_every_column_of_a_source_is_described(manifest: dict[str, Any]) -> None:
    sources = manifest["sources"].values()
    assert [source["name"] for source in sources if not source["description"]] == []
    assert undescribed(sources) == []


def undescribed(nodes: Iterable[Node]) -> list[str]:
    return [
        f"{node['name']}.{name}"
        for node in nodes
        for name, column in node["columns"].items()
        if not column["description"].strip()
    ]


def test_staging_describes_the_columns_of_its_source(
    manifest: dict[str, Any], models: dict[str, Node]
) -> None:
    for source in manifest["sources"].values():
        model = models.get(f"stg_{source['name']}")
        if model and source["source_name"] == "raw":
            is_event = source["meta"]["role"] == "event"
            derived = {"event_date"} if is_event else set()
            assert model["columns"].keys() == source["columns"].keys() | derived, model["name"]


def test_facts_describe_the_columns_of_their_staging(
    manifest: dict[str, Any], models: dict[str, Node]
) -> None:
    added = {"versioned": {"version_rank", "is_current"}, "deduplicated": set()}
    priced = {"int_llm_requests_versioned": {"estimated_cost_usd"}}
    for name, model in models.items():
        parents = [each for each in model["depends_on"]["nodes"] if each.startswith("model.")]
        if (suffix := name.rpartition("_")[2]) in added:
            (staging,) = (each for each in parents if not each.endswith("_prices"))
            expected = manifest["nodes"][staging]["columns"].keys() | added[suffix]
            expected |= priced.get(name, set())
            assert model["columns"].keys() == expected, name


@pytest.mark.slow
def test_every_column_that_is_stored_is_described_in_its_order(
    models: dict[str, Node], relations: dict[str, Types]
) -> None:
    stored = {name: model for name, model in models.items() if layer(model) != "staging"}
    assert relations.keys() == stored.keys()
    for name, model in stored.items():
        assert list(model["columns"]) == list(relations[name]), name


def repeated(models: Iterable[Node], sample: Warehouse) -> set[str]:
    """Return the names of the models of which two rows share their grain."""
    found = set()
    with built(sample) as connection:
        for model in models:
            grain = ", ".join(model["config"]["meta"]["grain"])
            rows = connection.execute(
                f"select {grain} from {model['schema']}.{model['name']} "
                f"group by {grain} having count(*) > 1"
            ).fetchall()
            if rows:
                found.add(model["name"])
    return found


@pytest.mark.slow
def test_no_two_rows_that_are_stored_share_their_grain(
    models: dict[str, Node], sample: Warehouse
) -> None:
    stored = [model for model in models.values() if layer(model) != "staging"]
    assert repeated(stored, sample) == set()


@pytest.mark.slow
def test_no_type_that_is_stored_belongs_to_one_engine(relations: dict[str, Types]) -> None:
    portable = re.compile(
        r"(VARCHAR|BIGINT|BOOLEAN|TIMESTAMP|DATE|DECIMAL\(\d+,\d+\)|VARCHAR\[\]"
        r"|MAP\(VARCHAR, VARCHAR\))$"
    )
    others = [
        (name, column, data_type)
        for name, columns in relations.items()
        for column, data_type in columns.items()
        if not portable.match(data_type)
    ]
    assert others == []


# Tests


def test_every_generic_test_has_a_name(dbt_tests: list[Node]) -> None:
    assert generated_names(dbt_tests) == []


def generated_names(dbt_tests: list[Node]) -> list[str]:
    """Return the names that dbt made up, which open with the test and the model."""
    return [
        test["name"]
        for test in dbt_tests
        if test.get("test_metadata") and test["name"].startswith(test["test_metadata"]["name"])
    ]


def test_every_test_is_generic_and_so_an_asset_check(dbt_tests: list[Node]) -> None:
    assert [test["name"] for test in dbt_tests if not test.get("test_metadata")] == []


def test_no_two_tests_share_a_name(dbt_tests: list[Node]) -> None:
    names = [test["name"] for test in dbt_tests]
    assert len(names) == len(set(names))


# Marts


def test_every_mart_has_an_enforced_contract(marts: dict[str, Node]) -> None:
    assert [
        name for name, mart in marts.items() if not mart["config"]["contract"]["enforced"]
    ] == []


def test_every_column_of_a_mart_has_a_type_that_a_mart_may_have(marts: dict[str, Node]) -> None:
    allowed = set(TYPES_OF_KINDS.values())
    for name, mart in marts.items():
        types = {column: bare(each["data_type"] or "") for column, each in mart["columns"].items()}
        assert {column: kind for column, kind in types.items() if kind not in allowed} == {}, name


def test_every_mart_shows_its_window(marts: dict[str, Node]) -> None:
    shown = {"timeframe", "window_start_at", "window_end_at"}
    assert [name for name, mart in marts.items() if not shown <= mart["columns"].keys()] == []


def test_every_mart_has_a_uniqueness_test_on_its_grain(
    marts: dict[str, Node], dbt_tests: list[Node]
) -> None:
    for name, mart in marts.items():
        keys = [set(each["columns"]) for each in arguments_of(mart, dbt_tests, "one_row_per")]
        assert set(mart["config"]["meta"]["grain"]) in keys, name


def test_every_mart_has_a_conservation_test(marts: dict[str, Node], dbt_tests: list[Node]) -> None:
    conserving = ("conserves", "accounts_for")
    assert [
        name
        for name, mart in marts.items()
        if not any(arguments_of(mart, dbt_tests, test) for test in conserving)
    ] == []


def test_every_mart_has_a_unit_test(manifest: dict[str, Any], marts: dict[str, Node]) -> None:
    assert marts.keys() - {test["model"] for test in manifest["unit_tests"].values()} == set()


def test_conservation_tests_name_figures_that_exist(
    marts: dict[str, Node], dbt_tests: list[Node]
) -> None:
    for name, mart in marts.items():
        for arguments in arguments_of(mart, dbt_tests, "conserves"):
            assert arguments.get("figures", {}).keys() <= mart["columns"].keys(), name
            assert arguments["page"] == mart["fqn"][2], name


@pytest.mark.slow
def test_no_double_is_in_marts(marts: dict[str, Node], relations: dict[str, Types]) -> None:
    types = {kind for name in marts for kind in relations[name].values()}
    assert types & {"DOUBLE", "FLOAT", "REAL"} == set()


# Exports


def seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_report_has_columns_and_every_column_a_report() -> None:
    reports = {row["report"] for row in seed("reports.csv")}
    assert {row["report"] for row in seed("report_columns.csv")} == reports


def test_every_report_is_a_mart_in_the_folder_of_its_page(marts: dict[str, Node]) -> None:
    for report in read_reports():
        assert marts[report.name]["fqn"][2] == report.page


def test_every_mart_is_a_report(marts: dict[str, Node]) -> None:
    assert {report.name for report in read_reports()} == marts.keys()


def test_every_page_of_a_report_has_timeframes() -> None:
    timeframes = seed("timeframes.csv")
    pages = list(timeframes[0])[4:]
    for report in read_reports():
        assert report.page in pages
        assert "true" in [row[report.page] for row in timeframes]


def test_every_exported_column_is_in_the_contract_with_a_type_that_fits(
    marts: dict[str, Node],
) -> None:
    for report in read_reports():
        columns = marts[report.name]["columns"]
        for column in report.columns:
            data_type = bare(columns[column.name]["data_type"])
            assert data_type == TYPES_OF_KINDS[column.kind], (report.name, column.name)


@pytest.mark.parametrize("name", PRODUCT_COLUMNS)
def test_a_csv_has_the_columns_of_the_product_in_order(name: str) -> None:
    report = next(each for each in read_reports() if each.name == name)
    assert [column.name for column in report.columns] == PRODUCT_COLUMNS[name].split()


def test_columns_and_keys_of_a_csv_are_numbered_from_one() -> None:
    for report in read_reports():
        rows = [row for row in seed("report_columns.csv") if row["report"] == report.name]
        positions = [int(row["position"]) for row in rows]
        keys = sorted(int(row["key_position"]) for row in rows if row["key_position"])
        assert positions == list(range(1, len(rows) + 1)), report.name
        assert keys == list(range(1, len(keys) + 1)), report.name


def test_the_keys_of_a_csv_order_its_rows_in_one_way(marts: dict[str, Node]) -> None:
    for report in read_reports():
        keys = {column.name for column in report.columns if column.key_position}
        grain = set(marts[report.name]["config"]["meta"]["grain"])
        assert grain - {"timeframe"} <= keys, report.name


# SQL


def sql_files() -> Iterator[tuple[str, str]]:
    for folder in ("models", "macros", "data_tests"):
        for file in sorted((DBT_PROJECT / folder).rglob("*.sql")):
            yield file.relative_to(DBT_PROJECT).as_posix(), file.read_text(encoding="utf-8")


def portable_sql(manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the SQL that every engine runs, without comments; that of fixtures of unit tests, too."""
    for path, text in sql_files():
        if not path.startswith("macros/engine/"):
            yield path, COMMENTS.sub(" ", text)
    for test in manifest["unit_tests"].values():
        for given in test["given"]:
            if given["format"] == "sql":
                yield f"{test['name']}: {given['input']}", COMMENTS.sub(" ", given["rows"])


def test_the_search_for_constructs_of_one_engine_finds_them() -> None:
    samples = {
        "quantile_cont": "quantile_cont(x, 0.5)",
        "->>": "body ->> '$.a'",
        "exclude or replace list": "select * exclude (a)",
        "bare varchar": "cast(a as varchar)",
        "array_agg with an order": "array_agg(x order by y)",
        "at time zone": "a AT TIME\nZONE 'UTC'",
        "//": "7 // 2",
        "map literal": "select map {'a': 1}",
    }
    for name, sql in samples.items():
        assert ONE_ENGINE[name].search(sql), name
    for name, sql in {"bare varchar": "varchar(3)", "concat": "concat_ws(',', a)"}.items():
        assert not ONE_ENGINE[name].search(sql), name
    assert COMMENTS.sub("", "a -- quantile_cont\n{#- // -#}") == "a \n"


@pytest.mark.parametrize("construct", ONE_ENGINE)
def test_only_the_engine_macros_use_constructs_of_one_engine(
    construct: str, manifest: dict[str, Any]
) -> None:
    pattern = ONE_ENGINE[construct]
    assert [path for path, sql in portable_sql(manifest) if pattern.search(sql)] == []


def long_lines(is_wanted: Callable[[str], bool]) -> list[str]:
    return [
        f"{path}:{number}"
        for path, text in sql_files()
        for number, line in enumerate(text.splitlines(), 1)
        if is_wanted(path) and len(line) > LONGEST_LINE
    ]


def test_lines_of_models_have_at_most_a_hundred_characters() -> None:
    assert long_lines(lambda path: path.startswith("models/")) == []


def test_lines_of_macros_have_at_most_a_hundred_characters() -> None:
    assert long_lines(lambda path: not path.startswith("models/")) == []


# Python


def tracked_files() -> list[Path]:
    """Return the files of the repository that are there."""
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], check=True, capture_output=True, text=True
    ).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def modules() -> Iterator[tuple[str, ast.Module]]:
    for file in tracked_files():
        if file.suffix == ".py":
            yield file.relative_to(ROOT).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def is_environ(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.environb")


def variables_read(module: ast.Module) -> set[str]:
    """Return the expressions that name the one variable that is read of the environment."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_lookup = is_environ(node.func.value) and node.func.attr in ("get", "pop")
            if is_lookup or ast.unparse(node.func) == "os.getenv":
                found.add(ast.unparse(node.args[0]))
        elif isinstance(node, ast.Subscript) and is_environ(node.value):
            found.add(ast.unparse(node.slice))
        elif isinstance(node, ast.Compare) and any(map(is_environ, node.comparators)):
            found.add(ast.unparse(node.left))
    return found


def test_the_search_for_variables_finds_them() -> None:
    source = (
        "os.environ.get('A'); os.environ['B']; os.getenv('C'); 'D' in os.environ; {**os.environ}"
    )
    assert variables_read(ast.parse(source)) == {"'A'", "'B'", "'C'", "'D'"}


def test_only_the_project_module_reads_variables() -> None:
    read = {path: variables_read(module) for path, module in modules() if is_project(path)}
    del read["orchestration/project.py"]
    assert {path: names for path, names in read.items() if names} == {
        "orchestration/cli.py": {"'DAGSTER_HOME'"}
    }


def test_only_what_starts_others_hands_the_environment_on() -> None:
    holders = {
        path
        for path, module in modules()
        if is_project(path) and any(map(is_environ, ast.walk(module)))
    }
    assert holders <= {f"orchestration/{name}.py" for name in ("project", "models", "night", "cli")}


def test_nothing_imports_the_environment_by_name() -> None:
    names = {
        alias.name
        for _, module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module == "os"
        for alias in node.names
    }
    assert names & {"environ", "environb", "getenv"} == set()


def is_project(path: str) -> bool:
    return path.startswith("orchestration/")


def test_every_module_opens_with_a_sentence() -> None:
    opening = {path: ast.get_docstring(module) or "" for path, module in modules()}
    silent = [path for path, text in opening.items() if not text.split("\n")[0].endswith(".")]
    assert silent == []


def test_nothing_private_is_imported() -> None:
    private = [
        f"{path}: {name}"
        for path, module in modules()
        for name in imported(module)
        if any(part.startswith("_") and not part.startswith("__") for part in name.split("."))
    ]
    assert private == []


def imported(module: ast.Module) -> Iterator[str]:
    """Yield the dotted names that a module imports."""
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


# Files


@pytest.mark.parametrize("machine", [rb"/(?:work|tmp|home|root)/", rb"pypi\.org|python[h]osted"])
def test_no_file_names_a_machine(machine: bytes) -> None:
    named = [
        str(file.relative_to(ROOT))
        for file in tracked_files()
        if re.search(machine, file.read_bytes())
    ]
    assert named == []


def test_no_file_is_larger_than_a_mebibyte() -> None:
    assert [file for file in tracked_files() if file.stat().st_size > MEBIBYTE] == []


def requirements() -> list[str]:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def test_every_requirement_is_pinned_with_hashes() -> None:
    pinned = re.compile(
        r"[\w.-]+(\[[\w,-]+\])?==[\w.!+]+(\s*;[^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*"
    )
    assert requirements()
    assert [line[:60] for line in requirements() if not pinned.fullmatch(line)] == []


def test_the_lock_holds_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert re.findall(r"\w+://\S+|--(?:extra-)?index-url|--find-links| @ ", text) == []
