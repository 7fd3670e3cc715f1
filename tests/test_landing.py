"""What the landing zone is owed: every good line loads, every other one is found again with reason.

Files are written byte by byte, landed, and read back from raw/ with pyarrow.
"""

import gzip
import io
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from orchestration.landing import files
from orchestration.landing.contract import read_contract
from orchestration.landing.load import LoadReport, land
from orchestration.project import CONTRACT

TABLES = read_contract(CONTRACT)
BOM = b"\xef\xbb\xbf"
MARCH = datetime(2026, 3, 1, 10)
EPOCH = datetime(1970, 1, 1)

# The least that a row of each source needs, without its key.
LEAST = {
    "agent_runs": {"started_at": "2026-03-01T10:00:00Z", "status": "succeeded"},
    "llm_requests": {"model": "m", "requested_at": "2026-03-01T10:00:00Z"},
    "tool_calls": {
        "tool_name": "t", "called_at": "2026-03-01T10:00:00Z", "outcome": "executed",
    },
    "credit_lines": {
        "occurred_at": "2026-03-01T10:00:00Z", "organisation_id": "o", "category": "LLM",
        "credits": "1",
    },
    "group_members": {"user_id": "u", "updated_at": "2026-03-01T10:00:00Z"},
    "role_grants": {
        "organisation_id": "o", "role": "owner", "updated_at": "2026-03-01T10:00:00Z",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Refused:
    """The outcome of a line that was rejected."""

    reason: str


@dataclass(frozen=True)
class Zone:
    """A landing zone and the loads made of it."""

    landing: Path
    raw: Path

    def put(self, path: str, *parts: bytes | str) -> Path:
        """Write a file below the landing zone, in place of what was there."""
        file = self.landing / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"".join(p.encode() if isinstance(p, str) else p for p in parts))
        return file

    def grow(self, path: str, *parts: bytes | str) -> None:
        """Append to a file."""
        self.put(path, (self.landing / path).read_bytes(), *parts)

    def put_table(self, path: str, table: pa.Table, **options: Any) -> Path:
        """Write a Parquet file."""
        file = self.put(path)
        pq.write_table(table, file, **options)
        return file

    def land(self, keeps_content: bool = False) -> LoadReport:
        """One night's loading."""
        return land(self.landing, self.raw, TABLES, keeps_content, "1GB")

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of one table in all committed loads, in the order they were written."""
        parts = sorted(self.raw.glob(f"[0-9]*/{table}/*.parquet"))
        return [row for part in parts for row in pq.read_table(part).to_pylist()]

    def ids(self, source: str = "llm_requests") -> list[str]:
        """The keys of the loaded rows, sorted."""
        return sorted(row[TABLES[source].key[0]] for row in self.rows(source))

    def rejections(self) -> list[tuple[str, int, str]]:
        """Path, line and reason of every rejected line."""
        return [(row["path"], row["line"], row["reason"]) for row in self.rows("rejected_rows")]

    def statuses(self) -> list[tuple[str, str]]:
        """Path and status of every landed file."""
        return [(row["path"], row["status"]) for row in self.rows("landed_files")]

    def bytes_below_raw(self) -> bytes:
        """Whatever has been written, with the pages of Parquet unpacked to text."""
        parts = [path for path in self.raw.rglob("*") if path.is_file()]
        texts = [str(pq.read_table(part).to_pylist()).encode() for part in parts]
        return b"".join([part.read_bytes() for part in parts] + texts)


@pytest.fixture(scope="module")
def empty_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """raw/ after a first night without files, made once for all tests."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "landing").mkdir()
    Zone(folder / "landing", folder / "raw").land()
    return folder / "raw"


@pytest.fixture(params=[0, 10**9], ids=["in-bulk", "one-by-one"])
def zone(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    empty_raw: Path,
) -> Zone:
    """Every rule holds for lines that are read in bulk where they are plain, and one by one."""
    monkeypatch.setattr("orchestration.landing.load.FEWEST_PLAIN_LINES", request.param)
    (tmp_path / "landing").mkdir()
    shutil.copytree(empty_raw, tmp_path / "raw")
    return Zone(tmp_path / "landing", tmp_path / "raw")


def line(key: str = "r", source: str = "llm_requests", **fields: Any) -> bytes:
    """A good line, with more fields."""
    row = {TABLES[source].key[0]: key, **LEAST[source], **fields}
    return json.dumps(row).encode() + b"\n"


def lines(*keys: str) -> bytes:
    """Good lines of these keys."""
    return b"".join(line(key) for key in keys)


def outcomes(
    zone: Zone, field: str, spelled: Iterable[str], source: str = "llm_requests"
) -> dict[str, Any]:
    """What becomes of a field as it is spelled in JSON: the stored value, or Refused."""
    spellings = list(spelled)
    key = TABLES[source].key[0]
    texts = []
    for number, spelling in enumerate(spellings):
        row = {key: str(number), **LEAST[source]}
        row.pop(field, None)
        texts.append(f'{json.dumps(row)[:-1]}, "{field}": {spelling}}}\n')
    zone.put(f"{source}/values.ndjson", *texts)
    zone.land()
    stored = {int(row[key]): row[field] for row in zone.rows(source)}
    refused = {row["line"] - 1: Refused(row["reason"]) for row in zone.rows("rejected_rows")}
    assert len(stored) + len(refused) == len(spellings)
    return {spelling: {**stored, **refused}[n] for n, spelling in enumerate(spellings)}


def column_outcomes(
    zone: Zone, field: str, column: pa.Array, source: str = "llm_requests"
) -> list[Any]:
    """What becomes of the values of a Parquet column: the stored values, or Refused."""
    key = TABLES[source].key[0]
    zone.put_table(f"{source}/values.parquet", table_of(len(column), source, **{field: column}))
    zone.land()
    stored = {int(row[key]): row[field] for row in zone.rows(source)}
    refused = {row["line"] - 1: Refused(row["reason"]) for row in zone.rows("rejected_rows")}
    assert len(stored) + len(refused) == len(column)
    return [{**stored, **refused}[number] for number in range(len(column))]


def table_of(count: int, source: str = "llm_requests", **columns: pa.Array) -> pa.Table:
    """A table of good rows whose keys are 0, 1, 2 ..., with columns added or replaced."""
    least = {name: pa.array([value] * count) for name, value in LEAST[source].items()}
    keys = pa.array([str(number) for number in range(count)])
    return pa.table({TABLES[source].key[0]: keys, **least, **columns})


# -------------------------------------------------------------------------------------------------
# Kinds of fields, as JSON
# -------------------------------------------------------------------------------------------------


def test_text_is_kept_as_it_came(zone: Zone) -> None:
    assert outcomes(
        zone,
        "provider",
        ['"a"', '""', "null", '" padded "', '"Zoë 🦜"', '"\\u0000"', '"a\\nb"', "7", "true", "{}"],
    ) == {
        '"a"': "a", '""': "", "null": None, '" padded "': " padded ", '"Zoë 🦜"': "Zoë 🦜",
        '"\\u0000"': "\0", '"a\\nb"': "a\nb", "7": "7", "true": Refused("wrong_type"),
        "{}": Refused("wrong_type"),
    }  # fmt: skip


def test_an_id_is_text_and_an_empty_one_is_null(zone: Zone) -> None:
    assert outcomes(zone, "run_id", ['"a"', '""', "null", "7", "false", "[]"]) == {
        '"a"': "a", '""': None, "null": None, "7": "7", "false": Refused("wrong_type"),
        "[]": Refused("wrong_type"),
    }  # fmt: skip


def test_an_instant_is_stored_as_utc_to_the_microsecond(zone: Zone) -> None:
    expected = {
        '"2026-03-01T10:00:00Z"': MARCH,
        '"2026-03-01t10:00:00z"': MARCH,
        '"2026-03-01 10:00:00+00:00"': MARCH,
        '"2026-03-01T10:00Z"': MARCH,
        '"2026-03-01T15:30:00+05:30"': MARCH,
        '"2026-03-01T15:30:00+0530"': MARCH,
        '"2026-03-01T02:00:00-08"': MARCH,
        '"2026-02-28T23:00:00.5-11:00"': MARCH.replace(microsecond=500_000),
        '"2026-03-01T10:00:00.123456789Z"': MARCH.replace(microsecond=123_456),
        '"2026-03-01T10:00:00.999999999Z"': MARCH.replace(microsecond=999_999),
        '"2000-01-01T00:00:00Z"': datetime(2000, 1, 1),
        '"2099-12-31T23:59:59.999999Z"': datetime(2099, 12, 31, 23, 59, 59, 999_999),
        "null": None,
    }
    assert outcomes(zone, "ended_at", expected, "agent_runs") == expected


def test_an_instant_that_cannot_be_told_is_rejected_and_not_guessed(zone: Zone) -> None:
    expected = {
        '"2026-03-01T10:00:00"': "instant_without_offset",
        '"2026-03-01 10:00:00.5"': "instant_without_offset",
        '"2026-03-01"': "instant_without_offset",
        '"1999-12-31T23:59:59.999999Z"': "instant_out_of_range",
        '"2000-01-01T00:00:00+01:00"': "instant_out_of_range",
        '"2100-01-01T00:00:00.000001Z"': "instant_out_of_range",
        '"9999-12-31T23:59:59Z"': "instant_out_of_range",
        '"1970-01-01T00:00:00Z"': "instant_out_of_range",
        '"2026-02-30T10:00:00Z"': "not_an_instant",
        '"2026-03-01T10:00:60Z"': "not_an_instant",
        '"2026-03-01T10:00:00+25:30"': "not_an_instant",
        '"2026-03-01T10:00:00-16:00"': "not_an_instant",
        '"2026-03-01T10:00:00+05:70"': "not_an_instant",
        '"2026-03-01T10:00:00+0589"': "not_an_instant",
        '"2026-03-01T25:00:00Z"': "not_an_instant",
        '"01/03/2026 10:00:00Z"': "not_an_instant",
        '"20260301T100000Z"': "not_an_instant",
        '"2026-03-01T10:00:00 Europe/Berlin"': "not_an_instant",
        '"now"': "not_an_instant",
        '""': "not_an_instant",
        "1772359200": "wrong_type",
        "1772359200000": "wrong_type",
        "true": "wrong_type",
    }
    assert outcomes(zone, "ended_at", expected, "agent_runs") == {
        spelling: Refused(reason) for spelling, reason in expected.items()
    }


def test_a_whole_number_is_counted_beyond_32_bits(zone: Zone) -> None:
    expected = {
        "1e3": 1000, "12": 12, "12.0": 12, '"12"': 12, '"12.0"': 12, "0": 0, "null": None,
        "3000000000": 3_000_000_000, '"3000000000"': 3_000_000_000,
        "10000000000000": 10**13, "10000000000001": Refused("out_of_range"),
    }  # fmt: skip
    assert outcomes(zone, "input_tokens", expected) == expected


def test_what_is_no_whole_number_is_rejected_and_not_rounded(zone: Zone) -> None:
    expected = {
        "2.7": "not_whole_number", '"2.7"': "not_whole_number", '"1e3"': "not_whole_number",
        '"+5"': "not_whole_number", '" 1 "': "not_whole_number", '"0x10"': "not_whole_number",
        '"1_000"': "not_whole_number", '""': "not_whole_number", "1e400": "not_whole_number",
        "-1": "negative", '"-1"': "negative", "true": "wrong_type", "[1]": "wrong_type",
        "{}": "wrong_type", "9223372036854775808": "out_of_range",
        '"99999999999999999999"': "out_of_range", "NaN": "not_json", "Infinity": "not_json",
        "007": "not_json",
    }  # fmt: skip
    assert outcomes(zone, "input_tokens", expected) == {
        spelling: Refused(reason) for spelling, reason in expected.items()
    }


def test_a_latency_is_never_negative_and_has_three_decimals(zone: Zone) -> None:
    expected = {
        "12": Decimal(12), "12.5": Decimal("12.5"), '"12.345"': Decimal("12.345"), "0": Decimal(0),
        '"999999999999.999"': Decimal(10**15 - 1) / 1000, "null": None,
        "-1": Refused("negative"), '"-0.5"': Refused("negative"), '"1e3"': Refused("not_a_number"),
        '"fast"': Refused("not_a_number"), "true": Refused("not_a_number"),
        "[1]": Refused("not_a_number"), "1000000000000000": Refused("out_of_range"),
    }  # fmt: skip
    assert outcomes(zone, "duration_ms", expected) == expected


@pytest.mark.parametrize("spelled", ["-0.0004", '"-0.0001"'])
def test_a_latency_just_below_zero_is_negative(zone: Zone, spelled: str) -> None:
    assert outcomes(zone, "duration_ms", [spelled]) == {spelled: Refused("negative")}


def test_an_amount_as_text_is_exact_to_the_last_digit(zone: Zone) -> None:
    texts = [
        "0.000000000001", "-0.000000000001", "99999999999999999.999999999999",
        "-99999999999999999.999999999999", "0.1", "12345678901234.123456789012", "7", "0",
    ]  # fmt: skip
    assert outcomes(zone, "reported_cost_usd", map(json.dumps, texts)) == {
        json.dumps(text): Decimal(text) for text in texts
    }


def test_what_is_no_exact_amount_is_rejected(zone: Zone) -> None:
    expected = {
        '"0.1234567890123"': "too_many_decimals",
        '"100000000000000000000000000"': "out_of_range",
        "100000000000000000000000000": "out_of_range",
        '"1,50"': "not_a_number", '"1e-3"': "not_a_number", '"+1"': "not_a_number",
        '" 1"': "not_a_number", '""': "not_a_number", '"NaN"': "not_a_number",
        '"$1"': "not_a_number", "1e400": "not_a_number", "true": "not_a_number",
        "[]": "not_a_number",
    }  # fmt: skip
    assert outcomes(zone, "reported_cost_usd", expected) == {
        spelling: Refused(reason) for spelling, reason in expected.items()
    }


def test_an_amount_as_a_number_is_rounded_half_even_and_counted(zone: Zone) -> None:
    exact = ["0.1", "0.123456789012", "3", "1e-12", "-2.5"]
    rounded = ["0.1234567890125", "0.1234567890135", "1e-13", "0.30000000000000004"]
    places = Decimal(1).scaleb(-12)
    assert outcomes(zone, "reported_cost_usd", exact + rounded) == {
        text: Decimal(text).quantize(places, ROUND_HALF_EVEN) for text in exact + rounded
    }
    assert [row["rounded_amounts"] for row in zone.rows("landed_files")] == [len(rounded)]


def test_an_amount_as_a_number_is_the_double_that_a_reader_of_json_gets(zone: Zone) -> None:
    texts = ["12345678.123456789012", "0.100000000000000000001", "2.5e-3", "0.10"]
    assert outcomes(zone, "reported_cost_usd", texts) == {
        text: Decimal(repr(float(text))) for text in texts
    }


def test_random_amounts_are_exact(zone: Zone) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    rng = random.Random(seed)
    texts = []
    for _ in range(2_000):
        digits = "".join(rng.choices("0123456789", k=rng.randint(1, 18)))
        decimals = "".join(rng.choices("0123456789", k=rng.randint(0, 12)))
        texts.append(rng.choice(["", "-"]) + digits + ("." + decimals if decimals else ""))
    zone.put(
        "credit_lines/a.ndjson",
        *(line(str(n), "credit_lines", credits=text) for n, text in enumerate(texts)),
    )
    zone.land()
    stored = {int(row["line_id"]): row["credits"] for row in zone.rows("credit_lines")}
    assert stored == {number: Decimal(text) for number, text in enumerate(texts)}


def test_a_boolean_is_true_or_false(zone: Zone) -> None:
    expected = {
        "true": True, "false": False, '"true"': True, '"false"': False, "null": None,
        "1": Refused("wrong_type"), "0": Refused("wrong_type"), '"yes"': Refused("wrong_type"),
        '""': Refused("wrong_type"), "[]": Refused("wrong_type"),
    }  # fmt: skip
    assert outcomes(zone, "is_member", expected, "group_members") == expected


def test_tags_are_texts_and_empty_ones_are_nothing(zone: Zone) -> None:
    expected = {
        '["a", "b"]': ["a", "b"], '["b", "", null, "a"]': ["b", "a"], "[]": None, '[""]': None,
        "null": None, '"[\\"a\\"]"': ["a"], '["a, b"]': ["a, b"], "[1]": Refused("wrong_type"),
        '[["a"]]': Refused("wrong_type"), '"a"': Refused("wrong_type"), "{}": Refused("wrong_type"),
        "7": Refused("wrong_type"),
    }  # fmt: skip
    assert outcomes(zone, "tags", expected) == expected


@pytest.mark.parametrize(
    ("field", "spelled"),
    [("duration_ms", "1e30"), ("duration_ms", f'"{"9" * 40}"'), ("reported_cost_usd", "1e50")],
)
def test_a_huge_number_is_out_of_range_and_its_neighbours_load(
    zone: Zone, field: str, spelled: str
) -> None:
    assert outcomes(zone, field, ["1", spelled]) == {
        "1": Decimal(1), spelled: Refused("out_of_range"),
    }  # fmt: skip


# -------------------------------------------------------------------------------------------------
# The same as Parquet
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", "", None]),
        pa.array(["a", "", None], pa.large_string()),
        pa.array(["a", "", None]).dictionary_encode(),
    ],
    ids=str,
)
def test_parquet_ids_of_any_text_type_are_ids(zone: Zone, column: pa.Array) -> None:
    column = column if isinstance(column, pa.Array) else pa.array(column)
    assert column_outcomes(zone, "run_id", column) == ["a", None, None]


