"""Writes the price seeds from the pinned genai-prices: `make prices` runs it, nothing else does.

A release that is not in releases.csv yet is added to what stands there: the past keeps its price.
No network: prices come with the installed package, and its updater is never started.
"""

import argparse
import csv
import itertools
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PACKAGE = "genai-prices"
DAY_SECONDS = 86_400
# Twelve decimals would do but for prices that are a third of another (a cache write of 0.25 / 3).
PLACES = Decimal(1).scaleb(-24)
# Requests say these; what else selects a price (a route, a kind of search) nobody tells us.
CONTEXT_KEYS = ("processing", "service_tier", "speed")
TOKEN_KEYS = {
    "input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_5m_mtok",
    "cache_write_1h_mtok", "output_mtok",
}  # fmt: skip
# Clauses of models that a later release no longer has come after all clauses of that release.
RETIRED = 1_000_000

Context = tuple[str, str, str]
Interval = tuple[date | None, date | None]
Sheet = tuple["Cell", ...]


@dataclass(frozen=True)
class Cell:
    """Prices in USD per token, within a time of day (UTC seconds) and a range of input tokens.

    A cell holds where time_from <= time of day < time_to, and tier_above < input tokens of all
    buckets <= tier_up_to; None is open. per_request comes once a request on top.
    """

    time_from: int | None
    time_to: int | None
    tier_above: int | None
    tier_up_to: int | None
    input: Decimal
    cache_read: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    output: Decimal
    per_request: Decimal


@dataclass(frozen=True)
class Price:
    """One row of list_prices.csv: a model in a context, a range of UTC dates, and a cell.

    valid_from is the first day, valid_to the day after the last; None is open. release is the one
    of genai-prices that first said so.
    """

    provider_id: str
    model_id: str
    processing: str
    service_tier: str
    speed: str
    valid_from: date | None
    valid_to: date | None
    cell: Cell
    release: str

    @property
    def model(self) -> tuple[str, str]:
        """Provider and model."""
        return self.provider_id, self.model_id

    @property
    def context(self) -> Context:
        """Processing, service tier and speed; empty where the price does not depend on it."""
        return self.processing, self.service_tier, self.speed

    @property
    def order(self) -> tuple[Any, ...]:
        """Where the row stands in the file."""
        cell = self.cell
        return (
            *self.model,
            *self.context,
            self.valid_from or date.min,
            cell.time_from or 0,
            -1 if cell.tier_above is None else cell.tier_above,
        )


@dataclass(frozen=True)
class Clause:
    """One row of model_matches.csv: a condition on a lower-cased name.

    Of all positions with an alternative whose clauses (their number is `clauses`) all hold, the
    lowest decides. subject says what is looked for: a provider by its own name (`provider_id`), a
    provider by a model's name (`provider_of_model`), or, at provider_id, a model (`model`); found
    are price_provider_id and price_model_id. kind: equals, starts_with, ends_with, contains, regex
    or not_regex.
    """

    subject: str
    provider_id: str
    position: int
    alternative: int
    clauses: int
    kind: str
    text: str
    price_provider_id: str
    price_model_id: str


@dataclass(frozen=True)
class Segment:
    """A sheet of cells that holds on a range of dates, and the release that said so."""

    valid_from: date | None
    valid_to: date | None
    sheet: Sheet
    release: str


Timelines = dict[Context, list[Segment]]

PRICE_COLUMNS = [
    *(field.name for field in fields(Price) if field.name not in ("cell", "release")),
    *(field.name for field in fields(Cell)),
    "release",
]
MATCH_COLUMNS = [field.name for field in fields(Clause)]


# From the package ---------------------------------------------------------------------------------


def package_prices(providers: Iterable[Any], release: str) -> list[Price]:
    """Every token price of genai-prices providers, fallbacks applied as the package applies them.

    A model that is priced in other units alone (hours, pages, characters) has no row: its tokens
    have no known price.
    """
    rows: list[Price] = []
    for provider in providers:
        for model in provider.models:
            values = _context_values(model)
            timelines: Timelines = {}
            for context in itertools.product(*(("", *values[key]) for key in CONTEXT_KEYS)):
                said = {
                    key: value for key, value in zip(CONTEXT_KEYS, context, strict=True) if value
                }
                timelines[context] = _segments(model, said, release)
            rows += _rows_of((provider.id, model.id), timelines)
    return sorted(rows, key=lambda row: row.order)


