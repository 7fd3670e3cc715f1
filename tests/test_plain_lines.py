"""What is read in bulk loads as it would one by one: same rows, same rejections, same books."""

import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestration.landing import load, parquet
from orchestration.landing.contract import Field, read_contract
from orchestration.landing.plain import PlainLines
from orchestration.project import CONTRACT

CONTRACT_TABLES = read_contract(CONTRACT)
SOURCES = ("agent_runs", "llm_requests", "credit_lines", "tool_calls", "role_grants", "users")
NUMBERS = (
    "0", "1", "12", "007", "-0", "-1", "12.0", "12.5", "1.50", "0.001", "12.0000", "1e3", "1E-3",
    "2.5e-05", "1e400", "0.1234567890123", "0.0071400000000000005", "1234567.123456789012",
    "9999999999999", "10000000000000", "99999999999999999999", "1000000000000", "0.00000000000005",
    "-0.0", "123456789012345678", "-999999999999999999", "NaN", "Infinity", "-inf", "true", "false",
)  # fmt: skip
TEXTS = (
    "a", "", "null", "true", "NaN", "inf", "-Infinity", "12", "-0", "1.5", "1e5", "12e", "[1]",
    "{}", "a,]", "x ]", "\u00e9", "\U0001f600", "tab\t", "nul\0", 'quo"te', "back\\slash",
    "0123456789abcdef0123456789abcdef", "12345678901234567890123456789e12", "-", "  ", "+1",
)  # fmt: skip
INSTANTS = (
    "2026-03-01T10:00:00Z", "2026-03-01 10:00:00.5Z", "2026-03-01T10:00:00.123456+05:30",
    "2026-03-01T10:00:00.123456789Z", "2026-03-01T10:00:00", "2026-02-30T10:00:00Z",
    "2024-02-29T23:59:59Z", "2025-02-29T00:00:00Z", "2000-01-01T00:00:00+01:00",
    "2099-12-31T23:59:59-01:00", "2026-03-01T24:00:00Z", "2026-03-01T10:60:00Z", "2026-03-01",
    "2026-03-01T10:00Z", "2026-03-01t10:00:00z", "2026-12-31T23:59:59.999999-13:59",
    "1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "2026-03-01T10:00:00+14:30", "",
)  # fmt: skip
ODD_VALUES = (
    "null", "[]", "{}", '["a",]', "[1]", '{"a":1}', '"\\ud800"', '"\\u0041\\n"', '[null,"a"]',
)  # fmt: skip


def literal(rng: random.Random, field: Field) -> str:
    """A JSON value as text: mostly good for the field, sometimes odd."""
    if rng.random() < 0.03:
        return rng.choice(ODD_VALUES + NUMBERS)
    if rng.random() < 0.1 and not field.is_required:
        return "null"
    rare = rng.random() < 0.05
    if field.allowed:
        return json.dumps(rng.choice(TEXTS if rare else field.allowed))
    if field.kind == "instant":
        return json.dumps(rng.choice(INSTANTS if rare else INSTANTS[:3]))
    if field.kind in ("whole", "latency", "amount"):
        number = rng.choice(NUMBERS) if rare else str(rng.randrange(10 ** rng.randrange(1, 9)))
        if field.kind != "whole" and rng.random() < 0.5:
            number = f"{number}.{rng.randrange(1000)}"
        return json.dumps(number) if rng.random() < 0.2 else number
    if field.kind == "boolean":
        return rng.choice(NUMBERS if rare else ("true", "false", '"true"'))
    if field.kind == "tags":
        tags = [rng.choice(TEXTS if rare else ("prod", "dev")) for _ in range(rng.randrange(3))]
        return json.dumps(tags, separators=rng.choice(((",", ":"), (", ", ": "))))
    text = rng.choice(TEXTS) if rare else f"{field.name}-{rng.randrange(1000)}"
    return json.dumps(text, ensure_ascii=rng.random() < 0.5)


def random_line(rng: random.Random, fields: list[Field]) -> bytes:
    """A line of one of several producers: some leave nulls out, some write spaces."""
    comma, colon = rng.choice(((",", ":"), (", ", ": "), (" , ", "\t:")))
    members = [
        (field.name, literal(rng, field))
        for field in fields
        if field.is_required or rng.random() < 0.9
    ]
    if rng.random() < 0.05:
        members.append((rng.choice(("region", "Model", "prompt", members[0][0])), '"x"'))
    if rng.random() < 0.1:
        rng.shuffle(members)
    inner = comma.join(f"{json.dumps(name)}{colon}{value}" for name, value in members)
    text = f"{{{inner}{rng.choice((',', ' ', '')) if rng.random() < 0.02 else ''}}}"
    content = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        # A byte is lost, doubled or another one.
        at = rng.randrange(len(content))
        other = rng.choice((b"", content[at : at + 1] * 2, bytes([rng.randrange(256)]), b" "))
        content = content[:at] + other.replace(b"\n", b"") + content[at + 1 :]
    return content + rng.choice((b"\n", b"\n", b"\r\n"))


def everything(raw: Path) -> dict[str, Any]:
    """All rows that were loaded or rejected, in no order, and the books."""
    folder = raw / "000000001"
    rows: dict[str, Any] = {}
    for name in (*SOURCES, "rejected_rows", "landed_files"):
        parts = [part for part in (folder / name).glob("*.parquet")]
        rows[name] = Counter(repr(row) for part in parts for row in pq.read_table(part).to_pylist())
    return rows


