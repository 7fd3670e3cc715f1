"""Telemetry in the marts: what each client sends becomes requests, tool calls and sessions, once.

Export requests are built as the OpenTelemetry Collector writes them and go through whole nights.
Every figure that is expected here is written by hand.
"""

import gzip
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.conftest import Warehouse
from tests.test_otlp import attributes

AS_OF = "2026-03-15T00:00:00Z"
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
SECRET = "planted secret phrase of somebody"

Request = dict[str, Any]
Row = tuple[Any, ...]
Pack = Callable[[bytes], bytes]


def nanoseconds(seconds: float) -> str:
    """Nanoseconds since 1970 of so many seconds after noon."""
    return str(int((NOON.timestamp() + seconds) * 1000) * 1_000_000)


def stamp(seconds: float) -> str:
    """The same instant as ISO 8601 text with milliseconds."""
    text = datetime.fromtimestamp(NOON.timestamp() + seconds, UTC).isoformat(
        timespec="milliseconds"
    )
    return text.replace("+00:00", "Z")


def request_of(
    signal: str, service: str, scope: str, records: list[Any], **resource: Any
) -> Request:
    """One export request: of logs, spans or metrics."""
    holders = {"Logs": "logRecords", "Spans": "spans", "Metrics": "metrics"}
    of_resource = {"attributes": attributes({"service.name": service, **resource})}
    group = {"scope": {"name": scope}, holders[signal]: records}
    return {f"resource{signal}": [{"resource": of_resource, f"scope{signal}": [group]}]}


# -------------------------------------------------------------------------------------------------
# The clients
# -------------------------------------------------------------------------------------------------


def claude_log(event: str, at: float, session: str | None = "s1", **values: Any) -> Request:
    standard = {"event.name": event, "event.timestamp": stamp(at), "user.id": "machine-1"}
    named = standard | ({"session.id": session} if session else {}) | values
    record = {
        "timeUnixNano": nanoseconds(at), "body": {"stringValue": f"claude_code.{event}"},
        "attributes": attributes(named),
    }  # fmt: skip
    return request_of("Logs", "claude-code", "com.anthropic.claude_code.events", [record])


def claude_request(at: float, number: int, session: str | None = "s1", **values: Any) -> Request:
    """100, 10, 1 and 1000 tokens, times the number, and as many cents."""
    return claude_log(
        "api_request", at, session, model="claude-sonnet-4-6", input_tokens=100 * number,
        output_tokens=10 * number, cache_read_tokens=1000 * number, cache_creation_tokens=number,
        cost_usd=number / 100, request_id=f"req_{session}_{number}", **values,
    )  # fmt: skip


def claude_metric(
    at: float, values: dict[str, float], session: str = "s1", cumulative: bool = False,
    start: float = 0,
) -> Request:  # fmt: skip
    """Points of the tokens by type, and of the cost under `cost`."""

    def points(value: float, **labels: str) -> dict[str, Any]:
        point = {
            "startTimeUnixNano": nanoseconds(start), "timeUnixNano": nanoseconds(at),
            "asDouble": value,
            "attributes": attributes({
                "session.id": session, "user.id": "machine-1", "model": "claude-sonnet-4-6", **labels,
            }),
        }  # fmt: skip
        return {
            "aggregationTemporality": 2 if cumulative else 1,
            "isMonotonic": True,
            "dataPoints": [point],
        }

    metrics = [
        {"name": "claude_code.cost.usage", "unit": "USD", "sum": points(value)}
        if kind == "cost"
        else {"name": "claude_code.token.usage", "unit": "tokens", "sum": points(value, type=kind)}
        for kind, value in values.items()
    ]
    return request_of("Metrics", "claude-code", "com.anthropic.claude_code", metrics)


def codex_log(
    event: str, at: float, scope: str = "codex_otel.log_only", span: str = "", **values: Any
) -> Request:
    """`__` in the names of attributes stands for a point."""
    names = {name.replace("__", "."): value for name, value in values.items()}
    named = {"event.name": event, "event.timestamp": stamp(at)} | names
    record = {
        "timeUnixNano": "0", "observedTimeUnixNano": nanoseconds(at), "body": None, "traceId": span,
        "spanId": span, "attributes": attributes(named),
    }  # fmt: skip
    return request_of("Logs", "codex_exec", scope, [record])


def codex_completed(at: float, **values: Any) -> Request:
    return codex_log(
        "codex.sse_event", at, event__kind="response.completed", model="gpt-5.1-codex", **values
    )


CODEX_USAGE = {
    "input_token_count": "900", "output_token_count": "70", "cached_token_count": 600,
    "cache_write_token_count": 100, "reasoning_token_count": 40, "tool_token_count": "970",
}  # fmt: skip


def gemini_log(event: str, at: float, session: str, **values: Any) -> Request:
    named = {"event.name": event, "event.timestamp": stamp(at), "session.id": session} | values
    record = {"timeUnixNano": nanoseconds(at), "attributes": attributes(named)}
    return request_of("Logs", "gemini-cli", "gemini-cli", [record])


GEMINI_USAGE = {
    "model": "gemini-2.5-pro", "duration_ms": 423, "input_token_count": 1000,
    "output_token_count": 50, "cached_content_token_count": 400, "thoughts_token_count": 30,
    "tool_token_count": 7, "total_token_count": 1087,
}  # fmt: skip


