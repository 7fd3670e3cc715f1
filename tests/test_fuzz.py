"""Damaged input of every kind: each line ends where a second reading of the contract says.

Valid files of every source are damaged (bytes flipped, cut, spliced, types swapped, lines doubled
and reordered), landed, and compared with `expected`, which reads one line at a time and shares only
JSON parsing and canonical JSON with the loader. --fuzz-rounds and --fuzz-seed change how much.
"""

import gzip
import io
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from orchestration.landing.content import without_content
from orchestration.landing.contract import Field, Source, read_contract
from orchestration.landing.decode import canonical_json, json_float
from orchestration.landing.load import land
from orchestration.project import CONTRACT
from tests.test_otlp import log, logs, rich_log, rich_metric, rich_span
from tests.test_plain_lines import literal, random_column

TABLES = read_contract(CONTRACT)
PLATFORM = [name for name, source in TABLES.items() if source.role in ("event", "reference")]
LINES_A_FILE = 1_000
FILES_A_SOURCE = 1

INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
    r"(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?)"
)


class Refused(Exception):
    """The line does not load."""


# -------------------------------------------------------------------------------------------------
# A second reading of the contract
# -------------------------------------------------------------------------------------------------


def parsed(text: bytes) -> dict[str, Any]:
    """The object that a line holds, a number with a point or exponent as json_float."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise Refused
        return dict(pairs)

    def refuse(_: str) -> None:
        raise Refused

    try:
        value = json.loads(
            text.decode(), object_pairs_hook=unique, parse_constant=refuse, parse_float=json_float
        )
    except (ValueError, RecursionError) as error:
        raise Refused from error
    if not isinstance(value, dict):
        raise Refused
    return value


def expected(source: Source, text: bytes) -> dict[str, Any]:
    """The row of a line, by column; raises Refused."""
    fields = parsed(text)
    row = {field.name: stored(field, fields.get(field.name)) for field in source.fields}
    if any(row[field.name] is None for field in source.fields if field.is_required):
        raise Refused
    unknown = {name: fields[name] for name in fields.keys() - row.keys()}
    extra = canonical_json(without_content(unknown))
    row["extra"] = None if extra == "{}" else extra
    try:
        repr(row).encode()
        json.dumps(row, default=str, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Refused from error
    return row


def stored(field: Field, value: Any) -> Any:
    """The value that a field stores of a JSON value; raises Refused."""
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if field.kind in ("id", "text"):
        if is_number:
            value = getattr(value, "text", None) or str(value)
        if not isinstance(value, str) or (field.allowed and value not in field.allowed):
            raise Refused
        return (value or None) if field.kind == "id" else value
    if field.kind == "boolean":
        if value not in (True, False, "true", "false") or is_number:
            raise Refused
        return value in (True, "true")
    if field.kind == "instant":
        return instant(value)
    if field.kind == "tags":
        if isinstance(value, str) and value.startswith("["):
            try:
                value = json.loads(value)
            except ValueError as error:
                raise Refused from error
        if not isinstance(value, list):
            raise Refused
        if any(tag is not None and not isinstance(tag, str) for tag in value):
            raise Refused
        return [tag for tag in value if tag] or None
    return number(field.kind, value, is_number)


def number(kind: str, value: Any, is_number: bool) -> Any:
    """A whole number, latency or amount."""
    is_text = isinstance(value, str)
    pattern = r"-?[0-9]+(\.0+)?" if kind == "whole" else r"-?[0-9]+(\.[0-9]+)?"
    if not is_number and not (is_text and re.fullmatch(pattern, value)):
        raise Refused
    exact = Decimal(value if is_text else repr(float(value)) if isinstance(value, float) else value)
    limit = {"whole": 10**13, "latency": 10**12, "amount": 10**18}[kind]
    if not exact.is_finite() or abs(exact) > limit:
        raise Refused
    if kind == "whole":
        if exact != int(exact) or exact < 0 or (is_text and value.startswith("-")):
            raise Refused
        return int(exact)
    if kind == "latency" and exact < 0:
        raise Refused
    with localcontext(prec=60):
        places = Decimal(1).scaleb(-3 if kind == "latency" else -12)
        rounded = exact.quantize(places, ROUND_HALF_EVEN)
    if kind == "amount" and is_text and len(value.partition(".")[2]) > 12:
        raise Refused
    return rounded or abs(rounded)  # no negative zero


def instant(value: Any) -> datetime:
    """A naive UTC instant to the microsecond."""
    found = INSTANT.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise Refused
    *parts, fraction, sign, hours, minutes = found.groups()
    numbers = [int(part or 0) for part in parts]
    is_end_of_day = numbers[3:] == [24, 0, 0] and not int(fraction or 0)
    try:
        local = datetime(*numbers[:3], *((0, 0, 0) if is_end_of_day else numbers[3:]))
        local += timedelta(days=is_end_of_day)
    except (ValueError, OverflowError) as error:
        raise Refused from error
    local += timedelta(microseconds=int((fraction or "")[:6].ljust(6, "0")))
    if int(hours or 0) > 15 or int(minutes or 0) > 59:
        raise Refused
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    utc = local - (offset if sign == "+" else -offset)
    if not datetime(2000, 1, 1) <= utc < datetime(2100, 1, 1):
        raise Refused
    return utc


# -------------------------------------------------------------------------------------------------
# Damage
# -------------------------------------------------------------------------------------------------


def valid_lines(rng: random.Random, source: str, count: int) -> list[bytes]:
    """Good lines, nearly all."""
    if source == "otlp":
        requests = [rich_log(), rich_span(), rich_metric(), logs()]
        requests += [
            logs(*(log({"input_tokens": n, "cost_usd": n / 8, "user.id": f"u{n}"}) for n in group))
            for group in ((1,), (2, 3), (4, 5, 6))
        ]
        return [json.dumps(rng.choice(requests)).encode() for _ in range(count)]
    lines = []
    for _ in range(count):
        members = [
            f"{json.dumps(field.name)}:{literal(rng, field)}"
            for field in TABLES[source].fields
            if field.is_required or rng.random() < 0.7
        ]
        if rng.random() < 0.1:
            members.append(f'"region":{rng.choice(["1", "1.50", "[null]", "true"])}')
        lines.append(f"{{{','.join(members)}}}".encode("utf-8", "surrogatepass"))
    return lines


SWAPPED = (
    "null", "true", "false", "0", "-1", "2.7", "1e3", "1E400", "12.0", '"12"', '" 1"', '"+5"',
    '"1e3"', '"1_000"', '"0x10"', '""', '"NaN"', "NaN", "-Infinity", "[]", "{}", '["a"]', "[1]",
    '{"a":1}', '"2026-03-01"', '"2026-03-01T10:00:00"', '"2026-03-01T10:00:00Z"',
    '"2026-03-01T10:00:60Z"', '"2026-02-30T10:00:00Z"', '"9999-12-31T23:59:59Z"', "1772359200",
    "9223372036854775808", "10000000000001", "0.1234567890123", '"0.1234567890123"',
    "12345678901234567.123456789", '"\\ud800"', '"\\u0000"', "0.0005", "-0.0", '"-0"', "-0",
)  # fmt: skip


def damaged(rng: random.Random, line: bytes, other: bytes) -> bytes:
    """A line after one or two accidents."""
    for _ in range(rng.choice((1, 1, 1, 2))):
        at = rng.randrange(len(line)) if line else 0
        kind = rng.randrange(6)
        if kind == 0 and line:
            line = line[:at] + bytes([line[at] ^ (1 << rng.randrange(8))]) + line[at + 1 :]
        elif kind == 1:
            line = line[:at] if rng.random() < 0.5 else line[at:]
        elif kind == 2:
            line = line[:at] + other[rng.randrange(len(other)) :]
        elif kind == 3:
            noise = bytes(rng.choices(b'0123456789-eE."{}[]:,\\ux\xff\0 nt\r', k=rng.randint(0, 3)))
            line = line[:at] + noise + line[at + rng.randint(0, 3) :]
        else:
            values = list(re.finditer(rb'(?<=[^\\]":)("[^"\\]*"|[^",{}\[\]]+)(?=[,}])', line))
            if values:
                value = rng.choice(values)
                swapped = rng.choice(SWAPPED)
                if rng.random() < 0.3:
                    text = value.group().decode("utf-8", "replace")
                    swapped = text.strip('"') if text.startswith('"') else json.dumps(text)
                line = line[: value.start()] + swapped.encode() + line[value.end() :]
    return line


def damaged_file(rng: random.Random, source: str, count: int) -> bytes:
    """Lines of a source, most of them damaged, some twice, in any order."""
    good = valid_lines(rng, source, count // 4)
    lines = [
        damaged(rng, rng.choice(good), rng.choice(good)) if rng.random() < 0.9 else rng.choice(good)
        for _ in range(count)
    ]
    lines += [*rng.sample(lines, count // 20), b"", b" \t"]
    rng.shuffle(lines)
    ending = rng.choice((b"\n", b"\r\n"))
    return ending.join(lines) + rng.choice((ending, b""))


def packed(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    """A content with its ending, packed or not."""
    kind = rng.randrange(4)
    if kind == 0:
        return ".gz", gzip.compress(content, 1)
    if kind == 1:
        return ".zst", zstandard.ZstdCompressor(level=1).compress(content)
    return "", content


# -------------------------------------------------------------------------------------------------
# Books
# -------------------------------------------------------------------------------------------------


def rows_of(raw: Path, table: str) -> Iterator[dict[str, Any]]:
    for part in sorted(raw.glob(f"[0-9]*/{table}/*.parquet")):
        yield from pq.read_table(part).to_pylist()


def pieces(content: bytes) -> list[bytes]:
    """The lines of a file as they are numbered."""
    found = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    whole = [piece.removesuffix(b"\r") for piece in found[:-1]]
    return whole + ([found[-1]] if found[-1] else [])


def is_pending(content: bytes, is_packed: bool) -> bool:
    """Whether the last line is cut and may grow."""
    last = content.rpartition(b"\n")[2]
    if is_packed or not last.strip():
        return False
    try:
        parsed(last)
    except Refused:
        return True
    return False


def check_platform(
    source: str, lines: list[bytes], rows: list[dict[str, Any]], rejected: dict[int, dict]
) -> None:
    """Every line loads as `expected` says, or is rejected where that refuses it."""
    wanted: Counter[str] = Counter()
    for line_number, text in enumerate(lines, 1):
        if not text.strip():
            assert line_number not in rejected, (source, line_number)
            continue
        try:
            row = expected(TABLES[source], text)
        except Refused:
            assert line_number in rejected, f"{source} takes {text!r}"
            continue
        assert line_number not in rejected, f"{source} {rejected[line_number]['detail']}: {text!r}"
        wanted[repr(sorted(row.items()))] += 1
    found = Counter(
        repr(sorted((k, v) for k, v in row.items() if k not in ("load_id", "file_id")))
        for row in rows
    )
    assert found == wanted, (source, list((found - wanted) + (wanted - found))[:4])
    key = TABLES[source].key
    assert all(row[name] for row in rows for name in key)


def leaves(value: Any) -> Iterator[str]:
    """Every name and value of a JSON value as text, numbers in plain notation."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, bool):
        yield str(value).lower()
    elif isinstance(value, (int, float)):
        yield f"{Decimal(repr(float(value)) if isinstance(value, float) else value):f}"
    elif value is not None:
        yield value


