"""Reading price lists without any configuration: what a supplier sends, what we get."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.grids import Area, Cell, Sheet, Style
from scout_assets.domain.price_lists.model import PriceList, Role
from scout_assets.domain.price_lists.reader import ReadSettings, read_price_list
from scout_assets.domain.quality import LEAST_CONFIDENCE
from scout_assets_tests.domain.price_lists.lists import book, only, read, table

WINES = """
SKU    | Producer   | Wine            | Vintage | Size  | Pack | Case Price | Cases
AB-101 | Tenuta Uno | Rosso di Prova  | 2021    | 750ml | 12   | $120.00    | 31
AB-102 | Tenuta Uno | Bianco di Prova | 2023    | 750ml | 12   | $96.00     | 7
AB-103 | Tenuta Due | Riserva         | 2018    | 1.5L  | 6    | $210.50    | 0
AB-104 | Tenuta Due | Spumante Brut   | NV      | 750ml | 6    | POA        | 14
"""


def prices(read_list: PriceList) -> list[str | None]:
    return [one["price"] for one in read_list.as_json()["items"]]


def test_every_field_is_found_by_header_and_values():
    first, *_, last = read(WINES).items
    assert (first.sku, first.brand, first.name) == ("AB-101", "Tenuta Uno", "Rosso di Prova")
    assert (first.price, first.price_basis, first.currency) == (Decimal("120.00"), "case", "USD")
    assert (first.vintage, first.size_ml, first.pack_count) == (2021, 750.0, 12)
    assert (first.quantity, first.sheet, first.row) == ("31", "Prices", 2)
    assert (last.vintage, last.price) == ("NV", None)  # still an item, without price


def test_the_report_says_what_was_decided():
    (sheet,) = read(WINES).sheets
    assert sheet.role is Role.ITEMS
    assert sheet.header_rows == (1,)
    assert sheet.columns["sku"].letter == "A"
    assert sheet.columns["price"].header == "Case Price"
    assert sheet.columns["price"].basis == "case"
    assert 0.9 <= sheet.confidence <= 1


def test_json_has_prices_as_text():
    item = read(WINES).as_json()["items"][2]
    assert item["price"] == "210.50"
    assert item["section"] == []
    assert set(item) >= {"sheet", "row", "gtin", "price_alternatives", "hidden", "characteristics"}


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("Art.-Nr.|Bezeichnung|Inhalt|VE|Preis/Fl. €", "W-1|Riesling|0,75 l|6|8,90", "8.90"),
        (
            "Référence|Désignation|Format|Colisage|Prix HT",
            "V-1|Huile d'olive|50 cl|12|€ 1.234,56",
            "1234.56",
        ),
        ("Código|Producto|Formato|Uds/caja|Precio", "A-1|Vinagre|250 ml|12|1 234,56 €", "1234.56"),
        ("Codice|Descrizione|Formato|Confezione|Prezzo", "C-1|Barbera|75 cl|6|9,20 €", "9.20"),
        ("Código|Produto|Capacidade|Embalagem|Preço", "C-1|Vinho tinto|75 cl|6|R$ 45,00", "45.00"),
        ("Artikelcode|Omschrijving|Inhoud|Verpakking|Prijs", "N-1|Jenever|1 l|6|€ 14,50", "14.50"),
        ("Indeks|Nazwa|Pojemność|Opakowanie|Cena netto", "P-1|Sok|330 ml|24|2,19 zł", "2.19"),
        ("Артикул|Наименование|Объем|В упаковке|Цена, руб.", "К-1|Сок|1 л|12|93,60", "93.60"),  # noqa: RUF001
        ("貨號|名稱|容量|入数|單價 NT$", "C-1|烏龍茶|600 ml|24|93.60", "93.60"),
        ("Код|Назва|Об'єм|В упаковці|Ціна, грн", "У-1|Сік|1 л|12|93,60", "93.60"),  # noqa: RUF001
    ],
)
def test_headers_and_numbers_of_many_languages(header: str, row: str, expected: str):
    item = only(f"{header}\n{row}")
    assert item.sku is not None
    assert item.price == Decimal(expected)
    assert item.size_ml is not None
    assert item.pack_count is not None
    assert item.currency is not None or "Prix" in header


@pytest.mark.parametrize("header", ["SKU", "Art.-Nr.", "Item No.", "Order code"])
@pytest.mark.parametrize(
    "skus",
    [
        ["BDHL", "CGNW", "DJTH", "EMZS"],  # letters only
        ["1", "2", "3", "4"],
        ["AB 0 C/0", "AB 1 C/3", "AB 2 C/6", "AB 3 C/9"],
        ["TBA-1", "CALL-2", "NET", "FREE"],
    ],
)
def test_what_a_header_plainly_calls_skus_are_skus(header: str, skus: list[str]):
    names = ["Anvil", "Hammer, large", "Tongs", "Rivet set"]
    rows = [[header, "Product", "Price"]]
    rows += [[sku, name, "7.50"] for sku, name in zip(skus, names, strict=True)]
    assert [item.sku for item in read(rows).items] == skus


@pytest.mark.parametrize("header", ["Nr.", "No", "#", "Item"])
def test_numbers_of_rows_are_no_skus(header: str):
    rows = [[header, "Product", "Price"]]
    rows += [[str(i), f"Anvil of {i} kg", "7.50"] for i in range(1, 6)]
    assert {item.sku for item in read(rows).items} == {None}


def test_a_brand_may_be_called_like_what_is_said_in_place_of_a_price():
    rows = """