def span(
    name: str, number: int, parent: int | None = None, trace: str = "aa", failed: bool = False,
    at: float = 0, service: str = "bot", kind: int = 3, scope: str = "tracer", **values: Any,
) -> Request:  # fmt: skip
    """A span of two seconds; `__` in the names of attributes stands for a point."""
    record = {
        "traceId": trace, "spanId": f"{number:016x}", "name": name, "kind": kind,
        "startTimeUnixNano": nanoseconds(at), "endTimeUnixNano": nanoseconds(at + 2),
        "status": {"code": 2} if failed else {},
        "attributes": attributes({key.replace("__", "."): item for key, item in values.items()}),
    }  # fmt: skip
    if parent is not None:
        record["parentSpanId"] = f"{parent:016x}"
    return request_of("Spans", service, scope, [record])


CHAT = {
    "gen_ai__operation__name": "chat", "gen_ai__provider__name": "openai",
    "gen_ai__request__model": "gpt-4.1", "gen_ai__usage__input_tokens": 900,
    "gen_ai__usage__cache_read__input_tokens": 600, "gen_ai__usage__output_tokens": 70,
}  # fmt: skip
EMPTY_CHAT = {"gen_ai__operation__name": "chat", "gen_ai__request__model": "gpt-4.1"}


# -------------------------------------------------------------------------------------------------
# What lands: each case in a session of its own, and what its requests must come to
# -------------------------------------------------------------------------------------------------


def codex_conversation() -> list[Request]:
    here = {"conversation__id": "codex"}
    return [
        codex_log("codex.api_request", 1, span="a1", attempt="0", error__message="http 500", **here),
        codex_log("codex.api_request", 2, span="a1", attempt="1", **here),
        # The event comes twice, and one of the two has tokens; that one has a twin without e-mail.
        codex_completed(3, duration_ms="0", **here),
        codex_completed(3, **CODEX_USAGE, **here, user__email="bo@acme.test"),
        codex_log(
            "codex.sse_event", 3, "codex_cli_rs", model="gpt-5.1-codex", **CODEX_USAGE, **here,
            target="codex_otel.trace_safe",
        ),
        # A stream that broke, and a request whose attempts were all refused.
        codex_log("codex.sse_event", 4, event__kind="response.failed", error__message="x", **here),
        codex_completed(4.5, error__message="the stream was cut short by", **here),
        codex_log("codex.api_request", 5, span="b1", attempt="0", error__message="500", **here),
        codex_log("codex.api_request", 6, span="b1", attempt="1", error__message="500", **here),
        codex_log("codex.tool_decision", 7, call_id="k1", tool_name="shell", decision="approved",
                  source="Config", **here),
        codex_log("codex.tool_result", 8, call_id="k1", tool_name="shell", success="true",
                  duration_ms="31", mcp_server="", **here),
        codex_log("codex.tool_decision", 9, call_id="k2", tool_name="shell", decision="denied",
                  source="User", **here),
        codex_log("codex.tool_result", 10, call_id="k2", tool_name="shell", success="false", **here),
        codex_log("codex.tool_result", 11, call_id="k3", tool_name="add", success="true",
                  mcp_server="calc", **here),
        codex_log("codex.tool_decision", 12, call_id="k4", tool_name="shell", decision="approved",
                  source="Config", **here),
    ]  # fmt: skip


def codex_attempts() -> list[Request]:
    """Attempts that name no span: given up, recovered, and two that were never repeated."""

    def attempt(at: float, number: int, failed: bool = True) -> Request:
        error = {"error__message": "http 500"} if failed else {}
        return codex_log("codex.api_request", at, attempt=str(number), conversation__id="attempts",
                         **error)  # fmt: skip

    return [
        attempt(1, 0), attempt(2, 1), attempt(3, 2),
        attempt(4, 0), attempt(5, 1, failed=False),
        attempt(6, 0), attempt(7, 0),
        # The other record of an event that comes twice.
        codex_log("codex.api_request", 2, "codex_cli_rs", attempt="1", error__message="http 500",
                  conversation__id="attempts", target="codex_otel.trace_safe"),
    ]  # fmt: skip


def gemini_session() -> list[Request]:
    details = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 50}
    return [
        gemini_log("gemini_cli.api_request", 1, "gemini", model="gemini-2.5-pro"),
        gemini_log("gemini_cli.api_response", 2, "gemini", **GEMINI_USAGE),
        gemini_log("gen_ai.client.inference.operation.details", 2, "gemini", **details),
        gemini_log("gemini_cli.api_error", 3, "gemini", model_name="gemini-2.5-pro", duration=156,
                   error_type="ApiError", status_code=500),
        gemini_log("gemini_cli.tool_call", 4, "gemini", function_name="mcp_calc_add",
                   mcp_server_name="calc", success=True, decision="accept", duration_ms=3),
        gemini_log("gemini_cli.tool_call", 5, "gemini", function_name="write_file", success=False,
                   decision="reject"),
        gemini_log("gemini_cli.tool_call", 6, "gemini", function_name="read_file", success=False,
                   decision="accept", error_type="invalid_path"),
    ]  # fmt: skip


