"""The page to look at: what it says is what the marts say, and a browser finds no fault in it."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest

from orchestration import pages
from orchestration.pages import charts, formats
from orchestration.pages.contents import PAGES, TIMEFRAME, Headline, Tab
from orchestration.pages.figures import Figures
from orchestration.pages.page import render
from tests import browser
from tests.conftest import Warehouse

MEBIBYTE = 1 << 20
WIDTHS = (400, 1400)
CARDS = [(tab, card) for page in PAGES for tab in page.tabs for card in tab.cards]
EMPTY_ELEMENTS = {"meta", "rect", "path", "line", "br"}
MISSING = browser.missing()


class Document(HTMLParser):
    """Cards by tab and column, the texts of the page, and the attributes of every element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cards: dict[tuple[str, str, str], str] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag not in EMPTY_ELEMENTS:
            self._open.append((tag, attributes))
        around = {key: value for _, item in self._open for key, value in item.items()}
        if tag == "data" and "data-column" in around:
            key = (around["data-tab"], around["data-column"], around["data-period"])
            self.cards[key] = attributes["value"] or ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page_of(warehouse: Warehouse) -> Path:
    return warehouse.exports / "latest" / "report.html"


@pytest.fixture(scope="module")
def text(sample: Warehouse) -> str:
    return page_of(sample).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def document(text: str) -> Document:
    return Document(text)


# What it says


@pytest.mark.parametrize(("tab", "card"), CARDS, ids=[f"{t.name}-{c.column}" for t, c in CARDS])
def test_every_headline_figure_is_the_marts(
    sample: Warehouse, document: Document, tab: Tab, card: Headline
) -> None:
    if tab.headline is None:
        where = f"select 'current', sum({card.column}) from marts.{card.mart}"
    else:
        where = f"select period, {card.column} from marts.{tab.headline}"
    view = f" and view = '{tab.view}'" if tab.view else ""
    found = sample.query(f"{where} where timeframe = '{TIMEFRAME}'{view}")
    assert {period for period, _ in found} == (
        {"current", "previous"} if tab.headline else {"current"}
    )
    for period, figure in found:
        assert document.cards[tab.name, card.column, period] == formats.full(figure)


def test_the_figures_of_the_sample_are_not_all_nothing(document: Document) -> None:
    assert len(document.cards) > 40
    assert sum(value not in ("", "0") for value in document.cards.values()) > 30


def test_first_rows_are_those_of_the_csv(document: Document, sample: Warehouse) -> None:
    agents = sample.query(
        "select agent_name from marts.usage_by_agent where timeframe = 'last_30_days' "
        "and agent_name is not null order by total_runs desc, agent_id limit 10"
    )
    assert agents
    for (name,) in agents:
        assert name in document.texts


def test_the_head_tells_the_night(sample: Warehouse, document: Document) -> None:
    ((night_id, price_version),) = sample.query("select night_id, price_version from quality.night")
    for told in (night_id, price_version, "UTC", "15 Mar 2026, 00:00", "Last 30 days"):
        assert told in document.texts, told


def test_the_manifest_lists_the_page_apart_from_the_csvs(sample: Warehouse) -> None:
    manifest = json.loads((sample.exports / "latest" / "manifest.json").read_text(encoding="utf-8"))
    content = page_of(sample).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    wanted = {"path": "report.html", "bytes": len(content), "sha256": digest}
    assert manifest["pages"] == [wanted]
    assert "report.html" not in {file["path"] for file in manifest["files"]}


def test_every_chart_of_the_pages_is_drawn_with_words_for_it(document: Document) -> None:
    names = {attributes.get("id") for tag, attributes in document.elements if tag == "figure"}
    assert names == {
        "tool-usage-over-time", "hourly-distribution", "llm-tokens", "llm-cost", "tokens-by-type",
        "session-estimated-cost-usd", "session-total-tokens", "session-duration-ms",
        "session-request-count", "blocked-calls", "active-users", "team-requests", "daily-credits",
        "credits-by-category",
    }  # fmt: skip
    drawings = [item for tag, item in document.elements if tag == "svg" and "role" in item]
    assert all(item["aria-label"] for item in drawings)
    assert "This chart could not be drawn." not in document.texts


# What it may not hold


def test_the_page_is_small_and_loads_nothing(text: str, document: Document) -> None:
    assert len(text.encode()) < MEBIBYTE
    for tag, attributes in document.elements:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "action", "style", "srcset", "xmlns"):
                assert tag == "a", (tag, name, value)
                assert not re.match(r"\w+:|//", value or ""), value
            assert not name.startswith("on"), (tag, name)
    assert not re.search(r"url\(|@import", text)