SKU | Brand       | Name  | Price
A-1 | Market Lane | Cup   | $2.50
A-2 | n/a         | Mug   | $3.50
n/a | Free Press  | Plate | $4.50
"""
    found = read(rows).items
    assert [item.brand for item in found] == ["Market Lane", None, "Free Press"]
    assert [item.sku for item in found] == ["A-1", "A-2", None]


def test_three_header_lines_make_one_header():
    rows = table("""
        |                |      | Price in EUR |          |
Item    | Description    | Pack | Case         | Bottle   | Stock
code    |                |      |              |          | cases
K-1     | Kaffee Röstung | 6    | 54.00        | 9.00     | 12
K-2     | Kaffee Crema   | 6    | 60.00        | 10.00    | 3
""")
    found = read(rows, merged=[Area(0, 3, 0, 4)])
    item = found.items[0]
    assert (item.sku, item.price, item.price_basis, item.currency) == ("K-1", 54, "case", "EUR")
    assert [(other.price, other.basis) for other in item.price_alternatives] == [(9, "bottle")]
    assert len(found.items) == 2


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


def test_names_of_wrongly_read_letters_lower_the_confidence():
    rows = "SKU | Name | Price\nA-1 | CafÃ© crÃ¨me | $4.00\nA-2 | ThÃ© glacÃ© | $3.00"
    (sheet,) = read(rows).sheets
    assert sheet.confidence < LEAST_CONFIDENCE
    assert "letters look wrong" in sheet.reasons[-1]


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


def test_a_repeated_header_and_stacked_tables_are_read_through():
    rows = """
SKU | Product | Price EUR
A-1 | Plate   | 4.00
SKU | Product | Price EUR
A-2 | Bowl    | 5.00

Code | Wine  | Vintage | Size  | Bottle Price USD
W-1  | Rosso | 2020    | 750ml | 11.00
"""
    found = read(rows)
    assert [(item.sku, item.currency) for item in found.items] == [
        ("A-1", "EUR"),
        ("A-2", "EUR"),
        ("W-1", "USD"),
    ]
    assert found.sheets[0].tables == 2


def test_tables_side_by_side_are_both_read():
    rows = """
