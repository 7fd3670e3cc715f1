"""Prices of a night: the list, what overrides it, and how names of models are told."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pyarrow as pa

PRICE_NAMES = (
    "input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "per_request",
)  # fmt: skip
CONTEXT_KEYS = ("processing", "service_tier", "speed")
KEY_NAMES = ("provider_id", "model_id", *CONTEXT_KEYS)
RANGE_NAMES = ("valid_from", "valid_to", "time_from", "time_to", "tier_above", "tier_up_to")
DAY_SECONDS = 86_400
OPEN = {
    "valid_from": date(1, 1, 1), "valid_to": date(9999, 12, 31), "time_from": 0,
    "time_to": DAY_SECONDS, "tier_above": -1, "tier_up_to": 2**63 - 1,
}  # fmt: skip
PLACES = 24
# Clauses of names that an override prices come before those of the list.
FIRST = -1

PRICE_TYPE = pa.decimal128(PLACES, PLACES)
PRICES_SCHEMA = pa.schema(
    [(name, pa.string()) for name in KEY_NAMES]
    + [(name, pa.date32()) for name in RANGE_NAMES[:2]]
    + [(name, pa.int64()) for name in RANGE_NAMES[2:]]
    + [(f"price_{name}", PRICE_TYPE) for name in PRICE_NAMES]
    + [("source", pa.string())]
)
MATCHES_SCHEMA = pa.schema(
    [
        ("subject", pa.string()),
        ("provider_id", pa.string()),
        ("position", pa.int64()),
        ("alternative", pa.int64()),
        ("clauses", pa.int64()),
        ("kind", pa.string()),
        ("text", pa.string()),
        ("price_provider_id", pa.string()),
        ("price_model_id", pa.string()),
    ]
)

Model = tuple[str, str]
Context = tuple[str, str, str]


class PriceError(ValueError):
    """A price seed that cannot be used; its text is one sentence: file, row, what, what to do."""


@dataclass(frozen=True)
class Price:
    """One price: a model in a context, within dates (UTC), a time of day and a range of tokens.

    Every range has two ends: valid_from <= date < valid_to, time_from <= second of the day <
    time_to, tier_above < input tokens of all buckets <= tier_up_to. Amounts are USD per token, in
    the order of PRICE_NAMES; the last is USD per request. row is the line of its file.
    """

    model: Model
    context: Context
    valid_from: date
    valid_to: date
    time_from: int
    time_to: int
    tier_above: int
    tier_up_to: int
    amounts: tuple[Decimal, ...]
    source: str
    row: int

    def overlaps(self, other: "Price") -> bool:
        """Whether one request of the same model and context could have both prices."""
        return (
            self.valid_from < other.valid_to
            and other.valid_from < self.valid_to
            and self.time_from < other.time_to
            and other.time_from < self.time_to
            and self.tier_above < other.tier_up_to
            and other.tier_above < self.tier_up_to
        )


def price_tables(folder: Path) -> tuple[pa.Table, pa.Table]:
    """The tables `prices` (PRICES_SCHEMA) and `model_matches` (MATCHES_SCHEMA) of a night.

    folder holds list_prices.csv, model_matches.csv, price_overrides.csv and provider_aliases.csv.
    No two prices overlap: where an override holds, the list's price is cut out. Raises PriceError
    for a row that cannot be used.
    """
    listed = read_prices(folder / "list_prices.csv", "release")
    overrides = read_prices(folder / "price_overrides.csv", "source")
    matches = _read_matches(folder / "model_matches.csv")
    prices, private = overridden(listed, overrides)
    matches += _clauses_of(private, {model[0] for model in _models(listed)})
    matches += _aliases(
        folder / "provider_aliases.csv", {match["provider_id"] for match in matches}
    )
    return _prices_table(prices), pa.Table.from_pylist(matches, schema=MATCHES_SCHEMA)


def read_prices(file: Path, origin: str) -> list[Price]:
    """The prices of a CSV file, none of which overlap; origin names the column of their source.

    Raises PriceError for a column that is missing or a row that cannot be used.
    """
    wanted = [*KEY_NAMES, *RANGE_NAMES, *PRICE_NAMES, origin]
    prices = [_price(file, number, row, origin) for number, row in _rows(file, wanted)]
    by_key: dict[tuple[Model, Context], list[Price]] = defaultdict(list)
    for price in prices:
        provider_id, model_id = price.model
        siblings = by_key[(provider_id.lower(), model_id.lower()), price.context]
        twin = next((other for other in siblings if price.overlaps(other)), None)
        if twin:
            raise PriceError(
                f"Row {price.row} of {file.name} overlaps row {twin.row}: both price "
                f"{'/'.join(price.model)} for the same requests; end one where the other begins."
            )
        siblings.append(price)
    return prices


def _rows(file: Path, wanted: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Line number and cells of each row."""
    if not file.exists():
        raise PriceError(
            f"{file.name} is missing in {file.parent.name}/: restore it from the repository."
        )
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in wanted if name not in (reader.fieldnames or ())]
        if missing:
            raise PriceError(
                f"{file.name} has no column {missing[0]}: its first line must name "
                f"{', '.join(wanted)}."
            )
        found = []
        for row in reader:
            if None in row or None in row.values():
                raise PriceError(
                    f"Row {reader.line_num} of {file.name} has not as many cells as the first "
                    "line: add or remove commas."
                )
            found.append((reader.line_num, {name: row[name].strip() for name in wanted}))
        return found


