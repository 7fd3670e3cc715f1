"""Lines proved plain in bulk, so that nobody need read them one by one.

DuckDB parses a chunk of lines into one text a field, and tells the names that each line has. A text
in the plain form of its kind needs no judgement but a conversion. Any other line goes the way of
decode.py and rules.py, which decide what becomes of it: to find a line less plain than it is costs
time, and never a row. What is plain here would load there with the same values, which a test holds.

Three things of a JSON value do not show in its text, and are looked for where they can matter:
whether it stood in quotes, how a number was written, and a comma after the last element.
"""

import json
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.landing.contract import Field, Source
from orchestration.landing.decode import Coercion, Rejection, json_float, json_object
from orchestration.landing.rules import WHOLE_LIMIT

# Texts of a kind that convert without failing and without losing anything.
_DAY = (
    r"20(?:(?:0[1-9]|[1-8][0-9]|9[0-8])-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|"
    r"(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)|"
    r"(?:0[48]|[2468][048]|[13579][26])-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
PLAIN_TEXTS = {
    "instant": rf"\A{_DAY}[T ]{_TIME}(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])\z",
    "whole": rf"\A[0-9]{{1,{len(str(WHOLE_LIMIT)) - 1}}}(?:\.0+)?\z",
    "latency": r"\A[0-9]{1,11}(?:\.[0-9]{1,3})?\z",
    "amount": r'\A(?:-?[0-9]{1,17}(?:\.[0-9]{1,12})?|"-?[0-9]{1,17}(?:\.[0-9]{1,12})?")\z',
    "boolean": r"\A(?:true|false)\z",
    "tags": r'\A(?:\[\]|\["[^"\\]+"(?:,"[^"\\]+")*\])\z',
}
# These texts of an id or a name may have been no JSON text, but stood without quotes.
UNQUOTED = (
    r"\A(?:[\[{]|(?:true|false|(?i:[+-]?(?:nan|inf|infinity))|"
    r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\z)"
)
WHOLE_NUMBER = r"\A-?[0-9]+\z"
LONGEST_WORD = len("-Infinity")
# A number that went through a double; a whole one keeps all its digits.
FLOAT = r"\A-?[0-9]+(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)\z"
BATCH_LINES = 1 << 14


