"""Which column holds which field: words of the header and evidence of the values together.

Belongs here: scoring columns, the choice, what each price column is for, and which price is
the primary one. Does not belong here: rows (`rows`).

The primary price of a row is the first that is printed, in this order: current before
discounted before upcoming and gross prices; visible before hidden columns; per case before
pallet, bottle, unit and weight; from the smallest quantity on; leftmost. A retail or former
price is primary only in a table that has no other. Where the configuration names the column
of prices, no other one stands in for it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.grids import Cell, Sheet, column_letter, column_number, shown
from scout_assets.domain.lexicon import fold
from scout_assets.domain.price_lists.headers import Header
from scout_assets.domain.price_lists.profiles import Profile, amount_of, decimal_mark, fits, profile
from scout_assets.domain.price_lists.words import (
    FIELDS,
    Meaning,
    currency_of,
    field_scores,
    is_break,
    is_size,
    meaning,
    tokens,
    word_list,
)
from scout_assets.domain.specs import extract

__all__ = ["Columns", "PriceColumn", "find_columns"]

_SAMPLE = 400
_LEAST = {
    "sku": (0.25, 0.75),
    "gtin": (0.3, 0.8),
    "brand": (0.2, 1.2),
    "name": (0.2, 0.45),
    "vintage": (0.25, 0.75),
    "size": (0.25, 0.75),
    "pack": (0.25, 0.85),
    "quantity": (0.05, 0.8),
    "category": (0.05, 0.8),
    "currency": (0.2, 0.95),
}
"""Per field: the least fit of the values, and the least sum of fit and header score."""
_LEAST_PRICE = (0.2, 0.6)
_PLAIN = 0.7
"""A header that says a field with this score says it plainly."""
_DECLARED = 3.0
"""The score of a column that the configuration names, above any that is found."""
_KIND_RANK = {None: 0, "discount": 1, "upcoming": 2, "gross": 3, "retail": 4, "previous": 5}
_BASIS_RANK = {"case": 0, "pallet": 1, "bottle": 2, "unit": 2, "kg": 3, "lb": 3, "litre": 3}


@dataclass(frozen=True)
class PriceColumn:
    """A column of prices and what they are for. `also`: a second basis, printed a line below.

    `sign`: a cell that prints the currency most of its cells print; "" for none.
    """

    column: int
    label: str
    score: float
    meaning: Meaning
    basis: str | None = None
    also: str | None = None
    hidden: bool = False
    mark: str | None = None
    sign: str = ""

    @property
    def declared(self) -> bool:
        """Whether the configuration names it."""
        return self.score >= _DECLARED

    @property
    def is_secondary(self) -> bool:
        """A retail or former price."""
        return self.meaning.kind in ("retail", "previous")

    @property
    def rank(self) -> tuple[bool, int, bool, int, int, int]:
        """The primary price is the one of the lowest rank."""
        return (
            not self.declared,
            _KIND_RANK.get(self.meaning.kind, 0),
            self.hidden,
            _BASIS_RANK.get(self.basis or "unit", 2),
            self.meaning.min_quantity or 0,
            self.column,
        )


@dataclass(frozen=True)
class Columns:
    """The columns of one table: single fields, prices in order of rank, labels of all.

    declared: fields of the configuration whose column this table has.
    """

    fields: Mapping[str, int]
    scores: Mapping[str, float]
    prices: Sequence[PriceColumn]
    labels: Mapping[int, str]
    profiles: Mapping[int, Profile]
    medians: Mapping[int, float] = field(default_factory=dict)
    implied_pack: int | None = None
    unit_column: int | None = None
    reasons: tuple[str, ...] = ()
    declared: frozenset[str] = frozenset()

    def usual_number(self, column: int) -> float | None:
        """The median of the numbers in a column; None without any."""
        return self.medians.get(column)

    def label(self, column: int) -> str:
        """The header of a column, or its letter."""
        return self.labels.get(column) or column_letter(column)


@dataclass
class _Choice:
    """Columns being chosen."""

    sheet: Sheet
    rows: Sequence[int]
    labels: Mapping[int, str] = field(default_factory=dict)
    lowest: Mapping[int, str] = field(default_factory=dict)
    profiles: dict[int, Profile] = field(default_factory=dict)
    cells: dict[int, list[Cell]] = field(default_factory=dict)


def find_columns(
    sheet: Sheet, header: Header | None, rows: Sequence[int], mapping: Mapping[str, str]
) -> Columns:
    """The columns of the table of `rows` (numbers of its filled rows below the header).

    `mapping`: field to header text or letter, which overrules. Raises BadConfig when it names
    an unknown field.
    """
    choice = _profiled(sheet, header, rows)
    declared = _declared(mapping, choice)
    given = {name: column for name, column in declared.items() if column in choice.profiles}
    prices = _prices(choice, given)
    taken = {price.column for price in prices}
    fields, scores = _singles(choice, given, taken)
    prices, pack, reasons = _with_bases(choice, prices, fields)
    return Columns(
        fields=fields,
        scores=scores,
        prices=sorted(prices, key=lambda price: price.rank),
        labels=choice.labels,
        profiles=choice.profiles,
        medians=_medians(choice),
        implied_pack=pack,
        unit_column=_unit_column(choice, taken | set(fields.values())),
        reasons=tuple(reasons),
        declared=frozenset(declared),
    )


def _profiled(sheet: Sheet, header: Header | None, rows: Sequence[int]) -> _Choice:
    step = max(1, len(rows) // _SAMPLE)
    sample = rows[::step]
    choice = _Choice(sheet, sample)
    if header is not None:
        choice = _Choice(sheet, sample, header.labels, header.lowest)
    places: dict[int, list[int]] = {}
    for row in sample:
        for column, cell in enumerate(sheet.rows[row]):
            if cell is not None and (not isinstance(cell, str) or cell.strip()):
                places.setdefault(column, []).append(row)
    for column, at in sorted(places.items()):
        cells = [sheet.rows[row][column] for row in at]
        choice.cells[column] = cells
        choice.profiles[column] = profile(
            cells, [sheet.cell_format(row, column) for row in at], len(sample)
        )
    return choice


def _medians(choice: _Choice) -> dict[int, float]:
    numbers = {
        column: [float(n) for cell in cells if (n := amount_of(cell)) is not None]
        for column, cells in choice.cells.items()
    }
    return {column: median(found) for column, found in numbers.items() if found}


def _unit_column(choice: _Choice, used: set[int]) -> int | None:
    """A column of units of measure: nearly every cell is one word such as "btl" or "CS"."""
    for column, cells in choice.cells.items():
        texts = [shown(cell) for cell in cells]
        units = sum(
            bool(meaning(text).bases) and len(text) <= 12 and len(text.split()) == 1
            for text in texts
        )
        if column not in used and units >= 0.8 * len(texts) and choice.profiles[column].fill >= 0.5:
            return column
    return None


def _declared(mapping: Mapping[str, str], choice: _Choice) -> dict[str, int]:
    """The columns that the configuration names and this table has, filled or not."""
    found: dict[str, int] = {}
    by_label = {fold(label).strip(): column for column, label in choice.labels.items()}
    for name, wanted in mapping.items():
        if name not in FIELDS:
            raise BadConfig(f"column_mapping: no field {name!r}; there are {', '.join(FIELDS)}")
        column = by_label.get(fold(wanted).strip())
        if column is None and wanted.isascii() and wanted.isalpha() and len(wanted) <= 3:
            column = column_number(wanted)
        if column is not None and (column in choice.profiles or column in choice.labels):
            found[name] = column
    return found


def _header_score(choice: _Choice, column: int, name: str) -> float:
    """How well the label names the field, less what it says of a better one."""
    scores = field_scores(choice.labels.get(column, ""))
    mine = scores.get(name, 0.0)
    rival = max((score for other, score in scores.items() if other != name), default=0.0)
    return mine - 0.6 * rival if rival > mine else mine


def _prices(choice: _Choice, given: Mapping[str, int]) -> list[PriceColumn]:
    found = []
    reserved = {column for name, column in given.items() if name != "price"}
    for column, shape in choice.profiles.items():
        words = _header_score(choice, column, "price")
        fit = fits("price", shape, words >= _PLAIN)
        low, total = _LEAST_PRICE
        chosen = column == given.get("price")
        if column in reserved or not (chosen or (fit >= low and fit + words >= total)):
            continue
        found.append(_price_column(choice, column, _DECLARED if chosen else fit + words))
    found = _with_breaks(choice, found)
    sure = [price for price in found if _is_money(choice, price)]
    if sure:
        # Beside columns of money, numbers that no header calls prices are something else.
        found = [price for price in found if price in sure or price.score >= 1.0]
    if "price" in given:
        found = [
            replace(p, meaning=p.meaning._replace(kind=None, min_quantity=None))
            if p.declared
            else p
            for p in found
        ]
    return found


_LEAST_FALLING = 0.8


def _with_breaks(choice: _Choice, prices: Sequence[PriceColumn]) -> list[PriceColumn]:
    """Under labels such as "1-9", "10+" stand prices when they fall as the quantity grows;
    otherwise it may be the stock of a size, and is left out."""
    breaks = [price for price in prices if is_break(price.label) and not price.declared]
    others = [price for price in prices if price not in breaks]
    series = breaks if len(breaks) > 1 else [*others[:1], *breaks]
    steps = list(pairwise(series))
    fall = all(
        (one.meaning.min_quantity or 0) < (other.meaning.min_quantity or 0)
        and _is_falling([ratio for ratio, _ in _ratios(choice, one, other, None)])
        for one, other in steps
    )
    if not (steps and fall):
        return others
    return [
        replace(price, score=max(price.score, 1.0)) if price in breaks else price
        for price in prices
    ]


def _is_falling(ratios: Sequence[float]) -> bool:
    """Whether the former is at least the latter on most rows, and more on some."""
    enough = sum(ratio >= 1 for ratio in ratios) >= _LEAST_FALLING * len(ratios)
    return enough and any(ratio > 1 for ratio in ratios)


def _is_money(choice: _Choice, price: PriceColumn) -> bool:
    return choice.profiles[price.column].money >= 0.4 or price.meaning.currency is not None


def _price_column(choice: _Choice, column: int, score: float) -> PriceColumn:
    label = choice.labels.get(column, "")
    said = meaning(label)
    nearest = meaning(choice.lowest.get(column, ""))
    least = nearest.min_quantity if said.min_quantity is None else said.min_quantity
    said = said._replace(bases=nearest.bases or said.bases, min_quantity=least)
    if is_size(label):  # "1 kg" above a column of prices is what is sold, not how it counts
        said = said._replace(bases=(), min_quantity=None)
    bases = [basis for basis in said.bases if basis in _BASIS_RANK]
    return PriceColumn(
        column=column,
        label=label or column_letter(column),
        score=score,
        meaning=said,
        basis=bases[0] if bases else None,
        also=bases[1] if len(bases) > 1 else None,
        hidden=column in choice.sheet.hidden_columns,
        mark=decimal_mark(choice.cells[column]),
        sign=_printed_currency(choice.cells[column]),
    )


def _printed_currency(cells: Sequence[Cell]) -> str:
    printed: dict[str, list[str]] = {}
    for cell in cells:
        code = currency_of(cell, near_amount=True) if isinstance(cell, str) else None
        if isinstance(cell, str) and code is not None:
            printed.setdefault(code, []).append(cell)
    most = max(printed.values(), key=len, default=[])
    return most[0] if 2 * len(most) >= len(cells) and most else ""


def _singles(
    choice: _Choice, given: Mapping[str, int], taken: set[int]
) -> tuple[dict[str, int], dict[str, float]]:
    fields = {name: column for name, column in given.items() if name != "price"}
    scores = dict.fromkeys(fields, _DECLARED)
    used = taken | set(fields.values())
    candidates = []
    for name, (low, total) in _LEAST.items():
        for column, shape in choice.profiles.items():
            words = _header_score(choice, column, name)
            vague = " ".join(tokens(choice.labels.get(column, ""))) in word_list("vague")
            fit = fits(name, shape, words >= _PLAIN and not vague)
            if name == "pack" and words <= 0 and choice.labels.get(column) and shape.numeric > 0.5:
                continue  # small whole numbers under another label count something else
            if fit >= low and fit + words >= total:
                candidates.append((fit + words, name, column))
    for score, name, column in sorted(candidates, key=lambda one: (-one[0], one[2])):
        if name not in fields and column not in used:
            fields[name], scores[name] = column, score
            used.add(column)
    return fields, scores


# What prices are for


def _with_bases(
    choice: _Choice, prices: list[PriceColumn], fields: Mapping[str, int]
) -> tuple[list[PriceColumn], int | None, list[str]]:
    """Give each price its basis: printed, or shown by one price being a multiple of another."""
    reasons: list[str] = []
    current = [price for price in prices if price.meaning.kind is None]
    pack = None
    for one in current:
        for other in current:
            ratio = _ratio(choice, one, other, fields.get("pack"))
            if ratio and one.basis in (None, "case") and other.basis in (None, "bottle", "unit"):
                pack = ratio if "pack" not in fields else None
                small = other.basis or (
                    "bottle" if "size" in fields or "vintage" in fields else "unit"
                )
                prices = [
                    replace(p, basis="case")
                    if p is one
                    else replace(p, basis=small)
                    if p is other
                    else p
                    for p in prices
                ]
                times = f"{ratio} times" if pack else "the pack times"
                reasons.append(f"{one.label!r} is {times} {other.label!r}: case and {small}")
                return _defaulted(choice, prices, fields), pack, reasons
    return _defaulted(choice, prices, fields), pack, reasons


_LEAST_RATIO = 3
"""Without a pack column: twice a price may as well be a retail price."""


def _ratio(choice: _Choice, one: PriceColumn, other: PriceColumn, pack: int | None) -> int | None:
    """The pack that most values of `one` are of those beside them in `other`.

    With a pack column it must be that pack, row by row; without, a whole number most often.
    """
    if one is other or one.meaning.min_quantity != other.meaning.min_quantity:
        return None
    if is_size(one.label) or is_size(other.label):
        return None
    ratios = list(_ratios(choice, one, other, pack))
    if len(ratios) < 2:
        return None
    usual = round(median(ratio for ratio, _ in ratios))
    if pack is not None:
        agreeing = sum(packed > 1 and abs(ratio / packed - 1) < 0.03 for ratio, packed in ratios)
        return usual if agreeing >= 0.6 * len(ratios) else None
    whole = sum(
        abs(ratio - round(ratio)) < 0.02 * ratio and round(ratio) > 1 for ratio, _ in ratios
    )
    same = sum(round(ratio) == usual for ratio, _ in ratios)
    enough = whole >= 0.8 * len(ratios) and same >= 0.5 * len(ratios)
    return usual if usual >= _LEAST_RATIO and enough else None


def _ratios(
    choice: _Choice, one: PriceColumn, other: PriceColumn, pack: int | None
) -> Iterator[tuple[float, float]]:
    """Per row: the one price over the other, and the pack (0 where none is printed)."""
    for row in choice.rows:
        cells = choice.sheet.rows[row]
        if max(one.column, other.column) < len(cells):
            large = amount_of(cells[one.column], one.mark)
            small = amount_of(cells[other.column], other.mark)
            if large and small:
                packed = _packed(cells[pack]) if pack is not None and pack < len(cells) else 0.0
                yield float(large / small), packed


def _packed(cell: Cell) -> float:
    said = extract(shown(cell)).pack_count
    amount = amount_of(cell) if said is None else None
    return float(said or amount or 0)


def _defaulted(
    choice: _Choice, prices: Sequence[PriceColumn], fields: Mapping[str, int]
) -> list[PriceColumn]:
    """Where nothing is printed: per case in lists that count stock in cases, whose prices are
    above the retail price or grow with the pack; else as the other prices of the table are."""
    stock = meaning(choice.labels.get(fields.get("quantity", -1), "")).bases[:1]
    usual = "case" if "case" in stock else None
    if usual is None and prices:
        first = min(prices, key=lambda price: price.rank)
        if _is_above_retail(choice, first, prices) or _grows(choice, first, fields):
            usual = "case"
    shared = {price.basis for price in prices if price.basis and price.meaning.kind is None}
    if usual is None and len(shared) == 1:
        usual = next(iter(shared))
    return [
        price if price.basis or price.meaning.kind == "retail" else replace(price, basis=usual)
        for price in prices
    ]


_LEAST_GROUP = 5
_GROWTH = 0.95
"""Small packs hold dearer goods, so even prices per case hardly double with the pack; prices
per unit are clearly lower in large packs."""


def _grows(choice: _Choice, price: PriceColumn, fields: Mapping[str, int]) -> bool:
    """Whether prices grow from one pack to one about twice as large, of goods of one size."""
    if "pack" not in fields:
        return False
    groups: dict[float, list[float]] = {}
    sizes: dict[float, Counter[str]] = {}
    for row in choice.rows:
        cells = dict(enumerate(choice.sheet.rows[row]))
        amount, packed = (
            amount_of(cells.get(price.column), price.mark),
            _packed(cells.get(fields["pack"])),
        )
        if amount and packed:
            groups.setdefault(packed, []).append(float(amount))
            sizes.setdefault(packed, Counter())[shown(cells.get(fields.get("size", -1)))] += 1
    large = sorted(
        (len(found), packed) for packed, found in groups.items() if len(found) >= _LEAST_GROUP
    )
    if len(large) < 2:
        return False
    low, high = sorted(packed for _, packed in large[-2:])
    if high < 1.5 * low or sizes[low].most_common(1)[0][0] != sizes[high].most_common(1)[0][0]:
        return False
    return median(groups[high]) >= _GROWTH * median(groups[low])


def _is_above_retail(choice: _Choice, price: PriceColumn, prices: Sequence[PriceColumn]) -> bool:
    """Whether a trade price is mostly above a retail price beside it: then it is for several."""
    for retail in prices:
        if retail.meaning.kind == "retail" and price.meaning.kind is None:
            ratios = [ratio for ratio, _ in _ratios(choice, price, retail, None)]
            if ratios and sum(ratio > 1.02 for ratio in ratios) >= 0.6 * len(ratios):
                return True
    return False