def test_parquet_whole_numbers_may_be_ids(zone: Zone) -> None:
    assert column_outcomes(zone, "run_id", pa.array([7, None], pa.int64())) == ["7", None]


def test_a_parquet_column_of_nulls_is_null(zone: Zone) -> None:
    assert column_outcomes(zone, "run_id", pa.nulls(2)) == [None, None]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([12, -1, None], pa.int32()), [12, Refused("negative"), None]),
        (pa.array([10**13, 2**63, 0], pa.uint64()), [10**13, Refused("out_of_range"), 0]),
        (
            pa.array([12.0, 2.7, float("nan"), float("inf"), -1.0, None]),
            [12, *[Refused("not_whole_number")] * 3, Refused("negative"), None],
        ),
        (
            pa.array([Decimal("12.00"), Decimal("2.70"), None], pa.decimal128(20, 2)),
            [12, Refused("not_whole_number"), None],
        ),
        (
            pa.array(["12", "12.0", "1e3", "2.7", "", None]),
            [12, 12, *[Refused("not_whole_number")] * 3, None],
        ),
        (pa.array(["12", "x", "12"]).dictionary_encode(), [12, Refused("not_whole_number"), 12]),
        (pa.array([True, None]), [Refused("wrong_type"), None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_parquet_whole_numbers(zone: Zone, column: pa.Array, expected: list[Any]) -> None:
    assert column_outcomes(zone, "input_tokens", column) == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([3, None], pa.int32()), [Decimal(3), None]),
        (
            pa.array([0.1, -2.5, float("nan")]),
            [Decimal("0.1"), -Decimal("2.5"), Refused("not_a_number")],
        ),
        (
            pa.array([Decimal("0.000000000001"), Decimal("9") ** 18], pa.decimal128(38, 12)),
            [Decimal("0.000000000001"), Decimal(9**18)],
        ),
        (
            pa.array([Decimal("0.1") ** 12, Decimal("0.1") ** 13], pa.decimal128(38, 18)),
            [Decimal("0.000000000001"), Refused("too_many_decimals")],
        ),
        (
            pa.array(["0.1", "0.1234567890123", "1,5"]),
            [Decimal("0.1"), Refused("too_many_decimals"), Refused("not_a_number")],
        ),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)  # fmt: skip
