"""Which charts a tab has, from which marts, and the sentence that each of them says."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from orchestration.pages import charts
from orchestration.pages.charts import Chart, Key
from orchestration.pages.figures import Figures, Row, day_of
from orchestration.pages.formats import compact, day, percent, shown

MOST_SERIES = 6
SHORT = "datum.value === 0 ? '{0}0' : format(datum.value, '{0}~s')"
COUNT_AXIS = {"labelExpr": SHORT.format(""), "tickMinStep": 1}
TOKEN_NAMES = {
    "uncached_input": "Uncached input",
    "cache_read": "Cache read",
    "cache_write": "Cache write",
    "output": "Output",
}
DIMENSIONS = (
    ("estimated_cost_usd", "Estimated cost", "ratio"),
    ("total_tokens", "Total tokens", "tokens"),
    ("duration_ms", "Duration", "milliseconds"),
    ("request_count", "Requests", "count"),
)
CUTS = (("p50", "Median (P50)"), ("avg", "Average"), ("p95", "P95"))
DASHED = Key("previous dashed", "Previous period")


def drawings(figures: Figures, tab: str, timeframe: str) -> list[Chart]:
    """The charts of a tab; none for the tab of reports, whose page describes none."""
    return [chart for make in CHARTS_OF[tab] if (chart := make(figures, timeframe))]


def _tool_executions(figures: Figures, timeframe: str) -> Chart:
    rows = figures.series("tool_usage_over_time", timeframe)
    return _line(figures, "tool_usage_over_time", "Tool executions a day", rows, "tool_executions")


def _hours(figures: Figures, timeframe: str) -> Chart:
    rows = figures.series("tool_usage_by_hour_of_day", timeframe)
    now, before = _periods(rows, "hour_of_day", "tool_executions")
    points = [
        {
            "day": f"{hour:02d}:00",
            "current": charts.number(now[hour]),
            "previous": charts.number(before[hour]),
            "note": f"{hour:02d}:00 UTC: {now[hour]:,}; previous period {before[hour]:,}",
        }
        for hour in sorted(now)
    ]
    busiest = max(sorted(now), key=lambda hour: now[hour])
    alt = (
        f"Tool executions by hour of day in UTC: {sum(now.values()):,} in all, most "
        f"({now[busiest]:,}) in the hour from {busiest:02d}:00."
    )
    spec = charts.over_time(points, COUNT_AXIS, hours=True, bars=True)
    keys = (Key("c1", "Tool executions"), DASHED)
    return _chart("hourly-distribution", "Hourly distribution (UTC)", alt, spec, keys)


def _tokens_by_type(figures: Figures, timeframe: str) -> Chart:
    rows = figures.series("llm_tokens_by_type", timeframe)
    by_period = {(row["period"], row["token_type"]): row for row in rows}
    entries = [
        (
            label,
            by_period["current", kind]["tokens"],
            by_period["current", kind]["share"],
            by_period["previous", kind]["tokens"],
        )
        for kind, label in TOKEN_NAMES.items()
    ]
    keys = (Key("c1", "Tokens"), Key("tick", "Previous period"))
    return _shares("tokens-by-type", "Tokens by type", entries, "tokens", "tokens", keys)


def _tokens_over_time(figures: Figures, timeframe: str) -> Chart:
    rows = figures.series("llm_usage_over_time", timeframe)
    return _line(figures, "llm-tokens", "Tokens a day", rows, "total_tokens")


def _cost_over_time(figures: Figures, timeframe: str) -> Chart:
    rows = figures.series("llm_usage_over_time", timeframe)
    return _line(
        figures,
        "llm-cost",
        "Cost a day (USD)",
        rows,
        "estimated_cost_usd",
        "money",
        label="Estimated from list prices",
        second=("reported_cost_usd", "Reported by the clients"),
    )


def session_panel(figures: Figures, timeframe: str) -> tuple[int, list[Chart]]:
    """How many sessions there are, and the distribution of each of their four dimensions."""
    (row,) = figures.series("session_metrics_summary", timeframe)
    makers = [_session(*dimension) for dimension in DIMENSIONS]
    return row["session_count"], [chart for make in makers if (chart := make(figures, timeframe))]


def _session(column: str, label: str, kind: str) -> Callable[[Figures, str], Chart | None]:
    def make(figures: Figures, timeframe: str) -> Chart | None:
        (row,) = figures.series("session_metrics_summary", timeframe)
        values = [(label, row[f"{cut}_{column}"]) for cut, label in CUTS]
        known = [(name, value) for name, value in values if value is not None]
        if not known:
            return None
        texts = {name: compact(value, kind, column) for name, value in known}
        points = [
            {
                "label": name,
                "current": charts.number(value),
                "previous": None,
                "reach": charts.number(value),
                "text": texts[name],
                "note": f"{name}: {texts[name]}",
            }
            for name, value in known
        ]
        told = ", ".join(f"{name} {texts[name]}" for name, _ in known)
        sessions = f"{row['session_count']:,} sessions"
        alt = f"{label} of a session, of {sessions}: {told}."
        drawing = charts.draw(charts.shares(points, charts.SMALL[0]), charts.SMALL, alt)
        name = f"session-{column.replace('_', '-')}"
        return Chart(name, label, alt, (), (("any", drawing),))

    return make


def _blocked(figures: Figures, timeframe: str) -> Chart:
    rows = figures.series("blocked_calls_over_time", timeframe)
    return _line(
        figures, "blocked-calls", "Blocked tool calls a day", rows, "blocked_calls", is_alone=True
    )


def _active_users(figures: Figures, timeframe: str) -> Chart:
    rows = figures.series("active_users_daily", timeframe)
    return _line(figures, "active-users", "Active users a day", rows, "active_users", bars=True)


def _team_requests(figures: Figures, timeframe: str) -> Chart:
    rows = figures.series("team_requests_daily", timeframe)
    names = {row["team_id"]: row["team_name"] or row["team_id"] for row in rows}
    return _stack(
        figures, "team-requests", "Requests a day by team", rows, "team_id", names,
        "request_count", "count",
    )  # fmt: skip


def _daily_credits(figures: Figures, timeframe: str) -> Chart:
    rows = figures.series("billing_daily_usage", timeframe)
    names = {row["category"]: row["category"] for row in rows}
    return _stack(
        figures, "daily-credits", "Credits a day by category", rows, "category", names, "credits",
        "money",
    )  # fmt: skip


def _categories(figures: Figures, timeframe: str) -> Chart:
    rows = figures.series("billing_by_category", timeframe)
    before = {row["category"]: row["credits"] for row in rows if row["period"] == "previous"}
    now = [row for row in rows if row["period"] == "current"]
    now.sort(key=lambda row: (-row["credits"], row["category"]))
    entries = [
        (row["category"], row["credits"], row["share"], before.get(row["category"])) for row in now
    ]
    rest = entries[MOST_SERIES:]
    if rest:
        shares = [share for _, _, share, _ in rest if share is not None]
        entries[MOST_SERIES:] = [
            (
                f"{len(rest)} others",
                sum(value for _, value, _, _ in rest),
                sum(shares) if shares else None,
                sum((old or Decimal(0)) for _, _, _, old in rest),
            )
        ]
    keys = (Key("c1", "Credits"), Key("tick", "Previous period"))
    title = "Credits by category"
    return _shares("credits-by-category", title, entries, "money", "credits", keys)


CHARTS_OF: dict[str, tuple[Callable[[Figures, str], Chart | None], ...]] = {
    "reports": (),
    "mcp": (_tool_executions, _hours),
    "llm": (_tokens_over_time, _cost_over_time, _tokens_by_type),
    "security": (_blocked,),
    "usage": (_active_users, _team_requests),
    "billing": (_daily_credits, _categories),
}


def _line(
    figures: Figures,
    name: str,
    title: str,
    rows: Sequence[Row],
    column: str,
    kind: str = "count",
    label: str = "This period",
    second: tuple[str, str] | None = None,
    bars: bool = False,
    is_alone: bool = False,
) -> Chart:
    now, before = _periods(rows, "bucket_index", column)
    days = {row["bucket_index"]: day_of(figures, row) for row in rows if row["period"] == "current"}
    others = {
        row["bucket_index"]: row[second[0]] for row in rows if second and row["period"] == "current"
    }
    points = []
    for place in sorted(now):
        note = f"{day(days[place])}: {shown(now[place], kind, column)}"
        if second:
            note += f"; {second[1].lower()} {shown(others[place], kind, second[0])}"
        note += f"; previous period {shown(before.get(place), kind, column)}"
        point = {
            "day": day(days[place]),
            "current": charts.number(now[place]),
            "previous": charts.number(before.get(place)),
            "note": note,
        }
        if second:
            point["second"] = charts.number(others[place])
        points.append(point)
    lines = [("second", charts.SECOND)] if second else []
    spec = charts.over_time(
        points, _axis(kind, column, now, before, others), lines=lines, bars=bars
    )
    keys = [Key("c1" if bars else "c1 line", label)]
    if second:
        keys.append(Key("c2 line", second[1]))
    alt = _told(title, kind, column, now, before, days)
    return _chart(name, title, alt, spec, (*keys, DASHED), is_alone)


def _stack(
    figures: Figures,
    name: str,
    title: str,
    rows: Sequence[Row],
    key: str,
    names: dict[str, str],
    column: str,
    kind: str,
) -> Chart:
    totals: dict[str, Decimal] = {}
    for row in rows:
        if row["period"] == "current":
            totals[row[key]] = totals.get(row[key], Decimal(0)) + row[column]
    ranked = sorted(totals, key=lambda item: (-totals[item], item))
    kept = [item for item in ranked if totals[item] != 0][:MOST_SERIES]
    others = [item for item in ranked if totals[item] != 0][MOST_SERIES:]
    now, before = _periods(rows, "bucket_index", column)
    days = {row["bucket_index"]: day_of(figures, row) for row in rows if row["period"] == "current"}
    cells: dict[tuple[int, int], Decimal] = {}
    for row in rows:
        if row["period"] == "current" and row[column] != 0:
            series = kept.index(row[key]) if row[key] in kept else len(kept)
            place = (row["bucket_index"], series)
            cells[place] = cells.get(place, Decimal(0)) + row[column]
    labels = [names[item] for item in kept] + ([f"{len(others)} others"] if others else [])
    points = []
    for place in sorted(now):
        parts = [
            f"{label} {shown(cells[place, series], kind, column)}"
            for series, label in enumerate(labels)
            if (place, series) in cells
        ]
        told = f" ({', '.join(parts)})" if parts else ""
        old = shown(before.get(place), kind, column)
        points.append(
            {
                "day": day(days[place]),
                "previous": charts.number(before.get(place)),
                "note": f"{day(days[place])}: {shown(now[place], kind, column)}{told}; "
                f"previous period {old}",
            }
        )
    bars = [
        {"day": day(days[place]), "series": series, "value": charts.number(value)}
        for (place, series), value in sorted(cells.items())
    ]
    styles = [f"c{number + 1}" for number in range(len(kept))] + ["rest"] * bool(others)
    colours = [f"var(--{style})" for style in styles]
    spec = charts.stacked(points, bars, colours, _axis(kind, column, now, before))
    alt = _told(title, kind, column, now, before, days)
    shares = ", ".join(f"{names[item]} {shown(totals[item], kind, column)}" for item in kept)
    keys = [Key(style, label) for style, label in zip(styles, labels, strict=True)]
    return _chart(name, title, f"{alt} {shares}.".strip(), spec, (*keys, DASHED))


def _shares(
    name: str,
    title: str,
    entries: Sequence[tuple[str, Any, Decimal | None, Any]],
    kind: str,
    column: str,
    keys: tuple[Key, ...],
) -> Chart:
    points, told = [], []
    for label, value, share, before in entries:
        text = compact(value, kind, column)
        if share is not None:
            text += f" · {percent(share)}"
        told.append(f"{label} {text}")
        known = [item for item in (value, before) if item is not None]
        points.append(
            {
                "label": label,
                "current": charts.number(value),
                "previous": charts.number(before),
                "reach": charts.number(max(*known, 0)),
                "text": text,
                "note": f"{label}: {text}; previous period {shown(before, kind, column)}",
            }
        )
    alt = f"{title}: {', '.join(told)}."
    drawn = tuple(
        (size_name, charts.draw(charts.shares(points, size[0]), size, alt))
        for size_name, size in (("wide", charts.WIDE), ("narrow", charts.NARROW))
    )
    return Chart(name, title, alt, keys, drawn)


def _chart(
    name: str,
    title: str,
    alt: str,
    spec: dict[str, Any],
    keys: tuple[Key, ...],
    is_alone: bool = False,
) -> Chart:
    sizes = [("wide", charts.WIDE), ("narrow", charts.NARROW)]
    if is_alone:
        sizes.insert(0, ("alone", charts.ALONE))
    drawn = tuple((size_name, charts.draw(spec, size, alt)) for size_name, size in sizes)
    return Chart(name.replace("_", "-"), title, alt, keys, drawn)


def _periods(rows: Sequence[Row], place: str, column: str) -> tuple[dict[int, Any], dict[int, Any]]:
    """The figure of each bucket, of the current and of the previous period; nulls stay."""
    found: dict[str, dict[int, Any]] = {"current": {}, "previous": {}}
    for row in rows:
        bucket = found[row["period"]]
        figure = row[column]
        if row[place] in bucket and figure is not None:
            figure += bucket[row[place]]
        bucket[row[place]] = figure
    return found["current"], found["previous"]


def _axis(kind: str, column: str, *series: dict[int, Any]) -> dict[str, Any]:
    """The labels of figures: whole counts, short thousands, as many decimals as it takes."""
    if kind != "money":
        return COUNT_AXIS
    most = max((abs(value) for values in series for value in values.values() if value), default=0)
    sign = "$" if column.endswith("_usd") else ""
    if most >= 1000:
        return {"labelExpr": SHORT.format(sign)}
    places = 0 if most >= 10 else 2 if most >= Decimal("0.1") else 4
    return {"format": f"{sign},.{places}f"}


def _told(
    title: str,
    kind: str,
    column: str,
    now: dict[int, Any],
    before: dict[int, Any],
    days: dict[int, Any],
) -> str:
    """What a chart over time says: its total, its greatest day, and the period before."""
    known = {place: value for place, value in now.items() if value is not None}
    if not known or not any(known.values()):
        return f"{title}: nothing in this period."
    first, last = days[min(days)], days[max(days)]
    highest = max(sorted(known), key=lambda place: known[place])
    words = (
        f"{title}, {day(first)} to {day(last)}: most on {day(days[highest])}, "
        f"{shown(known[highest], kind, column)}"
    )
    if column == "active_users":
        return f"{words}."
    old = sum(value for value in before.values() if value is not None)
    total = shown(sum(known.values()), kind, column)
    return f"{words}; {total} in all, {shown(old, kind, column)} in the period before."
