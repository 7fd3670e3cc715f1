"""Who is forgotten: pseudonyms by keyed hash, and how texts and tables lose what names a person.

The file keeps no identity, but a hash of each under a random key, so that the next delivery about a
forgotten person is told before anything of it is written.
"""

import hashlib
import html
import json
import os
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

FILE = "forgotten.json"
# What holds one identity and nothing else; it is compared whole, so that no other person's changes.
IDENTITY_COLUMNS = {"user_id", "created_by", "email", "identity"}
# Fields of JSON and columns of other files that hold one.
FIELDS_OF_PEOPLE = {*IDENTITY_COLUMNS, "user_email", "user_name"}
# The identity of an event, by which its next delivery is known again; and hashes.
KEPT_COLUMNS = {
    "run_id", "request_id", "call_id", "message_id", "line_id", "record_id", "series_id",
    "trace_id", "span_id", "parent_span_id", "head_hash", "content_hash", "settled_hash",
}  # fmt: skip
# Words for people, which nothing is joined by: an identity goes wherever it is a word.
WORDING_COLUMNS = {
    "path", "files", "detail", "description", "policy_description",
}  # fmt: skip
# An identity is not a part of a longer one: `ana` stays in `ana.maria@acme.test`.
PART_OF_IDENTITY = r"\w@.+%\-"
STARTS = re.compile(rf"(?<![{PART_OF_IDENTITY}])(?=[{PART_OF_IDENTITY}])")
ENDS = re.compile(rf"(?![{PART_OF_IDENTITY}])|\.(?![{PART_OF_IDENTITY}])")
# One that begins otherwise, such as with a quote, may stand anywhere.
ODD_STARTS = re.compile(rf"(?<![{PART_OF_IDENTITY}])|(?=[^{PART_OF_IDENTITY}])")
ORDINARY = re.compile(rf"[{PART_OF_IDENTITY}](?:.*[{PART_OF_IDENTITY}])?", re.S)
WORD_STARTS, WORD_ENDS = re.compile(r"(?<!\w)(?=[\w+.%\-])"), re.compile(r"(?!\w)")
RUN_AFTER = re.compile(rf"[{PART_OF_IDENTITY}]*")
# A text of JSON, also one whose end is cut off, and what stands after a backslash in it.
JSON_TEXT = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*(?:(?P<end>")|\\?$)?')
JSON_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.S)
ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}
JSON_FIELD = re.compile(
    rf'("(?:{"|".join(sorted(FIELDS_OF_PEOPLE))})"\s*:\s*)("[^"\\\n]*(?:\\.[^"\\\n]*)*(?:"|$)|-?[0-9]+)'
)
# An identity of fewer characters, or without a letter, is as likely a figure or another's.
SHORTEST_SEARCHED = 3
MOST_CACHED = 500_000
LONGEST_CACHED = 1_000


@dataclass
class Person:
    """A forgotten person: pseudonyms by the keyed hash of each identity, and their lengths.

    spellings: pseudonyms by the keyed hash of how JSON, CSV, HTML, addresses and tables in Markdown
    write an identity, where that is not as it is. weak: hashes of identities which are told by
    their column or field alone. is_odd: whether one begins or ends as no ordinary identity does.
    names: lengths by the keyed hash of each name they were shown under, until the erasure is
    finished: others may have the same name, so that it goes only where an identity goes.
    is_finished: whether nothing that was written before still names them.
    """

    pseudonym: str
    forgotten_at: str
    identities: dict[str, str] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)
    spellings: dict[str, str] = field(default_factory=dict)
    weak: list[str] = field(default_factory=list)
    is_odd: bool = False
    names: dict[str, int] = field(default_factory=dict)
    is_finished: bool = False


