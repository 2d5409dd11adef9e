"""Sheets, tables and rows of a list: where the items are, and what is none."""

from decimal import Decimal

from scout_assets.domain.grids import Area, Sheet, Style
from scout_assets.domain.price_lists.model import Role
from scout_assets.domain.price_lists.reader import ReadSettings, read_price_list
from scout_assets_tests.domain.price_lists.lists import WINES, book, read, table


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


def test_notes_and_empty_sheets_are_told_apart():
    found = read_price_list(
        book(
            Sheet("Terms", table("Terms of sale\nMinimum order 300 euros\nPhone | 912345678")),
            Sheet("Blank", [["", None], [" "]]),
        )
    )
    assert [sheet.role for sheet in found.sheets] == [Role.NOTES, Role.EMPTY]
    assert found.items == ()


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
