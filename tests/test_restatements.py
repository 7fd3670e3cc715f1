"""What late and corrected events change in months that were already shown whole."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orchestration import publish, restatements
from orchestration.night import has_news
from orchestration.project import Settings
from orchestration.restatements import Restated, month_days, read_closed_months, whole_months
from tests.conftest import Answer, Warehouse, call

AS_OF = "2026-03-03"
LISTED = (
    "select night_id, month, cut, figure, coalesce(organisation_id, ''), coalesce(category, ''), "
    "coalesce(agent_id, ''), coalesce(user_id, ''), coalesce(client, ''), coalesce(provider, ''), "
    "coalesce(model, ''), old_value, new_value, difference, old_name, new_name, cause, files, "
    "is_closed from quality.restatements order by all"
)


def land(warehouse: Warehouse, path: str, *rows: dict[str, Any]) -> None:
    file = warehouse.landing / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def line(line_id: str, day: str, credits: str, **fields: Any) -> dict[str, Any]:
    return {
        "line_id": line_id, "occurred_at": f"{day}T10:00:00Z", "organisation_id": "org",
        "category": "LLM", "agent_id": "agent", "user_id": "user", "credits": credits, **fields,
    }  # fmt: skip


def request(request_id: str, day: str, tokens: int) -> dict[str, Any]:
    return {
        "request_id": request_id, "requested_at": f"{day}T10:00:00Z", "run_id": "run",
        "provider": "anthropic", "model": "claude-sonnet-4-5", "input_tokens": tokens,
        "output_tokens": 10, "status": "succeeded",
    }  # fmt: skip


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Four nights in one home: whole, dead before publishing, dead while keeping, made good."""
    folder = tmp_path_factory.mktemp("restated")
    warehouse = Warehouse.below(folder, folder / "landing")
    settings = Settings.read(warehouse.landing, warehouse.home, warehouse.exports)
    (folder / "seeds").mkdir()
    (folder / "seeds" / "closed_months.csv").write_text(
        "month,closed_on,closed_by\n2026-01,2026-02-05,finance\n", encoding="utf-8"
    )
    land(
        warehouse, "credit_lines/first.ndjson",
        line("january", "2026-01-20", "1"), line("right", "2026-02-01", "10"),
        line("wrong", "2026-02-02", "5"), line("moved", "2026-02-28", "2.5"),
        line("recent", "2026-03-02", "4"),
    )  # fmt: skip
    land(
        warehouse, "agent_runs/first.ndjson",
        {"run_id": "run", "started_at": "2026-02-10T10:00:00Z", "agent_id": "agent",
         "user_id": "user", "status": "succeeded"},
    )  # fmt: skip
    land(warehouse, "llm_requests/first.ndjson", request("request-1", "2026-02-10", 100))
    land(
        warehouse, "agents/first.ndjson",
        {"agent_id": "agent", "name": "Poet", "updated_at": "2026-01-01T00:00:00Z"},
    )  # fmt: skip
    land(
        warehouse, "users/first.ndjson",
        {"user_id": "user", "email": "u@example.org", "team_id": "team-1",
         "updated_at": "2026-01-01T00:00:00Z"},
    )  # fmt: skip
    seen: dict[str, Any] = {"warehouse": warehouse, "settings": settings}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restatements, "SEEDS", folder / "seeds")
        seen["first"] = warehouse.night(as_of=AS_OF)
        seen["listed by the first"] = warehouse.query(LISTED)
        seen["kept by the first"] = restatements.kept_nights(settings)

        land(
            warehouse, "credit_lines/second.ndjson",
            line("wrong", "2026-02-02", "6.5", revision=1),
            line("moved", "2026-03-01", "2.5", revision=1),
            line("late", "2026-02-14", "3", category="WebSearch"),
            line("recent-2", "2026-03-02", "4"),
        )  # fmt: skip
        land(
            warehouse, "credit_lines/third.ndjson",
            line("reversal", "2026-02-01", "-10", kind="refund"),
            line("late-january", "2026-01-21", "1"),
        )  # fmt: skip
        land(warehouse, "llm_requests/second.ndjson", request("request-2", "2026-02-11", 1000))
        land(
            warehouse, "agents/second.ndjson",
            {"agent_id": "agent", "name": "Bard", "updated_at": "2026-03-01T00:00:00Z"},
        )  # fmt: skip
        land(
            warehouse, "users/second.ndjson",
            {"user_id": "user", "email": "u@example.org", "team_id": "team-2",
             "updated_at": "2026-03-01T00:00:00Z"},
        )  # fmt: skip
        with patch.context() as dying:
            dying.setattr(publish, "publish_candidate", _dies)
            seen["dead before publishing"] = warehouse.night(as_of=AS_OF)
        seen["listed after a death"] = warehouse.query(LISTED)
        seen["kept after a death"] = restatements.kept_nights(settings)
        with patch.context() as dying:
            dying.setattr(restatements, "sync", _dies)
            seen["dead while keeping"] = warehouse.night(as_of=AS_OF)
        seen["listed"] = warehouse.query(LISTED)
        seen["kept half"] = restatements.kept_nights(settings)
        seen["is behind"] = restatements.is_behind(settings)
        seen["has news"] = has_news(settings, datetime(2026, 3, 3, tzinfo=UTC))
        seen["made good"] = warehouse.night("--full-refresh", as_of=AS_OF)
        yield seen


