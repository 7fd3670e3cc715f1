"""Random, awkward landing trees: the same bytes for a seed, delivered as they fell or shuffled.

A tree is invented as typed records (who, when, how much), each of which lands one or more times, in
one or more versions, in random nights; only then is it decided how every landed row is spelled and
in which file and format it lies. Every content that must not be stored begins with `planted `.

What two correct readers may read differently is left out: integers in text fields other than ids,
"12.0" as text for a whole number, numbers of more than 15 digits, rows of one key and revision that
differ in unknown fields or in parts of a second only, requests without agent, user or session whose
run has one, metrics where no log says the same, the very instant 2100-01-01.
"""

import gzip
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

Record = dict[str, Any]

AS_OF = datetime(2026, 3, 15, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
BOM = b"\xef\xbb\xbf"

LINE_ENDINGS = tuple(
    f".{kind}{packing}" for kind in ("ndjson", "jsonl", "json") for packing in ("", ".gz", ".zst")
)

# `field:kind`; the first field is the key, `!` marks a required one, `|` a closed enumeration.
FIELD_TEXTS: dict[str, str] = {
    "agent_runs": """
        run_id:id! agent_id:id user_id:id organisation_id:id session_id:id conversation_id:id
        api_key_id:id provider:text model:text started_at:instant! ended_at:instant latency_ms:ms
        status:succeeded|failed|cancelled! error_type:text input_tokens:whole output_tokens:whole
        cache_read_tokens:whole cache_write_tokens:whole tags:tags revision:whole""",
    "llm_requests": """
        request_id:id! run_id:id session_id:id conversation_id:id agent_id:id agent_instance_id:id
        user_id:id organisation_id:id team_id:id api_key_id:id provider:text model:text!
        requested_at:instant! duration_ms:ms status:succeeded|failed error_type:text attempt:whole
        input_tokens:whole cache_read_tokens:whole cache_write_5m_tokens:whole
        cache_write_1h_tokens:whole output_tokens:whole reasoning_tokens:whole
        reported_cost_usd:money tags:tags revision:whole""",
    "tool_calls": """
        call_id:id! run_id:id session_id:id agent_id:id agent_instance_id:id user_id:id
        organisation_id:id mcp_id:id tool_name:text! called_at:instant! duration_ms:ms
        outcome:executed|failed|blocked! policy_id:id policy_name:text policy_description:text
        tags:tags revision:whole""",
    "conversation_messages": """
        message_id:id! conversation_id:id! organisation_id:id agent_id:id user_id:id role:text
        sent_at:instant! revision:whole""",
    "credit_lines": """
        line_id:id! occurred_at:instant! organisation_id:id! agent_id:id user_id:id
        conversation_id:id run_id:id category:text! description:text credits:money!
        kind:usage|refund|adjustment|grant revision:whole""",
    "organisations": "organisation_id:id! name:text parent_organisation_id:id updated_at:instant!",
    "users": """
        user_id:id! email:text display_name:text role:text organisation_id:id team_id:id
        created_at:instant deleted_at:instant updated_at:instant!""",
    "user_identities": "identity:id! user_id:id updated_at:instant!",
    "teams": "team_id:id! name:text organisation_id:id updated_at:instant!",
    "agents": """
        agent_id:id! name:text agent_type:text model:text created_by:id organisation_id:id
        tags:tags created_at:instant deleted_at:instant updated_at:instant!""",
    "agent_instances": "agent_instance_id:id! agent_id:id user_id:id updated_at:instant!",
    "mcp_servers": "mcp_id:id! name:text tags:tags updated_at:instant!",
    "policies": "policy_id:id! name:text description:text updated_at:instant!",
}
FIELDS: dict[str, dict[str, str]] = {
    source: dict(part.split(":") for part in text.split()) for source, text in FIELD_TEXTS.items()
}
SOURCES = (*FIELDS, "otlp")

AWKWARD_NAMES = (
    "Plain", "Comma, Inc.", 'The "quoted" one', "two\nlines", "carriage\r\nreturn", "🦜 parrot",
    "=1+1", "+49 30", "-dash", "@sum(A1)", "\ttab first", "＝full width", "Zoë Ångström",
    "semi;colon", "back\\slash", "line\u2028separator", "next\x85line", "'apostrophe", "日本語",
    " space around ", "null", "0", "<b>bold</b>", "form\x0cfeed",
)  # fmt: skip
MODELS = (
    "claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5", "gpt-5.2", "gemini-3-pro",
    "acme-private-llm-v1", "modèle-élan",
)  # fmt: skip
CATEGORIES = ("LLM", "WebSearch", "SpeechToText", "Voice, outbound", "=Category")
OFFSETS = (0, 60, 120, 330, 345, -210, -480, 840, -720)


class Spelled(str):
    """A JSON value as it is written in the line."""


@dataclass(frozen=True)
class Delivery:
    """Bytes that one night finds at a path: a new file, or what a known one has grown by."""

    night: int
    path: str
    content: bytes


@dataclass(frozen=True)
class Arrival:
    """One landed row: a typed record, or a line as it is."""

    night: int
    source: str
    content: Record | bytes


def key_of(source: str) -> str:
    """The name of the key field of a source."""
    return next(iter(FIELDS[source]))


def fields_of_kind(source: str, kind: str) -> list[str]:
    """The names of the fields of one kind (`id`, `text`, `whole` ...) of a source."""
    return [name for name, marked in FIELDS[source].items() if marked.removesuffix("!") == kind]


def instant_field(source: str) -> str:
    """The field that says when an event was, or which version of an entity is newer."""
    return next(name for name, kind in FIELDS[source].items() if kind == "instant!")


# -------------------------------------------------------------------------------------------------
# Spelling: one typed record, many ways to write it
# -------------------------------------------------------------------------------------------------


def spelled_instant(rng: Random, moment: datetime) -> str:
    """ISO 8601 text of an instant: with Z or an offset, with no to nine decimals."""
    offset = rng.choice(OFFSETS) if rng.random() < 0.3 else 0
    wall = moment.astimezone(timezone(timedelta(minutes=offset)))
    text = wall.strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{wall.microsecond:06}"
    if rng.random() < 0.1:
        text += f".{digits}{rng.randrange(1000):03}"
    elif wall.microsecond or rng.random() < 0.3:
        text += f".{digits if rng.random() < 0.5 else digits.rstrip('0') or '0'}"
    sign = "-" if offset < 0 else "+"
    with_offset = f"{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    return text + (with_offset if offset or rng.random() < 0.1 else "Z")


def spelled_decimal(rng: Random, number: Decimal) -> Any:
    """Decimal text, sometimes with zeros behind, or a JSON number of at most 15 digits."""
    text = format(number, "f")
    if len(number.as_tuple().digits) <= 15 and rng.random() < 0.4:
        return Spelled(text)
    places = len(text.partition(".")[2])
    if places and places < 3 and rng.random() < 0.2:
        text += "0"
    return text


def spelled_value(rng: Random, field: str, value: Any) -> Any:
    """What json.dumps writes for a typed value, Spelled where it writes it as it is."""
    if isinstance(value, Spelled | list) or value is None:
        return value
    if isinstance(value, datetime):
        return spelled_instant(rng, value)
    if isinstance(value, Decimal):
        return spelled_decimal(rng, value)
    if isinstance(value, int):
        return rng.choice((value, value, value, Spelled(f"{value}.0"), str(value)))
    is_number_like = isinstance(value, str) and value.isdecimal() and value[0] != "0"
    if field.endswith("_id") and is_number_like and rng.random() < 0.5:
        return int(value)
    return value


def spelled_line(rng: Random, source: str, record: Record) -> bytes:
    """One JSON line: keys in any order, with or without spaces and explicit nulls."""
    fields = {name: spelled_value(rng, name, value) for name, value in record.items()}
    for name, kind in FIELDS[source].items():
        if name not in fields and not kind.endswith("!") and rng.random() < 0.15:
            fields[name] = "" if kind == "id" and rng.random() < 0.5 else None
    names = list(fields)
    if rng.random() < 0.5:
        rng.shuffle(names)
    comma, colon = rng.choice(((",", ":"), (", ", ": "), (" ,  ", " : ")))
    is_ascii = rng.random() < 0.3
    pairs = (f"{json.dumps(name)}{colon}{json_text(fields[name], is_ascii)}" for name in names)
    edge = rng.choice(("", "", "", "  "))
    return f"{edge}{{{comma.join(pairs)}}}{edge}".encode()


def json_text(value: Any, is_ascii: bool) -> str:
    """The JSON text of a value that has been spelled."""
    if isinstance(value, Spelled):
        return str(value)
    return json.dumps(value, ensure_ascii=is_ascii, separators=(",", ":"))


# -------------------------------------------------------------------------------------------------
# Parquet
# -------------------------------------------------------------------------------------------------


def fits_parquet(content: Record | bytes) -> bool:
    """Whether every value of a row fits a typed column."""
    return isinstance(content, dict) and not any(
        isinstance(value, Spelled | dict | bool) for value in content.values()
    )


def instant_column(rng: Random, values: list[datetime | None]) -> pa.Array:
    """Timestamps with or without zone, in micro- or nanoseconds, or text."""
    kind = rng.choice(("text", "naive", "utc", "berlin", "nanoseconds"))
    if kind == "text":
        texts = [None if value is None else spelled_instant(rng, value) for value in values]
        return pa.array(texts, pa.string())
    since_1970 = [None if value is None else (value - EPOCH) // MICROSECOND for value in values]
    if kind == "nanoseconds":
        nanoseconds = [
            None if value is None else value * 1000 + rng.randrange(1000) for value in since_1970
        ]
        return pa.array(nanoseconds, pa.timestamp("ns", rng.choice((None, "UTC"))))
    zone = {"naive": None, "utc": "UTC", "berlin": "Europe/Berlin"}[kind]
    return pa.array(since_1970, pa.timestamp("us", zone))


def whole_column(rng: Random, values: list[int | None]) -> pa.Array:
    """Whole numbers as int64, int32 where they fit, double, or text."""
    largest = max(abs(value) for value in values if value is not None)
    kinds = [pa.int64(), pa.int64(), pa.float64(), pa.string()]
    kinds += [pa.int32()] if largest < 2**31 else []
    kind = rng.choice(kinds)
    if pa.types.is_string(kind):
        return pa.array([None if value is None else str(value) for value in values], kind)
    return pa.array(values, kind)


def decimal_column(rng: Random, values: list[Decimal | None]) -> pa.Array:
    """Decimals with 12 places, doubles where all have at most 15 digits, or text."""
    digits = max(len(value.as_tuple().digits) for value in values if value is not None)
    kind = rng.choice(("decimal", "text", "double") if digits <= 15 else ("decimal", "text"))
    if kind == "decimal":
        return pa.array(values, pa.decimal128(38, 12))
    if kind == "text":
        return pa.array([None if value is None else format(value, "f") for value in values])
    return pa.array([None if value is None else float(value) for value in values], pa.float64())


def parquet_column(rng: Random, values: list[Any]) -> pa.Array:
    """A typed column of values of one type, or null."""
    sample = next(value for value in values if value is not None)
    if isinstance(sample, datetime):
        return instant_column(rng, values)
    if isinstance(sample, int):
        return whole_column(rng, values)
    if isinstance(sample, Decimal):
        return decimal_column(rng, values)
    if isinstance(sample, list):
        return pa.array(values, pa.list_(pa.string()))
    kind = rng.choice((pa.string(), pa.large_string()))
    texts = pa.array(values, kind)
    return texts.dictionary_encode() if kind == pa.string() and rng.random() < 0.2 else texts


def parquet_content(rng: Random, records: list[Record]) -> bytes:
    """One Parquet file of records; a field that no record has is no column."""
    names = sorted({name for record in records for name in record})
    rng.shuffle(names)
    columns = {
        name: parquet_column(rng, [record.get(name) for record in records])
        for name in names
        if any(record.get(name) is not None for record in records)
    }
    sink = io.BytesIO()
    pq.write_table(
        pa.table(columns),
        sink,
        compression=rng.choice(("snappy", "zstd", "none")),
        row_group_size=rng.choice((3, 1000)),
    )
    return sink.getvalue()


# -------------------------------------------------------------------------------------------------
# Bad rows: each takes a good record and returns what must be rejected
# -------------------------------------------------------------------------------------------------

WRONG_VALUES: dict[str, tuple[Any, ...]] = {
    "id": (True, {"id": "x"}, ["x"]),
    "text": (True, {"text": "x"}, ["x"]),
    "tags": (True, {"tag": "x"}),
    "instant": (
        "2026-03-14T12:00:00", "2026-03-14", "1970-01-01T00:00:00Z", "2100-01-02T00:00:00Z",
        "1999-12-31T23:59:59.999999Z", "2026-02-30T00:00:00Z", "yesterday", 1773446400, True,
        datetime(1999, 12, 31, tzinfo=UTC), datetime(2100, 1, 2, tzinfo=UTC),
    ),
    "whole": (
        -1, "-1", Spelled("2.7"), "2.7", True, "1e3", "99999999999999999999", "twelve", [1],
        Spelled("NaN"),
    ),
    "ms": (Decimal(-5), "-0.5", True, "fast", {"ms": 1}, Spelled("Infinity")),
    "money": ("0.1234567890123", "1,5", "12 EUR", True, "NaN", "1" + "0" * 27, [1]),
}  # fmt: skip
WRONG_CHOICES: tuple[Any, ...] = ("unknown", "SUCCEEDED", "Failed", " blocked", True, 1)

BROKEN_LINES = (
    b"[1, 2]", b'"text"', b"42", b"null", b"{}", b"\xff\xfe not UTF-8", b"{'run_id': 'single'}",
    b"{", b"run_id,agent_id", b'{"run_id": }', b"}{", b'{"updated_at":"2026-01-01T00:00:00Z"}',
)  # fmt: skip


def with_wrong_value(rng: Random, source: str, record: Record) -> Record:
    """A record with one value that its field does not allow."""
    kind = rng.choice(sorted({kind.removesuffix("!") for kind in FIELDS[source].values()}))
    field = rng.choice(fields_of_kind(source, kind))
    wrong = rng.choice(WRONG_CHOICES if "|" in kind else WRONG_VALUES[kind])
    is_typed = isinstance(wrong, Spelled | str | datetime | Decimal | dict)
    return record | {field: wrong if is_typed else Spelled(json.dumps(wrong))}


def without_required(rng: Random, source: str, record: Record) -> Record:
    """A record that lacks a required field, or says null, or has an empty id there."""
    required = [name for name, kind in FIELDS[source].items() if kind.endswith("!")]
    field = rng.choice(required)
    rest = {name: value for name, value in record.items() if name != field}
    empty = Spelled('""') if FIELDS[source][field] == "id!" else Spelled("null")
    return rng.choice((rest, rest | {field: Spelled("null")}, rest | {field: empty}))


def negative_tokens(rng: Random, source: str, record: Record) -> Record:
    """A record with a negative whole number, which fits a Parquet column too."""
    fields = fields_of_kind(source, "whole")
    return record | {rng.choice(fields): -5} if fields else without_required(rng, source, record)


def bad_row(rng: Random, source: str, record: Record) -> Record | bytes:
    """A row that must be rejected, made from one that is good but would outrank every other."""
    if "revision" in FIELDS[source]:
        record = record | {"revision": 99}
    choice = rng.random()
    if choice < 0.55:
        return with_wrong_value(rng, source, record)
    if choice < 0.7:
        return without_required(rng, source, record)
    if choice < 0.8:
        return negative_tokens(rng, source, record)
    if choice < 0.9:
        return rng.choice(BROKEN_LINES)
    line = spelled_line(rng, source, record).strip()
    return line[: rng.randrange(2, len(line) - 1)]


# -------------------------------------------------------------------------------------------------
# When: instants that lie dense near AS_OF and on every edge of a window
# -------------------------------------------------------------------------------------------------

EDGES = tuple(
    [AS_OF - timedelta(hours=hours) for hours in (0, 1, 2, 24, 48, 72)]
    + [AS_OF - timedelta(days=days) for days in (7, 14, 30, 60, 90, 180)]
    + [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3)]
    + [datetime(2025, month, 15, tzinfo=UTC) for month in (3, 6, 9, 12)]
    + [datetime(2025, month, 1, tzinfo=UTC) for month in (4, 10, 12)]
    + [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2, 8, 9, 14)]
    + [datetime(2026, 3, 8, 8, tzinfo=UTC), datetime(2026, 3, 8, 10, tzinfo=UTC)]
    + [datetime(2026, 3, 13, 18, 30, tzinfo=UTC), datetime(2025, 3, 15, tzinfo=UTC)]
)


