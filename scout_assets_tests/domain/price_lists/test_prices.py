"""Prices of a list: which columns they are, what they are for, in which currency."""

from decimal import Decimal

import pytest

from scout_assets.domain.price_lists.reader import ReadSettings
from scout_assets.domain.quality import LEAST_CONFIDENCE
from scout_assets_tests.domain.price_lists.lists import only, read


def test_one_price_a_multiple_of_the_other_is_per_case_and_implies_the_pack():
    rows = """
Name      | Code | A      | B
Wein Eins | W-11 | 120.00 | 10.00
Wein Zwei | W-12 | 150.00 | 12.50
Wein Drei | W-13 | 96.00  | 8.00
"""
    item = read(rows).items[0]
    assert (item.price, item.price_basis, item.pack_count) == (120, "case", 12)


def test_quantity_breaks_are_alternatives_with_their_least_quantity():
    rows = """
SKU   | Product   | Price per case | |
      |           | 1-4 cs | 5-9 cs | 10+ cs
MU-01 | Mustard   | 10.20  | 9.80   | 9.10
MU-02 | Horseradish | 12.00 | 11.50 | 11.00
"""
    item = read(rows).items[0]
    assert item.price == Decimal("10.20")
    assert [(p.price, p.min_quantity) for p in item.price_alternatives] == [
        (Decimal("9.80"), 5),
        (Decimal("9.10"), 10),
    ]


@pytest.mark.parametrize(
    ("header", "printed"),
    [
        ("Price USD", [10, 25, 61, 99, 14]),  # like years of two digits
        ("Price", [1998, 2005, 1987, 2019, 2011]),  # like years
        ("Price (JPY)", [12000, 98450, 33100, 4700, 51000]),  # like codes
        ("Preis", [7, 8, 9, 10, 11]),  # like numbers of rows
        ("Price EUR", ["5,50", "6,50", "7,50", "8,50", "9,50"]),
        ("Unit price", [3, 3, 3, 3, 3]),
    ],
)
def test_a_header_that_says_price_overrules_what_numbers_look_like(header, printed):
    rows = [["SKU", "Product", header]]
    rows += [[f"A-{i}", f"Mug {i} of stoneware", price] for i, price in enumerate(printed, 10)]
    found = read(rows)
    assert [item.price for item in found.items] == [
        Decimal(str(price).replace(",", ".")) for price in printed
    ]
    assert [item.vintage for item in found.items] == [None] * 5


def test_without_a_header_that_says_so_years_and_codes_are_no_prices():
    rows = """
Vintage | Wine          | Number | Price
1998    | Rosso di Sopra | 61230  | $31
2005    | Rosso di Sotto | 70412  | $24
2011    | Bianco         | 81555  | $18
"""
    assert [str(item.price) for item in read(rows).items] == ["31", "24", "18"]
    assert {item.price_alternatives for item in read(rows).items} == {()}


def test_a_list_without_any_price_is_read_with_little_confidence():
    rows = """
SKU   | Product          | Colour
T-100 | Teapot, cast iron | black
T-101 | Kettle, enamel    | red
"""
    (sheet,) = read(rows).sheets
    assert sheet.items == 2
    assert sheet.confidence < LEAST_CONFIDENCE
    assert "no price column found" in sheet.reasons


@pytest.mark.parametrize(
    "header",
    [
        "SKU | Product | 1-9 | 10-49 | 50+",
        "SKU | Product | Qty 1-9 | Qty 10-49 | Qty 50+",
        "Art.-Nr. | Bezeichnung | ab 1 | ab 10 Stk | ab 50 Stk",
        "SKU | Product | 1 to 9 | 10 – 49 | ≥ 50",  # noqa: RUF001
        "SKU | Product | Price | 10+ | 50 and more",
        "SKU | Product | Price EUR | | \n | | 1-9 | 10-49 | 50+",
        "SKU | Product | Price | | \n | | 1 | 10 | 50",
    ],
)
def test_quantities_alone_above_falling_prices_are_breaks(header: str):
    rows = "\nA-100 | Blue mug | 5.50 | 5.20 | 4.90\nA-101 | Red plate | 6 | 6 | 5"
    found = read(header + rows)
    item = found.items[0]
    assert (item.sku, item.name, item.price) == ("A-100", "Blue mug", Decimal("5.50"))
    assert [(str(p.price), p.min_quantity) for p in item.price_alternatives] == [
        ("5.20", 10),
        ("4.90", 50),
    ]
    assert len(found.items) == 2
    assert found.quarantine == ()


