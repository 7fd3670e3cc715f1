"""The plain alternatives: what somebody would write by hand for the same rows."""

import json
import os
import shutil
import time
from graphlib import TopologicalSorter
from pathlib import Path

import duckdb

from orchestration.exports import read_reports
from orchestration.landing.contract import read_contract
from orchestration.project import CONTRACT, DBT_TARGET

MEMORY_LIMIT = "2GB"
JSON_TYPES = {
    "id": "VARCHAR",
    "text": "VARCHAR",
    "instant": "TIMESTAMP",
    "whole": "BIGINT",
    "latency": "DECIMAL(18, 3)",
    "amount": "DECIMAL(38, 12)",
    "boolean": "BOOLEAN",
    "tags": "VARCHAR[]",
}


def read_ndjson(landing: Path, database: Path) -> None:
    """DuckDB's typed read_json into one table a source; a line that is no JSON is passed over."""
    contract = read_contract(CONTRACT)
    with _fresh(database) as connection:
        for folder in sorted(landing.iterdir()):
            columns = {field.name: JSON_TYPES[field.kind] for field in contract[folder.name].fields}
            connection.execute(
                f"create table {folder.name} as select * from read_json($files, "
                "format = 'newline_delimited', columns = $columns, ignore_errors = true)",
                {"files": str(folder / "**" / "*.ndjson"), "columns": columns},
            )


def read_parquet(landing: Path, database: Path) -> None:
    """A create table as from the Parquet files of each source."""
    with _fresh(database) as connection:
        for folder in sorted(landing.iterdir()):
            connection.execute(
                f"create table {folder.name} as select * from read_parquet(?)",
                [str(folder / "**" / "*.parquet")],
            )