class Forgotten:
    """The forgotten people of a home; without any, every text and table stays as it is."""

    def __init__(self, file: Path, key: bytes, people: list[Person]) -> None:
        self._file = file
        self._key = key
        self.people = people
        self._refresh()

    @classmethod
    def read(cls, home: Path) -> Self:
        """The forgotten people of a home, none where nobody is."""
        file = home / FILE
        if not file.exists():
            return cls(file, secrets.token_bytes(32), [])
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            return cls(
                file, bytes.fromhex(kept["key"]), [Person(**each) for each in kept["people"]]
            )
        except (ValueError, KeyError, TypeError) as error:
            # Loading on without it would write what is forgotten.
            raise RuntimeError(
                f"{file} tells who is forgotten and cannot be read ({error}): restore it."
            ) from error

    def save(self) -> None:
        """Write the file anew, for its owner's eyes alone; a crash leaves the old or the new."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        content = {"key": self._key.hex(), "people": [asdict(each) for each in self.people]}
        written = self._file.with_name(f".{self._file.name}.new")
        written.unlink(missing_ok=True)
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(written, self._file)

    @property
    def is_finished(self) -> bool:
        """Whether nothing that was written before names anybody who is forgotten."""
        return all(person.is_finished for person in self.people)

    def finish(self) -> None:
        """Note that everything that was written before has been rewritten."""
        for person in self.people:
            person.is_finished, person.names = True, {}
        self.save()

    def person_of(self, identity: str) -> Person | None:
        """The forgotten person whose identity this is."""
        known = self._hash(identity)
        return next((person for person in self.people if known in person.identities), None)

    def add(self, user_id: str, others: Iterable[str], names: Iterable[str] = ()) -> Person:
        """Forget a person: the user id, what else identifies them, and the names shown for them.

        Saving is the caller's.
        """
        pseudonym = f"forgotten-{secrets.token_hex(8)}"
        person = Person(pseudonym, datetime.now(UTC).isoformat(timespec="seconds"))
        self._note(person, user_id, pseudonym)
        person.names = {self._hash(name): len(name) for name in names}
        self.people.append(person)
        for identity in sorted(others):
            self.learn(person, identity)
        self._refresh()
        return person

    def learn(self, person: Person, identity: str) -> None:
        """One more identity of a forgotten person; what was written before has to be looked at."""
        known = self._hash(identity)
        if known in person.identities or not identity:
            return
        # Each has a pseudonym of its own, so that no two of them become one; e-mails stay such.
        number = len(person.identities) + 1
        ending = "@forgotten.invalid" if "@" in identity else ""
        self._note(person, identity, f"{person.pseudonym}-{number}{ending}")
        person.is_finished = False
        self._refresh()

    def _note(self, person: Person, identity: str, pseudonym: str) -> None:
        known = self._hash(identity)
        person.identities[known] = pseudonym
        written = {identity, identity.lower()}
        if is_weak(identity):
            person.weak.append(known)
        else:
            person.spellings |= {self._hash(each): pseudonym for each in spellings(identity)}
            written |= spellings(identity)
            person.is_odd |= not all(ORDINARY.fullmatch(each) for each in written)
        person.lengths = sorted({*person.lengths, *map(len, written)})

    def learn_from(self, name: str, table: pa.Table, owner: Callable[[str], str | None]) -> bool:
        """Learn what users and identities say of forgotten people; returns whether it was news.

        owner: the user whose identity a text is by what has been loaded before, if anybody's.
        """
        column = {"users": "email", "user_identities": "identity"}.get(name)
        if column is None or not self.people:
            return False
        by_user = {known: each for each in self.people for known in each.identities}
        pseudonyms = {each.pseudonym: each for each in self.people}
        newest: dict[str, tuple[Any, str]] = {}
        for user_id, identity, at in zip(
            *(table[each].to_pylist() for each in ("user_id", column, "updated_at")), strict=True
        ):
            if identity and user_id and (identity not in newest or newest[identity][0] <= at):
                newest[identity] = (at, user_id)
        is_news = False
        for identity, (_, user_id) in newest.items():
            person = pseudonyms.get(user_id) or by_user.get(self._hash(user_id))
            if person is None or self.whole(identity) != identity or identity in self.own:
                continue
            if name == "users" or owner(identity) in (None, user_id, person.pseudonym):
                self.learn(person, identity)
                is_news = True
        return is_news

    @property
    def own(self) -> set[str]:
        """The pseudonyms."""
        return set(self._pseudonyms.values())

    @property
    def has_weak(self) -> bool:
        """Whether an identity is told by its column or field alone."""
        return any(person.weak for person in self.people)

    def whole(self, value: str) -> str:
        """The pseudonym of a value that is an identity of somebody forgotten, else the value."""
        if len(value) not in self._lengths:
            return value
        return self._pseudonyms.get(self._hash(value), value)

    def text(self, value: str) -> str:
        """A text with a pseudonym for each identity in it that is no part of a longer one."""
        return self._known(value, STARTS, ENDS)

    def wording(self, value: str) -> str:
        """A text for people with a pseudonym wherever an identity is a word of it."""
        return self._known(self._known(value, STARTS, ENDS), WORD_STARTS, WORD_ENDS)

    def without_names(self, value: str, people: Iterable[Person] | None = None) -> str:
        """A text that named people, with a pseudonym for the name that they were shown under.

        people: those that it named; by default everybody.
        """
        for person in self.people if people is None else people:
            if person.names:
                value = self.json_text(value, self._without_names_of(person))
        return value

    def people_in(self, text: str) -> list[Person]:
        """The forgotten people whose pseudonym stands in a text."""
        return [person for person in self.people if person.pseudonym in text]

    def _without_names_of(self, person: Person) -> Callable[[str], str]:
        pseudonyms = dict.fromkeys(person.names, person.pseudonym)
        lengths = sorted(set(person.names.values()), reverse=True)
        return lambda text: self._replaced(text, WORD_STARTS, WORD_ENDS, pseudonyms, lengths)

    def json_text(self, value: str, change: Callable[[str], str] | None = None) -> str:
        """A text, which may have JSON in it: then what its texts say counts, however written.

        What does not change stays byte for byte, so that a rejected line is rejected as it was.
        """
        changed = change or self.text
        if not self.people:
            return value
        if self.has_weak and '"' in value:
            value = JSON_FIELD.sub(self._field, value)
        if "\\" not in value:
            return changed(value)
        parts, position = [], 0
        for found in JSON_TEXT.finditer(value):
            parts += [changed(value[position : found.start()]), self._json(found, changed)]
            position = found.end()
        return "".join([*parts, changed(value[position:])])

    def _json(self, found: re.Match[str], change: Callable[[str], str]) -> str:
        """A text as JSON writes it, from its quote to its quote, or to where it is cut."""
        written, is_cut = found.group(), found["end"] is None
        said = _said(written[1:] if is_cut else written[1:-1])
        changed = self.json_text(said, change)
        if changed == said:
            return written
        rewritten = _as_json(changed)
        return rewritten[:-1] if is_cut else rewritten

    def _field(self, found: re.Match[str]) -> str:
        """A field of JSON that holds an identity and nothing else."""
        written = found.group(2)
        said = _said(written.strip('"'))
        changed = self.whole(said)
        return found.group() if changed == said else found.group(1) + _as_json(changed)

    def table(self, name: str | None, table: pa.Table) -> pa.Table:
        """A table of the source `name` (None: of no source) in which nobody forgotten is named."""
        if not self.people:
            return table
        if name is None and {"kind", "id"} <= set(table.column_names):
            table = self._without_ids(table)
        for index, column in enumerate(table.column_names):
            if name is not None and column in KEPT_COLUMNS:
                continue
            if name is not None and column in IDENTITY_COLUMNS:
                change = self.whole
            elif column in FIELDS_OF_PEOPLE:
                change = self._whole_or_text
            elif column in WORDING_COLUMNS:
                change = self._json_wording
            else:
                change = self.json_text
            changed = _changed(table[column], change)
            if changed is not None:
                table = table.set_column(index, table.schema.field(index), changed)
        if name == "users":
            table = self._without_names(table)
        return table

    def _without_ids(self, names: pa.Table) -> pa.Table:
        """Names by kind and id, of which some are of users."""
        ids = [
            self.whole(each) if each and (kind or "").startswith("user_") else each
            for kind, each in zip(names["kind"].to_pylist(), names["id"].to_pylist(), strict=True)
        ]
        index = names.column_names.index("id")
        return names.set_column(index, names.schema.field(index), pa.array(ids, pa.string()))

    def _whole_or_text(self, value: str) -> str:
        return self.json_text(self.whole(value))

    def _json_wording(self, value: str) -> str:
        return self.json_text(value, self.wording)

    def _without_names(self, users: pa.Table) -> pa.Table:
        own = pa.array([person.pseudonym for person in self.people], pa.string())
        is_forgotten = pc.is_in(users["user_id"], own)
        shown = pc.if_else(
            pc.and_(is_forgotten, pc.is_valid(users["display_name"])),
            users["user_id"],
            users["display_name"],
        )
        index = users.column_names.index("display_name")
        return users.set_column(index, users.schema.field(index), shown)

    def _known(self, value: str, starts: re.Pattern[str], ends: re.Pattern[str]) -> str:
        if not self._lengths or len(value) < self._shortest:
            return value
        place = (starts is STARTS, value)
        if place in self._cache:
            return self._cache[place]
        if self._is_odd and starts is STARTS:
            value = self._replaced(value, ODD_STARTS, ends, self._searched, self._lengths)
        replaced = self._replaced(value, starts, ends, self._searched, self._lengths)
        if len(value) <= LONGEST_CACHED:
            if len(self._cache) >= MOST_CACHED:
                self._cache.clear()
            self._cache[place] = replaced
        return replaced

    def _replaced(
        self,
        value: str,
        starts: re.Pattern[str],
        ends: re.Pattern[str],
        pseudonyms: dict[str, str],
        lengths: list[int],
    ) -> str:
        parts, position = [], 0
        for start in starts.finditer(value):
            if start.start() < position or (starts is WORD_STARTS and _in_email(value, start)):
                continue
            for length in lengths:
                end = start.start() + length
                if end > len(value) or not (ends.match(value, end) or _ends_oddly(value, end)):
                    continue
                pseudonym = pseudonyms.get(self._hash(value[start.start() : end]))
                if pseudonym is not None:
                    parts += [value[position : start.start()], pseudonym]
                    position = end
                    break
        return "".join([*parts, value[position:]]) if parts else value

    def _hash(self, identity: str) -> str:
        # E-mail compares lower-cased, ids as they are.
        compared = identity.lower() if "@" in identity else identity
        text = compared.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._key, digest_size=16).hexdigest()

    def _refresh(self) -> None:
        self._pseudonyms = {
            known: pseudonym
            for person in self.people
            for known, pseudonym in person.identities.items()
        }
        weak = {known for person in self.people for known in person.weak}
        spelled = [person.spellings for person in self.people]
        self._searched = {
            known: pseudonym
            for each in (*spelled, self._pseudonyms)
            for known, pseudonym in each.items()
            if known not in weak
        }
        self._is_odd = any(person.is_odd for person in self.people)
        lengths = {length for person in self.people for length in person.lengths}
        # The longest first: an id may be the beginning of an e-mail.
        self._lengths = sorted(lengths, reverse=True)
        self._shortest = min(lengths, default=0)
        self._cache: dict[tuple[bool, str], str] = {}


def is_weak(identity: str) -> bool:
    """Whether an identity is too little to be searched for in texts: `7`, `42`, `x`."""
    return len(identity) < SHORTEST_SEARCHED or not any(map(str.isalpha, identity))


def spellings(identity: str) -> set[str]:
    """How other files write an identity, where that is not as it is."""
    return {
        json.dumps(identity)[1:-1],
        json.dumps(identity, ensure_ascii=False)[1:-1],
        identity.replace('"', '""'),
        html.escape(identity, quote=False),
        html.escape(identity).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
        identity.replace("|", "\\|").replace("\n", " "),
        quote(identity, safe="", errors="replace"),
        quote(identity, safe="", errors="replace").replace(".", "%2E").replace("~", "%7E"),
        repr(identity)[1:-1],
    } - {identity}


def _said(written: str) -> str:
    """What a text of JSON says; an escape that JSON has not says itself."""

    def said(found: re.Match[str]) -> str:
        if found.group(1):
            return chr(int(found.group(1), 16))
        return ESCAPED.get(found.group(2), found.group())

    text = JSON_ESCAPE.sub(said, written)
    # Two halves of a character become one; a half alone stays.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _as_json(text: str) -> str:
    """A text in quotes; what no file can hold is escaped."""
    has_half = any("\ud800" <= character <= "\udfff" for character in text)
    return json.dumps(text, ensure_ascii=has_half)


def _ends_oddly(text: str, end: int) -> bool:
    """Whether the character before ends an identity whatever follows it."""
    return not RUN_AFTER.fullmatch(text[end - 1])


def _in_email(text: str, start: re.Match[str]) -> bool:
    """Whether a word begins inside an e-mail, which is somebody else's."""
    first = start.start()
    while first and RUN_AFTER.fullmatch(text[first - 1]):
        first -= 1
    run = RUN_AFTER.match(text, first)
    return run is not None and "@" in run.group()