def check_telemetry(
    lines: list[bytes], rows: list[dict[str, Any]], rejected: list[dict[str, Any]], blank: int
) -> None:
    """Every line has records, is rejected, or is blank; every text of a record is in its line."""
    by_line: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        by_line.setdefault(row["line"], []).append(row)
    whole = {row["line"] for row in rejected if row["record_number"] is None}
    partly = Counter(row["line"] for row in rejected if row["record_number"] is not None)
    assert len(whole) == sum(row["record_number"] is None for row in rejected)
    with_records = by_line.keys() | partly.keys()
    assert not with_records & whole
    assert len(with_records) + len(whole) + blank == len(lines)
    for line_number, text in enumerate(lines, 1):
        if line_number not in by_line:
            continue
        request = parsed(text)
        known = set(leaves(request))
        records = len(re.findall(r"(?:end)?[tT]imeUnixNano", json.dumps(request)))
        assert len(by_line[line_number]) + partly[line_number] <= max(records, 8)
        for row in by_line[line_number]:
            assert row["record_id"]
            assert row["recorded_at"]
            for name in ("service_name", "scope_name", "trace_id", "span_id", "parent_span_id"):
                assert row[name] is None or row[name] in known, (name, row[name], text)
            for name, value in [*row["attributes"], *row["resource"]]:
                assert name in known, (name, text)
                assert (
                    value in known
                    or re.fullmatch(r"[\[{].*[\]}]", value, re.S)
                    or is_number_among(value, known)
                ), (value, text)


