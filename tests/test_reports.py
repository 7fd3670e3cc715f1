"""Every report against its recomputation: those of the night, and those asked for under filters."""

import csv
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from orchestration.project import SEEDS
from tests import oracle, random_landing
from tests import oracle_reports as reports
from tests.conftest import SAMPLE_AS_OF, SAMPLE_LANDING, Warehouse, call

AS_OF = datetime.fromisoformat(SAMPLE_AS_OF)
CLOCK = reports.Clock(AS_OF, ZoneInfo("UTC"), "monday")
EXPORTS = 60
SEED = 20261121

Line = dict[str, str]


@pytest.fixture(scope="module")
def facts() -> oracle.Facts:
    """All that landed in the sample."""
    return oracle.load_facts(SAMPLE_LANDING, oracle.micros(AS_OF))


def shown(file: Path) -> list[Line]:
    """The lines of a CSV file."""
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def first_difference(report: str, found: list[Line], expected: list[Line]) -> str:
    """Where two files of a report differ; empty if they do not."""
    found, expected = (reports.comparable(report, lines) for lines in (found, expected))
    if found == expected:
        return ""
    for number, (left, right) in enumerate(zip(found, expected, strict=False)):
        if left != right:
            cells = {
                name: (left.get(name), right.get(name))
                for name in left | right
                if left.get(name) != right.get(name)
            }
            return f"line {number}, (found, expected) of {cells} in {right}"
    return f"{len(found)} lines found, {len(expected)} expected"


# -------------------------------------------------------------------------------------------------
# The recomputation itself: what it adds up to
# -------------------------------------------------------------------------------------------------


def summed(lines: Iterable[Line], column: str) -> Fraction:
    """A column in all; an empty cell adds nothing."""
    return sum((Fraction(line[column] or 0) for line in lines), Fraction(0))


# (figures, the finer report, the coarser one): both have the columns, and add up to the same.
ADDITIONS = [
    ("tool_executions", "tool_usage_over_time", "tool_usage"),
    ("tool_executions", "tool_usage_by_hour_of_day", "tool_usage"),
    ("blocked_calls", "blocked_calls_over_time", "blocked_calls_headline"),
    ("total_tokens estimated_cost_usd reported_cost_usd request_count", "llm_usage_over_time",
     "llm_usage"),
    ("credits line_count", "billing_daily_usage", "billing_by_category"),
]  # fmt: skip
# The same, but the finer report tells of the current period alone.
CURRENT_ADDITIONS = [
    ("tool_executions", "top_tools", "tool_usage"),
    ("tool_executions", "top_agent_instances", "tool_usage"),
    ("tool_executions", "top_tool_users", "tool_usage"),
    ("tool_executions", "top_mcp_servers", "tool_usage"),
    ("blocked_calls", "top_blocked_tools", "blocked_calls_headline"),
    ("blocked_calls", "top_blocked_agent_instances", "blocked_calls_headline"),
    ("blocked_calls", "top_blocked_users", "blocked_calls_headline"),
    ("blocked_calls", "top_blocked_mcp_servers", "blocked_calls_headline"),
    ("blocked_calls", "top_blocking_policies", "blocked_calls_headline"),
    ("total_tokens estimated_cost_usd request_count", "top_llm_users", "llm_usage"),
    ("total_tokens estimated_cost_usd request_count", "top_llm_models", "llm_usage"),
    ("total_tokens estimated_cost_usd request_count", "session_models", "llm_usage"),
    ("total_tokens estimated_cost_usd request_count", "session_metrics", "llm_usage"),
]


def zones() -> Iterator[reports.Clock]:
    """Instants and zones in which clocks change, days are cut, and months clamp."""
    for instant, zone, week_start in (
        (SAMPLE_AS_OF, "UTC", "monday"),
        ("2026-03-10T17:45:30+00:00", "Asia/Kolkata", "sunday"),
        ("2026-03-09T06:30:00+00:00", "America/New_York", "monday"),
        ("2025-11-02T20:15:00+00:00", "America/New_York", "saturday"),
        ("2026-03-31T12:00:00+00:00", "Europe/Berlin", "monday"),
    ):
        yield reports.Clock(datetime.fromisoformat(instant), ZoneInfo(zone), week_start)