def test_stock_by_sizes_is_no_quantity_break():
    rows = """
SKU   | Product  | Price  | 36-38 | 40-42 | 44+
S-100 | Blue sock | 5.50   | 12    | 0     | 7
S-101 | Red sock  | 6.50   | 3     | 14    | 9
S-102 | Grey sock | 6.50   | 8     | 11    | 2
"""
    item = read(rows).items[0]
    assert item.price == Decimal("5.50")
    assert item.price_alternatives == ()
    assert item.characteristics["36-38"] == "12"


def test_retail_and_former_prices_are_never_the_primary_one():
    rows = """
SKU   | Name     | RRP   | Old price | Net price
T-100 | Teapot   | 49.00 | 30.00     | 24.50
T-101 | Kettle   | 79.00 | 44.00     | 39.90
"""
    item = read(rows).items[0]
    assert item.price == Decimal("24.50")
    assert {p.basis for p in item.price_alternatives} == {"retail", "previous"}


def test_a_trade_price_above_retail_is_for_a_case():
    rows = """
Wine     | Units | FOB    | SRP
Rosso    | 12    | 96.00  | 14.99
Bianco   | 12    | 84.00  | 12.99
Rosato   | 6     | 60.00  | 17.99
"""
    assert {item.price_basis for item in read(rows).items} == {"case"}


def test_stock_is_never_taken_for_a_price():
    rows = """
Artikel | Bezeichnung | Bestand | Preis
A-1     | Mutter M8   | 1200    | 0,12
A-2     | Mutter M10  | 900     | 0,17
"""
    item = read(rows).items[0]
    assert (item.price, item.quantity) == (Decimal("0.12"), "1200")


@pytest.mark.parametrize(
    "cell", ["-", "inquire", "POA", "auf Anfrage", "по запросу", 0, "0.00", "sold out"]
)
def test_these_are_no_prices(cell: object):
    rows = [
        ["SKU", "Name", "Size", "Price"],
        ["A-1", "Tea", "100 g", 4.5],
        ["A-2", "Mate", "500 g", cell],
    ]
    item = read(rows).items[1]
    assert item.price is None


def test_a_section_says_what_its_prices_are_for():
    rows = """
Wine      | FOB price | Cases
Rosso     | $82.00    | 500
Bianco    | $68.00    | 20
PRICES IN BOTTLES ||
Grand Cru | $48.33    | 7
"""
    assert [item.price_basis for item in read(rows).items] == ["case", "case", "bottle"]


def test_prices_in_remarks_are_kept_with_their_meaning():
    rows = """
SKU | Wine  | Price  | Notes
A-1 | Rosso | $96.00 | was $120
A-2 | Nero  | $84.00 | $78 (14cs)
A-3 | Verde | $84.00 | new
"""
    one, two, three = read(rows).items
    assert [(p.price, p.basis) for p in one.price_alternatives] == [(120, "previous")]
    assert [(p.price, p.min_quantity) for p in two.price_alternatives] == [(78, 14)]
    assert three.price_alternatives == ()
    assert one.characteristics["Notes"] == "was $120"


def test_a_hidden_price_column_is_never_the_primary_one():
    rows = """
SKU | Name | Price A | Price B
A-1 | Cup  | $2.00   | $4.00
A-2 | Mug  | $2.50   | $4.50
"""
    assert read(rows, hidden_columns=frozenset({2})).items[0].price == 4


def test_currencies_are_read_from_number_formats():
    rows = [["SKU", "Name", "Price"], ["A-1", "Cup", 2.5], ["A-2", "Mug", 3.0]]
    found = read(rows, column_formats={2: "€"}, formats={(2, 2): "£"})
    assert [item.currency for item in found.items] == ["EUR", "GBP"]


