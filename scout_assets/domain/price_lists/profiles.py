"""What the values of a column say it is, whatever its header says.

Belongs here: numbers as cells print them, kinds of values, shares of them in a column, and
how well a column's values fit a field. Does not belong here: words of headers (`words`), the
choice among columns (`columns`).
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise

from scout_assets.domain.grids import Cell, shown
from scout_assets.domain.measure import parse_money, valid_gtin
from scout_assets.domain.price_lists.words import currency_of, is_no_price, meaning
from scout_assets.domain.specs import NEWEST_VINTAGE, NON_VINTAGE, OLDEST_VINTAGE, Vintage, extract

__all__ = [
    "Profile",
    "amount_of",
    "decimal_mark",
    "fits",
    "gtin_of",
    "is_code",
    "profile",
    "vintage_of",
]

PACKS = frozenset(
    {1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16, 18, 20, 24, 25, 30, 36, 40, 48, 50, 60, 72, 96, 100}
)
_BOTTLES_ML = frozenset(
    {
        50,
        100,
        187,
        200,
        250,
        300,
        330,
        355,
        375,
        473,
        500,
        568,
        620,
        640,
        660,
        700,
        720,
        750,
        1000,
        1500,
        1750,
        1800,
        2000,
        2250,
        3000,
        4500,
        5000,
        6000,
    }
)
_BOTTLES_CL = frozenset(
    {5, 10, 18.7, 20, 25, 33, 35, 37.5, 50, 62, 66, 70, 72, 75, 100, 150, 175, 300}
)
_BOTTLES_L = frozenset(
    {
        0.05,
        0.1,
        0.187,
        0.2,
        0.25,
        0.33,
        0.35,
        0.375,
        0.5,
        0.7,
        0.72,
        0.75,
        1,
        1.5,
        1.75,
        3,
        4.5,
        5,
        6,
    }
)
_CODE = re.compile(
    r"(?=.*\d)[A-Za-z0-9\u0400-\u04ff]+(?:[-_./#+][A-Za-z0-9\u0400-\u04ff]+)*"
    r"|[A-Z\u0410-\u042f]{1,5} \d{2,8}(?:[-/]\d{1,4})?"  # "CD 010"
)
_LONGEST_READ = 500
"""Characters of a cell that are looked at; searching words takes the square of a text's length."""
_FINE = re.compile(r"\d[.,]\d{5,}")  # measures and coordinates, never a printed price
_WORD = re.compile(r"[^\W\d_]{3,}\s|\s[^\W\d_]{3,}")
_URL = re.compile(r"https?://|www\.|\S@\S+\.\w", re.IGNORECASE)
_NUMERIC = re.compile(r"(\D{0,8}?)-?\s?\d[\d.,'\u2019\u00a0\u202f ]*(\D{0,12})")


@lru_cache(maxsize=65536)
def _text_amount(text: str, mark: str | None) -> Decimal | None:
    if mark is not None:
        text = re.sub(rf"\{mark}(\d{{3}})(?!\d)", rf"{mark}\g<1>0", text)
    return parse_money(text)


def amount_of(cell: Cell, mark: str | None = None) -> Decimal | None:
    """The one number a cell holds, at most four decimals; None for none or several.

    `mark`: the decimal mark of the column, where its values tell (see `decimal_mark`).
    """
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, int | float):
        return round(Decimal(repr(cell)), 4).normalize() if abs(cell) < 1e15 else None
    return _text_amount(cell.strip(), mark) if isinstance(cell, str) else None


_ENDING = re.compile(r"\d([.,])(\d+)(?!.*\d)")


def decimal_mark(cells: Sequence[Cell]) -> str | None:
    """The mark that some value of a column uses before other than three digits; None if unsure."""
    found: Counter[str] = Counter()
    for cell in cells:
        match = _ENDING.search(cell) if isinstance(cell, str) else None
        if match is not None and len(match[2]) in (1, 2):
            found[match[1]] += 1
    return found.most_common(1)[0][0] if len(found) == 1 else None


def gtin_of(cell: Cell) -> str | None:
    """A GTIN with the right check digit; leading zeros that a number lost are put back."""
    text = re.sub(r"[\s\-]", "", shown(cell)).removesuffix(".0")
    if not text.isascii() or not text.isdigit():
        return None
    return valid_gtin(text) or (valid_gtin(text.zfill(12)) if 9 <= len(text) <= 11 else None)