def moment(rng: Random) -> datetime:
    """A random instant: on or beside an edge, in the last hour, day, month, 13 months, or later."""
    choice = rng.random()
    if choice < 0.2:
        beside = rng.choice((timedelta(0), timedelta(0), -MICROSECOND, MICROSECOND))
        return rng.choice(EDGES) + beside
    if choice < 0.23:
        return AS_OF + timedelta(seconds=rng.randrange(0, 40 * 86400))
    hours = 1 if choice < 0.33 else 24 if choice < 0.55 else 30 * 24 if choice < 0.75 else 395 * 24
    seconds = rng.randrange(1, hours * 3600)
    unit = rng.choice((0, 1, 1000))
    return AS_OF - timedelta(seconds=seconds) + timedelta(microseconds=unit * rng.randrange(1000))


def moved(rng: Random, instant: datetime) -> datetime:
    """Another instant with the same part of a second: a minute, some days or months away."""
    step = rng.choice((60, 3600, 86400, 86400, 7 * 86400, 31 * 86400, 92 * 86400))
    return instant + timedelta(seconds=rng.choice((-1, -1, 1)) * step)


# -------------------------------------------------------------------------------------------------
# The world: who exists, what happens, and how often and when each row of it lands
# -------------------------------------------------------------------------------------------------


