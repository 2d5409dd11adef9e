"""Where the headers of a sheet are: several lines, merged, repeated, of stacked tables.

Belongs here: telling header rows from items, and one label per column. Does not belong here:
which field a label means (`columns`).
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from scout_assets.domain.grids import Area, Cell, Sheet, shown
from scout_assets.domain.lexicon import fold
from scout_assets.domain.price_lists.words import field_scores, is_break, is_no_price, meaning

__all__ = ["Header", "blocks", "filled", "find_headers", "repeats"]

_MATCHED = 0.5
"""A label matches a field when at least this share of its telling words names it."""
_PRICE_LIKE = re.compile(r"[^\d]{0,4}\d[\d ]*[.,]\d{1,2}[^\d]{0,4}|\d{5,}")
_LONGEST_LABEL = 80
_LONGEST_SUPER_LABEL = 40


@dataclass(frozen=True)
class Header:
    """Rows (from 0) of one header and the label of each column, its lines joined by blanks.

    `lowest` are the labels of the last line alone, which are the most specific.

    `known`: found by its words; otherwise by standing, all text, above columns of numbers.
    """

    rows: tuple[int, ...]
    labels: Mapping[int, str]
    lowest: Mapping[int, str] = field(default_factory=dict)
    known: bool = True


def filled(row: Sequence[Cell]) -> dict[int, Cell]:
    """The cells of a row that hold more than blanks, by column."""
    return {
        column: cell
        for column, cell in enumerate(row)
        if cell is not None and (cell.strip() if isinstance(cell, str) else True)
    }


def find_headers(sheet: Sheet, wanted: Collection[str] = ()) -> list[Header]:
    """All headers of a sheet from top to bottom; a repeated one appears again.

    `wanted`: labels that the configuration names; a row with most of them is a header.
    """
    labels = {fold(label).strip() for label in wanted if len(label) > 2}
    found = [
        row for row, cells in enumerate(sheet.rows) if _is_header(cells) or _holds(cells, labels)
    ]
    headers = [_joined(sheet, block) for block in _blocks(sheet, found)]
    if headers:
        return headers
    guess = _by_contrast(sheet)
    return [] if guess is None else [Header((guess,), _labels(sheet, (guess,)), known=False)]


_HEAD_ROWS = 40


def blocks(sheet: Sheet) -> list[Sheet]:
    """Item tables that stand side by side, each as the sheet with its columns only.

    An empty column parts them, and the header names goods and prices anew to the right of it,
    mostly in the same words. The sheet itself where there are none.
    """
    head = replace(sheet, rows=sheet.rows[:_HEAD_ROWS])
    header = next((one for one in find_headers(head) if one.known), None)
    if header is None:
        return [sheet]
    starts = [0]
    for left, right in pairwise(sorted(header.labels)):
        before = {c: label for c, label in header.labels.items() if starts[-1] <= c <= left}
        after = {c: label for c, label in header.labels.items() if c >= right}
        if right > left + 1 and _says_the_same(before, after):
            gap = range(left + 1, right)
            below = sheet.rows[header.rows[0] :]
            if not any(column in filled(row) for row in below for column in gap):
                starts.append(right)
    if len(starts) == 1:
        return [sheet]
    ends = [*starts[1:], max(map(len, sheet.rows))]
    return [_cut(sheet, first, end) for first, end in zip(starts, ends, strict=True)]


def _says_the_same(before: Mapping[int, str], after: Mapping[int, str]) -> bool:
    words = [fold(label).strip() for label in before.values()]
    same = [label for label in after.values() if fold(label).strip() in words]
    fields = {_best_field(label) for label in same}
    return 2 * len(set(map(fold, same))) >= len(words) and {"name", "price"} <= fields


def _cut(sheet: Sheet, first: int, end: int) -> Sheet:
    """The sheet with the columns from `first` up to `end` only, under their own numbers."""
    rows = [[*[None] * min(first, len(row)), *row[first:end]] for row in sheet.rows]
    struck = {place: text for place, text in sheet.struck.items() if first <= place[1] < end}
    return replace(sheet, rows=rows, struck=struck)


def repeats(header: Header, row: Mapping[int, Cell]) -> bool:
    """Whether a row says again what the header says."""
    same = sum(shown(cell) == header.labels.get(column) for column, cell in row.items())
    return bool(row) and same >= 0.6 * len(row) and same >= 2


def _is_header(row: Sequence[Cell]) -> bool:
    cells = filled(row)
    texts = [cell for cell in cells.values() if isinstance(cell, str)]
    if len(texts) < 2 or len(texts) < 0.6 * len(cells):
        return False
    if any(_PRICE_LIKE.fullmatch(text.strip()) for text in texts):
        return False
    best = [_best_field(text) for text in texts if len(text) <= 2 * _LONGEST_LABEL]
    matched = [field for field in best if field]
    fields = set(matched) - {"other"}
    if len(fields) >= 3 and "price" in fields:
        return len(matched) >= 3
    return len(matched) >= 0.5 * len(cells) and bool(fields) and len(set(matched)) >= 2


def _holds(row: Sequence[Cell], labels: Collection[str]) -> bool:
    texts = {fold(cell).strip() for cell in row if isinstance(cell, str)} if labels else set()
    return bool(labels) and 2 * len(texts & set(labels)) >= len(labels)


def _best_field(text: str) -> str | None:
    scores = field_scores(text.strip())
    field, score = max(scores.items(), key=lambda item: item[1], default=("", 0.0))
    return field if score >= _MATCHED else None


def _blocks(sheet: Sheet, rows: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Header rows that stand together, with the lines above and below that belong to them."""
    block: list[int] = []
    for row in rows:
        if block and (
            row != block[-1] + 1
            or repeats(Header((), _labels(sheet, block)), filled(sheet.rows[row]))
        ):
            yield _widened(sheet, block)
            block = []
        block.append(row)
    if block:
        yield _widened(sheet, block)


