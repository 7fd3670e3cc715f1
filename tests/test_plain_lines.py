"""Lines that are read in bulk load as they would one by one: same rows, same rejections."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from orchestration.landing import load
from orchestration.landing.contract import Field, read_contract
from orchestration.landing.plain import PlainLines
from orchestration.project import CONTRACT

CONTRACT_TABLES = read_contract(CONTRACT)
SOURCES = ("agent_runs", "llm_requests", "credit_lines", "tool_calls", "role_grants", "users")
NUMBERS = (
    "0", "1", "12", "007", "-0", "-1", "12.0", "12.5", "1.50", "0.001", "12.0000", "1e3", "1E-3",
    "2.5e-05", "1e400", "0.1234567890123", "0.0071400000000000005", "1234567.123456789012",
    "9999999999999", "10000000000000", "99999999999999999999", "1000000000000", "0.00000000000005",
    "-0.0", "NaN", "Infinity", "-inf", "true", "false",
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