@pytest.mark.parametrize("seed", [1, 2, random.randrange(10**9)], ids=["1", "2", "random"])
def test_lines_read_in_bulk_load_as_they_would_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    for source in SOURCES:
        fields = list(CONTRACT_TABLES[source].fields)
        for number in range(3):
            file = tmp_path / "landing" / source / f"{number}.ndjson"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"".join(random_line(rng, fields) for _ in range(400)))
    in_bulk = 0
    read = PlainLines.read

    def counting(self: PlainLines, chunk: Any) -> Any:
        nonlocal in_bulk
        plain = read(self, chunk)
        in_bulk += len(plain.lines)
        return plain

    monkeypatch.setattr(PlainLines, "read", counting)
    outcomes = []
    for fewest in (0, 10**9):
        monkeypatch.setattr(load, "FEWEST_PLAIN_LINES", fewest)
        # Small blocks: a file is read in several, and a block holds pieces of several files.
        monkeypatch.setattr(load, "BLOCK_BYTES", 50_000)
        raw = tmp_path / str(fewest) / "raw"
        load.land(tmp_path / "landing", raw, CONTRACT_TABLES, False, "1GB")
        outcomes.append(everything(raw))
    assert outcomes[0] == outcomes[1]
    # Otherwise nothing was compared.
    assert in_bulk > 1_500
    assert sum(outcomes[0]["rejected_rows"].values()) > 500


def random_column(rng: random.Random, field: Field, rows: int) -> pa.Array:
    """A column of a type that producers choose for the field, with values that break rules."""

    def drawn(usual: Callable[[], Any], odd: list[Any]) -> list[Any]:
        may_be_null = 0.0 if field.is_required else 0.1
        return [
            None
            if rng.random() < may_be_null
            else rng.choice(odd)
            if rng.random() < 0.02
            else usual()
            for _ in range(rows)
        ]

    if field.allowed:
        return pa.array(drawn(lambda: rng.choice(field.allowed), ["", "other", None]))
    if field.kind == "instant":
        march = datetime(2026, 3, 1, tzinfo=UTC)
        odd = [datetime(1999, 12, 31, 23, 59), datetime(2100, 1, 1), datetime(2000, 1, 1), None]
        values = drawn(lambda: march + timedelta(seconds=rng.randrange(10**6)), odd)
        instants = [value and value.replace(tzinfo=UTC) for value in values]
        unit, zone = rng.choice(("s", "ms", "us", "ns")), rng.choice((None, "UTC", "Asia/Tokyo"))
        if unit == "ns":
            zone = None
        naive = [value and value.replace(tzinfo=None) for value in instants]
        return pa.array(instants if zone else naive, pa.timestamp(unit, zone))
    if field.kind == "whole":
        kind = rng.choice((pa.int64(), pa.int32(), pa.uint64(), pa.uint16(), pa.float64()))
        odd = [0, 7] if kind == pa.uint16() else [0, 2**31 - 1]
        odd += [-1] if pa.types.is_signed_integer(kind) or kind == pa.float64() else []
        odd += [10**13, 10**13 + 1] if kind in (pa.int64(), pa.uint64(), pa.float64()) else []
        return pa.array(drawn(lambda: rng.randrange(1000), odd), kind)
    if field.kind in ("latency", "amount"):
        kind = rng.choice((pa.float64(), pa.decimal128(20, 3), pa.int64(), pa.decimal128(38, 12)))
        if kind == pa.float64():
            odd = [0.1 + 0.2, -0.0, -1.5, float("nan"), float("inf"), 1e300, 5e-13, 2.5e-7, 1e15]
            return pa.array(drawn(lambda: round(rng.random() * 1000, rng.randrange(13)), odd), kind)
        if kind == pa.int64():
            return pa.array(drawn(lambda: rng.randrange(10**6), [-1, 10**12 + 1, 10**18 + 1]), kind)
        odd = [Decimal("-0.001"), Decimal(10**13), Decimal("0.001")]
        usual = lambda: Decimal(rng.randrange(10**6)).scaleb(-3)  # noqa: E731
        return pa.array(drawn(usual, odd), kind)
    if field.kind == "boolean":
        return pa.array(drawn(lambda: rng.random() < 0.5, [True]))
    if field.kind == "tags":
        odd = rng.choice(([[]], [[""], [None], []]))
        return pa.array(drawn(lambda: ["prod"], odd), pa.list_(pa.string()))
    return pa.array(drawn(lambda: f"{field.name}-{rng.randrange(100)}", ["", "é", None]))


@pytest.mark.parametrize("seed", [1, 2, random.randrange(10**9)], ids=["1", "2", "random"])
def test_plain_parquet_rows_load_as_they_would_when_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    for source in SOURCES:
        for number in range(8):
            file = tmp_path / "landing" / source / f"{number}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            columns = {
                field.name: random_column(rng, field, 200)
                for field in CONTRACT_TABLES[source].fields
                if field.is_required or rng.random() < 0.8
            }
            pq.write_table(pa.table(columns), file)
    plain_rows = parquet.plain_rows
    plain = 0

    def counting(part: pa.Table, source: Any) -> Any:
        nonlocal plain
        found = plain_rows(part, source)
        plain += 0 if found is None else int(found[1].sum())
        return found

    outcomes = []
    for name, chosen in (("plain", counting), ("judged", lambda part, source: None)):
        monkeypatch.setattr(parquet, "plain_rows", chosen)
        raw = tmp_path / name / "raw"
        load.land(tmp_path / "landing", raw, CONTRACT_TABLES, False, "1GB")
        outcomes.append(everything(raw))
    assert outcomes[0] == outcomes[1]
    assert plain > 1_000
    assert sum(outcomes[0]["rejected_rows"].values()) > 500