def test_parquet_amounts(zone: Zone, column: pa.Array, expected: list[Any]) -> None:
    assert column_outcomes(zone, "reported_cost_usd", column) == expected


def test_parquet_doubles_are_rounded_and_counted(zone: Zone) -> None:
    stored = column_outcomes(zone, "reported_cost_usd", pa.array([0.1, 0.1 + 0.2, 1e-13]))
    assert stored == [Decimal("0.1"), Decimal("0.3"), Decimal(0)]
    assert [row["rounded_amounts"] for row in zone.rows("landed_files")] == [2]


def test_parquet_decimals_of_76_digits_are_amounts(zone: Zone) -> None:
    column = pa.array([Decimal("1.5")], pa.decimal256(60, 6))
    assert column_outcomes(zone, "reported_cost_usd", column) == [Decimal("1.5")]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([3, -1, None], pa.int64()), [Decimal(3), Refused("negative"), None]),
        (pa.array([3.5, -1.0, None]), [Decimal("3.5"), Refused("negative"), None]),
        (pa.array([Decimal("3.125")], pa.decimal128(9, 3)), [Decimal("3.125")]),
        (pa.array(["3.5", "x"]), [Decimal("3.5"), Refused("not_a_number")]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_parquet_latencies(zone: Zone, column: pa.Array, expected: list[Any]) -> None:
    assert column_outcomes(zone, "duration_ms", column) == expected


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone_name", [None, "UTC", "Asia/Kolkata"])
def test_parquet_timestamps_are_utc_with_zone_or_without(
    zone: Zone, unit: str, zone_name: str | None
) -> None:
    scale = {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    seconds = (MARCH - EPOCH) // timedelta(seconds=1)
    too_early = (datetime(1999, 12, 31, 23, 59) - EPOCH) // timedelta(seconds=1)
    column = pa.array([seconds * scale, too_early * scale, None], pa.timestamp(unit, zone_name))
    assert column_outcomes(zone, "ended_at", column, "agent_runs") == [
        MARCH, Refused("instant_out_of_range"), None,
    ]  # fmt: skip


def test_parquet_nanoseconds_are_cut_to_microseconds(zone: Zone) -> None:
    nanoseconds = (MARCH - EPOCH) // timedelta(seconds=1) * 10**9 + 123_456_789
    column = pa.array([nanoseconds], pa.timestamp("ns"))
    expected = [MARCH.replace(microsecond=123_456)]
    assert column_outcomes(zone, "ended_at", column, "agent_runs") == expected


def test_parquet_instants_as_text_keep_the_rules_of_text(zone: Zone) -> None:
    column = pa.array(["2026-03-01T11:00:00+01:00", "2026-03-01T10:00:00", "x"])
    assert column_outcomes(zone, "ended_at", column, "agent_runs") == [
        MARCH, Refused("instant_without_offset"), Refused("not_an_instant"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "column", [pa.array([date(2026, 3, 1)]), pa.array([1772359200])], ids=["date", "int64"]
)
def test_parquet_days_and_numbers_are_no_instants(zone: Zone, column: pa.Array) -> None:
    assert column_outcomes(zone, "ended_at", column, "agent_runs") == [Refused("wrong_type")]


@pytest.mark.parametrize("unit", ["ms", "us"])
def test_a_parquet_timestamp_far_away_is_out_of_range(zone: Zone, unit: str) -> None:
    column = pa.array([2**60, 1772359200 * 10**3], pa.timestamp(unit))
    assert column_outcomes(zone, "ended_at", column, "agent_runs")[0] == (
        Refused("instant_out_of_range")
    )


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([["a", "", None], [], None], pa.list_(pa.string())), [["a"], None, None]),
        (pa.array([["a", "b"], [""]], pa.large_list(pa.large_string())), [["a", "b"], None]),
        (pa.array(['["a"]', "a"]), [["a"], Refused("wrong_type")]),
        (pa.array([[1]], pa.list_(pa.int64())), [Refused("wrong_type")]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_parquet_tags(zone: Zone, column: pa.Array, expected: list[Any]) -> None:
    assert column_outcomes(zone, "tags", column) == expected


def test_parquet_booleans(zone: Zone) -> None:
    column = pa.array([True, False, None])
    assert column_outcomes(zone, "is_member", column, "group_members") == [True, False, None]
    zone.put_table("group_members/b.parquet", table_of(1, "group_members", is_member=pa.array([1])))
    zone.land()
    assert zone.rejections() == [("group_members/b.parquet", 1, "wrong_type")]


def test_unknown_parquet_columns_are_kept_and_content_is_dropped(zone: Zone) -> None:
    columns = {
        "region": ["eu", None],
        "prompt": ["hush", "hush"],
        "depth": [1, 2],
        "extra": ["x", None],
    }
    arrays = {name: pa.array(values) for name, values in columns.items()}
    zone.put_table("llm_requests/a.parquet", table_of(2, **arrays))
    zone.land()
    assert [row["extra"] for row in zone.rows("llm_requests")] == [
        '{"depth":"1","extra":"x","region":"eu"}', '{"depth":"2"}',
    ]  # fmt: skip
    assert b"hush" not in zone.bytes_below_raw()


def test_a_parquet_file_may_leave_optional_columns_out(zone: Zone) -> None:
    table = table_of(2).select(["request_id", "model", "requested_at"])
    zone.put_table("llm_requests/a.parquet", table)
    zone.land()
    assert [
        (row["tags"], row["run_id"], row["input_tokens"]) for row in zone.rows("llm_requests")
    ] == [(None, None, None)] * 2


@pytest.mark.parametrize("name", ["file_id", "row_number"])
def test_no_unknown_parquet_column_is_lost_for_its_name(zone: Zone, name: str) -> None:
    zone.put_table("llm_requests/a.parquet", table_of(1, **{name: pa.array(["x"])}))
    zone.land()
    assert [row["extra"] for row in zone.rows("llm_requests")] == [f'{{"{name}":"x"}}']


def test_a_rejected_parquet_row_is_found_by_its_number(zone: Zone) -> None:
    zone.put_table("llm_requests/a.parquet", table_of(3, attempt=pa.array([1, -1, 2])))
    zone.land()
    [row] = zone.rows("rejected_rows")
    assert (row["path"], row["line"], row["reason"]) == ("llm_requests/a.parquet", 2, "negative")
    assert json.loads(row["raw_text"]) == {
        "attempt": "-1", "model": "m", "request_id": "1", "requested_at": "2026-03-01T10:00:00Z",
    }  # fmt: skip
    assert zone.ids() == ["0", "2"]
    assert [file["lines"] for file in zone.rows("landed_files")] == [3]


def test_parquet_with_two_columns_of_one_name_is_unreadable(zone: Zone) -> None:
    table = table_of(1, provider=pa.array(["a"]))
    zone.put_table("llm_requests/a.parquet", table.append_column("provider", pa.array(["b"])))
    zone.put("llm_requests/b.ndjson", lines("good"))
    zone.land()
    assert zone.statuses()[0] == ("llm_requests/a.parquet", "unreadable")
    assert zone.ids() == ["good"]


def test_parquet_text_that_is_not_utf8_is_rejected(zone: Zone) -> None:
    column = pa.array([b"\xff\xfe", b"ok"], pa.binary()).view(pa.string())
    assert column_outcomes(zone, "provider", column) == [Refused("not_utf8"), "ok"]


# -------------------------------------------------------------------------------------------------
# Lines
# -------------------------------------------------------------------------------------------------

BROKEN_LINES = {
    "garbage": (b"oops", "not_json"),
    "cut in the middle of the file": (b'{"request_id": "x", "mod', "not_json"),
    "trailing junk": (lines("x").strip() + b",", "not_json"),
    "two objects on a line": (lines("x").strip() + lines("y").strip(), "not_json"),
    "bad escape": (rb'{"request_id": "\p"}', "not_json"),
    "byte 1 in a text": (b'{"request_id": "a\x01b"}', "not_json"),
    "leading zero": (line("x", attempt=7).strip().replace(b": 7", b": 07"), "not_json"),
    "UTF-16 without its mark": ('{"request_id": "x"}'.encode("utf-16-le"), "not_json"),
    "single quotes": (b"{'request_id': 'x'}", "not_json"),
    "64 NUL bytes": (b"\0" * 64, "not_json"),
    "raw NUL in a text": (b'{"request_id": "a\0b"}', "not_json"),
    "invalid UTF-8": (line("x", provider="ZZ").strip().replace(b"ZZ", b"\xff"), "not_utf8"),
    "lone surrogate in a field": (line("x", provider="\ud800").strip(), "not_utf8"),
    "lone surrogate in a tag": (line("x", tags=["\udc00"]).strip(), "not_utf8"),
    "lone surrogate in an unknown field": (line("x", more={"\ud800": 1}).strip(), "not_utf8"),
    "nested too deeply": (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not_json"),
    "duplicate field": (b'{"request_id": "x", "request_id": "y"}', "duplicate_field"),
    "duplicate field inside": (
        line("x").strip()[:-1] + b', "m": {"a": 1, "a": 1}}', "duplicate_field",
    ),
    "array": (b"[" + lines("x").strip() + b"]", "not_an_object"),
    "text": (b'"x"', "not_an_object"),
    "number": (b"17", "not_an_object"),
    "null": (b"null", "not_an_object"),
    "empty object": (b"{}", "missing_required"),
    "names in another case": (
        lines("x").strip().replace(b"request_id", b"REQUEST_ID"), "missing_required",
    ),
    "missing required field": (b'{"request_id": "x", "model": "m"}', "missing_required"),
    "null in a required field": (line("x", model=None).strip(), "missing_required"),
    "empty required id": (line("").strip(), "missing_required"),
    "value outside an enumeration": (line("x", status="cancelled").strip(), "not_allowed_value"),
    "value in another case": (line("x", status="Succeeded").strip(), "not_allowed_value"),
}  # fmt: skip


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(("broken", "reason"), BROKEN_LINES.values(), ids=BROKEN_LINES.keys())
def test_a_broken_line_is_rejected_and_its_neighbours_load(
    zone: Zone, broken: bytes, reason: str, ending: bytes
) -> None:
    parts = [lines("before").strip(), b"", broken, lines("after").strip(), b""]
    zone.put("llm_requests/2026/03/a.ndjson", ending.join(parts))
    zone.land()
    assert zone.ids() == ["after", "before"]
    [row] = zone.rows("rejected_rows")
    assert (row["source"], row["path"], row["line"], row["record_number"], row["reason"]) == (
        "llm_requests", "llm_requests/2026/03/a.ndjson", 3, None, reason,
    )  # fmt: skip
    assert row["raw_text"] == broken.decode("utf-8", "backslashreplace")[:65_536]
    assert row["detail"]
    [file] = zone.rows("landed_files")
    assert row["file_id"] == file["file_id"]
    assert (file["lines"], file["blank"], file["pending"]) == (4, 1, 0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"input_tokens": 2.7}, ("input_tokens", "2.7")),
        ({"input_tokens": -31}, ("input_tokens", "-31")),
        ({"requested_at": "yesterday"}, ("requested_at", "yesterday")),
        ({"requested_at": "2026-03-01T10:00"}, ("requested_at", "2026-03-01T10:00", "offset")),
        ({"reported_cost_usd": "1,50"}, ("reported_cost_usd", "1,50")),
        ({"duration_ms": "slow"}, ("duration_ms", "slow")),
        ({"status": "odd"}, ("status", "odd", "succeeded", "failed")),
        ({"tags": "lonely"}, ("tags", "lonely")),
        ({"run_id": True}, ("run_id", "true")),
        ({"model": None}, ("model", "missing")),
        ({"provider": ["p" * 500]}, ("provider", "pppp")),
    ],
)  # fmt: skip
def test_the_detail_names_field_and_value(
    zone: Zone, fields: dict[str, Any], words: tuple[str, ...]
) -> None:
    zone.put("llm_requests/a.ndjson", line("r", **fields))
    zone.land()
    [row] = zone.rows("rejected_rows")
    assert all(word in row["detail"] for word in words)
    assert len(row["detail"]) < 200


@pytest.mark.parametrize("source", sorted(LEAST))
def test_a_line_without_a_required_field_is_rejected_whichever_it_is(
    zone: Zone, source: str
) -> None:
    whole = json.loads(line("k", source))
    required = [field.name for field in TABLES[source].fields if field.is_required]
    assert sorted(required) == sorted(whole)
    for name in required:
        rest = {key: value for key, value in whole.items() if key != name}
        zone.put(f"{source}/{name}.ndjson", json.dumps(rest), "\n")
    zone.land()
    assert zone.rows(source) == []
    assert sorted(row["detail"].split()[0] for row in zone.rows("rejected_rows")) == (
        sorted(required)
    )


CLOSED = {
    ("agent_runs", "status"): ["succeeded", "failed", "cancelled"],
    ("llm_requests", "status"): ["succeeded", "failed"],
    ("tool_calls", "outcome"): ["executed", "failed", "blocked"],
    ("credit_lines", "kind"): ["usage", "refund", "adjustment", "grant"],
    ("role_grants", "role"): ["billing", "owner", "contributor", "admin", "llm_analytics"],
}


@pytest.mark.parametrize(("source", "field"), CLOSED)
def test_a_closed_enumeration_takes_its_values_and_no_other(
    zone: Zone, source: str, field: str
) -> None:
    allowed = [json.dumps(value) for value in CLOSED[source, field]]
    found = outcomes(zone, field, [*allowed, '"unheard_of"'], source)
    assert found == {text: json.loads(text) for text in allowed} | {
        '"unheard_of"': Refused("not_allowed_value")
    }


def test_open_enumerations_take_any_value(zone: Zone) -> None:
    expected = {'"LLM"': "LLM", '"Telepathy"': "Telepathy"}
    assert outcomes(zone, "category", expected, "credit_lines") == expected


def test_a_byte_order_mark_belongs_to_no_line(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", BOM, lines("1", "2"), "oops\n")
    zone.land()
    assert zone.ids() == ["1", "2"]
    assert zone.rejections() == [("llm_requests/a.ndjson", 3, "not_json")]


@pytest.mark.parametrize(
    "first", [BOM + lines("1"), b"oops\n" + lines("1"), b"\0\0\n" + lines("1")]
)
def test_nul_bytes_cost_their_line_and_not_the_file(zone: Zone, first: bytes) -> None:
    zone.put("llm_requests/a.ndjson", first, b"\0" * 64, b"\n", lines("2"))
    zone.land()
    assert zone.ids() == ["1", "2"]


def test_a_file_whose_lines_end_in_carriage_returns_loads_nothing_and_is_rejected(
    zone: Zone,
) -> None:
    zone.put("llm_requests/a.ndjson", lines("1", "2").replace(b"\n", b"\r"))
    zone.land()
    zone.land()
    assert zone.ids() == []
    assert [row[1] for row in zone.rejections()] == [1]


def test_blank_lines_are_counted(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", b"\n\n", lines("1"), b"  \t\r\n", lines("2"), b"\n")
    zone.land()
    [file] = zone.rows("landed_files")
    assert (file["lines"], file["blank"], file["pending"]) == (6, 4, 0)
    assert zone.ids() == ["1", "2"]


def test_line_ends_inside_a_text_end_no_line(zone: Zone) -> None:
    awkward = "a\u2028b\u2029c\x85d"
    text = json.dumps({**json.loads(line()), "provider": awkward}, ensure_ascii=False)
    zone.put("llm_requests/a.ndjson", text, "\n", "oops\n")
    zone.land()
    assert [row["provider"] for row in zone.rows("llm_requests")] == [awkward]
    assert zone.rejections() == [("llm_requests/a.ndjson", 2, "not_json")]


@pytest.mark.parametrize("content", [b"", b"\n\n\n", BOM], ids=["nothing", "blank lines", "BOM"])
def test_a_file_that_holds_nothing_is_no_error(zone: Zone, content: bytes) -> None:
    zone.put("llm_requests/a.ndjson", content)
    zone.put("llm_requests/b.ndjson", lines("1"))
    zone.land()
    assert zone.ids() == ["1"]
    assert zone.rejections() == []


@pytest.mark.parametrize("name", ["a.ndjson.gz", "a.json.zst", "a.parquet"])
def test_an_empty_file_is_no_error_whatever_its_ending(zone: Zone, name: str) -> None:
    zone.put(f"llm_requests/{name}", b"")
    zone.land()
    [file] = zone.rows("landed_files")
    assert (file["status"], file["lines"]) == ("loaded", 0)
    zone.put_table(f"llm_requests/{name}", table_of(0))
    zone.land()
    assert zone.ids() == []
    zone.put(f"llm_requests/{name}", gzip.compress(lines("1")))
    zone.land()
    assert zone.ids() == ["1"]


def test_nul_bytes_at_the_end_of_a_file_are_one_line_that_is_cut(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", lines("1"), b"\0" * 4_096)
    zone.land()
    assert [file["pending"] for file in zone.rows("landed_files")] == [1]
    zone.land()
    assert zone.ids() == ["1"]
    assert zone.rejections() == [("llm_requests/a.ndjson", 2, "cut")]


def test_a_carriage_return_within_a_line_ends_none(zone: Zone) -> None:
    text = lines("1").replace(b", ", b",\r")
    zone.put("llm_requests/a.ndjson", text, "oops\n")
    zone.land()
    assert zone.ids() == ["1"]
    assert zone.rejections() == [("llm_requests/a.ndjson", 2, "not_json")]


def test_a_pretty_printed_object_is_rejected_line_by_line(zone: Zone) -> None:
    zone.put("llm_requests/a.json", json.dumps(json.loads(line()), indent=1), "\n", lines("1"))
    zone.land()
    assert zone.ids() == ["1"]
    assert len(zone.rejections()) == 5


def test_a_pretty_printed_array_is_rejected_line_by_line(zone: Zone) -> None:
    zone.put("llm_requests/a.json", json.dumps([json.loads(line())], indent=1), "\n")
    zone.land()
    assert zone.ids() == []
    [file] = zone.rows("landed_files")
    assert len(zone.rejections()) == file["lines"] == 7


def test_a_line_of_20_megabytes_loads(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", lines("1"), line("2", provider="x" * 20_000_000), lines("3"))
    zone.land()
    assert [len(row["provider"] or "") for row in zone.rows("llm_requests")] == [0, 20_000_000, 0]


def test_the_raw_text_of_a_long_rejected_line_is_cut(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", b"x" * 1_000_000, b"\n", lines("1"))
    zone.land()
    assert [row["raw_text"] for row in zone.rows("rejected_rows")] == ["x" * 65_536]
    assert zone.ids() == ["1"]


def nested(depth: int) -> bytes:
    """A good line with an unknown field of so many lists, one in the other."""
    return b'{"x": ' + b"[" * depth + b"]" * depth + b", " + lines(str(depth))[1:]


def test_an_unknown_field_may_be_nested_a_hundred_deep(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", nested(100))
    zone.land()
    assert [row["extra"] for row in zone.rows("llm_requests")] == [
        '{"x":' + "[" * 100 + "]" * 100 + "}"
    ]


def test_no_depth_ends_the_night(zone: Zone) -> None:
    depths = range(100, 1_200, 20)
    zone.put("llm_requests/a.ndjson", *map(nested, depths))
    zone.land()
    assert len(zone.ids()) + len(zone.rejections()) == len(depths)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_lines_never_end_the_night(zone: Zone, seed: int) -> None:
    rng = random.Random(seed)
    good = line("x", tags=["a"], reported_cost_usd=1.5, input_tokens=3).strip()
    mutants = []
    for _ in range(3_000):
        mutant = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(mutant))
            mutant[at : at + rng.randint(0, 3)] = bytes(
                rng.choices(b'0123456789-eE."{}[]:,\\ux\xff\0 nt', k=rng.randint(0, 3))
            )
        mutants.append(bytes(mutant).replace(b"\n", b""))
    zone.put("llm_requests/a.ndjson", good, b"\n", b"\n".join(mutants), b"\n")
    zone.land()
    [file] = zone.rows("landed_files")
    assert file["lines"] == 3_001
    counted = len(zone.rows("llm_requests")) + len(zone.rejections()) + file["blank"]
    assert counted == 3_001


# -------------------------------------------------------------------------------------------------
# Unknown fields and content
# -------------------------------------------------------------------------------------------------


def test_unknown_fields_are_kept_as_canonical_json(zone: Zone) -> None:
    zone.put(
        "llm_requests/a.ndjson",
        line("1", zeta=1, alpha={"b": 1.50, "a": [True, None, "ü"]}, nothing=None),
        line("2", nothing=None),
        line("3").strip()[:-1],
        ', "alpha": {"a": [true, null, "\\u00fc"], "b": 1.5e0}, "zeta": 1.0}\n',
    )  # fmt: skip
    zone.land()
    kept = '{"alpha":{"a":[true,null,"ü"],"b":"1.5"},"zeta":"1"}'
    assert [row["extra"] for row in zone.rows("llm_requests")] == [kept, None, kept]


CONTENT_NAMES = (
    "prompt", "system_prompt", "systemPrompt", "Prompt", "completion", "messages", "message",
    "content", "arguments", "tool_arguments", "instructions", "command", "command_line", "input",
    "output",
)  # fmt: skip


def content_lines(names: Iterable[str]) -> bytes:
    return b"".join(line(name, **{name: "planted secret", "region": "eu"}) for name in names)


def test_fields_that_hold_content_are_dropped_before_anything_is_written(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", content_lines(CONTENT_NAMES))
    zone.land()
    assert b"planted" not in zone.bytes_below_raw()
    assert {row["extra"] for row in zone.rows("llm_requests")} == {'{"region":"eu"}'}


def test_content_is_kept_where_it_is_asked_for(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", content_lines(CONTENT_NAMES))
    zone.land(keeps_content=True)
    assert all("planted secret" in row["extra"] for row in zone.rows("llm_requests"))


@pytest.mark.parametrize(
    "fields",
    [
        {"request": {"prompt": "planted"}},
        {"request": [{"messages": [{"content": "planted"}]}]},
        {"tool_args": "planted"},
        {"tool_input": "planted"},
        {"response": "planted"},
    ],
    ids=str,
)
def test_content_is_dropped_wherever_it_stands(zone: Zone, fields: dict[str, Any]) -> None:
    zone.put("llm_requests/a.ndjson", line("1", **fields))
    zone.land()
    assert zone.ids() == ["1"]
    assert b"planted" not in zone.bytes_below_raw()


@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens", "content_length"])
def test_a_number_is_no_content(zone: Zone, name: str) -> None:
    zone.put("llm_requests/a.ndjson", line("1", **{name: 7}))
    zone.land()
    assert [row["extra"] for row in zone.rows("llm_requests")] == [f'{{"{name}":"7"}}']


# -------------------------------------------------------------------------------------------------
# Files: packing, damage, names
# -------------------------------------------------------------------------------------------------


def in_parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda content: content,
    "gzip": gzip.compress,
    "gzip, two members": lambda content: gzip.compress(content[:20]) + gzip.compress(content[20:]),
    "zstd": zstd,
    "gzip, then zeros": lambda content: gzip.compress(content) + b"\0" * 600,
    "zstd, two frames": lambda content: zstd(content[:20]) + zstd(content[20:]),
    "a mark first": lambda content: BOM + content,
    "a mark first, in gzip": lambda content: gzip.compress(BOM + content),
}  # fmt: skip


@pytest.mark.parametrize(
    "ending", [".ndjson", ".jsonl", ".json", ".ndjson.gz", ".json.zst", ".parquet"]
)
@pytest.mark.parametrize("packing", PACKINGS)
def test_the_packing_is_told_by_the_first_bytes_and_not_by_the_name(
    zone: Zone, packing: str, ending: str
) -> None:
    zone.put(f"llm_requests/a{ending}", PACKINGS[packing](lines("1", "2") + b"oops\n"))
    zone.land()
    assert zone.ids() == ["1", "2"]
    assert zone.rejections() == [(f"llm_requests/a{ending}", 3, "not_json")]


@pytest.mark.parametrize("ending", [".parquet", ".ndjson", ".json.gz"])
def test_parquet_is_told_by_its_first_bytes(zone: Zone, ending: str) -> None:
    zone.put(f"llm_requests/a{ending}", in_parquet(table_of(2)))
    zone.land()
    assert zone.ids() == ["0", "1"]


MANY = b"".join(line(str(n), provider=random.Random(n).randbytes(40).hex()) for n in range(3_000))


def flipped(content: bytes, position: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 0xFF
    return bytes(changed)


DAMAGED = {
    "gzip with a wrong checksum": flipped(gzip.compress(MANY), -8),
    "gzip with a wrong length": flipped(gzip.compress(MANY), -2),
    "gzip with a flipped byte": flipped(gzip.compress(MANY), 40_000),
    "gzip cut": gzip.compress(MANY)[:-9],
    "gzip cut in the middle": gzip.compress(MANY)[:60_000],
    "gzip without its footer": gzip.compress(MANY)[:-8],
    "gzip, then something else": gzip.compress(MANY) + b"more",
    "gzip, then a cut one": gzip.compress(MANY) + gzip.compress(MANY)[:5_000],
    "gzip of a wrong method": b"\x1f\x8b\x07" + gzip.compress(MANY)[3:],
    "zstd cut": zstd(MANY)[:-1],
    "zstd, then something else": zstd(MANY) + b"more",
    "zstd with a wrong checksum": flipped(
        zstandard.ZstdCompressor(write_checksum=True).compress(MANY), -2
    ),
    "Parquet with another value than its checksum": in_parquet(
        table_of(9, provider=pa.array(["needle"] * 9)),
        compression="none",
        use_dictionary=False,
        write_page_checksum=True,
        write_statistics=False,
    ).replace(b"needle", b"noodle"),
    "Parquet whose footer is broken": flipped(in_parquet(table_of(100)), -7),
    "zstd cut in the middle": zstd(MANY)[:60_000],
    "zstd with a flipped byte": flipped(zstd(MANY), 9),
    "Parquet cut": in_parquet(table_of(100))[:-50],
    "Parquet cut in the middle": in_parquet(table_of(100))[:300],
    "UTF-16": lines("1", "2").decode().encode("utf-16"),
    "UTF-16, the other way round": b"\xfe\xff" + lines("1").decode().encode("utf-16-be"),
    "binary": b"\x0a\x00\x00\x01" + bytes(range(256)),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_file_that_cannot_be_read_says_so_and_nothing_of_it_loads(
    zone: Zone, content: bytes
) -> None:
    zone.put("llm_requests/a.ndjson", content)
    zone.put("llm_requests/b.ndjson", lines("good"))
    report = zone.land()
    assert zone.ids() == ["good"]
    file = zone.rows("landed_files")[0]
    assert (file["path"], file["status"]) == ("llm_requests/a.ndjson", "unreadable")
    assert len(file["detail"].split()) > 4
    assert report.unreadable == [("llm_requests/a.ndjson", file["detail"])]
    assert zone.rejections() == []

    assert zone.land().load_id is None, "it is read again although it has not changed"
    (zone.landing / "llm_requests/a.ndjson").touch()
    assert zone.land().load_id is None, "the same damage is reported once"

    zone.put("llm_requests/a.ndjson", lines("repaired"))
    zone.land()
    assert zone.ids() == ["good", "repaired"]


def test_nothing_loads_of_a_parquet_file_that_is_damaged_late(zone: Zone) -> None:
    count = 120_000
    provider = pa.array([str(number * 7919 % count) for number in range(count)])
    file = zone.put_table(
        "llm_requests/a.parquet", table_of(count, provider=provider), row_group_size=40_000
    )
    page = pq.read_metadata(file).row_group(2).column(0).data_page_offset
    content = bytearray(file.read_bytes())
    content[page + 40 : page + 400] = b"\xff" * 360
    zone.put("llm_requests/a.parquet", bytes(content))
    zone.land()
    assert zone.statuses() == [("llm_requests/a.parquet", "unreadable")]
    assert len(zone.rows("llm_requests")) == 0


def test_what_is_not_read_is_listed_with_its_reason(zone: Zone) -> None:
    ignored = {
        "llm_requests/.hidden.ndjson": "its name starts with . or _",
        "llm_requests/_draft.ndjson": "its name starts with . or _",
        "llm_requests/_temporary": "its name starts with . or _",
        "llm_requests/a.ndjson.tmp": "it is still being written (.tmp or .part)",
        "llm_requests/a.parquet.part": "it is still being written (.tmp or .part)",
        "llm_requests/a.csv": "its ending is none of",
        "llm_requests/a.ndjson.bz2": "its ending is none of",
        "llm_requests/UPPER.NDJSON": "its ending is none of",
        "llm_requests/no_ending": "its ending is none of",
        "llm_requests/link.ndjson": "symbolic links are not followed",
        "llm_requests/folder_link": "symbolic links are not followed",
        "llm_requests/dangling.ndjson": "symbolic links are not followed",
        "llm_request": "no source is named llm_request",
        "LLM_REQUESTS": "no source is named LLM_REQUESTS",
        "landed_files": "no source is named landed_files",
        "top.ndjson": "it is in no source's folder",
        "link": "symbolic links are not followed",
        ".git": "its name starts with . or _",
        "_SUCCESS": "its name starts with . or _",
    }
    for path in ignored:
        if "link" in path or "dangling" in path:
            continue
        is_folder = (
            "." not in path.removeprefix(".")
            and path not in ("_SUCCESS",)
            and ("/" not in path or path.endswith("_temporary"))
        )
        zone.put(f"{path}/in.ndjson" if is_folder else path, lines("never"))
    zone.put("llm_requests/deep/er/good.ndjson", lines("good"))
    os.symlink(
        zone.landing / "llm_requests/deep/er/good.ndjson", zone.landing / "llm_requests/link.ndjson"
    )
    os.symlink(zone.landing / "llm_requests/deep", zone.landing / "llm_requests/folder_link")
    os.symlink("/nowhere", zone.landing / "llm_requests/dangling.ndjson")
    os.symlink(zone.landing / "llm_requests", zone.landing / "link")
    report = zone.land()
    found = {entry.path: entry.reason for entry in report.ignored}
    assert found.keys() == ignored.keys()
    assert all(found[path].startswith(reason) for path, reason in ignored.items())
    assert zone.ids() == ["good"]


def test_what_is_no_regular_file_is_not_opened(zone: Zone) -> None:
    zone.put("llm_requests/good.ndjson", lines("good"))
    os.mkfifo(zone.landing / "llm_requests/pipe.ndjson")
    report = zone.land()
    assert [(entry.path, entry.reason) for entry in report.ignored] == [
        ("llm_requests/pipe.ndjson", "it is no regular file")
    ]
    assert zone.ids() == ["good"]


def test_a_file_that_may_not_be_read_is_said_and_loads_when_it_may(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone.put("llm_requests/a.ndjson", lines("1"))
    zone.put("llm_requests/b.ndjson", lines("2"))
    opened = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "a.ndjson":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        report = zone.land()
    assert report.unreadable == [("llm_requests/a.ndjson", "it cannot be read: Permission denied")]
    assert zone.ids() == ["2"]
    zone.land()
    assert zone.ids() == ["1", "2"]


def test_a_folder_that_may_not_be_read_harms_no_other(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone.put("llm_requests/closed/a.ndjson", lines("1"))
    zone.put("llm_requests/open/b.ndjson", lines("2"))
    listed = files._sorted

    def refuse(folder: str | Path) -> list[os.DirEntry[str]]:
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_sorted", refuse)
        report = zone.land()
    assert [(entry.path, entry.reason) for entry in report.ignored] == [
        ("llm_requests/closed", "it cannot be read: Permission denied")
    ]
    zone.land()
    assert zone.ids() == ["1", "2"]


def test_what_goes_away_while_it_is_listed_is_said(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = zone.put("llm_requests/a.ndjson", lines("1"))
    zone.put("llm_requests/b.ndjson", lines("2"))
    listed = files._sorted

    def take_away(folder: str | Path) -> list[os.DirEntry[str]]:
        entries = listed(folder)
        gone.unlink(missing_ok=True)
        return entries

    monkeypatch.setattr(files, "_sorted", take_away)
    zone.put("llm_requests/a.ndjson", lines("1"))
    report = zone.land()
    assert [entry.path for entry in report.ignored] in ([], ["llm_requests/a.ndjson"])
    assert zone.ids() == ["2"]


def test_a_folder_named_like_a_file_is_a_folder(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson/b.ndjson", lines("1"))
    zone.land()
    assert zone.ids() == ["1"]


@pytest.mark.parametrize(
    "name",
    [
        "with space", "it's", 'a "quoted" one', "two\nlines", "日本語 Zoë", "semi;colon{}*?[a]",
        "back\\slash", "%41",
    ],
)  # fmt: skip
def test_awkward_file_names_are_kept_as_they_are(zone: Zone, name: str) -> None:
    zone.put(f"llm_requests/date={name}/{name}.ndjson", lines("1"), "oops\n")
    zone.land()
    path = f"llm_requests/date={name}/{name}.ndjson"
    assert zone.ids() == ["1"]
    assert zone.statuses() == [(path, "loaded")]
    assert zone.rejections() == [(path, 2, "not_json")]


def test_a_name_that_is_not_utf8_is_listed_and_harms_no_other(zone: Zone) -> None:
    zone.put("llm_requests/good.ndjson", lines("good"))
    (zone.landing / "llm_requests" / os.fsdecode(b"\xff.ndjson")).write_bytes(lines("never"))
    report = zone.land()
    assert [(entry.path, entry.reason) for entry in report.ignored] == [
        ("llm_requests/\\xff.ndjson", "its name is not UTF-8")
    ]
    assert zone.ids() == ["good"]


def test_a_landing_zone_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="create it"):
        land(tmp_path / "nowhere", tmp_path / "raw", TABLES, False, "1GB")
    assert not (tmp_path / "raw").exists()


# -------------------------------------------------------------------------------------------------
# Identity is content
# -------------------------------------------------------------------------------------------------


def duplicates(zone: Zone) -> list[tuple[str, str]]:
    """The duplicates, each with the path of the file that it repeats."""
    files = zone.rows("landed_files")
    paths = {file["file_id"]: file["path"] for file in files}
    return [
        (file["path"], paths[file["duplicate_of"]])
        for file in files
        if file["status"] == "duplicate_of"
    ]


def test_the_same_content_in_one_night_loads_once(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", lines("1"))
    zone.put("llm_requests/b.jsonl", lines("1"))
    zone.land()
    assert zone.ids() == ["1"]
    assert duplicates(zone) == [("llm_requests/b.jsonl", "llm_requests/a.ndjson")]


def test_the_same_content_in_a_later_night_loads_once(zone: Zone) -> None:
    zone.put("llm_requests/b.ndjson", lines("1"))
    zone.land()
    zone.put("llm_requests/a.ndjson", lines("1"))
    zone.land()
    assert zone.ids() == ["1"]
    assert duplicates(zone) == [("llm_requests/a.ndjson", "llm_requests/b.ndjson")]
    assert zone.land().load_id is None


def test_a_renamed_file_is_not_loaded_again(zone: Zone) -> None:
    file = zone.put("llm_requests/data.json", lines("1"))
    zone.land()
    file.rename(file.with_name("data-2026-03-01T10-00-00.000.json"))
    zone.land()
    assert zone.ids() == ["1"]


def test_the_same_content_of_two_sources_loads_for_each(zone: Zone) -> None:
    both = {**LEAST["agent_runs"], **LEAST["tool_calls"], "run_id": "r", "call_id": "c"}
    zone.put("agent_runs/a.ndjson", json.dumps(both), "\n")
    zone.put("tool_calls/a.ndjson", json.dumps(both), "\n")
    zone.land()
    assert (zone.ids("agent_runs"), zone.ids("tool_calls")) == (["r"], ["c"])


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd"])
def test_a_replaced_file_loads_again(zone: Zone, packing: str) -> None:
    zone.put("llm_requests/a.ndjson", PACKINGS[packing](lines("1")))
    zone.land()
    zone.put("llm_requests/a.ndjson", PACKINGS[packing](lines("2")))
    zone.land()
    assert zone.ids() == ["1", "2"]
    assert zone.land().load_id is None


def test_a_replaced_file_of_the_same_size_and_time_of_day_is_seen(zone: Zone) -> None:
    file = zone.put("llm_requests/a.ndjson", lines("1"))
    zone.land()
    before = file.stat()
    zone.put("llm_requests/a.ndjson", lines("2"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    zone.land()
    assert zone.ids() == ["1", "2"]


def test_a_touched_file_loads_nothing_again(zone: Zone) -> None:
    file = zone.put("llm_requests/a.ndjson", lines("1"))
    zone.land()
    os.utime(file, (0, 0))
    zone.land()
    assert zone.ids() == ["1"]
    assert zone.land().load_id is None


# -------------------------------------------------------------------------------------------------
# Files that grow
# -------------------------------------------------------------------------------------------------

LONG = line("long", provider="x" * 3_000)


@pytest.fixture(params=[b"", LONG], ids=["short", "long"])
def start(request: pytest.FixtureRequest) -> bytes:
    """What a growing file begins with: its first kilobyte tells whether it is known."""
    return request.param


def grown_ids(zone: Zone) -> list[str]:
    return [key for key in zone.ids() if key != "long"]


def test_of_a_file_that_grew_only_the_new_lines_load(zone: Zone, start: bytes) -> None:
    zone.put("llm_requests/a.ndjson", start, lines("1"))
    zone.land()
    zone.grow("llm_requests/a.ndjson", lines("2"))
    zone.land()
    zone.grow("llm_requests/a.ndjson", lines("3"), b"oops\n")
    zone.land()
    assert grown_ids(zone) == ["1", "2", "3"]
    assert zone.rejections() == [("llm_requests/a.ndjson", 4 + bool(start), "not_json")]
    files = zone.rows("landed_files")
    assert [file["lines"] for file in files] == [1 + bool(start), 1, 2]
    assert len({file["first_file_id"] for file in files}) == 1


def test_a_file_may_grow_under_a_new_name(zone: Zone, start: bytes) -> None:
    file = zone.put("llm_requests/a.ndjson", start, lines("1"))
    zone.land()
    file.rename(file.with_name("b.ndjson"))
    zone.grow("llm_requests/b.ndjson", lines("2"))
    zone.put("llm_requests/a.ndjson", lines("3"))
    zone.land()
    assert grown_ids(zone) == ["1", "2", "3"]


def test_a_cut_line_is_pending_and_loads_when_it_is_completed(zone: Zone, start: bytes) -> None:
    zone.put("llm_requests/a.ndjson", start, lines("1"), line("2")[:30])
    report = zone.land()
    assert report.pending == 1
    assert grown_ids(zone) == ["1"]
    [file] = zone.rows("landed_files")
    assert (file["pending"], file["lines"]) == (1, 1 + bool(start))
    assert file["pending_text"] == line("2")[:30].decode()
    zone.grow("llm_requests/a.ndjson", line("2")[30:], lines("3"), b"oops\n")
    zone.land()
    assert grown_ids(zone) == ["1", "2", "3"]
    assert zone.rejections() == [("llm_requests/a.ndjson", 4 + bool(start), "not_json")]


def test_a_cut_line_may_grow_and_still_be_cut(zone: Zone, start: bytes) -> None:
    zone.put("llm_requests/a.ndjson", start, lines("1"), line("2")[:30])
    for piece in (line("2")[30:40], line("2")[40:50], line("2")[50:]):
        zone.land()
        assert grown_ids(zone) == ["1"]
        zone.grow("llm_requests/a.ndjson", piece)
    zone.land()
    assert grown_ids(zone) == ["1", "2"]
    assert zone.rejections() == []


def test_a_cut_line_is_rejected_by_the_first_night_that_finds_no_more(
    zone: Zone, start: bytes
) -> None:
    zone.put("llm_requests/a.ndjson", start, lines("1"), line("2")[:30])
    zone.land()
    assert zone.rejections() == []
    assert zone.land().rejected == Counter(cut=1)
    [row] = zone.rows("rejected_rows")
    assert (row["path"], row["line"], row["reason"]) == (
        "llm_requests/a.ndjson", 2 + bool(start), "cut",
    )  # fmt: skip
    assert row["raw_text"] == line("2")[:30].decode()
    assert zone.land().load_id is None


def test_a_cut_line_is_rejected_although_its_file_is_gone(zone: Zone) -> None:
    file = zone.put("llm_requests/a.ndjson", lines("1"), line("2")[:30])
    zone.land()
    file.unlink()
    zone.land()
    assert zone.rejections() == [("llm_requests/a.ndjson", 2, "cut")]


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        LONG,
    ],
    ids=["short", "long"],
)
def test_lines_after_a_rejected_cut_line_load(zone: Zone, beginning: bytes) -> None:
    zone.put("llm_requests/a.ndjson", beginning, lines("1"), line("2")[:30])
    zone.land()
    zone.land()
    zone.grow("llm_requests/a.ndjson", b"\n", lines("3"))
    zone.land()
    assert grown_ids(zone) == ["1", "3"]
    assert [reason for _, _, reason in zone.rejections()] == ["cut"]


@pytest.mark.parametrize(
    "whole", [line("1"), line("1", provider="x" * 3_000)], ids=["short", "long"]
)
def test_a_file_that_is_one_cut_line_may_be_completed(zone: Zone, whole: bytes) -> None:
    zone.put("llm_requests/a.ndjson", whole[:-40])
    zone.land()
    zone.put("llm_requests/a.ndjson", whole)
    zone.land()
    zone.land()
    assert zone.ids() == ["1"]
    assert zone.rejections() == []


def test_a_whole_last_line_loads_without_its_newline_and_the_file_may_grow(
    zone: Zone, start: bytes
) -> None:
    for tail in (b"\n", b"\r\n"):
        path = f"llm_requests/{tail.hex()}.ndjson"
        key = tail.hex()
        zone.put(path, start, lines(key), line(f"{key}-2").strip())
        zone.land()
        zone.grow(path, tail, lines(f"{key}-3"), b"oops\n")
        zone.land()
    assert grown_ids(zone) == ["0a", "0a-2", "0a-3", "0d0a", "0d0a-2", "0d0a-3"]
    assert [row[1:] for row in zone.rejections()] == [(4 + bool(start), "not_json")] * 2


def test_a_file_that_grew_by_its_last_newline_only_has_nothing_new(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", lines("1").strip())
    zone.land()
    zone.grow("llm_requests/a.ndjson", b"\n")
    zone.land()
    assert zone.ids() == ["1"]
    assert sum(file["lines"] for file in zone.rows("landed_files")) == 1


def test_a_whole_last_line_that_breaks_a_rule_is_rejected_at_once(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", lines("1"), line("2", attempt=-1).strip())
    zone.land()
    assert zone.rejections() == [("llm_requests/a.ndjson", 2, "negative")]


def test_a_packed_file_does_not_wait_for_its_last_line(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson.gz", gzip.compress(lines("1") + line("2")[:30]))
    assert zone.land().pending == 0
    assert zone.rejections() == [("llm_requests/a.ndjson.gz", 2, "not_json")]


def test_a_copy_that_grew_in_the_same_night_counts_no_line_twice(zone: Zone, start: bytes) -> None:
    zone.put("llm_requests/a.ndjson", start, lines("1"))
    zone.put("llm_requests/b.ndjson", start, lines("1", "2"))
    zone.land()
    assert grown_ids(zone) == ["1", "2"]


def test_two_files_with_one_beginning_keep_their_own_line_numbers(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", lines("1"))
    zone.land()
    zone.put("llm_requests/b.ndjson", lines("1", "2", "3"))
    zone.land()
    zone.grow("llm_requests/a.ndjson", b"oops\n")
    zone.land()
    assert zone.rejections() == [("llm_requests/a.ndjson", 2, "not_json")]


def test_a_cut_line_is_rejected_although_another_file_begins_the_same(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", LONG, b'{"cut')
    zone.land()
    zone.put("llm_requests/b.ndjson", LONG, lines("2"))
    zone.land()
    zone.land()
    assert zone.rejections() == [("llm_requests/a.ndjson", 2, "cut")]


# -------------------------------------------------------------------------------------------------
# Loads
# -------------------------------------------------------------------------------------------------


def test_a_second_night_loads_nothing(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", lines("1"), b"oops\n")
    zone.put("llm_requests/b.ndjson.gz", gzip.compress(lines("2")))
    zone.put_table("llm_requests/c.parquet", table_of(2))
    first = zone.land()
    before = sorted(zone.raw.rglob("*"))
    assert first.load_id == 1
    assert zone.land().load_id is None
    assert sorted(zone.raw.rglob("*")) == before


def test_every_source_is_an_empty_table_before_anything_came(zone: Zone) -> None:
    assert zone.land().load_id is None
    for name, source in TABLES.items():
        [part] = zone.raw.glob(f"000000000/{name}/*.parquet")
        assert pq.read_schema(part).equals(source.schema)
        assert pq.read_metadata(part).num_rows == 0


def test_every_load_has_the_schema_of_the_contract(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", lines("1"), b"oops\n")
    zone.put_table("llm_requests/b.parquet", table_of(1, attempt=pa.array([1], pa.int8())))
    zone.land()
    for name in ("llm_requests", "landed_files", "rejected_rows"):
        [part] = zone.raw.glob(f"000000001/{name}/*.parquet")
        assert pq.read_schema(part).equals(TABLES[name].schema)


def test_rows_know_their_load_and_file(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", lines("1"))
    zone.land()
    zone.put("llm_requests/b.ndjson", lines("2"))
    zone.land()
    paths = {file["file_id"]: file["path"] for file in zone.rows("landed_files")}
    assert [
        (row["request_id"], row["load_id"], paths[row["file_id"]])
        for row in zone.rows("llm_requests")
    ] == [("1", 1, "llm_requests/a.ndjson"), ("2", 2, "llm_requests/b.ndjson")]


def test_a_crash_leaves_no_half_load(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any) -> None:
        raise RuntimeError("the machine stops")

    zone.put("llm_requests/a.ndjson", lines("1"))
    zone.land()
    zone.put("llm_requests/b.ndjson", lines("2"))
    with monkeypatch.context() as patch:
        patch.setattr("orchestration.landing.load._sync", crash)
        with pytest.raises(RuntimeError, match="the machine stops"):
            zone.land()
    assert zone.ids() == ["1"]
    assert list(zone.raw.glob(".load-*"))
    assert zone.land().load_id == 2
    assert zone.ids() == ["1", "2"]
    assert list(zone.raw.glob(".load-*")) == []


@pytest.mark.parametrize("has_new_file", [False, True])
def test_the_remains_of_a_crash_reach_no_load(zone: Zone, has_new_file: bool) -> None:
    remains = zone.raw / ".load-000000001" / "agent_runs"
    remains.mkdir(parents=True)
    (remains / "part-0.parquet").write_bytes(b"half")
    if has_new_file:
        zone.put("llm_requests/a.ndjson", lines("1"))
    assert zone.land().load_id == (1 if has_new_file else None)
    assert list(zone.raw.glob(".load-*")) == []
    assert list(zone.raw.glob("000000001/agent_runs")) == []


def test_reading_changes_nothing_in_the_landing_zone(zone: Zone) -> None:
    zone.put("llm_requests/a.ndjson", lines("1"), b"oops\n")
    zone.put("llm_requests/b.ndjson.gz", gzip.compress(lines("2")))

    def state() -> list[tuple[str, bytes, int]]:
        files = [path for path in sorted(zone.landing.rglob("*")) if path.is_file()]
        return [(str(path), path.read_bytes(), path.stat().st_mtime_ns) for path in files]

    before = state()
    zone.land()
    assert state() == before


@dataclass
class Growing:
    """A file of random lines: what lies there, and the rest of the line that is cut."""

    name: str
    content: bytes
    rest: bytes = b""

    def grow(self, rng: random.Random) -> None:
        """Complete the cut line, add lines of all sorts, and perhaps cut the last one."""
        self.content += self.rest
        self.rest = b""
        for _ in range(rng.randint(1, 30)):
            good = lines(f"{self.name}-{rng.randrange(10**12)}").strip()
            broken = [content for content, _ in BROKEN_LINES.values() if len(content) < 1_000]
            kind = rng.choices([[good], broken, [b"", b" "]], [6, 3, 1])[0]
            self.content += rng.choice(kind) + rng.choice([b"\n", b"\r\n"])
        if rng.random() < 0.4:
            whole = lines(f"{self.name}-{rng.randrange(10**12)}")
            at = rng.randrange(1, len(whole) - 1)
            self.content, self.rest = self.content + whole[:at], whole[at:]


@pytest.mark.parametrize("seed", [1, 2, random.randrange(10**9)], ids=["1", "2", "random"])
def test_every_line_of_a_random_mix_is_loaded_rejected_blank_or_pending(
    zone: Zone, seed: int
) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    growing: list[Growing] = []
    for night in range(4):
        # A file whose last line is cut grows in the next night or never again.
        growing = [file for file in growing if not file.rest or rng.random() < 0.7]
        chosen = [file for file in growing if file.rest or rng.random() < 0.5]
        added = [Growing(f"{night}-{number}", lines(f"{night}-{number}")) for number in range(6)]
        for file in chosen + added:
            file.grow(rng)
            zone.put(f"llm_requests/{file.name}.ndjson", file.content)
        growing += added
        zone.land()

    files = zone.rows("landed_files")
    paths = {file["file_id"]: file["path"] for file in files}
    found = Counter(paths[row["file_id"]] for row in zone.rows("llm_requests"))
    found.update(row["path"] for row in zone.rows("rejected_rows"))
    for file in files:
        found[file["path"]] += file["blank"]
    for path in set(paths.values()):
        found[path] += [file["pending"] for file in files if file["path"] == path][-1]
    expected = Counter()
    for path in (zone.landing / "llm_requests").iterdir():
        pieces = path.read_bytes().split(b"\n")
        expected[f"llm_requests/{path.name}"] = len(pieces) - (pieces[-1] == b"")
    assert found == expected
    assert len(zone.ids()) == len(set(zone.ids()))
    for row in zone.rows("rejected_rows"):
        text = (zone.landing / row["path"]).read_bytes().split(b"\n")[row["line"] - 1]
        assert text.removesuffix(b"\r").decode("utf-8", "backslashreplace") == row["raw_text"]