def without_nulls(**fields: Any) -> Record:
    """A record of the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


class World:
    """All arrivals of one seed. Everything random is drawn from one generator, in one order."""

    def __init__(self, seed: int, nights: int, runs: int) -> None:
        self.rng = Random(seed)
        self.nights = nights
        self.arrivals: list[Arrival] = []
        self.metric_lines: list[bytes] = []
        self.users = [f"user_{number}" for number in range(12)]
        self.agents = [f"agent_{number}" for number in range(8)] + ["=agent,9"]
        self.organisations = [f"org_{number}" for number in range(4)]
        self.conversations = [f"conv_{number}" for number in range(max(8, runs // 4))]
        self.conversations += ["4711", "=conv,1", 'conv "2"', "@conv\n3"]
        self.run_ids = [f"run_{number:04}" for number in range(runs)]
        self.lone_sessions = ["session_lone", "816", "+session", "session,comma"]
        self.request_ids: list[tuple[str, datetime]] = []

    # Draws

    def maybe(self, share: float, value: Any) -> Any:
        """A value in a share of all cases, else None."""
        return value if self.rng.random() < share else None

    def night(self) -> int:
        """One of the nights."""
        return self.rng.randint(1, self.nights)

    def tokens(self) -> int:
        """A number of tokens: none, few, many, more than 32 bits hold."""
        choice = self.rng.random()
        return 0 if choice < 0.1 else 3_000_000_000 if choice < 0.12 else self.rng.randrange(40_000)

    def milliseconds(self) -> Decimal:
        """A duration, with parts of a millisecond in a third of all cases."""
        part = self.rng.choice((0, 0, self.rng.randrange(1000)))
        return Decimal(self.rng.randrange(90_000)) + Decimal(part) / 1000

    def money(self, places: Sequence[int] = (0, 1, 2, 6, 12)) -> Decimal:
        """An amount with up to 12 decimals, never negative."""
        return Decimal(self.rng.randrange(1, 10**7)).scaleb(-self.rng.choice(places))

    def second(self) -> datetime:
        """A random instant without parts of a second."""
        return moment(self.rng).replace(microsecond=0)

    def user(self) -> str:
        """A user, sometimes one that no reference names."""
        return self.rng.choice([*self.users, "user_ghost"])

    def agent(self) -> str:
        """An agent, sometimes one that no reference names."""
        return self.rng.choice([*self.agents, "agent_ghost"])

    def organisation(self) -> str:
        """An organisation, sometimes one that no reference names."""
        return self.rng.choice([*self.organisations, "org_nowhere"])

    # Landing

    def land(self, source: str, content: Record | bytes) -> None:
        """Let a row land in a random night, sometimes a second and third time."""
        times = self.rng.choices((1, 2, 3), (85, 12, 3))[0]
        for _ in range(times):
            self.arrivals.append(Arrival(self.night(), source, content))

    def land_bad(self, source: str, record: Record, share: float) -> None:
        """In a share of all cases, let a bad row of the same key land too."""
        if self.rng.random() < share:
            content = bad_row(self.rng, source, record)
            self.arrivals.append(Arrival(self.night(), source, content))

    def extras(self) -> Record:
        """Fields that the contract does not know; the same for every version of an event."""
        choice = self.rng.random()
        if choice < 0.1:
            return {"x_trace": f"trace-{self.rng.randrange(10**6)}"}
        if choice < 0.15:
            return {"labels": {"zone": "a", "deep": [{"k": "v"}]}, "ünknown": "yes"}
        return {}

    def land_event(
        self, source: str, record: Record, changes: dict[str, Callable[[], Any]]
    ) -> None:
        """Let an event land in one or more versions; `changes` give new values of its fields."""
        record = record | self.extras()
        if self.rng.random() < 0.1:
            record["revision"] = self.rng.choice((0, 1))
        versions = [record]
        for step in self.rng.choice(((),) * 14 + ((1,), (1,), (3,), (0,), (0,), (1, 0), (1, 2))):
            last = versions[-1]
            version = self.changed(last, changes)
            if step:
                version["revision"] = last.get("revision", 0) + step
            versions.append(version)
        for version in versions:
            self.land(source, version)
        self.land_bad(source, record, 0.12)

    def changed(self, record: Record, changes: dict[str, Callable[[], Any]]) -> Record:
        """A record with one to three fields changed; None takes a field away."""
        names = self.rng.sample(sorted(changes), self.rng.randint(1, 3))
        fresh = record | {name: changes[name]() for name in names}
        return {name: value for name, value in fresh.items() if value is not None}

    def land_entity(self, source: str, make: Callable[[], Record]) -> None:
        """Let an entity land in one to four versions, before and after AS_OF, out of order."""
        updates = [moment(self.rng) for _ in range(self.rng.choice((1, 1, 2, 2, 3, 4)))]
        versions = [make() | {"updated_at": updated_at} for updated_at in updates]
        if self.rng.random() < 0.3:
            twin = make() | {"updated_at": updates[0]}
            # Canonical JSON may escape other characters or not; text from T on sorts alike.
            texts = {"name", "display_name", "description"} & twin.keys()
            versions.append(twin | {text: f"Twin {self.rng.randrange(100)}" for text in texts})
        for version in versions:
            self.land(source, version)
            self.land_bad(source, version, 0.1)

    # References

    def name(self) -> str | None:
        """A name, awkward as often as not, sometimes none."""
        return self.maybe(0.95, f"{self.rng.choice(AWKWARD_NAMES)} {self.rng.randrange(100)}")

    def references(self) -> None:
        """Organisations, teams, users, identities, agents and the rest, in several versions."""
        for number, organisation_id in enumerate(self.organisations):
            self.land_entity("organisations", lambda i=organisation_id, n=number: without_nulls(
                organisation_id=i, name=self.name(),
                parent_organisation_id=f"org_{n - 1}" if n else self.maybe(0.5, "org_unknown"),
            ))  # fmt: skip
        for team_id in ("team_0", "team_1"):
            self.land_entity("teams", lambda i=team_id: without_nulls(
                team_id=i, name=self.name(), organisation_id=self.organisation(),
            ))  # fmt: skip
        for number, user_id in enumerate(self.users):
            self.land_entity("users", lambda i=user_id, n=number: self.user_version(i, n))
        for agent_id in self.agents[:-1]:
            self.land_entity("agents", lambda i=agent_id: self.agent_version(i))
        for number in range(len(self.users)):
            self.identities(number)
        self.small_references()

    def user_version(self, user_id: str, number: int) -> Record:
        """One version of a user; users 10 and 11 share an e-mail, user 9 has none."""
        email = None if number == 9 else f"person{min(number, 10)}@example.com"
        return without_nulls(
            user_id=user_id, email=email, display_name=self.name(),
            team_id=self.maybe(0.7, "team_0"),
            role=self.maybe(0.8, self.rng.choice(("admin", "builder", "=role"))),
            organisation_id=self.maybe(0.8, self.organisation()),
            created_at=self.maybe(0.7, self.second()), deleted_at=self.maybe(0.1, self.second()),
        )  # fmt: skip

    def agent_version(self, agent_id: str) -> Record:
        """One version of an agent."""
        return without_nulls(
            agent_id=agent_id, name=self.name(), model=self.maybe(0.5, self.rng.choice(MODELS)),
            agent_type=self.maybe(0.8, self.rng.choice(("chat", "voice", "-type"))),
            created_by=self.maybe(0.85, self.user()), organisation_id=self.organisation(),
            tags=self.maybe(0.3, ["blue", "two words"]), created_at=self.maybe(0.9, self.second()),
            deleted_at=self.maybe(0.1, self.second()),
        )  # fmt: skip

    def identities(self, number: int) -> None:
        """An installation, an account and a second e-mail of a user; some change hands."""
        owners = [self.users[number]] * 40 + self.users
        for identity in (installation(number), account(number), f"Alias{number}@Example.ORG"):
            if self.rng.random() < 0.6:
                self.land_entity("user_identities", lambda i=identity: without_nulls(
                    identity=i, user_id=self.maybe(0.95, self.rng.choice(owners)),
                ))  # fmt: skip

    def small_references(self) -> None:
        """Entities that the oracle does not read but that the warehouse joins."""
        for number in range(3):
            self.land_entity("mcp_servers", lambda n=number: without_nulls(
                mcp_id=f"mcp_{n}", name=self.name(), tags=self.maybe(0.5, ["internal"]),
            ))  # fmt: skip
            self.land_entity("policies", lambda n=number: without_nulls(
                policy_id=f"policy_{n}", name=self.name(), description=self.name(),
            ))  # fmt: skip
            self.land_entity("agent_instances", lambda n=number: without_nulls(
                agent_instance_id=f"instance_{n}", agent_id=self.agent(), user_id=self.user(),
            ))  # fmt: skip

    # Events

    def events(self) -> None:
        """Runs with what belongs to them, and what belongs to none."""
        started_at, session_id = moment(self.rng), None
        for number, run_id in enumerate(self.run_ids):
            if session_id is not None and self.rng.random() < 0.5:
                started_at += timedelta(minutes=self.rng.randrange(1, 90))
            else:
                started_at = moment(self.rng)
                session_id = self.maybe(0.85, f"session_{number}")
            run = self.run(run_id, started_at, session_id)
            self.land_run(run)
            self.of_run(run)
        for number in range(len(self.run_ids) // 6):
            self.request_alone(f"lone_{number}")
            self.call(f"lone_call_{number}", None)
            self.line(f"lone_line_{number}", None)
        for number in range(len(self.run_ids)):
            self.message(f"message_{number}")

    def run(self, run_id: str, started_at: datetime, session_id: str | None) -> Record:
        """One agent run; anything that is optional may be missing."""
        rng = self.rng
        ended_at = started_at + timedelta(milliseconds=rng.randrange(-5_000, 300_000))
        return without_nulls(
            run_id=run_id, started_at=started_at, session_id=session_id,
            agent_id=self.maybe(0.92, self.agent()), user_id=self.maybe(0.9, self.user()),
            organisation_id=self.maybe(0.9, self.organisation()),
            conversation_id=self.maybe(0.7, rng.choice(self.conversations)),
            provider=self.maybe(0.7, "anthropic"), model=self.maybe(0.7, rng.choice(MODELS)),
            ended_at=self.maybe(0.75, ended_at), latency_ms=self.maybe(0.5, self.milliseconds()),
            status=rng.choice(("succeeded", "succeeded", "failed", "cancelled")),
            error_type=self.maybe(0.1, "timeout, 'late'"), tags=self.maybe(0.2, ["a", "b,c"]),
            input_tokens=self.maybe(0.6, self.tokens()),
            output_tokens=self.maybe(0.6, self.tokens()),
            cache_read_tokens=self.maybe(0.4, self.tokens()),
            cache_write_tokens=self.maybe(0.3, self.tokens()),
        )  # fmt: skip

    def land_run(self, run: Record) -> None:
        """Let a run land; a later version may move it to another time, agent, user or session."""
        rng = self.rng
        self.land_event("agent_runs", run, {
            "started_at": lambda: moved(rng, run["started_at"]),
            "agent_id": lambda: self.maybe(0.9, self.agent()),
            "user_id": lambda: self.maybe(0.9, self.user()),
            "session_id": lambda: self.maybe(0.8, rng.choice(self.lone_sessions)),
            "status": lambda: rng.choice(("succeeded", "failed", "cancelled")),
            "latency_ms": lambda: self.maybe(0.8, self.milliseconds()),
            "model": lambda: self.maybe(0.8, rng.choice(MODELS)),
            "input_tokens": lambda: self.maybe(0.8, self.tokens()),
            "output_tokens": lambda: self.maybe(0.8, self.tokens()),
        })  # fmt: skip

    def of_run(self, run: Record) -> None:
        """Requests (retries among them), tool calls and credit lines of a run."""
        run_id = run["run_id"]
        for attempt in range(self.rng.choice((0, 0, 1, 1, 2, 3))):
            request = self.request(f"req_{run_id}_{attempt}", run)
            self.land_request(request | {"attempt": attempt + 1})
        for number in range(self.rng.choice((0, 0, 0, 1, 2))):
            self.call(f"call_{run_id}_{number}", run)
        for number in range(self.rng.choice((0, 1, 1, 2))):
            self.line(f"line_{run_id}_{number}", run)

    def request(self, request_id: str, run: Record) -> Record:
        """A request of a run: it carries an agent, a user and a session of its own."""
        rng = self.rng
        later = timedelta(milliseconds=rng.randrange(120_000))
        return without_nulls(
            request_id=request_id, run_id=run["run_id"], requested_at=run["started_at"] + later,
            session_id=run.get("session_id") or rng.choice(self.lone_sessions),
            agent_id=run.get("agent_id") or self.agent(),
            user_id=run.get("user_id") or self.user(), **self.request_figures(),
        )  # fmt: skip

    def request_figures(self) -> Record:
        """Model, status, tokens and cost of a request."""
        rng = self.rng
        return without_nulls(
            model=rng.choice(MODELS), provider=self.maybe(0.6, "anthropic"),
            status=self.maybe(0.85, rng.choice(("succeeded", "succeeded", "failed"))),
            duration_ms=self.maybe(0.8, self.milliseconds()), team_id=self.maybe(0.4, "team_1"),
            error_type=self.maybe(0.1, "overloaded"), tags=self.maybe(0.1, ["batch"]),
            input_tokens=self.maybe(0.85, self.tokens()),
            output_tokens=self.maybe(0.85, self.tokens()),
            cache_read_tokens=self.maybe(0.6, self.tokens()),
            cache_write_5m_tokens=self.maybe(0.4, self.tokens()),
            cache_write_1h_tokens=self.maybe(0.2, self.tokens()),
            reasoning_tokens=self.maybe(0.2, rng.randrange(100)),
            reported_cost_usd=self.maybe(0.6, self.money((2, 6, 8, 12))),
            organisation_id=self.maybe(0.8, self.organisation()),
        )  # fmt: skip

    def request_alone(self, request_id: str) -> None:
        """A request without run, or of one that never arrives; it may lack session and user."""
        figures = self.request_figures()
        self.land_request(figures | without_nulls(
            request_id=request_id, requested_at=moment(self.rng),
            run_id=self.maybe(0.4, "run_missing"), agent_id=self.maybe(0.6, self.agent()),
            session_id=self.maybe(0.6, self.rng.choice(self.lone_sessions)),
            user_id=self.maybe(0.7, self.user()),
        ))  # fmt: skip

    def land_request(self, request: Record) -> None:
        """Let a request land; a later version may move it to another run, time or session."""
        rng = self.rng
        self.request_ids.append((request["request_id"], request["requested_at"]))
        changes: dict[str, Callable[[], Any]] = {
            "requested_at": lambda: moved(rng, request["requested_at"]),
            "agent_id": self.agent,
            "user_id": self.user,
            "session_id": lambda: rng.choice(self.lone_sessions),
            "model": lambda: rng.choice(MODELS),
            "status": lambda: rng.choice(("succeeded", "failed")),
            "input_tokens": lambda: self.maybe(0.8, self.tokens()),
            "output_tokens": lambda: self.maybe(0.8, self.tokens()),
            "reported_cost_usd": lambda: self.maybe(0.8, self.money((2, 6, 8, 12))),
        }
        if {"session_id", "agent_id", "user_id"} <= request.keys():
            changes["run_id"] = lambda: self.maybe(0.9, rng.choice([*self.run_ids, "run_missing"]))
        self.land_event("llm_requests", request, changes)

    def call(self, call_id: str, run: Record | None) -> None:
        """Let a tool call land, of a run or of none."""
        rng = self.rng
        session_id = rng.choice(self.lone_sessions)
        called_at = moment(rng)
        if run is not None:
            session_id = run.get("session_id") or session_id
            called_at = run["started_at"] + timedelta(milliseconds=rng.randrange(200_000))
        call = without_nulls(
            call_id=call_id, run_id=None if run is None else run["run_id"], called_at=called_at,
            session_id=session_id if run else self.maybe(0.7, session_id),
            agent_id=(run or {}).get("agent_id"), user_id=self.user(),
            mcp_id=self.maybe(0.7, f"mcp_{rng.randrange(4)}"),
            tool_name=rng.choice(("search", "Bash", "=tool", "fetch, then read")),
            duration_ms=self.maybe(0.8, self.milliseconds()),
            outcome=rng.choice(("executed", "executed", "failed", "blocked")),
            policy_id=self.maybe(0.2, "policy_0"), policy_name=self.maybe(0.2, "No \"secrets\""),
            agent_instance_id=self.maybe(0.4, f"instance_{rng.randrange(4)}"),
        )  # fmt: skip
        self.land_event("tool_calls", call, {
            "called_at": lambda: moved(rng, called_at),
            "session_id": lambda: rng.choice(self.lone_sessions),
            "outcome": lambda: rng.choice(("executed", "failed", "blocked")),
            "duration_ms": lambda: self.maybe(0.8, self.milliseconds()),
        })  # fmt: skip

    def message(self, message_id: str) -> None:
        """Let a conversation message land."""
        rng = self.rng
        message = without_nulls(
            message_id=message_id, conversation_id=rng.choice(self.conversations),
            sent_at=moment(rng), role=self.maybe(0.9, rng.choice(("user", "assistant"))),
            agent_id=self.maybe(0.7, self.agent()), user_id=self.maybe(0.7, self.user()),
        )  # fmt: skip
        self.land_event("conversation_messages", message, {
            "sent_at": lambda: moved(rng, message["sent_at"]),
            "conversation_id": lambda: rng.choice(self.conversations),
            "role": lambda: rng.choice(("user", "assistant", "tool")),
        })  # fmt: skip

    def amount(self, kind: str | None) -> Any:
        """Credits: negative for refunds, either for adjustments, a long JSON number sometimes."""
        if kind is None and self.rng.random() < 0.15:
            digits = self.rng.randrange(10**11, 10**12)
            return Spelled(f"0.{digits}{self.rng.choice((12, 37, 61, 88))}")
        negative = kind == "refund" or (kind == "adjustment" and self.rng.random() < 0.6)
        return -self.money() if negative else self.rng.choice((self.money(), Decimal(0)))

    def line(self, line_id: str, run: Record | None) -> None:
        """Let a credit line land; those of a run may name neither agent, user nor conversation."""
        rng = self.rng
        kind = rng.choice((None, None, None, "usage", "refund", "adjustment", "grant"))
        occurred_at = moment(rng)
        if run is not None and rng.random() < 0.7:
            occurred_at = run["started_at"] + timedelta(seconds=rng.randrange(600))
        run_id = None if run is None else run["run_id"]
        line = without_nulls(
            line_id=line_id, occurred_at=occurred_at, kind=kind, credits=self.amount(kind),
            run_id=run_id or self.maybe(0.2, "run_missing"), organisation_id=self.organisation(),
            agent_id=self.maybe(0.5, self.agent()), user_id=self.maybe(0.5, self.user()),
            conversation_id=self.maybe(0.75, rng.choice(self.conversations)),
            category=rng.choice(CATEGORIES), description=self.maybe(0.8, rng.choice(AWKWARD_NAMES)),
        )  # fmt: skip
        self.land_event("credit_lines", line, {
            "occurred_at": lambda: moved(rng, occurred_at),
            "credits": lambda: self.amount(kind),
            "agent_id": lambda: self.maybe(0.7, self.agent()),
            "conversation_id": lambda: self.maybe(0.8, rng.choice(self.conversations)),
            "run_id": lambda: self.maybe(0.8, rng.choice([*self.run_ids, "run_missing"])),
            "kind": lambda: rng.choice((None, "usage", "refund", "adjustment", "grant")),
            "category": lambda: rng.choice(CATEGORIES),
        })  # fmt: skip

    # Telemetry

    def telemetry(self) -> None:
        """Claude Code's logs, other clients' logs that hold no request, and a metrics file."""
        requests: list[tuple[Telemetry, datetime]] = []
        for number in range(max(6, len(self.run_ids) // 10)):
            session = Telemetry(self.rng, number)
            records = self.session_records(session, requests)
            self.land_telemetry(session, records)
        for service in ("codex_exec", "gemini-cli", "billing-api"):
            self.arrivals.append(Arrival(self.night(), "otlp", other_client_line(service)))
        planted = b'{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":'
        planted += b'{"stringValue":"claude-code"}}' + b" " * 600 + b',{"prompt":"planted broken'
        for line in (planted, b"[]", b'"text"', b"\xff\xff", b"{"):
            self.arrivals.append(Arrival(self.night(), "otlp", line))
        self.metric_lines = [metric_line(session, at) for session, at in requests[::3]]

    def session_records(
        self, session: "Telemetry", requests: list[tuple["Telemetry", datetime]]
    ) -> list[Record]:
        """The log records of one session; requests that the platform lacks join `requests`."""
        records = []
        at = moment(self.rng)
        for sequence in range(self.rng.randrange(3, 14)):
            event, attributes = self.client_event(sequence, session)
            if event == "api_request" and self.rng.random() < 0.12:
                attributes["request_id"] = self.rng.choice(self.request_ids)[0]
            elif event == "api_request" and session.session_id is not None:
                requests.append((session, at))
            records.append(session.record(event, at, attributes))
            at += timedelta(milliseconds=self.rng.randrange(1, 1_800_000))
        return records

    def client_event(self, sequence: int, session: "Telemetry") -> tuple[str, Record]:
        """The name and the attributes of one of Claude Code's events."""
        rng = self.rng
        event = rng.choice(
            ("api_request",) * 5
            + ("api_error", "api_retries_exhausted", "tool_decision", "tool_result", "user_prompt")
        )
        tool = {"tool_name": "Bash", "tool_use_id": f"toolu_{session.number}_{sequence // 2}"}
        request: Record = {"model": rng.choice(MODELS), "duration_ms": rng.randrange(60_000)}
        if rng.random() < 0.8:
            request["request_id"] = f"req_cc_{session.number}_{sequence}"
        error = {"error": "Overloaded", "status_code": 529, "attempt": 3}
        attributes: dict[str, Record] = {
            "api_request": request | {
                "input_tokens": self.tokens(), "output_tokens": self.tokens(),
                "cache_read_tokens": self.tokens(), "cache_creation_tokens": self.tokens(),
                "cost_usd": rng.choice((0, self.money((6, 8)))), "speed": "normal",
            },
            "api_error": request | error,
            "api_retries_exhausted": {"model": request["model"], "total_attempts": 3} | error,
            "tool_decision": tool | {"decision": rng.choice(("accept", "reject")),
                                     "source": rng.choice(("config", "hook"))},
            "tool_result": tool | {"success": rng.choice(("true", "false")),
                                   "duration_ms": str(rng.randrange(9_000)),
                                   "tool_input": '{"command": "planted command"}'},
            "user_prompt": {"prompt": "planted prompt", "prompt_length": "14"},
        }  # fmt: skip
        return event, attributes[event]

    def land_telemetry(self, session: "Telemetry", records: list[Record]) -> None:
        """Let a session's records land, some a line, some lines again as protobuf wrote them."""
        rng = self.rng
        rng.shuffle(records)
        while records:
            count = rng.randint(1, 5)
            batch, records = records[:count], records[count:]
            line = log_line(session.resource(), batch)
            self.land("otlp", line)
            if rng.random() < 0.15:
                copies = [protobuf_born(record) for record in batch[: rng.randint(1, count)]]
                self.land("otlp", log_line(session.resource(), copies))


