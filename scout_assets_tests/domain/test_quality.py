"""The rules behind the asset checks."""

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa

from scout_assets.domain import quality
from scout_assets.domain.tables import OFFERS

EARLIER, LAST = datetime(2026, 8, 3, tzinfo=UTC), datetime(2026, 9, 7, tzinfo=UTC)


def product(number: int, first=EARLIER, gone=None) -> dict:
    return {
        "source": "s",
        "product_id": f"s/{number}",
        "parent_id": "s/p",
        "first_seen_at": first,
        "gone_at": gone,
    }


def priced(price: str | None, unit: str | None, source: str = "s") -> dict:
    return {
        "source": source,
        "product_id": "s/1",
        "currency": "EUR",
        "price": None if price is None else Decimal(price),
        "unit_price_100g": None if unit is None else Decimal(unit),
    }


def moved(delta: float | None, when=LAST) -> dict:
    return {
        "source": "s",
        "title": "Guji",
        "variant": "250 g",
        "previous_price": Decimal(10),
        "price": Decimal(11),
        "currency": "EUR",
        "delta_pct": delta,
        "valid_from": when,
    }


def test_the_registry_fits_itself_and_other_columns_are_named():
    assert quality.wrong_columns(OFFERS.schema, OFFERS) == []
    changed = OFFERS.schema.remove(0).append(pa.field("extra", pa.int64()))
    assert [finding["column"] for finding in quality.wrong_columns(changed, OFFERS)] == [
        "extra",
        "kind",
    ]


def test_a_product_without_its_parent_is_an_orphan():
    assert quality.orphans([product(1)], [{"parent_id": "s/p"}]) == []
    (finding,) = quality.orphans([product(1)], [{"parent_id": "s/other"}])
    assert finding["product_id"] == "s/1"


def test_a_source_that_loses_many_products_at_once_is_found():
    some_gone = [product(n, gone=LAST if n < 3 else None) for n in range(10)]
    assert quality.shrunk(some_gone, {"s": LAST}) == [], "fewer than the floor"
    many_gone = [product(n, gone=LAST if n < 5 else None) for n in range(10)]
    assert quality.shrunk(many_gone, {"s": LAST}) == [
        {"source": "s", "vanished": 5, "listed before": 10}
    ]
    long_ago = [product(n, gone=EARLIER if n < 5 else None) for n in range(10)]
    assert quality.shrunk(long_ago, {"s": LAST}) == [], "only the last capture counts"
    replaced = many_gone + [product(n, first=LAST) for n in range(10, 30)]
    assert quality.shrunk(replaced, {"s": LAST}), "new products do not hide vanished ones"


def test_prices_at_or_below_zero_and_far_outliers_are_implausible():
    usual = [priced("10", "4") for _ in range(9)]
    assert quality.implausible_prices([*usual, priced(None, None)]) == []
    found = quality.implausible_prices([*usual, priced("0", None), priced("10", "400")])
    assert [row["why"] for row in found] == [
        "not above zero",
        "per 100 g 400, the source's median is 4",
    ]
    assert quality.implausible_prices([priced("10", "4"), priced("10", "400")]) == [], "too few"


def test_only_moves_of_the_last_capture_beyond_the_limit_are_told_largest_first():
    history = [moved(5.0), moved(-35.0), moved(50.0), moved(90.0, when=EARLIER), moved(None)]
    found = quality.price_moves(history, {"s": LAST}, {"s": 10.0})
    assert [row["change %"] for row in found] == [50.0, -35.0]
    assert found[0]["product"] == "Guji / 250 g"
