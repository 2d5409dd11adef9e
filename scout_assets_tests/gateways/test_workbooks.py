"""Workbooks from bytes: every form of file, its looks, and hostile or broken ones."""

import io
import struct
import zipfile
from collections.abc import Sequence

import openpyxl
import pytest
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.styles import Font

from scout_assets.domain.failures import BrokenContract, Refused
from scout_assets.domain.grids import Area, Place, Style, Workbook
from scout_assets.domain.price_lists.reader import read_price_list
from scout_assets.domain.quality import LEAST_CONFIDENCE
from scout_assets.gateways.workbooks import Limits, read_workbook

ROWS: list[list[object]] = [["SKU", "Name", "Price"], ["A-1", "Cup", 2.5], ["A-2", "Mug", 3]]


def saved(book: openpyxl.Workbook) -> bytes:
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def xlsx(rows: Sequence[Sequence[object]] = ROWS) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    return saved(book)


def repacked(data: bytes, **parts: bytes | None) -> bytes:
    """The same package with parts replaced, added, or (None) left out; "__" stands for "/"."""
    stream = io.BytesIO()
    changed = {name.replace("__", "/").replace("_DOT_", "."): body for name, body in parts.items()}
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            if name not in changed:
                new.writestr(name, old.read(name))
        for name, body in changed.items():
            if body is not None:
                new.writestr(name, body)
    return stream.getvalue()


def sheet_xml(cells: str) -> bytes:
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<worksheet xmlns="{space}"><sheetData>{cells}</sheetData></worksheet>'.encode()


def texts(book: Workbook) -> list[list[str]]:
    return [[str(cell) for cell in row] for row in book.sheets[0].rows]


# Forms


def test_an_xlsx_is_read_with_typed_values():
    book = read_workbook(xlsx(), "list.xlsx")
    assert (book.form, book.sheets[0].name) == ("xlsx", "Sheet")
    assert book.sheets[0].rows[1] == ["A-1", "Cup", 2.5]
    assert book.notices == ()


def test_rows_keep_their_numbers_when_the_top_is_empty():
    book = openpyxl.Workbook()
    book.active["B4"] = "here"
    sheet = read_workbook(saved(book), "list.xlsx").sheets[0]
    assert sheet.rows[3][1] == "here"
    assert sheet.place(3) == Place("Sheet", 4)


@pytest.mark.parametrize("delimiter", list(",;\t|^~:#\xa6\xa7"))
def test_any_delimiter_is_found(delimiter: str):
    text = "\n".join(delimiter.join(map(str, row)) for row in [*ROWS, ["A-3", "Pot", "9.60"]])
    assert texts(read_workbook(text.encode(), "list.csv"))[3] == ["A-3", "Pot", "9.60"]


def test_decimal_commas_do_not_make_a_comma_the_delimiter():
    text = "SKU;Name;Price\nA-1;Cup;93,60\nA-2;Mug;1.234,56\n"
    assert texts(read_workbook(text.encode(), "list.csv"))[1] == ["A-1", "Cup", "93,60"]