# -------------------------------------------------------------------------------------------------
# Telemetry in OTLP's JSON
# -------------------------------------------------------------------------------------------------

SCOPE = {"name": "com.anthropic.claude_code.events", "version": "2.1.197"}


def installation(number: int) -> str:
    """The id of an installation: 64 hexadecimal digits."""
    return f"{number:02x}c0ffee" * 8


def account(number: int) -> str:
    """The uuid of an account."""
    return f"ac000000-0000-4000-8000-{number:012}"


def otlp_value(value: Any, numbers: str) -> Record:
    """An AnyValue; `numbers` says how a whole number is written: number, text or string."""
    if isinstance(value, str):
        return {"stringValue": value}
    if numbers == "string":
        return {"stringValue": format(value, "f") if isinstance(value, Decimal) else str(value)}
    if isinstance(value, Decimal) and value != value.to_integral_value():
        return {"doubleValue": float(value)}
    return {"intValue": int(value) if numbers == "number" else str(int(value))}


def otlp_attributes(attributes: Record, numbers: str = "number") -> list[Record]:
    """A list of attributes, in order."""
    return [{"key": key, "value": otlp_value(value, numbers)} for key, value in attributes.items()]


class Telemetry:
    """One session of Claude Code: who it is and how its exporter writes numbers."""

    def __init__(self, rng: Random, number: int) -> None:
        self.rng = rng
        self.number = number
        self.numbers = rng.choice(("number", "text", "string"))
        self.session_id = None if number % 6 == 5 else f"5e550000-0000-4000-8000-{number:012}"
        self.identity = self.drawn_identity()

    def drawn_identity(self) -> Record:
        """Installation, and sometimes account or e-mail, of a user, of nobody, or none at all."""
        person = self.rng.randrange(14)
        identity: Record = {"user.id": installation(person)}
        choice = self.rng.random()
        if choice < 0.3:
            identity["user.account_uuid"] = account(person)
        elif choice < 0.6 and person < 10:
            emails = (f"Person{person}@EXAMPLE.com", f"person{person}@example.com")
            identity["user.email"] = self.rng.choice(emails if person < 9 else ("nobody@x.org",))
        elif choice < 0.7:
            identity["user.email"] = "person10@example.com"
        elif choice < 0.75:
            return {}
        return identity

    def resource(self) -> Record:
        """The resource of every line of the session."""
        attributes = {"service.name": "claude-code", "service.version": "2.1.197", "team.id": ""}
        return {"attributes": otlp_attributes(attributes)}

    def record(self, event: str, at: datetime, attributes: Record) -> Record:
        """One log record, its time in one of the places where a time may be."""
        place = self.rng.choice(("timeUnixNano",) * 8 + ("observed", "attribute"))
        if at.microsecond % 1000:  # event.timestamp has milliseconds only
            place = "timeUnixNano"
        nanoseconds = (at - EPOCH) // MICROSECOND * 1000 + self.rng.randrange(1000)
        session = {"session.id": self.session_id} if self.session_id is not None else {}
        standard = self.identity | session | {
            "terminal.type": "xterm", "event.name": event,
            "event.timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z",
            "event.sequence": self.rng.randrange(20),
        }  # fmt: skip
        times = {
            "timeUnixNano": {"timeUnixNano": str(nanoseconds)},
            "observed": {"timeUnixNano": "0", "observedTimeUnixNano": str(nanoseconds)},
            "attribute": {},
        }[place]
        return times | {
            "severityNumber": 9,
            "body": {"stringValue": f"claude_code.{event}"},
            "attributes": otlp_attributes(standard | attributes, self.numbers),
        }