def _changed(column: pa.ChunkedArray, change: Callable[[str], str]) -> pa.ChunkedArray | None:
    """The column with every text in it changed, or None where nothing changes."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        encoded = column.combine_chunks().dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        before = encoded.dictionary.to_pylist()
        after = [None if text is None else change(text) for text in before]
        if after == before:
            return None
        return pa.chunked_array([pa.array(after, kind).take(encoded.indices)])
    if pa.types.is_map(kind) and not _is_any_changed(column, change):
        return None
    if pa.types.is_map(kind) or pa.types.is_list(kind) or pa.types.is_struct(kind):
        rows = column.to_pylist()
        changed = [_inner(row, change) for row in rows]
        return None if changed == rows else pa.chunked_array([pa.array(changed, kind)])
    return None


def _is_any_changed(maps: pa.ChunkedArray, change: Callable[[str], str]) -> bool:
    """Whether a text among the items of maps of texts changes; each is looked at once."""
    if not pa.types.is_string(maps.type.item_type):
        return True
    texts = {
        text
        for chunk in maps.chunks
        for part in (chunk.keys, chunk.items)
        for text in pc.unique(part).to_pylist()
    }
    return any(text is not None and change(text) != text for text in texts)


def _inner(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _inner(item, change) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_inner(item, change) for item in value)
    return value
