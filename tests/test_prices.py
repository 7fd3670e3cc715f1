"""Prices: equal to what genai-prices computes, in time, in tier, in context, and over releases."""

import csv
import importlib.util
import json
import random
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from genai_prices import Usage
from genai_prices.data import providers
from genai_prices.data_snapshot import get_snapshot

from orchestration.models import prepare_manifest
from orchestration.prices import PriceError, price_tables, read_prices
from orchestration.project import DBT_PROJECT, PRICES, ROOT, Settings, SettingsError, price_version
from tests.conftest import Warehouse

PLACES = Decimal(1).scaleb(-12)
BUCKETS = (
    "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
    "output_tokens",
)  # fmt: skip
CONTEXT = ("processing", "service_tier", "speed")
NOON = datetime(2026, 11, 20, 12)
RANDOM_CASES = 10_000

Request = dict[str, Any]

_spec = importlib.util.spec_from_file_location("write_prices", PRICES / "write_prices.py")
assert _spec is not None
assert _spec.loader is not None
write_prices = importlib.util.module_from_spec(_spec)
sys.modules["write_prices"] = write_prices
_spec.loader.exec_module(write_prices)


def request(
    provider: str | None,
    model: str,
    at: datetime = NOON,
    tokens: Sequence[int | None] = (100_003, 2_001, 307, 41, 1_009),
    **context: str,
) -> Request:
    """A request at a naive UTC instant, with its five buckets in order."""
    said = {name: context.get(name, "") for name in CONTEXT}
    return (
        {"provider": provider, "model": model, "requested_at": at}
        | said
        | dict(zip(BUCKETS, tokens, strict=True))
    )


# What the package says ----------------------------------------------------------------------------


def cost_by_package(asked: Request) -> Decimal | None:
    """What genai-prices computes, rounded to 12 decimals, half away from zero.

    None where it finds no model, or one that is priced in other units than tokens alone.
    """
    try:
        provider, model = get_snapshot().find_provider_model(
            asked["model"], None, asked["provider"], None
        )
    except LookupError:
        return None
    at = asked["requested_at"].replace(tzinfo=UTC)
    context = {name: asked[name] for name in CONTEXT if asked[name]}
    known = {key for key, price in vars(model.get_prices(at)).items() if price is not None}
    if known and not known & {"input_mtok", "output_mtok"}:
        return None
    uncached, read, write_5m, write_1h, output = (asked[name] or 0 for name in BUCKETS)
    usage = Usage(
        input_tokens=uncached + read + write_5m + write_1h,
        cache_read_tokens=read,
        cache_write_tokens=write_5m + write_1h,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=write_1h,
        output_tokens=output,
    )
    with localcontext(prec=60):
        found = model.calc_price(
            usage, provider, genai_request_timestamp=at, price_context=context or None
        )
        return found.total_price.quantize(PLACES, ROUND_HALF_UP)


# What the models say ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pricing_sql(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The SQL of the macros over a table `requests`, as dbt compiles it."""
    prepare_manifest()
    folder = tmp_path_factory.mktemp("dbt")
    inline = """
        {%- set context = price_context('processing', 'service_tier', 'speed') -%}
        with {{ price_ctes('requests', context) }}
        select number, {{ estimated_cost() }} as cost
        from requests {{ join_prices('requested_at', context) }}
        -- {{ source('run', 'prices') }} {{ source('run', 'model_matches') }}
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAREHOUSE_BUILD_FILE", str(folder / "build" / "warehouse.duckdb"))
        (folder / "build").mkdir()
        try:
            result = dbtRunner().invoke(
                ["--log-level", "none", "--log-level-file", "none", "compile", "--inline", inline,
                 "--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT),
                 "--target-path", str(folder / "target"), "--log-path", str(folder)]
            )  # fmt: skip
        finally:
            DuckDBConnectionManager.close_all_connections()
    assert result.success, result.exception
    return result.result.results[0].node.compiled_code


def priced(sql: str, requests: Sequence[Request], folder: Path = PRICES) -> list[Decimal | None]:
    """The cost of each request, by the SQL over the seeds of a folder."""
    prices, matches = price_tables(folder)
    types = {"number": pa.int64(), "requested_at": pa.timestamp("us")} | dict.fromkeys(
        BUCKETS, pa.int64()
    )
    names = ["number", "provider", "model", "requested_at", *CONTEXT, *BUCKETS]
    schema = pa.schema([(name, types.get(name, pa.string())) for name in names])
    rows = [{"number": number, **asked} for number, asked in enumerate(requests)]
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as scratch; create schema scratch.run")
        connection.register("arrow_prices", prices)
        connection.register("arrow_matches", matches)
        connection.register("requests", pa.Table.from_pylist(rows, schema=schema))
        connection.execute("create table scratch.run.prices as from arrow_prices")
        connection.execute("create table scratch.run.model_matches as from arrow_matches")
        found = connection.execute(f"select number, cost from ({sql}) order by number").fetchall()
    assert [number for number, _ in found] == list(range(len(requests))), (
        "rows were lost or doubled"
    )
    return [cost for _, cost in found]


def differences(sql: str, requests: Sequence[Request]) -> list[tuple[Any, ...]]:
    """Requests whose cost is not the package's to the last digit, with both."""
    found = priced(sql, requests)
    pairs = zip(requests, found, map(cost_by_package, requests), strict=True)
    return [(asked, mine, theirs) for asked, mine, theirs in pairs if mine != theirs]