def _dies(*_: Any) -> None:
    raise OSError("the power is gone")


def figures(rows: list[tuple], cut: str, figure: str) -> dict[tuple, tuple]:
    """Old and new value by month and the keys that the cut has."""
    return {
        (row[1], *(key for key in row[4:11] if key)): (row[11], row[12])
        for row in rows
        if row[2:4] == (cut, figure)
    }


def test_the_first_night_keeps_whole_months_and_restates_nothing(nights: dict[str, Any]) -> None:
    assert nights["first"].code == 0, nights["first"].error
    assert nights["listed by the first"] == []
    (kept,) = nights["kept by the first"]
    assert (kept.months, kept.loads) == (["2026-01", "2026-02"], [1])


def test_a_night_that_dies_before_publishing_keeps_nothing(nights: dict[str, Any]) -> None:
    assert nights["dead before publishing"].code == 1
    assert nights["listed after a death"] == []
    assert nights["kept after a death"] == nights["kept by the first"]


def test_the_next_night_restates_what_the_dead_one_would_have(nights: dict[str, Any]) -> None:
    rows = nights["listed"]
    assert {row[0] for row in rows} == {"000003"}
    assert figures(rows, "billing", "credits_consumed") == {
        ("2026-01", "org", "LLM", "agent"): (Decimal(1), Decimal(2)),
        # 10 + 5 + 2.5 before; 10 + 6.5 - 10 since.
        ("2026-02", "org", "LLM", "agent"): (Decimal("17.5"), Decimal("6.5")),
        ("2026-02", "org", "WebSearch", "agent"): (Decimal(0), Decimal(3)),
    }
    assert figures(rows, "user", "credits_consumed") == {
        ("2026-01", "user"): (Decimal(1), Decimal(2)),
        ("2026-02", "user"): (Decimal("17.5"), Decimal("9.5")),
    }
    assert figures(rows, "agent", "input_tokens_total") == {
        ("2026-02", "agent"): (Decimal(100), Decimal(1100))
    }
    assert figures(rows, "agent", "total_runs") == {}
    model = ("2026-02", "platform", "anthropic", "claude-sonnet-4-5")
    assert figures(rows, "model", "request_count") == {model: (Decimal(1), Decimal(2))}
    assert figures(rows, "model", "estimated_cost_usd") == {
        model: (Decimal("0.00045"), Decimal("0.0036"))
    }


def test_a_restatement_names_its_cause_and_the_files_that_brought_it(
    nights: dict[str, Any],
) -> None:
    told = {
        (row[1], row[2], row[3], row[5]): (row[16], row[17])
        for row in nights["listed"]
        if row[2] in ("billing", "agent")
    }
    late = "late_or_corrected"
    second, third = "credit_lines/second.ndjson", "credit_lines/third.ndjson"
    assert told == {
        ("2026-01", "billing", "credits_consumed", "LLM"): (late, third),
        ("2026-02", "billing", "credits_consumed", "LLM"): (late, f"{second}, {third}"),
        ("2026-02", "billing", "credits_consumed", "WebSearch"): (late, second),
        ("2026-02", "agent", "input_tokens_total", ""): (late, "llm_requests/second.ndjson"),
        ("2026-02", "agent", "output_tokens_total", ""): (late, "llm_requests/second.ndjson"),
    }