def test_the_delimiter_hint_of_spreadsheets_is_obeyed_and_is_no_row():
    assert texts(read_workbook(b"sep=;\na;1,5\nb;2,5\n", "list.csv")) == [
        ["a", "1,5"],
        ["b", "2,5"],
    ]


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("utf-8", "Röstkaffee;Crème;12,00 €"),
        ("utf-8-sig", "Röstkaffee;Crème;12,00 €"),
        ("utf-16", "Röstkaffee;Crème;12,00 €"),
        ("utf-16-le", "Röstkaffee;Crème;12,00 €"),
        ("cp1252", "Röstkaffee;Crème brûlée;12,00 €"),
        ("cp1250", "Kawa żółta i mięta;Śliwka;12,00 zł"),
        ("cp1251", "Кофе в зёрнах, обжарка средняя;Чай чёрный листовой;12,00"),
        ("iso8859-2", "Kawa żółta i mięta;Śliwka;12,00"),
        ("iso8859-15", "Kaffee;Becher;12,00 €"),
        ("cp850", "Röstkaffee;Käsemesser;12,00"),
        ("cp1254", "Türk kahvesi öğütülmüş;Çay bardağı;12,00"),  # noqa: RUF001
        ("koi8-r", "Кофе в зёрнах, обжарка средняя;Чай чёрный листовой;12,00"),
        ("cp866", "Кофе в зёрнах;Чай чёрный;12,00"),
        ("cp1252", "Château blanc, Grüner Veltliner;Albariño, São João;12,00"),
        ("cp1252", "Pipe Ø 25 mm;naïve;12,00"),
        ("gb18030", "蓝色马克杯;红色盘子;12.50"),
        ("euc-kr", "파란 머그컵;빨간 접시;12500"),
        ("cp932", "青いマグカップ;赤いお皿;1250"),
        ("big5", "藍色馬克杯;紅色盤子;12.50"),
        ("big5", "T1 馬克杯 350 ml;藍色;12.50"),
        ("gb18030", "T1 马克杯 350 ml;蓝色;12.50"),
        ("cp932", "T1 マグカップ 350 ml;アオ;1250"),
        ("euc_jp", "T1 マグカップ 350 ml;アオ;1250"),
    ],
)
def test_character_sets_are_found(charset: str, text: str):
    body = "Name;Art;Preis\n" + "\n".join([text] * 3)
    assert texts(read_workbook(body.encode(charset), "list.csv"))[1] == text.split(";")


def test_encoding_and_delimiter_can_be_declared():
    body = "Name;Preis, netto\nkávé;12\n".encode("iso8859-2")
    book = read_workbook(body, "list.csv", encoding="koi8-r", delimiter=",")
    assert texts(book) == [["Name;Preis", " netto"], ["kАvИ;12"]]  # noqa: RUF001
    assert book.notices == ()
    with pytest.raises(BrokenContract, match=r"not ascii .*see `encoding`"):
        read_workbook(body, "list.csv", encoding="ascii")


def test_a_guess_that_gives_the_letters_of_no_language_lowers_the_confidence():
    names = ("ชาเขียว", "กาแฟดำ", "น้ำผึ้งป่า")
    body = "SKU;Name;Price\n" + "".join(f"A-{i};{name};9.50\n" for i, name in enumerate(names))
    book = read_workbook(body.encode("cp874"), "list.csv")
    assert "hardly right" in book.notices[0]
    (sheet,) = read_price_list(book).sheets
    assert sheet.confidence < LEAST_CONFIDENCE
    assert "name the character set in encoding" in sheet.reasons[-1]
    declared = read_price_list(read_workbook(body.encode("cp874"), "list.csv", encoding="cp874"))
    assert [item.name for item in declared.items] == list(names)
    assert declared.sheets[0].confidence > LEAST_CONFIDENCE


def test_a_few_spoilt_letters_do_not_make_utf8_another_character_set():
    body = ("Name;Price\n" + "Rösti Müsli Käse Brötchen Öl;9,50\n" * 20).encode()
    book = read_workbook(body + b"Caf\xe9;9,50\n", "list.csv")
    assert texts(book)[1][0] == "Rösti Müsli Käse Brötchen Öl"
    assert texts(book)[-1][0] == "Caf\ufffd"
    assert "1 letters of its UTF-8 are spoilt" in book.notices[0]


def test_quotes_that_are_never_closed_are_inches():
    body = (
        'name,size,price\n"Monitor" A,24",99.00\nMonitor B,27",149.00\n"open,1,2\n' + "x,1,2\n" * 60
    )
    rows = texts(read_workbook(body.encode(), "list.csv"))
    assert len(rows) == 64
    assert rows[2] == ["Monitor B", '27"', "149.00"]


