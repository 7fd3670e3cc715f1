"""What a night on Spark leaves below <home>/spark, and how it comes into the build file."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from orchestration.closed import close_off
from orchestration.project import Settings, finds_java
from orchestration.publish import quoted

# What macros/engine/tables.sql notes of the tables that grow, when a build is complete.
NOTED = pa.schema(
    [
        ("schema", pa.string()),
        ("name", pa.string()),
        ("columns", pa.string()),
        ("is_kept_by_day", pa.bool_()),
    ]
)
DAY = "event_date"
# What a target needs of Python: the module to look for, and what brings it.
MODULES = {
    "spark": {"dbt.adapters.spark": "make spark", "pyspark": "make spark"},
    "thrift": {
        "dbt.adapters.spark": "make spark",
        "pyhive": "pip install 'dbt-spark[PyHive]' in .venv",
    },
}


def check_installed(target: str) -> None:
    """Raise RuntimeError for a library, or a Java, that a target needs and has not."""
    for module, command in MODULES[target].items():
        if find_spec(module) is None:
            raise RuntimeError(
                f"The target {target} needs the Python module {module}, which is not installed: "
                f"run `{command}`, and the night again; nothing was published."
            )
    if target == "spark" and not finds_java():
        raise RuntimeError(
            "The target spark needs Java 17, and no java was found in PATH or JAVA_HOME: install "
            "it (apt-get install openjdk-17-jre-headless), and run the night again; nothing was "
            "published."
        )


def applied_loads(settings: Settings, facts: str, growing: set[tuple[str, str]]) -> set[int] | None:
    """The loads that the tables have; None where they must be built anew.

    growing: schema and name of every table that nights add to. A build that died has withdrawn its
    note, since Spark replaces the days of a table one after another.
    """
    noted = settings.spark / "noted"
    if not list(noted.glob("*.parquet")):
        return None
    rows = pq.read_table(noted, schema=NOTED).to_pylist()
    if growing - {(row["schema"], row["name"]) for row in rows}:
        return None
    applied = pq.read_table(settings.spark / "quality" / "applied_loads").to_pylist()
    if any(row["facts_version"] != facts for row in applied):
        return None
    return {row["load_id"] for row in applied}


def start_tables(settings: Settings) -> None:
    """Remove every table of Spark, and leave an empty note for dbt to read."""
    shutil.rmtree(settings.spark, ignore_errors=True)
    noted = settings.spark / "noted"
    noted.mkdir(parents=True)
    pq.write_table(NOTED.empty_table(), noted / "part-0.parquet")


def prepare_serving(settings: Settings) -> Path:
    """A home without a row, of which DuckDB makes every table and view as it would be there.

    It has the parameters of the night, and of the loads the one that is empty and typed.
    """
    home = settings.spark / "serving"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(settings.run, home / "run")
    empty = "000000000"
    shutil.copytree(settings.raw / empty, home / "raw" / empty)
    loads = pq.read_table(settings.run / "loads.parquet")
    is_of_load_0 = pa.array([row == 0 for row in loads["load_id"].to_pylist()], pa.bool_())
    pq.write_table(loads.filter(is_of_load_0), home / "run" / "loads.parquet")
    return home


def fill(settings: Settings, build_file: Path) -> None:
    """Give the tables of a build file without rows those of Spark, in their order and types.

    The rows stream from Parquet into DuckDB within its memory limit; none pass through Python.
    Raises RuntimeError for a table that Spark did not leave.
    """
    with duckdb.connect(str(build_file)) as connection:
        connection.execute("set memory_limit = $1", [settings.memory_limit])
        close_off(connection, settings.spark)
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() order by all"
        ).fetchall()
        for schema, name in tables:
            folder = settings.spark / schema / name
            if not folder.is_dir():
                raise RuntimeError(
                    f"Spark left no table {schema}.{name} in {folder}: build it with "
                    "`warehouse night --full-refresh`; nothing was published."
                )
            relation = f"{quoted(schema)}.{quoted(name)}"
            connection.execute(f"delete from {relation}")
            whole, by_day = (
                sorted(folder.glob("*.parquet")),
                sorted(folder.glob(f"{DAY}=*/*.parquet")),
            )
            options = (
                f", hive_partitioning = true, hive_types = {{'{DAY}': date}}" if by_day else ""
            )
            # What a task left unfinished lies in folders of other names.
            files = [str(file) for file in by_day or whole]
            if files:
                connection.execute(
                    f"insert into {relation} by name from read_parquet($1{options})", [files]
                )
        connection.execute("checkpoint")
