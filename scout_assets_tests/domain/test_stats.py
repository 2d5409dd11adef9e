"""What is measured about a source. The worlds are folded as the warehouse folds them."""

import math
import random
import statistics
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_assets.domain import stats
from scout_assets.domain.history import Capture, fold_offers, fold_rows
from scout_assets.domain.tables import STATS

START = datetime(2026, 9, 7, tzinfo=UTC)
SOURCE = "hillside"
# A law is about values; how long one example takes says more about the machine.
law = settings(deadline=None)


def at(week):
    return START + timedelta(weeks=week)


def parent(parent_id="p", is_coffee=True, **facts):
    columns = [name for names in stats.PARENT_COVERAGE.values() for name in names]
    empty = dict.fromkeys(columns)
    row = {**empty, "parent_id": parent_id, "is_coffee": is_coffee, "subscription": False}
    return {**row, "varieties": [], "tasting_notes": [], **facts}


def product(product_id, parent_id="p", **facts):
    empty = dict.fromkeys(["net_weight_g", "grind", "sku", "gtin"])
    return {**empty, "product_id": product_id, "parent_id": parent_id, **facts}


def offer(product_id, price, currency="EUR", available=True, unit_price=None):
    return {
        "product_id": product_id,
        "price": None if price is None else Decimal(str(price)),
        "price_raw": None if price is None else str(price),
        "compare_at_price": None,
        "currency": currency,
        "available": available,
        "unit_price_100g": None if unit_price is None else Decimal(str(unit_price)),
    }


def fold(*captures):
    """Tables after captures, each a triple of parents, products and offers."""
    folded = [
        Capture(
            source=SOURCE,
            snapshot=week,
            snapshot_hash=f"hash {week}",
            captured_at=at(week),
            parents=parents,
            products=products,
            offers=[
                {**row, "snapshot": week, "snapshot_hash": f"hash {week}", "observed_at": at(week)}
                for row in offers
            ],
        )
        for week, (parents, products, offers) in enumerate(captures)
    ]
    return (
        fold_rows([], [(each.captured_at, each.parents) for each in folded], "parent_id"),
        fold_rows([], [(each.captured_at, each.products) for each in folded], "product_id"),
        fold_offers([], folded),
    )


def of_prices(*captures, is_coffee=True):
    """A world of one coffee whose captures map product ids to a price, or to (price, currency)."""

    def rows(prices):
        offers = [
            offer(key, *price) if isinstance(price, tuple) else offer(key, price)
            for key, price in prices.items()
        ]
        return [parent(is_coffee=is_coffee)], [product(key) for key in prices], offers

    return fold(*map(rows, captures))


def measure(world):
    rows = stats.source_stats("roaster", SOURCE, *world)
    return {(row["metric"], row["dimension"]): row["value"] for row in rows}