def test_a_quote_that_is_never_closed_costs_its_own_line_only():
    quoted = [f'A-{i},"Plate, {i} cm",{i}.20' for i in range(10)]
    body = "\n".join(["SKU,Name,Price", *quoted[:4], 'A-99,"Plate 24,7.20', *quoted[4:]])
    rows = texts(read_workbook(body.encode(), "list.csv"))
    assert rows[4] == ["A-3", "Plate, 3 cm", "3.20"]
    assert rows[5] == ["A-99", '"Plate 24', "7.20"]
    assert rows[-1] == ["A-9", "Plate, 9 cm", "9.20"]


def test_a_quote_that_is_never_closed_among_long_rows_is_no_fault():
    rows = [f"A-{i},Plate {i} {'y' * 900},{i}.20" for i in range(400)]
    rows[3] = rows[3].replace("Plate", '"Plate')
    read = texts(read_workbook("\n".join(["SKU,Name,Price", *rows]).encode(), "list.csv"))
    assert [row[0] for row in read[1:]] == [f"A-{i}" for i in range(400)]


def test_a_long_field_is_read_and_one_of_a_million_characters_is_told():
    rows = ["SKU,Name,Price", "A-1,Cup,2.50", f"A-2,{'x' * 200_000},3.00"]
    assert len(texts(read_workbook("\n".join(rows).encode(), "list.csv"))[2][1]) == 200_000
    rows.append(f"A-3,{'x' * 1_000_001},3.00")
    with pytest.raises(BrokenContract, match=r"line 4: field larger than .*in `delimiter`"):
        read_workbook("\n".join(rows).encode(), "list.csv")


def test_a_page_saved_as_xls_is_read_as_its_table():
    page = (
        "<html><body><table><tr><th>SKU</th><th colspan=2>Item</th><th>Price</th></tr>"
        "<tr><td>A-1</td><td>Cup</td><td>red</td><td><s>9.00</s> 7.50</td></tr>"
        "</table></body></html>"
    )
    book = read_workbook(page.encode(), "list.xls")
    assert texts(book) == [["SKU", "Item", "", "Price"], ["A-1", "Cup", "red", "7.50"]]
    assert book.sheets[0].merged == [Area(0, 1, 0, 2)]
    assert book.notices == ("named .xls but its content is html; read as html",)


