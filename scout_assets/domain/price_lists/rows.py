"""What each row of a table is: an item, a banner, the second line of an item, or neither.

Belongs here: telling them apart by what stands in the columns. Does not belong here: finding
columns (`columns`), making items of the cells (`items`).
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from itertools import pairwise

from scout_assets.domain.grids import Cell, Sheet, Style, shown
from scout_assets.domain.price_lists.columns import Columns, PriceColumn
from scout_assets.domain.price_lists.headers import Header, filled, repeats
from scout_assets.domain.price_lists.profiles import amount_of, gtin_of, vintage_of
from scout_assets.domain.price_lists.sections import banner_text
from scout_assets.domain.price_lists.words import is_no_price, tokens, word_list
from scout_assets.domain.specs import extract

__all__ = ["Kind", "Line", "classify", "has_digits", "price_in"]

_DIGIT = re.compile(r"\d")
_SUPPORT = ("sku", "gtin", "vintage", "size", "pack")
"""Columns that describe an item and that banners and second lines leave empty."""


class Kind(Enum):
    """What a row is."""

    ITEM = auto()
    BANNER = auto()
    SECOND_LINE = auto()
    HEADER = auto()
    TOTAL = auto()
    NAMELESS = auto()
    NOTE = auto()


@dataclass
class Line:
    """A filled row of a table; `item` is the row whose second line this is.

    `name`: what the row is called where its own name cell is left empty.
    """

    row: int
    cells: Mapping[int, Cell]
    kind: Kind
    support: int = 0
    priced: bool = False
    item: int | None = None
    name: str | None = None


def has_digits(text: str) -> bool:
    """Whether a text holds a digit."""
    return _DIGIT.search(text) is not None


def price_in(cell: Cell, price: PriceColumn) -> Decimal | None:
    """The price a cell prints; a printed 0 and words such as "inquire" are none."""
    if isinstance(cell, str) and (not has_digits(cell) or is_no_price(cell)):
        return None
    amount = amount_of(cell, price.mark)
    return amount if amount else None


def classify(
    sheet: Sheet, header: Header | None, columns: Columns, rows: Sequence[int]
) -> list[Line]:
    """The kind of each of `rows`, from top to bottom."""
    lines = [_line(sheet, header, columns, row) for row in rows]
    if any(name in columns.fields for name in _SUPPORT):
        _find_second_lines(sheet, columns, lines)
    _carry_names_down(columns, lines)
    return lines


def _line(sheet: Sheet, header: Header | None, columns: Columns, row: int) -> Line:
    cells = filled(sheet.rows[row])
    if header is not None and repeats(header, cells):
        return Line(row, cells, Kind.HEADER)
    support = sum(
        _supports(name, cells.get(column)) and "%" not in sheet.cell_format(row, column)
        for name, column in columns.fields.items()
    )
    amounts = [price_in(cells.get(p.column), p) for p in columns.prices if p.column in cells]
    priced = any(amount is not None for amount in amounts)
    said = any(p.column in cells for p in columns.prices)
    named = _is_name(cells.get(columns.fields.get("name", -1)))
    if _is_total(cells):
        kind = Kind.TOTAL
    elif named and (priced or (support and (said or _is_described(columns, cells, support)))):
        kind = Kind.ITEM
    elif priced and not named and (support or len(cells) > len(amounts)):
        kind = Kind.NAMELESS
    else:
        kind = Kind.BANNER if not priced and banner_text(cells) else Kind.NOTE
    return Line(row, cells, kind, support, priced)


def _is_name(cell: Cell) -> bool:
    return any(map(str.isalnum, shown(cell)))


def _is_described(columns: Columns, cells: Mapping[int, Cell], support: int) -> bool:
    """Whether a row without any price is an item: by its SKU or GTIN, or two other features."""
    keyed = any(
        name in columns.fields and _supports(name, cells.get(columns.fields[name]))
        for name in ("sku", "gtin")
    )
    return keyed or support >= 2


def _supports(name: str, cell: Cell) -> bool:
    if cell is None or name not in _SUPPORT:
        return False
    if name == "vintage":
        return vintage_of(cell) is not None or extract(shown(cell)).vintage is not None
    if name == "gtin":
        return gtin_of(cell) is not None
    text = shown(cell)
    if name == "sku":
        return len(text) <= 60 and not is_no_price(text)
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return cell >= 1 or (name == "size" and cell >= 0.02)
    said = extract(text)
    return (said.size_ml or said.size_g or said.pack_count or said.length_mm) is not None or (
        text.replace(",", "").replace(".", "").isdigit()
    )


def _is_total(cells: Mapping[int, Cell]) -> bool:
    first = next((shown(cell) for cell in cells.values() if isinstance(cell, str)), "")
    return " ".join(tokens(first)) in word_list("total")


_GROUPED = 0.2
"""Share of rows without a name from which a table names its items once per group."""


def _carry_names_down(columns: Columns, lines: Sequence[Line]) -> None:
    """In tables that print a name once per group, the rows below it have it too.

    What else tells them apart stands in cells of no field, and is added to the name.
    """
    nameless = [line for line in lines if line.kind is Kind.NAMELESS]
    items = sum(line.kind is Kind.ITEM for line in lines)
    if len(nameless) < 3 or len(nameless) < _GROUPED * (items + len(nameless)):
        return
    used = {
        *columns.fields.values(),
        *(price.column for price in columns.prices),
        columns.unit_column,
    }
    above = ""
    for line in lines:
        if line.kind is Kind.ITEM:
            above = shown(line.cells.get(columns.fields["name"]))
        elif line.kind is Kind.NAMELESS and above:
            own = (shown(cell) for column, cell in line.cells.items() if column not in used)
            line.kind, line.name = Kind.ITEM, " ".join([above, *own])
        else:
            above = ""


# Items of two lines: the second holds further text and a price per bottle

_TWO_LINED = 0.25
"""Share of second lines among full rows from which a table is two-lined throughout."""


def _find_second_lines(sheet: Sheet, columns: Columns, lines: Sequence[Line]) -> None:
    full = [line for line in lines if line.kind is Kind.ITEM and line.support]
    bare = [line for line in lines if _is_bare(line, columns)]
    following = _following(lines)
    behind = [line for line in bare if line.row in following]
    throughout = (
        len(behind) >= 3
        and len(behind) >= _TWO_LINED * len(full)
        and (len(behind) >= 0.8 * len(bare))
    )
    banners = Counter(_look(sheet, line) for line in lines if line.kind is Kind.BANNER)
    seconds = Counter(_look(sheet, line) for line in behind)
    looks = {look for look, count in seconds.items() if look[1].size and count > banners[look]}
    for line in lines:
        before = following.get(line.row)
        if (line in bare and (throughout or (before and _is_share(before, line, columns)))) or (
            throughout
            and line.kind is Kind.BANNER
            and _is_text_below(sheet, line, before, looks, columns)
        ):
            line.kind, line.item = Kind.SECOND_LINE, before.row if before else None


def _is_bare(line: Line, columns: Columns) -> bool:
    """A price, maybe with a text, and nothing else that describes an item."""
    name = columns.fields.get("name", -1)
    return (
        line.priced
        and not line.support
        and line.kind in (Kind.ITEM, Kind.NOTE, Kind.NAMELESS)
        and (line.kind is Kind.ITEM or name not in line.cells)
    )


def _following(lines: Sequence[Line]) -> dict[int, Line]:
    """By row: the full item right above it."""
    found = {}
    for above, line in pairwise(lines):
        if above.kind is Kind.ITEM and above.support and line.row == above.row + 1:
            found[line.row] = above
    return found


def _is_share(item: Line, line: Line, columns: Columns) -> bool:
    """Whether the price of the line is that of the item above over a whole number."""
    for price in columns.prices:
        whole, part = (price_in(one.cells.get(price.column), price) for one in (item, line))
        if whole and part and whole / part > 1:
            ratio = float(whole / part)
            return abs(ratio - round(ratio)) < 0.005 * ratio
    return False


def _look(sheet: Sheet, line: Line) -> tuple[int, Style]:
    column = next(iter(line.cells))
    return column, sheet.styles.get((line.row, column), Style())


def _is_text_below(
    sheet: Sheet, line: Line, before: Line | None, looks: set[tuple[int, Style]], columns: Columns
) -> bool:
    if next(iter(line.cells)) != columns.fields.get("name"):
        return False
    return before is not None or _look(sheet, line) in looks