SKU  | Product       | Price | | SKU   | Product    | Price
MUGS |               |       | |       | JUGS       |
M-10 | Mug of clay   | 4.50  | | J-10  | Jug of tin | 14.50
M-11 | Mug of glass  | 5.50  | | J-11  | Carafe     | 15.50
M-12 | Mug of steel  | 6.50  | |       |            |
"""
    found = read(rows)
    assert [(item.sku, item.name, str(item.price), item.row) for item in found.items] == [
        ("M-10", "Mug of clay", "4.50", 3),
        ("M-11", "Mug of glass", "5.50", 4),
        ("M-12", "Mug of steel", "6.50", 5),
        ("J-10", "Jug of tin", "14.50", 3),
        ("J-11", "Carafe", "15.50", 4),
    ]
    assert [item.section for item in found.items] == [("MUGS",)] * 3 + [("JUGS",)] * 2
    assert {str(item.characteristics) for item in found.items} == {"{}"}
    assert (found.sheets[0].items, found.sheets[0].tables) == (5, 2)


def test_an_empty_column_within_a_table_parts_nothing():
    rows = """
SKU  | Wine   | FOB Price | | Description    | Retail Price
W-10 | Rosso  | $4.50     | | Red, in oak    | $9.00
W-11 | Bianco | $5.50     | | White, in clay | $11.00
"""
    found = read(rows)
    assert [item.sku for item in found.items] == ["W-10", "W-11"]
    assert found.sheets[0].tables == 1


def test_without_a_header_values_alone_decide():
    rows = """
LX-2001 | Château Exemple Rouge | 2019 | 12/750ml | $120.00
LX-2002 | Château Exemple Blanc | 2021 | 12/750ml | $96.00
LX-2003 | Domaine Test Rosé     | NV   | 6/1.5L   | $88.50
"""
    found = read(rows)
    item = found.items[2]
    assert (item.sku, item.vintage, item.size_ml, item.pack_count) == ("LX-2003", "NV", 1500, 6)
    assert item.price == Decimal("88.50")
    assert "no header" in " ".join(found.sheets[0].reasons)


def test_a_sheet_without_header_borrows_the_labels_of_one_laid_out_alike():
    body = """
Q-{n}1 | Wine {n} one   | 2020 | 750ml | 12 | $100.00 | red
Q-{n}2 | Wine {n} two   | 2021 | 750ml | 12 | $110.00 | white
Q-{n}3 | Wine {n} three | 2022 | 750ml | 12 | $120.00 | red
"""
    header = "Code | Wine | Vintage | Size | Pack | FOB | Kind of soil"
    with_header = table(header + "\n" + body.format(n=1).strip())
    found = read_price_list(book(Sheet("A", with_header), Sheet("B", table(body.format(n=2)))))
    assert next(item.characteristics for item in found.items if item.sheet == "B") == {
        "Kind of soil": "red"
    }


def test_a_sheet_of_whole_prices_without_header_is_a_list_where_another_shows_its_layout():
    mugs = "SKU | Product | Price\nA-100 | Blue mug | 12\nA-101 | Red mug | 15\nA-102 | Bowl | 22"
    jugs = "B-100 | Blue jug | 31\nB-101 | Red jug | 28\nB-102 | Carafe | 40"
    terms = "1 | Minimum order | 300\n2 | Days to deliver | 5\n3 | Days to return | 14"
    sheets = [
        Sheet(name, table(text)) for name, text in zip("MJT", (mugs, jugs, terms), strict=True)
    ]
    found = read_price_list(book(*sheets))
    assert [sheet.role for sheet in found.sheets] == [Role.ITEMS, Role.ITEMS, Role.NOTES]
    assert [(item.sku, item.price) for item in found.items if item.sheet == "J"] == [
        ("B-100", 31),
        ("B-101", 28),
        ("B-102", 40),
    ]
    assert read_price_list(book(sheets[1])).items == ()  # alone, the numbers may be anything


def test_banners_become_sections_outermost_first():
    rows = """
