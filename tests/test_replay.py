"""Rejected rows after a fix: what passes now is loaded once, and the books balance all the same."""

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from orchestration.landing import replay as replaying
from orchestration.landing import rules
from orchestration.landing.contract import ARROW_TYPES, Source
from orchestration.landing.load import land
from orchestration.landing.replay import ReplayReport, replay, standing_rejections
from orchestration.lock import held
from tests.conftest import SAMPLE_LANDING, Warehouse, call
from tests.test_landing import TABLES, Zone, empty_raw, line, lines, table_of, zone
from tests.test_otlp import log, logs

__all__ = ["empty_raw", "zone"]


def mended(source: str, name: str, kind: str | None = None, allow: str | None = None) -> dict:
    """The contract with one field of another kind, or with one more value of an enumeration."""
    table = TABLES[source]
    fields = tuple(
        replace(
            field,
            kind=kind or field.kind,
            allowed=() if kind else (*field.allowed, *([allow] if allow else [])),
        )
        if field.name == name
        else field
        for field in table.fields
    )
    schema = table.schema
    if kind:
        schema = schema.set(schema.get_field_index(name), pa.field(name, ARROW_TYPES["string"]))
    return {**TABLES, source: Source(table.name, table.role, table.key, fields, schema)}


TIMEOUT = mended("llm_requests", "status", allow="timeout")
WITHOUT_MODEL = {
    **TABLES,
    "llm_requests": replace(
        TABLES["llm_requests"],
        fields=tuple(
            replace(field, is_required=field.is_required and field.name != "model")
            for field in TABLES["llm_requests"].fields
        ),
    ),
}
LATE = line("late", status="timeout")


def again(zone: Zone, contract: dict[str, Source] = TIMEOUT, **options: Any) -> ReplayReport:
    return replay(zone.landing, zone.raw, contract, False, "1GB", **options)


def check_books(zone: Zone) -> None:
    """Lines = loaded + rejected + blank over all loads; nothing is both, and nothing is twice."""
    files = zone.rows("landed_files")
    first = {file["file_id"]: file["first_file_id"] for file in files}
    lines_of = dict.fromkeys(first.values(), 0)
    for file in files:
        lines_of[file["first_file_id"]] += file["lines"] - file["blank"]
    for name in ("llm_requests", "tool_calls", "credit_lines"):
        for row in zone.rows(name):
            lines_of[first[row["file_id"]]] -= 1
    for file_id, _, _ in standing_rejections(zone.raw):
        lines_of[first[file_id]] -= 1
    assert set(lines_of.values()) <= {0}


