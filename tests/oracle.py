"""A slow, plain reference for the reports (those of oracle_reports.py too), computed straight from the raw landing files.

Tests compare the cells of the warehouse's CSV files with the cells given here, text for text.
Nothing is shared with the warehouse: genai-prices itself computes list prices, files are read line by line, every rule is one short function,
windows are found with zoneinfo, and all arithmetic is on integers, Decimal or Fraction (but for
p95, which is defined over floats).

Units inside this module: instants and durations are whole microseconds (instants since 1970, UTC),
money and credits are Decimal with at most 12 decimals, latencies are Decimal milliseconds with at
most 3, tokens are int.
"""

import gzip
import hashlib
import json
import math
import os
import re
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot

Row = dict[str, Any]
Cells = dict[str, str]
Window = tuple[int, int]

UNATTRIBUTED = "(unattributed)"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
BIGINT_MAX = 2**63 - 1


class Rejected(ValueError):
    """A line or record that breaks a rule of the landing zone; its neighbours load."""


# -------------------------------------------------------------------------------------------------
# The contract of the landing zone: `field:kind`, `!` marks a required field, the first field is
# the key, and a kind with `|` is a closed enumeration.
# -------------------------------------------------------------------------------------------------

SCHEMA_TEXTS: dict[str, str] = {
    "agent_runs": """
        run_id:id! agent_id:id user_id:id organisation_id:id session_id:id conversation_id:id
        api_key_id:id provider:text model:text started_at:instant! ended_at:instant latency_ms:ms
        status:succeeded|failed|cancelled! error_type:text input_tokens:whole output_tokens:whole
        cache_read_tokens:whole cache_write_tokens:whole tags:tags revision:whole""",
    "llm_requests": """
        request_id:id! run_id:id session_id:id conversation_id:id agent_id:id agent_instance_id:id
        user_id:id organisation_id:id team_id:id api_key_id:id provider:text model:text!
        requested_at:instant! duration_ms:ms status:succeeded|failed error_type:text attempt:whole
        input_tokens:whole cache_read_tokens:whole cache_write_5m_tokens:whole
        cache_write_1h_tokens:whole output_tokens:whole reasoning_tokens:whole
        reported_cost_usd:money tags:tags revision:whole""",
    "tool_calls": """
        call_id:id! run_id:id session_id:id agent_id:id agent_instance_id:id user_id:id
        organisation_id:id mcp_id:id tool_name:text! called_at:instant! duration_ms:ms
        outcome:executed|failed|blocked! policy_id:id policy_name:text policy_description:text
        tags:tags revision:whole""",
    "conversation_messages": """
        message_id:id! conversation_id:id! organisation_id:id agent_id:id user_id:id role:text
        sent_at:instant! revision:whole""",
    "credit_lines": """
        line_id:id! occurred_at:instant! organisation_id:id! agent_id:id user_id:id
        conversation_id:id run_id:id category:text! description:text credits:money!
        kind:usage|refund|adjustment|grant revision:whole""",
    "users": """
        user_id:id! email:text display_name:text role:text organisation_id:id team_id:id
        created_at:instant deleted_at:instant updated_at:instant!""",
    "user_identities": "identity:id! user_id:id updated_at:instant!",
    "agents": """
        agent_id:id! name:text agent_type:text model:text created_by:id organisation_id:id
        tags:tags created_at:instant deleted_at:instant updated_at:instant!""",
    "organisations": "organisation_id:id! name:text parent_organisation_id:id updated_at:instant!",
    "teams": "team_id:id! name:text organisation_id:id updated_at:instant!",
    "groups": "group_id:id! name:text updated_at:instant!",
    "group_members": "group_id:id! user_id:id! is_member:flag updated_at:instant!",
    "mcp_servers": "mcp_id:id! name:text tags:tags updated_at:instant!",
    "tools": "mcp_id:id! tool_name:id! tags:tags updated_at:instant!",
    "agent_instances": "agent_instance_id:id! agent_id:id user_id:id updated_at:instant!",
    "api_keys": "api_key_id:id! name:text user_id:id team_id:id updated_at:instant!",
}

SCHEMAS: dict[str, dict[str, str]] = {
    source: dict(part.split(":") for part in text.split()) for source, text in SCHEMA_TEXTS.items()
}

DEFAULTS: dict[str, Any] = {"revision": 0, "kind": "usage"}

# -------------------------------------------------------------------------------------------------
# Values: one function a kind. Each takes a JSON value that is not null (numbers with a point come
# as Decimal) and returns the typed value, None for "null", or raises Rejected.
# -------------------------------------------------------------------------------------------------

INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:Z|([+-])(\d\d):?(\d\d)?)",
    re.ASCII,
)
DECIMAL_TEXT = re.compile(r"-?\d+(?:\.(\d+))?", re.ASCII)