def _context_values(model: Any) -> dict[str, list[str]]:
    values: dict[str, set[str]] = {key: set() for key in CONTEXT_KEYS}
    for variant in model.price_variants or ():
        for key, value in variant.when.items():
            if key in values:
                values[key].add(value)
    return {key: sorted(found) for key, found in values.items()}


def _segments(model: Any, said: Mapping[str, str], release: str) -> list[Segment]:
    """The sheets of a model in a context, by date: each asks the package at its first instant."""
    conditions = [] if not isinstance(model.prices, list) else list(model.prices)
    constraints = [part.constraint for part in (*conditions, *(model.price_variants or ()))]
    days = sorted({part.start_date for part in constraints if hasattr(part, "start_date")})
    edges = [
        _seconds(edge)
        for part in constraints
        if hasattr(part, "start_time")
        for edge in (part.start_time, part.end_time)
    ]
    times = sorted({0, *edges})
    starts: list[date | None] = [None, *days]
    found = []
    for start, end in zip(starts, [*days, None], strict=True):
        # Before the first dated price any day will do.
        day = start or (days[0] - timedelta(days=1) if days else date(2020, 1, 1))
        cells: list[Cell] = []
        for begin, stop in zip(times, [*times[1:], DAY_SECONDS], strict=True):
            instant = datetime.combine(day, time(), UTC) + timedelta(seconds=begin)
            cells += _cells(model.get_prices(instant, dict(said)), begin, stop)
        if cells:
            found.append(Segment(start, end, _merged_times(cells), release))
    return _merged(found)


def _seconds(value: time) -> int:
    moved = datetime.combine(date(2020, 1, 2), value)
    moved = moved.astimezone(UTC) if moved.tzinfo else moved
    return moved.hour * 3600 + moved.minute * 60 + moved.second


