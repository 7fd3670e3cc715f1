"""Charts as Vega-Lite draws them, to be put into a page: SVG without ids, fonts or addresses."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import vl_convert
from markupsafe import Markup

log = logging.getLogger("warehouse")

VEGA_LITE = "6.4"
# Drawn twice, and the style sheet shows the one that fits: a chart that is only scaled to a
# telephone has letters of half the size.
ALONE, WIDE, NARROW, SMALL = (1320, 250), (640, 250), (340, 220), (300, 112)
# What a letter takes in the fonts of readers' machines, of which some are wider than the drawer's.
LETTER, LABEL_LIMIT = 7.4, 150
FONT = "Helvetica, Arial, sans-serif"
FONT_SIZE = 12
CURRENT, PREVIOUS, SECOND = "var(--c1)", "var(--previous)", "var(--c2)"
DASHES = [5, 4]
TEXT, MUTED, LINE = "var(--text)", "var(--muted)", "var(--line)"
CONFIG = {
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "labelFontSize": FONT_SIZE,
        "labelPadding": 6,
        "gridColor": LINE,
        "domainColor": LINE,
        "tickColor": LINE,
        "title": None,
    },
    "axisY": {"domain": False, "ticks": False, "tickCount": 4},
    "axisX": {"grid": False},
}


@dataclass(frozen=True)
class Key:
    """One entry of a legend: a class of the style sheet, and what it stands for."""

    style: str
    label: str


@dataclass(frozen=True)
class Chart:
    """A chart: its title, what it says in a sentence, its legend, and its drawings."""

    name: str
    title: str
    alt: str
    keys: tuple[Key, ...]
    drawings: tuple[tuple[str, Markup], ...]


def over_time(
    points: Sequence[Mapping[str, Any]],
    axis: Mapping[str, Any],
    *,
    hours: bool = False,
    lines: Sequence[tuple[str, str]] = (),
    bars: bool = False,
) -> dict[str, Any]:
    """A spec of a figure a day, or an hour of the day, with the previous period dashed.

    points: day (ISO date, or an hour with `hours`), current, previous, note; with `bars` the
    current figure stands in bars. lines: other fields and their colours.
    """
    x = _x(points, hours)
    solid = {"type": "line", "strokeWidth": 2, "interpolate": "linear"}
    layers: list[dict[str, Any]] = []
    if bars:
        layers.append(_layer({"type": "bar", "color": CURRENT, **BAR}, x, "current", axis))
    layers.append(
        _layer(
            {**solid, "strokeWidth": 1.5, "color": PREVIOUS, "strokeDash": DASHES},
            x,
            "previous",
            axis,
        )
    )
    for field, colour in lines:
        layers.append(_layer({**solid, "strokeWidth": 1.5, "color": colour}, x, field, axis))
    if not bars:
        layers.append(_layer({**solid, "color": CURRENT}, x, "current", axis))
    return {"data": {"values": list(points)}, "layer": [*layers, _hover(x)]}


def stacked(
    points: Sequence[Mapping[str, Any]],
    parts: Sequence[Mapping[str, Any]],
    colours: Sequence[str],
    axis: Mapping[str, Any],
) -> dict[str, Any]:
    """A spec of bars a day, stacked by series, with the previous period's total dashed.

    points: as in `over_time`. parts: day, series (a number), value. colours: one a series.
    """
    x = _x(points, False)
    places = list(range(len(colours)))
    bars = {
        "data": {"values": list(parts)},
        "mark": {"type": "bar", "aria": False, **BAR},
        "encoding": {
            "x": x,
            "y": {"field": "value", "type": "quantitative", "stack": "zero", "axis": dict(axis)},
            "color": {
                "field": "series",
                "type": "ordinal",
                "scale": {"domain": places, "range": list(colours)},
                "legend": None,
            },
            "order": {"field": "series", "type": "quantitative"},
        },
    }
    dashed = {"type": "line", "strokeWidth": 1.5, "color": PREVIOUS, "strokeDash": DASHES}
    return {
        "data": {"values": list(points)},
        "layer": [bars, _layer(dashed, x, "previous", axis), _hover(x)],
    }


def shares(rows: Sequence[Mapping[str, Any]], width: int) -> dict[str, Any]:
    """A spec of one bar a row, its figure written at its end, the previous one as a mark.

    rows: label, current, previous (may be None), reach, text, note. width: of the chart, of which
    the longest text gets what it needs.
    """
    longest = max((len(row["label"]) for row in rows), default=0)
    extent = min(longest * LETTER + 8, LABEL_LIMIT)
    y = {
        "field": "label",
        "type": "nominal",
        "scale": {
            "domain": [row["label"] for row in rows], "paddingInner": 0.45, "paddingOuter": 0.25,
        },
        "axis": {
            "domain": False, "ticks": False, "grid": False, "labelColor": TEXT,
            "labelLimit": LABEL_LIMIT, "title": None,
            "minExtent": extent,
        },
    }  # fmt: skip
    plot = width - extent - 24
    text = max((len(row["text"]) for row in rows), default=0) * LETTER + 12
    lowest = min((row["current"] or 0.0 for row in rows), default=0.0)
    most = max((row["reach"] for row in rows), default=0.0) or 1.0
    domain = [min(lowest, 0.0), most * plot / max(plot - text, plot / 4)]
    x = {"type": "quantitative", "axis": None, "scale": {"domain": domain, "nice": False}}
    note = {"field": "note", "type": "nominal"}
    return {
        "data": {"values": list(rows)},
        "layer": [
            {
                "mark": {"type": "bar", "color": CURRENT},
                "encoding": {"y": y, "x": {**x, "field": "current"}, "description": note},
            },
            {
                "transform": [{"filter": "datum.previous !== null"}],
                "mark": {"type": "tick", "color": TEXT, "thickness": 2, "bandSize": 26},
                "encoding": {"y": y, "x": {**x, "field": "previous"}, "description": note},
            },
            {
                "mark": {
                    "type": "text",
                    "aria": False,
                    "align": "left",
                    "dx": 8,
                    "color": TEXT,
                    "fontSize": 12,
                },
                "encoding": {
                    "y": y,
                    "x": {**x, "field": "reach"},
                    "text": {"field": "text", "type": "nominal"},
                },
            },
        ],
    }


def draw(spec: Mapping[str, Any], size: tuple[int, int], alt: str) -> Markup:
    """The SVG of a spec, for a page of HTML; a drawing that fails is said in its place.

    alt: what the chart says, for who does not see it.
    """
    width, height = size
    whole = {
        **spec,
        "width": width,
        "height": height,
        "background": None,
        "padding": 4,
        "autosize": {"type": "fit", "contains": "padding"},
        "config": CONFIG,
    }
    try:
        svg = vl_convert.vegalite_to_svg(whole, vl_version=VEGA_LITE, allowed_base_urls=[])
    except ValueError as error:
        log.warning("a chart could not be drawn (%s): %s", alt, error)
        return Markup('<p class="empty">This chart could not be drawn.</p>')
    body = svg[svg.index(">") + 1 :]
    for pattern, replacement in UNWANTED:
        body = pattern.sub(replacement, body)
    body = PLACES.sub(lambda found: LONG.sub(r"\1", found[0]), body)
    opening = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        width, height, alt
    )
    return opening + Markup(body)


# Notes become what the pointer shows; roles of single marks only lengthen the file.
UNWANTED = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r' aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="[^"]*"',
         r' data-note="\1"'),
        (r' role="graphics-symbol"| aria-roledescription="[^"]*"| aria-label="[^"]*"', ""),
        (r' role="graphics-object"| aria-hidden="true"| pointer-events="none"', ""),
        (r' font-family="[^"]*"', ""),
        (r' class="[^"]*"', ""),
        (r'<path d="(M0,0h0v0h0Z)?"( display="none")?/>', ""),
        (r' stroke-miterlimit="10"| opacity="1"', ""),
    )
)  # fmt: skip
PLACES = re.compile(r' (?:d|transform|x|y|x1|x2|y1|y2|width|height)="[^"]*"')
LONG = re.compile(r"(\d\.\d\d)\d+")

BAR = {"width": {"band": 0.7}}


def number(value: Any) -> float | None:
    """A figure as a chart takes it; the exact one stands in its note."""
    return None if value is None else float(Decimal(value))


def _x(points: Sequence[Mapping[str, Any]], hours: bool) -> dict[str, Any]:
    """The axis of days or hours as bands, with labels that have room."""
    names = [point["day"] for point in points]
    step = 3 if hours else max(1, -(-len(names) // 6))
    return {
        "field": "day",
        "type": "ordinal",
        "scale": {"domain": names, "paddingInner": 0, "paddingOuter": 0},
        "axis": {
            "values": names[:: step or 1],
            "labelAngle": 0,
            "labelOverlap": True,
            "labelFlush": False,
            "title": None,
            "grid": False,
        },
    }


def _layer(
    mark: Mapping[str, Any], x: Mapping[str, Any], field: str, axis: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "mark": {**mark, "aria": False},
        "encoding": {"x": x, "y": {"field": field, "type": "quantitative", "axis": dict(axis)}},
    }


def _hover(x: Mapping[str, Any]) -> dict[str, Any]:
    """A field over each bucket, as high as the chart, that holds its note."""
    return {
        "mark": {"type": "bar", "width": {"band": 1}, "color": TEXT, "opacity": 0},
        "encoding": {
            "x": x,
            "y": {"value": 0},
            "y2": {"value": "height"},
            "description": {"field": "note", "type": "nominal"},
        },
    }
