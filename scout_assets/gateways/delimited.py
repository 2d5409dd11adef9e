"""Text files as grids: csv, tsv and the like, and tables of html pages.

Belongs here: the character set, the delimiter, and the tables of a page saved under a
spreadsheet's name. Does not belong here: numbers and what cells mean (domain `price_lists`).

Counters: `text/nul_removed`, `text/charset_guessed`.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from charset_normalizer import from_bytes
from selectolax.lexbor import LexborHTMLParser, LexborNode

from scout_assets.domain.failures import BrokenContract, Refused
from scout_assets.domain.grids import Area, Cell, Sheet

__all__ = ["decoded", "read_delimited", "read_markup"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHARSETS = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "cp932", "gb18030", "big5"]
_LATIN = ("cp1252", "cp1250", "cp1254", "cp1257")  # on a draw the earlier
_CONTROLS = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_FIELD_LIMIT = 1_000_000
_DELIMITERS = ("\t", ";", "|", ",")  # on a draw the earlier: a comma is also a decimal mark
_LINES_TRIED = 300


def decoded(data: bytes, name: str, counters: Counter[str], notices: list[str]) -> str:
    """The text of a file: by its byte order mark, as UTF-8, or by detection.

    Raises BrokenContract for what is no text.
    """
    charset = next((charset for mark, charset in _MARKS if data.startswith(mark)), None)
    charset = charset or _unmarked_utf16(data)
    if charset is None and data.count(0) > len(data) // 1000:
        raise BrokenContract(
            f"{name} is no text, workbook, PDF or page; give csv, xlsx, ods or pdf"
        )
    text = _decode(data, charset, name, counters, notices)
    if "\0" in text:
        counters["text/nul_removed"] += text.count("\0")
        notices.append(f"{text.count(chr(0))} NUL characters were left out")
        text = text.replace("\0", "")
    if len(_CONTROLS.findall(text[:100_000])) > len(text[:100_000]) // 200:
        raise BrokenContract(
            f"{name} is no text, workbook, PDF or page; give csv, xlsx, ods or pdf"
        )
    return text


def _unmarked_utf16(data: bytes) -> str | None:
    head = data[:2000]
    halves = (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2]))
    for charset, zeros, letters in halves:
        if len(head) >= 8 and zeros.count(0) > 0.7 * len(zeros) and letters.count(0) == 0:
            return charset
    return None


def _decode(
    data: bytes, charset: str | None, name: str, counters: Counter[str], notices: list[str]
) -> str:
    try:
        return data.decode(charset or "utf-8")
    except UnicodeDecodeError as error:
        if charset is not None:
            raise BrokenContract(
                f"{name} is cut short or not {charset} ({error.reason})"
            ) from error
    best = from_bytes(data[:500_000], cp_isolation=_CHARSETS).best()
    guessed = best.encoding if best else "cp1252"
    if guessed in _LATIN:
        guessed = min(
            _LATIN, key=lambda charset: _oddness(data[:500_000].decode(charset, "replace"))
        )
    counters["text/charset_guessed"] += 1
    notices.append(f"not UTF-8; read as {guessed}; if letters look wrong, save it as UTF-8")
    return data.decode(guessed, errors="replace")


def _oddness(text: str) -> int:
    """Signs beside letters that no word has, such as the 3 in "z³" for "zł"."""
    return len(
        re.findall(
            r"(?<=[^\W\d_])[\xa1-\xbf\u02d8-\u02dd\ufffd]|[\xa1-\xbf\ufffd](?=[^\W\d_])", text
        )
    )


def read_delimited(text: str, name: str, max_cells: int) -> Sheet:
    """The one sheet of a csv; blank lines count as rows.

    Raises Refused above `max_cells`, BrokenContract where a field is too long to be one.
    """
    csv.field_size_limit(_FIELD_LIMIT)  # of the process: putting it back would race with threads
    hint = re.match(r"sep=(.)\r?\n", text, re.IGNORECASE)
    delimiter = hint[1] if hint else _delimiter(text)
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
            f"{name}, {error}; it is no list, or its delimiter "
            f"{delimiter!r} was guessed wrong: save it anew as csv or xlsx"
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
