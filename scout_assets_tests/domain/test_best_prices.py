"""Best prices: the least of the comparable ones."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from scout_assets.domain.best_prices import Good, Quote, best_prices, unit_price
from scout_assets.domain.money import Rates

TODAY = date(2026, 11, 22)
RATES = Rates({("EUR", "NOK"): [(date(2026, 11, 1), Decimal(10))]})
BAG = Good("roaster", "berg", "berg/1", "Kiambu 250 g", 250.0)


def quote(price, source="acme", item="acme/1", **fields):
    fields = {"currency": "EUR", **fields}
    return Quote("berg/1", source, item, Decimal(price), **fields)


def best(*quotes, good=BAG):
    rows = best_prices([good], quotes, RATES, TODAY)
    return rows[0] if rows else None


def test_the_lowest_price_wins_and_says_whose_it_is():
    row = best(quote("12", "berg", None), quote("9"), quote("10", "zeta", "zeta/7"))
    assert row["min_price"] == 9
    assert (row["best_source"], row["best_item_id"], row["own_price"]) == ("acme", "acme/1", 12)
    assert (row["sources_count"], row["quotes"], row["not_comparable"]) == (3, 3, 0)


@pytest.mark.parametrize(
    ("basis", "pack", "unit"),
    [
        ("case", 6, "9"),
        ("pack", 12, "4.5"),
        (None, 6, "9"),
        (None, None, "54"),
        ("bottle", 6, "54"),
        ("unit", 6, "54"),
        ("retail", 6, "54"),
        ("kg", 6, "13.5"),
        ("litre", 6, "40.5"),
        ("case", None, None),
        ("pallet", 6, None),
    ],
)
def test_what_one_unit_costs(basis, pack, unit):
    found = unit_price(Decimal(54), basis, pack, size_ml=750.0, size_g=250.0)
    assert found == (None if unit is None else Decimal(unit))


def test_a_price_by_weight_needs_a_weight():
    assert unit_price(Decimal(20), "lb", None, size_g=453.59237) == 20
    assert unit_price(Decimal(20), "kg", None, size_ml=750.0) is None


def test_what_cannot_be_brought_to_one_unit_is_counted_and_left_out():
    row = best(quote("12", "berg", None), replace(quote("1"), price=None))
    assert (row["min_price"], row["not_comparable"]) == (12, 1)


def test_another_size_is_no_price_for_this_product():
    row = best(quote("12", "berg", None), quote("5", size=125.0), quote("11", size=250.4))
    assert (row["min_price"], row["not_comparable"]) == (11, 1)


def test_prices_are_compared_in_the_products_own_currency_at_a_dated_rate():
    row = best(quote("120", "berg", None, currency="NOK"), quote("9"))
    assert (row["currency"], row["min_price"], row["own_price"]) == ("NOK", 90, 120)
    assert row["rate_date"] == date(2026, 11, 1)


def test_without_a_rate_a_price_is_counted_and_left_out():
    row = best(quote("12", "berg", None), quote("1", currency="JPY"))
    assert (row["min_price"], row["not_comparable"], row["rate_date"]) == (12, 1, None)


def test_what_can_be_bought_comes_before_what_is_cheaper():
    row = best(quote("12", "berg", None, available=True), quote("9", available=False))
    assert (row["min_price"], row["available"]) == (12, True)
    assert best(quote("9", available=False))["available"] is False


def test_order_changes_nothing():
    quotes = [quote("9", "b", "b/1"), quote("9", "a", "a/1"), quote("9", "a", "a/0")]
    assert best(*quotes) == best(*reversed(quotes))
    assert best(*quotes)["best_item_id"] == "a/0"


def test_a_product_nobody_prices_has_no_row():
    assert best() is None
    assert best(quote("5", size=1.0)) is None
