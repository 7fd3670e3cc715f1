"""What the texts and values of a row must be: one SQL expression a field, for every format.

A relation of candidate rows has a column per field, either text (from JSON or a text column) or of
the field's own type (from Parquet). judged() gives each row its typed values and, where a rule is
broken, `<reason>:<field>`.
"""

from datetime import datetime

import pyarrow as pa

from orchestration.landing.contract import Field, Source

# No place on earth is more than 14 hours away from UTC; 15 is what other databases take.
INSTANT = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?"
    r"([Zz]|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)"
)
UNZONED = r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?)?"
# Sums of a hundred thousand of the greatest still fit the types of the marts.
WHOLE_LIMIT, LATENCY_LIMIT, AMOUNT_LIMIT = 10**13, 10**12, 10**18
FIRST_INSTANT, LAST_INSTANT = datetime(2000, 1, 1), datetime(2100, 1, 1)

SENTENCES = {
    "missing_required": "{field} is missing, and the contract requires it",
    "not_allowed_value": "{field} is {value}, which is none of {allowed}",
    "not_whole_number": "{field} is {value}, not a whole number",
    "negative": "{field} is {value}, which is negative",
    "out_of_range": "{field} is {value}, which is out of range",
    "not_an_instant": "{field} is {value}, not an ISO 8601 instant",
    "instant_without_offset": "{field} is {value}, which has neither Z nor an offset",
    "instant_out_of_range": "{field} is {value}, not between 2000-01-01 and 2100-01-01",
    "not_a_number": "{field} is {value}, not a number",
    "too_many_decimals": "{field} is {value}, which has more than 12 decimals",
}


def judged(source: Source, candidates: str, schema: pa.Schema) -> str:
    """SQL that reads the relation `candidates` (of that Arrow schema) and judges its rows.

    Columns: row_number, file_id, problem (null where the row loads), then the fields, typed.
    """
    values, problems = [], []
    for field in source.fields:
        value, problem = _field(field, schema.field(field.name).type)
        values.append(f"{value} as {field.name}")
        problems.extend(problem)
    cases = " ".join(f"when {condition} then '{reason}'" for condition, reason in problems)
    return (
        f"select row_number, file_id, case {cases} end as problem, {', '.join(values)}, extra "
        f"from {candidates}"
    )


def sentence(source: Source, reason: str, field_name: str, value: object) -> str:
    """The words for a broken rule."""
    field = next(field for field in source.fields if field.name == field_name)
    shown = str(value)
    return SENTENCES[reason].format(
        field=field_name,
        value=repr(shown if len(shown) <= 60 else shown[:57] + "..."),
        allowed=", ".join(field.allowed),
    )


def _field(field: Field, arrow_type: pa.DataType) -> tuple[str, list[tuple[str, str]]]:
    """The typed value of a field, and its rules as (broken when, reason)."""
    name = field.name
    is_text = pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type)
    value, problems = {
        "id": _text,
        "text": _text,
        "instant": _instant,
        "whole": _whole,
        "latency": _latency,
        "amount": _amount,
        "boolean": _plain("boolean"),
        "tags": _tags,
    }[field.kind](name, is_text)
    if field.kind == "id":
        value = f"nullif({value}, '')"
    if field.is_required:
        problems = [(f"({value}) is null and {_absent(field)}", "missing_required"), *problems]
    if field.allowed:
        allowed = ", ".join(f"'{item}'" for item in field.allowed)
        problems = [*problems, (f"{value} not in ({allowed})", "not_allowed_value")]
    return value, [(condition, f"{reason}:{name}") for condition, reason in problems]


def _absent(field: Field) -> str:
    return f"nullif({field.name}, '') is null" if field.kind == "id" else f"{field.name} is null"


def _text(name: str, is_text: bool) -> tuple[str, list[tuple[str, str]]]:
    return (name if is_text else f"cast({name} as varchar)"), []


def _instant(name: str, is_text: bool) -> tuple[str, list[tuple[str, str]]]:
    if not is_text:
        value = f"cast({name} as timestamp)"
        return value, [(_outside(value), "instant_out_of_range")]
    value = (
        f"case when regexp_full_match({name}, '{INSTANT}') then cast(try_cast("
        f"regexp_replace(upper({name}), ',', '.') as timestamptz) as timestamp) end"
    )
    return value, [
        (f"regexp_full_match({name}, '{UNZONED}')", "instant_without_offset"),
        (f"{name} is not null and ({value}) is null", "not_an_instant"),
        (_outside(value), "instant_out_of_range"),
    ]


def _outside(value: str) -> str:
    return f"({value}) < timestamp '{FIRST_INSTANT}' or ({value}) >= timestamp '{LAST_INSTANT}'"


def _whole(name: str, is_text: bool) -> tuple[str, list[tuple[str, str]]]:
    if not is_text:
        return f"try_cast({name} as bigint)", [
            (f"{name} < 0", "negative"),
            (f"{name} is not null and try_cast({name} as bigint) is null", "out_of_range"),
            (f"{name} > {WHOLE_LIMIT}", "out_of_range"),
        ]
    value = (
        f"case when regexp_full_match({name}, '[0-9]+(\\.0+)?') "
        f"then try_cast(split_part({name}, '.', 1) as bigint) end"
    )
    return value, [
        (f"regexp_full_match({name}, '-[0-9]+(\\.0+)?')", "negative"),
        (f"not regexp_full_match({name}, '[0-9]+(\\.0+)?')", "not_whole_number"),
        (f"{name} is not null and ({value}) is null", "out_of_range"),
        (f"({value}) > {WHOLE_LIMIT}", "out_of_range"),
    ]


def _latency(name: str, is_text: bool) -> tuple[str, list[tuple[str, str]]]:
    value = f"try_cast({name} as decimal(18, 3))"
    return value, [
        (f"{name} is not null and {value} is null", "out_of_range"),
        (f"{value} < 0", "negative"),
        (f"{value} > {LATENCY_LIMIT}", "out_of_range"),
    ]


def _amount(name: str, is_text: bool) -> tuple[str, list[tuple[str, str]]]:
    value = f"try_cast({name} as decimal(38, 12))"
    problems = [
        (f"{name} is not null and {value} is null", "out_of_range"),
        (f"abs({value}) > {AMOUNT_LIMIT}", "out_of_range"),
    ]
    if is_text:
        problems = [
            (f"regexp_full_match({name}, '-?[0-9]+\\.[0-9]{{13,}}')", "too_many_decimals"),
            (f"not regexp_full_match({name}, '-?[0-9]+(\\.[0-9]+)?')", "not_a_number"),
            *problems,
        ]
    return value, problems


def _plain(sql_type: str):  # noqa: ANN202
    return lambda name, is_text: (f"cast({name} as {sql_type})", [])


def _tags(name: str, is_text: bool) -> tuple[str, list[tuple[str, str]]]:
    kept = f"list_filter({name}, lambda tag: tag is not null and tag <> '')"
    return f"case when len({kept}) > 0 then {kept} end", []