SKU | Name | Size | Price
FRANCE |||
LOIRE |||
A-1 | Sancerre | 75 cl | 12.00
JURA |||
A-2 | Savagnin | 75 cl | 22.00
ITALY |||
SICILY |||
A-3 | Nero | 75 cl | 9.00
"""
    grid = table(rows)
    big, small = Style(18.0), Style(14.0)
    styles = {(1, 0): big, (2, 0): small, (4, 0): small, (6, 0): big, (7, 0): small}
    assert [item.section for item in read(grid, styles=styles).items] == [
        ("FRANCE", "LOIRE"),
        ("FRANCE", "JURA"),
        ("ITALY", "SICILY"),
    ]


def test_sections_of_one_look_nest_by_their_distance_from_the_items():
    rows = """
Name | Price
Tools |
Hammers |
Claw hammer | $7.35
Saws |
Hand saw | $5.10
"""
    assert [item.section for item in read(rows).items] == [("Tools", "Hammers"), ("Tools", "Saws")]


def test_a_section_says_what_its_prices_are_for():
    rows = """
Wine      | FOB price | Cases
Rosso     | $82.00    | 500
Bianco    | $68.00    | 20
PRICES IN BOTTLES ||
Grand Cru | $48.33    | 7
"""
    assert [item.price_basis for item in read(rows).items] == ["case", "case", "bottle"]


def test_notes_totals_and_contacts_are_no_items():
    rows = """
Spring price list 2026 |||
All prices in GBP, ex VAT. Orders by phone: +44 20 7946 0000 |||
Part No | Product     | Pack | Unit price
S-1     | Screw 4x40  | 200  | 0.02
S-2     | Screw 5x50  | 100  | 0.04
Total   |             |      | 0.06
www.example.com |||
"""
    found = read(rows)
    assert [item.sku for item in found.items] == ["S-1", "S-2"]
    assert {item.currency for item in found.items} == {"GBP"}
    assert found.items[0].section == ()


def test_the_second_line_of_an_item_is_no_item():
    rows = """
Wine            | Vintage | Size     | case price bottle price
ESTATE ONE      |         |          |
"Prima" Bianco  | 2021    | 12/750ml | $132.00
arneis, in oak  |         |          | $11.00
"Seconda" Rosso | 2022    | 12/750ml | $150.00
barbera         |         |          | $12.50
"Terza" Rosso   | 2020    | 6/1.5L   | $180.00
nebbiolo        |         |          | $30.00
"""
    found = read(rows)
    assert [item.name for item in found.items] == [
        '"Prima" Bianco',
        '"Seconda" Rosso',
        '"Terza" Rosso',
    ]
    item = found.items[0]
    assert [(p.price, p.basis) for p in item.price_alternatives] == [(11, "bottle")]
    assert item.characteristics["details"] == "arneis, in oak"
    assert item.section == ("ESTATE ONE",)


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


def test_hidden_rows_are_marked_and_hidden_sheets_skipped_with_a_notice():
    grid = table(WINES)
    found = read_price_list(
        book(Sheet("Now", grid, hidden_rows=frozenset({2})), Sheet("Old", grid, hidden=True))
    )
    assert [item.hidden for item in found.items] == [False, True, False, False]
    assert [sheet.role for sheet in found.sheets] == [Role.ITEMS, Role.HIDDEN]
    assert any("'Old' is hidden" in notice for notice in found.notices)


def test_hidden_sheets_are_read_on_demand():
    found = read_price_list(
        book(Sheet("Old", table(WINES), hidden=True)), ReadSettings(include_hidden_sheets=True)
    )
    assert all(item.hidden for item in found.items)
    assert len(found.items) == 4


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


def test_bad_rows_go_to_quarantine_and_the_rest_goes_on():
    rows = """
