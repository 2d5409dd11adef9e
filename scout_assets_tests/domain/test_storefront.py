"""Shop payloads become listings; what cannot be read becomes a reject and the rest goes on."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.failures import BrokenContract
from scout_assets.domain.markup import plain_text
from scout_assets.domain.pages import page_items
from scout_assets.domain.sources import Platform
from scout_assets.domain.storefront import (
    Reading,
    Variant,
    read_shopify,
    read_woocommerce,
)

Row = dict[str, Any]


def shop_variant(number: int = 1, **changes: object) -> Row:
    row = {
        "id": number,
        "title": "250g / Whole Bean",
        "option1": "250g",
        "option2": "Whole Bean",
        "option3": None,
        "sku": "",
        "grams": 300,
        "price": "14.50",
        "compare_at_price": None,
        "available": True,
    }
    return row | changes


def shop_product(number: int = 7, **changes: object) -> Row:
    row = {
        "id": number,
        "title": "Hill Farm",
        "handle": "hill-farm",
        "vendor": "Roasters",
        "product_type": "Coffee",
        "tags": ["Washed", "seasonal"],
        "body_html": "<p>Sweet.</p>",
        "published_at": "2026-01-02T03:04:05+01:00",
        "variants": [shop_variant()],
        "images": [{"src": "https://pictures.example/1.jpg"}, {"src": None}],
        "options": [
            {"name": "Size", "values": ["250g", "1kg"]},
            {"name": "Grind", "values": ["Whole Bean"]},
        ],
    }
    return row | changes


def shop_page(*products: object) -> bytes:
    return orjson.dumps({"products": list(products)})


def read_one(product: Row) -> Reading:
    return read_shopify([shop_page(product)], "EUR")


def first_variant(reading: Reading) -> Variant:
    return reading.listings[0].variants[0]


def test_a_shopify_product_becomes_a_listing() -> None:
    reading = read_one(shop_product())
    (listing,) = reading.listings
    assert (listing.external_id, listing.title, listing.url) == ("7", "Hill Farm", "hill-farm")
    assert listing.tags == ("Washed", "seasonal")
    assert listing.description == "Sweet."
    assert listing.options == {"Size": ("250g", "1kg"), "Grind": ("Whole Bean",)}
    assert listing.image_urls == ("https://pictures.example/1.jpg",)
    assert listing.status == "seasonal"
    assert listing.published_at is not None
    assert listing.published_at.isoformat() == "2026-01-02T03:04:05+01:00"
    (variant,) = listing.variants
    assert variant.options == {"Size": "250g", "Grind": "Whole Bean"}
    assert (variant.price, variant.price_raw) == (Decimal("14.50"), "14.50")
    assert (variant.sku, variant.shipping_grams, variant.currency) == (None, 300.0, "EUR")
    assert reading.rejects == ()


def test_the_payload_says_no_currency() -> None:
    assert first_variant(read_shopify([shop_page(shop_product())])).currency is None


def test_default_title_is_no_option() -> None:
    reading = read_one(
        shop_product(
            options=[{"name": "Title", "values": ["Default Title"]}],
            variants=[shop_variant(title="Default Title", option1="Default Title", option2=None)],
        )
    )
    assert reading.listings[0].options == {}
    assert first_variant(reading).options == {}
    assert first_variant(reading).title is None


@pytest.mark.parametrize("price", ["0", "0.00", 0, "0,00"])
def test_a_printed_zero_is_a_placeholder(price: object) -> None:
    reading = read_one(shop_product(variants=[shop_variant(price=price)]))
    assert first_variant(reading).price is None
    assert first_variant(reading).price_raw == str(price)
    assert reading.counters["price/placeholder"] == 1
    assert reading.rejects == ()


def test_a_missing_price_is_none_and_counted() -> None:
    reading = read_one(shop_product(variants=[shop_variant(price=None)]))
    assert first_variant(reading).price is None
    assert reading.counters["price/missing"] == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "no id"),
        ({"id": True}, "no id"),
        ({"id": "x" * 4000}, "an id of 4,000 characters; 200 are possible"),
        ({"id": "\0"}, "an id of 0 characters; 200 are possible"),
        ({"price": "ask us"}, "price 'ask us' is not an amount of money"),
        ({"price": "-3.00"}, "price '-3.00' is not an amount of money"),
    ],
)
def test_a_broken_variant_is_rejected_and_the_rest_goes_on(changes: Row, reason: str) -> None:
    broken = shop_variant(2, **changes)
    reading = read_one(shop_product(variants=[shop_variant(1), broken, shop_variant(3)]))
    assert [v.external_id for v in reading.listings[0].variants] == ["1", "3"]
    (reject,) = reading.rejects
    assert reject.place.startswith("page 1, product 1 (id 7), variant 2")
    assert len(reject.place) < 120, "it is part of a key"
    assert reject.reason == reason
    assert orjson.loads(reject.row) == broken
    assert reading.counters["rows/quarantined"] == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a text", "expected an object, got str"),
        (None, "expected an object, got NoneType"),
        (shop_product(title=" "), "no title"),
        (shop_product(id=None), "no id"),
    ],
)
def test_a_broken_product_is_rejected_and_the_rest_goes_on(row: object, reason: str) -> None:
    reading = read_shopify([shop_page(row, shop_product(8))])
    assert [listing.external_id for listing in reading.listings] == ["8"]
    assert [reject.reason for reject in reading.rejects] == [reason]
    assert orjson.loads(reading.rejects[0].row) == row


def test_ids_and_texts_are_without_the_one_character_that_no_engine_keeps() -> None:
    variant = shop_variant("v\0x", sku="S\0KU")  # type: ignore[arg-type]
    reading = read_one(shop_product(title="Ken\0ya", variants=[variant]))
    assert reading.listings[0].title == "Kenya"
    assert (first_variant(reading).external_id, first_variant(reading).sku) == ("vx", "SKU")


def test_a_product_met_twice_stays_once() -> None:
    reading = read_shopify([shop_page(shop_product()), shop_page(shop_product())])
    assert len(reading.listings) == 1
    assert reading.counters["rows/duplicate"] == 1
    assert reading.rejects == ()


def test_a_product_that_changed_between_pages_loses_nothing() -> None:
    reading = read_shopify([shop_page(shop_product()), shop_page(shop_product(title="New"))])
    assert [listing.title for listing in reading.listings] == ["Hill Farm"]
    assert reading.rejects[0].place == "page 2, product 1 (id 7)"
    assert "other content" in reading.rejects[0].reason


def test_odd_shapes_of_optional_fields_are_no_fault() -> None:
    reading = read_one(
        shop_product(
            tags="Washed, Coffee",
            images=None,
            options=["Size"],
            body_html=None,
            published_at="soon",
            vendor=5,
        )
    )
    (listing,) = reading.listings
    assert listing.tags == ("Washed", "Coffee")
    assert (listing.description, listing.published_at, listing.vendor) == ("", None, "5")


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ([], "active"),
        (["Hide-Product"], "hidden"),
        (["coming_soon"], "coming_soon"),
        (["Seasonal", "archived"], "archived"),
    ],
)
def test_status_is_what_the_tags_say(tags: list[str], status: str) -> None:
    assert read_one(shop_product(tags=tags)).listings[0].status == status


_SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "title", "price"]), inner)
    ),
)
_FIELDS = st.sampled_from([*shop_product(), "id", "variants"])


@given(st.lists(st.dictionaries(_FIELDS, _VALUES, max_size=6) | _VALUES, max_size=5))
def test_every_row_is_kept_rejected_or_a_duplicate(products: list[object]) -> None:
    reading = read_shopify([shop_page(*products)])
    counters = reading.counters
    kept = counters["listings/kept"] + counters["variants/kept"]
    assert counters["rows/read"] == (
        kept + counters["rows/quarantined"] + counters["rows/duplicate"]
    )
    assert len(reading.rejects) == counters["rows/quarantined"]


# --- WooCommerce --------------------------------------------------------------------------


def woo_prices(
    price: str, low: str | None = None, high: str | None = None, **changes: object
) -> Row:
    span = None if low is None else {"min_amount": low, "max_amount": high}
    return {
        "price": price,
        "regular_price": price,
        "sale_price": price,
        "price_range": span,
        "currency_code": "EUR",
        "currency_minor_unit": 2,
    } | changes


def woo_product(number: int = 5, **changes: object) -> Row:
    row = {
        "id": number,
        "name": "Hill &amp; Dale",
        "slug": "hill",
        "parent": 0,
        "type": "variable",
        "permalink": "https://shop.example/hill",
        "sku": "HILL",
        "short_description": "<p>Short.</p>",
        "description": "<p>Long.</p>",
        "prices": woo_prices("1450", "1450", "5200"),
        "is_in_stock": True,
        "categories": [{"name": "Coffee"}, {"name": "Filter"}],
        "tags": [{"name": "washed"}],
        "images": [{"src": "https://pictures.example/1.jpg"}],
        "attributes": [
            {
                "name": "Size",
                "has_variations": True,
                "terms": [{"name": "250 g", "slug": "250-g"}, {"name": "1 kg", "slug": "1-kg"}],
            },
            {
                "name": "Process",
                "has_variations": False,
                "terms": [{"name": "Washed", "slug": "washed"}],
            },
        ],
        "variations": [
            {"id": 51, "attributes": [{"name": "Size", "value": "250-g"}]},
            {"id": 52, "attributes": [{"name": "Size", "value": "1-kg"}]},
        ],
    }
    return row | changes


def woo_variation(number: int, **changes: object) -> Row:
    row = {
        "id": number,
        "name": "Hill",
        "parent": 5,
        "type": "variation",
        "sku": f"HILL-{number}",
        "variation": "Size: 1 kg",
        "prices": woo_prices("5200"),
        "is_in_stock": False,
    }
    return row | changes


def woo_page(*records: object) -> bytes:
    return orjson.dumps(list(records))


def test_a_variable_product_takes_its_variations_from_later_pages() -> None:
    reading = read_woocommerce(
        [
            woo_page(woo_product()),
            woo_page(woo_variation(52), woo_variation(51, prices=woo_prices("1450"))),
        ]
    )
    (listing,) = reading.listings
    assert listing.title == "Hill & Dale"
    assert listing.product_type == "Coffee | Filter"
    assert listing.description == "Short.\nLong.\nProcess: Washed"
    assert listing.options == {"Size": ("250 g", "1 kg")}
    small, large = listing.variants
    assert (small.external_id, small.options, small.price) == (
        "51",
        {"Size": "250 g"},
        Decimal("14.50"),
    )
    assert (large.price, large.sku, large.available) == (Decimal("52.00"), "HILL-52", False)
    assert reading.rejects == ()


@pytest.mark.parametrize(
    ("prices", "price"),
    [
        (woo_prices("1450"), Decimal("14.50")),
        (woo_prices("1450", "1450", "1450"), Decimal("14.50")),
        (woo_prices("1450", "1450", "5200"), None),
        (woo_prices("1450", currency_minor_unit=0), Decimal(1450)),
    ],
)
def test_without_own_records_only_a_shared_price_is_a_variations_price(
    prices: Row, price: Decimal | None
) -> None:
    reading = read_woocommerce([woo_page(woo_product(prices=prices))])
    assert [v.price for v in reading.listings[0].variants] == [price, price]
    assert [v.available for v in reading.listings[0].variants] == [None, None]


def test_a_simple_product_is_its_own_variant() -> None:
    reading = read_woocommerce(
        [
            woo_page(
                woo_product(
                    type="simple", variations=[], prices=woo_prices("1200", regular_price="1500")
                )
            )
        ]
    )
    variant = first_variant(reading)
    assert (variant.external_id, variant.price, variant.available) == ("5", Decimal("12.00"), True)
    assert variant.compare_at_price == Decimal("15.00")
    assert variant.currency == "EUR"


def test_a_woo_placeholder_is_no_price() -> None:
    reading = read_woocommerce(
        [woo_page(woo_product(type="simple", variations=[], prices=woo_prices("0")))]
    )
    assert (first_variant(reading).price, first_variant(reading).price_raw) == (None, "0")
    assert reading.counters["price/placeholder"] == 1


def test_a_variation_without_its_product_is_quarantined() -> None:
    reading = read_woocommerce([woo_page(woo_variation(99, parent=4))])
    assert reading.listings == ()
    assert "fetch the products' pages too" in reading.rejects[0].reason


def test_variations_the_product_does_not_list_still_belong_to_it() -> None:
    reading = read_woocommerce([woo_page(woo_product(variations=[]), woo_variation(52))])
    assert first_variant(reading).options == {"Size": "1 kg"}


@pytest.mark.parametrize(
    "changes",
    [
        {"prices": woo_prices("a lot")},
        {"prices": woo_prices("1", currency_minor_unit="x")},
        {"name": ""},
    ],
)
def test_a_broken_woo_row_is_rejected(changes: Row) -> None:
    reading = read_woocommerce(
        [
            woo_page(
                woo_product(type="simple", variations=[]) | changes,
                woo_product(6, type="simple", variations=[]),
            )
        ]
    )
    assert [listing.external_id for listing in reading.listings] == ["6"]
    assert len(reading.rejects) == 1


# --- pages --------------------------------------------------------------------------------


def test_page_items_counts_products() -> None:
    assert page_items(Platform.SHOPIFY, shop_page(1, 2, 3)) == 3
    assert page_items(Platform.WOOCOMMERCE, b"[]") == 0


@pytest.mark.parametrize(
    ("platform", "body", "message"),
    [
        (Platform.SHOPIFY, b"<!doctype html><title>Enter password</title>", "not JSON but HTML"),
        (Platform.SHOPIFY, b"", "not JSON"),
        (Platform.SHOPIFY, b"[]", 'expected {"products": [...]}, got list'),
        (Platform.SHOPIFY, b'{"items": []}', "got an object with keys ['items']"),
        (Platform.SHOPIFY, b'{"products": null}', "expected"),
        (Platform.SHOPIFY, b'{"errors": "Not Found"}', "it says 'Not Found'"),
        (Platform.WOOCOMMERCE, b'{"code": "rest_no_route", "message": "No route"}', "'No route'"),
        (Platform.WOOCOMMERCE, b"3", "expected a list of products, got int"),
    ],
)
def test_a_page_that_is_not_the_promised_document(
    platform: Platform, body: bytes, message: str
) -> None:
    with pytest.raises(BrokenContract) as caught:
        page_items(platform, body)
    assert message in str(caught.value)
    reader = read_shopify if platform is Platform.SHOPIFY else read_woocommerce
    with pytest.raises(BrokenContract, match="page 2"):
        reader([shop_page() if platform is Platform.SHOPIFY else b"[]", body])


# --- markup -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("plain &amp; simple", "plain & simple"),
        ("<p>One</p><p>Two</p>", "One\nTwo"),
        ("One<br/>Two<br>Three", "One\nTwo\nThree"),
        ("<p>A <b>bold</b>\n word</p>", "A bold word"),
        (
            "<table><tr><th>Process</th><td>Washed</td></tr><tr><td>Roast</td><td>Light</td></tr>",
            "Process\tWashed\nRoast\tLight",
        ),
        ("<ul><li>Cherry</li><li>Cocoa</li></ul>", "Cherry\nCocoa"),
        ("<p>Caf&eacute;</p><script>var a = '<p>no</p>'</script><style>p{}</style>", "Café"),
        ("<p>zero\u200bwidth &nbsp; blank</p>", "zerowidth blank"),
        ("<!-- note --><h3>Roast</h3>\n<p>Medium</p>", "Roast\nMedium"),
    ],
)
def test_plain_text(html: str, text: str) -> None:
    assert plain_text(html) == text


@given(st.text(alphabet="<>/pbrdi a&;\n", max_size=80))
def test_plain_text_has_no_blank_lines(html: str) -> None:
    assert all(line == line.strip() and line for line in plain_text(html).split("\n") if html) or (
        plain_text(html) == ""
    )