def _cells(price: Any, begin: int, stop: int) -> Iterator[Cell]:
    values = {key: value for key, value in vars(price).items() if value is not None}
    # No price at all is the package's way to say that a model is free.
    if values and not TOKEN_KEYS & values.keys():
        return
    known = [values[key] for key in TOKEN_KEYS & values.keys()]
    starts = sorted({tier.start for value in known for tier in getattr(value, "tiers", ())})
    for above, up_to in zip([None, *starts], [*starts, None], strict=True):
        total = 0 if above is None else above + 1

        def at(*keys: str, total: int = total) -> Decimal:
            found = next((values[key] for key in keys if key in values), Decimal(0))
            return _per_token(_in_tier(found, total))

        yield Cell(
            time_from=begin or None,
            time_to=None if stop == DAY_SECONDS else stop,
            tier_above=above,
            tier_up_to=up_to,
            input=at("input_mtok"),
            cache_read=at("cache_read_mtok", "input_mtok"),
            cache_write_5m=at("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
            cache_write_1h=at("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
            output=at("output_mtok"),
            per_request=_exact(values.get("requests_kcount", Decimal(0)) / 1000),
        )


def _in_tier(value: Any, total: int) -> Decimal:
    """The price at a number of input tokens; a tier holds above its start, for all tokens."""
    if isinstance(value, Decimal):
        return value
    chosen = value.base
    for tier in value.tiers:
        if total > tier.start:
            chosen = tier.price
    return chosen


def _per_token(per_million: Decimal) -> Decimal:
    return _exact(per_million / 1_000_000)


def _exact(price: Decimal) -> Decimal:
    rounded = price.quantize(PLACES)
    if rounded != price or price >= 1:
        raise ValueError(
            f"The price {price} does not fit DECIMAL(24,24): widen the columns of prices before "
            "this release is taken."
        )
    return rounded


def _merged_times(cells: list[Cell]) -> Sheet:
    """Cells of neighbouring times of day that say the same, as one where all do."""
    whole_day = {replace(cell, time_from=None, time_to=None) for cell in cells}
    by_time = defaultdict(set)
    for cell in cells:
        by_time[cell.time_from].add(replace(cell, time_from=None, time_to=None))
    if all(part == whole_day for part in by_time.values()):
        return tuple(sorted(whole_day, key=_tier_order))
    return tuple(sorted(cells, key=lambda cell: (cell.time_from or 0, _tier_order(cell))))


def _tier_order(cell: Cell) -> int:
    return -1 if cell.tier_above is None else cell.tier_above


def package_clauses(providers: Sequence[Any]) -> list[Clause]:
    """How genai-prices finds providers and models by their names, as ordered clauses."""
    found: list[Clause] = []
    by_id = {provider.id: provider for provider in providers}
    for position, provider in enumerate(providers):
        target = (provider.id, "")
        found.append(Clause("provider_id", "", position, 0, 1, "equals", provider.id, *target))
        if provider.provider_match is not None:
            place = len(providers) + position
            found += _clauses("provider_id", "", place, provider.provider_match, target)
        if provider.model_match is not None:
            found += _clauses("provider_of_model", "", position, provider.model_match, target)
        sellers = [provider, *(by_id[name] for name in provider.fallback_model_providers or ())]
        models = ((seller, model) for seller in sellers for model in seller.models)
        for place, (seller, model) in enumerate(models):
            found += _clauses("model", provider.id, place, model.match, (seller.id, model.id))
    return found


def _clauses(
    subject: str, provider_id: str, position: int, logic: Any, target: tuple[str, str]
) -> Iterator[Clause]:
    # A text that stands twice in a model's alternatives is the same alternative.
    for alternative, parts in enumerate(dict.fromkeys(tuple(each) for each in alternatives(logic))):
        for kind, text in parts:
            yield Clause(
                subject, provider_id, position, alternative, len(parts), kind, text, *target
            )


def alternatives(logic: Any) -> list[list[tuple[str, str]]]:
    """A MatchLogic as alternatives of conditions that all hold."""
    values = vars(logic)
    if "or_" in values:
        return [each for part in logic.or_ for each in alternatives(part)]
    if "and_" in values:
        sides = [alternatives(part) for part in logic.and_]
        return [
            sorted({condition for side in choice for condition in side})
            for choice in itertools.product(*sides)
        ]
    ((kind, text),) = values.items()
    return [_portable_regex(text)] if kind == "regex" else [[(kind, text.lower())]]


def _portable_regex(pattern: str) -> list[tuple[str, str]]:
    """A regular expression without look-ahead, which not every engine has.

    `^(?!a)b` becomes: `^b` is found, `^a` is not.
    """
    text = pattern.replace("\\d", "[0-9]")
    parts = []
    while text.startswith("^(?!"):
        end = _closing(text, 1)
        parts.append(("not_regex", f"^(?:{text[4:end]})"))
        text = "^" + text[end + 1 :]
    if text != "^":
        parts.append(("regex", text))
    if any(sign in text for _, text in parts for sign in ("(?=", "(?!", "(?<")):
        raise ValueError(
            f"The pattern {pattern!r} looks ahead or back, which SQL cannot: "
            "teach _portable_regex to say it in clauses."
        )
    return parts


def _closing(pattern: str, opening: int) -> int:
    depth = 0
    for place in range(opening, len(pattern)):
        if pattern[place] in "()" and pattern[place - 1] != "\\":
            depth += 1 if pattern[place] == "(" else -1
            if depth == 0:
                return place
    raise ValueError(f"The pattern {pattern!r} has a bracket that does not close.")


# History ------------------------------------------------------------------------------------------


def refreshed(old: Sequence[Price], new: Sequence[Price], released_on: date) -> list[Price]:
    """The rows of a seed after a release: the past keeps its price.

    From released_on the new rows hold, and before it the old ones, but for a change that the new
    release dates itself with a start that the old rows do not have: it holds from that date. A
    model that the old rows do not have gets all rows of the new; one that the new lack keeps its.
    """
    old_models, new_models = _timelines(old), _timelines(new)
    rows: list[Price] = []
    for model in old_models.keys() | new_models.keys():
        if model not in new_models or model not in old_models:
            timelines = old_models.get(model) or new_models[model]
        else:
            before, after = old_models[model], new_models[model]
            values = [sorted({context[i] for context in before.keys() | after.keys()} | {""})
                      for i in range(len(CONTEXT_KEYS))]  # fmt: skip
            timelines = {
                context: _appended(
                    _most_specific(before, context), _most_specific(after, context), released_on
                )
                for context in itertools.product(*values)
            }
        rows += _rows_of(model, timelines)
    return sorted(rows, key=lambda row: row.order)


def _timelines(rows: Sequence[Price]) -> dict[tuple[str, str], Timelines]:
    cells: dict[tuple[str, str], dict[Context, dict[tuple[Interval, str], list[Cell]]]] = {}
    for row in sorted(rows, key=lambda row: row.order):
        contexts = cells.setdefault(row.model, {})
        interval = ((row.valid_from, row.valid_to), row.release)
        contexts.setdefault(row.context, {}).setdefault(interval, []).append(row.cell)
    return {
        model: {
            context: [
                Segment(*interval, tuple(sheet), release)
                for (interval, release), sheet in intervals.items()
            ]
            for context, intervals in contexts.items()
        }
        for model, contexts in cells.items()
    }


def _most_specific(timelines: Timelines, context: Context) -> list[Segment]:
    """The timeline that a request of a context is priced by."""
    fitting = [
        known
        for known in timelines
        if all(mine in ("", asked) for mine, asked in zip(known, context, strict=True))
    ]
    if not fitting:
        return []
    return timelines[max(fitting, key=lambda known: sum(part != "" for part in known))]


def _appended(
    before: Sequence[Segment], after: Sequence[Segment], released_on: date
) -> list[Segment]:
    starts = {segment.valid_from for segment in before}
    edges = {edge for each in (*before, *after) for edge in (each.valid_from, each.valid_to)}
    days = sorted((edges | {released_on}) - {None})
    found = []
    for start, end in zip([None, *days], [*days, None], strict=True):
        old, new = _covering(before, start), _covering(after, start)
        is_past = start is None or start < released_on
        is_dated_anew = new is not None and new.valid_from not in {None, *starts}
        chosen = old if old and ((is_past and not is_dated_anew) or not new) else new
        if chosen and old and chosen.sheet == old.sheet:
            chosen = old
        if chosen:
            found.append(replace(chosen, valid_from=start, valid_to=end))
    return _merged(found)


def _covering(segments: Iterable[Segment], day: date | None) -> Segment | None:
    wanted = day or date.min
    for segment in segments:
        if (segment.valid_from or date.min) <= wanted < (segment.valid_to or date.max):
            return segment
    return None


def _merged(segments: Sequence[Segment]) -> list[Segment]:
    """Neighbours that say the same, as one."""
    found: list[Segment] = []
    for segment in segments:
        last = found[-1] if found else None
        if last and last.valid_to == segment.valid_from and last.sheet == segment.sheet:
            found[-1] = replace(last, valid_to=segment.valid_to)
        else:
            found.append(segment)
    return found


def _rows_of(model: tuple[str, str], timelines: Timelines) -> Iterator[Price]:
    """Rows of a model; a value of the context that never changes a price is left out."""

    def said(timeline: list[Segment]) -> list[tuple[Any, ...]]:
        return [(part.valid_from, part.valid_to, part.sheet) for part in timeline]

    kept = dict(timelines)
    for place in range(len(CONTEXT_KEYS)):
        for value in sorted({context[place] for context in kept} - {""}):
            with_value = [context for context in kept if context[place] == value]
            if all(
                said(kept[context])
                == said(kept[(*context[:place], "", *context[place + 1 :])])
                for context in with_value
            ):  # fmt: skip
                for context in with_value:
                    del kept[context]
    for context, timeline in kept.items():
        for part in timeline:
            for cell in part.sheet:
                yield Price(*model, *context, part.valid_from, part.valid_to, cell, part.release)


def refreshed_clauses(old: Sequence[Clause], new: Sequence[Clause]) -> list[Clause]:
    """The clauses of a release, then those of providers and models that it no longer has."""
    known = {_found_by(clause) for clause in new}
    retired = [
        replace(clause, position=RETIRED + clause.position % RETIRED)
        for clause in old
        if _found_by(clause) not in known
    ]
    return [*new, *retired]


def _found_by(clause: Clause) -> tuple[str, str, str, str]:
    return clause.subject, clause.provider_id, clause.price_provider_id, clause.price_model_id


# Files --------------------------------------------------------------------------------------------


def read_prices(file: Path) -> list[Price]:
    """The rows of a list_prices.csv; none where it is missing."""
    return [_price(row) for row in _read(file)]


def _price(row: Mapping[str, str]) -> Price:
    def whole(name: str) -> int | None:
        return int(row[name]) if row[name] else None

    def day(name: str) -> date | None:
        return date.fromisoformat(row[name]) if row[name] else None

    cell = Cell(
        *(whole(name) for name in ("time_from", "time_to", "tier_above", "tier_up_to")),
        *(Decimal(row[field.name]).quantize(PLACES) for field in fields(Cell)[4:]),
    )
    texts = (row[name] for name in ("provider_id", "model_id", *CONTEXT_KEYS))
    return Price(*texts, day("valid_from"), day("valid_to"), cell, row["release"])


def read_clauses(file: Path) -> list[Clause]:
    """The rows of a model_matches.csv; none where it is missing."""
    numbers = {"position", "alternative", "clauses"}
    return [
        Clause(*(int(row[name]) if name in numbers else row[name] for name in MATCH_COLUMNS))
        for row in _read(file)
    ]


def _read(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _write(file: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([["" if cell is None else _text(cell) for cell in row] for row in rows])


def _text(cell: Any) -> str:
    if isinstance(cell, Decimal):
        plain = f"{cell:f}".rstrip("0").rstrip(".")
        return plain or "0"
    return str(cell)


def seeds_of(
    old_prices: Sequence[Price],
    old_clauses: Sequence[Clause],
    releases: Mapping[str, date],
    providers: Sequence[Any],
    release: str,
) -> tuple[list[Price], list[Clause]]:
    """What list_prices.csv and model_matches.csv hold after a release, given what they hold.

    Taking the newest release again changes nothing; the first one of all needs no past.
    """
    prices, clauses = package_prices(providers, release), package_clauses(providers)
    if not old_prices:
        return prices, clauses
    return refreshed(old_prices, prices, releases[release]), refreshed_clauses(old_clauses, clauses)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the seeds; returns 0, or 2 where the date of a new release is missing."""
    parser = argparse.ArgumentParser(
        prog="make prices",
        description=f"Write {FOLDER.name}/*.csv from the installed {PACKAGE}, without network.",
        epilog="After a new pin in pyproject.toml: make lock setup prices RELEASED=2026-12-01",
    )
    parser.add_argument(
        "--released-on",
        metavar="DATE",
        help="the day that a release not yet in releases.csv takes effect (undated changes "
        "of prices start here)",
    )
    options = parser.parse_args(arguments)
    from genai_prices.data import providers

    release = version(PACKAGE)
    releases = {
        row["release"]: date.fromisoformat(row["released_on"])
        for row in _read(FOLDER / "releases.csv")
    }
    if release not in releases:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", options.released_on or ""):
            print(
                f"{PACKAGE} {release} is not in releases.csv: say from which day its undated prices "
                "hold, with make prices RELEASED=2026-12-01.",
                file=sys.stderr,
            )
            return 2
        releases[release] = date.fromisoformat(options.released_on)
    prices, clauses = seeds_of(
        read_prices(FOLDER / "list_prices.csv"),
        read_clauses(FOLDER / "model_matches.csv"),
        releases,
        providers,
        release,
    )
    rows = ([*astuple(row)[:7], *astuple(row.cell), row.release] for row in prices)
    _write(FOLDER / "list_prices.csv", PRICE_COLUMNS, rows)
    _write(FOLDER / "model_matches.csv", MATCH_COLUMNS, map(astuple, clauses))
    ordered = sorted(releases.items(), key=lambda item: item[1])
    _write(FOLDER / "releases.csv", ["release", "released_on"], ordered)
    models = len({row.model for row in prices})
    print(
        f"Wrote {len(prices):,} prices of {models:,} models and {len(clauses):,} clauses, "
        f"from {PACKAGE} {release}."
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