@pytest.mark.parametrize("clock", list(zones()), ids=lambda clock: str(clock.zone))
def test_the_buckets_of_a_window_are_the_window(clock: reports.Clock) -> None:
    for page, timeframes in reports.TIMEFRAMES.items():
        for timeframe in timeframes:
            view = reports.timeframe_view(page, timeframe, clock)
            assert view.windows["previous"][1] <= view.windows["current"][0]
            for period, (start, end) in view.windows.items():
                edges = [(bucket.start, bucket.end) for bucket in view.buckets[period]]
                assert sum(last - first for first, last in edges) == end - start
                assert all(first < last for first, last in edges)
                assert [last for _, last in edges[:-1]] == [first for first, _ in edges[1:]]
                days = [bucket.day for bucket in view.buckets[period]]
                assert days == sorted(days)


@pytest.mark.parametrize("clock", list(zones()), ids=lambda clock: str(clock.zone))
def test_finer_reports_add_up_to_coarser_ones(facts: oracle.Facts, clock: reports.Clock) -> None:
    def lines(report: str) -> list[Line]:
        return reports.rows_of(facts, report, clock, timeframe)

    for finer, additions in ((False, ADDITIONS), (True, CURRENT_ADDITIONS)):
        for columns, fine, coarse in additions:
            for timeframe in reports.TIMEFRAMES[reports.PAGE_OF[coarse]]:
                for column in columns.split():
                    whole = [
                        line for line in lines(coarse) if not finer or line["period"] == "current"
                    ]
                    assert summed(lines(fine), column) == summed(whole, column), (fine, timeframe)


def test_teams_and_members_add_up_to_the_cards(facts: oracle.Facts) -> None:
    for timeframe in reports.TIMEFRAMES["usage"]:
        cards = {
            line["view"]: line
            for line in reports.rows_of(facts, "usage_kpis", CLOCK, timeframe)
            if line["period"] == "current"
        }
        for view, report in (("team", "usage_by_team"), ("user", "usage_by_team_member")):
            lines = reports.rows_of(facts, report, CLOCK, timeframe)
            for column in ("request_count", "estimated_cost_usd", "reported_cost_usd"):
                assert summed(lines, column) == Fraction(cards[view][column])
            trends = sum(int(number) for line in lines for number in line["trend"].split())
            assert trends == int(cards[view]["request_count"])
        daily = [
            line
            for line in reports.rows_of(facts, "team_requests_daily", CLOCK, timeframe)
            if line["period"] == "current"
        ]
        assert summed(daily, "request_count") == Fraction(cards["team"]["request_count"])


def test_organisations_add_up_to_agents(facts: oracle.Facts) -> None:
    for timeframe in reports.TIMEFRAMES["reports"]:
        accounts = reports.rows_of(facts, "usage_by_sub_account", CLOCK, timeframe)
        own = [line for line in accounts if line["scope"] == "own"]
        agents = reports.rows_of(facts, "usage_by_agent", CLOCK, timeframe)
        assert summed(own, "output_tokens_total") == summed(agents, "output_tokens_total")
        assert summed(own, "total_runs") == summed(agents, "total_runs")
        assert summed(own, "credits_consumed") == summed(agents, "credits_consumed")


def test_categories_add_up_to_the_summary(facts: oracle.Facts) -> None:
    for timeframe in reports.TIMEFRAMES["billing"]:
        summary = reports.rows_of(facts, "billing_summary", CLOCK, timeframe)
        categories = reports.rows_of(facts, "billing_by_category", CLOCK, timeframe)
        assert summed(categories, "credits") == summed(summary, "total_credits")
        assert summed(categories, "line_count") == summed(summary, "line_count")
        counts = Counter(line["period"] for line in categories)
        assert {line["period"]: int(line["active_categories"]) for line in summary} == {
            period: counts[period] for period in ("current", "previous")
        }