def micros(instant: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (instant.astimezone(UTC) - EPOCH) // MICROSECOND


EARLIEST = micros(datetime(2000, 1, 1, tzinfo=UTC))
LATEST = micros(datetime(2100, 1, 1, tzinfo=UTC))


def instant_text(value: int) -> str:
    """`YYYY-MM-DDTHH:MM:SS.ffffffZ` of microseconds since 1970."""
    moment = EPOCH + timedelta(microseconds=value)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def plausible(value: int) -> int:
    """An instant (microseconds), rejected outside 2000-01-01 to 2100-01-01."""
    if not EARLIEST <= value < LATEST:
        raise Rejected("instant outside 2000 to 2100")
    return value


def read_instant(value: Any) -> int:
    """Microseconds since 1970 of ISO 8601 text with `Z` or offset, or of a Parquet timestamp."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return plausible(micros(aware))
    found = INSTANT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Rejected("not an instant with Z or offset")
    day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = found.groups()
    if int(offset_hours or 0) > 23 or int(offset_minutes or 0) > 59:
        raise Rejected("not an offset")
    try:
        wall = datetime.combine(
            date.fromisoformat(day), time(int(hour), int(minute), int(second or 0))
        )
    except ValueError as error:
        raise Rejected("not a date and time") from error
    offset = int(offset_hours or 0) * 3600 + int(offset_minutes or 0) * 60
    since_1970 = (wall.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
    since_1970 += int((fraction or "0").ljust(6, "0")[:6])
    return plausible(since_1970 - (-offset if sign == "-" else offset) * 1_000_000)


def read_id(value: Any) -> str | None:
    """The text of an id; integers become text, an empty one is null."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return read_text(value) or None


def read_text(value: Any) -> str:
    """Text as it is."""
    if not isinstance(value, str):
        raise Rejected("not text")
    return value


def read_tags(value: Any) -> Any:
    """A text or a list of texts, without the empty ones; none left is null."""
    if isinstance(value, list):
        return [tag for tag in value if tag is not None and read_text(tag)] or None
    return read_text(value) or None


def read_whole(value: Any) -> int:
    """A whole number of 0 or more that fits a BIGINT: 12, 12.0 or "12"."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,30}", value, re.ASCII):
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, Decimal) and value == value.to_integral_value():
        number = int(value) if value.adjusted() < 30 else -1
    else:
        raise Rejected("not a whole number")
    if not 0 <= number <= BIGINT_MAX:
        raise Rejected("whole number out of range")
    return number


def read_decimal(value: Any, places: int, digits: int, text_may_round: bool) -> Decimal:
    """A DECIMAL(digits, places): numbers are rounded half even, text only where it may be."""
    if isinstance(value, str):
        found = DECIMAL_TEXT.fullmatch(value)
        if found is None:
            raise Rejected("not a decimal number")
        if len(found[1] or "") > places and not text_may_round:
            raise Rejected("too many decimals")
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Rejected("not a number")
    number = Decimal(value)
    if number and number.adjusted() >= digits - places:
        raise Rejected("number out of range")
    with localcontext(prec=digits + 10):
        rounded = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    if rounded and rounded.adjusted() >= digits - places:
        raise Rejected("number out of range")
    return rounded


def read_money(value: Any) -> Decimal:
    """Money or credits, DECIMAL(38,12): text is exact, JSON numbers are rounded half even."""
    return read_decimal(value, places=12, digits=38, text_may_round=False)


def read_milliseconds(value: Any) -> Decimal:
    """Milliseconds, DECIMAL(18,3), never negative."""
    number = read_decimal(value, places=3, digits=18, text_may_round=True)
    if number < 0:
        raise Rejected("negative duration")
    return number


def read_flag(value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise Rejected("not true or false")
    return value


READERS: dict[str, Callable[[Any], Any]] = {
    "flag": read_flag,
    "id": read_id,
    "text": read_text,
    "tags": read_tags,
    "instant": read_instant,
    "whole": read_whole,
    "money": read_money,
    "ms": read_milliseconds,
}


def read_field(kind: str, value: Any) -> Any:
    """The typed value of one field; a kind that is no reader's name is a closed enumeration."""
    if value is None:
        return None
    if kind in READERS:
        return READERS[kind](value)
    if value not in kind.split("|"):
        raise Rejected("not a value of the closed enumeration")
    return value


# -------------------------------------------------------------------------------------------------
# Canonical JSON: keys sorted, compact, instants in UTC, numbers as text.
# -------------------------------------------------------------------------------------------------


def plain_number(value: int | Decimal) -> str:
    """A number as plain decimal text without trailing zeros: 12.50 is 12.5, 1E+2 is 100."""
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def plain_value(value: Any) -> Any:
    """A JSON value with every number as text, at any depth."""
    if isinstance(value, dict):
        return {name: plain_value(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain_value(inner) for inner in value]
    if isinstance(value, datetime):
        return instant_text(micros(value if value.tzinfo else value.replace(tzinfo=UTC)))
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return plain_number(value)
    return value if value is None or isinstance(value, bool) else str(value)


def canonical_json(value: Any) -> str:
    """Keys sorted, no spaces, characters as they are; text that is no Unicode is rejected."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Rejected("not Unicode text") from error
    return text


def typed_row(source: str, record: Any) -> Row:
    """The known fields of one landed object, typed (missing: None), and its `canonical` JSON."""
    if not isinstance(record, dict):
        raise Rejected("not an object")
    schema = SCHEMAS[source]
    row: Row = {}
    known: Row = {}
    for field, marked_kind in schema.items():
        kind = marked_kind.removesuffix("!")
        value = read_field(kind, record.get(field))
        if value is None:
            value = DEFAULTS.get(field)
        if value is None and marked_kind.endswith("!"):
            raise Rejected(f"{field} is missing")
        row[field] = value
        if value is not None:
            known[field] = instant_text(value) if kind == "instant" else plain_value(value)
    unknown = {
        name: plain_value(value)
        for name, value in record.items()
        if name not in schema and value is not None
    }
    row["canonical"] = canonical_json(known | unknown)
    return row


# -------------------------------------------------------------------------------------------------
# Files
# -------------------------------------------------------------------------------------------------

LINE_ENDINGS = tuple(
    f".{kind}{packing}" for kind in ("ndjson", "jsonl", "json") for packing in ("", ".gz", ".zst")
)


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is left alone."""
    return name.startswith((".", "_")) or name.endswith((".tmp", ".part"))


def landed_contents(landing: Path, source: str) -> Iterator[tuple[Path, bytes]]:
    """Path and bytes of every file of a source; the same content under two names comes once."""
    seen: set[str] = set()
    top = landing / source
    if top.is_symlink():
        return
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not is_ignored(name))
        for name in sorted(names):
            path = Path(folder, name)
            is_wanted = name.endswith((*LINE_ENDINGS, ".parquet")) and not is_ignored(name)
            if not is_wanted or path.is_symlink() or not path.is_file():
                continue
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            if digest not in seen:
                seen.add(digest)
                yield path, content


def unpacked(path: Path, content: bytes) -> bytes:
    """The content of a plain, .gz or .zst file, whole; a damaged one is rejected."""
    if path.name.endswith(".gz"):
        try:
            return gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise Rejected("damaged gzip file") from error
    if path.name.endswith(".zst"):
        return unpacked_zstd(content)
    return content


def unpacked_zstd(content: bytes) -> bytes:
    """All frames of a zstd file, one after the other."""
    unpacked_frames = bytearray()
    while content:
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            unpacked_frames += frame.decompress(content)
        except zstandard.ZstdError as error:
            raise Rejected("damaged zstd file") from error
        if not frame.eof:
            raise Rejected("cut zstd file")
        content = frame.unused_data
    return bytes(unpacked_frames)


def no_constant(name: str) -> Any:
    """NaN and Infinity are no JSON."""
    raise Rejected(f"{name} is not JSON")


def json_number(text: str) -> Decimal:
    """A number with a point or exponent, as it is written; one beyond a double is rejected."""
    if math.isinf(float(text)):
        raise Rejected("number out of range")
    return Decimal(text) if float(text) else Decimal(0)


def json_line(line: bytes) -> Any:
    """The value of one line; numbers with a point or exponent as Decimal."""
    try:
        text = line.decode("utf-8")
        return json.loads(text, parse_float=json_number, parse_constant=no_constant)
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise Rejected("not JSON") from error


def json_objects(content: bytes) -> Iterator[Any]:
    """The value of every line that is whole JSON."""
    for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if line.strip():
            try:
                yield json_line(line)
            except Rejected:
                continue


def parquet_objects(content: bytes) -> Iterator[Row]:
    """The rows of a Parquet file, with values as a JSON line would give them."""
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read()
    except (pa.ArrowException, OSError) as error:
        raise Rejected("damaged Parquet file") from error
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            target = pa.timestamp("us", field.type.tz)
            table = table.set_column(
                position, field.name, table.column(position).cast(target, safe=False)
            )
    for row in table.to_pylist():
        yield {name: from_parquet(value) for name, value in row.items()}


def from_parquet(value: Any) -> Any:
    """Doubles as the Decimal of their shortest text, exact decimals and binary as text."""
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else value
    if isinstance(value, Decimal):
        return plain_number(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="surrogateescape")
    if isinstance(value, list):
        return [from_parquet(inner) for inner in value]
    if isinstance(value, dict):
        return {name: from_parquet(inner) for name, inner in value.items()}
    return value


def landed_objects(landing: Path, source: str) -> Iterator[Any]:
    """Every JSON value or Parquet row that landed for a source, each content once."""
    for path, content in landed_contents(landing, source):
        try:
            if path.name.endswith(".parquet"):
                yield from parquet_objects(content)
            else:
                yield from json_objects(unpacked(path, content))
        except Rejected:
            continue


def landed_rows(landing: Path, source: str) -> Iterator[Row]:
    """The typed rows of a source; those that break a rule are left out."""
    for record in landed_objects(landing, source):
        try:
            yield typed_row(source, record)
        except Rejected:
            continue


# -------------------------------------------------------------------------------------------------
# Which row counts
# -------------------------------------------------------------------------------------------------


def text_order(text: str) -> bytes:
    """Text is compared as UTF-8 bytes."""
    return text.encode("utf-8")


def current_events(landing: Path, source: str) -> dict[str, Row]:
    """Key -> the row that counts: the highest revision, then the greater canonical JSON."""
    key = next(iter(SCHEMAS[source]))
    current: dict[str, Row] = {}
    for row in landed_rows(landing, source):
        rival = current.get(row[key])
        if rival is None or event_rank(row) > event_rank(rival):
            current[row[key]] = row
    return current


def event_rank(row: Row) -> tuple[int, bytes]:
    """What decides between two rows of one key."""
    return row["revision"], text_order(row["canonical"])


def reference_versions(landing: Path, source: str, as_of: int) -> dict[str, Row]:
    """Key -> the newest version of as_of or before, else the earliest known."""
    key = next(iter(SCHEMAS[source]))
    return {keys[0]: row for keys, row in keyed_versions(landing, source, as_of, (key,)).items()}


def keyed_versions(
    landing: Path, source: str, as_of: int, keys: tuple[str, ...]
) -> dict[tuple[str, ...], Row]:
    """The same where several fields together are the key."""
    versions: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in landed_rows(landing, source):
        versions[tuple(row[key] for key in keys)].append(row)
    return {name: version_as_of(rows, as_of) for name, rows in versions.items()}


def version_as_of(rows: list[Row], as_of: int) -> Row:
    """One of the versions of an entity; equal updated_at: the greater canonical JSON."""
    known = [row for row in rows if row["updated_at"] <= as_of]
    if not known:
        earliest = min(row["updated_at"] for row in rows)
        known = [row for row in rows if row["updated_at"] == earliest]
    return max(known, key=lambda row: (row["updated_at"], text_order(row["canonical"])))


# -------------------------------------------------------------------------------------------------
# Claude Code's logs
# -------------------------------------------------------------------------------------------------

SEVERITIES: dict[str, int] = {
    f"SEVERITY_NUMBER_{name}{step if step > 1 else ''}": first + step - 1
    for name, first in zip(
        ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"), range(1, 25, 4), strict=True
    )
    for step in range(1, 5)
}


@dataclass(frozen=True)
class LogRecord:
    """One log record of Claude Code: its event name, time (microseconds) and attributes."""

    event: str
    at: int
    attributes: dict[str, Any]
    team_id: str | None


def without_defaults(message: dict[str, Any]) -> Row:
    """A protobuf message without fields that have their default, as protobuf itself writes it."""
    return {
        name: value
        for name, value in message.items()
        if value not in (None, "", "0", 0, [], {}) or isinstance(value, bool)
    }


def record_identity(resource: Row, scope: Row, record: Row) -> str:
    """Canonical JSON of a record with its resource and scope; enumerations as numbers."""
    record = dict(record)
    severity = record.get("severityNumber")
    if isinstance(severity, str):
        record["severityNumber"] = SEVERITIES.get(severity, severity)
    parts = [without_defaults(part) for part in (resource, scope, record)]
    return canonical_json(plain_value(parts))


def objects(value: Any) -> list[Row]:
    """The objects of a JSON list; anything else holds none."""
    return [inner for inner in value if isinstance(inner, dict)] if isinstance(value, list) else []


def object_or_empty(value: Any) -> Row:
    """A JSON object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def any_value(value: Any) -> Any:
    """The scalar of an OTLP AnyValue as it was written; lists, maps and bytes give None."""
    for name in ("stringValue", "boolValue", "intValue", "doubleValue"):
        if isinstance(value, dict) and value.get(name) is not None:
            return value[name]
    return None


def attributes_of(message: Row) -> dict[str, Any]:
    """Attribute key -> scalar."""
    return {
        entry["key"]: any_value(entry.get("value"))
        for entry in objects(message.get("attributes"))
        if isinstance(entry.get("key"), str)
    }


def exported_records(request: Row) -> Iterator[tuple[Row, Row, Row]]:
    """(resource, scope, record) of every log record in one export request."""
    for resource_logs in objects(request.get("resourceLogs")):
        scopes = resource_logs.get("scopeLogs", resource_logs.get("instrumentationLibraryLogs"))
        for scope_logs in objects(scopes):
            scope = scope_logs.get("scope", scope_logs.get("instrumentationLibrary"))
            for record in objects(scope_logs.get("logRecords", scope_logs.get("logs"))):
                resource = object_or_empty(resource_logs.get("resource"))
                yield resource, object_or_empty(scope), record


def event_name(record: Row, attributes: dict[str, Any]) -> str:
    """The short name of an event: `api_request`, also where only the body names it."""
    name = attributes.get("event.name") or any_value(record.get("body"))
    return name.removeprefix("claude_code.") if isinstance(name, str) else ""


def record_time(record: Row, attributes: dict[str, Any]) -> int:
    """Microseconds since 1970: the record's time, else when it was observed, else the event's."""
    for name in ("timeUnixNano", "observedTimeUnixNano"):
        nanoseconds = read_field("whole", record.get(name))
        if nanoseconds:
            return plausible(nanoseconds // 1000)
    return read_instant(attributes.get("event.timestamp"))


def stamped_team(attributes: dict[str, Any], resource: Row) -> str | None:
    """The team that a record names, else its resource."""
    said = (attributes.get("team.id"), attributes_of(resource).get("team.id"))
    return next((text for text in (read_field("id", value) for value in said) if text), None)


def claude_code_records(landing: Path) -> list[LogRecord]:
    """Claude Code's log records, identical ones once."""
    found: dict[str, LogRecord] = {}
    for request in landed_objects(landing, "otlp"):
        for resource, scope, record in exported_records(object_or_empty(request)):
            if attributes_of(resource).get("service.name") != "claude-code":
                continue
            attributes = attributes_of(record)
            try:
                identity = record_identity(resource, scope, record)
                at = record_time(record, attributes)
            except Rejected:
                continue
            team_id = stamped_team(attributes, resource)
            found[identity] = LogRecord(event_name(record, attributes), at, attributes, team_id)
    return list(found.values())


@dataclass(frozen=True)
class Point:
    """One metric point of Claude Code about tokens or cost; `series` is all that its points share."""

    metric: str
    series: str
    at: int
    is_cumulative: bool
    value: Decimal
    attributes: dict[str, Any]
    team_id: str | None


USAGE_METRICS = ("claude_code.token.usage", "claude_code.cost.usage")
BUCKETS_OF_TYPES = {
    "input": "uncached", "cacheRead": "cache_read", "cacheCreation": "cache_write",
    "output": "output",
}  # fmt: skip


def exported_points(request: Row) -> Iterator[tuple[Row, Row, Row, Row]]:
    """(resource, scope, metric without points, point) of every sum in one export request."""
    for resource_metrics in objects(request.get("resourceMetrics")):
        resource = object_or_empty(resource_metrics.get("resource"))
        for scope_metrics in objects(resource_metrics.get("scopeMetrics")):
            scope = object_or_empty(scope_metrics.get("scope"))
            for metric in objects(scope_metrics.get("metrics")):
                sums = object_or_empty(metric.get("sum"))
                shared = {
                    "name": metric.get("name"),
                    "temporality": sums.get("aggregationTemporality"),
                }
                for point in objects(sums.get("dataPoints")):
                    yield resource, scope, shared, point


def claude_code_points(landing: Path) -> list[Point]:
    """Claude Code's points about tokens and cost, identical ones once."""
    found: dict[str, Point] = {}
    for request in landed_objects(landing, "otlp"):
        for resource, scope, metric, point in exported_points(object_or_empty(request)):
            if metric["name"] not in USAGE_METRICS:
                continue
            value = point.get("asInt", point.get("asDouble"))
            series = {
                name: point.get(name) for name in ("attributes", "startTimeUnixNano")
            } | metric
            try:
                found[record_identity(resource, scope, metric | point)] = Point(
                    metric=metric["name"],
                    series=record_identity(resource, scope, series),
                    at=plausible(read_whole(point.get("timeUnixNano")) // 1000),
                    is_cumulative=str(metric["temporality"])
                    in ("2", "AGGREGATION_TEMPORALITY_CUMULATIVE"),
                    value=read_decimal(value, places=12, digits=38, text_may_round=True),
                    attributes=attributes_of(point),
                    team_id=stamped_team(attributes_of(point), resource),
                )
            except Rejected:
                continue
    return list(found.values())


def increments(points: list[Point]) -> Iterator[tuple[Point, Decimal]]:
    """What each point adds: a delta itself, of a cumulative series what its value has grown by."""
    last: dict[str, Decimal] = {}
    for point in sorted(points, key=lambda point: (point.at, point.value)):
        before = last.get(point.series, Decimal(0)) if point.is_cumulative else Decimal(0)
        last[point.series] = point.value
        yield point, point.value - before if point.value >= before else point.value


def unit_of(attributes: dict[str, Any]) -> tuple[str, str | None]:
    """What is decided together: a session, else all that an installation sent without one."""
    session_id = read_field("id", attributes.get("session.id"))
    if session_id is not None:
        return "session", session_id
    names = ("user.id", "user.account_uuid", "user.email")
    return "identity", next(filter(None, (attributes.get(name) for name in names)), None)


def metric_rows(
    points: list[Point], records: list[LogRecord], owners: dict[str, set[str]]
) -> Iterator[Row]:
    """One row per instant, model and unit of which no log tells a request."""
    logged = {
        unit_of(log.attributes) for log in records if log.event in ("api_request", "api_error")
    }
    rows: dict[Any, Row] = {}
    for point, increment in increments(points):
        unit = unit_of(point.attributes)
        if unit in logged:
            continue
        model = read_field("id", point.attributes.get("model"))
        row = rows.setdefault(
            (unit, model, point.attributes.get("speed"), point.at),
            {
                "client": "claude_code", "is_request": False, "request_id": None,
                "session_id": read_field("id", point.attributes.get("session.id")),
                "user_id": telemetry_user(point.attributes, owners),
                "sent_email": read_field("id", point.attributes.get("user.email")),
                "agent_id": None, "model": model, "at": point.at, "start": point.at,
                "run_id": None, "organisation_id": None, "agent_instance_id": None,
                "api_key_id": None, "tags": None, "provider": "anthropic", "duration": None,
                "team_id": point.team_id,
                "end": point.at, "is_failed": False, "uncached": None, "cache_read": None,
                "cache_write": None, "output": None, "reported_cost_usd": None,
            },
        )  # fmt: skip
        if point.metric == "claude_code.cost.usage":
            row["reported_cost_usd"] = (row["reported_cost_usd"] or 0) + increment
        else:
            bucket = BUCKETS_OF_TYPES[point.attributes["type"]]
            row[bucket] = (row[bucket] or 0) + int(increment)
    for (_, model, speed, at), row in rows.items():
        read, written = row["cache_read"], row["cache_write"]
        row["estimated_cost_usd"] = list_price(
            "anthropic",
            model,
            at,
            [row["uncached"], read, written, 0 if written is not None else None, row["output"]],
            {"speed": speed} if isinstance(speed, str) else {},
        )
        yield row | {name: row[name] or 0 for name in BUCKETS_OF_TYPES.values()}


def lookup_form(identity: str) -> str:
    """How an identity is compared: an e-mail in lower case, anything else as it is."""
    return identity.lower() if "@" in identity else identity


def owners_by_identity(identities: Iterable[Row], users: Iterable[Row]) -> dict[str, set[str]]:
    """Identity, as compared -> the users that it belongs to."""
    owners: dict[str, set[str]] = defaultdict(set)
    for row in identities:
        if row["user_id"] is not None:
            owners[lookup_form(row["identity"])].add(row["user_id"])
    for row in users:
        if row["email"]:
            owners[row["email"].lower()].add(row["user_id"])
    return owners


def telemetry_user(attributes: dict[str, Any], owners: dict[str, set[str]]) -> str | None:
    """The user whom the first identity that belongs to one user names, else the first one."""
    names = ("user.account_uuid", "user.email", "user.id")
    sent = [text for text in (read_field("id", attributes.get(name)) for name in names) if text]
    for identity in sent:
        users = owners.get(lookup_form(identity), set())
        if len(users) == 1:
            return next(iter(users))
    return lookup_form(sent[0]) if sent else None


def telemetry_request(log: LogRecord, owners: dict[str, set[str]]) -> Row:
    """One api_request or api_error as an LLM request; it is stamped at its end."""

    def tokens(name: str) -> int:
        return read_field("whole", log.attributes.get(name)) or 0

    failed = log.event == "api_error"
    duration = microseconds(read_field("ms", log.attributes.get("duration_ms")))
    model = read_field("id", log.attributes.get("model"))
    names = ("input_tokens", "cache_read_tokens", "cache_creation_tokens", "output_tokens")
    sent = [0 if failed else read_field("whole", log.attributes.get(name)) for name in names]
    speed = log.attributes.get("speed")
    return {
        "client": "claude_code",
        "is_request": True,
        "request_id": read_field("id", log.attributes.get("request_id")),
        "session_id": read_field("id", log.attributes.get("session.id")),
        "user_id": telemetry_user(log.attributes, owners),
        "sent_email": read_field("id", log.attributes.get("user.email")),
        "agent_id": None,
        "run_id": None,
        "organisation_id": None,
        "agent_instance_id": None,
        "api_key_id": None,
        "tags": None,
        "team_id": log.team_id,
        "provider": "anthropic",
        "duration": read_field("ms", log.attributes.get("duration_ms")),
        "model": model,
        "at": log.at,
        "start": log.at - duration,
        "end": log.at,
        "is_failed": failed,
        "uncached": 0 if failed else tokens("input_tokens"),
        "cache_read": 0 if failed else tokens("cache_read_tokens"),
        "cache_write": 0 if failed else tokens("cache_creation_tokens"),
        "output": 0 if failed else tokens("output_tokens"),
        "estimated_cost_usd": list_price(
            "anthropic",
            model,
            log.at,
            [*sent[:3], 0, sent[3]],
            {"speed": speed} if isinstance(speed, str) else {},
        ),
        "reported_cost_usd": (
            Decimal(0) if failed else read_field("money", log.attributes.get("cost_usd"))
        ),
    }


def telemetry_requests(records: list[LogRecord], owners: dict[str, set[str]]) -> Iterator[Row]:
    """The LLM requests among log records; one with an impossible number is left out."""
    for log in records:
        if log.event in ("api_request", "api_error"):
            try:
                yield telemetry_request(log, owners)
            except Rejected:
                continue


def called_tool(log: LogRecord) -> tuple[str | None, str | None]:
    """(MCP server, tool): as the parameters say, else as `mcp__server__tool`, else no server."""
    name = read_field("id", log.attributes.get("tool_name"))
    try:
        said = object_or_empty(json.loads(log.attributes.get("tool_parameters") or "{}"))
    except (TypeError, ValueError):
        said = {}
    server = read_field("id", log.attributes.get("mcp_server_name") or said.get("mcp_server_name"))
    tool = read_field("id", log.attributes.get("mcp_tool_name") or said.get("mcp_tool_name"))
    parts = (name or "").split("__", 2)
    if len(parts) == 3 and parts[0] == "mcp":
        server, tool = server or parts[1], tool or parts[2]
    return server, tool or name


def outcome_of(log: LogRecord) -> str:
    """What became of a call: as its result says, else as the decision about it."""
    if log.event == "tool_result":
        is_failed = log.attributes.get("success") in (False, "false")
        return "failed" if is_failed else "executed"
    if log.attributes.get("decision") != "reject":
        return "unknown"
    source = log.attributes.get("source")
    return "rejected" if isinstance(source, str) and source.startswith("user") else "blocked"


def telemetry_tool_calls(records: list[LogRecord], owners: dict[str, set[str]]) -> Iterator[Row]:
    """Tool results, stamped at their end, and decisions without a result, as points in time.

    An accepted call that has no id cannot be told from its result, and is no call of its own.
    """

    def call(log: LogRecord, duration: int) -> Row:
        mcp_id, tool_name = called_tool(log)
        return {
            "client": "claude_code",
            "call_id": read_field("id", log.attributes.get("tool_use_id")),
            "user_id": telemetry_user(log.attributes, owners),
            "agent_id": None,
            "agent_instance_id": None,
            "organisation_id": None,
            "mcp_id": mcp_id,
            "tool_name": tool_name,
            "outcome": outcome_of(log),
            "policy_id": None,
            "policy_name": None,
            "policy_description": None,
            "session_id": read_field("id", log.attributes.get("session.id")),
            "tool_use_id": read_field("id", log.attributes.get("tool_use_id")),
            "at": log.at,
            "start": log.at - duration,
            "end": log.at,
        }

    with_result: set[tuple[str | None, str | None]] = set()
    for log in records:
        if log.event == "tool_result":
            try:
                row = call(log, microseconds(read_field("ms", log.attributes.get("duration_ms"))))
            except Rejected:
                continue
            with_result.add((row["session_id"], row["tool_use_id"]))
            yield row
    for log in records:
        if log.event == "tool_decision":
            try:
                row = call(log, 0)
            except Rejected:
                continue
            has_result = (row["session_id"], row["tool_use_id"]) in with_result
            is_reject = log.attributes.get("decision") == "reject"
            if is_reject if row["tool_use_id"] is None else not has_result:
                yield row


# -------------------------------------------------------------------------------------------------
# Facts
# -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """All that the reports count: current events, and references as of the report's instant."""

    runs: list[Row]
    requests: list[Row]
    tool_calls: list[Row]
    messages: list[Row]
    credit_lines: list[Row]
    users: dict[str, Row]
    agents: dict[str, Row]
    organisations: dict[str, Row]
    teams: dict[str, Row]
    mcp_servers: dict[str, Row]
    tools: dict[tuple[str, ...], Row]
    agent_instances: dict[str, Row]
    members: frozenset[tuple[str, ...]]
    groups: dict[str, Row]
    api_keys: dict[str, Row]
    created_agents: list[Row]
    chosen_teams: frozenset[str] | None = None


def microseconds(milliseconds: Decimal | None) -> int:
    """Whole microseconds of milliseconds with 3 decimals; none is no time at all."""
    return 0 if milliseconds is None else int(milliseconds * 1000)


def total(values: Iterable[int | None]) -> int:
    """A sum to which null adds nothing."""
    return sum(value for value in values if value is not None)


BUCKETS = (
    "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
    "output_tokens",
)  # fmt: skip


def said_context(row: Row) -> dict[str, str]:
    """What a platform request says beyond the contract of how it was served."""
    record = json.loads(row["canonical"])
    said = {
        name: record[name]
        for name in ("processing", "service_tier", "speed")
        if isinstance(record.get(name), str)
    }
    if said.get("service_tier") == "batch":
        said["processing"] = "batch"
    return said


def list_price(
    provider: str | None,
    model: str | None,
    at: int,
    tokens: list[int | None],
    context: dict[str, str],
) -> Decimal | None:
    """USD by genai-prices itself at an instant, 12 decimals; None without a price or tokens.

    tokens: uncached input, cache read, cache write for 5 minutes and for an hour, output.
    """
    uncached, read, write_5m, write_1h, output = (count or 0 for count in tokens)
    if all(count is None for count in tokens) or not model:
        return None
    instant = EPOCH + timedelta(microseconds=at)
    try:
        seller, found = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    keys = {key for key, price in vars(found.get_prices(instant)).items() if price is not None}
    if keys and not keys & {"input_mtok", "output_mtok"}:
        return None
    if not any(tokens):
        return Decimal(0)
    usage = Usage(
        input_tokens=uncached + read + write_5m + write_1h,
        cache_read_tokens=read,
        cache_write_tokens=write_5m + write_1h,
        cache_write_1h_tokens=write_1h,
        output_tokens=output,
    )
    with localcontext() as exact:
        exact.prec = 60
        price = found.calc_price(
            usage, seller, genai_request_timestamp=instant, price_context=context or None
        )
        return price.total_price.quantize(Decimal(1).scaleb(-12), ROUND_HALF_UP)


def platform_request(row: Row) -> Row:
    """One llm_requests row in the form that telemetry requests have too."""
    at = row["requested_at"]
    return {
        "client": "platform",
        "is_request": True,
        "request_id": row["request_id"],
        "run_id": row["run_id"],
        "session_id": row["session_id"],
        "user_id": row["user_id"],
        "sent_email": None,
        "agent_id": row["agent_id"],
        "organisation_id": row["organisation_id"],
        "agent_instance_id": row["agent_instance_id"],
        "api_key_id": row["api_key_id"],
        "tags": row["tags"],
        "team_id": row["team_id"],
        "provider": row["provider"],
        "duration": row["duration_ms"],
        "model": row["model"],
        "at": at,
        "start": at,
        "end": at + microseconds(row["duration_ms"]),
        "is_failed": row["status"] == "failed",
        "uncached": row["input_tokens"] or 0,
        "cache_read": row["cache_read_tokens"] or 0,
        "cache_write": total((row["cache_write_5m_tokens"], row["cache_write_1h_tokens"])),
        "output": row["output_tokens"] or 0,
        "estimated_cost_usd": list_price(
            row["provider"], row["model"], at, [row[name] for name in BUCKETS], said_context(row)
        ),
        "reported_cost_usd": row["reported_cost_usd"],
    }


def all_tokens(request: Row) -> int:
    """All buckets of a request, in and out."""
    return total(request[name] for name in ("uncached", "cache_read", "cache_write", "output"))


def platform_tool_call(row: Row) -> Row:
    """One tool_calls row with its start and end."""
    at = row["called_at"]
    names = (
        "call_id", "user_id", "agent_id", "agent_instance_id", "organisation_id", "mcp_id",
        "tool_name", "outcome", "policy_id", "policy_name", "policy_description",
    )  # fmt: skip
    return {name: row[name] for name in names} | {
        "client": "platform",
        "session_id": row["session_id"],
        "at": at,
        "start": at,
        "end": at + microseconds(row["duration_ms"]),
    }


def run_latency(row: Row) -> int | None:
    """Microseconds: latency_ms, else ended_at - started_at unless negative, else None."""
    if row["latency_ms"] is not None:
        return microseconds(row["latency_ms"])
    if row["ended_at"] is None or row["ended_at"] < row["started_at"]:
        return None
    return row["ended_at"] - row["started_at"]


def run_end(row: Row) -> int:
    """When a run ended: ended_at, else latency_ms after its start, else at its start."""
    if row["ended_at"] is not None:
        return row["ended_at"]
    return row["started_at"] + microseconds(row["latency_ms"])


def run_with_requests(row: Row, requests: list[Row]) -> Row:
    """One run with its tokens, model and latency; `requests` are those of the run."""
    if requests:
        tokens_in = total(all_tokens(request) - request["output"] for request in requests)
        tokens_out = total(request["output"] for request in requests)
    else:
        names = ("input_tokens", "cache_read_tokens", "cache_write_tokens")
        tokens_in = total(row[name] for name in names)
        tokens_out = row["output_tokens"] or 0
    model = row["model"]
    if model is None:
        model = most_used((request["model"], all_tokens(request)) for request in requests)
    known = {
        name: [request[name] for request in requests if request[name] is not None]
        for name in ("estimated_cost_usd", "reported_cost_usd")
    }
    return {
        **{name: sum(costs) if costs else None for name, costs in known.items()},
        "client": "platform",
        "provider": row["provider"],
        "run_id": row["run_id"],
        "agent_id": row["agent_id"],
        "user_id": row["user_id"],
        "organisation_id": row["organisation_id"],
        "session_id": row["session_id"],
        "is_failed": row["status"] == "failed",
        "model": model,
        "tokens_in": tokens_in,
        "tokens_out": tokens_out,
        "latency": run_latency(row),
        "at": row["started_at"],
        "start": row["started_at"],
        "end": run_end(row),
    }


def most_used(named_tokens: Iterable[tuple[str | None, int]]) -> str | None:
    """The name that occurs most, then the one with more tokens, then the smaller; None if none."""
    counts: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    for name, amount in named_tokens:
        if name is not None:
            counts[name] += 1
            tokens[name] += amount
    return min(
        counts,
        key=lambda name: (-counts[name], -tokens[name], text_order(name)),
        default=None,
    )


def load_facts(landing: Path, as_of: int) -> Facts:
    """Everything that landed, typed, with one row an event."""
    users = reference_versions(landing, "users", as_of)
    identities = reference_versions(landing, "user_identities", as_of)
    owners = owners_by_identity(identities.values(), users.values())
    records = claude_code_records(landing)

    platform = [platform_request(row) for row in current_events(landing, "llm_requests").values()]
    platform_ids = {row["request_id"] for row in platform}
    telemetry = [
        row
        for row in telemetry_requests(records, owners)
        if row["request_id"] is None or row["request_id"] not in platform_ids
    ]
    telemetry += metric_rows(claude_code_points(landing), records, owners)
    requests_by_run: dict[str | None, list[Row]] = defaultdict(list)
    for request in platform:
        requests_by_run[request["run_id"]].append(request)
    runs = [
        run_with_requests(row, requests_by_run.get(run_id, []))
        for run_id, row in current_events(landing, "agent_runs").items()
    ]
    calls = [platform_tool_call(row) for row in current_events(landing, "tool_calls").values()]
    agents = reference_versions(landing, "agents", as_of)
    return Facts(
        runs=runs,
        requests=platform + telemetry,
        tool_calls=calls + list(telemetry_tool_calls(records, owners)),
        messages=list(current_events(landing, "conversation_messages").values()),
        credit_lines=consumption_lines(
            current_events(landing, "credit_lines").values(), {row["run_id"]: row for row in runs}
        ),
        users=users,
        agents=agents,
        created_agents=list(agents.values()),
        organisations=reference_versions(landing, "organisations", as_of),
        teams=reference_versions(landing, "teams", as_of),
        groups=reference_versions(landing, "groups", as_of),
        api_keys=reference_versions(landing, "api_keys", as_of),
        mcp_servers=reference_versions(landing, "mcp_servers", as_of),
        tools=keyed_versions(landing, "tools", as_of, ("mcp_id", "tool_name")),
        agent_instances=reference_versions(landing, "agent_instances", as_of),
        members=frozenset(
            keys
            for keys, row in keyed_versions(
                landing, "group_members", as_of, ("group_id", "user_id")
            ).items()
            if row["is_member"]
        ),
    )


def consumption_lines(lines: Iterable[Row], runs: dict[str, Row]) -> list[Row]:
    """Credit lines but for grants; agent and user are the line's own, else its run's."""
    consumed = []
    for line in lines:
        if line["kind"] != "grant":
            run = runs.get(line["run_id"], {"agent_id": None, "user_id": None})
            agent_id = line["agent_id"] if line["agent_id"] is not None else run["agent_id"]
            user_id = line["user_id"] if line["user_id"] is not None else run["user_id"]
            consumed.append(line | {"agent_id": agent_id, "user_id": user_id})
    return consumed


# -------------------------------------------------------------------------------------------------
# Windows
# -------------------------------------------------------------------------------------------------

REPORTS_PAGE = (
    "this_week", "this_month", "last_week", "last_month", "last_7_days", "last_30_days",
    "last_3_months", "last_6_months", "last_12_months",
)  # fmt: skip
ANALYTICS_PAGE = (
    "last_1_hour", "last_24_hours", "last_7_days", "last_30_days", "last_90_days",
    "today", "this_week", "this_month", "this_quarter", "this_year",
)  # fmt: skip
BILLING_PAGE = ("last_24_hours", "last_72_hours", "last_30_days", "last_12_months")

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def months_before(wall: datetime, months: int) -> datetime:
    """The same wall time some months earlier; a day that the month lacks becomes its last."""
    number = wall.year * 12 + wall.month - 1 - months
    first = wall.replace(year=number // 12, month=number % 12 + 1, day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return first.replace(day=min(wall.day, (following - timedelta(days=1)).day))


def local_instant(wall: datetime, zone: ZoneInfo) -> int:
    """Microseconds since 1970 of a local wall time; fold=0 is the first of two, and moves forward
    by the length of the gap where there is none."""
    return micros(wall.replace(tzinfo=zone, fold=0))


def window_of(timeframe: str, as_of: datetime, zone: ZoneInfo, week_start: str) -> Window:
    """[start, end) of a timeframe, in microseconds since 1970; `as_of` is aware."""
    end = micros(as_of)
    wall = as_of.astimezone(zone).replace(tzinfo=None, fold=0)
    midnight = datetime.combine(wall.date(), time())
    first_of_month = midnight.replace(day=1)
    week_days = (midnight.weekday() - WEEKDAYS.index(week_start.lower())) % 7
    first_of_week = midnight - timedelta(days=week_days)

    trailing = re.fullmatch(r"last_(\d+)_(hour|day|month)s?", timeframe)
    if trailing:
        count, unit = int(trailing[1]), trailing[2]
        if unit == "hour":
            return end - count * 3_600_000_000, end
        start = wall - timedelta(days=count) if unit == "day" else months_before(wall, count)
        return local_instant(start, zone), end
    if timeframe == "last_week":
        start, stop = first_of_week - timedelta(days=7), first_of_week
        return local_instant(start, zone), local_instant(stop, zone)
    if timeframe == "last_month":
        start, stop = months_before(first_of_month, 1), first_of_month
        return local_instant(start, zone), local_instant(stop, zone)
    starts = {
        "today": midnight,
        "this_week": first_of_week,
        "this_month": first_of_month,
        "this_quarter": first_of_month.replace(month=(wall.month - 1) // 3 * 3 + 1),
        "this_year": first_of_month.replace(month=1),
    }
    return local_instant(starts[timeframe], zone), end


def previous_window_of(timeframe: str, as_of: datetime, zone: ZoneInfo, week_start: str) -> Window:
    """[start, end) of the period that a timeframe is compared with."""
    start, end = window_of(timeframe, as_of, zone, week_start)
    wall = as_of.astimezone(zone).replace(tzinfo=None, fold=0)
    trailing = re.fullmatch(r"last_(\d+)_(hour|day|month)s?", timeframe)
    if trailing:
        count, unit = 2 * int(trailing[1]), trailing[2]
        if unit == "hour":
            return end - count * 3_600_000_000, start
        earlier = wall - timedelta(days=count) if unit == "day" else months_before(wall, count)
        return local_instant(earlier, zone), start
    first = (EPOCH + timedelta(microseconds=start)).astimezone(zone).replace(tzinfo=None)
    midnight = datetime.combine(first.date(), time())
    months = {"this_month": 1, "last_month": 1, "this_quarter": 3, "this_year": 12}
    if timeframe in months:
        before = months_before(midnight, months[timeframe])
    else:
        before = midnight - timedelta(days=1 if timeframe == "today" else 7)
    if timeframe in ("last_week", "last_month"):
        return local_instant(before, zone), start
    into_period = wall - midnight
    previous_start = local_instant(before, zone)
    return previous_start, max(
        previous_start, min(local_instant(before + into_period, zone), start)
    )


def within(rows: Iterable[Row], window: Window, field: str = "at") -> list[Row]:
    """The rows whose instant lies in the window; one without an instant lies in none."""
    start, end = window
    return [row for row in rows if row[field] is not None and start <= row[field] < end]


# -------------------------------------------------------------------------------------------------
# Numbers
# -------------------------------------------------------------------------------------------------


def fixed(value: Fraction | Decimal | int | None, places: int) -> str:
    """Decimal text with all its places, rounded exactly, half away from zero; None is empty."""
    if value is None:
        return ""
    scaled = Fraction(value) * 10**places
    whole = (2 * abs(scaled.numerator) + scaled.denominator) // (2 * scaled.denominator)
    digits = str(whole).rjust(places + 1, "0")
    sign = "-" if scaled < 0 and whole else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def share(part: int | Fraction, whole: int | Fraction) -> Fraction | None:
    """part / whole, None of nothing."""
    return Fraction(part) / Fraction(whole) if whole else None


def amount(values: Iterable[Decimal]) -> Fraction:
    """The exact sum of amounts; of none it is 0."""
    return sum((Fraction(value) for value in values), Fraction(0))


def percentile_cont(values: Iterable[int | Fraction], fraction: Fraction) -> Fraction:
    """The exact percentile of one or more values, interpolated linearly."""
    ordered = sorted(values)
    position = fraction * (len(ordered) - 1)
    low = math.floor(position)
    high = math.ceil(position)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def p95_milliseconds(latencies: Iterable[int]) -> str:
    """P95 of microseconds as milliseconds with 3 decimals; "" of none."""
    return percentile_text([Fraction(latency, 1000) for latency in latencies], Fraction(95, 100), 3)


def percentile_text(values: list[Fraction], fraction: Fraction, places: int) -> str:
    """The exact percentile, rounded half away from zero; "" of none."""
    return fixed(percentile_cont(values, fraction), places) if values else ""


# -------------------------------------------------------------------------------------------------
# Cells and order
# -------------------------------------------------------------------------------------------------

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")


def text_cell(text: str | None) -> str:
    """A text cell; one that a spreadsheet would run gets an apostrophe in front."""
    if text is None:
        return ""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def flag_cell(flag: bool) -> str:
    """true or false."""
    return "true" if flag else "false"


def in_csv_order(rows: list[tuple[Any, list[str], Cells]]) -> list[Cells]:
    """The cells of (figure, keys, cells): figure descending, then keys ascending as bytes."""
    ordered = sorted(rows, key=lambda row: (-row[0], [text_order(key) for key in row[1]]))
    return [cells for _, _, cells in ordered]


def grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """Rows by key, in the order that they came."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def owner_of(field: str) -> Callable[[Row], str]:
    """A key function: the id in a field, `(unattributed)` where there is none."""
    return lambda row: UNATTRIBUTED if row[field] is None else row[field]


# -------------------------------------------------------------------------------------------------
# Reports: each takes the facts and a window and returns the rows of one CSV file
# -------------------------------------------------------------------------------------------------


def named(entities: dict[str, Row], entity_id: str, field: str) -> str | None:
    """The name of an entity: `(unattributed)` for no id, None for an unknown one."""
    if entity_id == UNATTRIBUTED:
        return UNATTRIBUTED
    return entities[entity_id][field] if entity_id in entities else None


def attribute(entities: dict[str, Row], entity_id: str, field: str) -> str | None:
    """Another attribute of an entity, None for an unknown one."""
    return entities[entity_id][field] if entity_id in entities else None


def usage_by_agent(facts: Facts, window: Window) -> list[Cells]:
    """One row per agent with a run or a credit line in the window."""
    runs_by_agent = grouped(within(facts.runs, window), owner_of("agent_id"))
    lines = within(facts.credit_lines, window, "occurred_at")
    lines_by_agent = grouped(lines, owner_of("agent_id"))
    rows = []
    for agent_id in runs_by_agent.keys() | lines_by_agent.keys():
        runs = runs_by_agent.get(agent_id, [])
        in_sessions = [run["session_id"] for run in runs if run["session_id"] is not None]
        sessions = len(set(in_sessions))
        latencies = [run["latency"] for run in runs if run["latency"] is not None]
        failed = sum(run["is_failed"] for run in runs)
        model = most_used((run["model"], run["tokens_in"] + run["tokens_out"]) for run in runs)
        credits = amount(line["credits"] for line in lines_by_agent.get(agent_id, []))
        cells = {
            "agent_name": text_cell(named(facts.agents, agent_id, "name")),
            "agent_id": text_cell(agent_id),
            "model_used": text_cell(model),
            "agent_type": text_cell(attribute(facts.agents, agent_id, "agent_type")),
            "total_runs": str(len(runs)),
            "total_sessions": str(sessions),
            "avg_runs_per_session": fixed(share(len(in_sessions), sessions), 6),
            "credits_consumed": fixed(credits, 12),
            "input_tokens_total": str(total(run["tokens_in"] for run in runs)),
            "output_tokens_total": str(total(run["tokens_out"] for run in runs)),
            "avg_latency_ms": fixed(share(sum(latencies), 1000 * len(latencies)), 3),
            "p95_latency_ms": p95_milliseconds(latencies),
            "error_rate": fixed(share(failed, len(runs)), 6),
        }
        rows.append((len(runs), [agent_id], cells))
    return in_csv_order(rows)


def usage_by_user(facts: Facts, window: Window) -> list[Cells]:
    """One row per user with a run, an agent created or a credit line in the window."""
    runs_by_user = grouped(within(facts.runs, window), owner_of("user_id"))
    lines = within(facts.credit_lines, window, "occurred_at")
    lines_by_user = grouped(lines, owner_of("user_id"))
    created = within(facts.created_agents, window, "created_at")
    agents_by_user = grouped(created, owner_of("created_by"))
    rows = []
    for user_id in runs_by_user.keys() | lines_by_user.keys() | agents_by_user.keys():
        runs = runs_by_user.get(user_id, [])
        credits = amount(line["credits"] for line in lines_by_user.get(user_id, []))
        cells = {
            "user_email": text_cell(named(facts.users, user_id, "email")),
            "role": text_cell(attribute(facts.users, user_id, "role")),
            "user_id": text_cell(user_id),
            "total_runs": str(len(runs)),
            "agents_created": str(len(agents_by_user.get(user_id, []))),
            "credits_consumed": fixed(credits, 12),
            "input_tokens_total": str(total(run["tokens_in"] for run in runs)),
            "output_tokens_total": str(total(run["tokens_out"] for run in runs)),
        }
        rows.append((len(runs), [user_id], cells))
    return in_csv_order(rows)


def commonest(values: Iterable[str | None]) -> str | None:
    """The text that occurs most, ties the smaller; None if there is none."""
    return most_used((value, 0) for value in values)


@dataclass(frozen=True)
class Session:
    """One row of session_metrics before it is written: its requests and figures.

    `figures` holds cost (USD, None where unknown), tokens, duration (microseconds) and requests
    (None where metrics alone tell of the session).
    """

    client: str
    session_id: str
    requests: list[Row]
    started_at: int
    ended_at: int
    figures: dict[str, int | Fraction | None]


def known_sum(requests: list[Row], name: str) -> Fraction | None:
    """The sum of the amounts that are known; None where none is."""
    known = [request[name] for request in requests if request[name] is not None]
    return amount(known) if known else None


def sessions_in(facts: Facts, window: Window) -> list[Session]:
    """Every (client, session) with requests or metrics in it; no session is `(unattributed)`."""

    def session_key(row: Row) -> tuple[str, str | None]:
        return row["client"], row["session_id"]

    requests_by_session = grouped(within(facts.requests, window), session_key)
    others = within(facts.tool_calls, window) + within(facts.runs, window)
    others_by_session = grouped(others, session_key)
    sessions = []
    for (client, session_id), requests in requests_by_session.items():
        records = requests + others_by_session.get((client, session_id), [])
        started_at = min(record["start"] for record in records)
        ended_at = max(record["end"] for record in records)
        figures = {
            "cost": known_sum(requests, "estimated_cost_usd"),
            "tokens": total(all_tokens(request) for request in requests),
            "duration": ended_at - started_at,
            "requests": sum(request["is_request"] for request in requests) or None,
        }
        name = UNATTRIBUTED if session_id is None else session_id
        sessions.append(Session(client, name, requests, started_at, ended_at, figures))
    return sessions


@dataclass(frozen=True)
class Typical:
    """The exact median and P95 of one figure over the sessions that others are compared with."""

    median: Fraction
    p95: Fraction


def typical_figures(sessions: list[Session]) -> dict[str, Typical]:
    """Figure name -> what is typical; without figures that have under 2 sessions or median 0."""
    named_sessions = [session for session in sessions if session.session_id != UNATTRIBUTED]
    typical: dict[str, Typical] = {}
    for name in ("cost", "tokens", "duration", "requests"):
        figures = [
            session.figures[name] for session in named_sessions if session.figures[name] is not None
        ]
        if len(figures) >= 2:
            median = percentile_cont(figures, Fraction(1, 2))
            if median > 0:
                typical[name] = Typical(median, percentile_cont(figures, Fraction(95, 100)))
    return typical


def comparison_cells(session: Session, typical: dict[str, Typical], name: str) -> tuple[str, str]:
    """Ratio to the median, and whether at or above P95; empty where nothing is typical."""
    is_known = session.figures[name] is not None
    if name not in typical or session.session_id == UNATTRIBUTED or not is_known:
        return "", ""
    ratio = Fraction(session.figures[name]) / typical[name].median
    return fixed(ratio, 6), flag_cell(session.figures[name] >= typical[name].p95)


def session_email(session: Session, user_id: str | None, users: dict[str, Row]) -> str | None:
    """The e-mail of the session's user, else the greatest that the client sent for that user."""
    if user_id in users and users[user_id]["email"]:
        return users[user_id]["email"]
    sent = {
        request["sent_email"] for request in session.requests if request["user_id"] == user_id
    } - {None}
    return max(sent, key=text_order, default=None)


def session_metrics(facts: Facts, window: Window) -> list[Cells]:
    """One row per client and session with an LLM request in the window."""
    sessions = sessions_in(facts, window)
    typical = typical_figures(sessions)
    rows = []
    for session in sessions:
        cells = session_cells(session, typical, facts.users)
        keys = [session.client, session.session_id]
        rows.append((session.figures["requests"] or -1, keys, cells))
    return in_csv_order(rows)


def session_cells(session: Session, typical: dict[str, Typical], users: dict[str, Row]) -> Cells:
    """The cells of one session."""
    requests = session.requests
    is_one = session.session_id != UNATTRIBUTED
    user_id = commonest(request["user_id"] for request in requests if is_one)
    models = {request["model"] for request in requests} - {None}
    count = session.figures["requests"]
    failed = sum(request["is_failed"] for request in requests)
    cost_ratio, is_top_cost = comparison_cells(session, typical, "cost")
    tokens_ratio, is_top_tokens = comparison_cells(session, typical, "tokens")
    duration_ratio, is_top_duration = comparison_cells(session, typical, "duration")
    requests_ratio, is_top_requests = comparison_cells(session, typical, "requests")
    return {
        "session_id": text_cell(session.session_id),
        "client": text_cell(session.client),
        "user_id": text_cell(user_id),
        "user_email": text_cell(session_email(session, user_id, users)),
        "agent_id": text_cell(commonest(request["agent_id"] for request in requests if is_one)),
        "started_at": instant_text(session.started_at),
        "ended_at": instant_text(session.ended_at),
        "models_used": text_cell(", ".join(sorted(models, key=text_order))),
        "has_timeline": flag_cell(count is not None),
        "request_count": "" if count is None else str(count),
        "failed_requests": "" if count is None else str(failed),
        "uncached_input_tokens": str(total(request["uncached"] for request in requests)),
        "cache_read_tokens": str(total(request["cache_read"] for request in requests)),
        "cache_write_tokens": str(total(request["cache_write"] for request in requests)),
        "output_tokens": str(total(request["output"] for request in requests)),
        "total_tokens": str(session.figures["tokens"]),
        "duration_ms": fixed(Fraction(session.figures["duration"], 1000), 3),
        "estimated_cost_usd": fixed(session.figures["cost"], 12),
        "reported_cost_usd": fixed(known_sum(requests, "reported_cost_usd"), 12),
        "cost_ratio_to_median": cost_ratio,
        "tokens_ratio_to_median": tokens_ratio,
        "duration_ratio_to_median": duration_ratio,
        "requests_ratio_to_median": requests_ratio,
        "is_top_5_percent_cost": is_top_cost,
        "is_top_5_percent_tokens": is_top_tokens,
        "is_top_5_percent_duration": is_top_duration,
        "is_top_5_percent_requests": is_top_requests,
    }


def lines_by_conversation(facts: Facts, window: Window) -> dict[str, list[Row]]:
    """The credit lines of each conversation in the window, by (occurred_at, line_id)."""
    lines = within(facts.credit_lines, window, "occurred_at")
    lines.sort(key=lambda line: (line["occurred_at"], text_order(line["line_id"])))
    return grouped(lines, owner_of("conversation_id"))


def billing_conversation_lines(facts: Facts, window: Window) -> list[Cells]:
    """One row per credit line in the window that is no grant."""
    rows = []
    for conversation_id, lines in lines_by_conversation(facts, window).items():
        running_total = Fraction(0)
        for line in lines:
            running_total += Fraction(line["credits"])
            cells = {
                "conversation_id": text_cell(conversation_id),
                "line_id": text_cell(line["line_id"]),
                "occurred_at": instant_text(line["occurred_at"]),
                "category": text_cell(line["category"]),
                "description": text_cell(line["description"]),
                "credits": fixed(line["credits"], 12),
                "running_total": fixed(running_total, 12),
            }
            rows.append((Fraction(line["credits"]), [conversation_id, line["line_id"]], cells))
    return in_csv_order(rows)


def billing_conversations(facts: Facts, window: Window) -> list[Cells]:
    """One row per conversation with a credit line in the window that is no grant."""
    messages = within(facts.messages, window, "sent_at")
    messages_by_conversation = grouped(messages, lambda message: message["conversation_id"])
    rows = []
    for conversation_id, lines in lines_by_conversation(facts, window).items():
        is_known = conversation_id != UNATTRIBUTED
        sent = messages_by_conversation.get(conversation_id, []) if is_known else []
        instants = [line["occurred_at"] for line in lines]
        instants += [message["sent_at"] for message in sent]
        agent_id = commonest(line["agent_id"] for line in lines if is_known) or UNATTRIBUTED
        credits = amount(line["credits"] for line in lines)
        cells = {
            "conversation_id": text_cell(conversation_id),
            "agent_id": text_cell(agent_id),
            "agent_name": text_cell(named(facts.agents, agent_id, "name")),
            "last_activity_at": instant_text(max(instants)),
            "total_credits": fixed(credits, 12),
            "message_count": str(len(sent)),
        }
        rows.append((credits, [conversation_id], cells))
    return in_csv_order(rows)


WINDOW_REPORTS: dict[str, tuple[Callable[[Facts, Window], list[Cells]], tuple[str, ...]]] = {
    "usage_by_agent": (usage_by_agent, REPORTS_PAGE),
    "usage_by_user": (usage_by_user, REPORTS_PAGE),
    "session_metrics": (session_metrics, ANALYTICS_PAGE),
    "billing_conversation_lines": (billing_conversation_lines, BILLING_PAGE),
    "billing_conversations": (billing_conversations, BILLING_PAGE),
}


def expected_reports(
    landing: Path, as_of: datetime, timezone: str = "UTC", week_start: str = "monday"
) -> dict[tuple[str, str], list[dict[str, str]]]:
    """(report, timeframe) -> the rows of that CSV file in order, each column -> cell text.

    `landing` is the tree of raw files, `as_of` the instant that reports look back from (naive means
    UTC), `timezone` an IANA name and `week_start` a weekday in English.
    """
    from tests import oracle_reports  # imports this module

    instant = as_of if as_of.tzinfo is not None else as_of.replace(tzinfo=UTC)
    facts = load_facts(landing, micros(instant))
    clock = oracle_reports.Clock(instant, ZoneInfo(timezone), week_start)
    return {
        (report, timeframe): oracle_reports.rows_of(facts, report, clock, timeframe)
        for report, page in oracle_reports.PAGE_OF.items()
        for timeframe in oracle_reports.TIMEFRAMES[page]
    }


def main() -> None:
    """Print how many rows every report has: `python -m tests.oracle LANDING AS_OF`."""
    if len(sys.argv) != 3:
        raise SystemExit("usage: python -m tests.oracle LANDING AS_OF, e.g. 2026-11-21T00:00:00Z")
    reports = expected_reports(Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]))
    for (report, timeframe), rows in reports.items():
        print(f"{report:28} {timeframe:16} {len(rows):8}")


if __name__ == "__main__":
    main()
