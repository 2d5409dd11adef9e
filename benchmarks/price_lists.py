"""(f) Reading a price list of 100,000 rows beside bare calamine and pandas with openpyxl.

Ours: `read_workbook`, with limits checked, every part unpacked and counted, struck-out and
hidden cells, merges and number formats; then also `read_price_list`, to validated items.
Limit: calamine's own `to_python` of the same bytes, without any of that. The file is made
here: ten columns, shared strings, as spreadsheet programs write them.
"""

import io
import zipfile
from collections.abc import Iterator, Sequence
from html import escape

import pandas
from python_calamine import CalamineWorkbook

from benchmarks.measuring import Measured, interleaved, seconds
from scout_assets.domain.grids import column_letter
from scout_assets.domain.price_lists.reader import read_price_list
from scout_assets.gateways.workbooks import read_workbook

HEADER = ("SKU", "Producer", "Wine", "Vintage", "Size", "Pack", "Case price", "Bottle price")
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def run(quick: bool) -> Iterator[Measured]:
    """The grid against calamine and pandas, then the whole way to items."""
    count, rounds = (2_000, 1) if quick else (100_000, 5)
    data = xlsx(list(rows(count)))
    if len(read_price_list(read_workbook(data, "made-up.xlsx")).items) != count:
        raise AssertionError(f"not all of {count} items were read")
    grid, bare = interleaved(
        rounds,
        lambda: seconds(lambda: read_workbook(data, "made-up.xlsx")),
        lambda: seconds(lambda: _bare(data)),
    )
    yield Measured(f"grid of an xlsx of {count:,} rows", grid, "bare calamine", bare, 2)
    frame = seconds(lambda: pandas.read_excel(io.BytesIO(data), engine="openpyxl"))
    yield Measured(f"grid of an xlsx of {count:,} rows", grid, "pandas + openpyxl", frame, 1)
    whole = seconds(lambda: read_price_list(read_workbook(data, "made-up.xlsx")))
    yield Measured(
        f"items of an xlsx of {count:,} rows",
        whole,
        "pandas + openpyxl, grid only",
        frame,
        note=f"{count / whole:,.0f} validated items/s",
    )


def _bare(data: bytes) -> object:
    with CalamineWorkbook.from_filelike(io.BytesIO(data)) as book:
        return book.get_sheet_by_index(0).to_python()


def rows(count: int) -> Iterator[Sequence[str | float]]:
    """A header and `count` wines."""
    yield (*HEADER, "Cases", "Notes")
    for n in range(count):
        case = 60 + n % 300
        maker, note = f"Estate {n % 500}", "in stock" if n % 3 else "new"
        name = f"Cuvée number {n}"
        yield (f"W-{n:06d}", maker, name, 2000 + n % 25, "750ml", 12, case, case / 12, n % 97, note)


def xlsx(table: Sequence[Sequence[str | float]]) -> bytes:
    """A workbook of one sheet with shared strings (ECMA-376)."""
    strings: dict[str, int] = {}
    lines = (_line(number, row, strings) for number, row in enumerate(table, 1))
    sheet = f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'
    shared = "".join(f"<si><t>{escape(text)}</t></si>" for text in strings)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
        for name, body in _frame():
            package.writestr(name, body)
        package.writestr("xl/sharedStrings.xml", f'<sst xmlns="{MAIN}">{shared}</sst>')
        package.writestr("xl/worksheets/sheet1.xml", sheet)
    return stream.getvalue()


def _line(number: int, row: Sequence[str | float], strings: dict[str, int]) -> str:
    cells = []
    for column, value in enumerate(row):
        place = f"{column_letter(column)}{number}"
        if isinstance(value, str):
            index = strings.setdefault(value, len(strings))
            cells.append(f'<c r="{place}" s="0" t="s"><v>{index}</v></c>')
        else:
            cells.append(f'<c r="{place}" s="1"><v>{value}</v></c>')
    return f'<row r="{number}">{"".join(cells)}</row>'


def _frame() -> Iterator[tuple[str, str]]:
    parts = {"workbook": "sheet.main", "styles": "styles", "sharedStrings": "sharedStrings"}
    types = "".join(
        f'<Override PartName="/xl/{part}.xml" ContentType="{WORKBOOK}.{kind}+xml"/>'
        for part, kind in (*parts.items(), ("worksheets/sheet1", "worksheet"))
    )
    relations = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
    relations += 'relationships+xml"/>'
    yield (
        "[Content_Types].xml",
        f'<Types xmlns="{PACKAGE}/content-types">{relations}{types}</Types>',
    )
    yield "_rels/.rels", _relations([("officeDocument", "xl/workbook.xml")])
    yield (
        "xl/_rels/workbook.xml.rels",
        _relations(
            [
                ("worksheet", "worksheets/sheet1.xml"),
                ("styles", "styles.xml"),
                ("sharedStrings", "sharedStrings.xml"),
            ]
        ),
    )
    yield (
        "xl/workbook.xml",
        f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>'
        '<sheet name="List" sheetId="1" r:id="rId1"/></sheets></workbook>',
    )
    yield (
        "xl/styles.xml",
        f'<styleSheet xmlns="{MAIN}"><numFmts count="1"><numFmt numFmtId="164" formatCode="0.00"/>'
        '</numFmts><fonts count="1"><font><sz val="11"/></font></fonts>'
        '<fills count="1"><fill><patternFill/></fill></fills>'
        '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
        '<cellXfs count="2"><xf numFmtId="0" fontId="0"/><xf numFmtId="0" fontId="0"/></cellXfs>'
        "</styleSheet>",
    )


def _relations(targets: Sequence[tuple[str, str]]) -> str:
    lines = "".join(
        f'<Relationship Id="rId{number}" Type="{RELATIONS}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{lines}</Relationships>'