# Equal to the package -----------------------------------------------------------------------------


def names_of(model: Any, rng: random.Random) -> list[str]:
    """Ways to write a model's name: by its own clauses, in other cases, with dates, spoilt."""
    found = [model.id]
    for parts in write_prices.alternatives(model.match):
        for kind, text in parts:
            if kind == "equals":
                found.append(text)
            elif kind in ("starts_with", "contains"):
                found += [text, f"{text}-20251101", f"{text}@20251101", f"{text}[1m]"]
            elif kind == "ends_with":
                found += [text, f"eu.{text}"]
            elif kind == "regex":
                plain = text.replace("[0-9]{8}", "20251101").replace("\\", "").strip("^$")
                found.append(plain.replace("[0-9]{4}-[0-9]{2}-[0-9]{2}", "2025-11-01"))
    found += [name.replace("2025-11-01", "20251101") for name in found]
    found += [name.upper() for name in found[:2]]
    spoilt = list(model.id)
    spoilt[rng.randrange(len(spoilt))] = rng.choice("abcxyz0189-./@")
    return [*found, "".join(spoilt), f"acme/{model.id}", f"{model.id}-2025123"]


def provider_texts(provider: Any) -> list[str | None]:
    """Ways to name a provider, the right one mostly."""
    return [*[provider.id] * 16, None, f" {provider.id.upper()} ", "litellm",
            "aws.bedrock", "azure", "gcp.vertex_ai", "gemini", "nobody", "azure.ai.openai"]  # fmt: skip


def random_request(rng: random.Random) -> Request:
    provider = rng.choice(providers)
    model = rng.choice(provider.models)
    text = rng.choice(provider_texts(provider))
    name = rng.choice(names_of(model, rng))
    if text == "litellm" and rng.random() < 0.7:
        name = f"{provider.id}/{name}"
    at = datetime(2025, 1, 1) + timedelta(seconds=rng.randrange(3 * 365 * 86_400))
    if rng.random() < 0.2:
        at = at.replace(hour=0, minute=0, second=0) - timedelta(microseconds=rng.randrange(2))
    edges = (0, 1, 32_000, 128_000, 200_000, 200_001, 256_000, 272_000, 272_001, 512_000)
    tokens = [rng.choice((0, rng.randrange(1, 10 ** rng.randrange(1, 10)))) for _ in BUCKETS]
    tokens[-1] += 1
    if rng.random() < 0.3:
        tokens[:4] = [rng.choice(edges), 0, 0, 0]
    context = {
        "processing": rng.choice(("", "", "batch", "interactive")),
        "service_tier": rng.choice(("", "", "flex", "priority", "default", "fast", "standard")),
        "speed": rng.choice(("", "", "fast", "normal")),
    }
    return request(text, name, at, tokens, **context)


@pytest.mark.slow
def test_ten_thousand_random_requests_cost_what_the_package_says(pricing_sql: str) -> None:
    seed = 20_261_121
    print(f"seed {seed}")
    rng = random.Random(seed)
    requests = [random_request(rng) for _ in range(RANDOM_CASES)]
    assert differences(pricing_sql, requests) == []
    priced_share = sum(cost_by_package(asked) is not None for asked in requests) / RANDOM_CASES
    assert 0.45 < priced_share < 0.9


