"""Figures and instants as people read them; the full value goes into a title beside each."""

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

NOTHING = "–"
COMPACT_FROM = Decimal(10_000_000)
UNITS = ((Decimal(10) ** 12, "T"), (Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"))
TIMES_FROM = Decimal(10)
SECOND, MINUTE, HOUR, DAY = (Decimal(1000) * factor for factor in (1, 60, 3600, 86400))


def rounded(value: Decimal, places: int) -> str:
    """A number with separators and so many places, half away from zero."""
    return f"{value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,}"


def shown(value: Any, kind: str, name: str) -> str:
    """A value of a column as people read it; what is not there is a dash.

    kind: as in seeds/report_columns.csv. name: the column's, whose ending tells the unit.
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.day} {value:%b %Y, %H:%M}"
    if isinstance(value, date):
        return f"{value.day} {value:%b %Y}"
    if kind == "text":
        return str(value)
    number = Decimal(value)
    if name.endswith("_usd"):
        return f"-${_amount(-number)}" if number < 0 else f"${_amount(number)}"
    if name.endswith("_ms"):
        return duration(number)
    if name.endswith(("_rate", "share")):
        return percent(number)
    if kind == "money":
        return _amount(number)
    if number == number.to_integral_value():
        return rounded(number, 0)
    return rounded(number, 2 if abs(number) < 100 else 0)


def compact(value: Any, kind: str, name: str) -> str:
    """As `shown`, but from ten millions on with a unit: 12.3 M, for cards and bars."""
    if kind in ("count", "tokens", "milliseconds") and value is not None:
        number = Decimal(value)
        if abs(number) >= COMPACT_FROM and not name.endswith("_ms"):
            size, unit = next(pair for pair in UNITS if abs(number) >= pair[0])
            return f"{rounded(number / size, 1)} {unit}"
    return shown(value, kind, name)


def full(value: Any) -> str:
    """The whole value for a title: every place, no separators, instants in ISO 8601."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


def percent(share: Decimal) -> str:
    """A share of 1 as a percentage with one place."""
    return f"{rounded(share * 100, 1)} %"


def duration(milliseconds: Decimal) -> str:
    """Milliseconds in the unit that people would choose."""
    if milliseconds < SECOND:
        return f"{rounded(milliseconds, 0)} ms"
    if milliseconds < MINUTE:
        return f"{rounded(milliseconds / SECOND, 1)} s"
    if milliseconds < HOUR:
        return _two(milliseconds, MINUTE, "min", SECOND, "s")
    if milliseconds < DAY:
        return _two(milliseconds, HOUR, "h", MINUTE, "min")
    return _two(milliseconds, DAY, "d", HOUR, "h")


def change(current: Any, previous: Any) -> str:
    """From the previous figure to the current one, in words or per cent."""
    if current is None or previous is None:
        return "no comparison"
    now, before = Decimal(current), Decimal(previous)
    if now == before:
        return "no change"
    if before == 0:
        return "from nothing"
    if before < 0 or now < 0:
        return "up" if now > before else "down"
    if now / before >= TIMES_FROM:
        return f"▲ {rounded(now / before, 1)} times"
    step = rounded(abs(now - before) / before * 100, 1)
    return f"▲ {step} %" if now > before else f"▼ {step} %"


def day(value: date) -> str:
    """A day without its year."""
    return f"{value.day} {value:%b}"


def _amount(number: Decimal) -> str:
    """Two places; of what is less than a tenth, two digits that say something."""
    if number == 0 or abs(number) >= Decimal("0.1"):
        return rounded(number, 2)
    return rounded(number, min(1 - number.adjusted(), 12))


def _two(value: Decimal, large: Decimal, large_unit: str, small: Decimal, small_unit: str) -> str:
    smalls = (value / small).to_integral_value(ROUND_HALF_UP)
    per_large = large / small
    return f"{smalls // per_large:,} {large_unit} {smalls % per_large:.0f} {small_unit}"