def claude_tools() -> list[Request]:
    def call(event: str, at: float, number: int, **values: Any) -> Request:
        return claude_log(event, at, "tools", tool_use_id=f"use-{number}", **values)

    named = json.dumps({"mcp_server_name": "calc", "mcp_tool_name": "add", "command": SECRET})
    return [
        call("tool_decision", 1, 1, tool_name="Bash", decision="accept", source="config"),
        call("tool_result", 2, 1, tool_name="Bash", success="true", duration_ms="154"),
        call("tool_result", 3, 2, tool_name="mcp_tool", success="false", tool_parameters=named),
        call("tool_result", 4, 3, tool_name="mcp__git_hub__find_issue", success="true"),
        call("tool_decision", 5, 4, tool_name="Bash", decision="reject", source="hook"),
        call("tool_decision", 6, 5, tool_name="Bash", decision="reject", source="user_reject"),
        # Accepted, and killed before it had a result.
        call("tool_decision", 7, 6, tool_name="Read", decision="accept", source="config"),
        # Of an older client, which gives no ids: the result tells of it.
        claude_log("tool_decision", 8, "tools", tool_name="Edit", decision="accept"),
    ]


def claude_trace(session: str, trace: str, tokens: int) -> list[Request]:
    """Spans of Claude Code's beta; the names of the tokens are its own."""
    inside = {"service": "claude-code", "trace": trace, "session__id": session,
              "scope": "com.anthropic.claude_code.tracing"}  # fmt: skip
    return [
        span("claude_code.interaction", 1, **inside),
        span("claude_code.llm_request", 2, 1, **inside, model="claude-sonnet-4-6",
             input_tokens=tokens, output_tokens=2, cache_read_tokens=3, cache_creation_tokens=4),
        span("claude_code.tool", 3, 1, **inside, tool_name="Bash"),
    ]  # fmt: skip


def agent_trace() -> list[Request]:
    """pydantic-ai's: the agent's span sums up; the conversation stands on the agent alone."""
    here = {"trace": "a1"}
    return [
        span("invoke_agent x", 1, **here, gen_ai__operation__name="invoke_agent", kind=1,
             gen_ai__conversation__id="agent", enduser__id="Ana@acme.test",
             gen_ai__aggregated_usage__input_tokens=900),
        span("chat gpt-4.1", 2, 1, **here, **CHAT, operation__cost=0.0101),
        span("chat gpt-4.1", 3, 1, **here, **EMPTY_CHAT, failed=True),
        span("chat gpt-4.1", 4, 1, **here, **EMPTY_CHAT),
        span("execute_tool add", 5, 1, **here, gen_ai__operation__name="execute_tool",
             gen_ai__tool__name="add"),
        # The same call on its way to the server, by the client and by the server.
        span("tools/call add", 6, 5, **here, mcp__method__name="tools/call",
             gen_ai__tool__name="add"),
        span("tools/call add", 7, 6, **here, mcp__method__name="tools/call", kind=2,
             gen_ai__tool__name="add", service="calc-server"),
        # An agent that a tool calls has calls of its own.
        span("execute_tool ask", 8, 1, **here, gen_ai__operation__name="execute_tool",
             gen_ai__tool__name="ask"),
        span("invoke_agent y", 9, 8, **here, gen_ai__operation__name="invoke_agent"),
        span("execute_tool ask", 10, 9, **here, gen_ai__operation__name="execute_tool",
             gen_ai__tool__name="ask", failed=True),
    ]  # fmt: skip


def details_log(
    number: int | None, tokens: int = 0, trace: str = "aa", failed: bool = False, **values: Any
) -> Request:
    """The conventions' log event of a call, in the span of this number."""
    usage = {"gen_ai.usage.input_tokens": tokens} if tokens else {}
    outcome = {"error.type": "timeout"} if failed else {}
    record = {
        "timeUnixNano": nanoseconds(2), "eventName": "gen_ai.client.inference.operation.details",
        "traceId": trace, "attributes": attributes(usage | outcome | values),
    }  # fmt: skip
    if number is not None:
        record["spanId"] = f"{number:016x}"
    return request_of("Logs", "bot", "tracer", [record])


def detailed_trace() -> list[Request]:
    """Calls that spans tell, log events tell, or both."""
    here = {"trace": "a2"}
    return [
        span("invoke_agent x", 1, **here, gen_ai__operation__name="invoke_agent",
             gen_ai__conversation__id="detailed", gen_ai__usage__input_tokens=77),
        # Told by both; by the log event alone, inside a span without usage, an unknown one, none.
        span("chat", 2, 1, **here, **CHAT), details_log(2, 900, **here),
        span("chat", 3, 1, **here, **EMPTY_CHAT), details_log(3, 10, **here),
        details_log(4, 10, **here, **{"gen_ai.conversation.id": "detailed"}),
        details_log(None, 20, **here, **{"gen_ai.conversation.id": "detailed"}),
        # In the agent's span, which so adds up; in one that is none of a call.
        span("invoke_agent y", 5, 1, **here, gen_ai__operation__name="invoke_agent"),
        details_log(5, 30, **here),
        # One that failed, told by both.
        span("chat", 6, 1, **here, **EMPTY_CHAT, failed=True), details_log(6, **here, failed=True),
    ]  # fmt: skip


