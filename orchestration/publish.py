"""From the build file to what analysts open: a copy, which takes its place by one rename."""

import os
import shutil
from pathlib import Path

import duckdb

from orchestration.closed import close_off
from orchestration.project import Settings


def stage_candidate(settings: Settings, relations: set[tuple[str, str]]) -> Path:
    """Copy the finished build file to where it waits to be published; nobody opens it there.

    relations: schema and name of what the project builds; what an older one left is dropped.
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
    return candidate


def publish_candidate(settings: Settings) -> None:
    """Put the candidate in the place of the published file: readers see the old or the new."""
    os.replace(settings.candidate_file, settings.published_file)
    sync(settings.published_file.parent)


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
