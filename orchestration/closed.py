"""Connections that are closed against the machine: the folders that they need, and nothing else.

DuckDB's settings are one wall; the permissions of the account that nights run as are the other.
"""

from pathlib import Path

import duckdb

NO_EXTENSIONS = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
}


def close_off(connection: duckdb.DuckDBPyConnection, *folders: Path) -> None:
    """Let a connection reach its attached databases and these folders only, for good.

    No other file can be read, written or attached, no extension installed, no setting changed.
    """
    for name, value in NO_EXTENSIONS.items():
        connection.execute(f"set {name} = {value}")
    if folders:
        # It has to be told before the door is shut.
        allowed = [str(folder) for folder in folders]
        connection.execute("set allowed_directories = ?", [allowed])
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