def nested_trace() -> list[Request]:
    """Instrumentations on top of each other: the finest span with usage counts."""
    outer = {"trace": "b1", "traceloop__association__properties__session_id": "nested"}
    usage = {
        "llm__request__type": "chat", "gen_ai__system": "Anthropic",
        "gen_ai__response__model": "claude-sonnet-4-6",
        "gen_ai__usage__prompt_tokens": 100, "gen_ai__usage__completion_tokens": 5,
    }  # fmt: skip
    return [
        span("anthropic.messages.create", 1, **outer, **usage),
        span("http", 2, 1, trace="b1"),
        span("anthropic.chat", 3, 2, **outer, **usage),
        # One alone counts; one that failed on the outside and inside counts once.
        span("anthropic.messages.create", 4, **outer, **usage),
        span("anthropic.messages.create", 5, **outer, failed=True),
        span("anthropic.chat", 6, 5, **outer, llm__request__type="chat", failed=True),
        # A retry within one that succeeded.
        span("anthropic.messages.create", 7, **outer, **usage),
        span("anthropic.chat", 8, 7, **outer, llm__request__type="chat", failed=True),
        span("anthropic.chat", 9, 7, **outer, **usage),
    ]


def litellm_trace() -> list[Request]:
    here = {"trace": "c1", "session__id": "litellm", "service": "litellm"}
    usage = {"gen_ai__request__model": "gpt-4.1", "gen_ai__usage__input_tokens": 8,
             "gen_ai__usage__output_tokens": 2, "gen_ai__cost__total_cost": 0.5,
             "metadata__user_api_key_team_id": "team-l", "gen_ai__user": "user-7"}  # fmt: skip
    return [
        span("litellm_request", 1, **here, **usage),
        span("raw_gen_ai_request", 2, 1, **here, **usage),
        span("litellm_request", 3, **here, failed=True, gen_ai__request__model="gpt-4.1"),
    ]


def openinference_trace() -> list[Request]:
    here = {"trace": "d1", "session__id": "openinference"}
    return [
        span("ChatCompletion", 1, **here, openinference__span__kind="LLM", llm__system="openai",
             llm__model_name="gpt-4.1", llm__token_count__prompt=900,
             llm__token_count__prompt_details__cache_read=600, llm__token_count__completion=70,
             input__value=SECRET),
        span("Embeddings", 2, **here, openinference__span__kind="EMBEDDING",
             embedding__model_name="small", llm__token_count__prompt=7),
        # More cached tokens than input tokens: these cannot be a part of those.
        span("chat", 3, **here, gen_ai__operation__name="chat", gen_ai__usage__input_tokens=10,
             gen_ai__usage__cache_read__input_tokens=500, gen_ai__usage__output_tokens=1),
        # The total says that they are no part of them.
        span("chat", 4, **here, gen_ai__operation__name="chat", gen_ai__usage__input_tokens=500,
             gen_ai__usage__cache_creation_input_tokens=30, gen_ai__usage__output_tokens=1,
             gen_ai__usage__total_tokens=531),
    ]  # fmt: skip


def codex_twin() -> list[Request]:
    """Two records of one request, of which the second says nothing of cached tokens."""
    here = {"conversation__id": "twin", "input_token_count": "900", "output_token_count": "70"}
    usual = {"event__kind": "response.completed", "model": "gpt-5.1-codex"}
    return [
        codex_completed(3, cached_token_count="600", **here),
        codex_log("codex.sse_event", 3, "codex_cli_rs", target="codex_otel.trace_safe", **usual, **here),
        codex_log("codex.tool_result", 4, conversation__id="twin", call_id="t1", tool_name="shell",
                  success="true", duration_ms="31"),
        codex_log("codex.tool_result", 4, "codex_cli_rs", conversation__id="twin", call_id="t1",
                  tool_name="shell", success="true"),
    ]  # fmt: skip


def claude_parts(session: str, trace: str) -> list[Request]:
    """Tool calls whose end and whose decision stand in spans of their own."""
    inside = {"service": "claude-code", "trace": trace, "session__id": session,
              "scope": "com.anthropic.claude_code.tracing"}  # fmt: skip
    return [
        span("claude_code.tool", 1, **inside, tool_name="Bash", tool_use_id="p1"),
        span("claude_code.tool.execution", 2, 1, **inside, success=False),
        span("claude_code.tool", 3, **inside, tool_name="Bash", tool_use_id="p2"),
        span(
            "claude_code.tool.blocked_on_user", 4, 3, **inside, decision="reject", source="config"
        ),
    ]


def odd_totals() -> list[Request]:
    return [
        span("Embeddings", 1, trace="f1", session__id="embedding", thread__id="140234",
             openinference__span__kind="EMBEDDING", llm__token_count__total=9),
        # The total of Google's API has the thoughts, which the output has not.
        span("generate_content", 1, trace="f2", session__id="google",
             gen_ai__operation__name="generate_content", gen_ai__provider__name="gcp.gemini",
             gen_ai__usage__input_tokens=9100, gen_ai__usage__output_tokens=210,
             gen_ai__usage__total_tokens=9610),
        # An empty text says nothing, and is no reason to refuse the rest.
        span("litellm_request", 1, trace="f3", service="litellm", session__id="empty",
             gen_ai__usage__input_tokens="", gen_ai__usage__output_tokens=5),
    ]  # fmt: skip


