"""A workbook as grids of typed cells, whatever file it came from.

Belongs here: the model of sheets that readers of price lists work on, names of columns, and
how a cell reads as text. Does not belong here: file formats (gateways `workbooks`), what the
cells mean (`price_lists`).

Rows and columns count from 0 inside; `place` gives what a person sees: rows from 1, and for a
PDF the page and the line of text on it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

__all__ = [
    "Area",
    "Cell",
    "Place",
    "Sheet",
    "Style",
    "Workbook",
    "column_letter",
    "column_number",
    "shown",
]

Cell = str | int | float | bool | date | datetime | time | timedelta | None
"""An empty cell is "" or None."""


class Area(NamedTuple):
    """A block of cells, first and last included."""

    first_row: int
    first_column: int
    last_row: int
    last_column: int


class Style(NamedTuple):
    """How the text of a cell is set: size in points (0: unknown), and a key for bold, italic..."""

    size: float = 0.0
    emphasis: str = ""


class Place(NamedTuple):
    """Where a row stands for a person: sheet (or `page N`), and row (or line) from 1."""

    sheet: str
    row: int


@dataclass(frozen=True)
class Sheet:
    """One sheet. Struck-out text is already taken out of `rows`; `struck` says where it was.

    `formats`: what the number format of a cell shows besides digits, such as "$" or "%";
    `styles`: how the first text of a row is set, for telling banners apart.
    Both may be missing for cells, and are for files that have no formats. `places` is given
    where rows are not rows of a spreadsheet (lines of pages).
    """

    name: str
    rows: Sequence[Sequence[Cell]]
    hidden: bool = False
    merged: Sequence[Area] = ()
    hidden_rows: frozenset[int] = frozenset()
    hidden_columns: frozenset[int] = frozenset()
    struck: Mapping[tuple[int, int], str] = field(default_factory=dict)
    formats: Mapping[tuple[int, int], str] = field(default_factory=dict)
    column_formats: Mapping[int, str] = field(default_factory=dict)
    styles: Mapping[tuple[int, int], Style] = field(default_factory=dict)
    places: Sequence[Place] = ()

    def place(self, row: int) -> Place:
        """Where `row` stands."""
        return self.places[row] if self.places else Place(self.name, row + 1)

    def cell_format(self, row: int, column: int) -> str:
        """What the number format of a cell shows besides digits; "" for nothing."""
        found = self.formats.get((row, column))
        return self.column_formats.get(column, "") if found is None else found


@dataclass(frozen=True)
class Workbook:
    """A file: its form (xlsx, csv, pdf, ...), sheets, and what was noticed while reading."""

    name: str
    form: str
    sheets: Sequence[Sheet]
    notices: Sequence[str] = ()
    counters: Counter[str] = field(default_factory=Counter)


def shown(cell: Cell) -> str:
    """A cell as text: whole numbers without a point, dates in ISO 8601, no blanks around."""
    if isinstance(cell, str):
        return cell.replace("\0", "").strip()  # which no engine keeps
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else f"{cell:.10g}"
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)


def column_letter(column: int) -> str:
    """0 is A, 25 is Z, 26 is AA."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def column_number(letters: str) -> int:
    """The inverse of `column_letter`, any case."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1
