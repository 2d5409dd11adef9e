"""From pages to rows: what fits lands, what does not is quarantined, nothing stops the rest."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.capture import RawSnapshot, read_capture
from scout_assets.domain.history import Capture, fold_offers, fold_rows
from scout_assets.domain.sources import Source
from scout_assets.domain.tables import OFFERS, PARENTS, PRODUCTS, QUARANTINE
from scout_assets_tests.stores import shopify_page, shopify_product, shopify_variant

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BERG = Source.read({"key": "berg", "platform": "shopify", "location": "x"}, "test")


def captured(*products: object, meta: object = None) -> Capture:
    pages = [("products", shopify_page(products))]
    if meta is not None:
        pages.append(("meta", orjson.dumps(meta)))
    return read_capture(BERG, RawSnapshot(1, "hash", NOW, pages))


def assert_fits_the_tables(capture: Capture) -> None:
    """Every row must come back from its table as it went in."""
    for table, rows in (
        (PARENTS, fold_rows([], [(NOW, capture.parents)], PARENTS.key[0])),
        (PRODUCTS, fold_rows([], [(NOW, capture.products)], PRODUCTS.key[0])),
        (OFFERS, fold_offers([], [capture])),
        (QUARANTINE, capture.quarantine),
    ):
        assert table.arrow(rows).to_pylist() == rows


@pytest.mark.parametrize(
    "price", ["12.34567", "123456789012345.00", "1e30", "abc", "-5", "NaN", "Infinity"]
)
def test_a_price_no_table_can_hold_is_quarantined_and_the_rest_lands(price: str):
    odd = shopify_product(1, [shopify_variant(11, price), shopify_variant(12)])
    seen = captured(odd, shopify_product(2))
    assert_fits_the_tables(seen)
    assert {row["external_id"] for row in seen.products} >= {"12", "21"}
    assert len(seen.offers) + len(seen.quarantine) == 3


def test_an_unreadable_former_price_does_not_cost_the_offer():
    seen = captured(shopify_product(1, [shopify_variant(11, "9.00", compare_at_price="soon")]))
    assert (str(seen.offers[0]["price"]), seen.offers[0]["compare_at_price"]) == ("9.00", None)
    assert seen.counters["price/compare_at_unreadable"] == 1
    assert not seen.quarantine


def test_an_id_that_stands_under_two_products_is_quarantined_the_second_time():
    seen = captured(
        shopify_product(1, [shopify_variant(5, "1.00")]),
        shopify_product(2, [shopify_variant(5, "2.00")]),
    )
    assert_fits_the_tables(seen)
    assert [str(offer["price"]) for offer in seen.offers] == ["1.00"]
    (refused,) = seen.quarantine
    assert "under product 1 already" in refused["reason"]
    assert orjson.loads(refused["row"])["parent_external_id"] == "2"


def test_currency_is_what_the_store_says_unless_declared():
    assert captured(shopify_product(1), meta={"currency": "NOK"}).offers[0]["currency"] == "NOK"
    assert captured(shopify_product(1)).offers[0]["currency"] is None


@given(
    st.text(max_size=30),
    st.text(max_size=30),
    st.one_of(
        st.text(max_size=30),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),  # JSON has no others
        st.none(),
    ),
    st.text(max_size=80),
)
def test_whatever_a_store_writes_fits_the_tables(title, option, price, body):
    variant = shopify_variant(11, title=option, option1=option, price=price, grams=price)
    seen = captured(shopify_product(1, [variant], title=title, body_html=body))
    assert_fits_the_tables(seen)
    assert len(seen.offers) + len(seen.quarantine) == 1


@given(st.integers(0, 10**30), st.sampled_from(["g", "kg", "x 250 g", "masl", "sachets", "lb"]))
def test_huge_numbers_never_break_a_table(number, unit):
    variant = shopify_variant(11, title=f"{number} {unit}", option1=f"{number} {unit}")
    text = f"<p>Altitude: {number} masl</p><p>Crop: {number}</p>"
    seen = captured(shopify_product(1, [variant], title=f"{number} {unit}", body_html=text))
    assert_fits_the_tables(seen)
    assert len(seen.offers) + len(seen.quarantine) == 1