def ai_sdk_trace() -> list[Request]:
    """Vercel's AI SDK: the outer span adds up; who asked stands on the resource and the outer span."""
    outer = span("ai.generateText", 1, trace="b3", team__id="team-v", cost_center="centre-v",
                 ai__usage__promptTokens=900, ai__usage__completionTokens=70)  # fmt: skip
    inner = span(
        "ai.generateText.doGenerate", 2, 1, trace="b3", gen_ai__system="Unknown",
        ai__usage__inputTokens=900, ai__usage__outputTokens=70, ai__usage__cachedInputTokens=600,
        ai__usage__reasoningTokens=5, ai__usage__totalTokens=970, ai__model__id="gpt-4.1",
    )  # fmt: skip
    who = {"session.id": "ai sdk", "user.email": "vera@acme.test", "user.id": "user-v"}
    for request in (outer, inner):
        request["resourceSpans"][0]["resource"]["attributes"] += attributes(who)
    return [outer, inner]


def tool_trace() -> list[Request]:
    """A request runs a tool, whose own requests are no part of it."""
    here = {"trace": "b2", "traceloop__association__properties__session_id": "in a tool"}
    tool = {"trace": "b2", "gen_ai__operation__name": "execute_tool", "gen_ai__tool__name": "ask"}
    return [
        span("chat", 1, **here, **CHAT),
        span("execute_tool ask", 2, 1, **tool),
        span("chat", 3, 2, **here, **CHAT),
        # It failed within the tool, and is no retry of the outer one.
        span("chat", 4, 2, **here, **EMPTY_CHAT, failed=True),
        # Nor does one without usage wrap what its tool asks; a span beside the tool adds up.
        span("chat", 5, **here, **EMPTY_CHAT),
        span("execute_tool ask", 6, 5, **tool),
        span("invoke_agent", 7, 6, **here, gen_ai__operation__name="invoke_agent",
             gen_ai__usage__input_tokens=900),
        span("chat", 8, 7, **here, **CHAT),
    ]  # fmt: skip