def index(measured, currency="EUR"):
    """The index by week."""
    found = {}
    for (metric, dimension), value in measured.items():
        if metric == "price_index" and dimension.startswith(currency):
            moment = stats.parse_currency_at(dimension)[1]
            found[(moment - START) // timedelta(weeks=1)] = value
    return found


# Counts


def test_counts_what_is_listed_and_what_is_gone():
    coffee, mug = parent("coffee", subscription=True), parent("mug", is_coffee=False)
    bag, tin, cup = product("bag", "coffee"), product("tin", "coffee"), product("cup", "mug")
    measured = measure(
        fold(
            ([coffee, mug], [bag, tin, cup], [offer("bag", 9), offer("tin", 8), offer("cup", 7)]),
            ([coffee], [bag, tin], [offer("bag", 9), offer("tin", 8, available=False)]),
        )
    )
    expected = {
        "parents_listed": 1,
        "parents_gone": 1,
        "coffees": 1,
        "subscriptions": 1,
        "products_listed": 2,
        "products_gone": 1,
        "products_available": 1,
    }
    assert {metric: measured[metric, ""] for metric in expected} == expected


def test_a_source_without_rows_counts_nothing_and_measures_nothing():
    measured = measure(([], [], []))
    assert set(measured.values()) == {0.0}
    assert {dimension for _, dimension in measured} == {""}


def test_a_source_where_all_is_gone_keeps_its_past_and_has_no_present():
    shelf = [parent()], [product("a"), product("b")], [offer("a", 10), offer("b", 20)]
    measured = measure(fold(shelf, ([], [], [])))
    assert (measured["products_listed", ""], measured["products_gone", ""]) == (0, 2)
    assert (measured["coffees", ""], measured["products_available", ""]) == (0, 0)
    assert not [key for key in measured if key[0] == "coverage" or key[0].endswith("_median")]
    assert measured["change_gone", stats.capture_key(at(1))] == 2
    assert index(measured) == {0: 100.0}


# Coverage


@pytest.mark.parametrize(
    ("field", "facts", "share"),
    [
        ("roast_level", {"roast_level": "dark"}, 1),
        ("roast_level", {}, 0),
        ("decaf", {"decaf": False}, 1),
        ("varieties", {"varieties": ["Bourbon"]}, 1),
        ("varieties", {"varieties": []}, 0),
        ("estate", {"estate": ""}, 0),
        ("altitude", {"altitude_min_m": 1200}, 1),
        ("altitude", {"altitude_max_m": 1800}, 1),
        ("altitude", {}, 0),
        ("crop_year", {"crop_year": 2026}, 1),
    ],
)
def test_a_field_covers_a_coffee_that_holds_a_value(field, facts, share):
    assert measure(fold(([parent(**facts)], [], [])))["coverage", field] == share


def test_coverage_is_of_listed_coffees_and_their_listed_products():
    known, unknown = parent("known", process="washed"), parent("unknown")
    mug = parent("mug", is_coffee=False)
    bag = product("bag", "known", net_weight_g=250.0, sku="B1")
    box, cup = product("box", "unknown", sku=""), product("cup", "mug", gtin="95200002")
    bag_and_box = [offer("bag", 9), offer("box", None, currency=None)]
    measured = measure(fold(([known, unknown, mug], [bag, box, cup], bag_and_box)))
    expected = {"process": 0.5, "net_weight_g": 0.5, "sku": 0.5, "gtin": 0, "grind": 0}
    expected |= {"price": 0.5, "currency": 0.5}
    assert {field: measured["coverage", field] for field in expected} == expected


def test_without_coffee_there_is_no_coverage_rather_than_none_covered():
    measured = measure(fold(([parent(is_coffee=False)], [product("cup")], [offer("cup", 9)])))
    assert not [key for key in measured if key[0] == "coverage"]


# Prices


def test_prices_of_current_offers_of_coffee_per_currency():
    mug = parent("mug", is_coffee=False)
    products = [product(key) for key in "abcde"] + [product("cup", "mug")]
    offers = [
        offer("a", "10.00", unit_price="4.00"),
        offer("b", "20.00", unit_price="3.00"),
        offer("c", "40.00"),
        offer("d", "900", "JPY", unit_price="450"),
        offer("e", None),
        offer("cup", "1.00", unit_price="0.10"),
    ]
    measured = measure(fold(([parent(), mug], products, offers)))
    prices = {"count": 3, "min": 10, "p25": 15, "median": 20, "p75": 30, "max": 40}
    prices["mean"] = pytest.approx(70 / 3)
    assert {name: measured[f"price_{name}", "EUR"] for name in prices} == prices
    assert measured["unit_price_100g_count", "EUR"] == 2
    assert measured["unit_price_100g_median", "EUR"] == 3.5
    assert measured["price_median", "JPY"] == 900


def test_the_offer_in_force_is_the_products_last_row():
    measured = measure(of_prices({"a": 10, "b": 30}, {"a": 12}))
    assert (measured["price_count", "EUR"], measured["price_median", "EUR"]) == (1, 12)


@pytest.mark.parametrize("price", [None, 0])
def test_what_has_no_price_has_no_distribution_and_no_index(price):
    measured = measure(of_prices({"a": price}, {"a": price}))
    assert not [key for key in measured if key[0].startswith("price")]
    assert measured["products_listed", ""] == 1


def test_a_price_without_currency_counts_as_unknown():
    measured = measure(of_prices({"a": (10, None)}, {"a": (11, None)}))
    assert measured["price_median", "unknown"] == 11
    assert index(measured, "unknown") == {0: 100.0, 1: pytest.approx(110)}


@law
@given(st.lists(st.decimals("0.01", "9999", places=2), min_size=2, max_size=30))
def test_quartiles_are_those_of_the_standard_library(prices):
    measured = measure(of_prices({str(n): price for n, price in enumerate(prices)}))
    expected = statistics.quantiles(map(float, prices), n=4, method="inclusive")
    found = [measured[f"price_{name}", "EUR"] for name in ("p25", "median", "p75")]
    assert found == pytest.approx(expected)


def test_coffee_offers_are_those_the_price_metrics_are_about():
    mug = parent("mug", is_coffee=False)
    first = ([parent(), mug], [product("a"), product("b"), product("cup", "mug")])
    offers = [offer("a", 10), offer("b", 30), offer("cup", 5)]
    world = fold((*first, offers), ([parent()], [product("a")], [offer("a", 12)]))
    assert [(row["product_id"], row["price"]) for row in stats.coffee_offers(*world)] == [("a", 12)]


# Changes


def test_changes_are_counted_per_capture():
    stock = offer("b", 20, available=False)
    measured = measure(
        fold(
            ([parent()], [product("a"), product("b")], [offer("a", 10), offer("b", 20)]),
            ([parent()], [product("a"), product("b")], [offer("a", 11), stock]),
            ([parent()], [product("a")], [offer("a", 11)]),
            ([parent()], [product("a"), product("b")], [offer("a", 11), offer("b", 20)]),
        )
    )
    counted = {
        week: {
            change: measured[f"change_{change}", stats.capture_key(at(week))]
            for change in stats.CHANGES
        }
        for week in range(4)
    }
    nothing = dict.fromkeys(stats.CHANGES, 0)
    assert counted == {
        0: nothing | {"new": 2},
        1: nothing | {"price": 1, "availability": 1},
        2: nothing | {"gone": 1},
        3: nothing | {"back": 1},
    }


def test_a_capture_that_only_changed_a_page_counts_as_a_capture():
    pages = [parent(process=None)], [parent(process="washed")]
    measured = measure(fold(*((page, [product("a")], [offer("a", 10)]) for page in pages)))
    captures = {dimension for metric, dimension in measured if metric == "change_new"}
    assert captures == {stats.capture_key(at(0)), stats.capture_key(at(1))}


# The index


def test_the_index_chains_geometric_means_of_price_relatives():
    measured = measure(of_prices({"a": 10, "b": 20}, {"a": 11, "b": 20}, {"a": 11, "b": 10}))
    first = 100 * math.sqrt(11 / 10)
    assert index(measured) == pytest.approx({0: 100, 1: first, 2: first * math.sqrt(1 / 2)})


def test_what_comes_or_goes_does_not_move_the_index():
    measured = measure(of_prices({"a": 10, "b": 99}, {"a": 10, "c": 1}, {"a": 20, "c": 2}))
    assert index(measured) == pytest.approx({0: 100, 1: 100, 2: 200})


def test_the_index_says_how_many_products_it_moved_by():
    captures = {"a": 10, "b": 99}, {"a": 11, "c": 1}, {"a": 12, "c": 1}
    measured = measure(of_prices(*captures))
    matched = [measured["price_index_matched", stats.currency_at("EUR", at(w))] for w in range(3)]
    assert matched == [0, 1, 2]


def test_a_link_without_a_matched_product_leaves_the_index_where_it_is():
    measured = measure(of_prices({"a": 10}, {"a": 20}, {}, {"a": 50}, {"a": 100}))
    assert index(measured) == pytest.approx({0: 100, 1: 200, 3: 200, 4: 400})


def test_a_product_that_changes_currency_is_matched_in_neither():
    captures = {"a": 10, "b": 10}, {"a": (11, "USD"), "b": 12}, {"a": (22, "USD"), "b": 12}
    measured = measure(of_prices(*captures))
    assert index(measured) == pytest.approx({0: 100, 1: 120, 2: 120})
    assert index(measured, "USD") == pytest.approx({1: 100, 2: 200})


def test_only_coffee_is_in_the_index():
    assert not index(measure(of_prices({"a": 10}, {"a": 20}, is_coffee=False)))


# Laws

PRICES = st.one_of(st.none(), st.decimals("0.05", "500", places=2))
CURRENCIES = st.sampled_from(["EUR", "USD", None])
SHELVES = st.dictionaries(st.sampled_from("abcdef"), st.tuples(PRICES, CURRENCIES, st.booleans()))
HISTORIES = st.lists(SHELVES, max_size=6)


def naive_index(captures, currency):
    """Every pair of adjacent captures compared product by product."""
    level, found, started = 100.0, {}, False
    for week, (before, now) in enumerate(pairwise([{}, *captures])):
        held = [
            {key: float(row[0]) for key, row in shelf.items() if row[0] and row[1] == currency}
            for shelf in (before, now)
        ]
        relatives = [held[1][key] / held[0][key] for key in held[0].keys() & held[1].keys()]
        if relatives:
            level *= statistics.geometric_mean(relatives)
        started = started or bool(held[1])
        if started and held[1]:
            found[week] = level
    return found


@law
@given(HISTORIES)
def test_the_index_is_that_of_a_full_comparison(captures):
    measured = measure(of_prices(*captures))
    for currency in ("EUR", "USD"):
        found, expected = index(measured, currency), naive_index(captures, currency)
        # A capture that changed nothing has no rows.
        assert found == pytest.approx({week: expected[week] for week in found})
        assert set(found) <= set(expected)
        assert bool(found) == bool(expected)


@law
@given(HISTORIES, st.sampled_from(["0.5", "3", "100"]))
def test_the_index_does_not_depend_on_the_unit_of_money(captures, factor):
    def scaled(shelf):
        return {key: (p and p * Decimal(factor), c, a) for key, (p, c, a) in shelf.items()}

    before, after = measure(of_prices(*captures)), measure(of_prices(*map(scaled, captures)))
    assert index(after) == pytest.approx(index(before))


@law
@given(SHELVES, st.lists(st.sets(st.sampled_from("abcdef")), min_size=1, max_size=5))
def test_without_a_price_change_the_index_is_100(shelf, listings):
    captures = [{key: shelf[key] for key in listed & shelf.keys()} for listed in listings]
    measured = measure(of_prices(*captures))
    assert {value for (metric, _), value in measured.items() if metric == "price_index"} <= {100.0}


@law
@given(st.lists(st.fixed_dictionaries(dict.fromkeys("abc", st.decimals("1", "99", places=2)))))
def test_over_a_constant_range_the_chain_equals_the_direct_comparison(captures):
    found = index(measure(of_prices(*captures)))
    assert bool(found) == bool(captures)
    for week, value in found.items():
        relatives = [float(captures[week][key] / captures[0][key]) for key in "abc"]
        assert value == pytest.approx(100 * statistics.geometric_mean(relatives))


@law
@given(HISTORIES)
def test_counts_conserve(captures):
    parents, products, offers = of_prices(*captures)
    measured = measure((parents, products, offers))
    assert measured["parents_listed", ""] + measured["parents_gone", ""] == len(parents)
    assert measured["products_listed", ""] + measured["products_gone", ""] == len(products)
    assert measured["products_available", ""] <= measured["products_listed", ""]
    total = Counter()
    for (metric, _), value in measured.items():
        total[metric] += value
    for change in stats.CHANGES:
        assert total[f"change_{change}"] == sum(row["change"] == change for row in offers)
    came, went = total["change_new"] + total["change_back"], total["change_gone"]
    assert came - went == measured["products_listed", ""]


@law
@given(HISTORIES, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(captures, shuffler: random.Random):
    world = of_prices(*captures)
    shuffled = tuple(shuffler.sample(table, len(table)) for table in world)
    rows = [stats.source_stats("roaster", SOURCE, *each) for each in (world, shuffled)]
    assert rows[0] == rows[1]


@law
@given(HISTORIES)
def test_rows_fit_their_table_and_its_key(captures):
    rows = stats.source_stats("roaster", SOURCE, *of_prices(*captures))
    assert STATS.arrow(rows).num_rows == len(rows)
    assert len({tuple(row[name] for name in STATS.key) for row in rows}) == len(rows)
    assert all(math.isfinite(row["value"]) for row in rows)
    assert all(0 <= row["value"] <= 1 for row in rows if row["metric"] == "coverage")


# Dimensions


@pytest.mark.parametrize(("currency", "read"), [("EUR", "EUR"), (None, "unknown")])
def test_currency_and_capture_make_one_dimension_and_come_apart_again(currency, read):
    dimension = stats.currency_at(currency, START)
    assert dimension == f"{read} 2026-09-07T00:00:00+00:00"
    assert stats.parse_currency_at(dimension) == (read, START)


def test_a_capture_has_one_key_whatever_the_time_zone_of_its_reader():
    tokyo = START.astimezone(timezone(timedelta(hours=9)))
    assert stats.capture_key(tokyo) == stats.capture_key(START)


def test_a_dimension_of_another_form_is_refused():
    with pytest.raises(ValueError, match="isoformat"):
        stats.parse_currency_at("EUR")