class Chunk:
    """Whole lines of bytes, each with its line end; starts and ends are without line ends."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._bytes = np.frombuffer(content, dtype=np.uint8)
        self._stops = np.flatnonzero(self._bytes == ord("\n")) + 1
        self.starts = np.concatenate(([0], self._stops[:-1]))
        ends = self._stops - 1
        has_return = (ends > self.starts) & (self._bytes[ends - 1] == ord("\r"))
        self.ends = ends - has_return

    def __len__(self) -> int:
        return len(self.starts)

    def line(self, index: int) -> bytes:
        """The bytes of one line, without its line end."""
        return self.content[self.starts[index] : self.ends[index]]

    def lines(self, is_wanted: np.ndarray) -> pa.LargeStringArray:
        """Every line with its line end, without a copy; null where it is not wanted."""
        offsets = np.append(self.starts, self._stops[-1]).astype(np.int64)
        bitmap = np.packbits(is_wanted, bitorder="little")
        return pa.LargeStringArray.from_buffers(
            len(self), pa.py_buffer(offsets), pa.py_buffer(self.content), pa.py_buffer(bitmap)
        )

    def may_be_objects(self, have_lists: bool) -> np.ndarray:
        """Which lines may be a JSON object, without a comma after its last member or element."""
        before_last = self._bytes[np.maximum(self.ends - 2, 0)]
        may_be = (
            (self.ends - self.starts > 2)
            & (self._bytes[self.starts] == ord("{"))
            & (self._bytes[np.maximum(self.ends - 1, 0)] == ord("}"))
            & (before_last > ord(" "))
            & (before_last != ord(","))
        )
        if have_lists:
            brackets = np.flatnonzero(self._bytes == ord("]"))
            # A comma, or a space that may hide one.
            inner = self._bytes[np.maximum(brackets - 1, 0)]
            doubtful = brackets[(inner == ord(",")) | (inner <= ord(" "))]
            may_be[np.searchsorted(self._stops, doubtful, side="right")] = False
        may_be[self._undecodable()] = False
        return may_be

    def _undecodable(self) -> list[int]:
        """The lines that are not UTF-8."""
        try:
            self.lines(np.ones(len(self), dtype=bool)).validate(full=True)
        except pa.ArrowInvalid:
            beyond_ascii = np.searchsorted(
                self._stops, np.flatnonzero(self._bytes > 127), side="right"
            )
            return [line for line in np.unique(beyond_ascii) if not _is_utf8(self.line(line))]
        return []


@dataclass(frozen=True)
class PlainRows:
    """Rows of the contract's fields and `extra`, and of each the index of its line in the chunk.

    rounded: the indices of the lines that had an amount of more than 12 decimals, once for each.
    """

    rows: pa.Table
    lines: np.ndarray
    rounded: np.ndarray


class PlainLines:
    """Reads the plain lines of one source."""

    def __init__(
        self, source: Source, keeps_content: bool, connection: duckdb.DuckDBPyConnection
    ) -> None:
        self._fields = {field.name: field for field in source.fields}
        self._types = {name: source.schema.field(name).type for name in self._fields}
        self._coercion = Coercion(source, keeps_content)
        self._connection = connection
        # By the hash of the names of a line: what _known_names says of it.
        self._names: dict[int, int] = {}
        self._met_broken_lines = False
        self._have_lists = any(field.kind == "tags" for field in source.fields)
        # How an amount was written shows only with its quotes.
        structure = {
            name: "JSON" if field.kind == "amount" else "VARCHAR"
            for name, field in self._fields.items()
        }
        quoted = json.dumps(structure).replace("'", "''")
        columns = ", ".join(f"cast(fields.{name} as varchar) as {name}" for name in self._fields)
        self._query = (
            f"select hash(json_keys(line)) as line_names, {columns} "
            f"from (select line, from_json(line, '{quoted}') as fields from lines)"
        )

    def read(self, chunk: Chunk) -> PlainRows:
        """The rows of the lines proved plain; the lines that it leaves out may load too."""
        is_plain = chunk.may_be_objects(self._have_lists)
        texts = self._texts(chunk, is_plain)
        known = self._known_names(chunk, texts["line_names"].to_numpy(), is_plain)
        is_plain &= known >= 0
        columns: dict[str, _Column] = {}
        for name, field in self._fields.items():
            columns[name] = _Column(field, texts[name], self._coercion)
            is_plain &= columns[name].is_plain
        extra = self._extra(chunk, is_plain, np.flatnonzero(is_plain & (known == 0)))
        kept = None if is_plain.all() else pa.array(is_plain)
        rows = {name: column.values(kept, self._types[name]) for name, column in columns.items()}
        rows["extra"] = extra if kept is None else extra.filter(kept)
        rounded = [np.flatnonzero(is_plain & column.is_rounded) for column in columns.values()]
        return PlainRows(pa.table(rows), np.flatnonzero(is_plain), np.concatenate(rounded))

    def _texts(self, chunk: Chunk, is_wanted: np.ndarray) -> pa.Table:
        """The texts of the wanted lines; what turns out to be no JSON is wanted no more."""
        if not self._met_broken_lines:
            try:
                return self._ask(self._query, chunk.lines(is_wanted))
            except (duckdb.InvalidInputException, UnicodeDecodeError):
                # DuckDB quotes the line that is no JSON, and may cut it inside a character. Where
                # there is one there are more: from now on it is asked for them first.
                self._met_broken_lines = True
        valid = self._ask("select json_valid(line) as it from lines", chunk.lines(is_wanted))
        is_wanted &= pc.fill_null(valid["it"], False).to_numpy()
        return self._ask(self._query, chunk.lines(is_wanted))

    def _ask(self, query: str, lines: pa.LargeStringArray) -> pa.Table:
        table = pa.table({"line": lines})
        batches = table.to_batches(max_chunksize=BATCH_LINES)
        self._connection.register("lines", pa.Table.from_batches(batches, table.schema))
        try:
            return self._connection.sql(query).to_arrow_table()
        finally:
            self._connection.unregister("lines")

    def _known_names(self, chunk: Chunk, hashes: np.ndarray, is_wanted: np.ndarray) -> np.ndarray:
        """Per line: 1 where the contract knows every name, 0 if not, -1 if one stands twice."""
        different, firsts, which = np.unique(hashes, return_index=True, return_inverse=True)
        known = []
        for names, first in zip(different.tolist(), firsts, strict=True):
            if names not in self._names and is_wanted[first]:
                self._names[names] = self._knows(chunk.line(first))
            known.append(self._names.get(names, -1))
        return np.array(known, dtype=np.int8)[which]

    def _knows(self, line: bytes) -> int:
        try:
            names = [name for name, _ in json.loads(line, object_pairs_hook=list)]
        except (ValueError, RecursionError):
            return -1
        return -1 if len(set(names)) < len(names) else int(set(names) <= self._fields.keys())

    def _extra(self, chunk: Chunk, is_plain: np.ndarray, rows: np.ndarray) -> pa.Array:
        """What the contract does not know of these rows; one that cannot be told is not plain."""
        if not len(rows):
            return pa.nulls(len(chunk), pa.string())
        values: list[str | None] = [None] * len(chunk)
        for row in rows:
            try:
                values[row] = self._coercion.extra(json_object(chunk.line(row)))
            except Rejection:
                is_plain[row] = False
        return pa.array(values, pa.string())


class _Column:
    """The texts of one field: which are plain, and their values."""

    def __init__(self, field: Field, texts: pa.ChunkedArray, coercion: Coercion) -> None:
        self._field = field
        self._texts = texts.combine_chunks()
        self._is_null = self._texts.is_null().to_numpy(zero_copy_only=False)
        self.is_rounded = np.zeros(len(self._texts), dtype=bool)
        self.is_plain = self._plain_texts()
        if field.kind == "amount":
            self._round_amounts(coercion)
        if field.is_required:
            self.is_plain &= ~self._is_null
            if field.kind == "id":
                self.is_plain &= _answers(pc.not_equal(self._texts, ""))

    def values(self, kept: pa.Array | None, wanted: pa.DataType) -> pa.Array:
        """The values of the rows that are kept, in the wanted type."""
        kind = self._field.kind
        texts = self._texts if kept is None else self._texts.filter(kept)
        if kind == "id":
            has_empty = pc.any(pc.equal(texts, "")).as_py()
            return pc.if_else(pc.equal(texts, ""), None, texts) if has_empty else texts
        if kind == "whole":
            has_point = pc.any(pc.match_substring(texts, ".")).as_py()
            texts = pc.replace_substring_regex(texts, r"\..*", "") if has_point else texts
            return texts.cast(wanted)
        if kind == "instant":
            return texts.cast(pa.timestamp(wanted.unit, "UTC")).cast(wanted)
        if kind == "tags":
            inner = pc.utf8_slice_codeunits(texts, 2, -2)
            return pc.if_else(pc.equal(texts, "[]"), None, pc.split_pattern(inner, '","'))
        if kind == "amount":
            texts = pc.utf8_trim(texts, '"')
        return texts.cast(wanted)

    def _plain_texts(self) -> np.ndarray:
        kind = self._field.kind
        if self._is_null.all():
            return np.ones(len(self._texts), dtype=bool)
        if self._field.allowed:
            allowed = pa.array(self._field.allowed, self._texts.type)
            return _answers(pc.is_in(self._texts, allowed)) | self._is_null
        if kind in ("id", "text"):
            return self._quoted()
        if kind == "whole" and self._are_short_digits():
            return np.ones(len(self._texts), dtype=bool)
        return _answers(pc.match_substring_regex(self._texts, PLAIN_TEXTS[kind]))

    def _quoted(self) -> np.ndarray:
        """Which texts must have stood in quotes, or read the same without."""
        offsets, content = self._buffers()
        if not len(content):
            return np.ones(len(self._texts), dtype=bool)
        lengths = np.diff(offsets)
        first = content[np.minimum(offsets[:-1], len(content) - 1)]
        may_be_word = (lengths <= LONGEST_WORD) & _OF_WORDS[first]
        may_be_list = (first == ord("[")) | (first == ord("{"))
        numbers = np.flatnonzero(_OF_NUMBERS[first] & (lengths > 0))
        # Nearly every text shows at one of these places that it is no number.
        for quarter in (4, 2, 1, 3):
            places = offsets[numbers] + (lengths[numbers] - 1) * quarter // 4
            numbers = numbers[_OF_NUMBERS[content[places]]]
        doubtful = np.union1d(np.flatnonzero(may_be_word | may_be_list), numbers)
        is_quoted = np.ones(len(self._texts), dtype=bool)
        if len(doubtful):
            texts = self._texts.take(pa.array(doubtful))
            is_other = _answers(pc.match_substring_regex(texts, UNQUOTED))
            is_number = _answers(pc.match_substring_regex(texts.filter(is_other), WHOLE_NUMBER))
            is_quoted[doubtful[is_other][~is_number]] = False
        return is_quoted

    def _are_short_digits(self) -> bool:
        offsets, content = self._buffers()
        lengths = np.diff(offsets)
        content = content[offsets[0] : offsets[-1]]
        return bool(
            len(content)
            and content.min() >= ord("0")
            and content.max() <= ord("9")
            and lengths.max() < len(str(WHOLE_LIMIT))
            and not (~self._is_null & (lengths == 0)).any()
        )

    def _buffers(self) -> tuple[np.ndarray, np.ndarray]:
        """Offsets and bytes of the texts."""
        offset_type = np.int64 if pa.types.is_large_string(self._texts.type) else np.int32
        _, offsets, content = self._texts.buffers()
        first = self._texts.offset
        return (
            np.frombuffer(offsets, dtype=offset_type)[first : first + len(self._texts) + 1],
            np.frombuffer(content or b"", dtype=np.uint8),
        )

    def _round_amounts(self, coercion: Coercion) -> None:
        """Turn numbers of other notations and of more decimals into amounts, as decode.py does."""
        others = np.flatnonzero(~self.is_plain)
        if not len(others):
            return
        texts = self._texts.to_pylist()
        is_float = _answers(pc.match_substring_regex(self._texts.take(pa.array(others)), FLOAT))
        for row in others[is_float]:
            before = coercion.rounded
            try:
                texts[row] = coercion.value(self._field, json_float(texts[row]))
            except Rejection:
                continue
            self.is_plain[row] = True
            self.is_rounded[row] = coercion.rounded > before
        self._texts = pa.array(texts, self._texts.type)


def _any_of(characters: bytes) -> np.ndarray:
    is_member = np.zeros(256, dtype=bool)
    is_member[list(characters)] = True
    return is_member


_OF_NUMBERS = _any_of(b"0123456789+-.eE")
_OF_WORDS = _any_of(b"tfnNiI+-")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _answers(answers: pa.Array) -> np.ndarray:
    """Answers as numpy has them; no text is no fault."""
    return pc.fill_null(answers, True).to_numpy(zero_copy_only=False)