@pytest.mark.slow
def test_every_model_of_the_package_costs_what_it_says(pricing_sql: str) -> None:
    tokens = ((1_003, 0, 0, 0, 7), (90_001, 110_002, 3, 5, 11), (271_999, 1_000_000, 1, 1, 99_999))
    requests = [
        request(provider.id, model.id, at, buckets)
        for provider in providers
        for model in provider.models
        for at, buckets in zip(
            (datetime(2025, 6, 1), NOON, datetime(2027, 2, 1)), tokens, strict=True
        )
    ]
    assert len(requests) > 6_000
    assert differences(pricing_sql, requests) == []


@pytest.mark.slow
def test_every_request_of_the_sample_costs_what_the_package_says(sample: Warehouse) -> None:
    rows = sample.query(
        "select provider, model, counted_at, input_tokens, cache_read_tokens, "
        "cache_write_5m_tokens, cache_write_1h_tokens, output_tokens, estimated_cost_usd "
        "from intermediate.int_llm_requests_combined"
    )
    different = []
    for provider, model, at, *tokens, cost in rows:
        expected = cost_by_package(request(provider, model, at, tokens))
        if cost != expected and any(tokens):
            different.append((provider, model, at, tokens, cost, expected))
    assert different == []
    assert {model for _, model, *_, cost in rows if cost} >= {"gpt-5", "claude-sonnet-4-6"}


@pytest.mark.slow
def test_the_client_and_the_list_agree_on_every_request_of_claude_code(sample: Warehouse) -> None:
    rows = sample.query(
        "select reported_cost_usd, estimated_cost_usd from intermediate.int_llm_requests_combined "
        "where client = 'claude_code'"
    )
    assert len(rows) > 10
    assert [row for row in rows if row[0] != row[1]] == []


NAMES = [
    ("anthropic", "claude-opus-4-6[1m]", True),
    ("anthropic", "CLAUDE-SONNET-4-6", True),
    ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", True),
    ("google", "claude-sonnet-4-5@20250929", True),
    ("gcp.vertex_ai", "gemini-2.5-pro", True),
    ("gemini", "gemini-2.5-flash", True),
    ("google", "gemini-2.5-pro-preview-tts", True),
    ("azure", "gpt-5", True),
    ("openai", "gpt-5-2025-08-07", True),
    ("openai", "gpt-5.2-20251211", True),
    (None, "gpt-5", True),
    (None, "claude-sonnet-4-6", True),
    (None, "mistral-large-latest", True),
    ("litellm", "anthropic/claude-sonnet-4-6", True),
    ("litellm", "gpt-5", True),
    ("openrouter", "anthropic/claude-sonnet-4.5", True),
    ("anthropic", "anthropic/claude-sonnet-4.5", False),
    ("anthropic", "bedrock/anthropic.claude-3-haiku", False),
    ("azure", "our-deployment-7", False),
    ("globex", "gpt-5", False),
    (None, "mistralai/mistral-large", False),
    ("anthropic", "acme-private-llm-v1", False),
    ("openai", "", False),
]


@pytest.mark.parametrize(("provider", "model", "is_known"), NAMES)
def test_a_name_finds_the_model_that_the_package_finds(
    pricing_sql: str, provider: str | None, model: str, is_known: bool
) -> None:
    asked = request(provider, model)
    assert differences(pricing_sql, [asked]) == []
    if not is_known:
        assert priced(pricing_sql, [asked]) == [None]


@pytest.mark.parametrize("alias", ["azure.ai.inference", "gcp.gen_ai", "x_ai"])
def test_an_alias_finds_a_provider_that_the_package_does_not(pricing_sql: str, alias: str) -> None:
    target = {row["alias"]: row["provider_id"] for row in seed("provider_aliases.csv")}[alias]
    model = {"azure": "gpt-5", "google": "gemini-2.5-pro", "x-ai": "grok-4"}[target]
    assert cost_by_package(request(alias, model)) is None
    (cost,) = priced(pricing_sql, [request(alias, model)])
    assert cost == cost_by_package(request(target, model))
    assert cost


# Time, tier, context ------------------------------------------------------------------------------


def test_a_price_starts_at_midnight_utc(pricing_sql: str) -> None:
    midnight = datetime(2026, 3, 13)
    asked = [
        request("anthropic", "claude-sonnet-4-6", at, (300_000, 0, 0, 0, 0))
        for at in (midnight - timedelta(microseconds=1), midnight)
    ]
    assert priced(pricing_sql, asked) == [Decimal("1.8"), Decimal("0.9")]
    assert differences(pricing_sql, asked) == []


