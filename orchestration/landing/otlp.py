"""OpenTelemetry export requests as JSON lines: one row a log record, span or metric point.

A record's identity is the hash of its canonical JSON with resource and scope, taken before content
(prompts, completions, arguments, commands) is left out.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

from orchestration.landing.content import LONGEST_TEXT, is_content
from orchestration.landing.decode import (
    AMOUNT_PLACES,
    DECIMAL_TEXT,
    LATENCY_PLACES,
    WHOLE_TEXT,
    Rejection,
    plain_number,
)
from orchestration.landing.rules import AMOUNT_LIMIT, LATENCY_LIMIT, WHOLE_LIMIT

EPOCH = datetime(1970, 1, 1)
FIRST_INSTANT, LAST_INSTANT = datetime(2000, 1, 1), datetime(2100, 1, 1)

# What may be read out of Claude Code's tool_parameters, whose other members are commands.
TOOL_PARAMETERS = ("mcp_server_name", "mcp_tool_name", "skill_name", "subagent_type")

# Attributes of usage records whose values are counted: a record with another value is rejected.
WHOLE_ATTRIBUTES = {
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens", "attempt",
}  # fmt: skip
LATENCY_ATTRIBUTES = {"duration_ms"}
AMOUNT_ATTRIBUTES = {"cost_usd"}

ENUMERATIONS = {
    "kind": ("SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER",
             "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"),
    "code": ("STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"),
    "aggregationTemporality": ("AGGREGATION_TEMPORALITY_UNSPECIFIED",
                               "AGGREGATION_TEMPORALITY_DELTA",
                               "AGGREGATION_TEMPORALITY_CUMULATIVE"),
    "severityNumber": ("SEVERITY_NUMBER_UNSPECIFIED", *(
        f"SEVERITY_NUMBER_{level}{step}"
        for level in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
        for step in ("", "2", "3", "4"))),
}  # fmt: skip
POINT_KINDS = ("sum", "gauge", "histogram", "exponentialHistogram", "summary")
EXPORT_KEYS = ("resourceLogs", "resourceSpans", "resourceMetrics")


@dataclass
class Record:
    """One row of raw.otlp, but for where it stands; the fields are that table's columns."""

    record_id: str
    signal: str
    service_name: str | None
    scope_name: str | None
    record_name: str | None
    recorded_at: datetime
    started_at: datetime | None
    trace_id: str | None
    span_id: str | None
    parent_span_id: str | None
    attributes: dict[str, str]
    resource: dict[str, str]
    details: str | None
    rounded_amounts: int


def records(request: dict[str, Any], keeps_content: bool) -> Iterator[Record | Rejection]:
    """The records of one export request in their order; raises Rejection for another object."""
    if not any(key in request for key in EXPORT_KEYS):
        raise Rejection(
            "not_an_export_request",
            "the line has none of resourceLogs, resourceSpans and resourceMetrics",
        )
    for signal, resource, scope, record in _walk(request):
        try:
            yield _record(signal, resource, scope, record, keeps_content)
        except Rejection as rejection:
            yield rejection
        except (ArithmeticError, ValueError, TypeError, AttributeError, RecursionError) as error:
            yield Rejection("wrong_type", f"the record is malformed: {str(error)[:120]}")


def _walk(request: dict[str, Any]) -> Iterator[tuple[str, dict, dict, dict]]:
    for resource, scope, group in _groups(request, "Logs"):
        for record in _objects(group, "logRecords") or _objects(group, "logs"):
            yield "log", resource, scope, record
    for resource, scope, group in _groups(request, "Spans"):
        for span in _objects(group, "spans"):
            yield "span", resource, scope, span
    for resource, scope, group in _groups(request, "Metrics"):
        for metric in _objects(group, "metrics"):
            for kind in POINT_KINDS:
                series = _object(metric, kind)
                shared = {
                    **{key: metric[key] for key in ("name", "unit") if key in metric},
                    **{key: value for key, value in series.items() if key != "dataPoints"},
                    "type": kind,
                }
                for point in _objects(series, "dataPoints"):
                    yield "metric", resource, scope, {**shared, **point}


def _groups(request: dict[str, Any], signal: str) -> Iterator[tuple[dict, dict, dict]]:
    """Resource, scope and group of records; older collectors speak of instrumentation libraries."""
    for entry in _objects(request, f"resource{signal}"):
        resource = _object(entry, "resource")
        for group in _objects(entry, f"scope{signal}"):
            yield resource, _object(group, "scope"), group
        for group in _objects(entry, f"instrumentationLibrary{signal}"):
            yield resource, _object(group, "instrumentationLibrary"), group


