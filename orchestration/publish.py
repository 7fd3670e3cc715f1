"""From the build file to what analysts open: a copy, which takes its place by one rename."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from orchestration.closed import close_off
from orchestration.project import Settings


def stage_candidate(
    settings: Settings, relations: set[tuple[str, str]], reads_all: bool = False
) -> Path:
    """Copy the finished build file to where it waits to be published; nobody opens it there.

    relations: schema and name of what the project builds; what an older one left is dropped.
    reads_all: read every table to its end, since damage is only found in what is read. Raises
    RuntimeError where some of it is damaged.
    """
    with duckdb.connect(str(settings.build_file)) as connection:
        close_off(connection)
        found = connection.execute(
            "select schema_name, table_name, 'table' from duckdb_tables() union all "
            "select schema_name, view_name, 'view' from duckdb_views() where not internal"
        ).fetchall()
        for schema, name, kind in found:
            if (schema, name) not in relations:
                connection.execute(f"drop {kind} {quoted(schema)}.{quoted(name)}")
        connection.execute("checkpoint")
    candidate = settings.candidate_file
    candidate.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(settings.build_file, candidate)
    sync(candidate)
    sync(candidate.parent)
    if reads_all:
        _read_all(settings, candidate)
    return candidate


def _read_all(settings: Settings, candidate: Path) -> None:
    with duckdb.connect(str(candidate), read_only=True) as connection:
        close_off(connection)
        tables = connection.execute("select schema_name, table_name from duckdb_tables()")
        for schema, name in tables.fetchall():
            try:
                connection.execute(
                    f"select bit_xor(hash(r)) from {quoted(schema)}.{quoted(name)} as r"
                )
            except duckdb.Error as error:
                raise RuntimeError(
                    f"The table {schema}.{name} in {settings.build_file} is damaged ({error}): "
                    "rebuild it from the loads with `warehouse night --full-refresh`."
                ) from error


def publish_candidate(settings: Settings) -> None:
    """Put the candidate in the place of the published file: readers see the old or the new."""
    # What somebody wrote to the old file, and died, would be replayed into the new one.
    log_of(settings.published_file).unlink(missing_ok=True)
    os.replace(settings.candidate_file, settings.published_file)


def log_of(database: Path) -> Path:
    """DuckDB's write-ahead log of a database."""
    return database.with_name(database.name + ".wal")


@contextmanager
def opened(published_file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published file read-only, also where somebody has it open to write: then a copy of it."""
    copy = published_file.with_name(".copy") / published_file.name
    try:
        connection = _read_only(published_file)
    except duckdb.IOException as error:
        if "Could not set lock" not in str(error):
            raise
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(published_file, copy)
        connection = _read_only(copy)
    try:
        yield connection
    finally:
        connection.close()
        shutil.rmtree(copy.parent, ignore_errors=True)


def _read_only(database: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(database), read_only=True)
    close_off(connection)
    return connection


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def sync(path: Path) -> None:
    """Have the disk hold what was written to a file or folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