def _widened(sheet: Sheet, block: Sequence[int]) -> tuple[int, ...]:
    first, last = block[0], block[-1]
    while first > 0 and first > block[0] - 3 and _is_super_line(sheet, first - 1, block[0]):
        first -= 1
    while last + 1 < len(sheet.rows) and last < block[-1] + 2:
        if not (_is_sub_line(sheet, last + 1) or _is_count_line(sheet, last, last + 1)):
            break
        last += 1
    return tuple(range(first, last + 1))


def _is_super_line(sheet: Sheet, row: int, header: int) -> bool:
    """A line of group labels: short texts, above more than one label each or several of them."""
    cells = filled(sheet.rows[row])
    if not cells or any(
        not isinstance(cell, str) or len(cell) > _LONGEST_SUPER_LABEL for cell in cells.values()
    ):
        return False
    if len(cells) >= len(filled(sheet.rows[header])) + 2:
        return False
    if len(cells) >= 2:
        return any(
            _best_field(shown(cell)) or meaning(shown(cell)).bases for cell in cells.values()
        )
    column, cell = next(iter(cells.items()))
    spans = any(
        area.first_row <= row <= area.last_row
        and area.first_column == column
        and area.last_column > column
        for area in _near(sheet, row)
    )
    widest = max(filled(sheet.rows[header]))
    whole = any(
        area.first_row == row and area.last_column - area.first_column >= widest - 1
        for area in _near(sheet, row)
    )
    sure = max(field_scores(shown(cell)).values(), default=0.0) > _MATCHED
    return column > 0 and spans and not whole and sure


def _is_sub_line(sheet: Sheet, row: int) -> bool:
    """A line of units or bases right below: "(EUR)", "per case", "ml"."""
    cells = filled(sheet.rows[row])
    texts = [shown(cell) for cell in cells.values()]
    if not cells or not all(isinstance(cell, str) and len(cell) <= 25 for cell in cells.values()):
        return False
    if any(re.search(r"\d[.,]\d|\d{4}|[^\W\d_]-?\d", text) for text in texts):
        return False
    fitting = sum(
        bool(field_scores(shown(cell))) or any(meaning(shown(cell))) for cell in cells.values()
    )
    telling = sum(any(map(str.isalpha, text)) or is_break(text) for text in texts)
    return (
        telling > 0 and fitting >= max(1, 0.7 * len(cells)) and (len(cells) > 1 or 0 not in cells)
    )