SKU | Name | Size  | Price EUR
A-1 | Tea  | 100 g | 4.50
A-2 |      | 200 g | 5.00
A-3 | Mate | 500 g | 5.00 8.00
A-4 | Chai | 500 g | -3.00
A-5 | Rooi | 100 g | 6.00
"""
    found = read(rows)
    assert [item.sku for item in found.items] == ["A-1", "A-5"]
    assert [(reject.row, reject.content["SKU"]) for reject in found.quarantine] == [
        (3, "A-2"),
        (4, "A-3"),
        (5, "A-4"),
    ]
    assert "no name" in found.quarantine[0].reason
    assert "'5.00 8.00' is not one price" in found.quarantine[1].reason
    assert "below zero" in found.quarantine[2].reason
    assert found.counters["rows/quarantined"] == 3


def test_a_cell_of_endless_text_costs_one_row_and_no_time():
    rows = [["SKU", "Name", "Price"], ["A-1", "Cup", 2.5], ["A-2", "x" * 300_000, 3.0]]
    found = read(rows)
    assert [item.sku for item in found.items] == ["A-1"]
    assert "at most 2000 characters" in found.quarantine[0].reason


def test_duplicates_are_marked_and_what_differs_in_vintage_size_or_pack_is_none():
    rows = """
SKU | Wine  | Vintage | Size  | Pack | Price
A-1 | Rosso | 2020    | 750ml | 6    | $60.00
A-1 | Rosso | 2021    | 750ml | 6    | $60.00
A-1 | Rosso | 2020    | 1.5L  | 6    | $60.00
A-1 | Rosso | 2020    | 750ml | 12   | $60.00
A-1 | Rosso | 2020    | 750ml | 6    | $66.00
"""
    found = read(rows)
    assert [item.duplicate_of for item in found.items] == [None, None, None, None, "Prices!2"]
    assert len(list(found.distinct())) == 4
    assert found.counters["items/duplicate_other_price"] == 1


def test_column_mapping_overrules_by_header_or_letter():
    rows = """
Code | Ref  | Text A        | Text B         | X     | Y
A-1  | Z-91 | internal note | Green tea 100g | $4.00 | $9.00
A-2  | Z-92 | internal text | Black tea 100g | $5.00 | $8.00
"""
    settings = ReadSettings(column_mapping={"sku": "ref", "name": "D", "price": "Y"})
    item = read(rows, settings).items[0]
    assert (item.sku, item.name, item.price) == ("Z-91", "Green tea 100g", 9)


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


def test_a_declared_column_without_values_is_no_fault():
    rows = """
Code | Text           | EAN | Price
A-1  | Green tea 100g |     | $9.00
A-2  | Black tea 100g |     | $8.00
"""
    found = read(rows, ReadSettings(column_mapping={"gtin": "EAN"}))
    assert [item.gtin for item in found.items] == [None, None]


def test_a_declared_column_that_no_table_has_is_told_with_those_there_are():
    with pytest.raises(BadConfig, match=r"no table has sku: 'Ref', price: 'ZZ'; .*'Case Price'"):
        read(WINES, ReadSettings(column_mapping={"sku": "Ref", "price": "ZZ"}))


def test_a_title_above_the_header_is_no_item_where_columns_are_declared_by_letter():
    rows = """
