"""PDF price lists as one grid: a row per line of text, columns by the white space between.

Belongs here: words, lines and columns of pages. Ruled tables and tables without any rule are
read the same way. Does not belong here: what cells mean (domain `price_lists`); scanned pages,
which hold no text.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pdfplumber
from pdfminer.pdfdocument import PDFPasswordIncorrect
from pdfminer.pdfexceptions import PDFException
from pdfplumber.utils.exceptions import PdfminerException

from scout_assets.domain.failures import BrokenContract, Refused
from scout_assets.domain.grids import Cell, Place, Sheet

__all__ = ["read_pages"]

_CELL_GAP = 1.0
"""Words further apart than this many text heights stand in different cells."""


class _Piece(NamedTuple):
    """A cell's text on a page, with its left and right edge in points."""

    left: float
    right: float
    text: str


class _Line(NamedTuple):
    """One line of a page, from 1."""

    page: int
    number: int
    pieces: list[_Piece]


def read_pages(data: bytes, name: str, max_pages: int, max_cells: int) -> list[Sheet]:
    """One sheet of all pages; the place of a row is `page N` and the line on it, from 1.

    Raises BrokenContract (damaged, no text), Refused (a password, too large).
    """
    try:
        with pdfplumber.open(io.BytesIO(data)) as document:
            if len(document.pages) > max_pages:
                raise Refused(
                    f"{name} has {len(document.pages)} pages, more than {max_pages}; split it"
                )
            lines = [line for page in document.pages for line in _lines(page)]
    except (
        PdfminerException,
        PDFException,
        ValueError,
        TypeError,
        KeyError,
        AssertionError,
    ) as error:
        if "PDFPasswordIncorrect" in repr(error) or isinstance(error, PDFPasswordIncorrect):
            raise Refused(f"{name} is protected by a password; save it without one") from error
        raise BrokenContract(
            f"{name} is damaged or cut short ({error!r}); fetch it again"
        ) from error
    if not lines:
        raise BrokenContract(f"{name} holds no text, likely a scan; ask for a csv or xlsx")
    edges = _columns(lines)
    if len(lines) * (len(edges) + 1) > max_cells:
        raise Refused(f"{name} holds more than {max_cells:,} cells; split it")
    rows = [_cells(line.pieces, edges) for line in lines]
    places = [Place(f"page {line.page}", line.number) for line in lines]
    return [Sheet(name, rows, places=places)]


def _lines(page: Any) -> Iterator[_Line]:  # noqa: ANN401 (pdfplumber is untyped)
    words = page.dedupe_chars().extract_words(keep_blank_chars=False, x_tolerance=1.5)
    ordered = sorted(words, key=lambda word: ((word["top"] + word["bottom"]) / 2, word["x0"]))
    for number, group in enumerate(_by_line(ordered), 1):
        yield _Line(page.page_number, number, _pieces(sorted(group, key=lambda word: word["x0"])))


def _by_line(words: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for word in words:
        middle = (word["top"] + word["bottom"]) / 2
        if group and not group[0]["top"] <= middle <= group[0]["bottom"]:
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _pieces(words: Sequence[dict[str, Any]]) -> list[_Piece]:
    pieces: list[_Piece] = []
    for word in words:
        height = word["bottom"] - word["top"]
        if pieces and word["x0"] - pieces[-1].right < _CELL_GAP * height:
            last = pieces.pop()
            pieces.append(_Piece(last.left, word["x1"], f"{last.text} {word['text']}"))
        else:
            pieces.append(_Piece(word["x0"], word["x1"], word["text"]))
    return pieces


def _columns(lines: Sequence[_Line]) -> list[float]:
    """The places between columns: where hardly any line of a table has text.

    A line belongs to a table when it is cut into at least as many pieces as most such lines.
    """
    widths = sorted(len(line.pieces) for line in lines if len(line.pieces) > 1)
    if not widths:
        return []
    usual = widths[len(widths) // 2]
    tabular = [line.pieces for line in lines if len(line.pieces) >= max(2, usual - 1)]
    right = int(max(piece.right for pieces in tabular for piece in pieces)) + 2
    covered = [0] * (right + 1)
    for pieces in tabular:
        for piece in pieces:
            for point in range(int(piece.left), int(piece.right) + 1):
                covered[point] += 1
    return list(_rivers(covered, int(0.03 * len(tabular))))


def _rivers(covered: Sequence[int], noise: int) -> Iterator[float]:
    start: int | None = None
    seen = False
    for point, count in enumerate(covered):
        if count <= noise:
            start = point if start is None else start
            continue
        if start is not None and seen:
            yield (start + point) / 2
        start, seen = None, True


def _cells(pieces: Sequence[_Piece], edges: Sequence[float]) -> list[Cell]:
    cells = [""] * (len(edges) + 1)
    for piece in pieces:
        middle = (piece.left + piece.right) / 2
        starts = sum(piece.left + 1 >= edge for edge in edges)
        column = starts if len(pieces) == 1 else sum(middle >= edge for edge in edges)
        cells[column] = f"{cells[column]} {piece.text}".strip()
    return list(cells)
