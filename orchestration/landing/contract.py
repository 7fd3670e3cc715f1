"""The contract of the landing zone, as the dbt sources file states it."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import yaml

ARROW_TYPES = {
    "string": pa.string(),
    "timestamp": pa.timestamp("us"),
    "bigint": pa.int64(),
    "decimal(18, 3)": pa.decimal128(18, 3),
    "decimal(38, 12)": pa.decimal128(38, 12),
    "boolean": pa.bool_(),
    "string[]": pa.list_(pa.string()),
    "map(string, string)": pa.map_(pa.string(), pa.string()),
}


@dataclass(frozen=True)
class Field:
    """One field of a source. kind: id, text, instant, whole, latency, amount, boolean or tags."""

    name: str
    kind: str
    is_required: bool
    allowed: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """One source: its role (event, reference, telemetry, bookkeeping), key, fields and schema."""

    name: str
    role: str
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    schema: pa.Schema


def read_contract(path: Path) -> dict[str, Source]:
    """Every table of the dbt source `raw`, by name."""
    documents = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    raw = next(source for source in documents["sources"] if source["name"] == "raw")
    return {table["name"]: _source(table) for table in raw["tables"]}


def _source(table: dict) -> Source:
    meta = table["config"]["meta"]
    fields = []
    for column in table["columns"]:
        field = column.get("config", {}).get("meta")
        if field:
            fields.append(
                Field(
                    name=column["name"],
                    kind=field["kind"],
                    is_required=field.get("required", False),
                    allowed=tuple(field.get("allowed", ())),
                )
            )
    schema = pa.schema(
        [(column["name"], ARROW_TYPES[column["data_type"]]) for column in table["columns"]]
    )
    return Source(table["name"], meta["role"], tuple(meta["key"]), tuple(fields), schema)