Tea of the season | 2026
Code | Text           | Price
A-1  | Green tea 100g | 9.00
A-2  | Black tea 100g | 8.00
"""
    found = read(rows, ReadSettings(column_mapping={"sku": "A", "name": "B", "price": "C"}))
    assert [item.name for item in found.items] == ["Green tea 100g", "Black tea 100g"]


def test_settings_that_name_what_is_not_there_are_refused():
    with pytest.raises(BadConfig, match="no field 'cost'"):
        read(WINES, ReadSettings(column_mapping={"cost": "A"}))
    with pytest.raises(BadConfig, match="no sheet 'Tea'; there are Prices"):
        read(WINES, ReadSettings(sheet_name="Tea"))


def test_notes_and_empty_sheets_are_told_apart():
    found = read_price_list(
        book(
            Sheet("Terms", table("Terms of sale\nMinimum order 300 euros\nPhone | 912345678")),
            Sheet("Blank", [["", None], [" "]]),
        )
    )
    assert [sheet.role for sheet in found.sheets] == [Role.NOTES, Role.EMPTY]
    assert found.items == ()


def test_gtins_need_their_check_digit_and_get_lost_zeros_back():
    rows = [
        ["Name", "EAN", "Price"],
        ["Lamp", 4006381333931.0, 2.5],
        ["Bulb", "4006381333932", 2.5],
        ["Plug", 36000291452.0, 2.5],
        ["Wire", "n/a", 2.5],
    ]
    found = read(rows)
    assert [item.gtin for item in found.items] == ["4006381333931", None, "036000291452", None]
    assert found.items[1].characteristics == {"EAN": "4006381333932"}  # kept as printed
    assert found.counters["items/gtin_invalid"] == 1


def test_gtins_that_a_spreadsheet_has_rounded_are_kept_as_printed_and_counted():
    rows = [["EAN", "Name", "Price"], ["4,00638E+12", "Lamp", 2.5], ["4,00639E+12", "Bulb", 3.5]]
    found = read(rows)
    assert [item.gtin for item in found.items] == [None, None]
    assert [item.characteristics["EAN"] for item in found.items] == ["4,00638E+12", "4,00639E+12"]
    assert found.counters["items/gtin_invalid"] == 2


def test_what_is_no_field_is_kept_as_characteristics():
    rows = """
SKU | Name | Price | Grape     | Next delivery
A-1 | Red  | $9.00 | sangiovese | March
"""
    assert only(rows).characteristics == {"Grape": "sangiovese", "Next delivery": "March"}


def test_features_of_the_name_are_extracted_before_matching():
    item = only("Model | Description | Price USD\nPX-77 | Adapter 220-240V 60W, 2 x 1.5 m | 8.00")
    assert item.specs["voltage_v"] == [220.0, 240.0]
    assert item.specs["power_w"] == [60.0, 60.0]


def test_reading_twice_gives_the_same():
    assert read(WINES).as_json() == read(WINES).as_json()


def test_a_retail_price_alone_is_no_trade_price():
    rows = """
SKU | Name | Net price | RRP
A-1 | Cup  | 2.50      | 4.00
A-2 | Mug  |           | 5.00
"""
    item = read(rows).items[1]
    assert item.price is None
    assert [(p.price, p.basis) for p in item.price_alternatives] == [(5, "retail")]


def test_ounces_among_bottles_are_a_volume():
    rows = """
SKU | Name  | Size  | Price
A-1 | Cider | 750ml | $9.00
A-2 | Perry | 500ml | $9.00
A-3 | Beer  | 12oz  | $3.00
"""
    assert read(rows).items[2].size_ml == pytest.approx(354.88, abs=0.01)


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


def test_a_name_printed_once_per_group_is_carried_down():
    rows = """
Product    | Diameter | Price EUR
Pipe elbow | 20       | 1.10
           | 25       | 1.40
           | 32       | 1.90
Pipe cap   | 20       | 0.60
           | 25       | 0.80
"""
    found = read(rows)
    assert [item.name for item in found.items] == [
        "Pipe elbow",
        "Pipe elbow 25",
        "Pipe elbow 32",
        "Pipe cap",
        "Pipe cap 25",
    ]
    assert found.quarantine == ()


CELLS = st.one_of(
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**6), 10**6),
    st.booleans(),
    st.dates(),
    st.text(max_size=12),
    st.sampled_from(
        ["SKU", "Name", "Price", "€ 12,50", "POA", "750ml", "2020", "12", "A-1", "Total"]
    ),
)


@given(st.lists(st.lists(CELLS, max_size=6), max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_grid_is_read_and_no_row_is_two_things(rows: list[list[Cell]]):
    found = read(rows)
    places = [(one.sheet, one.row) for one in (*found.items, *found.quarantine)]
    assert len(places) == len(set(places)) <= len(rows)
    found.as_json()
