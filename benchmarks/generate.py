"""A landing tree of any size, written by DuckDB from a seed: the same arguments, the same rows.

Skewed as real traffic is: a few heavy agents and users, latencies with a long tail, quiet weekends,
sessions that span days, late events, deliveries that repeat, corrections, and odd lines.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

# Of a hundred events, so many come from each source.
SHARES = {
    "agent_runs": 25,
    "llm_requests": 40,
    "tool_calls": 15,
    "conversation_messages": 5,
    "credit_lines": 15,
}
# Sessions live this long, so that most of them touch several days.
SESSION_DAYS = 3
# What an event's time may move back by, in days, when it is late.
LATEST_DAYS = 400


@dataclass(frozen=True)
class Tree:
    """The shape of a landing tree; shares are of the events of a day, from 0 to 1."""

    events: int = 1_000_000
    days: int = 365
    agents: int = 2_000
    users: int = 5_000
    sessions: int = 100_000
    end: date = date(2026, 3, 15)
    seed: int = 7
    late: float = 0.01
    repeated: float = 0.005
    corrected: float = 0.002
    odd: float = 0.001

    @property
    def start(self) -> date:
        """The first day of deliveries."""
        return self.end - timedelta(days=self.days)

    def rows_before(self, source: str, day: int) -> int:
        """How many rows of a source are delivered for the first time before a day (from 0)."""
        weeks, rest = divmod(day + self.start.weekday(), 7)
        past = (
            weeks * 31 + sum(WEEKDAY_WEIGHTS[:rest]) - sum(WEEKDAY_WEIGHTS[: self.start.weekday()])
        )
        weeks, rest = divmod(self.days + self.start.weekday(), 7)
        whole = (
            weeks * 31 + sum(WEEKDAY_WEIGHTS[:rest]) - sum(WEEKDAY_WEIGHTS[: self.start.weekday()])
        )
        return self.events * SHARES[source] * past // (100 * whole)


WEEKDAY_WEIGHTS = (5, 5, 5, 5, 5, 3, 3)


def write(
    tree: Tree, landing: Path, file_format: str, first_day: int = 0, last_day: int | None = None
) -> int:
    """Write the deliveries of the days from first_day up to last_day; returns the rows written.

    file_format: ndjson or parquet. Entities (agents, users, ...) come with the first day. A day
    past tree.days is one more of the same kind, which a later night may find.
    """
    rows = 0
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        if first_day == 0:
            for source, query in _entities(tree).items():
                rows += _copy(connection, query, landing / source / "all", file_format, tree, 0)
        for day in range(first_day, tree.days if last_day is None else last_day):
            delivered = tree.start + timedelta(days=day)
            for source, query in _events(tree, day):
                target = landing / source / f"{delivered:%Y-%m}" / f"{delivered}"
                rows += _copy(connection, query, target, file_format, tree, day)
    return rows


def _copy(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    target: Path,
    file_format: str,
    tree: Tree,
    day: int,
) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    name = str(target).replace("'", "''")
    if file_format == "parquet":
        statement = f"copy ({query}) to '{name}.parquet' (format parquet, compression zstd)"
    else:
        relation = connection.sql(query)
        members = ", ".join(
            f"{column} := {_json_value(column, str(kind))}"
            for column, kind in zip(relation.columns, relation.types, strict=True)
        )
        unit = f"hash(line, {tree.seed}) / 18446744073709551616.0"
        lines = f"select cast(to_json(struct_pack({members})) as varchar) as line from ({query})"
        statement = f"""
            copy (
                select case
                    when {unit} < {tree.odd / 4} then left(line, length(line) - 9)
                    when {unit} < {tree.odd / 2} then replace(line, '_at":"20', '_at":"19')
                    when {unit} < {tree.odd} then left(line, length(line) - 1) || ',"region":"eu"}}'
                    else line
                end as line
                from ({lines})
            ) to '{name}.ndjson'
            (format csv, header false, quote '', escape '', delimiter '\x01')
        """
    return connection.execute(statement).fetchall()[0][0]


def _json_value(column: str, kind: str) -> str:
    if kind.startswith("TIMESTAMP"):
        return f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%fZ')"
    if kind == "DECIMAL(38,12)":
        return f"rtrim(rtrim(cast({column} as varchar), '0'), '.')"
    return column


def _unit(name: str, tree: Tree) -> str:
    """A number from 0 to below 1 for row k, the same in every run."""
    return f"(hash(k, '{name}', {tree.seed}) / 18446744073709551616.0)"


def _skewed(prefix: str, count: int, power: float, tree: Tree, row: str = "k") -> str:
    """An id among count, of which the first come up most."""
    unit = _unit(prefix, tree).replace("hash(k,", f"hash({row},")
    return f"'{prefix}-' || cast(floor({count} * pow({unit}, {power})) as bigint)"


def _key(name: str, row: str, tree: Tree) -> str:
    return f"md5('{name}' || {tree.seed} || '-' || ({row}))"


def _often(name: str, share: float, value: str, tree: Tree) -> str:
    return f"case when {_unit('has ' + name, tree)} < {share} then {value} end"


def _numbers(source: str, tree: Tree, day: int) -> str:
    """Row numbers of a delivery: the day's own, some of the day before again, some corrected."""
    first, last = tree.rows_before(source, day), tree.rows_before(source, day + 1)
    before = tree.rows_before(source, max(day - 1, 0))
    own = f"select range as k, {day} as day, 0 as revision from range({first}, {last})"
    again = (
        f"select range as k, {day - 1} as day, 0 as revision from range({before}, {first}) "
        f"where hash(range, 'again', {tree.seed}) / 18446744073709551616.0 < {tree.repeated}"
    )
    corrected = (
        f"select range as k, {day - 1} as day, 1 as revision from range({before}, {first}) "
        f"where hash(range, 'corrected', {tree.seed}) / 18446744073709551616.0 < {tree.corrected}"
    )
    return f"({own} union all {again} union all {corrected})"