def build_models(home: Path, database: Path, folders: tuple[str, ...] = ()) -> int:
    """The SQL of the models as dbt compiled it last in this home, without dbt, Dagster and tests.

    folders: which folders of models to build; none means every model, into an empty database.
    Returns the number of models.
    """
    nodes = json.loads((DBT_TARGET / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    models = {name: node for name, node in nodes.items() if node["resource_type"] == "model"}
    order = TopologicalSorter(
        {name: set(models) & set(node["depends_on"]["nodes"]) for name, node in models.items()}
    )
    connect = duckdb.connect(str(database)) if folders else _fresh(database)
    with connect as connection:
        _limit(connection)
        connection.execute("set TimeZone = 'UTC'")
        _attach_sources(connection, home)
        built = 0
        for name in order.static_order():
            node = models[name]
            if folders and node["fqn"][1] not in folders:
                continue
            compiled = home / "dbt" / "compiled" / "warehouse" / node["original_file_path"]
            kind = "view" if node["config"]["materialized"] == "view" else "table"
            database_name = "scratch" if node["schema"] == "staging" else database.stem
            relation = f'{database_name}."{node["schema"]}"."{node["name"]}"'
            connection.execute(f'create schema if not exists {database_name}."{node["schema"]}"')
            query = compiled.read_text(encoding="utf-8")
            connection.execute(f"create or replace {kind} {relation} as {query}")
            built += 1
    return built


def _attach_sources(connection: duckdb.DuckDBPyConnection, home: Path) -> None:
    connection.execute("attach ':memory:' as scratch")
    for schema in ("raw", "run"):
        connection.execute(f"create schema scratch.{schema}")
    loads = str(home / "run" / "loads.parquet")
    for (source,) in connection.execute(
        "select distinct source from read_parquet(?)", [loads]
    ).fetchall():
        rows = connection.execute(
            "select path from read_parquet(?) where source = ?", [loads, source]
        ).fetchall()
        paths = ", ".join("'" + str(home / path).replace("'", "''") + "'" for (path,) in rows)
        connection.execute(
            f'create view scratch.raw."{source}" as '
            f"select * from read_parquet([{paths}], union_by_name = true)"
        )
    for file in sorted((home / "run").glob("*.parquet")):
        path = str(file).replace("'", "''")
        connection.execute(f"create view scratch.run.\"{file.stem}\" as select * from '{path}'")


def usage_by_agent(published: Path, compiled: Path) -> dict[str, float]:
    """Best wall seconds of five: the mart's SQL, and one naive grouping of its longest window."""
    naive = """
        select agent_id, count(*), count(distinct session_id), sum(input_tokens_total),
            sum(output_tokens_total), avg(latency_ms),
            percentile_cont(0.95) within group (order by latency_ms),
            avg(cast(is_failed as integer))
        from intermediate.int_runs_enriched
        where started_at >= (select min(window_start_at) from marts.usage_by_agent)
            and started_at < (select max(window_end_at) from marts.usage_by_agent)
        group by agent_id
    """
    best = {"mart": float("inf"), "naive": float("inf")}
    with duckdb.connect() as connection:
        _limit(connection)
        quoted = str(published).replace("'", "''")
        connection.execute(f"attach '{quoted}' as warehouse (read_only)")
        connection.execute("use warehouse")
        queries = {"mart": compiled.read_text(encoding="utf-8"), "naive": naive}
        for _ in range(5):
            for name, query in queries.items():
                started = time.perf_counter()
                connection.execute(f"create or replace temp table answer as {query}")
                best[name] = min(best[name], time.perf_counter() - started)
    return best


def with_pandas(files: list[str], start: str, end: str) -> int:
    """Usage by agent for one window in pandas, from the raw Parquet; returns the rows."""
    import pandas as pd

    columns = ["agent_id", "session_id", "started_at", "latency_ms", "status", "output_tokens"]
    runs = (
        pd.read_parquet(files[0], columns=columns)
        if len(files) == 1
        else pd.concat(
            [pd.read_parquet(file, columns=columns) for file in files], ignore_index=True
        )
    )
    runs = runs[(runs["started_at"] >= start) & (runs["started_at"] < end)]
    runs["latency_ms"] = runs["latency_ms"].astype("float64")
    runs["is_failed"] = runs["status"] == "failed"
    grouped = runs.groupby("agent_id", dropna=False)
    report = grouped.agg(
        total_runs=("status", "size"),
        total_sessions=("session_id", "nunique"),
        output_tokens=("output_tokens", "sum"),
        latency=("latency_ms", "mean"),
        error_rate=("is_failed", "mean"),
    )
    report["p95"] = grouped["latency_ms"].quantile(0.95)
    return len(report)


def with_polars(files: list[str], start: str, end: str) -> int:
    """Usage by agent for one window in polars, from the raw Parquet; returns the rows."""
    from datetime import datetime

    import polars as pl

    within = pl.col("started_at").is_between(
        datetime.fromisoformat(start), datetime.fromisoformat(end), closed="left"
    )
    report = (
        pl.scan_parquet(files)
        .filter(within)
        .group_by("agent_id")
        .agg(
            pl.len(),
            pl.col("session_id").drop_nulls().n_unique(),
            pl.col("output_tokens").sum(),
            pl.col("latency_ms").cast(pl.Float64).mean(),
            (pl.col("status") == "failed").mean().alias("error_rate"),
            pl.col("latency_ms").cast(pl.Float64).quantile(0.95, "linear").alias("p95"),
        )
        .collect()
    )
    return len(report)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file and have the disk hold it."""
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def copy_reports(published: Path, folder: Path) -> None:
    """One ordered COPY a report, with the rows and columns of all its CSV files."""
    with duckdb.connect(str(published), read_only=True) as connection:
        _limit(connection)
        for report in read_reports():
            columns = ", ".join(f"r.{column.name}" for column in report.columns)
            target = str(folder / f"{report.name}.csv").replace("'", "''")
            connection.execute(
                f"copy (select {columns} from marts.{report.name} as r "
                f"order by r.timeframe, {report.order}) to '{target}' (format csv, header)"
            )


def _fresh(database: Path) -> duckdb.DuckDBPyConnection:
    database.parent.mkdir(parents=True, exist_ok=True)
    database.unlink(missing_ok=True)
    connection = duckdb.connect(str(database))
    _limit(connection)
    return connection


def _limit(connection: duckdb.DuckDBPyConnection) -> None:
    """The memory that a night has, and no bars between the lines of the measurements."""
    connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
    connection.execute("set enable_progress_bar = false")