def test_the_policy_allows_this_style_and_this_script_alone(text: str, document: Document) -> None:
    (policy,) = [
        item["content"] or ""
        for tag, item in document.elements
        if tag == "meta" and item.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for element, rule in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules.pop(rule) == f"'sha256-{digest}'"
    assert rules == {
        "default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip


HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>🦜"


@pytest.fixture(scope="module")
def hostile(sample: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a database in which every name is an attack."""
    folder = tmp_path_factory.mktemp("hostile")
    database = folder / "warehouse.duckdb"
    shutil.copyfile(sample.home / "published" / "warehouse.duckdb", database)
    with duckdb.connect(str(database)) as connection:
        tables = connection.execute(
            "select table_name, column_name from duckdb_columns() where schema_name = 'marts' "
            "and data_type = 'VARCHAR' and column_name in ('agent_name', 'team_name', 'user_name', "
            "'user_email', 'category', 'model', 'tool_name', 'policy_name', 'models_used') "
            "and table_name in (select table_name from duckdb_tables())"
        ).fetchall()
        assert len(tables) > 15
        for table, column in tables:
            connection.execute(
                f"update marts.{table} set {column} = ? || {column} where {column} is not null",
                [HOSTILE],
            )
    pages.write_page(database, folder, "1GB")
    return folder / "report.html"


def test_hostile_names_are_texts(hostile: Path, document: Document) -> None:
    text = hostile.read_text(encoding="utf-8")
    attacked = Document(text)
    assert sum(HOSTILE in told for told in attacked.texts) > 30
    assert "This chart could not be drawn." not in attacked.texts
    assert sum(tag == "script" for tag, _ in attacked.elements) == 1
    assert not [tag for tag, _ in attacked.elements if tag == "img"]
    tags = {tag for tag, _ in document.elements}
    assert {tag for tag, _ in attacked.elements} <= tags


def test_the_same_database_gives_the_same_bytes(sample: Warehouse, tmp_path: Path) -> None:
    entry = pages.write_page(sample.home / "published" / "warehouse.duckdb", tmp_path, "1GB")
    assert (tmp_path / "report.html").read_bytes() == page_of(sample).read_bytes()
    assert entry["bytes"] == (tmp_path / "report.html").stat().st_size


# What empty means


@pytest.fixture
def emptied(sample: Warehouse, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    database = tmp_path / "warehouse.duckdb"
    shutil.copyfile(sample.home / "published" / "warehouse.duckdb", database)
    with duckdb.connect(str(database)) as connection:
        yield connection


def test_a_source_that_never_sent_is_no_zero(emptied: duckdb.DuckDBPyConnection) -> None:
    emptied.execute("create or replace table f as select * from quality.source_freshness")
    emptied.execute("update f set status = 'never configured', last_event_at = null")
    replace(emptied, "quality.source_freshness", "select * from f")
    told = " ".join(Document(render(Figures(emptied))).texts)
    assert "Nothing has ever arrived from credit_lines" in told
    assert "No telemetry has ever arrived" in told


def test_a_silent_period_says_when_the_last_event_was(emptied: duckdb.DuckDBPyConnection) -> None:
    names = "timeframe, window_start_at, window_end_at, period, days, null::date as peak_date, null::decimal(38, 12) as peak_credits"
    replace(
        emptied,
        "marts.billing_summary",
        f"select {names}, 0::decimal(38, 12) as total_credits, 0::decimal(38, 12) as "
        "average_daily_usage, 0::bigint as active_categories, 0::bigint as line_count, "
        "0::bigint as conversation_count from marts.billing_summary",
    )
    told = " ".join(Document(render(Figures(emptied))).texts)
    assert "There was nothing in this period, nor in the one before." in told
    assert "The sources last sent something of 15 Mar 2026" in told


def test_a_warehouse_without_a_row_has_a_page(emptied: duckdb.DuckDBPyConnection) -> None:
    tables = emptied.execute(
        "select table_name from duckdb_tables() where schema_name = 'marts'"
    ).fetchall()
    always = {tab.headline for page in PAGES for tab in page.tabs} | {
        "tool_usage_over_time", "tool_usage_by_hour_of_day", "llm_tokens_by_type",
        "llm_usage_over_time", "session_metrics_summary", "blocked_calls_over_time",
        "active_users_daily",
    }  # fmt: skip
    for (table,) in tables:
        if table not in always:
            emptied.execute(f"delete from marts.{table}")
    told = Document(render(Figures(emptied))).texts
    assert "No rows in this period." in told


def replace(connection: duckdb.DuckDBPyConnection, relation: str, query: str) -> None:
    """Put the rows of a query in the place of a table or view."""
    connection.execute(f"create table replacement as {query}")
    schema, _, name = relation.partition(".")
    (kind,) = connection.execute(
        "select table_type from information_schema.tables "
        "where table_schema = ? and table_name = ?",
        [schema, name],
    ).fetchone() or ("",)
    connection.execute(f"drop {'view' if kind == 'VIEW' else 'table'} {relation}")
    connection.execute(f"create table {relation} as from replacement")
    connection.execute("drop table replacement")


# How figures read


@pytest.mark.parametrize(
    ("value", "kind", "name", "told"),
    [
        (1234567, "count", "request_count", "1,234,567"),
        (Decimal("12.345"), "money", "estimated_cost_usd", "$12.35"),
        (Decimal("-0.5"), "money", "estimated_cost_usd", "-$0.50"),
        (Decimal("0.0042119"), "money", "estimated_cost_usd", "$0.0042"),
        (Decimal("0E-12"), "money", "credits", "0.00"),
        (Decimal("1200"), "milliseconds", "avg_latency_ms", "1.2 s"),
        (Decimal("850.4"), "milliseconds", "avg_latency_ms", "850 ms"),
        (Decimal("119999"), "milliseconds", "duration_ms", "2 min 0 s"),
        (Decimal("5400000"), "milliseconds", "duration_ms", "1 h 30 min"),
        (Decimal("0.333333"), "ratio", "error_rate", "33.3 %"),
        (Decimal("6.363636"), "ratio", "avg_requests_per_user", "6.36"),
        (date(2026, 3, 4), "date", "peak_date", "4 Mar 2026"),
        (datetime(2026, 3, 4, 5, 6), "instant", "started_at", "4 Mar 2026, 05:06"),
        (True, "boolean", "has_timeline", "yes"),
        (None, "money", "reported_cost_usd", "–"),
    ],
)
def test_figures_read_as_people_write_them(value: object, kind: str, name: str, told: str) -> None:
    assert formats.shown(value, kind, name) == told


@pytest.mark.parametrize(
    ("now", "before", "told"),
    [
        (12, 10, "▲ 20.0 %"),
        (5, 10, "▼ 50.0 %"),
        (200, 10, "▲ 20.0 times"),
        (0, 0, "no change"),
        (3, 0, "from nothing"),
        (None, 3, "no comparison"),
        (Decimal("-1"), 3, "down"),
    ],
)
def test_a_change_is_told_in_words_where_a_percentage_means_nothing(
    now: object, before: object, told: str
) -> None:
    assert formats.change(now, before) == told


def test_large_figures_are_short_on_cards_alone() -> None:
    assert formats.compact(12_345_678, "tokens", "total_tokens") == "12.3 M"
    assert formats.compact(9_999_999, "tokens", "total_tokens") == "9,999,999"
    assert formats.shown(12_345_678, "tokens", "total_tokens") == "12,345,678"


def test_a_chart_that_cannot_be_drawn_leaves_a_page() -> None:
    drawn = charts.draw({"mark": "no such mark"}, charts.WIDE, "nothing")
    assert drawn == '<p class="empty">This chart could not be drawn.</p>'


# How it looks


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    if MISSING:
        pytest.skip(f"the look in a browser is left out: {MISSING}")
    with browser.browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


SIZES = """
return [...document.querySelectorAll('figure')].map(figure => {
  const shown = [...figure.querySelectorAll('svg')].map(svg => svg.getBoundingClientRect());
  return [figure.id, shown.filter(box => box.width > 100 && box.height > 60).length];
})
"""
OUTSIDE = """
return [...document.querySelectorAll('.drawing text')].filter(text => {
  const frame = text.closest('svg').getBoundingClientRect();
  const box = text.getBoundingClientRect();
  return box.width && (box.left < frame.left - 1 || box.right > frame.right + 1);
}).map(text => text.textContent)
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("which", ["sample", "hostile"])
def test_a_browser_finds_no_fault(
    request: pytest.FixtureRequest, tab: browser.Browser, sample: Warehouse, which: str, width: int,
    scheme: str,
) -> None:  # fmt: skip
    file = page_of(sample) if which == "sample" else request.getfixturevalue("hostile")
    tab.resize(width, scheme=scheme)
    tab.open(file)
    wide, inner = tab.run("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert inner == width
    assert wide <= inner
    assert tab.errors() == []
    sizes = tab.run(SIZES)
    assert len(sizes) == 14
    assert [name for name, shown in sizes if shown != 1] == []
    if which == "sample":
        assert tab.run(OUTSIDE) == []
    colours = tab.run(
        "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
    )
    dark_back = sum(map(int, re.findall(r"\d+", colours[1])[:3])) < 3 * 128
    assert dark_back == (scheme == "dark")


def test_pointing_at_a_chart_shows_its_figures(tab: browser.Browser, sample: Warehouse) -> None:
    tab.resize(1400)
    tab.open(page_of(sample))
    told = tab.run(
        "const mark = document.querySelector('#llm-cost .wide [data-note]');"
        "mark.dispatchEvent(new PointerEvent('pointermove', {bubbles: true}));"
        "const tip = document.getElementById('tip');"
        "return [tip.hidden, tip.textContent]"
    )
    assert told[0] is False
    assert re.fullmatch(
        r"13 Feb: \$[\d.]+; reported by the clients .*; previous period .*", told[1]
    )