def shared_traces() -> list[Request]:
    """A coding agent between an application, a gateway and the server of a tool; one trace each."""
    claude = {"service": "claude-code", "session__id": "shared", "trace": "a3",
              "scope": "com.anthropic.claude_code.tracing"}  # fmt: skip
    call = {"gen_ai__tool__name": "add", "mcp__method__name": "tools/call", "kind": 2}
    here = {"service": "app", "trace": "a3", "session__id": "around"}
    told = codex_log("codex.tool_result", 3, call_id="c1", tool_name="add", success="true",
                     mcp_server="calc", conversation__id="shared")  # fmt: skip
    [record] = told["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    record.update(traceId="a4", spanId=f"{2:016x}")
    return [
        span("invoke_agent x", 1, **here, gen_ai__operation__name="invoke_agent",
             gen_ai__usage__input_tokens=104, gen_ai__usage__output_tokens=2),
        span("claude_code.interaction", 2, 1, **claude),
        span("claude_code.llm_request", 3, 2, **claude, model="claude-sonnet-4-6",
             input_tokens=100, output_tokens=2),
        # The gateway that the coding agent asks tells the same request once more.
        span("litellm_request", 4, 3, trace="a3", service="gateway", kind=2,
             gen_ai__usage__input_tokens=100, gen_ai__usage__output_tokens=2),
        span("claude_code.tool", 5, 2, **claude, tool_name="mcp__calc__add"),
        span("claude_code.tool.execution", 6, 5, **claude),
        span("tools/call add", 7, 6, trace="a3", service="calc-server", **call),
        # The usage of an application that holds no other is its own.
        span("chat", 8, 1, **here, **CHAT),
        # A session that tells its calls in log events; the server's other call is its own.
        told,
        span("handle_tool_call", 2, trace="a4", service="codex_exec"),
        span("tools/call add", 3, 2, trace="a4", service="calc-server", **call),
        span("tools/call subtract", 4, 2, trace="a4", service="calc-server",
             **{**call, "gen_ai__tool__name": "subtract"}),
    ]  # fmt: skip


CASES: dict[str, list[Request]] = {
    "logs": [
        claude_request(1, 1, "logs"),
        claude_request(2, 2, "logs", speed="fast"),
        claude_log("api_error", 3, "logs", model="m", attempt=3, error="Overloaded"),
        claude_log("api_retries_exhausted", 3, "logs", model="m", total_attempts=3),
        claude_log("subagent_completed", 4, "logs", total_tokens=999),
        # Metrics and spans that tell the same again.
        claude_metric(60, {"input": 300, "output": 30, "cacheRead": 3000, "cost": 0.03}, "logs"),
        *claude_trace("logs", "e1", 300),
    ],
    "delta": [
        claude_metric(60, {"input": 10, "output": 1, "cacheRead": 5, "cost": 0.25}, "delta"),
        claude_metric(120, {"input": 20, "cacheCreation": 2, "cost": 0.5}, "delta", start=60),
        # Metrics are the authority before spans.
        *claude_trace("delta", "e2", 30),
    ],
    "cumulative": [
        claude_metric(60, {"input": 10, "cost": 0.25}, "cumulative", True),
        claude_metric(90, {"input": 25, "cost": 0.25}, "cumulative", True),
        claude_metric(120, {"input": 40, "cost": 1.5}, "cumulative", True),
        # Begun anew: once with another start, once without telling.
        claude_metric(180, {"input": 7, "cost": 0.5}, "cumulative", True, start=150),
        claude_metric(240, {"input": 3, "cost": 0.5}, "cumulative", True, start=150),
    ],
    "spans": claude_trace("spans", "e3", 30),
    "errors": [claude_log("api_error", 1, "errors", model="m", status_code=529)],
    "nobody's": [claude_request(1, 1, None), claude_metric(60, {"input": 100}, "", False)],
    "tools": claude_tools(),
    "codex": codex_conversation(),
    "attempts": codex_attempts(),
    "gemini": gemini_session(),
    "agent": agent_trace(),
    "detailed": detailed_trace(),
    "nested": nested_trace(),
    "litellm": litellm_trace(),
    "openinference": openinference_trace(),
    "twin": codex_twin(),
    "parts": claude_parts("parts", "f4"),
    # The log is the authority: a decision is not told by a span that does not count.
    "logged parts": [
        claude_request(1, 1, "logged"),
        claude_log(
            "tool_decision",
            2,
            "logged",
            tool_use_id="p2",
            tool_name="Bash",
            decision="reject",
            source="config",
        ),
        *claude_parts("logged", "f5"),
    ],
    "odd totals": odd_totals(),
    "shared": shared_traces(),
    "in a tool": tool_trace(),
    "ai sdk": ai_sdk_trace(),
    # What succeeded, metrics alone tell.
    "half": [
        claude_log("api_error", 1, "half", model="m", status_code=529),
        claude_metric(60, {"input": 100, "cost": 0.5}, "half"),
    ],
}

# Client and session -> requests, failed ones, uncached input, cache read, cache write, output, cost.
TOTALS: dict[tuple[str, str], tuple[Any, ...]] = {
    ("claude_code", "logs"): (3, 1, 300, 3000, 3, 30, "0.03"),
    ("claude_code", "delta"): (None, None, 30, 5, 2, 1, "0.75"),
    ("claude_code", "cumulative"): (None, None, 50, 0, 0, 0, "2"),
    ("claude_code", "spans"): (1, 0, 30, 3, 4, 2, None),
    ("claude_code", "errors"): (1, 1, 0, 0, 0, 0, "0"),
    ("claude_code", "(unattributed)"): (1, 0, 100, 1000, 1, 10, "0.01"),
    ("codex", "codex"): (3, 2, 200, 600, 100, 70, None),
    ("codex", "attempts"): (3, 3, 0, 0, 0, 0, None),
    ("gemini_cli", "gemini"): (2, 1, 607, 400, 0, 80, None),
    ("bot", "agent"): (3, 1, 300, 600, 0, 70, "0.0101"),
    ("bot", "detailed"): (6, 1, 300 + 10 + 10 + 20 + 30, 600, 0, 70, None),
    ("claude_code", "shared"): (1, 0, 100, 0, 0, 2, None),
    ("app", "around"): (1, 0, 300, 600, 0, 70, None),
    ("bot", "in a tool"): (5, 1, 900, 1800, 0, 210, None),
    ("bot", "ai sdk"): (1, 0, 300, 600, 0, 70, None),
    ("claude_code", "half"): (1, 1, 100, 0, 0, 0, "0.5"),
    ("bot", "nested"): (4, 1, 300, 0, 0, 15, None),
    ("litellm", "litellm"): (2, 1, 8, 0, 0, 2, "0.5"),
    ("claude_code", "logged"): (1, 0, 100, 1000, 1, 10, "0.01"),
    ("codex", "twin"): (1, 0, 300, 600, 0, 70, None),
    ("bot", "embedding"): (1, 0, 9, 0, 0, 0, None),
    ("bot", "google"): (1, 0, 9100, 0, 0, 510, None),
    ("litellm", "empty"): (1, 0, 0, 0, 0, 5, None),
    ("bot", "openinference"): (4, 0, 300 + 7 + 10 + 500, 600 + 500, 30, 72, None),
}

# Client and session -> MCP server, tool, outcome.
CALLS: dict[tuple[str, str | None], list[tuple[str | None, str, str]]] = {
    ("claude_code", "tools"): [
        (None, "Bash", "blocked"), (None, "Bash", "executed"), (None, "Bash", "rejected"),
        (None, "Read", "unknown"), ("calc", "add", "failed"), ("git_hub", "find_issue", "executed"),
    ],
    ("claude_code", "parts"): [(None, "Bash", "blocked"), (None, "Bash", "failed")],
    ("claude_code", "logged"): [(None, "Bash", "blocked")],
    ("claude_code", "shared"): [("calc", "add", "executed")],
    ("codex", "shared"): [("calc", "add", "executed")],
    ("bot", "in a tool"): [(None, "ask", "executed"), (None, "ask", "executed")],
    ("calc-server", None): [(None, "subtract", "executed")],
    ("codex", "twin"): [(None, "shell", "executed")],
    ("claude_code", "delta"): [(None, "Bash", "executed")],
    ("claude_code", "spans"): [(None, "Bash", "executed")],
    ("codex", "codex"): [
        (None, "shell", "executed"), (None, "shell", "rejected"), (None, "shell", "unknown"),
        ("calc", "add", "executed"),
    ],
    ("gemini_cli", "gemini"): [
        (None, "read_file", "failed"), (None, "write_file", "rejected"), ("calc", "add", "executed"),
    ],
    ("bot", "agent"): [
        (None, "add", "executed"), (None, "ask", "executed"), (None, "ask", "failed"),
    ],
}  # fmt: skip


# -------------------------------------------------------------------------------------------------
# Nights
# -------------------------------------------------------------------------------------------------


def land(warehouse: Warehouse, name: str, requests: list[Request], pack: Pack = bytes) -> None:
    """Let a file land with one request a line."""
    folder = warehouse.landing / "otlp"
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(request, ensure_ascii=False) + "\n" for request in requests)
    (folder / name).write_bytes(pack(text.encode()))


