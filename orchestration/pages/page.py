"""The page itself: figures, charts and tables of every section, put into one template."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orchestration.closed import close_off
from orchestration.pages.contents import CHARTED, PAGES, TIMEFRAME, Cell, Headline, Page, Tab, Top
from orchestration.pages.drawings import drawings, session_panel
from orchestration.pages.figures import Figures, Row, Window
from orchestration.pages.formats import change, compact, full, shown
from orchestration.publish import sync

FILE = "report.html"
MOST_ROWS = 10
MOST_MODELS = 3
FOLDER = Path(__file__).parent
NUMBERS = ("count", "tokens", "money", "milliseconds", "ratio", "index")
MARTS = tuple(
    dict.fromkeys(
        [
            *(tab.headline for page in PAGES for tab in page.tabs if tab.headline),
            *(card.mart for page in PAGES for tab in page.tabs for card in tab.cards if card.mart),
            *(table.mart for page in PAGES for tab in page.tabs for table in tab.tables),
            *CHARTED,
        ]
    )
)
WHY_NOTHING = {
    "estimated_cost_usd": "No list price is known for any of these requests.",
    "reported_cost_usd": "No client reported a cost.",
}


def write_page(database: Path, folder: Path, memory_limit: str) -> dict[str, Any]:
    """Write report.html into a set; returns its entry for the manifest: path, bytes, sha256.

    The page holds what the marts say, and no instant of its own: the same database gives the same
    bytes. memory_limit: a size as DuckDB reads it, such as 2GB.
    """
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set memory_limit = ?", [memory_limit])
        close_off(connection)
        content = render(Figures(connection)).encode("utf-8")
    path = folder / FILE
    path.write_bytes(content)
    sync(path)
    return {
        "path": FILE,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def render(figures: Figures) -> str:
    """The whole page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (
        (FOLDER / name).read_text(encoding="utf-8") for name in ("report.css", "report.js")
    )
    return environment.get_template("report.html.j2").render(
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        night={**figures.night, "as_of_text": _instant(figures, figures.night["as_of"])},
        data_through=shown(figures.night["data_through"], "instant", "data_through"),
        unpriced=figures.unpriced_requests(),
        pages=[_page(figures, page) for page in PAGES],
    )


