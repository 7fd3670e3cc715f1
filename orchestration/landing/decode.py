"""From bytes to lines, and from a line to a row of texts: JSON's own rules and the types of fields.

What a text means (is it an instant, is the value allowed) is decided in rules.py, for every format.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext
from typing import Any

from orchestration.landing.content import without_content
from orchestration.landing.contract import Field, Source
from orchestration.landing.rules import AMOUNT_LIMIT, LATENCY_LIMIT

WHOLE_TEXT = re.compile(r"-?[0-9]+(\.0+)?")
DECIMAL_TEXT = re.compile(r"-?[0-9]+(\.[0-9]+)?")
AMOUNT_PLACES = Decimal("0.000000000001")
LATENCY_PLACES = Decimal("0.001")


# Per kind, the types of JSON values that need no turning into text but str().
PLAIN: dict[str, set[type]] = {
    "id": {str, int},
    "text": {str, int},
    "instant": {str},
    "whole": {str, int},
    "latency": {int},
    "amount": {str},
    "boolean": set(),
    "tags": set(),
}


class Rejection(ValueError):
    """Why a line does not load: a reason in one word, and a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass
class Line:
    """A line: its number (from 1), its bytes without the line end, whether that was there."""

    number: int
    text: bytes
    is_terminated: bool


class _Float(float):
    """A JSON number with a fraction or exponent, which remembers how it was written."""

    text: str

    def __new__(cls, text: str) -> "_Float":
        number = super().__new__(cls, text)
        number.text = text
        return number


def json_float(text: str) -> float:
    """A JSON number with a fraction or exponent as json_value returns it."""
    return _Float(text)


def lines_of(stream: Iterable[bytes], first_number: int, start_byte: int) -> Iterator[Line]:
    """The lines of a stream that stands at start_byte; only a line feed ends one."""
    for number, raw in enumerate(stream, first_number):
        terminated = raw.endswith(b"\n")
        text = raw[:-1].removesuffix(b"\r") if terminated else raw
        if number == first_number and start_byte == 0 and text.startswith(b"\xef\xbb\xbf"):
            text = text[3:]
        yield Line(number, text, terminated)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Rejection("duplicate_field", f"the field {twice!r} stands twice in one object")
    return fields


def _no_constant(name: str) -> Any:
    raise Rejection("not_json", f"{name} is no JSON value")


_decoder = json.JSONDecoder(
    object_pairs_hook=_no_duplicates, parse_float=_Float, parse_constant=_no_constant
)