def vintage_of(cell: Cell) -> Vintage | None:
    """A year or NV that is all a cell says."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        year = int(cell)
        return year if year == cell and OLDEST_VINTAGE <= year <= NEWEST_VINTAGE else None
    text = shown(cell)
    if not text or len(text) > 20:
        return None
    found = extract(text).vintage
    if found == NON_VINTAGE or text.strip("'\u2019 ").isdigit():
        short = text.strip("'\u2019 ")
        return extract(f"'{short}").vintage if len(short) == 2 and short.isdigit() else found
    return found if len(text) <= 6 else None


@lru_cache(maxsize=65536)
def is_code(text: str) -> bool:
    """Whether a text looks like an article code: one word with digits, no measure, no year."""
    if not 2 <= len(text) <= 40 or not _CODE.fullmatch(text):
        return False
    if text.isdigit():
        return len(text) >= 3 and not (len(text) == 4 and text[:2] in ("19", "20"))
    return (
        not extract(text).named().keys() - {"vintage"}
        and re.fullmatch(r"[\d.,]+[a-z]?", text) is None
    )


@dataclass(frozen=True)
class Profile:
    """Shares (0 to 1) of kinds of values among the filled cells of a column."""

    filled: int = 0
    fill: float = 0.0
    numeric: float = 0.0
    integer: float = 0.0
    decimal: float = 0.0
    money: float = 0.0
    percent: float = 0.0
    no_price: float = 0.0
    year: float = 0.0
    pack: float = 0.0
    size: float = 0.0
    bottle: float = 0.0
    gtin: float = 0.0
    code: float = 0.0
    url: float = 0.0
    dates: float = 0.0
    negative: float = 0.0
    fine: float = 0.0
    currency: float = 0.0
    text: float = 0.0
    distinct: float = 0.0
    length: float = 0.0
    counting: bool = False
    largest: float = 0.0


def profile(cells: Sequence[Cell], marks: Sequence[str], rows: int) -> Profile:
    """The profile of the filled cells of a column; `marks` are what their formats show."""
    if not cells:
        return Profile()
    kinds: Counter[str] = Counter()
    numbers: list[float] = []
    texts = [shown(cell)[:_LONGEST_READ] for cell in cells]
    mark = decimal_mark(cells)
    for cell, text, shows in zip(cells, texts, marks, strict=True):
        kinds.update(_kinds(cell, text, shows))
        number = amount_of(cell, mark) if kinds and _is_numeric(cell, text) else None
        if number is not None:
            numbers.append(float(number))
    count = len(cells)
    shares = {kind: kinds[kind] / count for kind in _SHARES}
    return Profile(
        filled=count,
        fill=count / max(rows, 1),
        distinct=len(set(texts)) / count,
        length=sum(map(len, texts)) / count,
        counting=len(numbers) > 3 and _is_counting(numbers),
        largest=max(numbers, default=0.0),
        **shares,
    )


def _is_counting(numbers: Sequence[float]) -> bool:
    return numbers[0].is_integer() and all(b - a == 1 for a, b in pairwise(numbers))


_SHARES = (
    "numeric",
    "integer",
    "decimal",
    "money",
    "percent",
    "no_price",
    "year",
    "pack",
    "size",
    "bottle",
    "gtin",
    "code",
    "url",
    "dates",
    "negative",
    "fine",
    "currency",
    "text",
)


def _is_numeric(cell: Cell, text: str) -> bool:
    return isinstance(cell, int | float) or _is_number(text)


@lru_cache(maxsize=32768)
def _is_number(text: str) -> bool:
    """A number with nothing beside it but signs, a currency, or what it is for ("/btl")."""
    match = _NUMERIC.fullmatch(text)
    if match is None:
        return False
    words = [
        word for side in match.groups() for word in side.split() if any(map(str.isalpha, word))
    ]
    return all(currency_of(word, near_amount=True) or meaning(word).bases for word in words)


def _kinds(cell: Cell, text: str, shows: str) -> list[str]:
    if isinstance(cell, date | datetime | time | timedelta):
        return ["dates"]
    kinds = _text_kinds(text)
    number = amount_of(cell) if _is_numeric(cell, text) else None
    if number is not None:
        kinds += _number_kinds(float(number), cell, text, shows)
    if vintage_of(cell) is not None:
        kinds.append("year")
    return kinds


@lru_cache(maxsize=32768)
def _kinds_of_text(text: str) -> tuple[str, ...]:
    kinds = []
    if _URL.search(text):
        kinds.append("url")
    if is_no_price(text):
        kinds.append("no_price")
    if is_code(text):
        kinds.append("code")
    if 8 <= len(text) <= 18 and gtin_of(text):
        kinds.append("gtin")
    if _WORD.search(text) or sum(map(str.isalpha, text)) >= max(2, 0.4 * len(text)):
        kinds.append("text")
    if len(text) <= 20 and text.isprintable() and not any(map(str.isdigit, text)):
        kinds += ["currency"] * (currency_of(text, near_amount=True) is not None)
    if len(text) <= 25:
        said = extract(text)
        if (said.size_ml or said.size_g) is not None:
            kinds.append("size")
        if said.pack_count is not None:
            kinds.append("pack")
    return tuple(kinds)


def _text_kinds(text: str) -> list[str]:
    return list(_kinds_of_text(text))


def _number_kinds(number: float, cell: Cell, text: str, shows: str) -> list[str]:
    kinds = ["numeric"]
    if number < 0:
        kinds.append("negative")
    if isinstance(cell, str) and _FINE.search(text):
        kinds.append("fine")
    percent = "%" in shows or text.endswith("%")
    if percent:
        return [*kinds, "percent"]
    if number.is_integer():
        kinds.append("integer")
        if int(number) in PACKS:
            kinds.append("pack")
    if re.search(r"\d[.,]\d{2}(?!\d)", text) or not number.is_integer():
        kinds.append("decimal")
    if (shows and (shows == "\u00a4" or currency_of(shows, near_amount=True))) or (
        isinstance(cell, str) and currency_of(text, near_amount=True)
    ):
        kinds.append("money")
    if number in _BOTTLES_ML or number in _BOTTLES_CL or number in _BOTTLES_L:
        kinds.append("bottle")
    return kinds


def fits(field: str, p: Profile, named: bool = False) -> float:
    """How well the values of a column fit a field, 0 to 1.

    `named`: the header plainly says the field, which overrules what the values look like.
    """
    fit = _FITS_NAMED[field](p) if named and field in _FITS_NAMED else _FITS[field](p)
    return round(max(0.0, min(1.0, fit)), 3)


def _as_price(p: Profile) -> float:
    if p.counting:
        return 0.0
    codes = p.code > 0.9 and p.distinct > 0.95 and p.decimal == 0 and p.largest > 9999
    return 0.1 if p.money < 0.4 and (p.year > 0.8 or codes) else _as_amount(p)


def _as_amount(p: Profile) -> float:
    """Prices, where years, codes and row numbers are out of the question."""
    priced = p.numeric / max(1 - p.no_price, 0.01) if p.no_price < 1 else 0.0
    if p.negative > 0.2 or p.fine > 0.5:
        return 0.0
    if priced < 0.5 or p.percent > 0.3 or p.gtin > 0.5 or p.dates > 0.3:
        return 0.0
    return 0.45 * min(priced, 1.0) + 0.45 * (p.money >= 0.4) + 0.2 * (p.decimal >= 0.25)


def _as_pack(p: Profile) -> float:
    if p.money > 0.3 or p.percent > 0.3 or p.decimal > 0.2:
        return 0.0
    few = p.distinct * p.filled <= max(12, 0.1 * p.filled)
    return p.pack * (0.9 if few else 0.4)


def _as_size(p: Profile) -> float:
    few = p.distinct * p.filled <= max(15, 0.2 * p.filled)
    bare = p.bottle * (0.6 if few else 0.2) if p.money < 0.3 and p.percent < 0.3 else 0.0
    return max(p.size, bare)


def _as_name(p: Profile) -> float:
    if p.url > 0.3 or p.text < 0.5:
        return 0.0
    long = 0.6 if p.length > _LONG_NAME else 1.0
    return long * p.text * (0.3 * p.fill + 0.3 * min(1.0, p.length / 25) + 0.4 * p.distinct)


_LONG_NAME = 150
"""Characters on average from which a text describes more than it names."""


def _as_sku(p: Profile) -> float:
    if p.gtin > 0.8 and p.filled > 2:
        return 0.2
    return p.code * (0.3 + 0.6 * p.distinct) if p.decimal < 0.3 and p.money < 0.3 else 0.0


def _as_named_sku(p: Profile) -> float:
    """What a header plainly calls SKUs: mostly distinct and short, whatever they look like."""
    codes = p.distinct >= 0.6 and p.length <= 24 and p.decimal < 0.3 and p.money < 0.3
    return max(_as_sku(p), 0.5 * (codes and p.gtin <= 0.8))


def _as_named_gtin(p: Profile) -> float:
    """What a header plainly calls GTINs: as long as they are, though they may be spoilt."""
    return max(p.gtin, 0.4 * (p.text < 0.3 and 8 <= p.length <= 18 and p.money < 0.3))


_FITS: dict[str, Callable[[Profile], float]] = {
    "price": _as_price,
    "vintage": lambda p: p.year,
    "pack": _as_pack,
    "size": _as_size,
    "name": _as_name,
    "sku": _as_sku,
    "gtin": lambda p: p.gtin,
    "brand": lambda p: 0.5 * p.text * (p.length < 50) * (p.url < 0.3),
    "currency": lambda p: p.currency * (1.0 if p.length == len("EUR") else 0.6),
    "category": lambda p: p.text * (0.5 if p.distinct < 0.5 or p.filled < 8 else 0.1),
    "quantity": lambda p: 0.5 * max(p.numeric, p.no_price, p.filled > 0) * (p.money < 0.5),
}
_FITS_NAMED: dict[str, Callable[[Profile], float]] = {
    "price": _as_amount,
    "sku": _as_named_sku,
    "gtin": _as_named_gtin,
}
