"""From the build file to what analysts open: a copy, which takes its place by one rename."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from orchestration.project import Settings


def stage_candidate(settings: Settings, relations: set[tuple[str, str]]) -> Path:
    """Copy the finished build file to where it waits to be published; nobody opens it there.

    relations: schema and name of what the project builds; what an older one left is dropped.
    """
    with duckdb.connect(str(settings.build_file)) as connection:
        found = connection.execute(
            "select schema_name, table_name, 'table' from duckdb_tables() union all "
            "select schema_name, view_name, 'view' from duckdb_views() where not internal"
        ).fetchall()
        for schema, name, kind in found:
            if (schema, name) not in relations:
                connection.execute(f'drop {kind} "{schema}"."{name}"')
        connection.execute("checkpoint")
    candidate = settings.candidate_file
    candidate.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(settings.build_file, candidate)
    sync(candidate)
    sync(candidate.parent)
    return candidate


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
        connection = duckdb.connect(str(published_file), read_only=True)
    except duckdb.IOException as error:
        if "Could not set lock" not in str(error):
            raise
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(published_file, copy)
        connection = duckdb.connect(str(copy), read_only=True)
    try:
        yield connection
    finally:
        connection.close()
        shutil.rmtree(copy.parent, ignore_errors=True)


def sync(path: Path) -> None:
    """Have the disk hold what was written to a file or folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