def _hash(text: str) -> str:
    """A source expression of a Content-Security-Policy that allows exactly this text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _instant(figures: Figures, instant: datetime) -> str:
    return shown(figures.local(instant), "instant", "instant")


def _page(figures: Figures, page: Page) -> dict[str, Any]:
    windows = figures.windows(page.name)
    window = next(window for window in windows if window.timeframe == TIMEFRAME)
    return {
        "name": page.name,
        "title": page.title,
        "timeframe": _timeframe(TIMEFRAME),
        "window": _span(figures, window.start_at, window.end_at),
        "previous": _span(figures, window.previous_start_at, window.previous_end_at),
        "has_previous": any(tab.headline for tab in page.tabs),
        "tabs": [_tab(figures, tab, windows) for tab in page.tabs],
        "has_tabs": len(page.tabs) > 1,
    }


def _timeframe(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _span(figures: Figures, start_at: datetime, end_at: datetime) -> str:
    return f"{_instant(figures, start_at)} to {_instant(figures, end_at)}"


def _tab(figures: Figures, tab: Tab, windows: Sequence[Window]) -> dict[str, Any]:
    found = figures.headlines(tab, tab.cards)
    sources = figures.freshness(tab.sources)
    headline = found.get(TIMEFRAME, {})
    empty = _emptiness(tab, headline, sources)
    shows = {
        "name": tab.name,
        "title": tab.title,
        "lead": tab.lead,
        "empty": empty,
        "telemetry": _telemetry(sources) if "otlp" in tab.sources else None,
        "cards": [_card(figures, tab, card, headline) for card in tab.cards],
        "charts": [],
        "sessions": None,
        "tables": [],
        "glance": _glance(figures, tab, found, windows),
    }
    if empty is None:
        shows["charts"] = drawings(figures, tab.name, TIMEFRAME)
        if tab.name == "llm":
            count, shapes = session_panel(figures, TIMEFRAME)
            shows["sessions"] = {"count": count, "charts": shapes}
        shows["tables"] = [_table(figures, table) for table in tab.tables]
    return shows


def _emptiness(tab: Tab, headline: dict[str, Row], sources: Sequence[Row]) -> str | None:
    """Why a tab has nothing to show: nothing ever arrived, or nothing in these periods."""
    if all(source["status"] == "never configured" for source in sources):
        names = ", ".join(dict.fromkeys(source["source"] for source in sources))
        return (
            f"Nothing has ever arrived from {names}: these sources are not configured, so the "
            "zeros here say nothing about use."
        )
    if any(row.get(card.column) for row in headline.values() for card in tab.cards):
        return None
    last = max((row["last_event_at"] for row in sources if row["last_event_at"]), default=None)
    told = f" The sources last sent something of {shown(last, 'instant', '')} UTC." if last else ""
    return f"There was nothing in this period, nor in the one before.{told}"


def _telemetry(sources: Sequence[Row]) -> str:
    """Which coding agents send telemetry, and which never did."""
    clients = [row for row in sources if row["source"] == "otlp"]
    never = [row["client"] for row in clients if row["status"] == "never configured"]
    sends = [row["client"] for row in clients if row["status"] == "receiving"]
    silent = [row["client"] for row in clients if row["status"] == "silent"]
    if not sends and not silent:
        return (
            "No telemetry has ever arrived: no coding agent is configured to send any, and "
            "theirs is not in these figures."
        )
    parts = [
        f"{words} {', '.join(names)}"
        for words, names in (
            ("received from", sends),
            ("silent for a day:", silent),
            ("never configured:", never),
        )
        if names
    ]
    return f"Telemetry: {'; '.join(parts)}."


def _card(figures: Figures, tab: Tab, card: Headline, headline: dict[str, Row]) -> dict[str, Any]:
    mart = card.mart or tab.headline or ""
    kind = figures.kind(mart, card.column)
    now = headline.get("current", {}).get(card.column)
    shows: dict[str, Any] = {
        "mart": mart,
        "column": card.column,
        "label": card.label,
        "note": card.note,
        "current": _value(now, kind, card.column),
        "previous": None,
        "change": None,
        "detail": None,
    }
    if tab.headline:
        before = headline.get("previous", {}).get(card.column)
        shows["previous"] = _value(before, kind, card.column)
        if kind not in ("text", "date"):
            shows["change"] = change(now, before)
    if card.detail and now is not None:
        detail = headline["current"][card.detail]
        shows["detail"] = f"{shown(detail, figures.kind(mart, card.detail), card.detail)} credits"
    return shows


def _value(value: Any, kind: str, column: str) -> dict[str, str]:
    """A figure to read, the whole of it, and what stands in its title."""
    whole = full(value)
    title = WHY_NOTHING.get(column, "Nothing to tell.") if value is None else whole
    return {"text": compact(value, kind, column), "full": whole, "title": title}


def _glance(
    figures: Figures, tab: Tab, found: dict[str, dict[str, Row]], windows: Sequence[Window]
) -> list[dict[str, Any]]:
    """The headline figures of every timeframe of the page."""
    rows = []
    for window in windows:
        periods = found.get(window.timeframe, {})
        cells = []
        for card in tab.cards:
            kind = figures.kind(card.mart or tab.headline or "", card.column)
            now = periods.get("current", {}).get(card.column)
            if not periods and kind not in ("text", "date"):
                now = 0
            before = periods.get("previous", {}).get(card.column)
            cells.append(
                {
                    "current": _value(now, kind, card.column),
                    "previous": _value(before, kind, card.column) if tab.headline else None,
                }
            )
        rows.append(
            {
                "timeframe": _timeframe(window.timeframe),
                "span": _span(figures, window.start_at, window.end_at),
                "cells": cells,
            }
        )
    return rows


def _table(figures: Figures, table: Top) -> dict[str, Any]:
    rows, count = figures.top(table, TIMEFRAME, MOST_ROWS)
    most = max((abs(row[table.bar]) for row in rows if row[table.bar] is not None), default=0)
    kinds = {cell.column: figures.kind(table.mart, cell.column) for cell in table.cells}
    return {
        "title": table.title,
        "note": table.note,
        "file": f"{table.mart}/{TIMEFRAME}.csv",
        "heads": [
            {"label": cell.label, "is_number": kinds[cell.column] in NUMBERS}
            for cell in table.cells
        ],
        "rows": [
            [_cell(cell, row, kinds[cell.column], most, table.bar) for cell in table.cells]
            for row in rows
        ],
        "count": count,
        "is_wide": table.is_wide or len(table.cells) > 5,
    }


def _cell(cell: Cell, row: Row, kind: str, most: Any, bar: str) -> dict[str, Any]:
    value = row[cell.column]
    below = full(row[cell.below]) if cell.below else ""
    shows: dict[str, Any] = {
        "is_number": kind in NUMBERS,
        "text": shown(value, kind, cell.column),
        "title": full(value),
        "below": below,
        "share": None,
        "trend": None,
    }
    if cell.below and value is None:
        # Someone or something of which only the id is known.
        shows |= {"text": below or shows["text"], "title": below, "below": ""}
    if below == shows["text"]:
        shows["below"] = ""
    if cell.column == bar and most and value is not None:
        shows["share"] = f"{max(float(value) / float(most), 0) * 100:.1f}"
    if cell.column == "models_used":
        shows["text"] = _models(value, row.get("more_models"))
    if cell.column == "trend":
        shows["trend"] = _trend(value)
    return shows


def _models(value: str | None, more: int | None) -> str:
    """The first models of a list, and how many there are beside."""
    names = value.split(", ") if value else []
    beside = (more or 0) + len(names[MOST_MODELS:])
    return ", ".join(names[:MOST_MODELS]) + (f" +{beside}" if beside else "") or "–"


def _trend(value: str) -> Markup:
    """A sparkline: one bar a day, as high as its share of the greatest."""
    counts = [int(count) for count in value.split()]
    most = max(*counts, 1)
    bars = "".join(
        f"M{place * 4 + 2} 24v{-max(count / most * 22, 1.5):.1f}"
        for place, count in enumerate(counts)
        if count
    )
    told = f"{sum(counts):,} in {len(counts)} days, {max(counts):,} on the busiest"
    return Markup(
        '<svg class="trend" viewBox="0 0 {} 25" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><path class="floor" d="M0 24.5H{}"/><path d="{}"/></svg>'
    ).format(len(counts) * 4, told, len(counts) * 4, bars)
