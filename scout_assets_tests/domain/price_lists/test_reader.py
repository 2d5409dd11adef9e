"""Reading price lists without any configuration: what a supplier sends, what we get."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.grids import Cell
from scout_assets.domain.price_lists.model import Role
from scout_assets.domain.price_lists.reader import ReadSettings
from scout_assets.domain.quality import LEAST_CONFIDENCE
from scout_assets_tests.domain.price_lists.lists import WINES, only, read


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


def test_names_of_wrongly_read_letters_lower_the_confidence():
    rows = "SKU | Name | Price\nA-1 | CafÃ© crÃ¨me | $4.00\nA-2 | ThÃ© glacÃ© | $3.00"
    (sheet,) = read(rows).sheets
    assert sheet.confidence < LEAST_CONFIDENCE
    assert "letters look wrong" in sheet.reasons[-1]


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


def test_ounces_among_bottles_are_a_volume():
    rows = """
SKU | Name  | Size  | Price
A-1 | Cider | 750ml | $9.00
A-2 | Perry | 500ml | $9.00
A-3 | Beer  | 12oz  | $3.00
"""
    assert read(rows).items[2].size_ml == pytest.approx(354.88, abs=0.01)


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
