"""The slow, plain reference for every report, its previous period and its filters.

Like oracle.py, on which it builds, it shares nothing with the warehouse: rows are counted one by
one in Python, and time is cut with zoneinfo. REPORTS says what the file of a report looks like.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle import (
    ANALYTICS_PAGE,
    BILLING_PAGE,
    EPOCH,
    REPORTS_PAGE,
    UNATTRIBUTED,
    WINDOW_REPORTS,
    Cells,
    Facts,
    Row,
    Window,
    all_tokens,
    amount,
    attribute,
    fixed,
    grouped,
    instant_text,
    known_sum,
    local_instant,
    micros,
    most_used,
    named,
    p95_milliseconds,
    percentile_text,
    previous_window_of,
    sessions_in,
    share,
    text_cell,
    text_order,
    total,
    window_of,
    within,
)  # fmt: skip

USAGE_PAGE = ("last_24_hours", "last_7_days", "last_14_days", "last_30_days")
TIMEFRAMES: dict[str, tuple[str, ...]] = {
    "reports": REPORTS_PAGE, "analytics": ANALYTICS_PAGE, "usage": USAGE_PAGE,
    "billing": BILLING_PAGE,
}  # fmt: skip

HOUR = 3_600_000_000
DAY = 24 * HOUR

# -------------------------------------------------------------------------------------------------
# Time
# -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clock:
    """The instant that reports look back from, and whose wall clock they go by."""

    as_of: datetime
    zone: ZoneInfo
    week_start: str

    def wall(self, instant: int) -> datetime:
        """The aware local time of an instant."""
        return (EPOCH + timedelta(microseconds=instant)).astimezone(self.zone)


@dataclass(frozen=True)
class Bucket:
    """A bar of a chart, half-open."""

    start: int
    end: int
    day: date


@dataclass(frozen=True)
class View:
    """The time that a report shows: a window, the one before it, and the buckets of both.

    `hours` is the length of a window that is counted in hours, None for any other.
    """

    windows: dict[str, Window]
    buckets: dict[str, list[Bucket]]
    hours: int | None = None

    @property
    def current(self) -> Window:
        """The window itself."""
        return self.windows["current"]

    def days(self, period: str) -> int:
        """How many days the average of a period is over."""
        return max(1, len(self.buckets[period]) if self.hours is None else self.hours // 24)


def midnight(day: date, clock: Clock) -> int:
    """The instant that a local day begins at."""
    return local_instant(datetime.combine(day, time()), clock.zone)


def day_containing(instant: int, clock: Clock) -> date:
    """The last local day that has begun by an instant."""
    day = clock.wall(instant).date() + timedelta(days=1)
    while midnight(day, clock) > instant:
        day -= timedelta(days=1)
    return day


def inner_midnights(window: Window, clock: Clock) -> Iterator[int]:
    """The local midnights strictly inside a window."""
    start, end = window
    day = clock.wall(start).date()
    while midnight(day, clock) < end:
        if midnight(day, clock) > start:
            yield midnight(day, clock)
        day += timedelta(days=1)


def inner_hours(window: Window, clock: Clock) -> Iterator[int]:
    """The instants strictly inside a window at which another hour begins on the wall clock."""

    def hour_of(instant: int) -> tuple[Any, ...]:
        wall = clock.wall(instant)
        return wall.date(), wall.hour, wall.utcoffset()

    start, end = window
    quarter = HOUR // 4
    for instant in range(start // quarter * quarter + quarter, end, quarter):
        if instant > start and hour_of(instant) != hour_of(instant - 1):
            yield instant


def buckets_of(window: Window, is_hourly: bool, clock: Clock) -> list[Bucket]:
    """A window in local hours or days, cut at its edges."""
    start, end = window
    if start >= end:
        return []
    inner = inner_hours(window, clock) if is_hourly else inner_midnights(window, clock)
    return [
        Bucket(first, last, day_containing(first, clock))
        for first, last in pairwise([start, *inner, end])
    ]


def view_of(page: str, current: Window, previous: Window, clock: Clock, hours: int | None) -> View:
    """The buckets of two windows: hours on analytics where the current one is short, else days."""
    is_hourly = page == "analytics" and current[1] - current[0] <= 48 * HOUR
    windows = {"current": current, "previous": previous}
    buckets = {name: buckets_of(window, is_hourly, clock) for name, window in windows.items()}
    return View(windows, buckets, hours)


def timeframe_view(page: str, timeframe: str, clock: Clock) -> View:
    """What a page shows under a timeframe."""
    arguments = (timeframe, clock.as_of, clock.zone, clock.week_start)
    hours = int(timeframe.split("_")[1]) if "hour" in timeframe else None
    return view_of(page, window_of(*arguments), previous_window_of(*arguments), clock, hours)


def custom_window(start: datetime, end: datetime) -> tuple[Window, Window]:
    """A window from one instant to another, and the equal elapsed time before it."""
    first, last = micros(start), micros(end)
    return (first, last), (first - (last - first), first)


def custom_view(page: str, start: datetime, end: datetime, clock: Clock) -> View:
    """What a page shows from one instant to another."""
    return view_of(page, *custom_window(start, end), clock, None)


# -------------------------------------------------------------------------------------------------
# What a file looks like: `column:kind`, `*` marks the key columns; `!` after the report's name
# gives the order of the keys where it is not that of the columns.
# -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """Columns with their kinds, in order; the keys in order; page; and the function of its rows."""

    page: str
    kinds: dict[str, str]
    keys: tuple[str, ...]
    rows: Callable[[Facts, View], Iterable[Row]]


PLACES = {"money": 12, "milliseconds": 3, "ratio": 6}
FIGURES = ("count", "money")


def cell(kind: str, value: Any) -> str:
    """The text of a value of a kind."""
    if value is None:
        return ""
    if kind in PLACES:
        return value if isinstance(value, str) else fixed(value, PLACES[kind])
    if kind == "instant":
        return instant_text(value)
    return text_cell(value) if kind == "text" else str(value)


def in_order(report: Report, rows: Iterable[Row]) -> list[Row]:
    """First money or count column descending, then keys ascending, nulls last throughout."""
    figure = next((name for name, kind in report.kinds.items() if kind in FIGURES), None)

    def rank(row: Row) -> tuple[Any, ...]:
        value = None if figure is None else row[figure]
        keys = [row[key] for key in report.keys]
        return (
            value is None,
            -value if value is not None else 0,
            [(key is None, text_order(key) if isinstance(key, str) else key) for key in keys],
        )

    return sorted(rows, key=rank)


def comparable(name: str, lines: list[Cells]) -> list[Cells]:
    """Lines without the keys that the warehouse made up for calls of telemetry, and their order."""
    if name != "blocked_calls":
        return lines
    kept = [
        line | {"call_key": line["call_key"] if line["client"] == "platform" else ""}
        for line in lines
    ]
    return sorted(kept, key=lambda line: list(line.values()))


def cells_of(report: Report, rows: Iterable[Row]) -> list[Cells]:
    """The lines of a file."""
    shown = []
    for row in in_order(report, rows):
        assert list(row) == list(report.kinds), set(row) ^ set(report.kinds)
        shown.append({name: cell(kind, row[name]) for name, kind in report.kinds.items()})
    return shown


# -------------------------------------------------------------------------------------------------
# Small parts of reports
# -------------------------------------------------------------------------------------------------


def distinct(values: Iterable[Any]) -> int:
    """How many different values there are; None is none."""
    return len(set(values) - {None})


def or_unattributed(value: str | None) -> str:
    """What stands in the place of an id."""
    return UNATTRIBUTED if value is None else value


def email_of(facts: Facts, user_id: str | None) -> str | None:
    """The e-mail of a user; an unknown id that is an e-mail is its own."""
    if user_id in (None, UNATTRIBUTED) or user_id in facts.users:
        return None if user_id is None else named(facts.users, user_id, "email")
    return user_id if "@" in user_id else None


def team_of_user(facts: Facts, user_id: str | None) -> str | None:
    """The team that a user is in, as of the night."""
    return None if user_id is None else attribute(facts.users, user_id, "team_id")


def requests_of(rows: Iterable[Row]) -> int:
    """How many rows are requests: points of metrics are none."""
    return sum(row["is_request"] for row in rows)


def failed_of(rows: Iterable[Row]) -> int:
    """How many requests failed."""
    return sum(row["is_failed"] for row in rows)


def input_tokens(row: Row) -> int:
    """All input buckets."""
    return total((row["uncached"], row["cache_read"], row["cache_write"]))


def tokens_in_out(rows: list[Row]) -> Row:
    """Input and output in all."""
    return {
        "input_tokens_total": total(input_tokens(row) for row in rows),
        "output_tokens_total": total(row["output"] for row in rows),
    }


def token_buckets(rows: list[Row]) -> Row:
    """The buckets one by one."""
    return {
        "uncached_input_tokens": total(row["uncached"] for row in rows),
        "cache_read_tokens": total(row["cache_read"] for row in rows),
        "cache_write_tokens": total(row["cache_write"] for row in rows),
        "output_tokens": total(row["output"] for row in rows),
    }


def total_tokens(rows: Iterable[Row]) -> int:
    """All buckets of all rows."""
    return total(all_tokens(row) for row in rows)


def costs(rows: list[Row]) -> Row:
    """Both costs; None where there are rows and none is known, and also where there is no row."""
    return {name: known_sum(rows, name) for name in ("estimated_cost_usd", "reported_cost_usd")}


def costs_or_zero(rows: list[Row]) -> Row:
    """Both costs of a row that is always there: without anything to cost they are 0."""
    return costs(rows) if rows else dict.fromkeys(costs(rows), Fraction(0))


def durations(rows: Iterable[Row]) -> list[int]:
    """The durations that are known, in microseconds."""
    return [int(row["duration"] * 1000) for row in rows if row["duration"] is not None]


def mean_milliseconds(values: list[int]) -> Fraction | None:
    """The mean of microseconds in milliseconds."""
    return share(sum(values), 1000 * len(values))


def ranked(rows: list[Row], figure: str, keys: tuple[str, ...]) -> list[int]:
    """The place of each row by a figure: greatest first, None last, then by keys."""

    def rank(position: int) -> tuple[Any, ...]:
        value = rows[position][figure]
        texts = [text_order(rows[position][key]) for key in keys]
        return value is None, 0 if value is None else -value, texts

    order = sorted(range(len(rows)), key=rank)
    return [order.index(position) + 1 for position in range(len(rows))]


def with_ranks(rows: list[Row], ranks: dict[str, str], keys: tuple[str, ...]) -> list[Row]:
    """Rows with their places in front; `ranks` says the column of each place and its figure."""
    places = {name: ranked(rows, figure, keys) for name, figure in ranks.items()}
    return [
        {name: places[name][position] for name in ranks} | row for position, row in enumerate(rows)
    ]


Timed = Callable[[list[Row]], Row]


def by_period(rows: list[Row], view: View, figures: Timed, field: str = "at") -> Iterator[Row]:
    """One row a period, always."""
    for period, window in view.windows.items():
        yield {"period": period} | figures(within(rows, window, field))


def by_bucket(
    rows: list[Row], view: View, figures: Timed, with_date: bool = False, field: str = "at"
) -> Iterator[Row]:
    """One row a bucket of both periods."""
    for period, buckets in view.buckets.items():
        for index, bucket in enumerate(buckets):
            head = {"period": period, "bucket_index": index}
            if with_date:
                head["bucket_date"] = bucket.day
            head |= {"bucket_start_at": bucket.start, "bucket_end_at": bucket.end}
            yield head | figures(within(rows, (bucket.start, bucket.end), field))


# -------------------------------------------------------------------------------------------------
# Reports page
# -------------------------------------------------------------------------------------------------


def provider_and_model(row: Row) -> tuple[str, str]:
    """Both, with a text where one is not named."""
    return or_unattributed(row["provider"]), or_unattributed(row["model"])


def sessions_of(rows: Iterable[Row]) -> int:
    """Distinct sessions of the rows."""
    return distinct(
        (row["client"], row["session_id"]) for row in rows if row["session_id"] is not None
    )


def usage_by_model(facts: Facts, view: View) -> Iterator[Row]:
    """One row per provider and model."""
    groups = grouped(within(facts.requests, view.current), provider_and_model)
    for (provider, model), rows in groups.items():
        requests = requests_of(rows)
        latencies = durations(rows)
        yield {
            "provider": provider,
            "model": model,
            "request_count": requests,
            "failed_requests": failed_of(rows),
            "total_runs": distinct(row["run_id"] for row in rows),
            "total_sessions": sessions_of(rows),
            "uncached_input_tokens": total(row["uncached"] for row in rows),
            "cache_read_tokens": total(row["cache_read"] for row in rows),
            "cache_write_tokens": total(row["cache_write"] for row in rows),
            **tokens_in_out(rows),
            **costs(rows),
            "avg_latency_ms": mean_milliseconds(latencies),
            "p95_latency_ms": p95_milliseconds(latencies),
            "error_rate": share(failed_of(rows), requests),
        }


def parents(organisations: dict[str, Row]) -> dict[str, str]:
    """Organisation -> the one above it, without the links of those that stand on a cycle."""
    said = {
        name: row["parent_organisation_id"]
        for name, row in organisations.items()
        if row["parent_organisation_id"] is not None
    }

    def is_on_cycle(name: str) -> bool:
        above, steps = said.get(name), 0
        while above is not None and above != name and steps <= len(said):
            above, steps = said.get(above), steps + 1
        return above == name

    return {name: above for name, above in said.items() if not is_on_cycle(name)}


def ancestors(name: str, above: dict[str, str]) -> list[str]:
    """An organisation and all above it."""
    line = [name]
    while line[-1] in above:
        line.append(above[line[-1]])
    return line


def usage_by_sub_account(facts: Facts, view: View) -> Iterator[Row]:
    """One or two rows per organisation: its own figures, and those with all below it."""

    def by_organisation(rows: Iterable[Row]) -> dict[str, list[Row]]:
        return grouped(rows, lambda row: or_unattributed(row["organisation_id"]))

    runs = by_organisation(within(facts.runs, view.current))
    lines = by_organisation(within(facts.credit_lines, view.current, "occurred_at"))
    above = parents(facts.organisations)
    members: dict[str, list[str]] = {}
    for name in sorted(runs.keys() | lines.keys()):
        for line in ancestors(name, above):
            members.setdefault(line, []).append(name)

    def figures(name: str, scope: str, parts: list[str]) -> Row:
        runs_in = [run for part in parts for run in runs.get(part, [])]
        lines_in = [line for part in parts for line in lines.get(part, [])]
        return {
            "organisation_id": name,
            "organisation_name": named(facts.organisations, name, "name"),
            "parent_organisation_id": attribute(
                facts.organisations, name, "parent_organisation_id"
            ),
            "scope": scope,
            "total_runs": len(runs_in),
            "total_sessions": distinct(run["session_id"] for run in runs_in),
            "active_users": distinct(run["user_id"] for run in runs_in),
            "credits_consumed": amount(line["credits"] for line in lines_in),
            "input_tokens_total": total(run["tokens_in"] for run in runs_in),
            "output_tokens_total": total(run["tokens_out"] for run in runs_in),
            **costs(runs_in),
            "error_rate": share(failed_of(runs_in), len(runs_in)),
        }

    for name, parts in members.items():
        if name in parts:
            yield figures(name, "own", [name])
        yield figures(name, "with_sub_organisations", parts)


# -------------------------------------------------------------------------------------------------
# Analytics page: tools
# -------------------------------------------------------------------------------------------------


def executions(facts: Facts) -> list[Row]:
    """Tool calls that ran."""
    return [call for call in facts.tool_calls if call["outcome"] in ("executed", "failed")]


def blocks(facts: Facts) -> list[Row]:
    """Tool calls that a policy stopped."""
    return [call for call in facts.tool_calls if call["outcome"] == "blocked"]


def distinct_tools(calls: Iterable[Row]) -> int:
    """Distinct pairs of server and tool."""
    return distinct(
        (call["mcp_id"], call["tool_name"]) for call in calls if call["tool_name"] is not None
    )


def tool_usage(facts: Facts, view: View) -> Iterator[Row]:
    """The headline: two rows."""

    def figures(calls: list[Row]) -> Row:
        return {
            "tool_executions": len(calls),
            "unique_tools": distinct_tools(calls),
            "active_agent_instances": distinct(call["agent_instance_id"] for call in calls),
            "active_users": distinct(call["user_id"] for call in calls),
            "failed_executions": sum(call["outcome"] == "failed" for call in calls),
        }

    return by_period(executions(facts), view, figures)


def tool_usage_over_time(facts: Facts, view: View) -> Iterator[Row]:
    """Executions a bucket."""
    return by_bucket(executions(facts), view, lambda calls: {"tool_executions": len(calls)})


def tool_usage_by_hour_of_day(facts: Facts, view: View) -> Iterator[Row]:
    """Executions an hour of the UTC day, 24 rows a period."""
    for period, window in view.windows.items():
        hours = Counter(call["at"] % DAY // HOUR for call in within(executions(facts), window))
        for hour in range(24):
            yield {"period": period, "hour_of_day": hour, "tool_executions": hours[hour]}


Calls = Callable[[Facts], list[Row]]


def top_tools(calls_of: Calls, figure: str) -> Callable[[Facts, View], list[Row]]:
    """Calls per server and tool."""

    def rows_of(facts: Facts, view: View) -> list[Row]:
        groups = grouped(
            within(calls_of(facts), view.current),
            lambda call: (or_unattributed(call["mcp_id"]), or_unattributed(call["tool_name"])),
        )
        rows = [
            {
                "tool_name": tool_name,
                "mcp_id": mcp_id,
                "mcp_name": named(facts.mcp_servers, mcp_id, "name"),
                figure: len(calls),
            }
            for (mcp_id, tool_name), calls in groups.items()
        ]
        return with_ranks(rows, {"rank": figure}, ("mcp_id", "tool_name"))

    return rows_of


def top_agent_instances(calls_of: Calls, figure: str) -> Callable[[Facts, View], list[Row]]:
    """Calls per instance of an agent, with its agent and owner as of the night."""

    def rows_of(facts: Facts, view: View) -> list[Row]:
        groups = grouped(
            within(calls_of(facts), view.current),
            lambda call: or_unattributed(call["agent_instance_id"]),
        )
        rows = []
        for instance_id, calls in groups.items():
            if instance_id == UNATTRIBUTED:
                agent_id = user_id = UNATTRIBUTED
            elif instance_id in facts.agent_instances:
                agent_id = facts.agent_instances[instance_id]["agent_id"]
                user_id = facts.agent_instances[instance_id]["user_id"]
            else:
                agent_id = most_used((call["agent_id"], 0) for call in calls)
                user_id = None
            rows.append(
                {
                    "agent_instance_id": instance_id,
                    "agent_id": agent_id,
                    "agent_name": None
                    if agent_id is None
                    else named(facts.agents, agent_id, "name"),
                    "user_id": user_id,
                    "user_email": email_of(facts, user_id),
                    figure: len(calls),
                }
            )
        return with_ranks(rows, {"rank": figure}, ("agent_instance_id",))

    return rows_of


def top_tool_users(calls_of: Calls, figure: str) -> Callable[[Facts, View], list[Row]]:
    """Calls per user."""

    def rows_of(facts: Facts, view: View) -> list[Row]:
        groups = grouped(
            within(calls_of(facts), view.current), lambda call: or_unattributed(call["user_id"])
        )
        rows = [
            {"user_id": user_id, "user_email": email_of(facts, user_id), figure: len(calls)}
            for user_id, calls in groups.items()
        ]
        return with_ranks(rows, {"rank": figure}, ("user_id",))

    return rows_of


def top_mcp_servers(calls_of: Calls, figure: str) -> Callable[[Facts, View], list[Row]]:
    """Calls per MCP server."""

    def rows_of(facts: Facts, view: View) -> list[Row]:
        groups = grouped(
            within(calls_of(facts), view.current), lambda call: or_unattributed(call["mcp_id"])
        )
        rows = [
            {
                "mcp_id": mcp_id,
                "mcp_name": named(facts.mcp_servers, mcp_id, "name"),
                figure: len(calls),
            }
            for mcp_id, calls in groups.items()
        ]
        return with_ranks(rows, {"rank": figure}, ("mcp_id",))

    return rows_of


def blocked_calls(facts: Facts, view: View) -> Iterator[Row]:
    """Every blocked call, with what it named."""
    for call in within(blocks(facts), view.current):
        mcp_id, agent_id, user_id = call["mcp_id"], call["agent_id"], call["user_id"]
        yield {
            "called_at": call["at"],
            "client": call["client"],
            "call_id": call["call_id"],
            "tool_name": call["tool_name"],
            "mcp_id": mcp_id,
            "mcp_name": attribute(facts.mcp_servers, mcp_id, "name"),
            "agent_instance_id": call["agent_instance_id"],
            "agent_id": agent_id,
            "agent_name": attribute(facts.agents, agent_id, "name"),
            "user_id": user_id,
            "user_email": email_of(facts, user_id),
            "policy_id": call["policy_id"],
            "policy_name": call["policy_name"],
            "policy_description": call["policy_description"],
            "session_id": call["session_id"],
            "organisation_id": call["organisation_id"],
            "call_key": call["call_id"],
        }


def blocked_calls_headline(facts: Facts, view: View) -> Iterator[Row]:
    """The headline: two rows."""

    def figures(calls: list[Row]) -> Row:
        return {
            "blocked_calls": len(calls),
            "blocked_tools": distinct_tools(calls),
            "active_agent_instances": distinct(call["agent_instance_id"] for call in calls),
            "active_users": distinct(call["user_id"] for call in calls),
            "blocking_policies": distinct(call["policy_id"] for call in calls),
        }

    return by_period(blocks(facts), view, figures)


def blocked_calls_over_time(facts: Facts, view: View) -> Iterator[Row]:
    """Blocked calls a bucket."""
    return by_bucket(blocks(facts), view, lambda calls: {"blocked_calls": len(calls)})


def top_blocking_policies(facts: Facts, view: View) -> list[Row]:
    """Blocks per policy, named as at its latest block."""
    groups = grouped(
        within(blocks(facts), view.current), lambda call: or_unattributed(call["policy_id"])
    )
    rows = []
    for policy_id, calls in groups.items():
        latest = max(calls, key=lambda call: (call["at"], text_order(call["call_id"] or "")))
        is_named = policy_id != UNATTRIBUTED
        rows.append(
            {
                "policy_id": policy_id,
                "policy_name": latest["policy_name"] if is_named else UNATTRIBUTED,
                "policy_description": latest["policy_description"] if is_named else None,
                "blocked_calls": len(calls),
            }
        )
    return with_ranks(rows, {"rank": "blocked_calls"}, ("policy_id",))


# -------------------------------------------------------------------------------------------------
# Analytics page: LLM usage
# -------------------------------------------------------------------------------------------------


def llm_usage(facts: Facts, view: View) -> Iterator[Row]:
    """The headline: two rows."""

    def figures(rows: list[Row]) -> Row:
        return {
            "total_tokens": total_tokens(rows),
            **costs_or_zero(rows),
            "model_count": distinct(
                (row["provider"], row["model"]) for row in rows if row["model"] is not None
            ),
            "request_count": requests_of(rows),
            "failed_requests": failed_of(rows),
            "active_users": distinct(row["user_id"] for row in rows),
        }

    return by_period(facts.requests, view, figures)


TOKEN_TYPES = {
    "uncached_input": "uncached", "cache_read": "cache_read", "cache_write": "cache_write",
    "output": "output",
}  # fmt: skip


def llm_tokens_by_type(facts: Facts, view: View) -> Iterator[Row]:
    """Tokens per type, four rows a period."""
    for period, window in view.windows.items():
        rows = within(facts.requests, window)
        for token_type, name in TOKEN_TYPES.items():
            tokens = total(row[name] for row in rows)
            yield {
                "period": period,
                "token_type": token_type,
                "tokens": tokens,
                "share": share(tokens, total_tokens(rows)),
            }


def llm_usage_over_time(facts: Facts, view: View) -> Iterator[Row]:
    """Tokens, cost and requests a bucket."""

    def figures(rows: list[Row]) -> Row:
        return {
            "total_tokens": total_tokens(rows),
            **token_buckets(rows),
            **costs_or_zero(rows),
            "request_count": requests_of(rows),
        }

    return by_bucket(facts.requests, view, figures)


RANKS = {"rank_by_tokens": "total_tokens", "rank_by_cost": "estimated_cost_usd"}


def usage_totals(rows: list[Row]) -> Row:
    """What tables of users and models show."""
    return {"total_tokens": total_tokens(rows), **costs(rows), "request_count": requests_of(rows)}


def top_llm_users(facts: Facts, view: View) -> list[Row]:
    """LLM usage per user."""
    groups = grouped(
        within(facts.requests, view.current), lambda row: or_unattributed(row["user_id"])
    )
    rows = [
        {"user_id": user_id, "user_email": email_of(facts, user_id), **usage_totals(requests)}
        for user_id, requests in groups.items()
    ]
    return with_ranks(rows, RANKS, ("user_id",))


def top_llm_models(facts: Facts, view: View) -> list[Row]:
    """LLM usage per provider and model."""
    groups = grouped(within(facts.requests, view.current), provider_and_model)
    rows = [
        {"provider": provider, "model": model, **usage_totals(requests)}
        for (provider, model), requests in groups.items()
    ]
    return with_ranks(rows, RANKS, ("provider", "model"))


def session_models(facts: Facts, view: View) -> Iterator[Row]:
    """LLM usage per session and model."""
    for session in sessions_in(facts, view.current):
        for (provider, model), rows in grouped(session.requests, provider_and_model).items():
            requests = requests_of(rows) or None
            yield {
                "client": session.client,
                "session_id": session.session_id,
                "provider": provider,
                "model": model,
                "request_count": requests,
                "failed_requests": None if requests is None else failed_of(rows),
                **token_buckets(rows),
                "total_tokens": total_tokens(rows),
                **costs(rows),
                "avg_latency_ms": mean_milliseconds(durations(rows)),
            }


TIMELINE_MINUTES = (1, 5, 15, 60, 360, 1440, 10080, 43200)


def session_timeline(facts: Facts, view: View) -> Iterator[Row]:
    """LLM usage over the life of each session that logs tell of."""
    for session in sessions_in(facts, view.current):
        if session.session_id == UNATTRIBUTED or session.figures["requests"] is None:
            continue
        first = min(row["at"] for row in session.requests)
        last = max(row["at"] for row in session.requests)
        widths = [minutes * 60_000_000 for minutes in TIMELINE_MINUTES]
        width = next((step for step in widths if (last - first) // step < 48), widths[-1])
        cumulative = Fraction(0)
        for index in range((last - first) // width + 1):
            start = first + index * width
            rows = within(session.requests, (start, start + width))
            cost = costs_or_zero(rows)["estimated_cost_usd"]
            cumulative += cost or 0
            yield {
                "client": session.client,
                "session_id": session.session_id,
                "bucket_index": index,
                "bucket_start_at": start,
                "bucket_end_at": start + width,
                "request_count": requests_of(rows),
                **token_buckets(rows),
                "total_tokens": total_tokens(rows),
                "estimated_cost_usd": cost,
                "cumulative_estimated_cost_usd": cumulative,
            }


DIMENSIONS = {
    "estimated_cost_usd": ("cost", 1, 6),
    "total_tokens": ("tokens", 1, 3),
    "duration_ms": ("duration", 1000, 3),
    "request_count": ("requests", 1, 3),
}


def session_metrics_summary(facts: Facts, view: View) -> Iterator[Row]:
    """Median, average and P95 of four figures over all sessions that have an id."""
    sessions = [
        session
        for session in sessions_in(facts, view.current)
        if session.session_id != UNATTRIBUTED
    ]
    row: Row = {"session_count": len(sessions)}
    for name, (figure, unit, places) in DIMENSIONS.items():
        values = [
            Fraction(session.figures[figure]) / unit
            for session in sessions
            if session.figures[figure] is not None
        ]
        row[f"p50_{name}"] = percentile_text(values, Fraction(1, 2), places)
        row[f"avg_{name}"] = fixed(share(sum(values), len(values)), places)
        row[f"p95_{name}"] = percentile_text(values, Fraction(95, 100), places)
    yield row


# -------------------------------------------------------------------------------------------------
# Usage page
# -------------------------------------------------------------------------------------------------


def with_user_team(facts: Facts) -> list[Row]:
    """Requests with the team of their user, of the chosen teams."""
    rows = [row | {"team_id": team_of_user(facts, row["user_id"])} for row in facts.requests]
    return in_chosen_teams(facts, rows)


def with_team(facts: Facts) -> list[Row]:
    """Requests with the team stamped on them, else that of their user, of the chosen teams."""
    rows = [
        row | {"team_id": row["team_id"] or team_of_user(facts, row["user_id"])}
        for row in facts.requests
    ]
    return in_chosen_teams(facts, rows)


def in_chosen_teams(facts: Facts, rows: list[Row]) -> list[Row]:
    """The rows that a filter on teams lets pass."""
    chosen = facts.chosen_teams
    return (
        rows
        if chosen is None
        else [row for row in rows if or_unattributed(row["team_id"]) in chosen]
    )


def usage_kpis(facts: Facts, view: View) -> Iterator[Row]:
    """The cards of both views: two rows each."""

    def figures(rows: list[Row]) -> Row:
        users = distinct(row["user_id"] for row in rows)
        return {
            "active_users": users,
            "avg_requests_per_user": share(requests_of(rows), users),
            "request_count": requests_of(rows),
            "total_tokens": total_tokens(rows),
            **costs_or_zero(rows),
        }

    for name, rows in (("user", with_user_team(facts)), ("team", with_team(facts))):
        for row in by_period(rows, view, figures):
            yield {"view": name} | row


def active_users_daily(facts: Facts, view: View) -> Iterator[Row]:
    """Active users a day."""

    def figures(rows: list[Row]) -> Row:
        return {"active_users": distinct(row["user_id"] for row in rows)}

    return by_bucket(with_user_team(facts), view, figures, with_date=True)


def team_requests_daily(facts: Facts, view: View) -> Iterator[Row]:
    """Requests per team and day, for every team that has one in either period."""
    requests = [row for row in with_team(facts) if row["is_request"]]
    shown = [row for window in view.windows.values() for row in within(requests, window)]
    for team_id, rows in grouped(shown, lambda row: or_unattributed(row["team_id"])).items():
        for row in by_bucket(rows, view, lambda rows: {"n": len(rows)}, with_date=True):
            yield {
                "period": row["period"],
                "bucket_index": row["bucket_index"],
                "bucket_date": row["bucket_date"],
                "team_id": team_id,
                "team_name": named(facts.teams, team_id, "name"),
                "request_count": row["n"],
            }


def trend(rows: list[Row], view: View) -> str:
    """Requests of each bucket of the current window, in order."""
    buckets = view.buckets["current"]
    return " ".join(
        str(requests_of(within(rows, (bucket.start, bucket.end)))) for bucket in buckets
    )


def usage_by_team(facts: Facts, view: View) -> Iterator[Row]:
    """One row per team."""
    groups = grouped(
        within(with_team(facts), view.current), lambda row: or_unattributed(row["team_id"])
    )
    for team_id, rows in groups.items():
        models = {row["model"] for row in rows} - {None}
        yield {
            "team_id": team_id,
            "team_name": named(facts.teams, team_id, "name"),
            "active_users": distinct(row["user_id"] for row in rows),
            "request_count": requests_of(rows),
            **tokens_in_out(rows),
            **costs(rows),
            "models_used": ", ".join(sorted(models, key=text_order)),
            "trend": trend(rows, view),
        }


def usage_by_team_member(facts: Facts, view: View) -> Iterator[Row]:
    """One row per user, with the team that the user is in."""
    groups = grouped(
        within(with_user_team(facts), view.current), lambda row: or_unattributed(row["user_id"])
    )
    for user_id, rows in groups.items():
        requests_by_model: Counter[str] = Counter()
        for row in rows:
            if row["model"] is not None:
                requests_by_model[row["model"]] += row["is_request"]
        models = sorted(
            requests_by_model, key=lambda name: (-requests_by_model[name], text_order(name))
        )
        team_id = or_unattributed(rows[0]["team_id"])
        yield {
            "user_id": user_id,
            "user_name": named(facts.users, user_id, "display_name"),
            "user_email": email_of(facts, user_id),
            "team_id": team_id,
            "team_name": named(facts.teams, team_id, "name"),
            "trend": trend(rows, view),
            "models_used": ", ".join(models[:3]),
            "more_models": max(0, len(models) - 3),
            "request_count": requests_of(rows),
            **tokens_in_out(rows),
            **costs(rows),
        }


# -------------------------------------------------------------------------------------------------
# Billing page
# -------------------------------------------------------------------------------------------------


def credits_of(lines: Iterable[Row]) -> Fraction:
    """The credits of lines."""
    return amount(line["credits"] for line in lines)


def billing_daily_usage(facts: Facts, view: View) -> Iterator[Row]:
    """Credits per category and day, for every category that has a line in either period."""
    shown = [
        line
        for window in view.windows.values()
        for line in within(facts.credit_lines, window, "occurred_at")
    ]
    for category, lines in grouped(shown, lambda line: line["category"]).items():

        def figures(lines: list[Row], category: str = category) -> Row:
            return {
                "category": category,
                "credits": credits_of(lines),
                "line_count": len(lines),
            }

        yield from by_bucket(lines, view, figures, with_date=True, field="occurred_at")


def shares_of(credits: dict[str, Fraction]) -> dict[str, str]:
    """Shares with 6 decimals that add up to 1: what rounding leaves goes to the greatest one."""
    in_all = sum(credits.values(), Fraction(0))
    shares = {category: fixed(share(part, in_all), 6) for category, part in credits.items()}
    if in_all:
        greatest = min(credits, key=lambda category: (-credits[category], text_order(category)))
        others = sum(Fraction(shares[category]) for category in credits.keys() - {greatest})
        shares[greatest] = fixed(1 - others, 6)
    return shares


def billing_by_category(facts: Facts, view: View) -> Iterator[Row]:
    """Credits per category and period."""
    for period, window in view.windows.items():
        lines = within(facts.credit_lines, window, "occurred_at")
        groups = grouped(lines, lambda line: line["category"])
        credits = {category: credits_of(group) for category, group in groups.items()}
        shares = shares_of(credits)
        for category, group in groups.items():
            yield {
                "period": period,
                "category": category,
                "credits": credits[category],
                "share": shares[category],
                "line_count": len(group),
            }


def billing_summary(facts: Facts, view: View) -> Iterator[Row]:
    """The metrics below the charts: two rows."""
    for period, window in view.windows.items():
        lines = within(facts.credit_lines, window, "occurred_at")
        days = []
        for position, bucket in enumerate(view.buckets[period]):
            in_bucket = within(lines, (bucket.start, bucket.end), "occurred_at")
            if in_bucket:
                days.append((credits_of(in_bucket), -position, bucket.day))
        peak_credits, _, peak_date = max(days, default=(None, None, None))
        yield {
            "period": period,
            "total_credits": credits_of(lines),
            "days": view.days(period),
            "average_daily_usage": share(credits_of(lines), view.days(period)),
            "peak_date": peak_date,
            "peak_credits": peak_credits,
            "active_categories": distinct(line["category"] for line in lines),
            "line_count": len(lines),
            "conversation_count": distinct(line["conversation_id"] for line in lines),
        }


# -------------------------------------------------------------------------------------------------
# Reports
# -------------------------------------------------------------------------------------------------

CALLS_TEXT = "tool_executions:count"
BLOCKS_TEXT = "blocked_calls:count"
BUCKET_TEXT = "period:text* bucket_index:index* bucket_start_at:instant bucket_end_at:instant"
DAILY_TEXT = "period:text* bucket_index:index* bucket_date:date"
TOP_TOOLS_TEXT = "rank:index tool_name:text* mcp_id:text* mcp_name:text"
TOP_INSTANCES_TEXT = """rank:index agent_instance_id:text* agent_id:text agent_name:text
    user_id:text user_email:text"""
TOP_USERS_TEXT = "rank:index user_id:text* user_email:text"
TOP_SERVERS_TEXT = "rank:index mcp_id:text* mcp_name:text"
BUCKETS_TEXT = """uncached_input_tokens:tokens cache_read_tokens:tokens cache_write_tokens:tokens
    output_tokens:tokens"""
IN_OUT_TEXT = "input_tokens_total:tokens output_tokens_total:tokens"
COSTS_TEXT = "estimated_cost_usd:money reported_cost_usd:money"
TOTALS_TEXT = f"total_tokens:tokens {COSTS_TEXT} request_count:count"

REPORT_TEXTS: dict[str, tuple[str, str, Callable[[Facts, View], Iterable[Row]]]] = {
    "usage_by_model": ("reports", f"""
        provider:text* model:text* request_count:count failed_requests:count total_runs:count
        total_sessions:count uncached_input_tokens:tokens cache_read_tokens:tokens
        cache_write_tokens:tokens {IN_OUT_TEXT} {COSTS_TEXT} avg_latency_ms:milliseconds
        p95_latency_ms:milliseconds error_rate:ratio""", usage_by_model),
    "usage_by_sub_account": ("reports", f"""
        organisation_id:text* organisation_name:text parent_organisation_id:text scope:text*
        total_runs:count total_sessions:count active_users:count credits_consumed:money
        {IN_OUT_TEXT} {COSTS_TEXT} error_rate:ratio""", usage_by_sub_account),
    "tool_usage": ("analytics", """
        period:text* tool_executions:count unique_tools:count active_agent_instances:count
        active_users:count failed_executions:count""", tool_usage),
    "tool_usage_over_time": ("analytics", f"{BUCKET_TEXT} {CALLS_TEXT}", tool_usage_over_time),
    "tool_usage_by_hour_of_day": (
        "analytics", f"period:text* hour_of_day:index* {CALLS_TEXT}", tool_usage_by_hour_of_day),
    "top_tools": (
        "analytics", f"{TOP_TOOLS_TEXT} {CALLS_TEXT}", top_tools(executions, "tool_executions")),
    "top_agent_instances": ("analytics", f"{TOP_INSTANCES_TEXT} {CALLS_TEXT}",
                            top_agent_instances(executions, "tool_executions")),
    "top_tool_users": ("analytics", f"{TOP_USERS_TEXT} {CALLS_TEXT}",
                       top_tool_users(executions, "tool_executions")),
    "top_mcp_servers": ("analytics", f"{TOP_SERVERS_TEXT} {CALLS_TEXT}",
                        top_mcp_servers(executions, "tool_executions")),
    "blocked_calls": ("analytics", """
        called_at:instant client:text* call_id:text tool_name:text mcp_id:text mcp_name:text
        agent_instance_id:text agent_id:text agent_name:text user_id:text user_email:text
        policy_id:text policy_name:text policy_description:text session_id:text
        organisation_id:text call_key:text*""", blocked_calls),
    "blocked_calls_headline": ("analytics", """
        period:text* blocked_calls:count blocked_tools:count active_agent_instances:count
        active_users:count blocking_policies:count""", blocked_calls_headline),
    "blocked_calls_over_time": (
        "analytics", f"{BUCKET_TEXT} {BLOCKS_TEXT}", blocked_calls_over_time),
    "top_blocked_tools": (
        "analytics", f"{TOP_TOOLS_TEXT} {BLOCKS_TEXT}", top_tools(blocks, "blocked_calls")),
    "top_blocked_agent_instances": ("analytics", f"{TOP_INSTANCES_TEXT} {BLOCKS_TEXT}",
                                    top_agent_instances(blocks, "blocked_calls")),
    "top_blocked_users": ("analytics", f"{TOP_USERS_TEXT} {BLOCKS_TEXT}",
                          top_tool_users(blocks, "blocked_calls")),
    "top_blocked_mcp_servers": ("analytics", f"{TOP_SERVERS_TEXT} {BLOCKS_TEXT}",
                                top_mcp_servers(blocks, "blocked_calls")),
    "top_blocking_policies": ("analytics", f"""
        rank:index policy_id:text* policy_name:text policy_description:text {BLOCKS_TEXT}""",
        top_blocking_policies),
    "llm_usage": ("analytics", f"""
        period:text* total_tokens:tokens {COSTS_TEXT} model_count:count request_count:count
        failed_requests:count active_users:count""", llm_usage),
    "llm_tokens_by_type": ("analytics", """
        period:text* token_type:text* tokens:tokens share:ratio""", llm_tokens_by_type),
    "llm_usage_over_time": ("analytics", f"""
        {BUCKET_TEXT} total_tokens:tokens {BUCKETS_TEXT} {COSTS_TEXT} request_count:count""",
        llm_usage_over_time),
    "top_llm_users": ("analytics", f"""
        rank_by_tokens:index rank_by_cost:index user_id:text* user_email:text {TOTALS_TEXT}""",
        top_llm_users),
    "top_llm_models": ("analytics", f"""
        rank_by_tokens:index rank_by_cost:index provider:text* model:text* {TOTALS_TEXT}""",
        top_llm_models),
    "session_models": ("analytics", f"""
        client:text* session_id:text* provider:text* model:text* request_count:count
        failed_requests:count {BUCKETS_TEXT} total_tokens:tokens {COSTS_TEXT}
        avg_latency_ms:milliseconds""", session_models),
    "session_timeline": ("analytics", f"""
        client:text* session_id:text* bucket_index:index* bucket_start_at:instant
        bucket_end_at:instant request_count:count {BUCKETS_TEXT} total_tokens:tokens
        estimated_cost_usd:money cumulative_estimated_cost_usd:money""", session_timeline),
    "session_metrics_summary": ("analytics", """
        session_count:count p50_estimated_cost_usd:ratio avg_estimated_cost_usd:ratio
        p95_estimated_cost_usd:ratio p50_total_tokens:milliseconds avg_total_tokens:milliseconds
        p95_total_tokens:milliseconds p50_duration_ms:milliseconds avg_duration_ms:milliseconds
        p95_duration_ms:milliseconds p50_request_count:milliseconds
        avg_request_count:milliseconds p95_request_count:milliseconds""",
        session_metrics_summary),
    "usage_kpis": ("usage", f"""
        view:text* period:text* active_users:count avg_requests_per_user:ratio
        request_count:count total_tokens:tokens {COSTS_TEXT}""", usage_kpis),
    "active_users_daily": ("usage", f"""
        {DAILY_TEXT} bucket_start_at:instant bucket_end_at:instant active_users:count""",
        active_users_daily),
    "team_requests_daily": ("usage", f"""
        {DAILY_TEXT} team_id:text* team_name:text request_count:count""", team_requests_daily),
    "usage_by_team": ("usage", f"""
        team_id:text* team_name:text active_users:count request_count:count {IN_OUT_TEXT}
        {COSTS_TEXT} models_used:text trend:text""", usage_by_team),
    "usage_by_team_member": ("usage", f"""
        user_id:text* user_name:text user_email:text team_id:text team_name:text trend:text
        models_used:text more_models:index request_count:count {IN_OUT_TEXT} {COSTS_TEXT}""",
        usage_by_team_member),
    "billing_daily_usage": ("billing", f"""
        {DAILY_TEXT} bucket_start_at:instant bucket_end_at:instant category:text* credits:money
        line_count:count""", billing_daily_usage),
    "billing_by_category": ("billing", """
        period:text* category:text* credits:money share:ratio line_count:count""",
        billing_by_category),
    "billing_summary": ("billing", """
        period:text* total_credits:money days:index average_daily_usage:money peak_date:date
        peak_credits:money active_categories:count line_count:count conversation_count:count""",
        billing_summary),
}  # fmt: skip

# The keys of these are not in the order of their columns.
KEYS_IN_ORDER = {
    "top_tools": ("mcp_id", "tool_name"),
    "top_blocked_tools": ("mcp_id", "tool_name"),
}


def report_of(name: str) -> Report:
    """What REPORT_TEXTS says of a report."""
    page, text, rows = REPORT_TEXTS[name]
    marked = dict(part.split(":") for part in text.split())
    keys = tuple(column for column, kind in marked.items() if kind.endswith("*"))
    kinds = {column: kind.removesuffix("*") for column, kind in marked.items()}
    return Report(page, kinds, KEYS_IN_ORDER.get(name, keys), rows)


REPORTS: dict[str, Report] = {name: report_of(name) for name in REPORT_TEXTS}

OLDER_PAGES = {REPORTS_PAGE: "reports", ANALYTICS_PAGE: "analytics", BILLING_PAGE: "billing"}
PAGE_OF: dict[str, str] = {
    name: OLDER_PAGES[timeframes] for name, (_, timeframes) in WINDOW_REPORTS.items()
} | {name: report.page for name, report in REPORTS.items()}


def rows_in_view(facts: Facts, name: str, view: View) -> list[Cells]:
    """The lines of a report's file."""
    if name in WINDOW_REPORTS:
        return WINDOW_REPORTS[name][0](facts, view.current)
    return cells_of(REPORTS[name], REPORTS[name].rows(facts, view))