def _is_count_line(sheet: Sheet, header: int, row: int) -> bool:
    """A line of rising whole numbers below labels of prices only: from which quantity on."""
    labels = _spread(sheet, header, above=True)
    counts = []
    for column, cell in filled(sheet.rows[row]).items():
        text = shown(cell)
        if not text.isdecimal() or field_scores(labels.get(column, "")).get("price", 0) < _MATCHED:
            return False
        counts.append(int(text))
    return len(counts) >= 2 and counts == sorted(set(counts))


def _near(sheet: Sheet, row: int) -> Iterator[Area]:
    return (area for area in sheet.merged if area.first_row <= row <= area.last_row)


def _joined(sheet: Sheet, rows: tuple[int, ...]) -> Header:
    lowest = {column: shown(cell) for column, cell in filled(sheet.rows[rows[-1]]).items()}
    return Header(rows, _labels(sheet, rows), lowest)


def _labels(sheet: Sheet, rows: Sequence[int]) -> dict[int, str]:
    parts: dict[int, list[str]] = {}
    for row in rows:
        for column, text in _spread(sheet, row, row != rows[-1]).items():
            said = parts.setdefault(column, [])
            if text not in said:
                said.append(text)
    return {column: " ".join(" ".join(said).split()) for column, said in parts.items()}


def _spread(sheet: Sheet, row: int, above: bool) -> dict[int, str]:
    """Texts of a header line; a merged one, or an upper one of prices, reaches to the right."""
    cells = {column: shown(cell) for column, cell in filled(sheet.rows[row]).items()}
    spread = dict(cells)
    for area in _near(sheet, row):
        text = (
            shown(sheet.rows[area.first_row][area.first_column])
            if area.first_row < len(sheet.rows)
            else ""
        )
        if text and area.last_column - area.first_column < 40:
            spread |= {
                c: text for c in range(area.first_column, area.last_column + 1) if c not in cells
            }
    if above and not sheet.merged:
        width = len(sheet.rows[row])
        for column, following in pairwise([*sorted(cells), width]):
            if field_scores(cells[column]).get("price", 0) >= _MATCHED:
                spread |= dict.fromkeys(range(column + 1, following), cells[column])
    return spread


_CONTRAST_ROWS = 6


def _by_contrast(sheet: Sheet) -> int | None:
    """The first row of words that stands above at least two columns of numbers."""
    kept = [row for row in range(min(len(sheet.rows), 60)) if filled(sheet.rows[row])]
    for index, row in enumerate(kept):
        cells = filled(sheet.rows[row])
        below = [
            filled(sheet.rows[other]) for other in kept[index + 1 : index + 1 + _CONTRAST_ROWS]
        ]
        if len(cells) >= 3 and len(below) >= 3 and all(_is_label(cell) for cell in cells.values()):
            numeric = [
                column for column in cells if _is_numbers([one.get(column) for one in below])
            ]
            if len(numeric) >= 2:
                return row
    return None


def _is_label(cell: Cell) -> bool:
    if not isinstance(cell, str) or len(cell) > _LONGEST_LABEL:
        return False
    return any(map(str.isalpha, cell)) and not is_no_price(cell) and not re.search(r"\d{3}", cell)


def _is_numbers(cells: Sequence[Cell]) -> bool:
    numbers = [
        cell
        for cell in cells
        if isinstance(cell, int | float)
        or (isinstance(cell, str) and re.fullmatch(r"\D{0,3}\d[\d.,]*\D{0,3}", cell.strip()))
    ]
    return len(numbers) >= 0.6 * len(cells)