def test_a_tier_holds_above_its_threshold_for_all_tokens(pricing_sql: str) -> None:
    early = datetime(2026, 3, 1)
    asked = [
        request("anthropic", "claude-sonnet-4-6", early, tokens)
        for tokens in ((199_999, 1, 0, 0, 0), (199_999, 1, 1, 0, 0), (100_000, 0, 0, 100_001, 1))
    ]
    assert priced(pricing_sql, asked) == [
        Decimal("0.5999973"), Decimal("1.2000021"), Decimal("1.8000345"),
    ]  # fmt: skip
    assert differences(pricing_sql, asked) == []


def test_a_price_of_the_day_starts_and_ends_at_its_second(pricing_sql: str) -> None:
    asked = [
        request("deepseek", "deepseek-chat", datetime(2026, 1, 5, *clock), (1_000_000, 0, 0, 0, 0))
        for clock in ((0, 29, 59, 999_999), (0, 30), (16, 29, 59, 999_999), (16, 30))
    ]
    assert priced(pricing_sql, asked) == [
        Decimal(text) for text in ("0.135", "0.27", "0.27", "0.135")
    ]
    assert differences(pricing_sql, asked) == []


def test_a_batch_and_a_tier_cost_what_is_listed_for_them(pricing_sql: str) -> None:
    contexts: list[dict[str, str]] = [
        {}, {"processing": "batch"}, {"service_tier": "priority"}, {"service_tier": "flex"},
        {"processing": "batch", "service_tier": "priority"}, {"service_tier": "nonsense"},
    ]  # fmt: skip
    asked = [request("openai", "gpt-5", NOON, (1_000_000, 0, 0, 0, 0), **said) for said in contexts]
    found = priced(pricing_sql, asked)
    assert found[:4] == [Decimal(text) for text in ("1.25", "0.625", "2.5", "0.625")]
    assert found[5] == found[0]
    assert differences(pricing_sql, asked) == []


def test_another_sellers_variants_are_not_ones_own(pricing_sql: str) -> None:
    asked = [
        request("azure", "gpt-5.4", processing="batch"),
        request("openai", "gpt-5.4", processing="batch"),
    ]
    assert differences(pricing_sql, asked) == []


def test_tokens_that_are_not_known_cost_nothing_and_none_known_is_no_cost(pricing_sql: str) -> None:
    asked = [
        request("openai", "gpt-5", tokens=(None, None, None, None, None)),
        request("openai", "gpt-5", tokens=(0, 0, 0, 0, 0)),
        request("openai", "gpt-5", tokens=(1_000_000, None, None, None, None)),
        request("perplexity", "sonar", tokens=(0, 0, 0, 0, 0)),
        request("perplexity", "sonar", tokens=(1, 0, 0, 0, 0)),
    ]
    fee = Decimal("0.012001")
    assert priced(pricing_sql, asked) == [None, 0, Decimal("1.25"), 0, fee]


def test_the_largest_request_that_is_loaded_has_a_cost(pricing_sql: str) -> None:
    most = 10**13
    assert differences(pricing_sql, [request("openai", "o1-pro", tokens=(most,) * 5)]) == []


def test_a_price_of_a_third_is_exact(pricing_sql: str) -> None:
    asked = [
        request("openrouter", "google/gemini-2.5-flash", tokens=(0, 0, tokens, 0, 0))
        for tokens in (1, 7, 1_000_000, 3_000_000_001, 9_999_999_999_999)
    ]
    assert differences(pricing_sql, asked) == []


# Seeds --------------------------------------------------------------------------------------------