def _happened(tree: Tree, day: str = "day") -> str:
    """When row k happened: on its day, most at noon; late ones days or months before."""
    start = datetime.combine(tree.start, datetime.min.time())
    seconds = f"(({_unit('time', tree)} + {_unit('time of day', tree)}) * 43200000000)"
    late = (
        f"case when {_unit('late', tree)} < {tree.late} "
        f"then 1 + floor({LATEST_DAYS} * pow({_unit('how late', tree)}, 6)) else 0 end"
    )
    return (
        f"timestamp '{start}' + to_days(cast({day} - {late} as integer)) "
        f"+ to_microseconds(cast({seconds} as bigint))"
    )


def _milliseconds(median: int, tree: Tree) -> str:
    """A latency with a long tail."""
    spread = f"(ln({_unit('tail', tree)} + 1e-9) - ln(1.000001 - {_unit('tail', tree)}))"
    return f"cast(round({median} * exp(0.6 * {spread}), 3) as decimal(18, 3))"


def _tokens(name: str, most: int, tree: Tree) -> str:
    return f"cast({most} * pow({_unit(name, tree)}, 4) as bigint)"


def _tags(tree: Tree) -> str:
    return (
        f"case when {_unit('tags', tree)} < 0.2 then ['prod', 'team-' || cast("
        f"floor(20 * {_unit('tag', tree)}) as integer)] end"
    )


