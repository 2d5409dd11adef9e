"""Rows as an analysis service found them, held to what an item is."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.price_lists.model import Item, Role
from scout_assets.domain.supply import SERVICE, SERVICE_NAMES, found_by_service


def item(**row: Any) -> Item:
    """The one item of one row."""
    found = found_by_service([{"name": "Plate"} | row])
    assert found.quarantine == ()
    return found.items[0]


def test_a_row_becomes_an_item():
    found = found_by_service(
        [
            {
                "sku": "N-1",
                "name": "Tinto Joven 2019 6x75cl",
                "price": 93.6,
                "currency": "EUR",
                "gtin": "4006381333931",
                "brand": "Bodega Alta",
                "category": "Red",
                "quantity": 12,
                "region": "Rioja",
            }
        ]
    )
    (one,) = found.items
    assert (one.sheet, one.row, one.sku, one.price) == (SERVICE, 1, "N-1", Decimal("93.6"))
    assert (one.currency, one.gtin, one.quantity) == ("EUR", "4006381333931", "12")
    assert (one.brand, one.category) == ("Bodega Alta", "Red")
    assert (one.size_ml, one.pack_count, one.vintage) == (750, 6, 2019)
    assert one.characteristics == {"region": "Rioja"}
    (sheet,) = found.sheets
    assert (sheet.name, sheet.role, sheet.items) == (SERVICE, Role.ITEMS, 1)


GIVEN = {"price": 3.5, "currency": "EUR", "gtin": "4006381333931", "pack_count": 6,
         "vintage": 2019}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "spelling"),
    [(field, spelling) for field, names in SERVICE_NAMES.items() for spelling in names],
)
def test_a_field_may_have_any_of_its_names(field: str, spelling: str):
    value = GIVEN.get(field, "Deep bowl")
    row = {"name": "Plate", spelling.upper(): value} if field != "name" else {spelling: value}
    (one,) = found_by_service([row]).items
    expected = Decimal("3.5") if field == "price" else value
    assert getattr(one, field) == expected
    assert one.characteristics == {}


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("Olive oil 500 ml", {"size_ml": 500, "pack_count": None}),
        ("Kenya Embu AB 250 g", {"size_g": 250, "size_ml": None}),
        ("Lager 24 x 33cl", {"size_ml": 330, "pack_count": 24}),
        ("Chablis 2021", {"vintage": 2021, "size_ml": None}),
        ("Paper cups", {"size_ml": None, "size_g": None, "pack_count": None}),
    ],
)
def test_sizes_and_packs_are_read_from_the_name(name: str, read: dict[str, object]):
    one = item(name=name)
    assert {field: getattr(one, field) for field in read} == read


def test_a_field_goes_before_what_the_name_says():
    one = item(name="Rioja 2019 6x75cl", vintage="2020", pack=12)
    assert (one.vintage, one.pack_count) == (2020, 12)


def test_a_unit_price_is_for_one_unit():
    assert item(unit_price=9.4, pack_count=12).price_basis == "unit"
    assert item(price=9.4, pack_count=12).price_basis is None


@pytest.mark.parametrize(
    ("printed", "price"),
    [
        (3.5, "3.5"),
        (7, "7"),
        ("10.40", "10.40"),
        ("93,60", "93.60"),
        ("1.234,50", "1234.50"),
        ("€ 93,60", "93.60"),
        (" 8.10 ", "8.10"),
        (0, None),
        ("0,00", None),
        ("-", None),
        ("on request", None),
        ("", None),
        (None, None),
    ],
)
def test_prices_as_services_copy_them(printed: object, price: str | None):
    assert item(price=printed).price == (None if price is None else Decimal(price))


@pytest.mark.parametrize(
    ("row", "currency"),
    [
        ({"currency": "EUR"}, "EUR"),
        ({"currency": "eur"}, "EUR"),
        ({"currency": "€"}, "EUR"),
        ({"currency": "£", "price": "$ 3"}, "GBP"),
        ({"price": "£3.50"}, "GBP"),
        ({"price": 3.5}, None),
    ],
)
def test_currencies(row: dict[str, Any], currency: str | None):
    assert item(**row).currency == currency


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"price": 3}, "name: "),
        ({"name": "  ", "price": 3}, "name: "),
        ({"name": "Plate", "price": -3}, "price: Input should be greater than 0"),
        ({"name": "Plate", "price": "three"}, "price: Input should be a valid decimal"),
        ({"name": "Plate", "price": [3]}, "price: "),
        ({"name": "Plate", "price": 10**12}, "price: Input should be less than"),
        ({"name": "Plate", "currency": "Taler"}, "currency: "),
        ({"name": "Plate", "pack_count": 0}, "pack_count: Input should be greater"),
        ({"name": "Plate", "vintage": "old"}, "vintage"),
        ({"name": "x" * 2001}, "name: String should have at most 2000"),
        ({"value": "remark"}, "name: "),
        ({}, "name: "),
    ],
)
def test_a_bad_row_is_rejected_with_its_reason_and_the_rest_goes_on(
    row: dict[str, Any], reason: str
):
    found = found_by_service([{"name": "Cup"}, row, {"name": "Bowl"}])
    assert [(one.name, one.row) for one in found.items] == [("Cup", 1), ("Bowl", 3)]
    (reject,) = found.quarantine
    assert (reject.sheet, reject.row) == (SERVICE, 2)
    assert reason in reject.reason
    assert reject.content == {name: str(value) for name, value in row.items()}
    assert found.counters["rows/quarantined"] == 1


@pytest.mark.parametrize("printed", ["4006381333930", "n/a", "123"])
def test_a_code_that_is_no_gtin_costs_no_item_and_is_kept(printed: str):
    one = item(ean=printed)
    assert (one.gtin, one.characteristics) == (None, {"ean": printed})


def test_blank_fields_say_nothing():
    one = item(sku=" ", brand="", category=None, note=None, shelf=" ")
    assert (one.sku, one.brand, one.category, one.characteristics) == (None, None, None, {})


def test_a_second_name_of_a_field_is_kept():
    one = item(description="large, blue", price=3, unit_price=0.5)
    assert (one.name, one.price) == ("Plate", 3)
    assert one.characteristics == {"description": "large, blue", "unit_price": "0.5"}


def test_repeated_rows_are_one_offer():
    found = found_by_service([{"sku": "N-1", "name": "Cup", "price": 3}] * 2)
    assert [one.duplicate_of for one in found.items] == [None, f"{SERVICE}!1"]
    assert found.counters["items/duplicate"] == 1


_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())
_fields = st.sampled_from([name for names in SERVICE_NAMES.values() for name in names])


@given(st.lists(st.dictionaries(_fields | st.text(), _values)))
def test_no_row_is_lost_and_none_stops_the_rest(rows: list[dict[str, Any]]):
    found = found_by_service(rows)
    assert sorted([one.row for one in (*found.items, *found.quarantine)]) == [
        *range(1, len(rows) + 1)
    ]
