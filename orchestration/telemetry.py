"""What the telemetry seeds say: which client sent a record, and what its attributes mean."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from orchestration.project import SEEDS

# The client of whatever no row of the seed names: its name is the service's.
ANY_CLIENT = "*"
COUNTED = ("whole", "latency", "amount")
TABLES = ("telemetry_clients", "telemetry_records", "telemetry_attributes")


@dataclass(frozen=True)
class Client:
    """How a named client is told, by service, or by how scope or record name begin."""

    name: str
    services: frozenset[str]
    scopes: tuple[str, ...]
    records: tuple[str, ...]

    def sent(self, service: str | None, scope: str | None, record: str | None) -> bool:
        """Whether a record of this service, scope and name is the client's."""
        return (
            service in self.services
            or (scope or "").startswith(self.scopes)
            or (record or "").startswith(self.records)
        )


def rows_of(table: str) -> list[dict[str, str]]:
    """The rows of a telemetry seed in their order, as text."""
    path: Path = SEEDS / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@cache
def clients() -> tuple[Client, ...]:
    """The named clients in their order."""
    return tuple(
        Client(
            name=row["client"],
            services=frozenset(row["services"].split()),
            scopes=tuple(row["scopes"].split()),
            records=tuple(row["records"].split()),
        )
        for row in rows_of("telemetry_clients")
        if row["client"] != ANY_CLIENT
    )


@cache
def client_of(service: str | None, scope: str | None, record: str | None) -> str:
    """The named client that sent a record, else `*`."""
    found = (client.name for client in clients() if client.sent(service, scope, record))
    return next(found, ANY_CLIENT)


@cache
def kinds_of(client: str) -> dict[str, str]:
    """Attribute -> kind (whole, latency, amount, presence, text) for records of a client.

    A named client may use the conventions' names beside its own, which win.
    """
    rows = rows_of("telemetry_attributes")
    shared = {row["attribute"]: row["kind"] for row in rows if row["client"] == ANY_CLIENT}
    own = {row["attribute"]: row["kind"] for row in rows if row["client"] == client}
    return {**shared, **own}


@cache
def usage_metrics() -> dict[tuple[str, str], str]:
    """(client, full name of a metric) -> the kind of its values: whole tokens or amounts."""
    kinds = {"tokens_point": "whole", "cost_point": "amount"}
    prefixes = {client.name: client.records[0] for client in clients()}
    return {
        (row["client"], prefix + row["record"].removeprefix(prefix)): kinds[row["role"]]
        for row in rows_of("telemetry_records")
        if row["role"] in kinds
        for prefix in [prefixes[row["client"]]]
    }
