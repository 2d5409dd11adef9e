"""Features of goods read from running text, before any matching: size, pack, vintage, volts...

Belongs here: finding measured features in one text, with their units, ranges and places.
Does not belong here: weights and grinds of coffee as shops print them (`measure`), which
column a text stands in (`price_lists`), comparing two goods (`matching`).

Units are folded into one per feature: ml, g, mm, V, W, GB. A range keeps both ends: "220-240V"
is (220, 240). "2x250g" is two of 250 g each; "1/2 lb" is half a pound and no pack. Decimal
marks are points and commas; a comma before three digits groups thousands of ml, g and mm.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple

from scout_assets.domain.lexicon import fold

__all__ = ["NON_VINTAGE", "Range", "Span", "Specs", "Vintage", "extract"]

NON_VINTAGE: Literal["NV"] = "NV"
Vintage = int | Literal["NV"]

OLDEST_VINTAGE, NEWEST_VINTAGE = 1900, 2045


class Span(NamedTuple):
    """Where in the text a feature was read, and the text itself."""

    start: int
    end: int
    text: str


class Range(NamedTuple):
    """From low to high, both the same for a single value."""

    low: float
    high: float


@dataclass(frozen=True)
class Specs:
    """What a text says; None where it says nothing. Sizes are of one unit of the pack.

    size_ml in ml, size_g in g, length_mm in mm, voltage_v in V, power_w in W, storage_gb and
    memory_gb in GB, dimensions_mm in mm in printed order. `spans` names the place of each.
    """

    size_ml: float | None = None
    size_g: float | None = None
    length_mm: float | None = None
    pack_count: int | None = None
    vintage: Vintage | None = None
    voltage_v: Range | None = None
    power_w: Range | None = None
    storage_gb: float | None = None
    memory_gb: float | None = None
    dimensions_mm: tuple[float, ...] | None = None
    spans: Mapping[str, Span] = field(default_factory=dict, compare=False)

    def named(self) -> dict[str, object]:
        """The features found, by name."""
        return {name: value for name in FEATURES if (value := getattr(self, name)) is not None}


FEATURES = tuple(name for name in Specs.__dataclass_fields__ if name != "spans")

# Exact by definition: the US customary units of 1959 and the US liquid gallon of 231 in3.
_GALLON_ML = 3785.411784
_POUND_G, _INCH_MM = 453.59237, 25.4
_OUNCE_G, _FLUID_OUNCE_ML = _POUND_G / 16, _GALLON_ML / 128
_VOLUMES = {
    r"millilit(?:er|re)s?|mils?|mls?|cc|\u043c\u043b": 1.0,
    r"centilit(?:er|re)s?|cls?": 10.0,
    r"dls?": 100.0,
    r"lit(?:er|re|ro|ri|r)s?|ltrs?|lts?|l|\u043b(?:\u0438\u0442\u0440\w*)?": 1000.0,
    r"hectolit(?:er|re)s?|hls?": 100_000.0,
    r"fl\.? ?oz\.?|fluid ounces?": _FLUID_OUNCE_ML,
    r"gal(?:lons?)?": _GALLON_ML,
}
_WEIGHTS = {
    r"kilos?|kilogram\w*|kgs?|\u043a\u0433": 1000.0,
    r"gram(?:m?e?s?|os?|mi)?|gms?|grs?|gr|g|\u0433\u0440?|\u0433\u0440\u0430\u043c\w*": 1.0,
    r"milligram\w*|mg": 0.001,
    r"oz\.?|ounces?": _OUNCE_G,
    r"lbs?\.?|pounds?": _POUND_G,
}
_LENGTHS = {r"mm|\u043c\u043c": 1.0, r"cms?|\u0441\u043c": 10.0, r"m|\u043c": 1000.0}
_INCHES = {r"inch(?:es)?|in\.?|\"|\u2033|''": _INCH_MM}

_NUM = r"\d{1,3}(?:[\u00a0\u202f]\d{3})+(?!\d)|\d+(?:[.,]\d+)*"
_NOT_BEFORE = r"(?<![\w.,/\-+])"
_START = r"(?<![\w.,])"
_END = r"(?![^\W\d_]|\d)"
_DASH = r"\s*(?:-|\u2013|\u2014|~|\.\.\.?|to|bis|do|/)\s*"


def _units(*tables: Mapping[str, float]) -> str:
    return "|".join(unit for table in tables for unit in table)


_LENGTH_UNIT = rf"(?:{_units(_LENGTHS, _INCHES)})"
_SIZE_UNIT = rf"(?P<unit>{_units(_VOLUMES, _WEIGHTS)}){_END}"
_TIMES = r"(?:x|\u00d7|\*|\u0445)"  # the last is the Cyrillic letter
_CONTAINERS = (
    r"(?:bottles?|btls?|bts?|fl\.?|flaschen|fles(?:sen)?|bouteilles?|botellas?|bottigli[ae]|bot"
    r"|garrafas?|butel\w*|\u0431\u0443\u0442\w*|cans?|dosen?|canettes?|latas?|lattine|bags?"
    r"|beutel|sacs?|pouch(?:es)?|packs?|pkts?|pkgs?|pcs|pieces?|pc|pks?|stk|stuck|st|pz|pezzi|pi[ec]ces?"
    r"|uds?|unid\w*|units?|szt|\u0448\u0442\w*|ct|count|ea|each|tins?|jars?|boxes|kegs?)"
)
_CASES = (
    r"(?:cases?|cs|ctns?|cartons?|box|pack|packs|set|karton|kiste|caisse|carton|caja|cassa"
    r"|cartone|scatola|caixa|doos|karton|kst|pak|case pack|tray|sleeve|bundle"
    r"|\u0443\u043f\u0430\u043a\w*|\u044f\u0449\u0438\u043a\w*|\u043a\u043e\u0440\u043e\u0431\w*)"
)
_PACK_OF_SIZE = re.compile(
    rf"{_START}(?P<count>\d{{1,4}})(?P<per>)\s*(?:{_CONTAINERS}\s*)?(?:{_TIMES}|/|@|\bof\b|\u00e0)\s*"
    rf"(?P<num>{_NUM})\s*-?{_SIZE_UNIT}"
)
_SIZE_OF_PACK = re.compile(
    rf"{_START}(?P<num>{_NUM})\s*-?(?:{_SIZE_UNIT})\s*(?:{_CONTAINERS}\s*)?"
    rf"(?:{_TIMES}\s*(?P<count>\d{{1,4}}){_END}(?!\s*(?:cm|mm|{_units(_VOLUMES)}))"
    rf"|/\s*(?P<per>\d{{1,3}})\s*(?:{_CONTAINERS}|$))"
)
_SIZE = re.compile(
    rf"{_NOT_BEFORE}(?P<num>{_NUM}|\d\s*/\s*\d)\s*-?{_SIZE_UNIT}(?!\s*(?:/|per)\s*(?:h|min|s|m)\b)"
)
_PACKS = (
    re.compile(
        rf"\b{_CASES}\s*(?:of|a|de|da|di|von|van|mit|zu|\u043f\u043e|/|:|=|x)?\s*(?P<count>\d{{1,4}})"
        rf"{_END}(?![.,]\d|\s*(?:%|x\s*\d+|{_units(_VOLUMES, _WEIGHTS, _LENGTHS)}){_END})"
    ),
    re.compile(
        rf"{_NOT_BEFORE}(?P<count>\d{{1,4}})\s*-?\s*(?:{_CONTAINERS})?\s*(?:/|per|p\.?/?)\s*{_CASES}\b"
    ),
    re.compile(rf"{_NOT_BEFORE}(?P<count>\d{{1,4}})\s*-?\s*(?:{_CONTAINERS}|{_CASES})(?![\w-])"),
    re.compile(rf"{_NOT_BEFORE}(?P<count>\d{{1,3}})er[\s-]*{_CASES}\b"),
    re.compile(
        rf"(?<![\w.,])(?<!\d )(?<!\w )x\s?(?P<count>\d{{1,3}})(?![\w.,/]|\s*(?:x\b|{_LENGTH_UNIT}))"
    ),
)
# Empty vessels hold ounces; "cup" alone is as often food ("peanut butter cups").
_VESSEL = re.compile(
    r"\b(?:mugs?|tumblers?|jugs?|pitchers?|carafes?|drinking glass(?:es)?|wine glass(?:es)?"
    r"|(?:paper|plastic|foam|ceramic|glass|hot|cold|soup|coffee|espresso|latte|cappuccino"
    r"|wall(?:ed)?|ripple|takeaway|to[- ]go|disposable|compostable|travel)"
    r"(?: (?:hot|cold|coffee|drink(?:ing)?))? cups?)\b|^cups\b"
)
_NAMED_SIZES = (
    (re.compile(r"\b(?:double magnum|jeroboam)\b"), 3000.0),
    (re.compile(r"\bmagnums?\b"), 1500.0),
    (re.compile(r"\b(?:half[- ]bottles?|demi[- ]bouteilles?|halbe flasche)\b"), 375.0),
)
_NON_VINTAGE = re.compile(
    r"(?<![\w.\-])(?:n\.?v\.?|mv|non[- ]?vint(?:age)?|non[- ]?mill?\w*|sans annee|s\.a\."
    r"|ohne jahrgang|o\.j\.|sin anada|senza annata)(?![\w])"
)
_YEAR = re.compile(
    r"(?<![\w.,/\-#])(?P<year>(?:19|20)\d{2})(?![\w]|[.,]\d|\s*(?:%|ml|g|kg|w|v|mm|cm|x\s*\d)\b)"
)
_SHORT_YEAR = re.compile(r"(?<![\w'])['\u2018\u2019\u02bc`](?P<year>\d{2})(?![\w'\u2019])")
_VOLTAGE = re.compile(
    rf"{_NOT_BEFORE}(?P<low>{_NUM})\s*(?:v\s*)?(?:{_DASH}(?P<high>{_NUM})\s*)?(?P<kilo>k)?"
    r"(?:v(?:olts?|ac|dc)?|\u0432)(?![\w]|\.\s?[a-z]\b)"
)
_POWER = re.compile(
    rf"{_NOT_BEFORE}(?P<low>{_NUM})\s*(?:k?w\s*)?(?:{_DASH}(?P<high>{_NUM})\s*)?-?(?P<kilo>k)?"
    r"(?:w(?:atts?)?|\u0432\u0442)(?![\w/])"
)
_BYTES = re.compile(
    rf"{_START}(?P<num>{_NUM})\s*(?P<unit>[mgt])b(?![\w/])(?:\s*(?P<what>[a-z0-9]+))?"
)
_RAM_AND_STORAGE = re.compile(
    r"(?<![\w.,])(?P<memory>\d{1,3})\s*(?:gb?)?\s*[/+]\s*(?P<num>\d{1,4})\s*(?P<unit>[gt])b(?![\w/])"
)
_MEMORY_WORDS = re.compile(
    r"ram|memory|ddr\w*|lpddr\w*|arbeitsspeicher|memoire|memoria|\u043e\u0437\u0443"
)
_DIMENSIONS = re.compile(
    rf"{_START}(?P<a>{_NUM})\s*(?P<ua>{_LENGTH_UNIT})?\s*{_TIMES}\s*(?P<b>{_NUM})\s*"
    rf"(?P<ub>{_LENGTH_UNIT})?(?:\s*{_TIMES}\s*(?P<c>{_NUM}))?\s*(?P<u>{_LENGTH_UNIT})?{_END}"
)
_LENGTH = re.compile(rf"{_NOT_BEFORE}(?P<num>{_NUM})\s*-?(?P<unit>{_LENGTH_UNIT}){_END}")


@lru_cache(maxsize=16384)
def extract(text: str) -> Specs:
    """All features of one text; never raises. The first of several values of a kind counts."""
    folded = fold(text)
    found: dict[str, object] = {}
    spans: dict[str, Span] = {}
    for read in _READERS:
        for name, value, (start, end) in read(folded):
            if name not in found:
                found[name] = value
                spans[name] = Span(start, end, text[start:end])
    return Specs(**found, spans=spans)  # type: ignore[arg-type]


Found = Iterator[tuple[str, object, tuple[int, int]]]


def _sizes(text: str) -> Found:
    for pattern in (_PACK_OF_SIZE, _SIZE_OF_PACK):
        for match in pattern.finditer(text):
            count = int(match["count"] or match["per"])
            if count < 1 or (pattern is _PACK_OF_SIZE and _is_fraction(match, count)):
                continue
            yield from _size(match)
            yield "pack_count", count, match.span()
            return
    for match in _SIZE.finditer(text):
        yield from _size(match)


def _is_fraction(match: re.Match[str], count: int) -> bool:
    """ "1/2 lb" and "3/4 l" are parts of one; "1/1.5L" and "1/24l" are packs."""
    cut = match.group()[len(match["count"]) :].lstrip()
    if not cut.startswith("/") or match["num"] not in ("2", "4", "8"):
        return False
    return count < int(match["num"]) and count % 2 == 1


def _size(match: re.Match[str]) -> Found:
    number = _number(match["num"], grouped=True)
    for name, table in (("size_ml", _VOLUMES), ("size_g", _WEIGHTS)):
        factor = _factor(table, match["unit"])
        if factor is not None and number:
            if factor >= 1000.0 and "," in match["num"]:
                number = _number(match["num"], grouped=False)
            if factor == _OUNCE_G and _VESSEL.search(match.string):
                name, factor = "size_ml", _FLUID_OUNCE_ML
            yield name, round(number * factor, 4), match.span()
            return


def _packs(text: str) -> Found:
    for pattern in _PACKS:
        for match in pattern.finditer(text):
            if 1 <= int(match["count"]) <= 2000:
                yield "pack_count", int(match["count"]), match.span()
                return


def _named_sizes(text: str) -> Found:
    for pattern, millilitres in _NAMED_SIZES:
        match = pattern.search(text)
        if match is not None:
            yield "size_ml", millilitres, match.span()


def _vintages(text: str) -> Found:
    for match in _YEAR.finditer(text):
        if OLDEST_VINTAGE <= int(match["year"]) <= NEWEST_VINTAGE:
            yield "vintage", int(match["year"]), match.span()
            return
    for match in _SHORT_YEAR.finditer(text):
        short = int(match["year"])
        yield "vintage", short + (2000 if short + 2000 <= NEWEST_VINTAGE else 1900), match.span()
        return
    none = _NON_VINTAGE.search(text)
    if none is not None:
        yield "vintage", NON_VINTAGE, none.span()


def _electrics(text: str) -> Found:
    for name, pattern in (("voltage_v", _VOLTAGE), ("power_w", _POWER)):
        for match in pattern.finditer(text):
            factor = 1000.0 if match["kilo"] else 1.0
            low = _number(match["low"], grouped=False) * factor
            high = _number(match["high"], grouped=False) * factor if match["high"] else low
            if 0 < low <= high:
                yield name, Range(low, high), match.span()
                break


_GIGABYTES = {"m": 1 / 1024, "g": 1.0, "t": 1024.0}


def _bytes(text: str) -> Found:
    pair = _RAM_AND_STORAGE.search(text)
    if pair is not None:
        yield "memory_gb", float(pair["memory"]), pair.span()
        yield "storage_gb", float(pair["num"]) * _GIGABYTES[pair["unit"]], pair.span()
    for match in _BYTES.finditer(text):
        amount = _number(match["num"], grouped=False) * _GIGABYTES[match["unit"]]
        memory = match["what"] is not None and _MEMORY_WORDS.fullmatch(match["what"])
        yield ("memory_gb" if memory else "storage_gb"), amount, match.span()


def _lengths(text: str) -> Found:
    taken: list[tuple[int, int]] = []
    for match in _DIMENSIONS.finditer(text):
        unit = match["u"] or match["ub"] or match["ua"]
        if unit is None or (match["u"] is None and match["c"] is not None):
            continue
        numbers = [_number(match[part], grouped=True) for part in "abc" if match[part]]
        factor = _length_factor(unit)
        taken.append(match.span())
        yield "dimensions_mm", tuple(round(n * factor, 3) for n in numbers), match.span()
    for match in _LENGTH.finditer(text):
        number = _number(match["num"], grouped=True)
        if number and not any(start <= match.start() < end for start, end in taken):
            yield "length_mm", round(number * _length_factor(match["unit"]), 3), match.span()


def _length_factor(unit: str) -> float:
    return _factor(_LENGTHS, unit) or _INCH_MM


_READERS: tuple[Callable[[str], Found], ...] = (
    _sizes,
    _named_sizes,
    _packs,
    _vintages,
    _electrics,
    _bytes,
    _lengths,
)


@lru_cache(maxsize=512)
def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _factor(table: Mapping[str, float], unit: str) -> float | None:
    return next((value for names, value in table.items() if _whole(names).fullmatch(unit)), None)


def _number(text: str, grouped: bool) -> float:
    """A printed number. `grouped`: a single mark before three digits groups thousands."""
    if "/" in text:
        top, _, bottom = text.partition("/")
        return float(top) / float(bottom) if float(bottom) else 0.0
    plain = re.sub(r"[ \u00a0\u202f]", "", text)
    marks = re.findall(r"[.,]", plain)
    if not marks:
        return float(plain)
    whole, fraction = plain[: plain.rfind(marks[-1])], plain[plain.rfind(marks[-1]) + 1 :]
    comma_groups = marks[-1] == "," and len(fraction) == 3 and grouped and not whole.startswith("0")
    if len(set(marks)) == 1 and (len(marks) > 1 or comma_groups):
        return float(re.sub(r"[.,]", "", plain))
    return float(f"{re.sub('[.,]', '', whole)}.{fraction}")
