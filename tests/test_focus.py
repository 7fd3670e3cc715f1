"""The FOCUS export, held against the rules of the specification, version 1.2, for its columns."""

import csv
import re
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.conftest import Warehouse, call

# Feature level Mandatory, and whether the column allows nulls.
MANDATORY = {
    "BilledCost": False, "BillingAccountId": False, "BillingAccountName": True,
    "BillingCurrency": False, "BillingPeriodEnd": False, "BillingPeriodStart": False,
    "ChargeCategory": False, "ChargeClass": True, "ChargeDescription": True,
    "ChargePeriodEnd": False, "ChargePeriodStart": False, "ContractedCost": False,
    "EffectiveCost": False, "InvoiceIssuerName": False, "ListCost": False,
    "PricingQuantity": True, "PricingUnit": True, "ProviderName": False, "PublisherName": False,
    "ServiceCategory": False, "ServiceName": False,
}  # fmt: skip
# Conditional and Recommended columns that are shown.
OTHERS = {
    "BillingAccountType": False, "ChargeFrequency": False, "ConsumedQuantity": True,
    "ConsumedUnit": True, "PricingCategory": True, "PricingCurrency": False,
    "PricingCurrencyEffectiveCost": False, "ServiceSubcategory": False, "SubAccountId": True,
    "SubAccountName": True, "SubAccountType": True,
}  # fmt: skip
ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"", "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"", "Standard", "Dynamic", "Committed", "Other"},
    "ServiceCategory": {"AI and Machine Learning"},
    "ServiceSubcategory": {"Generative AI", "Other (AI and Machine Learning)"},
    # A national currency is three letters; a virtual one is any text.
    "BillingCurrency": {"USD"},
    "PricingCurrency": {"USD", "Credits"},
}
COSTS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")
NUMBERS = (*COSTS, "PricingQuantity", "ConsumedQuantity", "PricingCurrencyEffectiveCost")
TIMES = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def broken_rules(row: dict[str, str]) -> list[str]:
    """The rules that a row breaks; an empty cell is a null."""
    is_correction = row["ChargeClass"] == "Correction"
    is_usage = row["ChargeCategory"] == "Usage"
    rules = {
        f"{name} must not be null": bool(row[name])
        for name, is_nullable in (MANDATORY | OTHERS).items()
        if not is_nullable
    }
    rules |= {f"{name} is not allowed": row[name] in allowed for name, allowed in ALLOWED.items()}
    rules |= {
        f"{name} is no number": not row[name] or bool(NUMBER.fullmatch(row[name]))
        for name in NUMBERS
    }
    rules |= {f"{name} is no instant": bool(TIME.fullmatch(row[name])) for name in TIMES}
    for quantity in ("PricingQuantity", "PricingCategory", "ConsumedQuantity"):
        rules[f"{quantity} of usage"] = bool(row[quantity]) or not is_usage or is_correction
    rules |= {
        "ConsumedQuantity of what is no usage": is_usage or not row["ConsumedQuantity"],
        "a unit without quantity": bool(row["ConsumedUnit"]) == bool(row["ConsumedQuantity"]),
        "a pricing unit without quantity": bool(row["PricingUnit"]) == bool(row["PricingQuantity"]),
        "a sub account has name and type": bool(row["SubAccountId"])
        == bool(row["SubAccountName"])
        == bool(row["SubAccountType"]),
        "costs of no usage match the billed cost": is_usage
        or len({row[name] for name in COSTS}) == 1,
        "usage of a purchase": row["ChargeFrequency"] != "Usage-Based"
        or row["ChargeCategory"] != "Purchase",
        "a charge period is within its billing period": row["BillingPeriodStart"]
        <= row["ChargePeriodStart"]
        < row["ChargePeriodEnd"]
        <= row["BillingPeriodEnd"],
        "the cost in the pricing currency": row["PricingCurrency"] != row["BillingCurrency"]
        or row["PricingCurrencyEffectiveCost"] == row["EffectiveCost"],
    }
    return [rule for rule, holds in rules.items() if not holds]


@pytest.fixture(scope="module")
def rows(sample: Warehouse) -> list[dict[str, str]]:
    file = sample.exports / "latest" / "focus_cost_and_usage" / "last_12_months.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_row_keeps_the_rules(rows: list[dict[str, str]]) -> None:
    assert rows
    assert [(broken, row) for row in rows if (broken := broken_rules(row))] == []


def test_the_rules_find_what_breaks_them(rows: list[dict[str, str]]) -> None:
    changes = [
        ("BillingCurrency", "credits"), ("ListCost", ""), ("ChargeClass", "Refund"),
        ("ChargePeriodStart", "2026-03-01 00:00:00"), ("ConsumedUnit", ""), ("BilledCost", "1e+5"),
    ]  # fmt: skip
    usage = next(row for row in rows if row["ChargeCategory"] == "Usage" and not row["ChargeClass"])
    assert all(broken_rules({**usage, name: value}) for name, value in changes)


def test_columns_are_those_of_the_specification_or_marked_as_own(
    rows: list[dict[str, str]],
) -> None:
    columns = set(rows[0])
    assert MANDATORY.keys() <= columns
    assert {name for name in columns if not name.startswith("x_")} == {*MANDATORY, *OTHERS}


def test_credits_and_cost_are_those_of_the_facts(
    sample: Warehouse, rows: list[dict[str, str]]
) -> None:
    window = (
        "(select window_start_at from intermediate.int_windows "
        "where page = 'billing' and timeframe = 'last_12_months')"
    )
    ((credits,),) = sample.query(
        "select sum(credits) from intermediate.int_credit_lines_attributed "
        f"where is_consumption and occurred_at >= {window} and occurred_at < timestamp '2026-03-15'"
    )
    ((cost,),) = sample.query(
        "select sum(estimated_cost_usd) from intermediate.int_llm_requests_attributed "
        f"where counted_at >= {window} and counted_at < timestamp '2026-03-15'"
    )
    in_credits = [row for row in rows if row["PricingCurrency"] == "Credits"]
    assert sum(Decimal(row["PricingCurrencyEffectiveCost"]) for row in in_credits) == credits
    assert sum(Decimal(row["EffectiveCost"]) for row in rows) == cost


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_organisation_is_exported_for_any_timeframe(
    sample: Warehouse, rows: list[dict[str, str]], tmp_path: Path, form: str
) -> None:
    file = tmp_path / f"focus.{form}"
    wanted = next(row["SubAccountId"] for row in rows if row["SubAccountId"])
    answer = call(
        "export", "focus_cost_and_usage", "--timeframe", "last_6_months", "--organisation", wanted,
        "--format", form, "--output", str(file), "--home", str(sample.home),
    )  # fmt: skip
    assert answer.code == 0, answer.error
    relation = duckdb.sql(f"from '{file}'")
    assert MANDATORY.keys() <= set(relation.columns)
    assert {row[0] for row in relation.select("SubAccountId").fetchall()} == {wanted}