def protobuf_born(record: Record) -> Record:
    """The same record as it comes by way of protobuf: 64-bit integers as text, no defaults."""
    copy = {name: value for name, value in record.items() if value != "0"}
    copy["severityNumber"] = "SEVERITY_NUMBER_INFO"
    copy["attributes"] = [
        entry | {"value": {kind: str(value) if kind == "intValue" else value}}
        for entry in record["attributes"]
        for kind, value in entry["value"].items()
    ]
    return copy | {"traceId": "", "spanId": "", "flags": 0}


def log_line(resource: Record, records: list[Record], scope: Record = SCOPE) -> bytes:
    """One export request with one resource and one scope."""
    logs = {"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": records}]}
    return json.dumps({"resourceLogs": [logs]}, separators=(",", ":"), ensure_ascii=False).encode()


def other_client_line(service: str) -> bytes:
    """A line of another client: a prompt and a chat about nothing, but no LLM request."""
    at = str((AS_OF - EPOCH) // MICROSECOND * 1000 - 3_600_000_000_000)
    names = {"codex_exec": "codex.user_prompt", "gemini-cli": "gemini_cli.user_prompt"}
    event = names.get(service, "api_request")
    attributes = {"event.name": event, "prompt": "planted other prompt", "input_tokens": 77}
    record = {
        "timeUnixNano": at,
        "observedTimeUnixNano": at,
        "body": {"stringValue": event},
        "attributes": otlp_attributes(attributes | {"session.id": f"session of {service}"}),
    }
    resource = {"attributes": otlp_attributes({"service.name": service})}
    return log_line(resource, [record], {"name": service})


def metric_line(session: Telemetry, at: datetime) -> bytes:
    """A delta of tokens of a session, at the instant of a request that its logs hold."""
    nanoseconds = (at - EPOCH) // MICROSECOND * 1000
    labels = session.identity | {"session.id": session.session_id, "type": "input"}
    point = {
        "attributes": otlp_attributes(labels | {"model": MODELS[0]}),
        "startTimeUnixNano": str(nanoseconds - 1_000_000),
        "timeUnixNano": str(nanoseconds),
        "asDouble": 5,
    }
    tokens = {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point]}
    metric = {"name": "claude_code.token.usage", "unit": "tokens", "sum": tokens}
    scope = {"scope": {"name": "com.anthropic.claude_code"}, "metrics": [metric]}
    request = {"resourceMetrics": [{"resource": session.resource(), "scopeMetrics": [scope]}]}
    return json.dumps(request, separators=(",", ":")).encode()