def seed(name: str) -> list[dict[str, str]]:
    with (PRICES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_seeds_are_what_the_command_writes(tmp_path: Path) -> None:
    release = version("genai-prices")
    releases = {
        row["release"]: date.fromisoformat(row["released_on"]) for row in seed("releases.csv")
    }
    old = write_prices.read_prices(PRICES / "list_prices.csv")
    clauses = write_prices.read_clauses(PRICES / "model_matches.csv")
    assert write_prices.seeds_of(old, clauses, releases, providers, release) == (old, clauses)
    if len(releases) == 1:
        assert write_prices.package_prices(providers, release) == old
        assert write_prices.package_clauses(providers) == clauses


def test_the_release_is_the_pinned_one() -> None:
    pinned = version("genai-prices")
    assert f'"genai-prices=={pinned}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f"genai-prices=={pinned} " in (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert price_version("5m").startswith(f"{pinned}+")


def test_nothing_that_runs_at_night_imports_the_package() -> None:
    named = [
        file.name for file in (ROOT / "orchestration").rglob("*.py")
        if "genai_prices" in file.read_text(encoding="utf-8")
    ]  # fmt: skip
    assert named == []


def test_no_two_listed_prices_overlap() -> None:
    assert len(read_prices(PRICES / "list_prices.csv", "release")) > 3_000


# History ------------------------------------------------------------------------------------------

RELEASED = date(2026, 12, 1)


def listed(
    price: str, start: str | None = None, end: str | None = None, release: str = "1", **said: str
) -> Any:
    """One row of a list: the same price for every token."""
    amount = Decimal(price).quantize(Decimal(1).scaleb(-24))
    cell = write_prices.Cell(None, None, None, None, *[amount] * 5, Decimal(0).quantize(amount))
    context = [said.get(name, "") for name in CONTEXT]
    days = [date.fromisoformat(day) if day else None for day in (start, end)]
    return write_prices.Price("acme", said.get("model", "m"), *context, *days, cell, release)


def timeline(rows: Sequence[Any], **said: str) -> list[tuple[str | None, str | None, str, str]]:
    context = tuple(said.get(name, "") for name in CONTEXT)
    return [
        (
            row.valid_from and row.valid_from.isoformat(), row.valid_to and row.valid_to.isoformat(),
            f"{row.cell.input.normalize():f}", row.release,
        )
        for row in rows
        if row.context == context
    ]  # fmt: skip


def test_a_bare_edit_of_a_price_starts_with_its_release() -> None:
    found = write_prices.refreshed([listed("0.1")], [listed("0.2", release="2")], RELEASED)
    assert timeline(found) == [(None, "2026-12-01", "0.1", "1"), ("2026-12-01", None, "0.2", "2")]


def test_a_change_that_the_release_dates_starts_at_its_date() -> None:
    new = [listed("0.1", end="2026-10-15", release="2"), listed("0.3", "2026-10-15", release="2")]
    found = write_prices.refreshed([listed("0.1")], new, RELEASED)
    assert timeline(found) == [(None, "2026-10-15", "0.1", "1"), ("2026-10-15", None, "0.3", "2")]


def test_an_edit_of_a_dated_price_that_was_known_starts_with_its_release() -> None:
    old = [listed("0.1", end="2026-10-15"), listed("0.3", "2026-10-15")]
    new = [listed("0.1", end="2026-10-15", release="2"), listed("0.4", "2026-10-15", release="2")]
    assert timeline(write_prices.refreshed(old, new, RELEASED)) == [
        (None, "2026-10-15", "0.1", "1"),
        ("2026-10-15", "2026-12-01", "0.3", "1"),
        ("2026-12-01", None, "0.4", "2"),
    ]


def test_a_future_price_that_is_withdrawn_does_not_come() -> None:
    old = [listed("0.1", end="2027-01-01"), listed("0.3", "2027-01-01")]
    found = write_prices.refreshed(old, [listed("0.1", release="2")], RELEASED)
    assert timeline(found) == [(None, None, "0.1", "1")]


def test_a_new_variant_starts_with_its_release_and_costs_the_standard_price_before() -> None:
    new = [listed("0.1", release="2"), listed("0.05", processing="batch", release="2")]
    found = write_prices.refreshed([listed("0.1")], new, RELEASED)
    assert timeline(found) == [(None, None, "0.1", "1")]
    assert timeline(found, processing="batch") == [
        (None, "2026-12-01", "0.1", "1"),
        ("2026-12-01", None, "0.05", "2"),
    ]


def test_a_variant_that_is_dropped_costs_the_standard_price_from_the_release() -> None:
    old = [listed("0.1"), listed("0.05", processing="batch")]
    found = write_prices.refreshed(old, [listed("0.1", release="2")], RELEASED)
    assert timeline(found, processing="batch") == [
        (None, "2026-12-01", "0.05", "1"),
        ("2026-12-01", None, "0.1", "2"),
    ]


def test_a_model_that_a_release_drops_keeps_its_price_and_a_new_one_has_its_own() -> None:
    new = [listed("0.7", model="n", release="2")]
    assert write_prices.refreshed([listed("0.1")], new, RELEASED) == [listed("0.1"), *new]


def test_a_release_taken_twice_changes_nothing() -> None:
    old = [listed("0.1"), listed("0.05", processing="batch")]
    new = [listed("0.2", release="2"), listed("0.1", service_tier="priority", release="2")]
    once = write_prices.refreshed(old, new, RELEASED)
    assert write_prices.refreshed(once, new, RELEASED) == once


def test_names_of_a_model_that_a_release_drops_are_still_found() -> None:
    def clause(model: str, position: int) -> Any:
        return write_prices.Clause("model", "acme", position, 0, 1, "equals", model, "acme", model)

    found = write_prices.refreshed_clauses([clause("m", 0), clause("n", 1)], [clause("n", 0)])
    assert found == [clause("n", 0), clause("m", write_prices.RETIRED)]
    assert write_prices.refreshed_clauses(found, [clause("n", 0)]) == found


# Overrides ----------------------------------------------------------------------------------------


def with_overrides(folder: Path, *rows: str) -> Path:
    """A folder of seeds whose price_overrides.csv has these rows."""
    for file in PRICES.glob("*.csv"):
        (folder / file.name).write_bytes(file.read_bytes())
    header = (PRICES / "price_overrides.csv").read_text(encoding="utf-8").splitlines()[0]
    (folder / "price_overrides.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return folder


CONTRACT = "openai,gpt-5,,,,2026-11-01,2026-11-11,,,,,0.000001,0,0,0,0.000002,,contract 7"
PRIVATE = "globex,globex-inhouse-7b,,,,,,,,,,0.00000012,0,0,0,0.0000005,,own hardware"


def test_an_override_wins_over_the_list_while_it_holds(pricing_sql: str, tmp_path: Path) -> None:
    folder = with_overrides(tmp_path, CONTRACT.replace("openai,gpt-5", "OpenAI,GPT-5"))
    days = [
        datetime(2026, 10, 31),
        datetime(2026, 11, 1),
        datetime(2026, 11, 10),
        datetime(2026, 11, 11),
    ]
    asked = [request("openai", "gpt-5-2025-08-07", day, (1_000_000, 0, 0, 0, 0)) for day in days]
    dear, cheap = Decimal("1.25"), Decimal(1)
    assert priced(pricing_sql, asked, folder) == [dear, cheap, cheap, dear]
    # Another context of the model keeps the list's price.
    batch = [{**each, "processing": "batch"} for each in asked]
    assert priced(pricing_sql, batch, folder) == priced(pricing_sql, batch)


def test_an_override_of_a_tier_that_the_list_does_not_know_leaves_other_days_alone(
    pricing_sql: str, tmp_path: Path
) -> None:
    folder = with_overrides(tmp_path, CONTRACT.replace("gpt-5,,,,", "gpt-5,,reserved,,"))
    asked = [
        request(
            "openai", "gpt-5", datetime(2026, 11, day), (1_000_000, 0, 0, 0, 0), service_tier=tier
        )
        for day, tier in ((10, "reserved"), (11, "reserved"), (10, ""))
    ]
    assert priced(pricing_sql, asked, folder) == [1, Decimal("1.25"), Decimal("1.25")]


def test_a_private_model_is_priced_by_its_name(pricing_sql: str, tmp_path: Path) -> None:
    asked = [
        request("globex", "globex-inhouse-7b", tokens=(1_000_000, 0, 0, 0, 0)),
        request("Globex", "Globex-Inhouse-7B", tokens=(1_000_000, 0, 0, 0, 0)),
        request(None, "globex-inhouse-7b", tokens=(1_000_000, 0, 0, 0, 0)),
        request("globex", "globex-inhouse-7b-next", tokens=(1_000_000, 0, 0, 0, 0)),
    ]
    price = Decimal("0.12")
    assert priced(pricing_sql, asked, with_overrides(tmp_path, PRIVATE)) == [price] * 3 + [None]
    assert priced(pricing_sql, asked) == [None] * 4


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (",gpt-5,,,,,,,,,,0.1,0,0,0,0.1,,x", "Row 2 of price_overrides.csv: provider_id is empty; fill it in."),
        (PRIVATE.replace("own hardware", ""), "Row 2 of price_overrides.csv: source is empty; fill it in."),
        (CONTRACT.replace("2026-11-01", "1 Nov"), "Row 2 of price_overrides.csv: valid_from is '1 Nov'; write a date such as 2026-03-01, or nothing."),
        (CONTRACT.replace("2026-11-11", "2026-11-01"), "Row 2 of price_overrides.csv: valid_from 2026-11-01 is not before valid_to 2026-11-01; mend the range."),
        (CONTRACT.replace("0.000001", "1.25"), "Row 2 of price_overrides.csv: input is 1.25 USD per token; write one from 0 to below 1, not per million."),
        (CONTRACT.replace("0.000001", "-0.1"), "Row 2 of price_overrides.csv: input is -0.1 USD per token; write one from 0 to below 1, not per million."),
        (CONTRACT.replace("0.000001", "NaN"), "Row 2 of price_overrides.csv: input is NaN USD per token; write one from 0 to below 1, not per million."),
        (CONTRACT.replace("0.000001", ""), "Row 2 of price_overrides.csv: input is ''; write USD per token, such as 0.000003."),
        (CONTRACT.replace("0.000001", "1e-30"), "Row 2 of price_overrides.csv: input has more than 24 decimals; round it."),
        (CONTRACT + ",more", "Row 2 of price_overrides.csv has not as many cells as the first line: add or remove commas."),
        (CONTRACT + "\n" + CONTRACT.replace("openai,gpt-5", "openai,GPT-5"), "Row 3 of price_overrides.csv overlaps row 2: both price openai/GPT-5 for the same requests; end one where the other begins."),
    ],
)  # fmt: skip
def test_a_bad_override_is_refused_in_a_sentence(tmp_path: Path, row: str, sentence: str) -> None:
    with pytest.raises(PriceError) as refused:
        price_tables(with_overrides(tmp_path, row))
    assert str(refused.value) == sentence


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = with_overrides(tmp_path)
    (folder / "price_overrides.csv").write_text("provider_id,model_id\n", encoding="utf-8")
    with pytest.raises(PriceError, match=r"price_overrides\.csv has no column processing"):
        price_tables(folder)


