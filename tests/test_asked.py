"""Reports as somebody asks for them: windows, filters, grants, formats, and sets by organisation."""

import csv
import io
import json
import stat
from collections import Counter
from decimal import Decimal
from pathlib import Path

import dagster as dg
import openpyxl
import pyarrow.parquet as pq
import pytest

from orchestration.definitions import defs
from orchestration.filters import FILTERS, filters_of
from orchestration.reports import folder_name
from tests.conftest import Answer, Warehouse, call

Cells = list[dict[str, str]]


def export(sample: Warehouse, *arguments: str) -> Answer:
    return call("export", *arguments, "--home", str(sample.home))


def rows_of(sample: Warehouse, folder: Path, *arguments: str) -> Cells:
    """The rows of an export to a CSV file."""
    file = folder / "asked.csv"
    answer = export(sample, *arguments, "--output", str(file))
    assert answer.code == 0, answer.error
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


# Windows


@pytest.mark.parametrize(
    ("report", "timeframe"),
    [
        ("usage_by_agent", "last_month"),
        ("usage_by_user", "last_12_months"),
        ("session_metrics", "last_30_days"),
        ("billing_conversation_lines", "last_72_hours"),
    ],
)
def test_a_timeframe_of_the_page_gives_the_bytes_of_the_night(
    sample: Warehouse, tmp_path: Path, report: str, timeframe: str
) -> None:
    file = tmp_path / "asked.csv"
    answer = export(sample, report, "--timeframe", timeframe, "--output", str(file))
    assert answer.code == 0, answer.error
    assert file.read_bytes() == sample.csv_bytes()[f"{report}/{timeframe}.csv"]
    rows = len(list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"), newline=""))))
    assert answer.error.startswith(f"Wrote {rows} rows of {report}, ")


def test_two_halves_of_a_window_add_up_to_it(sample: Warehouse, tmp_path: Path) -> None:
    def credits(*window: str) -> Decimal:
        rows = rows_of(sample, tmp_path, "usage_by_agent", *window)
        return sum((Decimal(row["credits_consumed"]) for row in rows), Decimal(0))

    whole = credits("--from", "2026-01-01", "--to", "2026-03-15")
    first = credits("--from", "2026-01-01", "--to", "2026-02-17T11:30:00+01:00")
    second = credits("--from", "2026-02-17T10:30:00Z", "--to", "2026-03-15")
    assert whole == first + second
    assert min(first, second) > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Ask for a --timeframe, or for --from and --to."),
        (("--timeframe", "last_30_days", "--from", "2026-01-01"), "and not for both"),
        (("--timeframe", "last_31_days"), "there are last_1_hour, last_24_hours"),
        (("--from", "2026-03-02", "--to", "2026-03-01"), "exchange the two"),
        (("--from", "yesterday", "--to", "2026-03-01"), "neither an instant"),
        (("--from", "2026-03-01", "--to", "2026-03-16"), "run a later night"),
    ],
)
def test_a_window_that_cannot_be_asked_is_refused_in_a_sentence(
    sample: Warehouse, arguments: tuple[str, ...], sentence: str
) -> None:
    answer = export(sample, "usage_by_agent", *arguments)
    assert answer.code == 2
    assert sentence in answer.error


# Filters


def test_every_filter_of_a_report_is_one_that_there_is(sample: Warehouse) -> None:
    listed = json.loads(call("reports", "--json", "--home", str(sample.home)).output)
    assert listed
    for each in listed:
        assert each["filters"] == sorted({one.flag for one in filters_of(each["report"])})
    used = {flag for each in listed for flag in each["filters"]}
    assert used == {each.flag for each in FILTERS.values()}


def test_an_unknown_value_says_which_there_are(sample: Warehouse) -> None:
    answer = export(
        sample, "usage_by_agent", "--timeframe", "last_month", "--agent-type", "cat"
    )  # fmt: skip
    assert answer.code == 2
    assert answer.error == (
        "warehouse: No agent type is 'cat': there are chat, single_task, workflow.\n"
    )


def test_an_unknown_report_or_filter_says_what_there_is(sample: Warehouse) -> None:
    answer = export(sample, "usage_by_agents", "--timeframe", "last_month")
    assert (answer.code, "did you mean usage_by_agent?" in answer.error) == (2, True)
    answer = export(sample, "usage_by_user", "--timeframe", "last_month", "--category", "LLM")
    assert answer.code == 2
    assert "has no filter category: it has --organisation" in answer.error


@pytest.mark.parametrize(
    "value", ["' or true --", "x'); drop table asked.model; --", "%", '"', "a\0b", "gpt-5\n"]
)
def test_a_value_never_becomes_sql(sample: Warehouse, value: str) -> None:
    answer = export(sample, "usage_by_agent", "--timeframe", "last_12_months", "--model", value)
    assert answer.code == 2
    assert answer.error.startswith("warehouse: No model is ")


def test_ids_names_and_emails_find_the_same(sample: Warehouse, tmp_path: Path) -> None:
    def asked(*value: str) -> Cells:
        return rows_of(
            sample, tmp_path, "session_metrics", "--timeframe", "last_90_days", *value
        )  # fmt: skip

    by_id = asked("--user", "user_ana")
    assert by_id
    assert asked("--user", "ANA@acme.test") == by_id


def test_values_of_one_filter_are_alternatives(sample: Warehouse, tmp_path: Path) -> None:
    def output_tokens(*users: str) -> int:
        asked = [word for user in users for word in ("--user", user)]
        rows = rows_of(
            sample, tmp_path, "session_metrics", "--timeframe", "last_90_days", *asked
        )  # fmt: skip
        return sum(int(row["output_tokens"]) for row in rows)

    ana, ben = output_tokens("user_ana"), output_tokens("user_ben")
    assert min(ana, ben) > 0
    assert output_tokens("user_ben", "user_ana") == ana + ben