def rows_of(facts: Facts, name: str, clock: Clock, timeframe: str) -> list[Cells]:
    """The lines of a report's file for a timeframe."""
    return rows_in_view(facts, name, timeframe_view(PAGE_OF[name], timeframe, clock))


# -------------------------------------------------------------------------------------------------
# Filters
# -------------------------------------------------------------------------------------------------

Filters = dict[str, list[str]]

LLM_FILTERS = ("user", "group", "provider", "model", "client")
TOOL_FILTERS = (
    "user", "group", "agent_instance", "agent", "mcp", "agent_tag", "resource_tag", "client",
)  # fmt: skip
FILTERS_OF_PAGE = {
    "usage": ("client", "api_key", "tag", "team"),
    "billing": ("organisation", "agent", "category"),
}
FILTERS_OF_REPORT = {
    "usage_by_agent": ("agent_type", "model", "created_by", "organisation"),
    "usage_by_user": ("organisation",),
    "usage_by_sub_account": ("organisation",),
    "usage_by_model": ("provider", "model", "client", "organisation"),
    "usage_by_team_member": (*FILTERS_OF_PAGE["usage"], "user"),
    "billing_conversations": (*FILTERS_OF_PAGE["billing"], "conversation"),
    "billing_conversation_lines": (*FILTERS_OF_PAGE["billing"], "conversation"),
}


