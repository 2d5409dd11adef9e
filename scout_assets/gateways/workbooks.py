"""Workbooks from bytes: csv, xlsx, xlsm, xlsb, xls, ods, pdf and html tables as grids.

Belongs here: telling the form of a file by its content, limits against hostile files, and
opening it with the library for its form. Does not belong here: the looks of an xlsx
(`spreadsheet_looks`), text files (`charsets`, `delimited`), pages (`page_tables`), what cells mean
(domain `price_lists`). Nothing in a file is ever run: macros and formulas are not evaluated.

Counters: `workbook/<form>`, `workbook/wrong_extension`, `workbook/macros`,
`cells/formula_without_value`, `cells/struck_out`, `sheets/hidden`, `text/nul_removed`.
"""

import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import cast

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetVisibleEnum

from scout_assets.domain.failures import BrokenContract, Refused
from scout_assets.domain.grids import Area, Cell, Sheet, Workbook, shown
from scout_assets.gateways.charsets import decoded
from scout_assets.gateways.delimited import read_delimited, read_markup
from scout_assets.gateways.page_tables import read_pages
from scout_assets.gateways.spreadsheet_looks import Look, looks_of, sheet_parts, valued_extent

__all__ = ["Limits", "read_workbook"]

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_EXTENSIONS = {
    "csv": {"csv", "tsv", "txt", "tab", "psv"},
    "xlsx": {"xlsx"},
    "xlsm": {"xlsm"},
    "xlsb": {"xlsb"},
    "xls": {"xls"},
    "ods": {"ods"},
    "pdf": {"pdf"},
    "html": {"html", "htm"},
}
_REPEATING_ROW = re.compile(rb"<table:table-row([^>]*)>(.*?)</table:table-row>", re.DOTALL)
_FILLED_CELL = re.compile(rb"<table:table-cell([^>]*office:value-type=[^>]*)>")
_WIDE = re.compile(rb'number-columns-repeated="(\d{1,9})"')
_TALL = re.compile(rb'number-rows-repeated="(\d{1,9})"')
_READ_BY_SPREADSHEETS = re.compile(rb"\.(?:xml|rels|bin)$|^mimetype$", re.IGNORECASE)


@dataclass(frozen=True)
class Limits:
    """What a file may cost.

    max_unpacked_bytes: of all parts of a packed file together. max_ratio: unpacked to packed
    size of one part above 10 MB; sheets pack 10 to 60 times, bombs about 1,000 times.
    max_cells, max_rows: of one sheet, as its outermost filled cells span it. max_pages: of a PDF.
    """

    max_unpacked_bytes: int = 600_000_000
    max_ratio: int = 300
    max_cells: int = 8_000_000
    max_rows: int = 500_000
    max_pages: int = 2_000