# Formats


def test_every_format_holds_the_same_figures(sample: Warehouse, tmp_path: Path) -> None:
    window = ("usage_by_agent", "--timeframe", "last_12_months")
    expected = rows_of(sample, tmp_path, *window)
    files = {form: tmp_path / f"asked.{form}" for form in ("json", "parquet", "xlsx")}
    for form, file in files.items():
        answer = export(sample, *window, "--format", form, "--output", str(file))
        assert answer.code == 0, answer.error
    shown = json.loads(files["json"].read_text(encoding="utf-8"))
    table = pq.read_table(files["parquet"]).to_pylist()
    sheet = list(openpyxl.load_workbook(files["xlsx"]).active.values)
    assert list(sheet[0]) == list(expected[0]) == list(table[0])
    for index, row in enumerate(expected):
        assert shown[index]["credits_consumed"] == row["credits_consumed"]
        assert str(shown[index]["total_runs"]) == row["total_runs"]
        assert table[index]["credits_consumed"] == Decimal(row["credits_consumed"])
        assert table[index]["p95_latency_ms"] == (Decimal(row["p95_latency_ms"] or 0) or None)
        cells = dict(zip(sheet[0], sheet[index + 1], strict=True))
        assert Decimal(str(cells["credits_consumed"])) == Decimal(row["credits_consumed"])
        # A cell that a spreadsheet would run is text there, too.
        assert cells["agent_name"] == (row["agent_name"] or None)


def test_a_file_that_cannot_be_written_leaves_nothing(sample: Warehouse, tmp_path: Path) -> None:
    file = tmp_path / "missing" / "asked.csv"
    answer = export(
        sample, "usage_by_agent", "--timeframe", "last_month", "--output", str(file)
    )  # fmt: skip
    assert answer.code == 1
    assert "name another file" in answer.error
    assert list(tmp_path.iterdir()) == []


# Grants and organisations


def test_a_person_sees_the_organisations_that_they_hold_the_role_in(
    sample: Warehouse, tmp_path: Path
) -> None:
    window = ("billing_conversation_lines", "--timeframe", "last_12_months")
    # user_ana is a contributor of org_acme_emea, and user_gita holds billing alone.
    mine = rows_of(sample, tmp_path, *window, "--as", "ana@acme.test")
    theirs = rows_of(sample, tmp_path, *window, "--organisation", "org_acme_emea")
    assert mine
    assert mine == theirs
    answer = export(sample, *window, "--as", "user_gita")
    assert answer.code == 2
    assert "owner or contributor" in answer.error
    foreign = rows_of(
        sample, tmp_path, *window, "--as", "user_ana", "--organisation", "org_globex"
    )  # fmt: skip
    assert foreign == []


def test_a_grant_that_was_taken_back_is_none(sample: Warehouse) -> None:
    answer = export(
        sample, "billing_conversations", "--timeframe", "last_30_days", "--as", "user_eva"
    )  # fmt: skip
    assert answer.code == 2


def test_the_sets_of_the_organisations_make_up_the_whole(sample: Warehouse) -> None:
    files = sample.csv_bytes()

    def lines(path: str) -> Counter[tuple[str, ...]]:
        rows = csv.DictReader(io.StringIO(files[path].decode("utf-8"), newline=""))
        return Counter((row["line_id"], row["occurred_at"], row["credits"]) for row in rows)

    report = "billing_conversation_lines"
    for timeframe in ("last_24_hours", "last_30_days", "last_12_months"):
        parts = [
            path
            for path in files
            if path.startswith("organisations/") and path.endswith(f"{report}/{timeframe}.csv")
        ]
        assert len(parts) > 3
        union = sum((lines(path) for path in parts), Counter())
        assert union == lines(f"{report}/{timeframe}.csv")
    owners = dict(
        sample.query(
            "select line_id, organisation_id from intermediate.int_credit_lines_attributed"
        )
    )
    for path in files:
        if path.startswith("organisations/") and report in path:
            assert {folder_name(owners[line[0]]) for line in lines(path)} <= {path.split("/")[1]}


def test_only_their_group_reads_the_sets_of_the_organisations(sample: Warehouse) -> None:
    root = (sample.exports / "latest").resolve() / "organisations"
    for path in (root, *root.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o750 if path.is_dir() else 0o640), path


@pytest.mark.parametrize(
    ("identity", "folder"),
    [
        ("org_Acme-1", "org_Acme-1"),
        ("../../etc", "%2E%2E%2F%2E%2E%2Fetc"),
        ("Zürich & Co", "Z%C3%BCrich%20%26%20Co"),
    ],
)
def test_an_id_is_no_path(identity: str, folder: str) -> None:
    assert folder_name(identity) == folder


def test_a_long_id_is_a_folder_of_its_own() -> None:
    assert len(folder_name("o" * 5000)) == 200
    assert folder_name("o" * 5000) != folder_name("o" * 5001)


# Dagster


def test_the_job_writes_what_the_command_writes(sample: Warehouse, tmp_path: Path) -> None:
    file = tmp_path / "asked.csv"
    config = {
        "report": "usage_by_agent",
        "timeframe": "last_30_days",
        "filters": {"agent_type": ["chat"]},
        "output": str(file),
        "home": str(sample.home),
    }
    result = defs.resolve_job_def("export").execute_in_process(
        run_config=dg.RunConfig(ops={"asked__report": {"config": config}})
    )
    assert result.success
    written = file.read_bytes()
    rows_of(
        sample, tmp_path, "usage_by_agent", "--timeframe", "last_30_days", "--agent-type", "chat"
    )  # fmt: skip
    assert file.read_bytes() == written