def is_number_among(value: str, known: set[str]) -> bool:
    """Whether a number stands there, perhaps in another notation or to 12 decimals."""
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
        return False
    for text in known:
        if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", text):
            with localcontext(prec=400):
                other = Decimal(text)
                through_double = abs(other) * Decimal(2) ** -52
                if abs(other - Decimal(value)) <= Decimal("0.0005") + through_double:
                    return True
    return False


def test_every_damaged_line_ends_where_the_contract_says(tmp_path: Path, fuzz_seed: int) -> None:
    rng = random.Random(fuzz_seed)
    contents: dict[str, tuple[bytes, bool]] = {}
    for source in [*PLATFORM, "otlp"]:
        for file_number in range(FILES_A_SOURCE):
            content = damaged_file(rng, source, LINES_A_FILE)
            ending, written = packed(rng, content)
            file = tmp_path / "landing" / source / f"{file_number}.ndjson{ending}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(written)
            contents[file.relative_to(tmp_path / "landing").as_posix()] = content, bool(ending)
    land(tmp_path / "landing", tmp_path / "raw", TABLES, False, "1GB")

    files = {row["path"]: row for row in rows_of(tmp_path / "raw", "landed_files")}
    assert {path: row["status"] for path, row in files.items()} == dict.fromkeys(contents, "loaded")
    rejected: dict[int, list[dict[str, Any]]] = {}
    for row in rows_of(tmp_path / "raw", "rejected_rows"):
        assert row["reason"]
        assert len(row["detail"].split()) > 2, row
        rejected.setdefault(row["file_id"], []).append(row)
    loaded: dict[int, list[dict[str, Any]]] = {}
    for source in [*PLATFORM, "otlp"]:
        for row in rows_of(tmp_path / "raw", source):
            loaded.setdefault(row["file_id"], []).append(row)
    count = 0
    for path, (content, is_packed) in contents.items():
        lines, file = pieces(content), files[path]
        count += len(lines)
        assert file["pending"] == is_pending(content, is_packed), path
        assert len(lines) == file["lines"] + file["pending"], path
        lines = lines[: file["lines"]]
        rows, refused = loaded.get(file["file_id"], []), rejected.get(file["file_id"], [])
        if file["source"] == "otlp":
            check_telemetry(lines, rows, refused, file["blank"])
            continue
        assert file["lines"] == len(rows) + len(refused) + file["blank"], path
        by_line = {row["line"]: row for row in refused}
        assert len(by_line) == len(refused)
        check_platform(file["source"], lines, rows, by_line)
    print(f"seed {fuzz_seed}: {count:,} lines")