def read_workbook(
    data: bytes,
    name: str,
    limits: Limits | None = None,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Workbook:
    """The sheets of a file. `name` is its name, for messages and for the notice about it.

    `encoding`, `delimiter`: of a text file, where the guess errs; other forms have none.

    Raises BrokenContract (empty, damaged, not a table), Refused (a limit, a password).
    """
    if not data.strip(b"\0 \t\r\n"):
        raise BrokenContract(f"{name} is empty; ask for the file again")
    opening = _Opening(data, name, limits or Limits(), encoding, delimiter, Counter(), [])
    form, sheets = opening.read()
    counters = opening.counters
    counters[f"workbook/{form}"] += 1
    counters["sheets/hidden"] += sum(sheet.hidden for sheet in sheets)
    counters["cells/struck_out"] += sum(len(sheet.struck) for sheet in sheets)
    opening.notice_extension(form)
    return Workbook(name, form, sheets, tuple(opening.notices), +counters)


@dataclass(frozen=True)
class _Opening:
    """One file being opened."""

    data: bytes
    name: str
    limits: Limits
    encoding: str | None
    delimiter: str | None
    counters: Counter[str]
    notices: list[str]

    def read(self) -> tuple[str, list[Sheet]]:
        head = self.data[:1024]
        if head.startswith(_ZIP):
            return self._packed()
        if head.startswith(_OLE):
            return self._compound()
        if b"%PDF-" in head:
            return "pdf", read_pages(
                self.data, self.name, self.limits.max_pages, self.limits.max_cells
            )
        text = decoded(self.data, self.name, self.counters, self.notices, self.encoding)
        start = text[:4096].lstrip("\ufeff \t\r\n").lower()
        if start.startswith(
            ("<?xml", "<!doctype", "<html", "<table", "<head", "<body", "<meta", "<div", "<style")
        ):
            return "html", read_markup(text, self.name, self.limits.max_cells)
        title, cells = PurePath(self.name).stem, self.limits.max_cells
        return "csv", [read_delimited(text, title, cells, self.delimiter)]

    def notice_extension(self, form: str) -> None:
        extension = PurePath(self.name).suffix.lstrip(".").lower()
        if extension and extension not in _EXTENSIONS[form]:
            self.counters["workbook/wrong_extension"] += 1
            self.notices.append(f"named .{extension} but its content is {form}; read as {form}")

    # Packed files: xlsx, xlsm, xlsb, ods

    def _packed(self) -> tuple[str, list[Sheet]]:
        parts = self._unpacked()
        if "xl/workbook.xml" in parts:
            form = "xlsm" if "xl/vbaProject.bin" in parts else "xlsx"
        elif "xl/workbook.bin" in parts:
            form = "xlsb"
        elif "content.xml" in parts and b"opendocument.spreadsheet" in parts.get("mimetype", b""):
            form = "ods"
        else:
            raise BrokenContract(
                f"{self.name} is packed and holds no workbook; unpack it and give the list inside"
            )
        if "xl/vbaProject.bin" in parts:
            self._notice_macros()
        if form == "ods":
            self._check_repeats(parts["content.xml"])
        return form, self._sheets(parts if form in ("xlsx", "xlsm") else {})

    def _unpacked(self) -> dict[str, bytes]:
        """Every part a spreadsheet reader would read, unpacked within the limits.

        Sizes are counted while unpacking: the declared ones can lie.
        """
        parts: dict[str, bytes] = {}
        left = self.limits.max_unpacked_bytes
        try:
            with zipfile.ZipFile(io.BytesIO(self.data)) as packed:
                for entry in packed.infolist():
                    if not _READ_BY_SPREADSHEETS.search(entry.filename.encode()):
                        continue
                    if entry.flag_bits & 1:
                        raise self._protected()
                    parts[entry.filename] = self._part(packed, entry, left)
                    left -= len(parts[entry.filename])
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, zlib.error) as error:
            raise self._damaged(error) from error
        return parts

    def _part(self, packed: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> bytes:
        bound = max(10_000_000, entry.compress_size * self.limits.max_ratio)
        bound = min(left, bound)
        with packed.open(entry) as stream:
            body = stream.read(bound + 1)
        if len(body) > bound:
            self.counters["workbook/bomb"] += 1
            raise Refused(
                f"{self.name}: {entry.filename} unpacks from {entry.compress_size:,} to more than"
                f" {bound:,} bytes, which only a bomb does; save the list anew"
            )
        return body

    def _check_repeats(self, content: bytes) -> None:
        """ODF repeats cells by a number; a filled cell repeated often unpacks without end."""
        spanned = 0
        for row in _REPEATING_ROW.finditer(content):
            cells = [match[1] for match in _FILLED_CELL.finditer(row[2])]
            wide = sum(int(found[1]) if (found := _WIDE.search(cell)) else 1 for cell in cells)
            tall = _TALL.search(row[1])
            spanned += wide * (int(tall[1]) if tall else 1)
        if spanned > self.limits.max_cells:
            raise self._too_large("its repeated cells", spanned)

    # Compound files: xls, and anything encrypted by a password

    def _compound(self) -> tuple[str, list[Sheet]]:
        if _utf16(b"EncryptedPackage") in self.data:
            raise self._protected()
        if _utf16(b"_VBA_PROJECT") in self.data:
            self._notice_macros()
        if not any(_utf16(stream) in self.data for stream in (b"Workbook", b"Book")):
            raise BrokenContract(
                f"{self.name} is an old Office file but no workbook; save the list as xlsx or csv"
            )
        return "xls", self._sheets({})

    # What calamine reads

    def _sheets(self, parts: Mapping[str, bytes]) -> list[Sheet]:
        try:
            looks = looks_of(parts) if parts else {}
            self._check_extents(parts, looks)
            for sheet_name, look in looks.items():
                self._count_formulas(sheet_name, look)
            with CalamineWorkbook.from_filelike(io.BytesIO(self.data)) as opened:
                return [
                    self._sheet(opened, meta.name, meta.visible, looks.get(meta.name, Look()))
                    for meta in opened.sheets_metadata
                ]
        except PasswordError as error:
            raise self._protected() from error
        except (CalamineError, ValueError, UnicodeDecodeError) as error:
            raise self._damaged(error) from error

    def _check_extents(self, parts: Mapping[str, bytes], looks: Mapping[str, Look]) -> None:
        """Before calamine, which makes room for every cell between the outermost ones."""
        for name, part in sheet_parts(parts) if parts else ():
            look = looks.get(name, Look())
            rows, columns = look.rows, look.columns
            if rows * columns > self.limits.max_cells or rows > self.limits.max_rows:
                rows, columns = valued_extent(parts[part])
            self._check_size(f"sheet {name!r}", rows, columns)

    def _check_size(self, what: str, rows: int, columns: int) -> None:
        if rows * columns > self.limits.max_cells:
            raise self._too_large(what, rows * columns)
        if rows > self.limits.max_rows:
            self.counters["workbook/too_large"] += 1
            raise Refused(
                f"{self.name}: {what} has {rows:,} rows, more than {self.limits.max_rows:,}; split"
                " the list"
            )

    def _sheet(
        self, opened: CalamineWorkbook, name: str, visible: SheetVisibleEnum, look: Look
    ) -> Sheet:
        grid = opened.get_sheet_by_name(name)
        if grid.end is not None:
            self._check_size(f"sheet {name!r}", grid.end[0] + 1, grid.end[1] + 1)
        rows = cast("list[list[Cell]]", grid.to_python(skip_empty_area=False))
        struck = _take_out(rows, look)
        merged = [Area(*first, *last) for first, last in grid.merged_cell_ranges or ()]
        return Sheet(
            name=name,
            rows=rows,
            hidden=visible is not SheetVisibleEnum.Visible,
            merged=merged,
            hidden_rows=look.hidden_rows,
            hidden_columns=look.hidden_columns,
            struck=struck,
            formats=look.formats,
            column_formats=look.column_formats,
            styles=look.styles,
        )

    def _count_formulas(self, sheet: str, look: Look) -> None:
        if look.formulas_without_value:
            self.counters["cells/formula_without_value"] += look.formulas_without_value
            self.notices.append(
                f"sheet {sheet!r}: {look.formulas_without_value} formulas have no stored value and"
                " read as empty; open the file in a spreadsheet program and save it"
            )

    # Failures

    def _notice_macros(self) -> None:
        self.counters["workbook/macros"] += 1
        self.notices.append("the file holds macros; only its values are read, nothing is run")

    def _protected(self) -> Refused:
        self.counters["workbook/protected"] += 1
        return Refused(f"{self.name} is protected by a password; save it without one")

    def _damaged(self, error: Exception) -> BrokenContract:
        self.counters["workbook/damaged"] += 1
        return BrokenContract(
            f"{self.name} is damaged or cut short ({error}); fetch it again or save it anew"
        )

    def _too_large(self, what: str, cells: int) -> Refused:
        self.counters["workbook/too_large"] += 1
        return Refused(
            f"{self.name}: {what} spans {cells:,} cells, more than {self.limits.max_cells:,}; drop"
            " stray cells far from the list, split it, or save it as csv"
        )


def _take_out(rows: list[list[Cell]], look: Look) -> dict[tuple[int, int], str]:
    """Take struck-out text out of the grid; what was struck, by cell."""
    struck: dict[tuple[int, int], str] = {}
    for (row, column), left in look.left_of_struck.items():
        if row < len(rows) and column < len(rows[row]) and rows[row][column] != "":
            struck[row, column] = shown(rows[row][column])
            rows[row][column] = left
    return struck


def _utf16(ascii_name: bytes) -> bytes:
    return ascii_name.decode().encode("utf-16-le")