def test_timelines_add_up_to_their_sessions(facts: oracle.Facts) -> None:
    for timeframe in reports.TIMEFRAMES["analytics"]:
        timelines: dict[tuple[str, str], list[Line]] = {}
        for line in reports.rows_of(facts, "session_timeline", CLOCK, timeframe):
            timelines.setdefault((line["client"], line["session_id"]), []).append(line)
        sessions = {
            (line["client"], line["session_id"]): line
            for line in reports.rows_of(facts, "session_metrics", CLOCK, timeframe)
            if line["has_timeline"] == "true" and line["session_id"] != oracle.UNATTRIBUTED
        }
        assert timelines.keys() == sessions.keys()
        for key, lines in timelines.items():
            assert len(lines) <= 48
            for column in ("total_tokens", "request_count", "estimated_cost_usd"):
                assert summed(lines, column) == Fraction(sessions[key][column] or 0)
            last = max(lines, key=lambda line: int(line["bucket_index"]))
            assert Fraction(last["cumulative_estimated_cost_usd"]) == summed(
                lines, "estimated_cost_usd"
            )


# -------------------------------------------------------------------------------------------------
# The contract
# -------------------------------------------------------------------------------------------------


def test_the_columns_are_those_of_the_contract() -> None:
    lines = shown(SEEDS / "report_columns.csv")
    contract: dict[str, dict[str, str]] = {}
    keys: dict[str, dict[int, str]] = {}
    for line in sorted(lines, key=lambda line: int(line["position"])):
        contract.setdefault(line["report"], {})[line["column_name"]] = line["kind"]
        if line["key_position"]:
            keys.setdefault(line["report"], {})[int(line["key_position"])] = line["column_name"]
    for name, report in reports.REPORTS.items():
        assert contract.get(name) == report.kinds, name
        in_order = tuple(keys[name][number] for number in sorted(keys.get(name, {})))
        assert in_order == report.keys, name
    # FOCUS has a specification of its own, and tests that hold it.
    assert contract.keys() - {"focus_cost_and_usage"} == reports.PAGE_OF.keys()


def test_the_filters_are_those_of_the_pages() -> None:
    contract: dict[str, set[str]] = {name: set() for name in reports.PAGE_OF}
    for line in shown(SEEDS / "report_filters.csv"):
        name = {"user_team": "team", "request_team": "team", "sub_account": "organisation"}.get(
            line["filter"], line["filter"]
        )
        if line["report"] != "focus_cost_and_usage":
            contract[line["report"]].add(name)
    assert contract == {name: set(reports.filters_of(name)) for name in reports.PAGE_OF}


# -------------------------------------------------------------------------------------------------
# The night
# -------------------------------------------------------------------------------------------------


def test_every_report_of_the_sample_equals_its_recomputation(
    sample: Warehouse, facts: oracle.Facts
) -> None:
    differences = {}
    for name in reports.REPORTS:
        for timeframe in reports.TIMEFRAMES[reports.PAGE_OF[name]]:
            file = sample.exports / "latest" / name / f"{timeframe}.csv"
            expected = reports.rows_of(facts, name, CLOCK, timeframe)
            found = first_difference(name, shown(file), expected) if file.exists() else "no file"
            if found:
                differences[f"{name}/{timeframe}"] = found
    assert differences == {}


# -------------------------------------------------------------------------------------------------
# What is asked for
# -------------------------------------------------------------------------------------------------