def night(warehouse: Warehouse) -> None:
    answer = warehouse.night(as_of=AS_OF)
    assert answer.code in (0, 3), answer.error


def figures(warehouse: Warehouse) -> dict[str, list[Row]]:
    """All that telemetry comes to, in an order of its own."""
    return {
        query: warehouse.query(query)
        for query in (
            "select * from marts.session_metrics order by timeframe, client, session_id",
            "select * from intermediate.int_llm_requests_combined order by client, request_key",
            "select * from intermediate.int_tool_calls_combined order by client, call_key",
            "select * from quality.telemetry_rules order by client, signal, rule",
            "select * from quality.reconciliation order by comparison, client, subject, measure",
        )
    }


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """All cases after one night."""
    folder = tmp_path_factory.mktemp("telemetry")
    warehouse = Warehouse.below(folder, folder / "landing")
    requests = [request for case in CASES.values() for request in case]
    land(warehouse, "a.jsonl", requests[::3])
    land(warehouse, "b.jsonl.gz", requests[1::3], gzip.compress)
    land(warehouse, "c.jsonl.zst", requests[2::3], zstandard.ZstdCompressor().compress)
    night(warehouse)
    return warehouse


@pytest.mark.parametrize("key", TOTALS)
def test_a_session_comes_to(landed: Warehouse, key: tuple[str, str]) -> None:
    rows = landed.query(
        "select client, session_id, request_count, failed_requests, uncached_input_tokens, "
        "cache_read_tokens, cache_write_tokens, output_tokens, reported_cost_usd, has_timeline "
        "from marts.session_metrics where timeframe = 'last_24_hours'"
    )
    *expected, cost = TOTALS[key]
    has_timeline = expected[0] is not None
    [found] = [row[2:] for row in rows if row[:2] == key]
    assert found == (*expected, None if cost is None else Decimal(cost), has_timeline)


def test_there_is_no_other_session(landed: Warehouse) -> None:
    rows = landed.query(
        "select client, session_id from marts.session_metrics where timeframe = 'last_24_hours'"
    )
    assert sorted(rows) == sorted(TOTALS)


def test_tool_calls_have_their_server_and_outcome(landed: Warehouse) -> None:
    found: dict[tuple[str, str | None], list[Row]] = {}
    for client, session, *call in landed.query(
        "select client, session_id, mcp_id, tool_name, outcome "
        "from intermediate.int_tool_calls_combined "
        "order by mcp_id nulls first, tool_name, outcome"
    ):
        found.setdefault((client, session), []).append(tuple(call))
    assert found == CALLS


def test_every_record_falls_under_one_rule(landed: Warehouse) -> None:
    rules = dict(
        landed.query("select rule, sum(records) from quality.telemetry_rules group by rule")
    )
    [(records,)] = landed.query("select count(*) from intermediate.int_otlp_records_deduplicated")
    assert sum(rules.values()) == records
    assert {rule: int(rules[rule]) for rule in (
        "accompanies_a_failed_request", "adds_up_its_children", "attempt_that_succeeded",
        "attempt_that_was_repeated", "decision_told_by_its_result", "is_the_raw_half_of_a_request",
        "part_of_a_call", "part_of_a_request", "told_by_its_span", "twin_of_a_record_that_counts",
        "wraps_a_request",
    )} == {
        "accompanies_a_failed_request": 2, "adds_up_its_children": 6, "attempt_that_succeeded": 2,
        "attempt_that_was_repeated": 5, "decision_told_by_its_result": 3,
        "is_the_raw_half_of_a_request": 1, "part_of_a_call": 9, "part_of_a_request": 2,
        "told_by_its_span": 2, "twin_of_a_record_that_counts": 4, "wraps_a_request": 2,
    }  # fmt: skip


def test_metrics_are_held_against_the_logs(landed: Warehouse) -> None:
    rows = landed.query(
        "select measure, difference from quality.reconciliation where subject = 'logs' "
        "order by measure"
    )
    assert rows == [
        ("cache_read_tokens", 0), ("cache_write_tokens", -3), ("input_tokens", 0),
        ("output_tokens", 0), ("reported_cost_usd", 0),
    ]  # fmt: skip


def test_a_request_says_what_a_price_needs(landed: Warehouse) -> None:
    rows = landed.query(
        "select distinct client, provider, model, speed "
        "from intermediate.int_llm_requests_combined where session_id in ('logs', 'codex', "
        "'gemini', 'nested') and not is_failed order by all"
    )
    assert rows == [
        ("bot", "anthropic", "claude-sonnet-4-6", None),
        ("claude_code", "anthropic", "claude-sonnet-4-6", "fast"),
        ("claude_code", "anthropic", "claude-sonnet-4-6", None),
        ("codex", "openai", "gpt-5.1-codex", None),
        ("gemini_cli", "google", "gemini-2.5-pro", None),
    ]


def test_identity_and_team_stand_on_the_request(landed: Warehouse) -> None:
    rows = landed.query(
        "select distinct session_id, email, installation_id, team_id "
        "from intermediate.int_llm_requests_combined where session_id in ('agent', 'codex', "
        "'litellm') and not is_failed order by all"
    )
    assert rows == [
        ("agent", "Ana@acme.test", None, None),
        ("codex", "bo@acme.test", None, None),
        ("litellm", None, "user-7", "team-l"),
    ]


