"""Suppliers' items: ids, rows, and what of them is matched and compared."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pytest

from scout_assets.domain import supply
from scout_assets.domain.capture import RawSnapshot
from scout_assets.domain.failures import BrokenContract
from scout_assets.domain.history import fold_rows
from scout_assets.domain.price_lists.model import (
    AlternativePrice,
    Item,
    PriceList,
    Reject,
    Role,
    SheetReport,
    marked_duplicates,
)
from scout_assets.domain.sources import Source
from scout_assets.domain.tables import LIST_SHEETS, QUARANTINE, SUPPLIER_ITEMS

ACME = Source.read({"key": "acme", "platform": "price-list", "location": "acme.csv"}, "test")
RAW = RawSnapshot(3, "h3", datetime(2026, 11, 22, tzinfo=UTC), [])


def item(row=1, **fields):
    return Item(**{"sheet": "Prices", "row": row, "name": f"Bean number {row}"} | fields)


def listed(*items, quarantine=(), sheets=None, counters=None):
    counters = {} if counters is None else counters
    reports = sheets or [SheetReport(name="Prices", role=Role.ITEMS, confidence=0.9)]
    return PriceList(
        items=items, sheets=tuple(reports), quarantine=tuple(quarantine), counters=counters
    )


def read(*items, **parts):
    return supply.read_items(ACME, RAW, listed(*items, **parts))


def ids(*items):
    return [row["item_id"] for row in read(*items).items]


# Ids


def test_an_items_own_sku_names_it():
    assert ids(item(sku="A-1"), item(2, sku="A-2")) == ["acme/A-1", "acme/A-2"]


def test_a_sku_that_names_two_items_is_told_apart_by_what_else_they_say():
    bag, sack = item(sku="A-1", size_g=250.0), item(2, sku="A-1", size_g=1000.0)
    one, other = ids(bag, sack)
    assert one != other
    assert one.startswith("acme/A-1~")
    assert ids(sack, bag) == [other, one]


def test_without_a_sku_what_the_row_says_names_it_but_not_its_price_or_place():
    (before,) = ids(item(name="Guji", price=Decimal(9)))
    (after,) = ids(item(7, name="Guji", price=Decimal(10), section=("Coffee",)))
    assert before == after
    assert ids(item(name="Guji", vintage=2025)) != [before]


def test_ids_stay_when_the_list_grows_moves_and_reprices():
    before = ids(item(sku="A-1", price=Decimal(9)), item(2, name="Guji", pack_count=6))
    after = ids(
        item(name="Novelty"),
        item(2, name="Guji", pack_count=6, price=Decimal(3)),
        item(3, sku="A-1", name="Renamed", price=Decimal(8)),
    )
    assert set(before) <= set(after)


def test_what_stands_twice_in_the_list_is_one_item():
    counters: Counter[str] = Counter()
    twice = marked_duplicates([item(sku="A-1"), item(2, sku="A-1", name="Bean number 1")], counters)
    found = read(*twice, counters=counters)
    assert [row["item_id"] for row in found.items] == ["acme/A-1"]
    assert (found.counters["rows/items"], found.counters["items/duplicate"]) == (1, 1)


# Rows


def test_a_row_says_all_the_list_says():
    alternative = AlternativePrice(price=Decimal(60), basis="case", label="Karton")
    (row,) = read(
        item(
            4,
            sku="A-1",
            gtin="4006381333931",
            brand="Berg",
            name="Guji 250 g",
            price=Decimal("10.40"),
            price_basis="unit",
            price_alternatives=(alternative,),
            currency="EUR",
            vintage="NV",
            size_g=250.0,
            pack_count=6,
            quantity="12",
            category="Coffee",
            section=("Africa", "Ethiopia"),
            hidden=True,
            characteristics={"Shelf": "B 4"},
            specs={"storage_gb": 64},
        )
    ).items
    assert row.keys() == set(SUPPLIER_ITEMS.model.model_fields) - {
        "first_seen_at",
        "changed_at",
        "gone_at",
    }
    assert (row["price"], row["net_weight_g"], row["size_ml"]) == (Decimal("10.40"), 250.0, None)
    assert (row["vintage"], row["section"], row["hidden"]) == ("NV", ["Africa", "Ethiopia"], True)
    (other,) = orjson.loads(row["price_alternatives"])
    assert (other["price"], other["basis"], other["label"]) == ("60.00", "case", "Karton")
    assert orjson.loads(row["characteristics"]) == {"Shelf": "B 4"}
    assert orjson.loads(row["specs"]) == {"storage_gb": 64}
    assert row["confidence"] == 0.9


def test_a_year_is_text_so_that_nv_fits_beside_it():
    assert [row["vintage"] for row in read(item(vintage=2019), item(2)).items] == ["2019", None]


def test_an_item_is_as_sure_as_its_sheet_and_pages_of_a_pdf_as_the_least():
    sheets = [
        SheetReport(name="One", role=Role.ITEMS, confidence=0.9),
        SheetReport(name="Two", role=Role.ITEMS, confidence=0.6),
    ]
    rows = read(item(sheet="One"), item(2, sheet="page 3"), sheets=sheets).items
    assert [row["confidence"] for row in rows] == [0.9, 0.6]


def test_what_cannot_be_kept_goes_to_quarantine_with_place_reason_and_content():
    refused = Reject(sheet="Prices", row=9, reason="no name", content={"price": "4,90"})
    found = read(
        item(), item(2, price=Decimal("1.23456"), price_basis="unit"), quarantine=[refused]
    )
    assert [row["item_id"] for row in found.items] == ids(item())
    assert [(row["place"], row["reason"][:20]) for row in found.quarantine] == [
        ("Prices, row 9", "no name"),
        ("Prices, row 2", "price 1.23456 does n"),
    ]
    assert orjson.loads(found.quarantine[0]["row"]) == {"price": "4,90"}
    assert (found.counters["rows/items"], found.counters["rows/quarantined"]) == (1, 1)
    QUARANTINE.arrow(found.quarantine)


def test_how_each_sheet_was_read_is_kept():
    report = SheetReport(
        name="Prices",
        role=Role.ITEMS,
        header_rows=(3, 4),
        items=1,
        confidence=0.8,
        reasons=("two header rows",),
    )
    (row,) = read(item(), sheets=[report]).sheets
    assert (row["role"], row["header_rows"], row["reasons"]) == (
        "items",
        "3, 4",
        ["two header rows"],
    )
    assert LIST_SHEETS.arrow([row]).num_rows == 1


def test_a_list_without_items_is_no_list_and_says_what_was_seen():
    notes = SheetReport(name="Terms", role=Role.NOTES, reasons=("no price column",))
    with pytest.raises(BrokenContract, match=r"prices\.xlsx: no item found \(Terms: no price"):
        supply.checked(listed(sheets=[notes]), "prices.xlsx")
    assert supply.checked(listed(item()), "prices.xlsx").items


@pytest.mark.parametrize(
    "change",
    [
        {"currency": "EUR"},
        {"sheet_name": "B"},
        {"column_mapping": {"sku": "B"}},
        {"encoding": "koi8-r"},
        {"delimiter": "tab"},
    ],
)
def test_what_a_declaration_says_about_reading_makes_other_rows(change):
    assert supply.declared(ACME.model_copy(update=change)) != supply.declared(ACME)
    assert supply.declared(ACME.model_copy(update={"name": "Acme"})) == supply.declared(ACME)


# What is matched


SMALL = {"sku": "P-2", "name": "Guji", "size_g": 250.0}
LARGE = {"row": 2, "sku": "P-2", "name": "Guji", "size_g": 1000.0}


def settled(*lists: Sequence[dict[str, object]]) -> list[dict[str, str]]:
    """Name and weight of each good → its id, list after list."""
    rows: list[dict[str, object]] = []
    found = []
    for goods in lists:
        seen = read(*(item(**good) for good in goods)).items
        rows = fold_rows(rows, [(RAW.captured_at, seen)], "item_id", supply.settled_ids)
        there = [row for row in rows if row["gone_at"] is None]
        found.append({f"{row['name']} {row['net_weight_g']:g}": row["item_id"] for row in there})
    return found


def test_a_good_keeps_its_id_when_its_sku_is_printed_for_another_one_too():
    first, both, large = settled([SMALL], [SMALL, LARGE], [LARGE])
    assert first == {"Guji 250": "acme/P-2"}
    assert both["Guji 250"] == "acme/P-2"
    assert both["Guji 1000"].startswith("acme/P-2~")
    assert large == {"Guji 1000": both["Guji 1000"]}, "and nobody inherits it"


def test_a_good_whose_name_or_size_changes_goes_on_under_its_sku():
    (_, renamed) = settled([SMALL], [{**SMALL, "name": "Guji natural", "size_g": 200.0}])
    assert renamed == {"Guji natural 200": "acme/P-2"}


def test_two_alike_do_not_share_an_id():
    twice = [{**SMALL, "price": Decimal(5)}, {**SMALL, "row": 2, "currency": "USD"}]
    rows = read(*(item(**good) for good in twice)).items
    made = supply.settled_ids({"acme/P-2": stored(**SMALL)}, rows)
    assert made[0]["item_id"] == "acme/P-2"
    assert made[1]["item_id"].startswith("acme/P-2~")


def stored(**fields):
    (row,) = read(item(**fields)).items
    return row | {"gone_at": None}


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({"price": Decimal(60), "price_basis": "case", "pack_count": 6}, 10.0),
        ({"price": Decimal(60), "price_basis": "unit", "pack_count": 6}, 60.0),
        ({"price": Decimal(60), "pack_count": 6}, 10.0),
        ({"price": Decimal(60)}, 60.0),
        ({}, None),
    ],
)
def test_an_items_price_is_compared_for_one_unit_of_its_pack(fields, price):
    (record,) = supply.item_records([stored(**fields)])
    assert record["price"] == price


@pytest.mark.parametrize(
    ("fields", "size", "category"),
    [
        ({"size_g": 250.0, "category": "Coffee"}, "250 g", "Coffee"),
        ({"size_ml": 750.0, "section": ("Wine", "Red")}, "750 ml", "Wine / Red"),
        ({}, None, None),
    ],
)
def test_size_and_category_are_compared_as_text(fields, size, category):
    (record,) = supply.item_records([stored(**fields)])
    assert (record["size"], record["category"], record["supplier"]) == (size, category, "acme")


PARENT = {
    "parent_id": "berg/1",
    "title": "Guji",
    "vendor": "Berg",
    "product_type": "Coffee",
    "description": "",
}


def product(number, grind="whole", weight=250.0, pack=1, **fields):
    return {
        "kind": "roaster",
        "source": "berg",
        "product_id": f"berg/{number}",
        "parent_id": "berg/1",
        "title": f"Variant {number}",
        "grind": grind,
        "net_weight_g": weight,
        "pack_count": pack,
        "gtin": None,
        "gone_at": None,
    } | fields


def compared(*products, codes=frozenset(), offers=None):
    records = supply.product_records(products, {"berg/1": PARENT}, offers or {}, codes)
    return [record["id"] for record in records]


def test_variants_that_differ_by_their_grind_only_are_one_good_the_whole_beans():
    variants = product(1, "filter"), product(2, "espresso"), product(3, "whole")
    assert compared(*variants) == ["berg/3"]
    assert compared(*variants[:2]) == ["berg/1"]
    assert compared(*reversed(variants[:2])) == ["berg/1"]


def test_another_weight_or_pack_is_another_good_and_without_a_weight_the_title_tells():
    assert len(compared(product(1), product(2, weight=1000.0), product(3, pack=4))) == 3
    assert len(compared(product(1, weight=None), product(2, weight=None))) == 2


def test_a_ground_variant_is_compared_where_a_list_holds_its_code():
    ground = product(2, "filter", gtin="4006381333931")
    assert compared(product(1), ground) == ["berg/1"]
    assert compared(product(1), ground, codes=frozenset({"4006381333931"})) == ["berg/1", "berg/2"]


def test_what_is_gone_or_has_no_page_is_not_compared():
    gone = product(1, gone_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert compared(gone, product(2, parent_id="berg/9")) == []


def test_a_product_is_compared_with_its_pages_title_its_offer_and_no_sku():
    (record,) = supply.product_records(
        [product(1, pack=4, sku="S-1")],
        {"berg/1": PARENT},
        {"berg/1": {"price": Decimal(40), "currency": "EUR"}},
    )
    assert (record["name"], record["brand"], record["size"]) == ("Guji", "Berg", "250 g")
    assert (record["price"], record["currency"], record["pack_count"]) == (10.0, "EUR", 4)
    assert "sku" not in record
    assert supply.product_title(product(1), PARENT) == "Guji, Variant 1"
    assert supply.product_title(product(1, title="Guji"), PARENT) == "Guji"


# What is compared in price


def test_items_quote_for_what_they_are_linked_to():
    offered = stored(
        sku="A-1", price=Decimal(60), currency="EUR", price_basis="case", pack_count=6, size_g=250.0
    )
    silent = stored(row=2, sku="A-2", currency="EUR")
    gone = stored(row=3, sku="A-3", price=Decimal(1), currency="EUR") | {"gone_at": RAW.captured_at}
    unknown = stored(row=4, sku="A-4", price=Decimal(1))
    items = {row["item_id"]: row for row in (offered, silent, gone, unknown)}
    linked = dict.fromkeys((*items, "acme/not-there"), "berg/1")
    (quote,) = supply.quotes_of_items(items, linked)
    assert (quote.product_id, quote.source, quote.item_id) == ("berg/1", "acme", "acme/A-1")
    assert (quote.price, quote.size, quote.available) == (10, 250.0, None)


@pytest.mark.parametrize(
    ("printed", "available"),
    [
        (None, None),
        ("12", True),
        ("12 cs", True),
        ("0", False),
        ("Sold out", False),
        ("ausverkauft", False),
        ("few left", None),
    ],
)
def test_a_printed_stock_says_whether_there_is_any(printed, available):
    assert supply.availability(printed) is available


def test_the_price_of_a_case_of_unknown_size_is_not_compared():
    item = stored(price=Decimal(60), currency="EUR", price_basis="case", quantity="0")
    (quote,) = supply.quotes_of_items({item["item_id"]: item}, {item["item_id"]: "berg/1"})
    assert (quote.price, quote.available) == (None, False)
    (record,) = supply.item_records([item])
    assert record["price"] is None


def test_listed_products_quote_for_themselves():
    products = {row["product_id"]: row for row in (product(1, pack=4), product(2, gone_at=RAW))}
    offers = [
        {"product_id": name, "source": "berg", "price": price, "currency": "EUR", "available": True}
        for name, price in (("berg/1", Decimal(40)), ("berg/2", Decimal(9)), ("berg/3", Decimal(9)))
    ]
    silent = offers[0] | {"price": None}
    (quote,) = supply.quotes_of_offers([*offers, silent], products)
    assert (quote.product_id, quote.item_id, quote.price, quote.available) == (
        "berg/1",
        None,
        10,
        True,
    )
