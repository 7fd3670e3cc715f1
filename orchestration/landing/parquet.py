"""Parquet columns: which rows are plain, and what rules.py and decode.py get of the others."""

from datetime import UTC
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.landing.contract import Field, Source
from orchestration.landing.decode import Rejection
from orchestration.landing.rules import (
    AMOUNT_LIMIT,
    FIRST_INSTANT,
    LAST_INSTANT,
    LATENCY_LIMIT,
    WHOLE_LIMIT,
)

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
# Whole numbers up to here are exact as doubles and have no more digits than a double keeps.
EXACT = 10**15


def plain_rows(part: pa.Table, source: Source) -> tuple[pa.Table, np.ndarray] | None:
    """The fields of a part, typed, and which of its rows break no rule.

    None where the type of a column needs a look at each value: nothing is told of its rows then.
    """
    columns = {}
    is_plain = np.ones(len(part), dtype=bool)
    for field in source.fields:
        values, wanted = column(part, field.name), source.schema.field(field.name).type
        if values.null_count == len(values):
            columns[field.name] = pa.nulls(len(values), wanted)
            is_plain &= not field.is_required
            continue
        try:
            found = _plain_column(field, values, wanted)
        except pa.ArrowInvalid:
            # Text that is not UTF-8, or a decimal that is too long.
            return None
        if found is None:
            return None
        columns[field.name], is_good = found
        is_plain &= is_good
        if field.is_required:
            is_plain &= columns[field.name].is_valid().to_numpy()
    return pa.table(columns), is_plain


def _plain_column(
    field: Field, values: pa.ChunkedArray, wanted: pa.DataType
) -> tuple[pa.ChunkedArray, np.ndarray | np.bool_] | None:
    """The values in the wanted type, and which break no rule, or whether none does."""
    kind, types = values.type, pa.types
    if field.kind in ("id", "text") and types.is_string(kind):
        values.validate(full=True)
        if field.kind == "id" and pc.any(pc.equal(values, "")).as_py():
            values = pc.if_else(pc.equal(values, ""), None, values)
        if not field.allowed:
            return values, np.True_
        return values, _are_null_or(pc.is_in(values, pa.array(field.allowed, kind)), values)
    if field.kind == "instant" and types.is_timestamp(kind):
        first, last = (
            int(at.replace(tzinfo=UTC).timestamp()) * PER_SECOND[kind.unit]
            for at in (FIRST_INSTANT, LAST_INSTANT)
        )
        # Compared before the cast to microseconds, which a value far away would not survive.
        is_good = _between(values.cast(pa.int64()), first, last - 1)
        return values.cast(wanted, safe=False), is_good
    if field.kind == "whole" and types.is_integer(kind) and kind != pa.uint64():
        values = values.cast(wanted)
        return values, _between(values, 0, WHOLE_LIMIT)
    if field.kind in ("latency", "amount"):
        is_latency = field.kind == "latency"
        least, most = (0, LATENCY_LIMIT) if is_latency else (-AMOUNT_LIMIT, AMOUNT_LIMIT)
        if types.is_float64(kind):
            values, is_good = _decimals(values, wanted)
            return values, is_good & _between(values, least, most)
        if types.is_integer(kind) or (types.is_decimal128(kind) and kind.scale <= wanted.scale):
            values = values.cast(pa.decimal128(38, wanted.scale)).cast(wanted)
            return values, _between(values, least, most)
    if field.kind == "boolean" and types.is_boolean(kind):
        return values, np.True_
    if field.kind == "tags" and types.is_list(kind) and types.is_string(kind.value_type):
        tags = pc.list_flatten(values)
        tags.validate(full=True)
        if tags.null_count == 0 and not pc.any(pc.equal(tags, ""), min_count=0).as_py():
            return pc.if_else(pc.equal(pc.list_value_length(values), 0), None, values), np.True_
    return None


def _between(values: pa.ChunkedArray, least: int, most: int) -> np.ndarray | np.bool_:
    """Which values are null or within bounds, or whether all are."""
    kind = values.type
    is_decimal = pa.types.is_decimal128(kind)
    low, high = (
        pa.scalar(Decimal(bound) if is_decimal else bound, kind) for bound in (least, most)
    )
    found = pc.min_max(values)
    if found["min"].as_py() >= low.as_py() and found["max"].as_py() <= high.as_py():
        return np.True_
    answers = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
    return pc.fill_null(answers, True).to_numpy()