# -------------------------------------------------------------------------------------------------
# Files
# -------------------------------------------------------------------------------------------------


class Files:
    """Paths and contents: which rows lie together, in which order and format."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.count = 0

    def path(self, source: str, ending: str) -> str:
        """A fresh path of a source; its folders and its suffixes mean nothing."""
        self.count += 1
        folder = self.rng.choice(("", "2026/03/", "date=2026-02-30/", "späte Lieferung/", "a/b/c/"))
        suffix = self.rng.choice(("", "-2026-03-14T05-02-14.173", " (copy)", ".ndjson"))
        return f"{source}/{folder}part-{self.count:04}{suffix}.{ending}"

    def line(self, arrival: Arrival) -> bytes:
        """The line of a row."""
        if isinstance(arrival.content, bytes):
            return arrival.content
        return spelled_line(self.rng, arrival.source, arrival.content)

    def lines_content(self, arrivals: list[Arrival]) -> bytes:
        """Lines with blank ones between, any line end, a BOM or none, a final newline or none."""
        rng = self.rng
        end = rng.choice((b"\n", b"\n", b"\r\n"))
        lines = []
        for arrival in arrivals:
            lines += [rng.choice((b"", b"  "))] if rng.random() < 0.05 else []
            lines.append(self.line(arrival))
        content = end.join(lines) + rng.choice((b"", end, end, end + end))
        return rng.choice((b"", b"", b"", BOM)) + content

    def packed(self, source: str, night: int, arrivals: list[Arrival]) -> Delivery:
        """A file of lines, plain or packed."""
        ending = self.rng.choice(("ndjson", "jsonl", "json"))
        packing = self.rng.choice(("", "", "", ".gz", ".zst"))
        content = packed_content(self.rng, self.lines_content(arrivals), packing)
        return Delivery(night, self.path(source, ending + packing), content)

    def of_night(self, source: str, night: int, arrivals: list[Arrival]) -> Iterator[Delivery]:
        """One to four files of a source; what fits Parquet may lie in Parquet."""
        self.rng.shuffle(arrivals)
        groups: dict[tuple[str, int], list[Arrival]] = defaultdict(list)
        has_parquet = self.rng.random() < 0.6
        parts = self.rng.randint(1, 3)
        for arrival in arrivals:
            may_be_typed = has_parquet and fits_parquet(arrival.content) and source in FIELDS
            if may_be_typed and is_typed(source, arrival.content) and self.rng.random() < 0.3:
                groups["parquet", "x_trace" in arrival.content].append(arrival)
            else:
                groups["lines", self.rng.randrange(parts)].append(arrival)
        for (kind, _), rows in sorted(groups.items()):
            if kind == "parquet":
                records = [row.content for row in rows if isinstance(row.content, dict)]
                path = self.path(source, "parquet")
                yield Delivery(night, path, parquet_content(self.rng, records))
            else:
                yield self.packed(source, night, rows)

    def growing(self, source: str, by_night: dict[int, list[Arrival]]) -> Iterator[Delivery]:
        """One plain file that grows from night to night, cut before, after or in the last line."""
        content = self.rng.choice((b"", b"", BOM))
        cuts: list[tuple[int, int]] = []
        for night in sorted(by_night):
            lines = [self.line(arrival) for arrival in by_night[night]]
            # A cut line must grow in the very next night: one that has not is rejected for good.
            is_next = bool(cuts) and cuts[-1][0] == night - 1
            if is_next and lines[0].startswith(b"{") and self.rng.random() < 0.5:
                cut = len(content) + self.rng.randrange(1, max(2, len(lines[0])))
                cuts[-1] = (cuts[-1][0], cut)
            content += b"".join(line + b"\n" for line in lines)
            cuts.append((night, len(content) - self.rng.choice((0, 1))))
        path = self.path(source, self.rng.choice(("ndjson", "jsonl", "json")))
        start = 0
        for night, cut in cuts:
            yield Delivery(night, path, content[start:cut])
            start = cut


def is_typed(source: str, record: Record | bytes) -> bool:
    """Whether every known field of a record has the type of its kind (a bad one may not)."""
    types = {"instant": datetime, "whole": int, "ms": Decimal, "money": Decimal, "tags": list}
    return isinstance(record, dict) and all(
        isinstance(value, types.get(FIELDS[source].get(name, "text").removesuffix("!"), str))
        for name, value in record.items()
    )


def packed_content(rng: Random, content: bytes, packing: str) -> bytes:
    """Content as .gz or .zst holds it, in one member or frame or in two; the same every time."""
    middle = rng.randrange(len(content)) if content and rng.random() < 0.3 else len(content)
    parts = [part for part in (content[:middle], content[middle:]) if part] or [b""]
    if packing == ".gz":
        return b"".join(gzip.compress(part, mtime=0) for part in parts)
    if packing == ".zst":
        return b"".join(zstandard.ZstdCompressor().compress(part) for part in parts)
    return content


def ignored_deliveries(rng: Random, arrivals: list[Arrival], nights: int) -> Iterator[Delivery]:
    """Files whose names say that they are none of ours, with rows that would count."""
    runs = [
        arrival.content | {"revision": 98}
        for arrival in arrivals
        if arrival.source == "agent_runs" and is_typed("agent_runs", arrival.content)
    ]
    content = b"\n".join(spelled_line(rng, "agent_runs", run) for run in runs[:5])
    for path in (
        "agent_runs/.hidden.ndjson", "agent_runs/_partial.ndjson", "agent_runs/2026/x.ndjson.tmp",
        "agent_runs/x.ndjson.part", "agent_runs/notes.txt", "agent_runs/x.csv", "_SUCCESS",
        "invoices/x.ndjson", "loose.ndjson", "agent_runs/x.ndjson.bz2", ".agent_runs/x.ndjson",
    ):  # fmt: skip
        yield Delivery(rng.randint(1, nights), path, content)


def special_deliveries(
    rng: Random, deliveries: list[Delivery], arrivals: list[Arrival], nights: int
) -> Iterator[Delivery]:
    """Empty files, whole files again under another name, a file that stays cut, ignored ones."""
    for path in ("agent_runs/empty.ndjson", "otlp/empty.jsonl", "credit_lines/blank.json"):
        yield Delivery(rng.randint(1, nights), path, b"\n\n" if "blank" in path else b"")
    yield Delivery(1, "users/empty.ndjson.gz", gzip.compress(b"", mtime=0))
    paths = [delivery.path for delivery in deliveries]
    whole = [delivery for delivery in deliveries if paths.count(delivery.path) == 1]
    for delivery in rng.sample(whole, min(4, len(whole))):
        source, _, name = delivery.path.partition("/")
        yield Delivery(rng.randint(1, nights), f"{source}/again/{name}", delivery.content)
    message = {"message_id": "cut", "conversation_id": "conv_0", "sent_at": AS_OF - MICROSECOND}
    cut = spelled_line(rng, "conversation_messages", message).strip()[:-1]
    yield Delivery(1, "conversation_messages/stays-cut.ndjson", BOM + b"\r\n" + cut)
    yield from ignored_deliveries(rng, arrivals, nights)


def random_deliveries(seed: int, nights: int = 3, runs: int = 120) -> list[Delivery]:
    """The deliveries of a random tree, by night; the same for the same arguments."""
    world = World(seed, nights, runs)
    world.references()
    world.events()
    world.telemetry()
    files = Files(world.rng)
    deliveries: list[Delivery] = []
    for source in SOURCES:
        arrivals = [arrival for arrival in world.arrivals if arrival.source == source]
        does_grow = world.rng.random() < 0.6
        growing: dict[int, list[Arrival]] = defaultdict(list)
        others: dict[int, list[Arrival]] = defaultdict(list)
        for arrival in arrivals:
            kept = growing if does_grow and world.rng.random() < 0.3 else others
            kept[arrival.night].append(arrival)
        deliveries += files.growing(source, growing)
        for night in sorted(others):
            deliveries += files.of_night(source, night, others[night])
    # Metrics come last: before its logs, a session would be one of metrics alone.
    metrics = b"".join(line + b"\n" for line in world.metric_lines)
    deliveries.append(Delivery(nights, "otlp/metrics/metrics.jsonl", metrics))
    deliveries += list(special_deliveries(world.rng, deliveries, world.arrivals, nights))
    return sorted(deliveries, key=lambda delivery: delivery.night)


def deliver(deliveries: Iterable[Delivery], landing: Path, upto_night: int | None = None) -> None:
    """Write the tree as it stands after a night (None: the last), leaving equal files untouched."""
    contents: dict[str, bytes] = {}
    for delivery in sorted(deliveries, key=lambda delivery: delivery.night):
        if upto_night is None or delivery.night <= upto_night:
            contents[delivery.path] = contents.get(delivery.path, b"") + delivery.content
    for path, content in contents.items():
        target = landing / path
        if not target.is_file() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


# -------------------------------------------------------------------------------------------------
# The same rows, delivered otherwise
# -------------------------------------------------------------------------------------------------


def is_read(path: str) -> bool:
    """Whether the warehouse reads a file of this path."""
    source, _, rest = path.partition("/")
    name = rest.rpartition("/")[2]
    is_left_alone = name.startswith((".", "_")) or not rest
    return source in SOURCES and not is_left_alone and name.endswith((*LINE_ENDINGS, ".parquet"))


def unpacked_content(path: str, content: bytes) -> bytes:
    """The lines of a plain or packed file, without BOM."""
    if path.endswith(".gz"):
        content = gzip.decompress(content)
    elif path.endswith(".zst"):
        reader = zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True)
        content = reader.read()
    return content.removeprefix(BOM)


def json_of_parquet(value: Any) -> Any:
    """A Parquet value as a JSON line says it."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        wall = aware.astimezone(UTC).replace(tzinfo=None)
        return wall.isoformat(timespec="microseconds") + "Z"
    return format(value, "f") if isinstance(value, Decimal) else value