def test_rows_that_pass_now_are_loaded_once_and_the_others_stay(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", lines("1"), LATE, b"\n", "oops\n", line("x", attempt=-1))
    zone.land()
    report = again(zone)
    assert (report.load_id, dict(report.loaded)) == (2, {"not_allowed_value": 1})
    assert dict(report.kept) == {"not_json": 1, "negative": 1}
    assert zone.ids() == ["1", "late"]
    [loaded] = [row for row in zone.rows("llm_requests") if row["request_id"] == "late"]
    part = zone.rows("landed_files")[-1]
    assert (loaded["load_id"], loaded["file_id"], loaded["status"]) == (
        2, part["file_id"], "timeout",
    )  # fmt: skip
    assert (part["status"], part["lines"], part["first_file_id"]) == ("replayed", 0, 10_000_001)
    marks = {row["line"]: row for row in zone.rows("replayed_rows")}
    assert {number: row["outcome"] for number, row in marks.items()} == {
        2: "loaded", 4: "rejected", 5: "rejected",
    }  # fmt: skip
    assert marks[2]["replayed_file_id"] == part["file_id"]
    check_books(zone)


def test_a_second_replay_and_a_second_night_load_nothing(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", LATE, "oops\n")
    zone.land()
    again(zone)
    report = again(zone)
    assert (report.load_id, report.loaded.total(), report.kept.total()) == (None, 0, 1)
    assert land(zone.landing, zone.raw, TIMEOUT, False, "1GB").load_id is None
    assert zone.ids() == ["late"]
    check_books(zone)


def test_without_a_fix_nothing_is_written(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", LATE, "oops\n")
    zone.land()
    report = again(zone, TABLES)
    assert (report.load_id, report.loaded.total(), report.kept.total()) == (None, 0, 2)
    assert [path.name for path in sorted(zone.raw.iterdir())] == ["000000000", "000000001"]


def test_a_dry_run_says_the_same_and_writes_nothing(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", LATE, "oops\n")
    zone.land()
    before = sorted(zone.raw.rglob("*"))
    dry = again(zone, is_dry=True)
    assert sorted(zone.raw.rglob("*")) == before
    assert dry.load_id is None
    real = again(zone)
    assert (dry.loaded, dry.kept) == (real.loaded, real.kept)


def test_only_the_reason_that_is_asked_for_is_tried(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", LATE, line("x", attempt=-1), "oops\n")
    zone.land()
    assert again(zone, reason="negative").load_id is None
    report = again(zone, reason="not_allowed_value")
    assert (report.loaded.total(), report.kept.total()) == (1, 0)
    assert again(zone, reason="no_such_reason") == ReplayReport()


def test_a_field_made_text_takes_what_was_no_number(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", line("1", attempt=1), line("2", attempt="second"))
    zone.land()
    again(zone, mended("llm_requests", "attempt", kind="text"))
    assert {row["request_id"]: row["attempt"] for row in zone.rows("llm_requests")} == {
        "1": 1, "2": "second",
    }  # fmt: skip


def test_a_bound_that_was_widened_takes_what_lay_beyond(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone.put("llm_requests/a.ndjson", line("1", input_tokens=10**13 + 1))
    zone.land()
    monkeypatch.setattr(rules, "WHOLE_LIMIT", 10**14)
    assert again(zone, TABLES).loaded.total() == 1
    assert [row["input_tokens"] for row in zone.rows("llm_requests")] == [10**13 + 1]


def test_a_row_that_is_refused_for_another_reason_says_that_one(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", line("1", status="timeout", attempt=2.5))
    zone.land()
    # Judged by its type first, and then by what it means.
    assert zone.rejections() == [("llm_requests/a.ndjson", 1, "not_whole_number")]
    contract = mended("llm_requests", "attempt", kind="text")
    report = again(zone, contract)
    assert (report.load_id, dict(report.kept)) == (2, {"not_allowed_value": 1})
    assert [why for why, _ in standing_rejections(zone.raw).values()] == ["not_allowed_value"]
    assert again(zone, contract).load_id is None
    assert zone.statuses() == [("llm_requests/a.ndjson", "loaded")]


@pytest.mark.parametrize("packing", ["plain", "gzip", "BOM", "no last newline"])
def test_rows_are_read_again_from_files_of_every_packing(zone: Zone, packing: str) -> None:
    content = lines("1") + line("late", status="timeout", description="kept, though dropped", b=1.5)
    zone.put(
        "llm_requests/a.ndjson",
        {
            "gzip": gzip.compress(content),
            "BOM": b"\xef\xbb\xbf" + LATE + content,
            "no last newline": content[:-1],
        }.get(packing, content),
    )
    zone.land()
    again(zone)
    assert set(zone.ids()) == {"1", "late"}
    assert zone.rows("llm_requests")[-1]["extra"] == '{"b":"1.5"}'
    check_books(zone)


def test_parquet_rows_are_read_again_with_their_types(zone: Zone) -> None:
    status = pa.array(["succeeded", "timeout", "lost", "timeout"])
    zone.put_table("llm_requests/a.parquet", table_of(4, status=status), row_group_size=2)
    zone.land()
    assert again(zone).loaded.total() == 2
    assert zone.ids() == ["0", "1", "3"]
    assert len({row["requested_at"] for row in zone.rows("llm_requests")}) == 1
    check_books(zone)


def test_a_file_that_was_renamed_or_has_grown_is_found(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", LATE)
    zone.put("llm_requests/b.ndjson", line("also late", status="timeout"))
    zone.land()
    (zone.landing / "llm_requests/a.ndjson").rename(zone.landing / "llm_requests/c.ndjson")
    zone.grow("llm_requests/b.ndjson", lines("new"))
    zone.land()
    report = again(zone)
    assert (report.loaded.total(), report.gone.total()) == (2, 0)
    assert zone.ids() == ["also late", "late", "new"]
    check_books(zone)


def test_a_part_that_followed_a_cut_line_is_read_as_it_was(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", LATE, LATE[:20])
    zone.land()
    zone.land()
    zone.grow("llm_requests/a.ndjson", LATE[20:], line("later", status="timeout"))
    zone.land()
    assert len(zone.rejections()) == 4
    report = again(zone)
    assert (report.loaded.total(), report.kept.total()) == (2, 2)
    assert zone.ids() == ["late", "later"]
    check_books(zone)


@pytest.mark.parametrize("change", ["gone", "changed", "a link"])
def test_of_a_file_that_is_gone_only_text_that_was_kept_whole_is_loaded(
    zone: Zone, change: str
) -> None:
    file = zone.put(
        "llm_requests/a.ndjson",
        LATE,
        line("cut", status="timeout", note="x" * 70_000),
        line("dropped", status="timeout", prompt="secret"),
        b'{"request_id": "twice", "prompt": "secret", "status": "timeout", "model": "m", '
        b'"requested_at": "2026-03-01T10:00:00Z", "model": "m"}\n',
    )
    zone.land()
    if change == "changed":
        file.write_bytes(file.read_bytes().replace(b"timeout", b"TIMEOUT"))
    else:
        moved = file.rename(zone.landing.parent / "elsewhere")
        if change == "a link":
            file.symlink_to(moved)
    report = again(zone)
    assert (report.loaded.total(), report.kept.total()) == (1, 3)
    assert report.gone == {"llm_requests/a.ndjson": 3}
    assert zone.ids() == ["late"]
    check_books(zone)
    assert again(zone).load_id is None
    # They load when the file is there again.
    if change == "gone":
        moved.rename(file)
        assert again(zone).loaded.total() == 2
        assert zone.ids() == ["cut", "dropped", "late"]
        check_books(zone)


def test_a_crash_leaves_a_whole_load_or_none(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    zone.put("llm_requests/a.ndjson", LATE)
    zone.land()

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(replaying, "commit", crash)
        with pytest.raises(KeyboardInterrupt):
            again(zone)
    assert zone.ids() == []
    assert again(zone).load_id == 2
    assert zone.ids() == ["late"]
    assert list(zone.raw.glob(".load-*")) == []


def test_records_of_telemetry_are_loaded_without_their_neighbours(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [
        logs(log({"n": 1}), log({"input_tokens": 10**13 + 1}), log({"output_tokens": -1})),
        logs(log({"input_tokens": 10**13 + 2})),
    ]
    zone.put("otlp/a.jsonl", *(json.dumps(request) + "\n" for request in requests), "oops\n")
    zone.land()
    assert len(zone.rows("otlp")) == 1
    monkeypatch.setattr("orchestration.landing.otlp.WHOLE_LIMIT", 10**14)
    report = again(zone, TABLES)
    assert (dict(report.loaded), dict(report.kept)) == (
        {"out_of_range": 2}, {"negative": 1, "not_json": 1},
    )  # fmt: skip
    assert [row["line"] for row in zone.rows("otlp")] == [1, 1, 2]
    assert len({row["record_id"] for row in zone.rows("otlp")}) == 3
    assert sorted(standing_rejections(zone.raw)) == [
        (10_000_001, 1, 3), (10_000_001, 3, None),
    ]  # fmt: skip
    assert again(zone, TABLES).load_id is None


def test_a_line_of_telemetry_that_is_read_now_may_hold_rejected_records(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = logs(log({"n": 1}), log({"output_tokens": -1}), log({"n": 2}))
    request["resourceNews"] = request.pop("resourceLogs")
    zone.put("otlp/a.jsonl", json.dumps(request), "\n", '{"resourceNews": []}\n')
    zone.land()
    assert len(zone.rejections()) == 2
    walk = replaying.otlp.records

    def renamed(request: dict[str, Any], keeps_content: bool) -> Any:
        return walk({"resourceLogs": request["resourceNews"]}, keeps_content)

    monkeypatch.setattr(replaying.otlp, "records", renamed)
    report = again(zone, TABLES)
    assert (report.loaded.total(), dict(report.kept)) == (2, {"negative": 1})
    part = zone.rows("landed_files")[-1]
    assert (part["status"], part["blank"], len(zone.rows("otlp"))) == ("replayed", 1, 2)
    assert list(standing_rejections(zone.raw)) == [(part["file_id"], 1, 2)]
    assert again(zone, TABLES).load_id is None


def test_the_command_says_what_was_loaded_and_what_stays(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone.put("llm_requests/a.ndjson", LATE, "oops\n")
    zone.put("llm_requests/b.ndjson", line("b", status="timeout", prompt="dropped"))
    zone.land()
    (zone.landing / "llm_requests/b.ndjson").unlink()
    folders = "--home", str(zone.raw.parent), "--landing", str(zone.landing)
    monkeypatch.setattr("orchestration.cli.read_contract", lambda _: TIMEOUT)
    dry = call("replay", *folders, "--dry-run")
    assert (dry.code, dry.output.splitlines()) == (0, [
        "not_allowed_value: 1 pass now",
        "not_allowed_value: 1 stay rejected",
        "not_json: 1 stay rejected",
        "llm_requests/b.ndjson: 1 could not be read again, for it is gone or has changed",
        "1 rejected rows would be loaded, 2 would stay rejected.",
    ])  # fmt: skip
    only = json.loads(call("replay", *folders, "--reason", "not_json", "--json").output)
    assert (only["load_id"], only["loaded"], only["kept"]) == (None, {}, {"not_json": 1})
    last = call("replay", *folders).output.splitlines()[-1]
    assert last == "1 rejected rows loaded, 2 stay rejected; `warehouse night` applies them."
    last = call("replay", *folders).output.splitlines()[-1]
    assert last == "0 rejected rows loaded, 2 stay rejected."
    with held(zone.raw.parent):
        assert call("replay", *folders).code == 75
    answer = call("replay", *folders[:2], "--landing", str(zone.raw / "nowhere"))
    assert (answer.code, "--landing" in answer.error) == (1, True)


def test_the_night_after_a_replay_applies_it_and_the_ledger_balances(
    sample: Warehouse, tmp_path: Path
) -> None:
    warehouse = Warehouse.below(tmp_path, SAMPLE_LANDING)
    shutil.copytree(sample.home, warehouse.home)
    rejected = dict(
        warehouse.query("select reason, count(*) from quality.rejected_rows group by all")
    )
    loads = json.loads(call("status", "--home", str(warehouse.home), "--json").output)
    assert loads["loads_not_applied"] == []

    answer = call("replay", "--home", str(warehouse.home), "--landing", str(SAMPLE_LANDING))
    assert answer.code == 0, answer.error
    count = sum(rejected.values())
    assert answer.output.splitlines()[-1] == f"0 rejected rows loaded, {count} stay rejected."

    report = replay(SAMPLE_LANDING, warehouse.home / "raw", WITHOUT_MODEL, False, "1GB")
    assert dict(report.loaded) == {"missing_required": 1}
    answer = warehouse.night("--json")
    assert answer.code == 0, answer.error
    [(stays,)] = warehouse.query("select count(*) from quality.rejected_rows")
    assert stays == count - 1
    assert warehouse.query(
        "select count(*) from quality.landed_files where status = 'replayed'"
    ) == [(1,)]
    assert warehouse.query(
        "select count(*) filter (where not is_balanced), "
        "count(*) filter (where status = 'replayed') from quality.row_ledger"
    ) == [(0, 0)]
    incremental = warehouse.csv_bytes()
    ledger = warehouse.query("select * from quality.row_ledger order by all")

    assert warehouse.night("--full-refresh").code == 0
    assert warehouse.csv_bytes() == incremental
    assert warehouse.query("select * from quality.row_ledger order by all") == ledger