@dataclass
class Asked:
    """An export as the command takes it: a timeframe or an interval, and filters."""

    report: str
    timeframe: str | None = None
    interval: tuple[datetime, datetime] | None = None
    filters: dict[str, list[str]] = field(default_factory=dict)
    with_sub_organisations: bool = False

    def arguments(self) -> list[str]:
        """The words after `warehouse export`."""
        words = [self.report]
        if self.interval is None:
            words += ["--timeframe", self.timeframe or ""]
        else:
            start, end = (edge.isoformat().replace("+00:00", "Z") for edge in self.interval)
            words += ["--from", start, "--to", end]
        for name, values in self.filters.items():
            for value in values:
                # One word, since a value may start with a dash.
                words.append(f"--{name.replace('_', '-')}={value}")
        return words + ["--include-sub-organisations"] * self.with_sub_organisations

    def view(self, clock: reports.Clock = CLOCK) -> reports.View:
        """The time that it asks for."""
        page = reports.PAGE_OF[self.report]
        if self.interval is not None:
            return reports.custom_view(page, *self.interval, clock)
        return reports.timeframe_view(page, self.timeframe or "", clock)

    def expected(self, facts: oracle.Facts, clock: reports.Clock = CLOCK) -> list[Line]:
        """Its lines by the recomputation."""
        if self.report == "usage_by_sub_account" and self.filters.get("organisation"):
            # Its rows are organisations, which a filter chooses and does not cut.
            chosen = reports.organisations_of(facts, self.filters, self.with_sub_organisations)
            lines = reports.rows_in_view(facts, self.report, self.view(clock))
            return [line for line in lines if line["organisation_id"] in chosen]
        passing = reports.filtered(facts, self.filters, self.with_sub_organisations)
        return reports.rows_in_view(passing, self.report, self.view(clock))


ALL_TIMEFRAMES = sorted({name for names in reports.TIMEFRAMES.values() for name in names})
NOWHERE = "occurs nowhere"


def values_of(facts: oracle.Facts) -> dict[str, list[str]]:
    """Values that each filter can have: of events and of references, used or not."""

    def of(rows: Iterable[oracle.Row], *fields: str) -> list[str]:
        found = {row[name] for row in rows for name in fields if row.get(name) is not None}
        return sorted(found)

    def tags(rows: Iterable[oracle.Row]) -> list[str]:
        return sorted({tag for row in rows for tag in reports.tags_of(row)})

    events = [*facts.requests, *facts.tool_calls]
    users = facts.users.values()
    people = sorted({*of(events, "user_id"), *of(users, "user_id", "email")})
    people += [email.upper() for email in of(users, "email")][:3]
    creators = set(of(facts.agents.values(), "created_by"))
    no_one = [oracle.UNATTRIBUTED]
    return {
        "user": people + no_one,
        "created_by": sorted(creators)
        + of((row for name, row in facts.users.items() if name in creators), "email")
        + no_one,
        "group": sorted({group for group, _ in facts.members}) + of(facts.groups.values(), "name"),
        "provider": of(facts.requests, "provider") + no_one,
        "model": of(facts.requests, "model"),
        "client": of(events, "client"),
        "agent_instance": of(facts.tool_calls, "agent_instance_id")
        + of(facts.agent_instances.values(), "agent_instance_id")
        + no_one,
        "agent": of(facts.agents.values(), "agent_id", "name")
        + of(facts.tool_calls, "agent_id")
        + no_one,
        "mcp": of(facts.tool_calls, "mcp_id")
        + of(facts.mcp_servers.values(), "mcp_id", "name")
        + no_one,
        "agent_tag": tags(facts.agents.values()),
        "resource_tag": tags([*facts.mcp_servers.values(), *facts.tools.values()]),
        "api_key": of(facts.requests, "api_key_id") + of(facts.api_keys.values(), "name") + no_one,
        "tag": tags(facts.requests),
        "team": of(facts.teams.values(), "team_id", "name")
        + of(facts.requests, "team_id")
        + no_one,
        "organisation": of(facts.organisations.values(), "organisation_id", "name")
        + of(facts.runs, "organisation_id")
        + no_one,
        "category": of(facts.credit_lines, "category"),
        "conversation": of(facts.credit_lines, "conversation_id") + no_one,
        "session": of(facts.requests, "session_id") + no_one,
        "agent_type": of(facts.agents.values(), "agent_type") + no_one,
    }