def test_resources_and_outer_spans_say_who_asked(landed: Warehouse) -> None:
    rows = landed.query(
        "select email, installation_id, team_id, cost_centre "
        "from intermediate.int_llm_requests_combined where session_id = 'ai sdk'"
    )
    assert rows == [("vera@acme.test", "user-v", "team-v", "centre-v")]


def test_where_no_provider_is_named_the_model_has_its_price(landed: Warehouse) -> None:
    rows = landed.query(
        "select provider, model, estimated_cost_usd "
        "from intermediate.int_llm_requests_combined where session_id = 'ai sdk'"
    )
    # 300 tokens at 2 USD per million, 600 cached at 0.5, 70 out at 8.
    assert rows == [(None, "gpt-4.1", Decimal("0.00146"))]


def test_a_client_that_never_sent_is_not_configured(landed: Warehouse) -> None:
    rows = dict(landed.query("select client, status from quality.source_freshness"))
    assert (rows["claude_code"], rows["bot"]) == ("receiving", "receiving")
    assert rows["platform"] == "never configured"


@pytest.mark.parametrize("seed", [5])
def test_order_copies_and_nights_change_nothing(
    landed: Warehouse, tmp_path: Path, seed: int
) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    requests = [request for case in CASES.values() for request in case] * 2
    rng.shuffle(requests)
    warehouse = Warehouse.below(tmp_path, tmp_path / "landing")
    for number in range(3):
        land(warehouse, f"{number}.jsonl", requests[number::3])
        night(warehouse)
    assert figures(warehouse) == figures(landed)
    [(unbalanced,)] = warehouse.query(
        "select count(*) from quality.row_ledger where not is_balanced"
    )
    assert unbalanced == 0


def test_what_comes_late_decides_its_unit_anew(tmp_path: Path) -> None:
    warehouse = Warehouse.below(tmp_path, tmp_path / "landing")
    outer, _, inner, *_ = nested_trace()
    land(
        warehouse,
        "early.jsonl",
        [
            claude_metric(60, {"input": 100, "cost": 0.5}, "taken over"),
            claude_metric(60, {"input": 10}, "series", True),
            claude_metric(180, {"input": 40}, "series", True),
            outer,
            claude_log("tool_decision", 1, "taken over", tool_use_id="u", decision="reject",
                       source="hook", tool_name="Bash"),
        ],
    )  # fmt: skip
    night(warehouse)
    figures_of = (
        "select session_id, has_timeline, request_count, uncached_input_tokens "
        "from marts.session_metrics where timeframe = 'last_24_hours' order by session_id"
    )
    assert warehouse.query(figures_of) == [
        ("nested", True, 1, 100), ("series", False, None, 40), ("taken over", False, None, 100),
    ]  # fmt: skip

    land(
        warehouse,
        "late.jsonl",
        [
            # Logs take over the whole session, and a result tells what became of a call.
            claude_request(30, 2, "taken over"),
            claude_log("tool_result", 2, "taken over", tool_use_id="u", success="true",
                       tool_name="Bash"),
            # A point between two others, after which the value had fallen.
            claude_metric(120, {"input": 45}, "series", True),
            # The spans between, and the finest.
            span("http", 2, 1, trace="b1"), inner,
        ],
    )  # fmt: skip
    night(warehouse)
    assert warehouse.query(figures_of) == [
        ("nested", True, 1, 100), ("series", False, None, 10 + 35 + 40),
        ("taken over", True, 1, 200),
    ]  # fmt: skip
    assert warehouse.query(
        "select tool_name, outcome from intermediate.int_tool_calls_combined"
    ) == [("Bash", "executed")]
    assert warehouse.query(
        "select record_id = (select record_id from intermediate.int_otlp_records_deduplicated "
        "where record_name = 'anthropic.chat') from intermediate.int_telemetry_requests_decided "
        "where is_counted and signal = 'span'"
    ) == [(True,)]


def test_metrics_without_a_session_leave_the_day_to_the_logs_of_their_installation(
    tmp_path: Path,
) -> None:
    warehouse = Warehouse.below(tmp_path, tmp_path / "landing")
    days_ago = -2 * 86_400
    metrics = [
        claude_metric(60, {"input": 100}, session=""),
        claude_metric(days_ago, {"input": 7}, session="", start=days_ago - 60),
    ]
    figures_of = (
        "select session_id, uncached_input_tokens from marts.session_metrics "
        "where timeframe = 'last_7_days' order by session_id"
    )
    land(warehouse, "early.jsonl", metrics)
    night(warehouse)
    assert warehouse.query(figures_of) == [("(unattributed)", 107)]
    # Another installation's log is no reason; this one's is, when it comes.
    land(warehouse, "other.jsonl", [claude_request(1, 1, "other", **{"user.id": "machine-2"})])
    night(warehouse)
    assert warehouse.query(figures_of) == [("(unattributed)", 107), ("other", 100)]
    land(warehouse, "late.jsonl", [claude_request(1, 1, "named")])
    night(warehouse)
    assert warehouse.query(figures_of) == [("(unattributed)", 7), ("named", 100), ("other", 100)]


def test_planted_content_is_in_no_byte(landed: Warehouse) -> None:
    for folder in (landed.home, landed.exports):
        for path in folder.rglob("*"):
            if path.is_file():
                assert b"planted" not in path.read_bytes(), path