def test_neighbouring_overrides_do_not_overlap(tmp_path: Path) -> None:
    later = CONTRACT.replace("2026-11-11", "").replace("2026-11-01", "2026-11-11")
    price_tables(with_overrides(tmp_path, CONTRACT, later))


def test_the_cache_write_setting_is_checked_and_named_in_the_price_version() -> None:
    assert Settings.read(environment={}).cache_write_ttl == "5m"
    assert Settings.read(environment={"WAREHOUSE_CACHE_WRITE_TTL": "1h"}).cache_write_ttl == "1h"
    with pytest.raises(SettingsError, match="WAREHOUSE_CACHE_WRITE_TTL is '2h'"):
        Settings.read(environment={"WAREHOUSE_CACHE_WRITE_TTL": "2h"})
    assert price_version("1h") == price_version("5m").removesuffix("5m") + "1h"


# Nights -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_night_names_its_prices_and_says_what_has_none(sample: Warehouse) -> None:
    manifest = json.loads((sample.exports / "latest" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["price_version"] == price_version("5m")
    assert sample.query("select price_version from quality.night") == [(price_version("5m"),)]
    assert sample.query(
        "select client, provider, model, request_count, input_tokens, output_tokens "
        "from quality.unpriced_models"
    ) == [("platform", "globex", "globex-inhouse-7b", 1, 1500, 300)]


@pytest.mark.slow
def test_another_duration_of_cache_writes_prices_all_of_history_again(
    sample: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = Warehouse.below(tmp_path, sample.landing)
    shutil.copytree(sample.home, warehouse.home)
    shutil.copytree(sample.exports, warehouse.exports, symlinks=True)
    monkeypatch.setenv("WAREHOUSE_CACHE_WRITE_TTL", "1h")
    answer = warehouse.night()
    assert answer.code == 0, answer.error
    assert "1 requests have no known price (platform: globex globex-inhouse-7b)" in answer.output
    assert warehouse.query("select price_version from quality.night") == [(price_version("1h"),)]
    totals = (
        "select client, sum(estimated_cost_usd), sum(cache_write_5m_tokens), "
        "sum(cache_write_1h_tokens) from intermediate.int_llm_requests_combined "
        "where estimated_cost_usd is not null group by client order by client"
    )
    (client, before, moved, none), platform = sample.query(totals)
    assert client == "claude_code"
    assert none == 0
    (_, after, left, there), same_platform = warehouse.query(totals)
    assert (left, there) == (0, moved)
    assert after > before
    assert same_platform == platform
