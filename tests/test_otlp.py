"""Telemetry in the landing zone: one row a record, known again in any spelling, content never kept.

Requests are built as the OpenTelemetry Collector's file exporter writes them, landed, and read back
from raw/ with pyarrow.
"""

import copy
import gzip
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.test_landing import Zone, empty_raw, in_parquet, zone

__all__ = ["empty_raw", "zone"]

STAMP = "1772359200123456789"
STAMPED_AT = datetime(2026, 3, 1, 10, 0, 0, 123_456)
SECRET = "planted secret phrase of somebody"


def attribute(name: str, value: Any) -> dict[str, Any]:
    """An attribute as protobuf-born JSON writes it: whole numbers are text."""
    return {"key": name, "value": any_value(value)}


def any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    if isinstance(value, dict):
        values = [attribute(name, item) for name, item in value.items()]
        return {"kvlistValue": {"values": values}}
    return {"stringValue": value}


def attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [attribute(name, value) for name, value in values.items()]


def log(values: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A log record; its fields replace those of an API request."""
    whole = {"event.name": "api_request", **(values or {})}
    record = {"timeUnixNano": STAMP, "attributes": attributes(whole), **fields}
    return {name: value for name, value in record.items() if value is not ...}


def logs(
    *records: dict[str, Any],
    resource: dict[str, Any] | None = None,
    scope: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """An export request of log records."""
    of_resource = attributes({"service.name": "claude-code", **(resource or {})})
    group = {"scope": scope or {"name": "events"}, "logRecords": list(records)}
    return {"resourceLogs": [{"resource": {"attributes": of_resource}, "scopeLogs": [group]}]}


def spans(*records: dict[str, Any]) -> dict[str, Any]:
    group = {"scope": {"name": "tracer"}, "spans": list(records)}
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [group]}]}


def metrics(*records: dict[str, Any]) -> dict[str, Any]:
    group = {"scope": {"name": "meter"}, "metrics": list(records)}
    return {"resourceMetrics": [{"resource": {}, "scopeMetrics": [group]}]}


def landed(
    zone: Zone, *requests: dict[str, Any] | str | bytes, keeps_content: bool = False
) -> list[dict[str, Any]]:
    """The rows of these lines."""
    texts = [json.dumps(each) if isinstance(each, dict) else each for each in requests]
    parts = [text.encode() if isinstance(text, str) else text for text in texts]
    zone.put("otlp/a.jsonl", b"".join(part + b"\n" for part in parts))
    zone.land(keeps_content)
    rows = zone.rows("otlp")
    for row in rows:
        row["attributes"] = dict(row["attributes"])
        row["resource"] = dict(row["resource"])
    return rows


# -------------------------------------------------------------------------------------------------
# Rows
# -------------------------------------------------------------------------------------------------


def test_a_log_record_becomes_a_row(zone: Zone) -> None:
    record = log(
        {"session.id": "s", "cost_usd": 0.0231, "input_tokens": 12, "success": True, "error": None},
        traceId="0af7", spanId="b7ad", severityNumber=9, severityText="INFO",
        body={"stringValue": "claude_code.api_request"},
    )  # fmt: skip
    record["attributes"][-1]["value"] = {}
    [row] = landed(zone, "", logs(record, resource={"team.id": "platform"}))
    assert row.pop("record_id")
    assert row == {
        "load_id": 1, "file_id": zone.rows("landed_files")[0]["file_id"], "line": 2,
        "signal": "log", "service_name": "claude-code", "scope_name": "events",
        "record_name": "api_request", "recorded_at": STAMPED_AT, "started_at": None,
        "trace_id": "0af7", "span_id": "b7ad", "parent_span_id": None, "span_kind": None,
        "span_status": None, "series_id": None, "temporality": None, "value": None,
        "attributes": {
            "event.name": "api_request", "session.id": "s", "cost_usd": "0.023100000000",
            "input_tokens": "12", "success": "true",
        },
        "resource": {"service.name": "claude-code", "team.id": "platform"},
        "details": '{"severityNumber": "9", "severityText": "INFO"}',
    }  # fmt: skip


def test_a_span_becomes_a_row_at_its_end(zone: Zone) -> None:
    span = {
        "traceId": "0af7", "spanId": "b7ad", "parentSpanId": "00f0", "name": "chat m", "kind": 3,
        "startTimeUnixNano": "1772359199000000000", "endTimeUnixNano": STAMP,
        "attributes": attributes({"gen_ai.usage.input_tokens": 7}),
        "status": {"code": 2, "message": "refused by the model"},
    }  # fmt: skip
    [row] = landed(zone, spans(span))
    assert (row["signal"], row["record_name"], row["parent_span_id"]) == ("span", "chat m", "00f0")
    assert row["recorded_at"] == STAMPED_AT
    assert row["started_at"] == datetime(2026, 3, 1, 9, 59, 59)
    assert row["attributes"] == {"gen_ai.usage.input_tokens": "7"}
    assert json.loads(row["details"]) == {"kind": "3", "status": {"code": "2"}}


def test_each_point_of_a_metric_becomes_a_row(zone: Zone) -> None:
    points = [
        {"startTimeUnixNano": "1772359100000000000", "timeUnixNano": STAMP, "asDouble": value,
         "attributes": attributes({"type": kind})}
        for kind, value in (("input", 12), ("output", 0.5))
    ]  # fmt: skip
    series = {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": points}
    histogram = {"count": "2", "sum": 3.5, "bucketCounts": ["1", "1"], "explicitBounds": [1]}
    rows = landed(
        zone,
        metrics(
            {"name": "token.usage", "unit": "tokens", "sum": series},
            {"name": "load", "gauge": {"dataPoints": [{"timeUnixNano": STAMP, "asInt": "3"}]}},
            {"name": "ms", "histogram": {"dataPoints": [{"timeUnixNano": STAMP, **histogram}]}},
        ),
    )
    names = ["token.usage", "token.usage", "load", "ms"]
    assert [(row["signal"], row["record_name"]) for row in rows] == [("metric", n) for n in names]
    assert [row["attributes"].get("type") for row in rows] == ["input", "output", None, None]
    assert rows[0]["started_at"] == datetime(2026, 3, 1, 9, 58, 20)
    first, second, third, last = (json.loads(row["details"]) for row in rows)
    assert (first["asDouble"], second["asDouble"], third["asInt"]) == ("12", "0.5", "3")
    assert first["aggregationTemporality"] == "2"
    assert last["bucketCounts"] == ["1", "1"]


def test_every_record_of_every_resource_and_scope_is_counted(zone: Zone) -> None:
    request = logs(log({"n": 1}), log({"n": 2}))
    request["resourceLogs"][0]["scopeLogs"].append({"logRecords": [log({"n": 3})]})
    request["resourceLogs"].append({"scopeLogs": [{"logRecords": [log({"n": 4})]}]})
    rows = landed(zone, request, logs(log({"n": 5})))
    assert [(row["attributes"]["n"], row["line"]) for row in rows] == [
        ("1", 1), ("2", 1), ("3", 1), ("4", 1), ("5", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (log(timeUnixNano="0", observedTimeUnixNano=STAMP), STAMPED_AT),
        (log(timeUnixNano=..., observedTimeUnixNano=STAMP), STAMPED_AT),
        (log(timeUnixNano=int(STAMP)), STAMPED_AT),
        (
            log({"event.timestamp": "2026-03-01T12:00:00.5+02:00"}, timeUnixNano="0"),
            datetime(2026, 3, 1, 10, 0, 0, 500_000),
        ),
        (
            log({"event.timestamp": "2026-03-02T00:00:00Z"}, timeUnixNano=...),
            datetime(2026, 3, 2),
        ),
        (
            log({"event.timestamp": "2026-03-02T00:00:00Z"}, observedTimeUnixNano="1"),
            STAMPED_AT,
        ),
    ],
)
def test_a_record_without_its_own_time_takes_the_next_best(
    zone: Zone, record: dict[str, Any], expected: datetime
) -> None:
    [row] = landed(zone, logs(record))
    assert row["recorded_at"] == expected


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (log(eventName="event otel/src/x.rs:703"), "api_request"),
        (log({"event.name": ""}, eventName="my_event"), "my_event"),
        (log({"event.name": ""}, body={"stringValue": "codex.tool_result"}), "codex.tool_result"),
        (log({"event.name": ""}, body={"stringValue": "What a fine day"}), None),
        (log({"event.name": ""}, body=None), None),
    ],
)  # fmt: skip
def test_the_name_of_a_record(zone: Zone, record: dict[str, Any], name: str | None) -> None:
    [row] = landed(zone, logs(record))
    assert row["record_name"] == name


# -------------------------------------------------------------------------------------------------
# Identity
# -------------------------------------------------------------------------------------------------


def identities(zone: Zone, *requests: dict[str, Any]) -> list[str]:
    return [row["record_id"] for row in landed(zone, *requests)]


def test_a_body_that_is_sent_twice_is_the_same_record(zone: Zone) -> None:
    request = logs(log({"n": 1}))
    other = logs(log({"n": 2}))
    first, middle, again = identities(zone, request, other, request)
    assert first == again != middle


def rich_log() -> dict[str, Any]:
    return logs(
        log(
            {"cost_usd": 0.5, "n": 7, "list": [1, "1"], "map": {"b": 2, "a": 1.5}, "none": ""},
            severityNumber=9, body={"stringValue": "claude_code.api_request"},
        ),
        resource={"team.id": "t"},
    )  # fmt: skip


def rich_span() -> dict[str, Any]:
    span = {
        "name": "s",
        "kind": 3,
        "endTimeUnixNano": STAMP,
        "status": {"code": 1},
        "spanId": "b7ad",
    }
    event = {"name": "retry", "timeUnixNano": STAMP, "attributes": attributes({"n": 1, "m": 2})}
    return spans({**span, "events": [event], "attributes": attributes({"x": 1, "y": 2})})


def rich_metric() -> dict[str, Any]:
    point = {"timeUnixNano": STAMP, "asDouble": 41802.0, "attributes": attributes({"a": 1, "b": 2})}
    series = {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point]}
    return metrics({"name": "tokens", "unit": "1", "sum": series})


def walked(value: Any, change: Callable[[str, Any], Any], name: str = "") -> Any:
    """A copy of a JSON value in which each member has been changed."""
    if isinstance(value, dict):
        return {key: change(key, walked(item, change, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [walked(item, change, name) for item in value]
    return value


ENUM_NAMES = {
    "severityNumber": {9: "SEVERITY_NUMBER_INFO"},
    "kind": {3: "SPAN_KIND_CLIENT"},
    "code": {1: "STATUS_CODE_OK"},
    "aggregationTemporality": {1: "AGGREGATION_TEMPORALITY_DELTA"},
}


def numbers_as_text(name: str, value: Any) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return str(value) if is_number and name not in (*ENUM_NAMES, "asDouble") else value


def numbers_bare(name: str, value: Any) -> Any:
    return int(value) if name in ("intValue", "timeUnixNano", "endTimeUnixNano") else value


def enums_named(name: str, value: Any) -> Any:
    return (
        ENUM_NAMES.get(name, {}).get(value, value) if not isinstance(value, (dict, list)) else value
    )


def enums_as_text(name: str, value: Any) -> Any:
    return str(value) if name in ENUM_NAMES else value


def attributes_reversed(name: str, value: Any) -> Any:
    return value[::-1] if name == "attributes" else value


def defaults_spelled_out(name: str, value: Any) -> Any:
    empty = {
        "logRecords": {"flags": 0, "droppedAttributesCount": 0, "traceId": "", "spanId": "",
                       "observedTimeUnixNano": "0", "severityText": "", "eventName": ""},
        "spans": {"flags": 0, "parentSpanId": "", "traceState": "", "links": [],
                  "droppedEventsCount": 0, "startTimeUnixNano": "0"},
        "dataPoints": {"flags": 0, "exemplars": [], "startTimeUnixNano": 0},
    }  # fmt: skip
    if name in empty:
        return [{**empty[name], **item} for item in value]
    if name == "scope":
        return {**value, "version": "", "attributes": [], "droppedAttributesCount": 0}
    if name == "resource":
        return {**value, "droppedAttributesCount": 0}
    return value


def keys_reversed(_: str, value: Any) -> Any:
    return dict(reversed(value.items())) if isinstance(value, dict) else value


@pytest.mark.parametrize("request_of", [rich_log, rich_span, rich_metric])
@pytest.mark.parametrize(
    "change",
    [
        numbers_as_text, numbers_bare, enums_named, enums_as_text, attributes_reversed,
        defaults_spelled_out, keys_reversed,
    ],
)  # fmt: skip
def test_a_record_is_the_same_in_every_spelling(
    zone: Zone, request_of: Callable[[], dict[str, Any]], change: Callable[[str, Any], Any]
) -> None:
    spelled = walked(request_of(), change)
    first, second = identities(zone, request_of(), spelled)
    assert first == second


@pytest.mark.parametrize(
    ("one", "other"),
    [({"intValue": 5}, {"intValue": "5"}), ({"doubleValue": 2.0}, {"doubleValue": 2})],
)
def test_the_numbers_of_a_body_may_be_text(
    zone: Zone, one: dict[str, Any], other: dict[str, Any]
) -> None:
    first, second = identities(zone, logs(log(body=one)), logs(log(body=other)))
    assert first == second


def test_empty_and_missing_bodies_are_the_same(zone: Zone) -> None:
    ids = identities(zone, logs(log()), logs(log(body=None)), logs(log(body={})))
    assert len(set(ids)) == 1


def test_records_that_differ_anywhere_are_different(zone: Zone) -> None:
    requests = [
        logs(log()),
        logs(log({"n": 1})),
        logs(log({"n": "1"})),
        logs(log({"n": 1.5})),
        logs(log({"n": True})),
        logs(log({"n": [1, 2]})),
        logs(log({"n": [2, 1]})),
        logs(log({"prompt": SECRET})),
        logs(log({"prompt": SECRET + "!"})),
        logs(log(body={"stringValue": SECRET})),
        logs(log(body={"stringValue": SECRET + "!"})),
        logs(log(timeUnixNano=str(int(STAMP) + 1))),
        logs(log(observedTimeUnixNano=STAMP)),
        logs(log(severityNumber=9)),
        logs(log(), resource={"host.name": "lap"}),
        logs(log(), scope={"name": "other"}),
        logs(log(), scope={"name": "events", "version": "2"}),
    ]
    assert len(set(identities(zone, *requests))) == len(requests)


def test_identity_does_not_depend_on_whether_content_is_kept(zone: Zone, tmp_path: Path) -> None:
    request = logs(log({"prompt": SECRET}, body={"stringValue": SECRET}))
    without = identities(zone, request)
    (tmp_path / "other").mkdir()
    kept = landed(Zone(tmp_path / "other", tmp_path / "raw-2"), request, keeps_content=True)
    assert without == [row["record_id"] for row in kept]


# -------------------------------------------------------------------------------------------------
# Content
# -------------------------------------------------------------------------------------------------

SHORT = "plantedword"
CONTENT = {
    "prompt": log({"prompt": SECRET}),
    "short prompt": log({"prompt": SHORT}),
    "user_prompt": log({"user_prompt": SHORT}),
    "body": log(body={"stringValue": SECRET}),
    "short body": log(body={"stringValue": SHORT}),
    "structured body": log(body=any_value({"role": "user", "content": SHORT})),
    "tool_parameters": log({"tool_parameters": json.dumps({"command": SECRET, "mcp": "t"})}),
    "short tool_parameters": log({"tool_parameters": json.dumps({"bash_command": SHORT})}),
    "tool_input": log({"tool_input": SHORT}),
    "response": log({"response": SHORT}),
    "function_args": log({"function_args": json.dumps({"path": SHORT})}),
    "arguments": log({"arguments": SHORT}),
    "output": log({"output": SHORT}),
    "error.message": log({"error.message": SHORT}),
    "gen_ai.input.messages": log({"gen_ai.input.messages": [{"role": "user", "content": SHORT}]}),
    "gen_ai.output.messages": log({"gen_ai.output.messages": json.dumps([{"content": SHORT}])}),
    "gen_ai.system_instructions": log({"gen_ai.system_instructions": SHORT}),
    "gen_ai.prompt.0.content": log({"gen_ai.prompt.0.content": SHORT}),
    "gen_ai.completion.0.content": log({"gen_ai.completion.0.content": SHORT}),
    "gen_ai.tool.call.arguments": log({"gen_ai.tool.call.arguments": SHORT}),
    "gen_ai.tool.call.result": log({"gen_ai.tool.call.result": SHORT}),
    "llm.input_messages.0.message.content": log({"llm.input_messages.0.message.content": SHORT}),
    "input.value": log({"input.value": SHORT}),
    "a sentence under any name": log({"note": SECRET}),
    "a list of sentences": log({"notes": [SECRET, "x"]}),
    "a long text": log({"blob": SHORT * 30}),
    "a long text in a map": log({"blob": {"inner": SECRET}}),
}  # fmt: skip


@pytest.mark.parametrize("record", CONTENT.values(), ids=CONTENT.keys())
def test_content_of_a_log_record_is_never_written(zone: Zone, record: dict[str, Any]) -> None:
    [row] = landed(zone, logs(record))
    assert row["record_name"] == "api_request"
    assert b"planted" not in zone.bytes_below_raw()


@pytest.mark.parametrize("record", CONTENT.values(), ids=CONTENT.keys())
def test_content_of_a_log_record_is_kept_where_it_is_asked_for(
    zone: Zone, record: dict[str, Any]
) -> None:
    [row] = landed(zone, logs(record), keeps_content=True)
    assert "planted" in str(row)


@pytest.mark.parametrize(
    "name", ["process.command_args", "process.command_line", "process.command"]
)
def test_command_lines_of_a_resource_are_never_written(zone: Zone, name: str) -> None:
    value = ["gemini", "-p", SHORT] if name.endswith("args") else SHORT
    [row] = landed(zone, logs(log(), resource={name: value, "host.name": "lap"}))
    assert row["resource"] == {"service.name": "claude-code", "host.name": "lap"}
    assert b"planted" not in zone.bytes_below_raw()


def test_content_of_spans_and_metrics_is_never_written(zone: Zone) -> None:
    span = {
        "name": "chat", "endTimeUnixNano": STAMP, "status": {"code": 2, "message": SECRET},
        "attributes": attributes({"gen_ai.input.messages": SHORT, "llm.prompts": [SHORT]}),
        "events": [{"name": "gen_ai.content.prompt", "attributes": attributes({"p": SECRET})}],
        "links": [{"attributes": attributes({"prompt": SECRET})}],
    }  # fmt: skip
    point = {
        "timeUnixNano": STAMP, "asInt": "1", "attributes": attributes({"prompt": SHORT}),
        "exemplars": [{"filteredAttributes": attributes({"prompt": SECRET})}],
    }  # fmt: skip
    metric = {"name": "m", "description": SECRET, "gauge": {"dataPoints": [point]}}
    assert len(landed(zone, spans(span), metrics(metric))) == 2
    assert b"planted" not in zone.bytes_below_raw()


def test_of_a_rejected_telemetry_line_only_a_short_head_is_kept(zone: Zone) -> None:
    request = json.dumps(logs(log({"model": "m" * 200, "prompt": SECRET})))
    assert (
        landed(zone, request[:-3], logs(log({"cost_usd": "x", "a": "a" * 99, "prompt": SECRET})))
        == []
    )
    rows = zone.rows("rejected_rows")
    assert [row["raw_text"].endswith('"key": "service.name", ') for row in rows] == [True, True]
    assert b"planted" not in zone.bytes_below_raw()


def test_of_a_line_that_is_no_export_request_no_value_is_kept(zone: Zone) -> None:
    assert landed(zone, {"prompt": "planted"}) == []
    assert [row["raw_text"] for row in zone.rows("rejected_rows")] == ['{"prompt"']
    assert b"planted" not in zone.bytes_below_raw()


def test_a_text_that_is_no_number_is_not_quoted(zone: Zone) -> None:
    assert landed(zone, logs(log({"cost_usd": "planted"}))) == []
    assert b"planted" not in zone.bytes_below_raw()


@pytest.mark.parametrize(
    "name",
    [
        "llm.output_messages.0.message.function_call_arguments_json", "llm.function_call",
        "ai.response.toolCalls", "gen_ai.tool.call.arguments.city", "file_path", "new_context",
        "system_prompt_preview", "llm.prompt_template.variables", "crewai.agent.goal",
        "retrieval.documents.0.document.metadata", "exception.stacktrace", "error",
    ],
)  # fmt: skip
def test_a_single_word_under_a_name_of_content_is_never_written(zone: Zone, name: str) -> None:
    [row] = landed(zone, logs(log({name: "planted", "some.thing": '{"a":"planted"}'})))
    assert row["attributes"] == {"event.name": "api_request"}
    assert b"planted" not in zone.bytes_below_raw()


def test_of_a_cut_telemetry_line_only_a_short_head_is_kept(zone: Zone) -> None:
    request = json.dumps(logs(log({"model": "m" * 200, "prompt": SECRET})))
    zone.put("otlp/a.jsonl", request[:-3])
    zone.land()
    zone.land()
    assert [reason for _, _, reason in zone.rejections()] == ["cut"]
    assert b"planted" not in zone.bytes_below_raw()


def test_what_is_not_content_is_kept(zone: Zone) -> None:
    kept = {
        "session.id": "53dd124d-8c1e-4a5e-9a53-2b1f5b6f9c10", "prompt.id": "p-1",
        "prompt_length": "4", "model": "claude-opus-4-6[1m]", "user.email": "ana@acme.test",
        "tool_name": "mcp__calc__add", "function_name": "mcp_calc_add", "decision": "reject",
        "query_source": "agent:builtin:general-purpose", "terminal.type": "iTerm.app",
    }  # fmt: skip
    [row] = landed(zone, logs(log({**kept, "team.id": ""})))
    assert row["attributes"] == {"event.name": "api_request", **kept}


def test_the_names_of_mcp_tools_are_read_out_of_tool_parameters(zone: Zone) -> None:
    parameters = {"mcp_server_name": "calc", "mcp_tool_name": "add", "command": SHORT}
    [row] = landed(zone, logs(log({"tool_parameters": json.dumps(parameters)})))
    assert row["attributes"] == {
        "event.name": "api_request", "mcp_server_name": "calc", "mcp_tool_name": "add",
    }  # fmt: skip


# -------------------------------------------------------------------------------------------------
# Numbers
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("input_tokens", 3_000_000_000, "3000000000"),
        ("input_tokens", "3000000000", "3000000000"),
        ("input_tokens", 12.0, "12"),
        ("output_tokens", "12.0", "12"),
        ("cost_usd", 0, "0"),
        ("cost_usd", 0.0231, "0.0231"),
        ("cost_usd", "0.000000000001", "0.000000000001"),
        ("duration_ms", "31", "31"),
        ("duration_ms", 31.25, "31.25"),
        ("attempt", 0, "0"),
    ],
)
def test_numbers_may_come_as_text(zone: Zone, name: str, value: Any, expected: str) -> None:
    [row] = landed(zone, logs(log({name: value})))
    assert Decimal(row["attributes"][name]) == Decimal(expected)
    assert "E" not in row["attributes"][name].upper()


def test_a_bare_number_is_a_whole_number_too(zone: Zone) -> None:
    record = log()
    record["attributes"].append({"key": "input_tokens", "value": {"intValue": 12}})
    [row] = landed(zone, logs(record))
    assert row["attributes"]["input_tokens"] == "12"


def test_an_amount_that_is_a_double_is_rounded_half_even_and_counted(zone: Zone) -> None:
    rows = landed(zone, logs(*(log({"cost_usd": cost}) for cost in (0.1, 0.1 + 0.2, 1e-13))))
    assert [Decimal(row["attributes"]["cost_usd"]) for row in rows] == [
        Decimal("0.1"), Decimal("0.3"), Decimal(0),
    ]  # fmt: skip
    assert [file["rounded_amounts"] for file in zone.rows("landed_files")] == [2]


BAD_RECORDS = {
    "negative tokens": (log({"input_tokens": -1}), "negative"),
    "a part of a token": (log({"input_tokens": 2.7}), "not_whole_number"),
    "tokens beyond 64 bits": (log({"input_tokens": str(2**63)}), "out_of_range"),
    "tokens that are a word": (log({"output_tokens": "many"}), "not_a_number"),
    "tokens that are true": (log({"output_tokens": True}), "not_a_number"),
    "negative cost": (log({"cost_usd": -0.5}), "negative"),
    "cost that is not a number": (log({"cost_usd": "NaN"}), "not_a_number"),
    "cost with a comma": (log({"cost_usd": "1,5"}), "not_a_number"),
    "cost with 13 decimals as text": (log({"cost_usd": "0.1234567890123"}), "too_many_decimals"),
    "negative duration": (log({"duration_ms": "-3"}), "negative"),
    "intValue that is none": (
        log(attributes=[{"key": "n", "value": {"intValue": "x"}}]), "not_whole_number",
    ),
    "no time at all": (log(timeUnixNano=...), "missing_required"),
    "a time in milliseconds": (log(timeUnixNano="1772359200123"), "instant_out_of_range"),
    "a time that is a word": (log(timeUnixNano="now"), "not_whole_number"),
    "event.timestamp without offset": (
        log({"event.timestamp": "2026-03-01T10:00:00"}, timeUnixNano="0"), "instant_without_offset",
    ),
    "event.timestamp that is a word": (
        log({"event.timestamp": "now"}, timeUnixNano="0"), "not_an_instant",
    ),
    "attributes that are no list": (log(attributes={"a": 1}), "wrong_type"),
    "a value that is no object": (log(attributes=[{"key": "a", "value": "b"}]), "wrong_type"),
    "tokens with a space": (log({"input_tokens": " 12"}), "not_a_number"),
    "tokens with an underscore": (log({"input_tokens": "1_000"}), "not_a_number"),
    "a doubleValue that is true": (
        log(attributes=[{"key": "cost_usd", "value": {"doubleValue": True}}]), "not_a_number",
    ),
    "a doubleValue with a space": (
        log(attributes=[{"key": "cost_usd", "value": {"doubleValue": " 0.5"}}]), "not_a_number",
    ),
    "a doubleValue with an underscore": (
        log(attributes=[{"key": "n", "value": {"doubleValue": "1_0"}}]), "not_a_number",
    ),
    "an attribute without a key": (
        log(attributes=[{"value": {"stringValue": "x"}}]), "wrong_type",
    ),
    "an attribute whose key is a number": (
        log(attributes=[{"key": 5, "value": {"stringValue": "x"}}]), "wrong_type",
    ),
    "half of a surrogate pair": (log({"note": "\ud800"}), "not_utf8"),
}  # fmt: skip


@pytest.mark.parametrize(("record", "reason"), BAD_RECORDS.values(), ids=BAD_RECORDS.keys())
def test_a_bad_record_is_rejected_and_the_others_of_its_line_load(
    zone: Zone, record: dict[str, Any], reason: str
) -> None:
    rows = landed(zone, logs(log({"n": 1})), logs(log({"n": 2}), record, log({"n": 3})))
    assert [row["attributes"]["n"] for row in rows] == ["1", "2", "3"]
    [row] = zone.rows("rejected_rows")
    assert (row["source"], row["path"], row["line"], row["record_number"], row["reason"]) == (
        "otlp", "otlp/a.jsonl", 2, 2, reason,
    )  # fmt: skip
    assert row["detail"]
    [file] = zone.rows("landed_files")
    assert (file["lines"], file["blank"]) == (2, 0)


def with_value(value: Any) -> dict[str, Any]:
    return logs(log(attributes=[{"key": "x", "value": value}]))


POISON = {
    "half a surrogate in eventName": logs(log({"event.name": ""}, eventName="\ud800")),
    "half a surrogate in severityText": logs(log(severityText="\ud800")),
    "half a surrogate in a key": logs(log({"\ud800": "x"})),
    "half a surrogate in the scope": logs(log(), scope={"name": "\ud800"}),
    "half a surrogate in tool_parameters": logs(
        log({"tool_parameters": '{"mcp_tool_name": "\\ud800"}'})
    ),
    "a scope whose name is a number": logs(log(), scope={"name": 5}),
    "a traceId that is a number": logs(log(traceId=5)),
    "a doubleValue that is a word": with_value({"doubleValue": "abc"}),
    "a doubleValue that is null": with_value({"doubleValue": None}),
    "an arrayValue that is a list": with_value({"arrayValue": []}),
    "an arrayValue that is null": with_value({"arrayValue": None}),
    "a kvlistValue that is a number": with_value({"kvlistValue": 5}),
    "an intValue of 5000 digits": with_value({"intValue": "9" * 5_000}),
    "a time of 30 digits": logs(log(timeUnixNano="9" * 30)),
    "a cost beyond all digits": logs(log({"cost_usd": 1e60})),
    "a duration beyond all digits": logs(log({"duration_ms": "9" * 40})),
    "event.timestamp in year 1": logs(
        log({"event.timestamp": "0001-01-01T00:00:00+01:00"}, timeUnixNano="0")
    ),
    "tool_parameters nested too deeply": logs(log({"tool_parameters": "[" * 100_000})),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_no_record_ends_the_night(zone: Zone, poison: dict[str, Any]) -> None:
    rows = landed(zone, logs(log({"n": 1})), poison, logs(log({"n": 2})))
    assert [row["attributes"]["n"] for row in rows if "n" in row["attributes"]] == ["1", "2"]
    assert len(rows) + len(zone.rejections()) == 3


def test_a_record_nested_deeply_does_not_end_the_night(zone: Zone) -> None:
    requests = []
    for depth in range(50, 320, 10):
        deep = any_value("x")
        for _ in range(depth):
            deep = {"arrayValue": {"values": [deep]}}
        requests.append(with_value(deep))
    rows = landed(zone, logs(log({"n": 1})), *requests)
    assert len(rows) + len(zone.rejections()) == 1 + len(requests)


def test_an_amount_out_of_range_is_rejected(zone: Zone) -> None:
    assert landed(zone, logs(log({"cost_usd": "9" * 27}))) == []


# -------------------------------------------------------------------------------------------------
# Lines and files
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"hrTime": [1, 2], "attributes": {}}', "not_an_export_request"),
        ("{}", "not_an_export_request"),
        ('{"resourceLogs": {"a": 1}}', "wrong_type"),
        ('{"resourceLogs": [1]}', "wrong_type"),
        ('{"resourceLogs": [{"scopeLogs": [{"logRecords": "x"}]}]}', "wrong_type"),
        ("[]", "not_an_object"),
        ("oops", "not_json"),
        (json.dumps(logs(log()))[:-1], "not_json"),
    ],
)
def test_a_line_that_is_no_export_request_is_rejected(zone: Zone, text: str, reason: str) -> None:
    rows = landed(zone, logs(log({"n": 1})), text, logs(log({"n": 2})))
    assert [row["attributes"]["n"] for row in rows] == ["1", "2"]
    [row] = zone.rows("rejected_rows")
    assert (row["line"], row["record_number"], row["reason"]) == (2, None, reason)


def test_a_request_that_is_broken_further_on_is_rejected_once_and_as_a_whole(zone: Zone) -> None:
    request = logs(log({"n": 1}), log({"input_tokens": -1}))
    request["resourceLogs"].append({"scopeLogs": 5})
    assert landed(zone, request, logs(log())) != []
    assert len(zone.rows("otlp")) == 1
    assert [(row["line"], row["record_number"]) for row in zone.rows("rejected_rows")] == [
        (1, None)
    ]


@pytest.mark.parametrize("ending", [b"\r\n", b"\n"])
def test_lines_of_telemetry_may_end_in_any_way_and_begin_with_a_mark(
    zone: Zone, ending: bytes
) -> None:
    good = json.dumps(logs(log())).encode()
    bad = (b"\0" * 64, good.replace(b"claude-code", b"\xff"), good + good, b"", b"17", good[:90])
    zone.put("otlp/a.jsonl", b"\xef\xbb\xbf", ending.join((good, *bad, good)), ending)
    zone.land()
    assert [row["line"] for row in zone.rows("otlp")] == [1, 8]
    assert [(row["line"], row["reason"]) for row in zone.rows("rejected_rows")] == [
        (2, "not_json"), (3, "not_utf8"), (4, "not_json"), (6, "not_an_object"), (7, "not_json"),
    ]  # fmt: skip
    assert [file["blank"] for file in zone.rows("landed_files")] == [1]


def test_a_request_without_records_is_a_blank_line(zone: Zone) -> None:
    assert landed(zone, '{"resourceLogs": []}', logs(), spans(), metrics()) == []
    [file] = zone.rows("landed_files")
    assert (file["lines"], file["blank"]) == (4, 4)


def test_no_record_of_an_old_collector_is_lost(zone: Zone) -> None:
    group = {"instrumentationLibrary": {"name": "events"}, "logs": [log()]}
    rows = landed(zone, {"resourceLogs": [{"instrumentationLibraryLogs": [group]}]})
    assert len(rows) + len(zone.rejections()) == 1


def test_parquet_below_otlp_is_refused_with_a_sentence(zone: Zone) -> None:
    zone.put("otlp/a.parquet", in_parquet(pa.table({"resourceLogs": ["x"]})))
    zone.put("otlp/b.jsonl", json.dumps(logs(log())), "\n")
    report = zone.land()
    [(path, sentence)] = report.unreadable
    assert path == "otlp/a.parquet"
    assert "JSON" in sentence
    assert len(zone.rows("otlp")) == 1


def test_length_prefixed_protobuf_is_refused_with_a_sentence(zone: Zone) -> None:
    zone.put("otlp/a.json", b"\0\0\1\x2a", bytes(range(200)))
    [(_, sentence)] = zone.land().unreadable
    assert "binary" in sentence


def test_a_line_of_a_megabyte_loads_without_its_content(zone: Zone) -> None:
    record = log({"gen_ai.system_instructions": (SECRET + " ") * 40_000, "n": 1})
    [row] = landed(zone, logs(record))
    assert row["attributes"] == {"event.name": "api_request", "n": "1"}
    assert b"planted" not in zone.bytes_below_raw()


@pytest.mark.parametrize(
    ("name", "service", "value", "is_read"),
    [
        ("llm.token_count.prompt", "bot", "12", True),
        ("gen_ai.system", "bot", "openai", True),
        ("gen_ai.system", "bot", SECRET, False),
        ("input_tokens", "bot", "many", True),
        ("logfire.msg", "bot", SHORT, False),
        ("llm.openai.choices", "bot", SHORT, False),
    ],
)
def test_what_the_seed_names_is_no_content_by_its_name(
    zone: Zone, name: str, service: str, value: str, is_read: bool
) -> None:
    [row] = landed(zone, logs(log({name: value}), resource={"service.name": service}))
    assert row["attributes"].get(name) == (value if is_read else None)


def test_a_number_is_judged_by_the_client_that_sent_it(zone: Zone) -> None:
    bad = log({"input_token_count": "many"})
    landed(
        zone,
        logs(bad, resource={"service.name": "codex_exec"}),
        logs(bad, resource={"service.name": "bot"}),
        spans({"name": "chat", "endTimeUnixNano": STAMP,
               "attributes": attributes({"gen_ai.usage.output_tokens": "many"})}),
    )  # fmt: skip
    assert [(line, reason) for _, line, reason in zone.rejections()] == [
        (1, "not_a_number"), (3, "not_a_number"),
    ]  # fmt: skip


def usage_metric(kind: str = "sum", **point: Any) -> dict[str, Any]:
    whole = {"timeUnixNano": STAMP, "attributes": attributes({"type": "input"}), **point}
    series = {"aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE", "dataPoints": [whole]}
    return {"name": "claude_code.token.usage", kind: series}


def test_points_of_a_series_share_its_identity(zone: Zone) -> None:
    rows = landed(
        zone,
        metrics(usage_metric(asDouble="41802.0", startTimeUnixNano="1772359100000000000")),
        metrics(usage_metric(asInt="7", startTimeUnixNano=1772359100000000000)),
        metrics(usage_metric(asInt="7", startTimeUnixNano="1772359160000000000")),
        metrics(usage_metric(asInt="7", attributes=attributes({"type": "output"}))),
    )
    assert [row["value"] for row in rows] == [41802, 7, 7, 7]
    assert {row["temporality"] for row in rows} == {"cumulative"}
    first, second, *others = (row["series_id"] for row in rows)
    assert first == second
    assert len({first, *others}) == 3


def test_a_part_of_a_token_is_rejected_and_another_metric_is_not_judged(zone: Zone) -> None:
    point = {"timeUnixNano": STAMP, "asDouble": 0.5}
    gauge = {"name": "load", "gauge": {"dataPoints": [point]}}
    [row] = landed(zone, metrics(usage_metric(asDouble=0.5)), metrics(gauge))
    assert row["value"] is None
    assert [reason for *_, reason in zone.rejections()] == ["not_whole_number"]


def test_telemetry_may_be_packed_and_may_grow(zone: Zone) -> None:
    zone.put("otlp/a.jsonl.gz", gzip.compress(json.dumps(logs(log({"n": 1}))).encode()))
    zone.put("otlp/b.jsonl", json.dumps(logs(log({"n": 2}))), "\n")
    zone.land()
    request = json.dumps(logs(log({"n": 3})))
    zone.grow("otlp/b.jsonl", request[:50])
    zone.land()
    zone.grow("otlp/b.jsonl", request[50:], "\noops\n")
    zone.land()
    assert [dict(row["attributes"])["n"] for row in zone.rows("otlp")] == ["1", "2", "3"]
    assert zone.rejections() == [("otlp/b.jsonl", 3, "not_json")]


def test_requests_are_not_changed_by_these_helpers() -> None:
    request = rich_span()
    before = copy.deepcopy(request)
    walked(request, defaults_spelled_out)
    assert request == before
