"""Text files as grids: csv, tsv and the like, and tables of html pages.

Belongs here: the delimiter, and the tables of a page saved under a spreadsheet's name. Does not
belong here: character sets (`charsets`), numbers and what cells mean (domain `price_lists`).
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from selectolax.lexbor import LexborHTMLParser, LexborNode

from scout_assets.domain.failures import BrokenContract, Refused
from scout_assets.domain.grids import Area, Cell, Sheet

__all__ = ["read_delimited", "read_markup"]

_FIELD_LIMIT = 1_000_000
_DELIMITERS = ("\t", ";", "|", ",", "^", "~", "\xa6", "\xa7", "#", ":")
"""On a draw the earlier: a comma is also a decimal mark."""
_LINES_TRIED = 300


def read_delimited(text: str, name: str, max_cells: int, delimiter: str | None = None) -> Sheet:
    """The one sheet of a csv; blank lines count as rows. `delimiter`: one sign, if not guessed.

    Raises Refused above `max_cells`, BrokenContract where a field is too long to be one.
    """
    csv.field_size_limit(_FIELD_LIMIT)  # of the process: putting it back would race with threads
    hint = re.match(r"sep=(.)\r?\n", text, re.IGNORECASE)
    delimiter = delimiter or (hint[1] if hint else _delimiter(text))
    body = text[hint.end() :] if hint else text
    rows: list[list[Cell]] = []
    cells = 0
    try:
        for row in _records(body, delimiter):
            cells += len(row)
            if cells > max_cells:
                raise Refused(f"{name} holds more than {max_cells:,} cells; split the list")
            rows.append(list(row))
    except csv.Error as error:
        raise BrokenContract(
            f"{name}, {error}; it is no list, or its delimiter is not {delimiter!r}: name the"
            " right one in `delimiter`"
        ) from error
    return Sheet(name, rows)


def _records(text: str, delimiter: str) -> list[list[str]]:
    """All records; where quotes are not well-formed, each line may be one by itself."""
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        by_line = list(_lines(io.StringIO(text, newline=None), delimiter))
    try:
        quoted = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:  # a field above the limit: the quote that opened it is no quote
        return by_line
    return max((quoted, by_line), key=_of_one_width)


def _of_one_width(records: Sequence[Sequence[str]]) -> float:
    """The share of records that have as many fields as most."""
    widths = Counter(len(record) for record in records if record)
    return max(widths.values(), default=0) / max(widths.total(), 1)


def _lines(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """A record per line; quotes that do not pair on a line are inches."""
    for number, line in enumerate(lines, 1):
        paired = line.count('"') % 2 == 0
        try:
            yield from csv.reader(
                [line],
                delimiter=delimiter,
                quoting=csv.QUOTE_MINIMAL if paired else csv.QUOTE_NONE,
            )
        except csv.Error as error:
            raise csv.Error(f"line {number}: {error}") from error


def _delimiter(text: str) -> str:
    """The one that cuts most lines into the same number of fields, at least two."""
    lines = [line for line in text.splitlines()[:_LINES_TRIED] if line.strip()]
    scores = {delimiter: _evenness(lines, delimiter) for delimiter in _DELIMITERS}
    return max(_DELIMITERS, key=lambda delimiter: scores[delimiter])


def _evenness(lines: Sequence[str], delimiter: str) -> float:
    widths = Counter(len(row) for row in _tried(lines, delimiter) if len(row) > 1)
    if not widths:
        return 0.0
    width, count = widths.most_common(1)[0]
    return float(count / len(lines) * min(width, 6) ** 0.5)


def _tried(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """The records of the first lines; fields too long are what this delimiter does not cut."""
    try:
        return list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        short = [line for line in lines if len(line) < _FIELD_LIMIT]
        return list(_lines(short, delimiter))


def read_markup(text: str, name: str, max_cells: int) -> list[Sheet]:
    """Each table of a page as a sheet; a table inside another is only read by itself.

    Raises BrokenContract when there is none.
    """
    if "urn:schemas-microsoft-com:office:spreadsheet" in text[:4096]:
        raise BrokenContract(f"{name} is XML of Excel 2003; open it and save it as xlsx")
    tables = [
        one for one in LexborHTMLParser(text).css("table") if one.css_first("table table") is None
    ]
    sheets = [_table(one, f"table {i}", max_cells, name) for i, one in enumerate(tables, 1)]
    if not any(sheet.rows for sheet in sheets):
        raise BrokenContract(
            f"{name} is a page without a table, likely a login or error page; open it in a browser"
        )
    return sheets


def _table(table: LexborNode, title: str, max_cells: int, name: str) -> Sheet:
    rows: list[list[Cell]] = []
    merged: list[Area] = []
    below: dict[tuple[int, int], bool] = {}
    cells = 0
    for number, line in enumerate(table.css("tr")):
        row: list[Cell] = []
        for cell in line.css("td, th"):
            while below.pop((number, len(row)), False):
                row.append("")
            wide, tall = _span(cell, "colspan"), _span(cell, "rowspan")
            cells += wide * tall
            if cells > max_cells:
                raise Refused(f"{name} holds more than {max_cells:,} cells; split the list")
            if wide > 1 or tall > 1:
                merged.append(Area(number, len(row), number + tall - 1, len(row) + wide - 1))
            at = len(row)
            below |= {(number + d, at + w): True for d in range(1, tall) for w in range(wide)}
            row.extend([_text(cell), *[""] * (wide - 1)])
        rows.append(row)
    return Sheet(title, rows, merged=merged)


def _span(cell: LexborNode, attribute: str) -> int:
    value = cell.attributes.get(attribute) or "1"
    return min(max(int(value), 1), 1000) if value.isdigit() else 1


def _text(cell: LexborNode) -> str:
    for struck in cell.css("s, del, strike"):
        struck.decompose()
    return re.sub(r"\s+", " ", cell.text(separator=" ")).strip()