def _events(tree: Tree, day: int) -> Iterator[tuple[str, str]]:
    runs_today = tree.rows_before("agent_runs", day + 1) - tree.rows_before("agent_runs", day)
    first_run = tree.rows_before("agent_runs", day)
    # Row k of another source belongs to a run of the same day.
    run = f"({first_run} + k % {max(runs_today, 1)})"
    blocks = max(tree.days // SESSION_DAYS, 1)
    a_block = max(tree.sessions // blocks, 1)
    number = (
        f"((day // {SESSION_DAYS}) * {a_block} + "
        f"cast(floor({a_block} * pow({_unit('session', tree)}, 1.5)) as bigint))"
    )
    session = f"'session-' || {number}"
    # A session is one user's with one agent; but for some of its rows.
    belongs = f"case when {_unit('stranger', tree)} < 0.98 then {number} else k end"
    agent = _skewed("agent", tree.agents, 3, tree, belongs)
    user = _skewed("user", tree.users, 2, tree, belongs)
    organisation = f"'organisation-' || cast(floor(8 * {_unit('organisation', tree)}) as bigint)"
    conversation = (
        f"'conversation-' || (day // 7) || '-' || "
        f"cast(floor({a_block} * pow({_unit('conversation', tree)}, 2)) as bigint)"
    )
    model = _skewed("model", 12, 2, tree)
    happened = _happened(tree)
    yield (
        "agent_runs",
        f"""
        select {_key("run", "k", tree)} as run_id, {_often("agent", 0.99, agent, tree)} as agent_id,
            {_often("user", 0.9, user, tree)} as user_id, {organisation} as organisation_id,
            {_often("session", 0.95, session, tree)} as session_id,
            {_often("conversation", 0.5, conversation, tree)} as conversation_id,
            {_skewed("key", 300, 2, tree)} as api_key_id, 'provider-' || (k % 3) as provider,
            {_often("model", 0.7, model, tree)} as model, {happened} as started_at,
            {happened} + to_milliseconds(cast(1000 + 60000 * {_unit("span", tree)} as bigint))
                as ended_at,
            {_often("latency", 0.9, _milliseconds(1500, tree), tree)} as latency_ms,
            case when revision = 1 or {_unit("status", tree)} < 0.9 then 'succeeded'
                when {_unit("status", tree)} < 0.97 then 'failed' else 'cancelled' end as status,
            case when {_unit("status", tree)} between 0.9 and 0.97 then 'timeout' end as error_type,
            {_tokens("input", 20000, tree)} as input_tokens,
            {_tokens("output", 4000, tree)} as output_tokens,
            {_tokens("read", 90000, tree)} as cache_read_tokens,
            {_tokens("write", 9000, tree)} as cache_write_tokens,
            {_tags(tree)} as tags, cast(revision as bigint) as revision
        from {_numbers("agent_runs", tree, day)}
        """,
    )
    yield (
        "llm_requests",
        f"""
        select {_key("request", "k", tree)} as request_id,
            {_often("run", 0.85, _key("run", run, tree), tree)} as run_id,
            {_often("session", 0.97, session, tree)} as session_id,
            {_often("conversation", 0.5, conversation, tree)} as conversation_id,
            {_often("agent", 0.99, agent, tree)} as agent_id,
            {_skewed("instance", tree.agents * 2, 3, tree)} as agent_instance_id,
            {_often("user", 0.9, user, tree)} as user_id, {organisation} as organisation_id,
            'team-' || cast(floor(20 * {_unit("team", tree)}) as bigint) as team_id,
            {_skewed("key", 300, 2, tree)} as api_key_id, 'provider-' || (k % 3) as provider,
            {model} as model, {happened} as requested_at,
            {_milliseconds(900, tree)} as duration_ms,
            case when revision = 1 or {_unit("status", tree)} < 0.95 then 'succeeded'
                else 'failed' end as status,
            case when {_unit("status", tree)} >= 0.95 then 'overloaded' end as error_type,
            cast(1 as bigint) as attempt, {_tokens("input", 9000, tree)} as input_tokens,
            {_tokens("read", 60000, tree)} as cache_read_tokens,
            {_tokens("write 5m", 5000, tree)} as cache_write_5m_tokens,
            cast(0 as bigint) as cache_write_1h_tokens,
            {_tokens("output", 2500, tree)} as output_tokens,
            {_tokens("reasoning", 500, tree)} as reasoning_tokens,
            cast({_unit("cost", tree)} / 20 as decimal(18, 6)) as reported_cost_usd,
            {_tags(tree)} as tags, cast(revision as bigint) as revision
        from {_numbers("llm_requests", tree, day)}
        """,
    )
    yield (
        "tool_calls",
        f"""
        select {_key("call", "k", tree)} as call_id, {_key("run", run, tree)} as run_id,
            {_often("session", 0.95, session, tree)} as session_id, {agent} as agent_id,
            {_skewed("instance", tree.agents * 2, 3, tree)} as agent_instance_id,
            {_often("user", 0.9, user, tree)} as user_id, {organisation} as organisation_id,
            {_skewed("mcp", 40, 2, tree)} as mcp_id, {_skewed("tool", 200, 2, tree)} as tool_name,
            {happened} as called_at, {_milliseconds(300, tree)} as duration_ms,
            case when {_unit("outcome", tree)} < 0.93 then 'executed'
                when {_unit("outcome", tree)} < 0.98 then 'failed' else 'blocked' end as outcome,
            case when {_unit("outcome", tree)} >= 0.98 then 'policy-1' end as policy_id,
            cast(revision as bigint) as revision
        from {_numbers("tool_calls", tree, day)}
        """,
    )
    yield (
        "conversation_messages",
        f"""
        select {_key("message", "k", tree)} as message_id, {conversation} as conversation_id,
            {organisation} as organisation_id, {agent} as agent_id, {user} as user_id,
            case when k % 2 = 0 then 'user' else 'assistant' end as role, {happened} as sent_at,
            cast(revision as bigint) as revision
        from {_numbers("conversation_messages", tree, day)}
        """,
    )
    yield (
        "credit_lines",
        f"""
        select {_key("line", "k", tree)} as line_id, {happened} as occurred_at,
            {organisation} as organisation_id, {_often("agent", 0.5, agent, tree)} as agent_id,
            {_often("user", 0.5, user, tree)} as user_id,
            {_often("conversation", 0.9, conversation, tree)} as conversation_id,
            {_often("run", 0.8, _key("run", run, tree), tree)} as run_id,
            ['LLM', 'WebSearch', 'SpeechToText', 'Storage'][1 + k % 4] as category,
            'usage of ' || (k % 50) as description,
            cast(case when {_unit("kind", tree)} < 0.02 then -1 else 1 end
                * {_unit("credits", tree)} * {_unit("credits more", tree)} as decimal(38, 12))
                as credits,
            case when {_unit("kind", tree)} < 0.02 then 'refund' else 'usage' end as kind,
            cast(revision as bigint) as revision
        from {_numbers("credit_lines", tree, day)}
        """,
    )


def _entities(tree: Tree) -> dict[str, str]:
    updated = f"timestamp '{tree.start - timedelta(days=30)}' as updated_at"
    organisation = f"'organisation-' || cast(floor(8 * {_unit('home', tree)}) as bigint)"
    return {
        "organisations": f"""
            select 'organisation-' || range as organisation_id, 'Organisation ' || range as name,
                case when range > 3 then 'organisation-' || range // 2 end
                    as parent_organisation_id, {updated}
            from range(8)
        """,
        "teams": f"""
            select 'team-' || range as team_id, 'Team ' || range as name,
                'organisation-' || range % 8 as organisation_id, {updated}
            from range(20)
        """,
        "users": f"""
            select 'user-' || k as user_id, 'person' || k || '@example.com' as email,
                'Person ' || k as display_name, 'member' as role,
                {organisation} as organisation_id, 'team-' || k % 20 as team_id,
                timestamp '{tree.start}' + to_days(cast(k % {tree.days} as integer)) as created_at,
                {updated}
            from (select range as k from range({tree.users}))
        """,
        "agents": f"""
            select 'agent-' || k as agent_id, 'Agent ' || k as name,
                case when k % 3 = 0 then 'workflow' else 'assistant' end as agent_type,
                'model-' || k % 12 as model,
                'user-' || cast(floor({tree.users} * {_unit("creator", tree)}) as bigint)
                    as created_by,
                {organisation} as organisation_id,
                timestamp '{tree.start}' + to_days(cast(k % {tree.days} as integer)) as created_at,
                {updated}
            from (select range as k from range({tree.agents}))
        """,
    }


def main() -> None:
    """Write a landing tree from the command line."""
    shape = Tree()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.generate", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("landing", type=Path, help="folder to write the tree into")
    parser.add_argument("--format", choices=("ndjson", "parquet"), default="ndjson")
    for name in ("events", "days", "agents", "users", "sessions", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(shape, name))
    for name in ("late", "repeated", "corrected", "odd"):
        parser.add_argument(
            f"--{name}", type=float, default=getattr(shape, name), help="share of the events"
        )
    parser.add_argument(
        "--end", type=date.fromisoformat, default=shape.end, help="day after the last"
    )
    parser.add_argument("--from-day", type=int, default=0, help="first day to write, from 0")
    parser.add_argument("--to-day", type=int, help="day after the last to write")
    values = vars(parser.parse_args())
    landing, file_format = values.pop("landing"), values.pop("format")
    first_day, last_day = values.pop("from_day"), values.pop("to_day")
    started = time.monotonic()
    rows = write(Tree(**values), landing, file_format, first_day, last_day)
    seconds = time.monotonic() - started
    sys.stdout.write(f"{rows:,} rows in {seconds:.1f} s in {landing}\n")


if __name__ == "__main__":
    main()
