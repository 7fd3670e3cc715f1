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

from orchestration.landing.content import (
    LONGEST_TEXT,
    MOST_WORDS,
    is_telemetry_content,
    looks_like_content,
)
from orchestration.landing.decode import (
    AMOUNT_PLACES,
    DECIMAL_TEXT,
    LATENCY_PLACES,
    WHOLE_TEXT,
    Rejection,
    plain_number,
)
from orchestration.landing.rules import AMOUNT_LIMIT, LATENCY_LIMIT, WHOLE_LIMIT
from orchestration.telemetry import COUNTED, client_of, kinds_of, usage_metrics

EPOCH = datetime(1970, 1, 1)
DOUBLE_TEXT = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|NaN|-?Infinity")
FIRST_INSTANT, LAST_INSTANT = datetime(2000, 1, 1), datetime(2100, 1, 1)

# What may be read out of Claude Code's tool_parameters, whose other members are commands.
TOOL_PARAMETERS = ("mcp_server_name", "mcp_tool_name", "skill_name", "subagent_type")

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
STATUSES = {"1": "ok", "2": "error"}
SPAN_KINDS = {"1": "internal", "2": "server", "3": "client", "4": "producer", "5": "consumer"}
TEMPORALITIES = {"1": "delta", "2": "cumulative"}
# What changes from one point of a series to the next.
OF_A_POINT = {"timeUnixNano", "asInt", "asDouble", "sum", "count", "min", "max", "bucketCounts",
              "explicitBounds", "exemplars", "flags", "description"}  # fmt: skip
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
    span_kind: str | None
    span_status: str | None
    series_id: str | None
    temporality: str | None
    value: Decimal | None
    attributes: dict[str, str]
    resource: dict[str, str]
    details: str | None
    rounded_amounts: int


@dataclass(frozen=True)
class Origin:
    """What the records of one resource and scope share."""

    service_name: str | None
    scope_name: str | None
    resource: dict[str, str]
    identity: str


def records(request: dict[str, Any], keeps_content: bool) -> Iterator[Record | Rejection]:
    """The records of one export request in their order; raises Rejection for another object."""
    if not any(key in request for key in EXPORT_KEYS):
        raise Rejection(
            "not_an_export_request",
            "the line has none of resourceLogs, resourceSpans and resourceMetrics",
        )
    origins: dict[tuple[int, int], Origin] = {}
    for signal, resource, scope, record in _walk(request):
        place = id(resource), id(scope)
        try:
            if place not in origins:
                origins[place] = _origin(resource, scope, keeps_content)
            yield _record(signal, origins[place], record, keeps_content)
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


def _origin(resource: dict[str, Any], scope: dict[str, Any], keeps_content: bool) -> Origin:
    values = _attributes(resource)
    service_name = _valid_text("service.name", values.get("service.name"))
    scope_name = _valid_text("scope", scope.get("name"))
    kinds = kinds_of(client_of(service_name, scope_name, None))
    texts = {name: kind for name, kind in kinds.items() if kind == "text"}
    return Origin(
        service_name=service_name,
        scope_name=scope_name,
        resource=_texts(values, keeps_content, texts)[0],
        identity=f'"resource":{_compact(resource)},"scope":{_compact(scope)}',
    )


def _record(signal: str, origin: Origin, record: dict[str, Any], keeps_content: bool) -> Record:
    attributes = _attributes(record)
    name = _name(signal, record, attributes)
    client = client_of(origin.service_name, origin.scope_name, name)
    kept, rounded = _texts(attributes, keeps_content, kinds_of(client))
    status, span_kind = _object(record, "status").get("code"), record.get("kind")
    value, was_rounded = _value(client, name, record)
    return Record(
        record_id=_digest(f'{{"record":{_compact(record)},{origin.identity}}}'),
        signal=signal,
        service_name=origin.service_name,
        scope_name=origin.scope_name,
        record_name=name,
        recorded_at=_recorded_at(signal, record, attributes),
        started_at=_instant(record.get("startTimeUnixNano")),
        trace_id=_valid_text("traceId", record.get("traceId")),
        span_id=_valid_text("spanId", record.get("spanId")),
        parent_span_id=_valid_text("parentSpanId", record.get("parentSpanId")),
        span_kind=SPAN_KINDS.get(_enumeration("kind", span_kind)) if signal == "span" else None,
        span_status=STATUSES.get(_enumeration("code", status)) if signal == "span" else None,
        series_id=_series(origin, record) if signal == "metric" else None,
        temporality=TEMPORALITIES.get(
            _enumeration("aggregationTemporality", record.get("aggregationTemporality"))
        ),
        value=value,
        attributes=kept,
        resource=origin.resource,
        details=_details(record, keeps_content),
        rounded_amounts=rounded + was_rounded,
    )


def _enumeration(name: str, value: Any) -> str:
    """The number of an enumeration's value as text, whether it came as number, text or name."""
    return str(_canonical(value, name)) if value is not None else "0"


def _value(client: str, name: str | None, point: dict[str, Any]) -> tuple[Decimal | None, bool]:
    """The value of a point of a metric that tells usage, and whether it was rounded."""
    kind = usage_metrics().get((client, name or ""))
    if kind is None:
        return None, False
    value = point.get("asInt", point.get("asDouble", point.get("sum")))
    if value is None:
        return None, False
    # A double that came as text is a double all the same: it may be rounded.
    text, was_rounded = _number("the value", kind, value if "asInt" in point else _double(value))
    return Decimal(text), was_rounded