def _objects(parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = parent.get(key) or []
    if not isinstance(value, list) or any(not isinstance(item, dict) for item in value):
        raise Rejection("wrong_type", f"{key} is not a list of objects")
    return value


def _object(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key) or {}
    if not isinstance(value, dict):
        raise Rejection("wrong_type", f"{key} is not an object")
    return value


def _record(
    signal: str,
    resource: dict[str, Any],
    scope: dict[str, Any],
    record: dict[str, Any],
    keeps_content: bool,
) -> Record:
    attributes = _attributes(record)
    of_resource = _attributes(resource)
    kept, rounded = _texts(attributes, keeps_content)
    return Record(
        record_id=_identity(resource, scope, record),
        signal=signal,
        service_name=_valid_text("service.name", of_resource.get("service.name")),
        scope_name=_valid_text("scope", scope.get("name")),
        record_name=_name(signal, record, attributes),
        recorded_at=_recorded_at(signal, record, attributes),
        started_at=_instant(record.get("startTimeUnixNano")),
        trace_id=_valid_text("traceId", record.get("traceId")),
        span_id=_valid_text("spanId", record.get("spanId")),
        parent_span_id=_valid_text("parentSpanId", record.get("parentSpanId")),
        attributes=kept,
        resource=_texts(of_resource, keeps_content)[0],
        details=_details(record, keeps_content),
        rounded_amounts=rounded,
    )


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a record, resource or scope, each as a plain value."""
    return {
        str(item.get("key")): _plain(_object(item, "value"))
        for item in _objects(holder, "attributes")
    }


def _plain(value: dict[str, Any]) -> Any:
    """An AnyValue as text, int, float, bool, list, dict, or None where it is empty."""
    for kind, content in value.items():
        if kind == "intValue":
            return _whole(content)
        if kind == "doubleValue":
            return float(content)
        if kind == "arrayValue":
            return [_plain(item) for item in _objects(_object(value, kind), "values")]
        if kind == "kvlistValue":
            return {
                str(item.get("key")): _plain(_object(item, "value"))
                for item in _objects(_object(value, kind), "values")
            }
        return content
    return None


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]+", str(value)):
        raise Rejection("not_whole_number", f"an intValue is {str(value)[:60]!r}")
    return int(value)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return plain_number(value)
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return str(value)


def _texts(values: dict[str, Any], keeps_content: bool) -> tuple[dict[str, str], int]:
    """Attributes as texts without content, and how many amounts were rounded."""
    kept: dict[str, str] = {}
    rounded = 0
    for name, value in values.items():
        if name == "tool_parameters" and isinstance(value, str):
            kept.update(_tool_parameters(value))
        if name in WHOLE_ATTRIBUTES | LATENCY_ATTRIBUTES | AMOUNT_ATTRIBUTES and value is not None:
            kept[name], was_rounded = _number(name, value)
            rounded += was_rounded
        elif keeps_content or not _is_content(name, value):
            text = _text(value)
            if text:
                kept[_valid("an attribute's name", name)] = _valid(name, text)
    return dict(sorted(kept.items())), rounded


def _valid_text(name: str, value: Any) -> str | None:
    text = _text(value)
    return _valid(name, text) if text else None


def _valid(name: str, text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Rejection("not_utf8", f"{name} holds half of a surrogate pair") from error
    return text


def _is_content(name: str, value: Any) -> bool:
    if isinstance(value, (bool, int, float)) or value is None:
        return False
    return is_content(name, _text(value) or "")


def _tool_parameters(text: str) -> dict[str, str]:
    try:
        parameters = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(parameters, dict):
        return {}
    return {
        name: _valid(name, parameters[name])
        for name in TOOL_PARAMETERS
        if isinstance(parameters.get(name), str) and len(parameters[name]) <= LONGEST_TEXT
    }


def _number(name: str, value: Any) -> tuple[str, bool]:
    """A counted attribute as plain decimal text, and whether it was rounded; raises Rejection."""
    text = value.strip() if isinstance(value, str) else _text(value) or ""
    if not DECIMAL_TEXT.fullmatch(text):
        raise Rejection("not_a_number", f"{name} is {text[:60]!r}, not a number")
    number = Decimal(text)
    if number < 0:
        raise Rejection("negative", f"{name} is {text[:60]}, which is negative")
    limit = LATENCY_LIMIT if name in LATENCY_ATTRIBUTES else AMOUNT_LIMIT
    if number > (WHOLE_LIMIT if name in WHOLE_ATTRIBUTES else limit):
        raise Rejection("out_of_range", f"{name} is {text[:60]}, which is out of range")
    if name in WHOLE_ATTRIBUTES:
        if not WHOLE_TEXT.fullmatch(text):
            raise Rejection("not_whole_number", f"{name} is {text[:60]}, not a whole number")
        return str(int(number)), False
    if name in LATENCY_ATTRIBUTES:
        return f"{number.quantize(LATENCY_PLACES, ROUND_HALF_EVEN):f}", False
    with localcontext(prec=60):
        amount = number.quantize(AMOUNT_PLACES, ROUND_HALF_EVEN)
    if isinstance(value, str) and amount != number:
        raise Rejection("too_many_decimals", f"{name} is {text[:60]}: more than 12 decimals")
    return f"{amount:f}", amount != number


def _name(signal: str, record: dict[str, Any], attributes: dict[str, Any]) -> str | None:
    if signal != "log":
        name = record.get("name")
    else:
        body = _object(record, "body").get("stringValue")
        is_name = isinstance(body, str) and re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", body)
        name = attributes.get("event.name") or record.get("eventName") or (body if is_name else "")
    return _valid("the name", str(name)[:LONGEST_TEXT]) if name else None


def _instant(nanoseconds: Any) -> datetime | None:
    """Nanoseconds since 1970, number or text, as a naive UTC time; 0 and nothing are None."""
    if nanoseconds in (None, "", 0, "0"):
        return None
    try:
        return EPOCH + timedelta(microseconds=_whole(nanoseconds) // 1000)
    except OverflowError as error:
        raise Rejection("instant_out_of_range", "a time lies beyond the year 9999") from error


def _recorded_at(signal: str, record: dict[str, Any], attributes: dict[str, Any]) -> datetime:
    keys = {"span": ("endTimeUnixNano",), "metric": ("timeUnixNano",)}.get(
        signal, ("timeUnixNano", "observedTimeUnixNano")
    )
    found = next(filter(None, (_instant(record.get(key)) for key in keys)), None)
    stamp = attributes.get("event.timestamp")
    if found is None and isinstance(stamp, str):
        try:
            parsed = datetime.fromisoformat(stamp)
        except ValueError as error:
            raise Rejection("not_an_instant", f"event.timestamp is {stamp[:60]!r}") from error
        if parsed.tzinfo is None:
            raise Rejection("instant_without_offset", f"event.timestamp is {stamp[:60]!r}")
        try:
            found = parsed.astimezone(UTC).replace(tzinfo=None)
        except OverflowError as error:
            raise Rejection("instant_out_of_range", f"event.timestamp is {stamp[:60]}") from error
    if found is None:
        raise Rejection("missing_required", "the record has no time")
    if not FIRST_INSTANT <= found < LAST_INSTANT:
        raise Rejection("instant_out_of_range", f"the record's time is {found.isoformat()}")
    return found


def _details(record: dict[str, Any], keeps_content: bool) -> str | None:
    """What a record holds beside attributes, times and ids, as canonical JSON without content."""
    left_out = {"attributes", "traceId", "spanId", "parentSpanId", "timeUnixNano", "name",
                "observedTimeUnixNano", "startTimeUnixNano", "endTimeUnixNano", "exemplars",
                "links"}  # fmt: skip
    if not keeps_content:
        left_out |= {"body", "events", "description"}
    kept = {name: value for name, value in record.items() if name not in left_out}
    if not keeps_content and isinstance(kept.get("status"), dict):
        kept["status"] = {"code": kept["status"].get("code")}
    details = _canonical(kept)
    text = json.dumps(details, ensure_ascii=False, sort_keys=True)
    return _valid("the record", text) if details else None


def _identity(resource: dict[str, Any], scope: dict[str, Any], record: dict[str, Any]) -> str:
    whole = _canonical({"resource": resource, "scope": scope, "record": record})
    text = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _canonical(value: Any, name: str = "") -> Any:
    """Protobuf's view of a value: defaults left out, numbers as text, enumerations as numbers."""
    if isinstance(value, dict):
        members = {key: _canonical(item, key) for key, item in value.items() if key != "attributes"}
        kept = {key: item for key, item in members.items() if item not in (None, "", "0", [], {})}
        if value.get("attributes"):
            kept["attributes"] = {
                str(item.get("key")): _canonical_value(_object(item, "value"))
                for item in _objects(value, "attributes")
            }
        return kept
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value or None
    if isinstance(value, (int, float)):
        return plain_number(value)
    if name == "body":
        return value
    if name == "asDouble":
        return plain_number(float(value))
    names = ENUMERATIONS.get(name, ())
    return str(names.index(value)) if value in names else value


def _canonical_value(value: dict[str, Any]) -> Any:
    """An AnyValue with its kind, since 1 and "1" are different values; defaults are kept."""
    for kind, content in value.items():
        if kind == "intValue":
            return {kind: str(_whole(content))}
        if kind == "doubleValue":
            return {kind: plain_number(float(content))}
        if kind == "arrayValue":
            values = _objects(_object(value, kind), "values")
            return {kind: [_canonical_value(item) for item in values]}
        if kind == "kvlistValue":
            return {
                kind: {
                    str(item.get("key")): _canonical_value(_object(item, "value"))
                    for item in _objects(_object(value, kind), "values")
                }
            }
        return {kind: content}
    return {}
