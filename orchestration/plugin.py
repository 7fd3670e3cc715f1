"""The connection of dbt, closed off; apart from `closed`, since importing dbt takes a second."""

from pathlib import Path

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from orchestration.closed import close_off


class Plugin(BasePlugin):
    """What dbt runs when it connects: the night's loads and parameters are all that models read."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Set what profiles.yml cannot set at the opening, and close the connection off."""
        assert self.creds is not None
        conn.execute("set global TimeZone = 'UTC'")
        home = Path(self.creds.path).absolute().parents[1]
        close_off(conn, *(home / name for name in ("raw", "run", "closed_months")))