def filters_of(name: str) -> tuple[str, ...]:
    """The filters that a report has."""
    page = PAGE_OF[name]
    if page != "analytics":
        return FILTERS_OF_REPORT.get(name, FILTERS_OF_PAGE.get(page, ()))
    is_llm = name.startswith(("llm_", "top_llm_", "session_"))
    if name in ("session_models", "session_timeline"):
        return (*LLM_FILTERS, "session")
    return LLM_FILTERS if is_llm else TOOL_FILTERS


def tags_of(row: Row | None) -> set[str]:
    """The tags of a row: one text or a list."""
    tags = row["tags"] if row else None
    return {tags} if isinstance(tags, str) else set(tags or ())


def with_descendants(facts: Facts, organisations: Iterable[str]) -> set[str]:
    """Organisations and all below them."""
    wanted = set(organisations)
    above = parents(facts.organisations)
    below = {name for name in facts.organisations if wanted & set(ancestors(name, above))}
    return wanted | below


def organisations_of(facts: Facts, filters: Filters, with_sub_organisations: bool) -> set[str]:
    """The organisations that a filter names, with those below them where that is asked."""
    chosen = named_ids(facts.organisations, filters["organisation"])
    return with_descendants(facts, chosen) if with_sub_organisations else chosen


def is_named(entity_id: str | None, name: str | None, wanted: Iterable[str]) -> bool:
    """Whether a filter names an entity: by its id, or by its name in any case."""
    names = {text.lower() for text in wanted}
    return or_unattributed(entity_id) in wanted or (name is not None and name.lower() in names)