def _price(file: Path, number: int, row: Mapping[str, str], origin: str) -> Price:
    def refuse(what: str, next_step: str) -> PriceError:
        return PriceError(f"Row {number} of {file.name}: {what}; {next_step}.")

    for name in ("provider_id", "model_id", origin):
        if not row[name]:
            raise refuse(f"{name} is empty", "fill it in")
    ranges: dict[str, date | int] = {}
    for name in RANGE_NAMES:
        text = row[name]
        try:
            is_day = name.startswith("valid")
            read = (
                date.fromisoformat(text) if text and is_day else int(text) if text else OPEN[name]
            )
        except ValueError:
            form = "a date such as 2026-03-01" if name.startswith("valid") else "a whole number"
            raise refuse(f"{name} is {text!r}", f"write {form}, or nothing") from None
        ranges[name] = read
    for start, end in zip(RANGE_NAMES[::2], RANGE_NAMES[1::2], strict=True):
        if not OPEN[start] <= ranges[start] < ranges[end] <= OPEN[end]:
            raise refuse(
                f"{start} {row[start] or 'open'} is not before {end} {row[end] or 'open'}",
                "mend the range",
            )
    amounts = []
    for name in PRICE_NAMES:
        text = row[name] or ("0" if name == "per_request" else "")
        try:
            amount = Decimal(text)
        except InvalidOperation:
            raise refuse(f"{name} is {text!r}", "write USD per token, such as 0.000003") from None
        if not amount.is_finite() or not 0 <= amount < 1:
            raise refuse(
                f"{name} is {text} USD per token", "write one from 0 to below 1, not per million"
            )
        if -amount.normalize().as_tuple().exponent > PLACES:
            raise refuse(f"{name} has more than {PLACES} decimals", "round it")
        amounts.append(amount)
    context = (row["processing"], row["service_tier"], row["speed"])
    return Price(
        (row["provider_id"], row["model_id"]), context, **ranges, amounts=tuple(amounts),
        source=row[origin], row=number,
    )  # fmt: skip


def _models(prices: Iterable[Price]) -> set[Model]:
    return {price.model for price in prices}