def _decimals(
    values: pa.ChunkedArray, wanted: pa.Decimal128Type
) -> tuple[pa.ChunkedArray, np.ndarray]:
    """Doubles as decimals, and which are exactly the decimal of few digits that they are read as.

    A double that is the nearest one to a decimal of at most 15 digits stands for no other such one.
    """
    doubles = values.to_numpy()
    factor = float(10**wanted.scale)
    with np.errstate(invalid="ignore", over="ignore"):
        units = np.rint(doubles * factor)
        is_exact = (np.abs(units) < EXACT) & (units / factor == doubles)
    is_null = pc.is_null(values).to_numpy()
    whole = np.where(is_exact, units, 0).astype(np.int64)
    words = np.stack([whole, whole >> 63], axis=1)
    bitmap = np.packbits(~is_null, bitorder="little")
    decimals = pa.Array.from_buffers(
        wanted, len(whole), [pa.py_buffer(bitmap), pa.py_buffer(words)]
    )
    return pa.chunked_array([decimals]), is_exact | is_null


def _are_null_or(answers: pa.ChunkedArray, values: pa.ChunkedArray) -> np.ndarray:
    return pc.or_(answers, pc.is_null(values)).to_numpy()


def column(part: pa.Table, name: str) -> pa.ChunkedArray:
    """A column as rules.py or the coercion takes it; nulls where the part has none."""
    if name not in part.column_names:
        return pa.chunked_array([pa.nulls(len(part), pa.string())])
    column = part[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type):
        # Microseconds are kept; a nanosecond more is cut, as it is in text.
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column.cast(pa.string()) if pa.types.is_null(column.type) else column


def fits(kind: str, arrow_type: pa.DataType) -> bool:
    """Whether rules.py judges a Parquet column of this type as it is."""
    types = pa.types
    is_text = types.is_string(arrow_type) or types.is_large_string(arrow_type)
    if kind in ("id", "text"):
        return is_text or types.is_integer(arrow_type)
    if kind == "instant":
        return is_text or types.is_timestamp(arrow_type)
    if kind == "whole":
        return is_text or types.is_integer(arrow_type)
    if kind in ("latency", "amount"):
        scale = 3 if kind == "latency" else 12
        return (
            types.is_integer(arrow_type)
            or (is_text and kind == "amount")
            or (types.is_decimal128(arrow_type) and arrow_type.scale <= scale)
        )
    if kind == "boolean":
        return types.is_boolean(arrow_type)
    return types.is_list(arrow_type) and types.is_string(arrow_type.value_type)


def decoded(part: pa.Table) -> tuple[pa.Table, dict[int, Rejection]]:
    """Text columns as valid UTF-8, and the rows in which one was not; bytes count as text."""
    broken: dict[int, Rejection] = {}
    for index, name in enumerate(part.column_names):
        column = part[name]
        types = pa.types
        is_bytes = types.is_binary(column.type) or types.is_large_binary(column.type)
        if not (is_bytes or types.is_string(column.type) or types.is_large_string(column.type)):
            continue
        try:
            column.validate(full=True)
            if is_bytes:
                part = part.set_column(index, name, column.cast(pa.string()))
        except pa.ArrowInvalid:
            texts = []
            for position, value in enumerate(column.cast(pa.large_binary()).to_pylist()):
                try:
                    texts.append(value if value is None else value.decode("utf-8"))
                except UnicodeDecodeError as error:
                    rejection = Rejection(
                        "not_utf8", f"{name}: byte {error.start + 1} is not UTF-8"
                    )
                    broken.setdefault(position, rejection)
                    texts.append(value.decode("utf-8", "backslashreplace"))
            part = part.set_column(index, name, pa.array(texts, pa.string()))
    return part, broken


def row(part: pa.Table, position: int) -> dict[str, Any]:
    """A row as people read it, by column."""
    return {name: value(part[name][position]) for name in part.column_names}


def value(scalar: pa.Scalar) -> Any:
    """A value for people to read, also one that Python has no type for."""
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        return str(pc.cast(scalar, pa.int64()))