def is_user(facts: Facts, user_id: str | None, wanted: list[str]) -> bool:
    """Whether a user is named, by id or e-mail."""
    return is_named(user_id, None if user_id is None else email_of(facts, user_id), wanted)


def named_ids(entities: dict[str, Row], wanted: Iterable[str]) -> set[str]:
    """What was asked for, with the ids of the entities that are so called."""
    called = {name for name, row in entities.items() if is_named(name, row["name"], wanted)}
    return set(wanted) | called


Test = Callable[[Row, list[str]], bool]


def tests_of(facts: Facts, with_sub_organisations: bool) -> dict[str, Test]:
    """How a row passes each filter."""

    def agent(row: Row) -> Row | None:
        return facts.agents.get(row["agent_id"])

    def by_field(field: str) -> Test:
        return lambda row, wanted: field in row and or_unattributed(row[field]) in wanted

    def by_id(field: str, entities: dict[str, Row]) -> Test:
        return lambda row, wanted: is_named(
            row[field], attribute(entities, row[field], "name"), wanted
        )

    def in_group(row: Row, wanted: list[str]) -> bool:
        groups = named_ids(facts.groups, wanted)
        return any((group_id, row["user_id"]) in facts.members for group_id in groups)

    def of_agent(field: str) -> Test:
        return lambda row, wanted: (
            or_unattributed(agent(row)[field] if agent(row) else None) in wanted
        )

    def has_agent_tag(row: Row, wanted: list[str]) -> bool:
        return bool(tags_of(agent(row)) & set(wanted))

    def has_resource_tag(row: Row, wanted: list[str]) -> bool:
        server = facts.mcp_servers.get(row["mcp_id"])
        tool = facts.tools.get((row["mcp_id"], row["tool_name"]))
        return bool((tags_of(server) | tags_of(tool)) & set(wanted))

    def of_organisation(row: Row, wanted: list[str]) -> bool:
        chosen = organisations_of(facts, {"organisation": wanted}, with_sub_organisations)
        return or_unattributed(row["organisation_id"]) in chosen

    def created_by(row: Row, wanted: list[str]) -> bool:
        return is_user(facts, agent(row)["created_by"] if agent(row) else None, wanted)

    return {
        "model": by_field("model"),
        "provider": by_field("provider"),
        "client": by_field("client"),
        "api_key": by_id("api_key_id", facts.api_keys),
        "tag": lambda row, wanted: bool(tags_of(row) & set(wanted)),
        "user": lambda row, wanted: is_user(facts, row["user_id"], wanted),
        "group": in_group,
        "agent": by_id("agent_id", facts.agents),
        "agent_instance": by_field("agent_instance_id"),
        "mcp": by_id("mcp_id", facts.mcp_servers),
        "agent_tag": has_agent_tag,
        "resource_tag": has_resource_tag,
        "organisation": of_organisation,
        "category": by_field("category"),
        "conversation": by_field("conversation_id"),
        "session": by_field("session_id"),
        "agent_type": of_agent("agent_type"),
        "created_by": created_by,
    }


