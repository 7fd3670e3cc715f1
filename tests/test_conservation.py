"""Conservation to the last digit: from the raw files to the facts, every mart and every CSV on disk.

Each mart's totals are declared in one table; what a column adds up to is computed in plain Python
from the landed files, then held against the mart in the published database, the CSV of each
timeframe as it is read back from disk, its sums in the manifest, and the organisations' own files.
"""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orchestration.exports import SUMMED_KINDS, Report, read_reports
from tests import random_landing
from tests.conftest import SAMPLE_AS_OF, Warehouse
from tests.oracle import Facts, Row, all_tokens, load_facts, micros, total, within
from tests.oracle_reports import DAY, TIMEFRAMES, Clock, timeframe_view

SEED = 77
Amount = Fraction | int


@dataclass(frozen=True)
class Measure:
    """What adds up: which facts, the field of their time, and the amount of each row."""

    facts: str
    amount: Callable[[Row], Any]
    time: str = "at"
    where: Callable[[Row], bool] = lambda _: True

    def of(self, rows: Iterable[Row]) -> Fraction:
        """The exact sum over rows; null adds nothing."""
        amounts = (self.amount(row) for row in rows if self.where(row))
        return sum((Fraction(each) for each in amounts if each is not None), Fraction(0))


def one(_: Row) -> int:
    return 1


def of(name: str) -> Callable[[Row], Any]:
    return lambda row: row[name]


def tokens_in(row: Row) -> int:
    return total((row["uncached"], row["cache_read"], row["cache_write"]))


def has_run(row: Row) -> bool:
    return row["outcome"] in ("executed", "failed")


def is_blocked(row: Row) -> bool:
    return row["outcome"] == "blocked"


ALL_RUNS = Measure("runs", one)
RUNS_IN, RUNS_OUT = Measure("runs", of("tokens_in")), Measure("runs", of("tokens_out"))
REQUESTS = Measure("requests", lambda row: int(row["is_request"]))
FAILED = Measure("requests", lambda row: int(row["is_failed"]))
UNCACHED, READ = Measure("requests", of("uncached")), Measure("requests", of("cache_read"))
WRITTEN, OUTPUT = Measure("requests", of("cache_write")), Measure("requests", of("output"))
INPUT, TOKENS = Measure("requests", tokens_in), Measure("requests", all_tokens)
ESTIMATED = Measure("requests", of("estimated_cost_usd"))
REPORTED = Measure("requests", of("reported_cost_usd"))
CALLS = Measure("tool_calls", one, where=has_run)
FAILED_CALLS = Measure("tool_calls", lambda row: int(row["outcome"] == "failed"))
BLOCKS = Measure("tool_calls", one, where=is_blocked)
CREDITS = Measure("credit_lines", of("credits"), "occurred_at")
LINES = Measure("credit_lines", one, "occurred_at")

BUCKETS = {
    "uncached_input_tokens": UNCACHED, "cache_read_tokens": READ, "cache_write_tokens": WRITTEN,
    "output_tokens": OUTPUT,
}  # fmt: skip
COSTS = {"estimated_cost_usd": ESTIMATED, "reported_cost_usd": REPORTED}
IN_OUT = {"input_tokens_total": INPUT, "output_tokens_total": OUTPUT}
OF_RUNS = {
    "total_runs": ALL_RUNS, "credits_consumed": CREDITS, "input_tokens_total": RUNS_IN,
    "output_tokens_total": RUNS_OUT,
}  # fmt: skip
USAGE = {"total_tokens": TOKENS, **COSTS, "request_count": REQUESTS}


@dataclass(frozen=True)
class Totals:
    """What the columns of a mart add up to in each timeframe.

    each: columns each value of which shows the whole, such as a view. where: the rows that count.
    has_previous: whether `period` tells the window from the one before it. rows: what its rows
    count. shown: the facts that it shows, where it leaves some out or counts what they name.
    """

    columns: dict[str, Measure]
    each: tuple[str, ...] = ()
    where: dict[str, str] = field(default_factory=dict)
    has_previous: bool = False
    rows: Measure | None = None
    shown: Callable[[list[Row]], list[Row]] = lambda rows: rows


def in_timelines(rows: list[Row]) -> list[Row]:
    """The rows of sessions that have an id and a request."""
    told = {
        (row["client"], row["session_id"])
        for row in rows
        if row["session_id"] is not None and row["is_request"]
    }
    return [row for row in rows if (row["client"], row["session_id"]) in told]