def test_a_rename_and_a_change_of_team_are_no_corrections(nights: dict[str, Any]) -> None:
    names = {(row[1], row[3], *row[14:18]) for row in nights["listed"] if row[2] == "name"}
    agent = ("agent_name", "Poet", "Bard", "names", "agents/second.ndjson")
    team = ("user_team", "team-1", "team-2", "teams", "users/second.ndjson")
    assert names == {(month, *each) for month in ("2026-01", "2026-02") for each in (agent, team)}


def test_months_that_finance_has_closed_are_marked(nights: dict[str, Any]) -> None:
    assert {(row[1], row[18]) for row in nights["listed"]} == {
        ("2026-01", True), ("2026-02", False),
    }  # fmt: skip


def test_what_was_published_and_not_kept_is_made_good_once(nights: dict[str, Any]) -> None:
    assert nights["dead while keeping"].code == 1
    assert len(nights["kept half"]) == 1
    assert nights["is behind"]
    assert nights["has news"]
    answer: Answer = nights["made good"]
    assert answer.code == 0, answer.error
    assert nights["warehouse"].query(LISTED) == nights["listed"]
    assert [(night.night_id, night.loads) for night in restatements.kept_nights(nights["settings"])] == [
        ("000001", [1]), ("000003", [2]), ("000004", []),
    ]  # fmt: skip
    assert not list(nights["settings"].closed_months.glob(".*"))
    assert "restated:" not in answer.output


def test_kept_figures_are_those_of_the_facts(nights: dict[str, Any]) -> None:
    kept = restatements.kept_figures(nights["settings"]).to_pylist()
    names = ", ".join(restatements.FIGURES.names)
    now = nights["warehouse"].query(
        f"select {names} from intermediate.int_month_figures "
        "where cut <> 'month' and month < '2026-03'"
    )
    assert {tuple(row.values()) for row in kept} == set(now)


def test_status_counts_what_was_restated(nights: dict[str, Any]) -> None:
    listed = nights["listed"]
    answer = call("status", "--json", "--home", str(nights["warehouse"].home))
    assert json.loads(answer.output)["restated"] == {
        "figures": sum(row[2] != "name" for row in listed),
        "names": 4,
        "in_closed_months": sum(row[18] for row in listed),
    }


@pytest.mark.parametrize(
    ("restated", "sentence"),
    [
        (Restated(0, 0, 0, ()), ""),
        (Restated(3, 0, 1, ("2026-02",)), "3 figures of 2026-02 restated: see quality.restatements; 1 in a month closed by finance."),
        (Restated(1, 2, 0, ("2026-01", "2026-02")), "1 figure and 2 names of 2 months restated: see quality.restatements."),
    ],
)  # fmt: skip
def test_the_end_of_a_night_says_what_was_restated(restated: Restated, sentence: str) -> None:
    assert restated.sentence == sentence


def test_a_month_is_whole_when_its_last_local_day_has_ended() -> None:
    berlin, new_york = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
    instant = datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert whole_months("2026-01", instant, berlin) == ["2026-01", "2026-02"]
    assert whole_months("2026-01", instant, new_york) == ["2026-01"]
    assert whole_months("2026-01", instant - timedelta(seconds=1), berlin) == ["2026-01"]
    assert whole_months(None, instant, berlin) == []
    assert whole_months("2026-03", instant, berlin) == []


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/St_Johns"])
def test_months_follow_each_other_and_hold_every_instant_that_may_land(zone: str) -> None:
    rows = month_days(ZoneInfo(zone)).to_pylist()
    edges = sorted({(row["month_start_at"], row["month_end_at"]) for row in rows})
    assert [end for _, end in edges[:-1]] == [start for start, _ in edges[1:]]
    assert edges[0][0] <= datetime(2000, 1, 1) < datetime(2100, 1, 1) <= edges[-1][1]
    days = {row["utc_date"] for row in rows}
    assert len(days) == (max(days) - min(days)).days + 1


def test_a_seed_that_names_no_month_is_refused_in_a_sentence(tmp_path: Path) -> None:
    seed = tmp_path / "closed_months.csv"
    seed.write_text("month,closed_on,closed_by\nFebruary,2026-03-05,finance\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2: 'February' is no month: write it as 2026-02"):
        read_closed_months(seed)