def json_value(line: bytes) -> Any:
    """The value that a line holds, strictly; raises Rejection."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Rejection("not_utf8", f"byte {error.start + 1} is not UTF-8") from error
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise Rejection("not_json", f"{error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise Rejection("not_json", "the value is nested too deeply") from error
    except Rejection:
        raise
    except ValueError as error:
        raise Rejection("not_json", str(error)) from error
    return value


def json_object(line: bytes) -> dict[str, Any]:
    """The object that a line holds; raises Rejection."""
    value = json_value(line)
    if not isinstance(value, dict):
        raise Rejection("not_an_object", "the line holds no JSON object")
    return value


def canonical_json(value: Any) -> str:
    """Keys sorted, no spaces, null fields left out, numbers as text in plain decimal notation."""
    return json.dumps(_canonical(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return plain_number(value)
    return value if isinstance(value, (str, bool)) or value is None else str(value)


def plain_number(value: int | float | Decimal) -> str:
    """A number as text without exponent or trailing zeros: 12.50 and 1.25e1 are both 12.5."""
    try:
        number = Decimal(repr(float(value))) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        return str(value)
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


class Coercion:
    """Turns the values of one source's fields into the texts that rules.py judges.

    rounded counts the amounts that came as JSON numbers with more than 12 decimals.
    """

    def __init__(self, source: Source, keeps_content: bool) -> None:
        self.source = source
        self.keeps_content = keeps_content
        self.rounded = 0
        self._names = {field.name for field in source.fields}
        # The types that rules.py judges as they are, which nearly every value has.
        self._plan = [
            (field.name, field, str in PLAIN[field.kind], int in PLAIN[field.kind])
            for field in source.fields
        ]
        self._by_kind = {
            "id": self._text,
            "text": self._text,
            "instant": self._instant,
            "whole": self._whole,
            "latency": self._latency,
            "amount": self._amount,
            "boolean": self._boolean,
            "tags": self._tags,
        }

    def row(self, fields: dict[str, Any], has_escapes: bool) -> list[Any]:
        """One text (tags: a list of texts) per field of the contract, then `extra`.

        has_escapes: whether the line holds escapes, which may stand for half a character.
        """
        row: list[Any] = []
        for name, field, takes_text, takes_int in self._plan:
            value = fields.get(name)
            if value is None or (takes_text and value.__class__ is str):
                row.append(value)
            elif takes_int and value.__class__ is int:
                row.append(str(value))
            else:
                row.append(self._by_kind[field.kind](field, value))
        if has_escapes:
            for (name, *_), value in zip(self._plan, row, strict=True):
                for text in value if isinstance(value, list) else [value or ""]:
                    _encodable(name, text)
        row.append(self.extra(fields) if fields.keys() - self._names else None)
        return row

    def extra(self, fields: dict[str, Any]) -> str | None:
        """The fields that the contract does not know, as canonical JSON; content stays out."""
        unknown = {name: fields[name] for name in fields.keys() - self._names}
        try:
            text = canonical_json(unknown if self.keeps_content else without_content(unknown))
        except RecursionError as error:
            raise Rejection("not_json", "an unknown field is nested too deeply") from error
        return None if text == "{}" else _encodable("extra", text)

    def value(self, field: Field, value: Any) -> Any:
        """The text of one value; raises Rejection where its type does not fit the field."""
        return None if value is None else self._by_kind[field.kind](field, value)

    def _text(self, field: Field, value: Any) -> str | None:
        if isinstance(value, str):
            return value
        if isinstance(value, _Float):
            return value.text
        if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
            return str(value)
        raise _wrong_type(field, value, "text")

    def _instant(self, field: Field, value: Any) -> str:
        if isinstance(value, str):
            return value
        raise _wrong_type(field, value, "an ISO 8601 text with Z or an offset")

    def _whole(self, field: Field, value: Any) -> str:
        if isinstance(value, str):
            return value
        if not isinstance(value, (int, float, Decimal)) or isinstance(value, bool):
            raise _wrong_type(field, value, "a whole number")
        if value == value and abs(value) != float("inf") and value == int(value):
            return str(int(value))
        raise Rejection("not_whole_number", f"{field.name} is {_shown(value)}, not a whole number")

    def _latency(self, field: Field, value: Any) -> str:
        number = _decimal(field, value)
        if number < 0:
            raise Rejection("negative", f"{field.name} is {_shown(value)}, which is negative")
        return (
            f"{_within(field, number, LATENCY_LIMIT).quantize(LATENCY_PLACES, ROUND_HALF_EVEN):f}"
        )

    def _amount(self, field: Field, value: Any) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, Decimal):
            return plain_number(value)
        number = _within(field, _decimal(field, value), AMOUNT_LIMIT)
        with localcontext(prec=60):
            rounded = number.quantize(AMOUNT_PLACES, ROUND_HALF_EVEN)
        self.rounded += rounded != number
        return f"{rounded:f}"

    def _boolean(self, field: Field, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if value in ("true", "false"):
            return value
        raise _wrong_type(field, value, "true or false")

    def _tags(self, field: Field, value: Any) -> list[str] | None:
        if isinstance(value, str) and value.startswith("["):
            try:
                value = json_value(value.encode("utf-8", "surrogatepass"))
            except Rejection as rejection:
                raise _wrong_type(field, value, "a list of texts") from rejection
        if not isinstance(value, list):
            raise _wrong_type(field, value, "a list of texts")
        if any(not isinstance(tag, str) for tag in value if tag is not None):
            raise Rejection("wrong_type", f"{field.name} holds something that is no text")
        return [tag for tag in value if tag] or None


def _decimal(field: Field, value: Any) -> Decimal:
    if isinstance(value, str) and DECIMAL_TEXT.fullmatch(value):
        return Decimal(value)
    if isinstance(value, Decimal):
        return value
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return Decimal(repr(float(value)))
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    raise Rejection("not_a_number", f"{field.name} is {_shown(value)}, not a number")


def _within(field: Field, number: Decimal, limit: int) -> Decimal:
    if abs(number) > limit:
        raise Rejection("out_of_range", f"{field.name} is {number:.3E}, which is out of range")
    return number


def _encodable(name: str, text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Rejection("not_utf8", f"{name} holds half of a surrogate pair") from error
    return text


def _shown(value: Any) -> str:
    text = value.text if isinstance(value, _Float) else json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _wrong_type(field: Field, value: Any, wanted: str) -> Rejection:
    return Rejection("wrong_type", f"{field.name} is {_shown(value)}, not {wanted}")