def user_days(rows: list[Row]) -> list[Row]:
    """One row per user and UTC day."""
    days = {(row["user_id"], row["at"] // DAY) for row in rows if row["user_id"] is not None}
    return [{"user_id": user} for user, _ in days]


def sessions(rows: list[Row]) -> list[Row]:
    """One row per session that has an id."""
    keys = {(row["client"], row["session_id"]) for row in rows if row["session_id"] is not None}
    return [{"session_id": key} for key in keys]


TIMED = {"has_previous": True}
TOTALS: dict[str, Totals] = {
    "usage_by_agent": Totals(OF_RUNS),
    "usage_by_user": Totals(OF_RUNS),
    "usage_by_sub_account": Totals(
        {
            **OF_RUNS,
            "estimated_cost_usd": Measure("runs", of("estimated_cost_usd")),
            "reported_cost_usd": Measure("runs", of("reported_cost_usd")),
        },
        where={"scope": "own"},
    ),
    "usage_by_model": Totals(
        {"uncached_input_tokens": UNCACHED, "cache_read_tokens": READ,
         "cache_write_tokens": WRITTEN, **IN_OUT, **COSTS, "request_count": REQUESTS,
         "failed_requests": FAILED}
    ),
    "tool_usage": Totals({"tool_executions": CALLS, "failed_executions": FAILED_CALLS}, **TIMED),
    "tool_usage_over_time": Totals({"tool_executions": CALLS}, **TIMED),
    "tool_usage_by_hour_of_day": Totals({"tool_executions": CALLS}, **TIMED),
    "top_tools": Totals({"tool_executions": CALLS}),
    "top_agent_instances": Totals({"tool_executions": CALLS}),
    "top_tool_users": Totals({"tool_executions": CALLS}),
    "top_mcp_servers": Totals({"tool_executions": CALLS}),
    "llm_usage": Totals({**USAGE, "failed_requests": FAILED}, **TIMED),
    "llm_tokens_by_type": Totals({"tokens": TOKENS}, **TIMED),
    "llm_usage_over_time": Totals({**USAGE, **BUCKETS}, **TIMED),
    "top_llm_users": Totals(USAGE),
    "top_llm_models": Totals(USAGE),
    "session_metrics": Totals({**USAGE, **BUCKETS, "failed_requests": FAILED}),
    "session_models": Totals({**USAGE, **BUCKETS, "failed_requests": FAILED}),
    "session_timeline": Totals(
        {**BUCKETS, "total_tokens": TOKENS, "estimated_cost_usd": ESTIMATED,
         "request_count": REQUESTS},
        shown=in_timelines,
    ),
    "session_metrics_summary": Totals({"session_count": Measure("requests", one)}, shown=sessions),
    "blocked_calls": Totals({}, rows=BLOCKS),
    "blocked_calls_headline": Totals({"blocked_calls": BLOCKS}, **TIMED),
    "blocked_calls_over_time": Totals({"blocked_calls": BLOCKS}, **TIMED),
    "top_blocked_tools": Totals({"blocked_calls": BLOCKS}),
    "top_blocked_agent_instances": Totals({"blocked_calls": BLOCKS}),
    "top_blocked_users": Totals({"blocked_calls": BLOCKS}),
    "top_blocked_mcp_servers": Totals({"blocked_calls": BLOCKS}),
    "top_blocking_policies": Totals({"blocked_calls": BLOCKS}),
    "usage_kpis": Totals(USAGE, each=("view",), **TIMED),
    "active_users_daily": Totals(
        {"active_users": Measure("requests", one)}, shown=user_days, **TIMED
    ),
    "team_requests_daily": Totals({"request_count": REQUESTS}, **TIMED),
    "usage_by_team": Totals({**IN_OUT, **COSTS, "request_count": REQUESTS}),
    "usage_by_team_member": Totals({**IN_OUT, **COSTS, "request_count": REQUESTS}),
    "billing_summary": Totals({"total_credits": CREDITS, "line_count": LINES}, **TIMED),
    "billing_daily_usage": Totals({"credits": CREDITS, "line_count": LINES}, **TIMED),
    "billing_by_category": Totals({"credits": CREDITS, "line_count": LINES}, **TIMED),
    "billing_conversations": Totals({"total_credits": CREDITS}),
    "billing_conversation_lines": Totals({"credits": CREDITS}, rows=LINES),
    "focus_cost_and_usage": Totals(
        {
            **dict.fromkeys(
                ("billed_cost", "contracted_cost", "effective_cost", "list_cost"), ESTIMATED
            ),
            "x_reported_cost_usd": REPORTED,
            "x_request_count": REQUESTS,
            **{f"x_{name}": measure for name, measure in BUCKETS.items()},
        }
    ),
}  # fmt: skip
# The same rows of FOCUS, those in the pricing currency of credits alone.
FOCUS_CREDITS = Totals(
    {"pricing_currency_effective_cost": CREDITS}, where={"pricing_currency": "Credits"}
)

# Facts of all time in the database: relation, condition, column -> measure.
OF_ALL_TIME: tuple[tuple[str, str, dict[str, Measure]], ...] = (
    ("int_runs_enriched", "true",
     {"count(*)": ALL_RUNS, "sum(input_tokens_total)": RUNS_IN,
      "sum(output_tokens_total)": RUNS_OUT}),
    ("int_llm_requests_attributed", "true",
     {"count(*) filter (is_request)": REQUESTS, "sum(input_tokens)": UNCACHED,
      "sum(cache_read_tokens)": READ, "sum(output_tokens)": OUTPUT,
      "sum(coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0))": WRITTEN,
      "sum(estimated_cost_usd)": ESTIMATED, "sum(reported_cost_usd)": REPORTED}),
    ("int_tool_calls_attributed", "outcome in ('executed', 'failed')", {"count(*)": CALLS}),
    ("int_tool_calls_attributed", "outcome = 'blocked'", {"count(*)": BLOCKS}),
    ("int_credit_lines_attributed", "is_consumption", {"count(*)": LINES, "sum(credits)": CREDITS}),
)  # fmt: skip


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A random tree of every awkward kind, shuffled, after its night."""
    print(f"seed {SEED}")
    folder = tmp_path_factory.mktemp("awkward")
    warehouse = Warehouse.below(folder, folder / "landing")
    deliveries = random_landing.random_deliveries(SEED)
    random_landing.deliver(random_landing.shuffled(deliveries, SEED), warehouse.landing)
    answer = warehouse.night(as_of=SAMPLE_AS_OF)
    assert answer.code in (0, 3), answer.error
    return warehouse


def exact(value: Any) -> Fraction:
    return Fraction(str(value)) if value not in (None, "") else Fraction(0)


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def read_mart(warehouse: Warehouse, report: Report) -> dict[str, list[dict[str, Any]]]:
    """The rows of a mart by timeframe, by the names that they have in a file."""
    names = ", ".join(f"{column.name}::varchar" for column in report.columns)
    rows: dict[str, list[dict[str, Any]]] = {}
    headers = [column.header for column in report.columns]
    for timeframe, *values in warehouse.query(
        f"select timeframe, {names} from marts.{report.name}"
    ):
        rows.setdefault(timeframe, []).append(dict(zip(headers, values, strict=True)))
    return rows


def wholes(rows: Sequence[dict[str, Any]], totals: Totals, report: Report) -> Iterable[list]:
    """The rows that add up to a whole, for each period and each value of the `each` columns."""
    header = {column.name: column.header for column in report.columns}
    kept = [
        row
        for row in rows
        if all(row[header[name]] == value for name, value in totals.where.items())
    ]
    periods = ("current", "previous") if totals.has_previous else (None,)
    for period in periods:
        of_period = [row for row in kept if period is None or row["period"] == period]
        views = sorted({tuple(row[name] for name in totals.each) for row in of_period} or {()})
        for view in views:
            of_view = [row for row in of_period if tuple(row[name] for name in totals.each) == view]
            yield [period or "current", view, of_view]


def differences(warehouse: Warehouse, as_of: str, facts: Facts) -> Iterable[str]:
    """Every total that is not what the landed files add up to."""
    clock = Clock(datetime.fromisoformat(as_of), ZoneInfo("UTC"), "monday")
    for report in read_reports():
        declared = [TOTALS[report.name]]
        if report.name == "focus_cost_and_usage":
            declared.append(FOCUS_CREDITS)
        marts = read_mart(warehouse, report)
        header = {column.name: column.header for column in report.columns}
        for timeframe in TIMEFRAMES[report.page]:
            windows = timeframe_view(report.page, timeframe, clock).windows
            file = warehouse.exports / "latest" / report.name / f"{timeframe}.csv"
            for place, rows in (("mart", marts.get(timeframe, [])), ("CSV", read_csv(file))):
                for totals in declared:
                    for period, view, part in wholes(rows, totals, report):
                        checked = dict(totals.columns)
                        if totals.rows:
                            checked["rows"] = totals.rows
                        for column, measure in checked.items():
                            landed = within(
                                getattr(facts, measure.facts), windows[period], measure.time
                            )
                            wanted = measure.of(totals.shown(landed))
                            found = (
                                Fraction(len(part))
                                if column == "rows"
                                else sum((exact(row[header[column]]) for row in part), Fraction(0))
                            )
                            if found != wanted:
                                yield (
                                    f"{place} {report.name}/{timeframe} {period} {view} {column}: "
                                    f"{float(found)} and not {float(wanted)}"
                                )


def transport(warehouse: Warehouse) -> Iterable[str]:
    """Every figure that a CSV or the manifest has otherwise than the mart, and each missing file."""
    latest = warehouse.exports / "latest"
    manifest = json.loads((latest / "manifest.json").read_text(encoding="utf-8"))
    entries = {entry["path"]: entry for entry in manifest["files"]}
    on_disk = {file.relative_to(latest).as_posix() for file in latest.rglob("*.csv")}
    if entries.keys() != on_disk:
        yield f"files that only one of manifest and disk has: {entries.keys() ^ on_disk}"
    for report in read_reports():
        marts = read_mart(warehouse, report)
        kinds = {column.header: column.kind for column in report.columns}
        numbers = [name for name, kind in kinds.items() if kind in (*SUMMED_KINDS, "count")]
        for timeframe in TIMEFRAMES[report.page]:
            path = f"{report.name}/{timeframe}.csv"
            rows, mart = read_csv(latest / path), marts.get(timeframe, [])
            if not len(rows) == len(mart) == entries[path]["rows"]:
                yield f"{path}: {len(rows)}, {len(mart)} and {entries[path]['rows']} rows"
            for name in numbers:
                sums = {
                    "CSV": sum((exact(row[name]) for row in rows), Fraction(0)),
                    "mart": sum((exact(row[name]) for row in mart), Fraction(0)),
                }
                if kinds[name] in SUMMED_KINDS:
                    sums["manifest"] = exact(entries[path]["sums"][name])
                if len(set(sums.values())) > 1:
                    yield f"{path} {name}: {sums}"


def parts(warehouse: Warehouse) -> Iterable[str]:
    """Every credit total that the organisations' own files do not make up together."""
    latest = warehouse.exports / "latest"
    for report in read_reports():
        if report.page != "billing" or report.name.startswith("focus_"):
            continue
        for timeframe in TIMEFRAMES[report.page]:
            files = list(latest.glob(f"organisations/*/*/{report.name}/{timeframe}.csv"))
            for column in TOTALS[report.name].columns:
                whole = read_csv(latest / report.name / f"{timeframe}.csv")
                of_all = sum((exact(row[column]) for row in whole), Fraction(0))
                of_parts = sum(
                    (exact(row[column]) for file in files for row in read_csv(file)), Fraction(0)
                )
                if not files or of_all != of_parts:
                    yield f"{report.name}/{timeframe} {column}: {of_all} and {of_parts}"


@pytest.mark.parametrize("tree", ["sample", "awkward"])
def test_nothing_is_lost_or_counted_twice_from_raw_files_to_any_csv(
    request: pytest.FixtureRequest, tree: str
) -> None:
    warehouse: Warehouse = request.getfixturevalue(tree)
    as_of = SAMPLE_AS_OF
    facts = load_facts(warehouse.landing, micros(datetime.fromisoformat(as_of)))
    with localcontext(prec=60):
        for relation, where, columns in OF_ALL_TIME:
            casts = ", ".join(f"({column})::varchar" for column in columns)
            (found,) = warehouse.query(f"select {casts} from intermediate.{relation} where {where}")
            wanted = [measure.of(getattr(facts, measure.facts)) for measure in columns.values()]
            assert [exact(value) for value in found] == wanted, (relation, list(columns))
            assert any(wanted), relation
        assert list(differences(warehouse, as_of, facts)) == []
        assert list(transport(warehouse)) == []
        assert list(parts(warehouse)) == []


def test_every_mart_declares_what_it_adds_up_to(sample: Warehouse) -> None:
    marts = {
        name
        for (name,) in sample.query(
            "select table_name from duckdb_tables() where schema_name = 'marts' union "
            "select view_name from duckdb_views() where schema_name = 'marts'"
        )
    }
    assert TOTALS.keys() == marts == {report.name for report in read_reports()}
    for report in read_reports():
        totals = TOTALS[report.name]
        assert totals.columns or totals.rows, report.name
        assert totals.columns.keys() <= {column.name for column in report.columns}, report.name
