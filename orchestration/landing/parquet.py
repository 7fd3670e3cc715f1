"""Parquet columns on their way to rules.py: which it judges as they are, and which become text."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestration.landing.decode import Rejection


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