def drawn_interval(rng: random.Random) -> tuple[datetime, datetime]:
    """From one instant to another, none after the night's; short ones as often as long ones."""
    length = timedelta(seconds=rng.choice((1, 3600, 86400, 172800, 10**6, 10**7)))
    length *= rng.choice((1, 1, rng.random() + 0.5))
    end = AS_OF - rng.choice((timedelta(), timedelta(seconds=rng.randrange(10**7))))
    start = end - length
    return start.astimezone(UTC), end.astimezone(UTC)


def drawn_exports(facts: oracle.Facts, seed: int) -> Iterator[Asked]:
    """What somebody may ask for, every report at least once."""
    rng = random.Random(seed)
    values = values_of(facts)
    names = sorted(reports.PAGE_OF)
    for number in range(max(EXPORTS, len(names))):
        asked = Asked(names[number] if number < len(names) else rng.choice(names))
        if rng.random() < 0.4:
            asked.interval = drawn_interval(rng)
        else:
            asked.timeframe = rng.choice(ALL_TIMEFRAMES)
        possible = reports.filters_of(asked.report)
        for name in rng.sample(possible, rng.randrange(min(3, len(possible)) + 1)):
            choices = [*values[name], NOWHERE] if rng.random() < 0.1 else values[name]
            if choices:
                asked.filters[name] = rng.sample(choices, rng.randint(1, min(3, len(choices))))
        if "organisation" in asked.filters:
            asked.with_sub_organisations = rng.random() < 0.5
        yield asked


def export_differences(
    warehouse: Warehouse, facts: oracle.Facts, exports: Iterable[Asked], folder: Path,
    clock: reports.Clock = CLOCK,
) -> list[str]:  # fmt: skip
    """The exports that are not what the recomputation says."""
    found = []
    for number, asked in enumerate(exports):
        words = asked.arguments()
        file = folder / f"{number}.csv"
        answer = call(
            "export", *words, "--output", str(file), "--format", "csv", "--home",
            str(warehouse.home),
        )  # fmt: skip
        is_misspelt = any(NOWHERE in values for values in asked.filters.values())
        if answer.code == 0 and not is_misspelt:
            difference = first_difference(asked.report, shown(file), asked.expected(facts, clock))
        elif is_misspelt:
            # A value that nothing has is refused by name: an empty file would look like an answer.
            difference = "" if answer.code != 0 and NOWHERE in answer.error else "was not refused"
        else:
            difference = answer.error.strip()
        if difference:
            found.append(f"{' '.join(words)}: {difference}")
    return found


@pytest.mark.slow
def test_exports_equal_their_recomputation(
    sample: Warehouse, facts: oracle.Facts, tmp_path: Path
) -> None:
    print(f"seed {SEED}")
    exports = list(drawn_exports(facts, SEED))
    assert export_differences(sample, facts, exports, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [21])
def test_random_input_gives_the_same_exports(tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    as_of = random_landing.AS_OF
    warehouse = Warehouse.below(tmp_path, tmp_path / "landing")
    random_landing.deliver(random_landing.random_deliveries(seed), warehouse.landing)
    answer = warehouse.night(as_of=as_of.astimezone(UTC).isoformat())
    assert answer.code in (0, 3), answer.error
    facts = oracle.load_facts(warehouse.landing, oracle.micros(as_of))
    clock = reports.Clock(as_of, ZoneInfo("UTC"), "monday")
    exports = [
        asked
        for asked in drawn_exports(facts, seed)
        if asked.interval is None or asked.interval[1] <= as_of
    ]
    assert export_differences(warehouse, facts, exports, tmp_path, clock) == []