RUN_FILTERS = ("agent_type", "model", "created_by")
FILTERS_OF_ROWS = {
    "runs": ("agent_type", "model", "provider", "client", "user", "group", "created_by", "organisation", "session"),
    "requests": ("model", "provider", "client", "api_key", "tag", "user", "group", "organisation", "session"),
    "tool_calls": ("model", "provider", "session", *TOOL_FILTERS),
    "messages": ("organisation", "conversation"),
    "credit_lines": ("organisation", "agent", "category", "conversation"),
}  # fmt: skip


def filtered(facts: Facts, filters: Filters, include_sub_organisations: bool = False) -> Facts:
    """The facts with only the rows that pass: values of a filter are or, filters are and.

    A kind of row is tested by the filters that it can have (a report reads no row that a filter of
    it cannot reach): tool calls have no provider and no model, so that none passes those. A credit line passes filters on runs where its run does. Teams are tested by the
    reports, since it depends on the view whose team it is.
    """
    tests = tests_of(facts, include_sub_organisations)

    def passing(kind: str, rows: Iterable[Row]) -> list[Row]:
        wanted = {name: filters[name] for name in FILTERS_OF_ROWS[kind] if filters.get(name)}
        return [
            row for row in rows if all(tests[name](row, texts) for name, texts in wanted.items())
        ]

    run_filters = {name: filters[name] for name in RUN_FILTERS if filters.get(name)}
    run_ids = {
        run["run_id"]
        for run in facts.runs
        if all(tests[name](run, texts) for name, texts in run_filters.items())
    }
    lines = [line for line in facts.credit_lines if not run_filters or line["run_id"] in run_ids]
    return replace(
        facts,
        runs=passing("runs", facts.runs),
        requests=passing("requests", facts.requests),
        tool_calls=passing("tool_calls", facts.tool_calls),
        messages=passing("messages", facts.messages),
        credit_lines=passing("credit_lines", lines),
        created_agents=[
            row
            for row in facts.created_agents
            if not filters.get("organisation")
            or tests["organisation"](row, filters["organisation"])
        ],
        chosen_teams=frozenset(named_ids(facts.teams, filters["team"]))
        if filters.get("team")
        else None,
    )


def count_of_files() -> int:
    """How many (report, timeframe) there are."""
    return sum(len(TIMEFRAMES[page]) for page in PAGE_OF.values())