def pdf(pages: Sequence[Sequence[tuple[int, int, str]]]) -> bytes:
    """A minimal PDF: per page its texts with their place in points."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    kids = []
    for page in pages:
        shows = b" ".join(
            b"1 0 0 1 %d %d Tm (%b) Tj" % (x, y, text.encode("latin-1")) for x, y, text in page
        )
        stream = b"BT /F1 10 Tf " + shows + b" ET"
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%b] /Count %d >>" % (b" ".join(kids), len(kids))
    body, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, one)
    start = len(body)
    body += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    body += b"".join(b"%010d 00000 n \n" % place for place in places)
    return body + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        len(objects) + 1,
        start,
    )


COLUMNS = (40, 110, 330, 400, 470)


def lines(rows: Sequence[Sequence[str]], top: int = 800) -> list[tuple[int, int, str]]:
    return [
        (x, top - 16 * number, text)
        for number, row in enumerate(rows)
        for x, text in zip(COLUMNS, row, strict=False)
    ]


def test_a_pdf_is_read_line_by_line_over_its_pages():
    first = [["Price list 2026"], ["SKU", "Product", "Size", "Pack", "Price EUR"]]
    first += [[f"T-1{n}", f"Olive oil number {n}", "500 ml", "12", f"6{n},50"] for n in range(6)]
    second = [[f"T-2{n}", f"Wine vinegar number {n}", "250 ml", "6", f"2{n},00"] for n in range(6)]
    book = read_workbook(pdf([lines(first), lines(second)]), "list.pdf")
    found = read_price_list(book)
    assert len(found.items) == 12
    assert (found.items[0].sheet, found.items[0].row, found.items[0].sku) == ("page 1", 3, "T-10")
    last = found.items[-1]
    assert (last.sheet, last.row, last.name) == ("page 2", 6, "Wine vinegar number 5")
    assert (str(last.price), last.currency, last.size_ml, last.pack_count) == (
        "25.00",
        "EUR",
        250,
        6,
    )


def test_a_pdf_without_text_says_that_it_is_a_scan():
    with pytest.raises(BrokenContract, match="likely a scan"):
        read_workbook(pdf([[]]), "scan.pdf")


# Looks


def test_struck_out_text_is_taken_out_and_remembered():
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["SKU", "Name", "Price"])
    sheet.append(["A-1", "Cup", 9])
    sheet["C2"].font = Font(strike=True)
    sheet.append(
        ["A-2", "Mug", CellRichText(TextBlock(InlineFont(strike=True), "$12.00"), " $9.50")]
    )
    read = read_workbook(saved(book), "list.xlsx")
    assert [row[2] for row in read.sheets[0].rows] == ["Price", "", "$9.50"]
    assert read.sheets[0].struck == {(1, 2): "9", (2, 2): "$12.00 $9.50"}
    assert read.counters["cells/struck_out"] == 2
    items = read_price_list(read).items
    assert [item.price for item in items] == [None, pytest.approx(9.5)]


def test_hidden_rows_columns_sheets_merges_formats_and_type():
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["BIG BANNER"])
    sheet.append(["A-1", "Cup", 9, 0.5])
    sheet.append(["A-2", "Mug", 8, 0.5])
    sheet.merge_cells("A1:D1")
    sheet["A1"].font = Font(size=20, bold=True)
    sheet.row_dimensions[3].hidden = True
    sheet.column_dimensions["D"].hidden = True
    for row in (2, 3):
        sheet.cell(row, 3).number_format = "[$€-407]#,##0.00"
        sheet.cell(row, 4).number_format = "0%"
    book.create_sheet("Old").sheet_state = "hidden"
    first, second = read_workbook(saved(book), "list.xlsx").sheets
    assert first.merged == [Area(0, 0, 0, 3)]
    assert (first.hidden_rows, first.hidden_columns) == ({2}, {3})
    assert (first.cell_format(1, 2), first.cell_format(1, 3)) == ("€", "%")
    assert first.styles[0, 0] == Style(20.0, "b")
    assert second.hidden


def test_formulas_give_their_stored_value_and_are_counted_without_one():
    cells = (
        '<row r="1"><c r="A1" t="inlineStr"><is><t>x</t></is></c>'
        '<c r="B1"><f>1+1</f><v>2</v></c></row>'
        '<row r="2"><c r="A2" t="inlineStr"><is><t>y</t></is></c><c r="B2"><f>1+2</f></c></row>'
    )
    book = read_workbook(
        repacked(xlsx(), xl__worksheets__sheet1_DOT_xml=sheet_xml(cells)), "list.xlsx"
    )
    assert book.sheets[0].rows[0] == ["x", 2.0]
    assert book.sheets[0].rows[1][1] in ("", None)
    assert book.counters["cells/formula_without_value"] == 1
    assert "1 formulas have no stored value" in book.notices[0]


@pytest.mark.parametrize("value", ["<v />", "<v/>", "<v></v>", "<v> </v>", ""])
def test_a_list_whose_formulas_were_never_computed_says_so(value: str):
    cells = (
        '<row r="{0}"><c r="A{0}" t="inlineStr"><is><t>Cup {0}</t></is></c>'
        '<c r="B{0}"><f>1+{0}</f>{1}</c></row>'
    )
    body = "".join(cells.format(row, value) for row in range(1, 4))
    data = repacked(xlsx(), xl__worksheets__sheet1_DOT_xml=sheet_xml(body))
    book = read_workbook(data, "list.xlsx")
    assert book.counters["cells/formula_without_value"] == 3
    assert "open the file in a spreadsheet program and save it" in book.notices[0]


def test_formulas_as_openpyxl_writes_them_have_no_value():
    book = read_workbook(xlsx([*ROWS, ["A-3", "Pot", "=C2*2"]]), "list.xlsx")
    assert book.counters["cells/formula_without_value"] == 1


# Hostile and broken files: a clear error that names the mend, and nothing is run


def test_an_empty_file():
    for data in (b"", b"  \n", b"\0\0\0"):
        with pytest.raises(BrokenContract, match=r"list\.csv is empty; ask for the file again"):
            read_workbook(data, "list.csv")


def test_a_wrong_extension_is_a_notice():
    book = read_workbook(xlsx(), "list.csv")
    assert book.form == "xlsx"
    assert book.notices == ("named .csv but its content is xlsx; read as xlsx",)
    assert book.counters["workbook/wrong_extension"] == 1


def test_a_bomb_is_refused_while_unpacking():
    bomb = b"<row></row>" * 6_000_000
    data = repacked(xlsx(), xl__worksheets__sheet9_DOT_xml=bomb)
    with pytest.raises(Refused, match="which only a bomb does"):
        read_workbook(data, "list.xlsx")


def test_many_parts_together_are_refused_too():
    parts = {f"xl__part{n}_DOT_xml": b"<a/>" * 100_000 for n in range(5)}
    with pytest.raises(Refused, match="save the list anew"):
        read_workbook(repacked(xlsx(), **parts), "list.xlsx", Limits(max_unpacked_bytes=1_000_000))


def test_macros_are_noticed_and_never_run():
    data = repacked(xlsx(), xl__vbaProject_DOT_bin=b"Sub AutoOpen()")
    book = read_workbook(data, "list.xlsm")
    assert book.form == "xlsm"
    assert book.sheets[0].rows[1] == ["A-1", "Cup", 2.5]
    assert "nothing is run" in book.notices[0]


def test_a_password_is_asked_to_be_taken_off():
    encrypted = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + "EncryptedPackage".encode("utf-16-le")
    )
    with pytest.raises(Refused, match="protected by a password; save it without one"):
        read_workbook(encrypted, "list.xlsx")


def test_stray_cells_far_out_are_refused_before_they_fill_the_memory():
    far = '<row r="1"><c r="A1"><v>1</v></c></row>'
    far += '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    data = repacked(xlsx(), xl__worksheets__sheet1_DOT_xml=sheet_xml(far))
    with pytest.raises(Refused, match=r"spans 17,179,869,184 cells.* drop stray cells"):
        read_workbook(data, "list.xlsx")


def test_a_million_rows_are_refused_and_a_million_empty_rows_are_not():
    full = "".join(f'<row r="{n}"><c r="A{n}"><v>1</v></c></row>' for n in range(1, 1_048_577))
    data = repacked(xlsx(), xl__worksheets__sheet1_DOT_xml=sheet_xml(full))
    with pytest.raises(Refused, match=r"has 1,048,576 rows.*; split the list"):
        read_workbook(data, "list.xlsx")
    styled = "".join(f'<row r="{n}"><c r="A{n}" s="0"/></row>' for n in range(2, 1_048_577))
    first = '<row r="1"><c r="A1"><v>1</v></c></row>'
    data = repacked(xlsx(), xl__worksheets__sheet1_DOT_xml=sheet_xml(first + styled))
    assert read_workbook(data, "list.xlsx").sheets[0].rows == [[1.0]]


def test_ten_thousand_columns_are_read():
    header = ["SKU", "Name", "Price", *[f"Extra {n}" for n in range(10_000)]]
    body = [[f"A-{n}", f"Thing {n}", 2.5 + n, *["x"] * 10_000] for n in range(3)]
    text = "\n".join(";".join(map(str, row)) for row in [header, *body])
    found = read_price_list(read_workbook(text.encode(), "wide.csv"))
    assert [item.sku for item in found.items] == ["A-0", "A-1", "A-2"]
    assert len(found.items[0].characteristics) == 10_000


def test_a_sheet_above_the_limit_of_cells_is_refused():
    with pytest.raises(Refused, match="more than 5 cells"):
        read_workbook(b"a,1\nb,2\nc,3\n", "list.csv", Limits(max_cells=5))


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_a_truncated_workbook_is_told_as_damaged(keep: float):
    data = xlsx([*ROWS, *[[f"A-{n}", "x" * n, n] for n in range(500)]])
    with pytest.raises(BrokenContract, match="damaged or cut short"):
        read_workbook(data[: int(len(data) * keep)], "list.xlsx")


def test_a_truncated_pdf_is_told_as_damaged():
    with pytest.raises(BrokenContract):
        read_workbook(pdf([lines([["a", "b"]])])[:60], "list.pdf")


def test_a_damaged_part_is_told_as_damaged():
    data = repacked(xlsx(), xl__styles_DOT_xml=b"<styleSheet><fonts>")
    with pytest.raises(BrokenContract, match="damaged"):
        read_workbook(data, "list.xlsx")


def test_nul_bytes_in_a_text_are_left_out_and_counted():
    body = "SKU,Name,Price\n" + "A-1,Cup,2.50\n" * 200
    data = body.encode().replace(b"Cup", b"C\0up", 1)
    book = read_workbook(data, "list.csv")
    assert texts(book)[1] == ["A-1", "Cup", "2.50"]
    assert book.counters["text/nul_removed"] == 1


@pytest.mark.parametrize(
    "data",
    [bytes(range(256)) * 20, b"\x89PNG\r\n\x1a\n" + bytes(400), b"\x7fELF" + b"\1\2\3" * 300],
)
def test_what_is_no_list_is_refused_as_such(data: bytes):
    with pytest.raises(BrokenContract, match="give csv, xlsx, ods or pdf"):
        read_workbook(data, "list.csv")


def test_a_packed_file_without_workbook_and_a_login_page():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("list.csv", "a,b")
    with pytest.raises(BrokenContract, match="unpack it and give the list inside"):
        read_workbook(stream.getvalue(), "list.zip")
    with pytest.raises(BrokenContract, match="likely a login or error page"):
        read_workbook(b"<!DOCTYPE html><html><body>Please sign in</body></html>", "list.xlsx")


def test_xml_entities_are_not_expanded():
    bomb = (
        b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY %c "%b">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
        + b"]><styleSheet><fonts>&j;</fonts></styleSheet>"
    )
    with pytest.raises(BrokenContract):
        read_workbook(repacked(xlsx(), xl__styles_DOT_xml=bomb), "list.xlsx")


ODS = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
    ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
)


def ods(rows: str) -> bytes:
    content = (
        f"<office:document-content {ODS}><office:body><office:spreadsheet>"
        f'<table:table table:name="Liste">{rows}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        packed.writestr("content.xml", content)
        packed.writestr("META-INF/manifest.xml", "<manifest/>")
    return stream.getvalue()


def test_an_ods_is_read():
    rows = (
        "<table:table-row><table:table-cell office:value-type='string'><text:p>SKU</text:p>"
        "</table:table-cell><table:table-cell office:value-type='float' office:value='2.5'>"
        "<text:p>2,50</text:p></table:table-cell></table:table-row>"
    )
    book = read_workbook(ods(rows), "list.ods")
    assert (book.form, book.sheets[0].name, book.sheets[0].rows) == ("ods", "Liste", [["SKU", 2.5]])


def test_an_ods_that_repeats_a_cell_without_end_is_refused():
    cell = '<table:table-cell table:number-columns-repeated="16384" office:value-type="float"/>'
    rows = f'<table:table-row table:number-rows-repeated="1048576">{cell}</table:table-row>'
    with pytest.raises(Refused, match="repeated cells"):
        read_workbook(ods(rows), "list.ods")


def test_declared_sizes_that_lie_are_found_out():
    data = bytearray(xlsx([*ROWS, *[[f"A-{n}", "x" * 50, n] for n in range(200)]]))
    at = data.rfind(b"PK\x01\x02")
    name_length = struct.unpack_from("<H", data, at + 28)[0]
    assert name_length > 0
    struct.pack_into("<I", data, at + 24, 10)  # the uncompressed size in the directory
    with pytest.raises(BrokenContract):
        read_workbook(bytes(data), "list.xlsx")