def parquet_lines(content: bytes) -> Iterator[bytes]:
    """One JSON line for every row of a Parquet file, nulls left out."""
    table = pq.read_table(io.BytesIO(content))
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            kind = pa.timestamp("us", field.type.tz)
            column = table.column(position).cast(kind, safe=False)
            table = table.set_column(position, field.name, column)
    for row in table.to_pylist():
        known = {name: json_of_parquet(value) for name, value in row.items() if value is not None}
        yield json.dumps(known, ensure_ascii=False).encode()


def lines_of(path: str, content: bytes) -> list[bytes]:
    """Every line that is not blank, good or bad, of one whole file."""
    if path.endswith(".parquet"):
        return list(parquet_lines(content))
    lines = unpacked_content(path, content).split(b"\n")
    return [line.removesuffix(b"\r") for line in lines if line.strip()]


def shuffled(deliveries: Iterable[Delivery], seed: int) -> list[Delivery]:
    """The same rows, good and bad, in other files and another order, all in the first night.

    About every tenth line comes twice. Rows of Parquet files come as JSON lines.
    """
    rng = Random(seed)
    contents: dict[str, bytes] = {}
    for delivery in deliveries:
        contents[delivery.path] = contents.get(delivery.path, b"") + delivery.content
    lines_by_signal: dict[tuple[str, str], list[bytes]] = defaultdict(list)
    result = []
    for path, content in sorted(contents.items()):
        if is_read(path):
            source = path.partition("/")[0]
            for line in lines_of(path, content):
                signal = "metrics" if line.startswith(b'{"resourceMetrics"') else "rows"
                lines_by_signal[source, signal].append(line)
        else:
            result.append(Delivery(1, path, content))
    files = Files(rng)
    for (source, _), lines in sorted(lines_by_signal.items()):
        lines += [line for line in lines if rng.random() < 0.1]
        rng.shuffle(lines)
        while lines:
            count = rng.randint(1, 150)
            arrivals = [Arrival(1, source, line) for line in lines[:count]]
            result.append(files.packed(source, 1, arrivals))
            lines = lines[count:]
    rng.shuffle(result)
    return result