def test_damaged_packed_files_load_whole_or_not_at_all(tmp_path: Path, fuzz_seed: int) -> None:
    rng = random.Random(fuzz_seed)
    rows = 40
    originals = {}
    checked = zstandard.ZstdCompressor(level=1, write_checksum=True)
    for number in range(60):
        source = rng.choice(("llm_requests", "credit_lines", "users"))
        fields = TABLES[source].fields
        columns = {field.name: random_column(rng, field, rows) for field in fields}
        sink = io.BytesIO()
        pq.write_table(pa.table(columns), sink, write_page_checksum=True)
        lines = b"".join(line + b"\n" for line in valid_lines(rng, source, rows))
        packings = (sink.getvalue(), gzip.compress(lines), checked.compress(lines))
        content = bytearray(packings[number % 3])
        at = rng.randrange(len(content))
        if rng.random() < 0.5:
            content[at] ^= 1 << rng.randrange(8)
        else:
            content[at : at + rng.randrange(1, 50)] = b""
        file = tmp_path / "landing" / source / f"{number}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        originals[f"{source}/{number}.json"] = rows
    report = land(tmp_path / "landing", tmp_path / "raw", TABLES, False, "1GB")
    assert report.load_id == 1
    files = list(rows_of(tmp_path / "raw", "landed_files"))
    assert len(files) == len(originals)
    found = Counter(row["file_id"] for row in rows_of(tmp_path / "raw", "rejected_rows"))
    for source in ("llm_requests", "credit_lines", "users"):
        found.update(row["file_id"] for row in rows_of(tmp_path / "raw", source))
    for file in files:
        is_loaded = file["status"] == "loaded"
        assert found[file["file_id"]] == file["lines"] - file["blank"], file
        assert file["lines"] in ((rows,) if is_loaded else (0,)), file