def _series(origin: Origin, point: dict[str, Any]) -> str:
    """Identity of the series of a metric point: all that its points share, its start included."""
    shared = {name: value for name, value in point.items() if name not in OF_A_POINT}
    return _digest(f'{{"series":{_compact(shared)},{origin.identity}}}')


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a record, resource or scope, each as a plain value."""
    return {_key(item): _plain(_object(item, "value")) for item in _objects(holder, "attributes")}


def _key(item: dict[str, Any]) -> str:
    key = item.get("key")
    if not isinstance(key, str) or not key:
        raise Rejection("wrong_type", "an attribute has no key that is a text")
    return key


def _plain(value: dict[str, Any]) -> Any:
    """An AnyValue as text, int, float, bool, list, dict, or None where it is empty."""
    for kind, content in value.items():
        if kind == "intValue":
            return _whole(content)
        if kind == "doubleValue":
            return _double(content)
        if kind == "arrayValue":
            return [_plain(item) for item in _objects(_object(value, kind), "values")]
        if kind == "kvlistValue":
            return {
                _key(item): _plain(_object(item, "value"))
                for item in _objects(_object(value, kind), "values")
            }
        return content
    return None


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]+", str(value)):
        raise Rejection("not_whole_number", f"an intValue is {str(value)[:60]!r}")
    return int(value)


def _double(value: Any) -> float:
    """A double as JSON writes protobuf's; float() alone takes true, spaces and 1_000 as well."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and DOUBLE_TEXT.fullmatch(value)):
        shown = "true or false" if isinstance(value, bool) else "no number"
        raise Rejection("not_a_number", f"a doubleValue is {shown}")
    return float(value)


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


def _texts(
    values: dict[str, Any], keeps_content: bool, kinds: dict[str, str]
) -> tuple[dict[str, str], int]:
    """Attributes as texts without content, and how many amounts were rounded."""
    kept: dict[str, str] = {}
    rounded = 0
    for name, value in values.items():
        kind = kinds.get(name)
        if name == "tool_parameters" and isinstance(value, str):
            kept.update(_tool_parameters(value))
        if kind in COUNTED and value not in (None, ""):
            kept[name], was_rounded = _number(name, kind, value)
            rounded += was_rounded
        elif keeps_content or not _is_content(name, value, kind):
            text = _text(value)
            if text:
                kept[_valid("an attribute's name", name)] = _valid(name, text)
        elif kind == "presence" and value:
            kept[name] = "true"
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


def _is_content(name: str, value: Any, kind: str | None) -> bool:
    """Whether a value stays out; a name that the seed knows as text is judged by its looks."""
    if isinstance(value, (bool, int, float)) or value is None:
        return False
    text = _text(value) or ""
    return looks_like_content(text) if kind == "text" else is_telemetry_content(name, text)


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


def _number(name: str, kind: str, value: Any) -> tuple[str, bool]:
    """A counted value as plain decimal text, and whether it was rounded; raises Rejection."""
    text = _text(value) or ""
    if not DECIMAL_TEXT.fullmatch(text):
        # Only what looks like a number is shown: any other text may be content.
        is_shown = re.fullmatch(r"[0-9eE+\-.,_ ]{0,60}", text)
        shown = repr(text) if is_shown else f"a text of {len(text)} characters"
        raise Rejection("not_a_number", f"{name} is {shown}, not a number")
    number = Decimal(text)
    if number < 0:
        raise Rejection("negative", f"{name} is {text[:60]}, which is negative")
    limit = {"whole": WHOLE_LIMIT, "latency": LATENCY_LIMIT, "amount": AMOUNT_LIMIT}[kind]
    if number > limit:
        raise Rejection("out_of_range", f"{name} is {text[:60]}, which is out of range")
    if kind == "whole":
        if not WHOLE_TEXT.fullmatch(text):
            raise Rejection("not_whole_number", f"{name} is {text[:60]}, not a whole number")
        return str(int(number)), False
    if kind == "latency":
        return f"{number.quantize(LATENCY_PLACES, ROUND_HALF_EVEN):f}", False
    with localcontext(prec=60):
        amount = number.quantize(AMOUNT_PLACES, ROUND_HALF_EVEN)
    if isinstance(value, str) and amount != number:
        raise Rejection("too_many_decimals", f"{name} is {text[:60]}: more than 12 decimals")
    return f"{amount:f}", amount != number


def _name(signal: str, record: dict[str, Any], attributes: dict[str, Any]) -> str | None:
    if signal != "log":
        name = record.get("name")
        if isinstance(name, str) and len(name.split()) > MOST_WORDS:
            name = name.split()[0]  # a sentence, which may be content
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


def _compact(value: dict[str, Any]) -> str:
    canonical = _canonical(value)
    return json.dumps(canonical, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _canonical(value: Any, name: str = "") -> Any:
    """Protobuf's view of a value: defaults left out, numbers as text, enumerations as numbers."""
    if isinstance(value, dict):
        members = {key: _canonical(item, key) for key, item in value.items() if key != "attributes"}
        kept = {key: item for key, item in members.items() if item not in (None, "", "0", [], {})}
        if value.get("attributes"):
            kept["attributes"] = {
                _key(item): _canonical_value(_object(item, "value"))
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
        return plain_number(_double(value))
    names = ENUMERATIONS.get(name, ())
    return str(names.index(value)) if value in names else value


def _canonical_value(value: dict[str, Any]) -> Any:
    """An AnyValue with its kind, since 1 and "1" are different values; defaults are kept."""
    for kind, content in value.items():
        if kind == "intValue":
            return {kind: str(_whole(content))}
        if kind == "doubleValue":
            return {kind: plain_number(_double(content))}
        if kind == "arrayValue":
            values = _objects(_object(value, kind), "values")
            return {kind: [_canonical_value(item) for item in values]}
        if kind == "kvlistValue":
            return {
                kind: {
                    _key(item): _canonical_value(_object(item, "value"))
                    for item in _objects(_object(value, kind), "values")
                }
            }
        return {kind: content}
    return {}