def overridden(
    listed: Sequence[Price], overrides: Sequence[Price]
) -> tuple[list[Price], list[Model]]:
    """Prices of which none overlap, and the models that only an override prices.

    On the days that an override of a model and context holds, the list's price of both is cut out.
    A context that the list does not tell apart keeps, on the other days, the price that it had.
    """
    spelling = {(model[0].lower(), model[1].lower()): model for model in _models(listed)}
    spelled = []
    for price in overrides:
        lowered = (price.model[0].lower(), price.model[1].lower())
        spelled.append(replace(price, model=spelling.get(lowered, lowered)))
    contexts: dict[Model, dict[Context, list[Price]]] = defaultdict(lambda: defaultdict(list))
    for price in listed:
        contexts[price.model][price.context].append(price)
    held: dict[tuple[Model, Context], list[tuple[date, date]]] = defaultdict(list)
    for price in spelled:
        held[price.model, price.context].append((price.valid_from, price.valid_to))
    for model, context in held:
        known = contexts[model]
        if context not in known:
            fitting = [
                other
                for other in known
                if all(part in ("", asked) for part, asked in zip(other, context, strict=True))
            ]
            nearest = max(fitting, key=lambda other: sum(map(bool, other)), default=None)
            known[context] = [
                replace(price, context=context) for price in known.get(nearest or context, [])
            ]
    kept = [
        replace(price, valid_from=start, valid_to=end)
        for known in contexts.values()
        for prices in known.values()
        for price in prices
        for start, end in _without(
            (price.valid_from, price.valid_to), held.get((price.model, price.context), [])
        )
    ]
    private = sorted(_models(spelled) - _models(listed))
    return [*kept, *spelled], private


def _without(
    interval: tuple[date, date], cuts: Iterable[tuple[date, date]]
) -> list[tuple[date, date]]:
    left = [interval]
    for start, end in cuts:
        left = [
            part
            for begin, stop in left
            for part in ((begin, min(stop, start)), (max(begin, end), stop))
            if part[0] < part[1]
        ]
    return left


def _clauses_of(private: Iterable[Model], providers: set[str]) -> list[dict[str, object]]:
    """Clauses that find private models by their full names."""
    found = []
    for provider_id, model_id in private:
        found.append(_clause("model", provider_id, FIRST, model_id, provider_id, model_id))
        if provider_id not in providers:
            found.append(_clause("provider_id", "", FIRST, provider_id, provider_id, ""))
            found.append(_clause("provider_of_model", "", FIRST, model_id, provider_id, ""))
    return found


def _aliases(file: Path, providers: set[str]) -> list[dict[str, object]]:
    """Clauses for names of providers that the list does not know; after all of the list's."""
    found = []
    for number, row in _rows(file, ["alias", "provider_id"]):
        if row["provider_id"] not in providers:
            raise PriceError(
                f"Row {number} of {file.name}: the list has no provider {row['provider_id']!r}; "
                "name one of list_prices.csv."
            )
        alias = row["alias"].lower()
        found.append(_clause("provider_id", "", 10**9 + number, alias, row["provider_id"], ""))
    return found


def _clause(
    subject: str, provider_id: str, position: int, text: str, found_provider: str, found_model: str
) -> dict[str, object]:
    values = (subject, provider_id, position, 0, 1, "equals", text, found_provider, found_model)
    return dict(zip(MATCHES_SCHEMA.names, values, strict=True))


def _read_matches(file: Path) -> list[dict[str, object]]:
    numbers = {field.name for field in MATCHES_SCHEMA if field.type == pa.int64()}
    return [
        {name: int(text) if name in numbers else text for name, text in row.items()}
        for _, row in _rows(file, MATCHES_SCHEMA.names)
    ]


def _prices_table(prices: Iterable[Price]) -> pa.Table:
    rows = []
    for price in sorted(prices, key=lambda price: (price.model, price.context, price.row)):
        values = (
            *price.model, *price.context, price.valid_from, price.valid_to, price.time_from,
            price.time_to, price.tier_above, price.tier_up_to, *price.amounts, price.source,
        )  # fmt: skip
        rows.append(dict(zip(PRICES_SCHEMA.names, values, strict=True)))
    return pa.Table.from_pylist(rows, schema=PRICES_SCHEMA)