@pytest.mark.parametrize("header", ["Currency", "Ccy", "Währung", "Devise", "Waluta", "Валюта"])
def test_a_column_of_currencies_says_the_currency_of_each_row(header: str):
    rows = f"""
SKU | Name  | Price GBP | {header}
A-1 | Cup   | 2.50      | EUR
A-2 | Mug   | 3.50      | $
A-3 | Plate | 4.50      | PEN
A-4 | Bowl  | 5.50      |
A-5 | Jar   | 6.50      | ask us
"""
    found = read(rows).items
    assert [item.currency for item in found] == ["EUR", "USD", "PEN", "GBP", "GBP"]
    assert [item.characteristics for item in found] == [{}, {}, {}, {}, {header: "ask us"}]


def test_a_column_of_currencies_can_be_declared():
    rows = "SKU | Name | Price | In\nA-1 | Cup | 2.50 | EUR\nA-2 | Mug | 3.50 | CHF"
    found = read(rows, ReadSettings(column_mapping={"currency": "In"}))
    assert [item.currency for item in found.items] == ["EUR", "CHF"]


def test_headers_of_several_currencies_say_more_than_one_column_of_them():
    rows = "SKU | Name | Price USD | Price EUR | Currency\nA-1 | Cup | 2.50 | 2.30 | EUR"
    item = only(rows)
    assert (item.currency, item.price_alternatives[0].currency) == ("USD", "EUR")


def test_the_sign_of_one_price_column_counts_for_those_without():
    rows = """
Art  | Bezeichnung   | EK    | UVP
1001 | Kaffee Alba   | 10,15 | 15,90 €
1002 | Kaffee Brio   | 11,25 | 16,90 €
"""
    assert [item.currency for item in read(rows).items] == ["EUR", "EUR"]


@pytest.mark.parametrize(
    ("note", "currency"),
    [("Prices in AUD", "AUD"), ("All prices Canadian dollars", "CAD"), ("Price list", "USD")],
)
def test_a_dollar_is_american_unless_the_list_names_another(note: str, currency: str):
    assert only(f"{note}||\nSKU|Name|Price\nA-1|Cup|$2.50").currency == currency


def test_no_currency_is_made_up():
    assert only("SKU|Name|Price\nA-1|Cup|2.50").currency is None


def test_no_other_price_stands_in_for_the_declared_one():
    rows = """
SKU | Name  | Price USD | Price EUR | RRP EUR
A-1 | Cup   | 2.50      | 2.30      | 5.00
A-2 | Mug   | 3.50      |           | 6.00
A-3 | Plate | -1.00     | 4.10      | -7.00
A-4 | Bowl  | 3.50      | 3.10      | 6.00
A-5 | Jar   | 3.50      | 3.10      | 6.00
"""
    found = read(rows, ReadSettings(column_mapping={"price": "Price EUR"}))
    cup, mug, plate, *_ = found.items
    assert [cup.price, mug.price, plate.price] == [Decimal("2.30"), None, Decimal("4.10")]
    assert [(str(p.price), p.basis, p.currency) for p in mug.price_alternatives] == [
        ("3.50", "unit", "USD"),
        ("6.00", "retail", "EUR"),
    ]
    assert plate.price_alternatives == ()
    assert plate.characteristics == {"Price USD": "-1.00", "RRP EUR": "-7.00"}
    assert found.quarantine == ()


def test_a_retail_price_is_the_primary_one_where_it_is_declared():
    rows = "SKU | Name | Net price | RRP\nA-1 | Cup | 2.50 | 5.00\nA-2 | Mug | 3.50 | 7.00"
    found = read(rows, ReadSettings(column_mapping={"price": "RRP"}))
    assert [item.price for item in found.items] == [5, 7]


def test_a_retail_price_alone_is_no_trade_price():
    rows = """
SKU | Name | Net price | RRP
A-1 | Cup  | 2.50      | 4.00
A-2 | Mug  |           | 5.00
"""
    item = read(rows).items[1]
    assert item.price is None
    assert [(p.price, p.basis) for p in item.price_alternatives] == [(5, "retail")]


def test_columns_headed_by_sizes_are_prices_of_these_sizes():
    rows = """
Product Name | 1 kg | 500 g | 250 g | Category
Rose blend   | 6000 | 3100  | 1600  | floral
Amber blend  | 8000 | 4100  | 2100  | oriental
"""
    item = read(rows).items[0]
    assert (item.price, item.size_g) == (6000, 1000)
    assert [(str(p.price), p.label) for p in item.price_alternatives] == [
        ("3100", "500 g"),
        ("1600", "250 g"),
    ]
