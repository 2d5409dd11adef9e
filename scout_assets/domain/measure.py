"""Money, weights, pack counts and GTINs, as shops print them.

Belongs here: turning one short text ("1.234,56", "4 x 250g", "1/2 lb") into numbers, and the
arithmetic on them. Does not belong here: where on a page the text was found, or which of
several texts to believe (see `packs`).
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from scout_assets.domain.lexicon import fold

# Avoirdupois units are defined exactly in grams (1959 international yard and pound agreement).
_GRAMS_PER_POUND = 453.59237
_GRAMS_PER_OUNCE = _GRAMS_PER_POUND / 16
# The German "Pfund" is a metric half kilogram.
_GRAMS_PER_PFUND = 500.0

# ISO 4217 currencies with three minor digits: there "12.500" is twelve and a half.
_THREE_DIGIT_CURRENCIES = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})

_NUMBER_TEXT = re.compile(r"[^\d]*?(-?)\s*(\d[\d.,'\u2019\u00a0\u202f ]*)[^\d]*")
_SPACES = re.compile(r"[\s'\u2019]+")


def parse_money(text: str, currency: str | None = None) -> Decimal | None:
    """Read one amount; None when the text holds no amount or more than one.

    The last of two different separators is the decimal mark. A single separator before
    exactly three digits groups thousands, unless the amount starts with 0 or the currency
    has three minor digits (ISO 4217).
    """
    match = _NUMBER_TEXT.fullmatch(text)
    if match is None:
        return None
    sign, digits = match.groups()
    plain = _decimal_text(_SPACES.sub("", digits).rstrip(".,"), currency)
    return None if plain is None else Decimal(sign + plain)


# Groups of three digits, or of two before the last three (the Indian system).
_GROUPED = re.compile(r"\d{1,3}(?:([.,])\d{3})?(?:\1\d{3})*|\d{1,2}(?:([.,])\d{2})+\2\d{3}|\d+")


def _decimal_text(digits: str, currency: str | None) -> str | None:
    """The number with a point for its decimal mark; None where the marks make no number."""
    at = max(digits.rfind("."), digits.rfind(","))
    mark, whole, fraction = digits[at], digits[:at], digits[at + 1 :]
    three_digits = currency is not None and currency.upper() in _THREE_DIGIT_CURRENCIES
    is_group = len(fraction) == 3 and not whole.startswith("0") and not three_digits
    if at < 0 or mark in whole or (is_group and not {".", ","} & set(whole)):
        whole, fraction = digits, ""
    if not _GROUPED.fullmatch(whole):
        return None
    return re.sub(r"[.,]", "", whole) + (f".{fraction}" if fraction else "")


def from_minor_units(amount: str | int, exponent: int) -> Decimal | None:
    """An integer count of the smallest unit as an amount: ("277666", 2) is 2776.66."""
    if isinstance(amount, bool) or not 0 <= exponent <= 6:
        return None
    try:
        return Decimal(int(amount)).scaleb(-exponent)
    except ValueError:
        return None


def unit_price_per_100g(
    price: Decimal | None, net_weight_g: float | None, pack_count: int = 1
) -> Decimal | None:
    """Price of 100 g, rounded to four places; None when price or weight is unknown or 0."""
    if not price or not net_weight_g or pack_count < 1:
        return None
    total = Decimal(str(net_weight_g)) * pack_count
    return (price * 100 / total).quantize(Decimal("0.0001"))


def valid_gtin(text: str | None) -> str | None:
    """The digits of a GTIN-8, -12, -13 or -14 with the right check digit, else None.

    Check digit: GS1 General Specifications, section 7.9 (weights 3 and 1 from the right).
    """
    digits = re.sub(r"[\s-]", "", text or "")
    if len(digits) not in (8, 12, 13, 14) or not digits.isascii() or not digits.isdigit():
        return None
    if not digits.strip("0"):
        return None
    total = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(reversed(digits)))
    return digits if total % 10 == 0 else None


# The smallest coffee unit on sale is a capsule of about 5 g: less is no share of a total.
_LEAST_UNIT_GRAMS = 4.0


class Quantity(NamedTuple):
    """What one text says of an amount of goods.

    grams: the weight as printed, in g. units: the number of units. each: True when the text
    ties `grams` to one unit ("4 x 250g"), False when it may be the total. imperial: printed
    in ounces or pounds only; for a drink "12 oz" is a volume.
    """

    grams: float | None
    units: int | None
    each: bool = False
    imperial: bool = False

    @property
    def unit_grams(self) -> float | None:
        """Weight of one unit; a weight not tied to one unit is the total of all units."""
        if self.grams is None or self.each or not self.units:
            return self.grams
        share = self.grams / self.units
        return self.grams if share < _LEAST_UNIT_GRAMS else round(share, 4)


NOTHING = Quantity(None, None)

_UNIT_GRAMS: dict[str, float] = {
    "kg": 1000.0,
    "g": 1.0,
    "oz": _GRAMS_PER_OUNCE,
    "lb": _GRAMS_PER_POUND,
    "pfund": _GRAMS_PER_PFUND,
}
_UNIT = (
    r"(?P<{0}>(?P<{0}kg>k\.?g\.?s?|kilos?|kilo ?gra?m(?:m?e?s?|os?|mi)?|quilos?"
    # Cyrillic, Greek, Hangul, Arabic, Han and kana
    r"|\u043a\u0433|\ud0ac\ub85c(?:\uadf8\ub7a8)?"
    r"|\u0643\u062c\u0645|\u0643\u064a\u0644\u0648|\u516c\u65a4|\u5343\u514b|\u30ad\u30ed)"
    r"|(?P<{0}g>g\.?|gra?m(?:m?e?s?|os?|mi|ma*|as?)?\.?|gms?\.?|grs?\.?|gam"
    r"|\u0433\u0440\u0430\u043c\u043c?|\u0433\u0440?\.?|\u03b3\u03c1\.?|\uadf8\ub7a8"
    r"|\u062c\u0631\u0627\u0645|\u063a\u0631\u0627\u0645|\u062c\u0645|\u516c?\u514b|\u30af\u30e9\u30e0)"
    r"|(?P<{0}oz>oz\.?|ounces?|onzas?|onces?)"
    r"|(?P<{0}lb>lbs?\.?|pounds?|libras?|\u78c5|#)"
    r"|(?P<{0}pfund>pfund))(?![a-wyz0-9\u0430-\u044f]|x(?!\s?\d))"  # "20gx4" is a weight too
)
_NUMBER_WORDS = {
    "one": 1.0,
    "a": 1.0,
    "full": 1.0,
    "ein": 1.0,
    "two": 2.0,
    "three": 3.0,
    "five": 5.0,
    "ten": 10.0,
    "half": 0.5,
    "half a": 0.5,
    "half an": 0.5,
    "quarter": 0.25,
    "\u534a": 0.5,  # Han
    "\u4e00": 1.0,
} | {
    word: amount
    for words, amount in (
        ("un uno una uma een eine", 1.0),
        ("medio media mezzo mezza meio meia demi halve halbes halv halvt", 0.5),
    )
    for word in words.split()
}
_NUM = (
    r"\d+\s+\d/\d|\d/\d|\d*\s?[½¼¾⅓⅔]|\d{1,2}[ \u00a0\u202f]000|\d+(?:[.,]\d+)*"
    rf"|(?:{'|'.join(sorted(_NUMBER_WORDS.keys() - {'a'}, key=len, reverse=True))})(?=[ -])"
    r"|[\u534a\u4e00]"
)
# Where a number may begin: not inside a word or number, but right after a sign ("每包10g").
_BEGIN = r"(?<![^\W\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3])(?<![.,])"
_NO_LETTER = r"(?![^\W\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3])"
_COUNT_WORDS = {
    word: count
    for count, words in enumerate(
        (
            "two zwei deux dos due dois duas twee tva",
            "three drei trois tres tre drie",
            "four vier quatre cuatro quattro quatro fyra",
            "five funf cinq cinco cinque vijf fem",
            "six sechs seis sei zes",
            "seven",
            "eight acht huit ocho",
            "nine",
            "ten zehn dix diez",
            "eleven",
            "twelve zwolf douze doce",
        ),
        start=2,
    )
    for word in words.split()
}
_COUNT = rf"\d{{1,3}}|{'|'.join(_COUNT_WORDS)}"
_FRACTIONS = {"½": 0.5, "¼": 0.25, "¾": 0.75, "⅓": 1 / 3, "⅔": 2 / 3}

# One serving each: a weight beside their number is the total ("10 capsules (55g)") ...
_SERVING = (
    r"(?:sachets?|saches?|satchels?|bustin[ae]|sobres?|saquetas?|zakjes|sticks?|capsul[ae]s?"
    r"|kapseln?|kapsler|kapslar|pods?|cialde|dosett?es?|k[- ]?cups?|tabs|discs?|drips?"
    r"|drip bags?|brew bags?|coffee bags?|monodos[ei]s?|steeped bags?|filterbeutel)"
)
# ... but beside these it is the weight of each ("2 bags (12oz)").
_PACKAGE = (
    r"(?:bags?|pouch(?:es)?|beutel|cans?|bottles?|tins?|jars?|box(?:es)?|packs?|packets?"
    r"|packages?|pkts?|paquetes?|paquets?|pakete?|bolsas?|sacchett[io]|zak|zakken|sleeves?|boites?"
    r"|pacotes?|cajas?|caixas?|scatol[ae]|dozen|doos|schachteln?|tuten?|dosen?|pos[ei]r?|pase|pasar"
    r"|etuis?|estuches?|confezion[ei]|pacch[io]|latas?|barattol[io])"
)
_PIECE = r"(?:pk|pcs?|pieces?|units?|unidades|pezzi|pz|szt|stuck|stk|ct|counts?)"
_CONTAINER = rf"(?:{_SERVING}|{_PACKAGE}|{_PIECE})"
_COUNTER = (
    r"(?:[\u5305\u888b\u679a\u7247\u9846\u9897\u7c92\u689d\u6761\u5165]"  # bags and pieces
    r"|[\u500b\u4e2a](?=[\u5165\u88dd\u88c5\u30bb]|\W|$)|\u30cf\u309a\u30c3\u30af|\u30cf\u30c3\u30af"
    r"|\uac1c\uc785|\uac1c|\ubd09|\ud3ec|\ud329)"  # Hangul
)
_MULTI = r"(?:x|\u00d7|\u2715|\*)"
# A rate ("per 100g"), a liquid ounce or the ounces of a vessel are no weight of goods.
_NOT_GOODS = r"(?!\s*(?:cans?|bottles?|cups?|mugs?|tumblers?|glass(?:es)?)\b)"
_WEIGHT = rf"(?P<n>{_NUM})\s*-?\s*{_UNIT.format('u')}(?:(?<!oz)(?<!oz\.)|{_NOT_GOODS})"
_PLAIN_WEIGHT = re.compile(rf"{_BEGIN}(?<!per )(?<![€$£]/)(?:{_WEIGHT})")
_COUNT_TIMES_WEIGHT = re.compile(
    rf"{_BEGIN}(?P<count>{_COUNT})(?:\s*(?:{_CONTAINER}\s*)?{_MULTI}"
    rf"|\s*{_CONTAINER}\s*(?:of|a|de|da|von|van|@)|\s*{_PACKAGE}\s*[-(]?|\s*packs? of)"
    rf"\s*{_WEIGHT}"
)
_COUNT_BEFORE_WEIGHT = re.compile(
    rf"{_BEGIN}(?P<count>{_COUNT})\)?\s+{_WEIGHT}\s*"
    r"(?:bags|pouches|tins|packs|packets|boxes|jars|beutel|sachets|drip bags)\b"
)
_COFFEES = (
    r"(?:coffees|kaffees|cafes|caffe|koffies|kaffer|kaffesorter|sorten|origins|blends|roasts)"
)
# "Two fresh coffees of 250 g" and "60g each of 4 different coffees".
_COFFEES_OF_WEIGHT = re.compile(
    rf"{_BEGIN}(?P<count>{_COUNT})\s+(?:[a-z-]+\s+){{0,2}}?{_COFFEES}\s*,?\s*"
    rf"(?:a|je|of|de|da|av|af|van|x|@|[(])\s*{_WEIGHT}"
)
_WEIGHT_OF_COFFEES = re.compile(
    rf"{_BEGIN}(?:{_WEIGHT})\s*(?:bags? |tins? )?(?:each )?of (?:each of )?(?:the |our |these )?"
    rf"(?P<count>{_COUNT})\s+(?:[a-z-]+\s+){{0,2}}?(?:{_COFFEES}|different)"
)
_WEIGHT_TIMES_COUNT = re.compile(
    rf"{_BEGIN}(?:{_WEIGHT})\s*(?:{_CONTAINER}\s*)?{_MULTI}\s*(?P<count>{_COUNT})"
    rf"(?!\s*(?:{_UNIT.format('v')}|ml|cl)){_NO_LETTER}"
)
_NOT_A_MEASURE = rf"(?!\s*(?:{_UNIT.format('v')}|ml\b|cl\b|fl\b|l\b|cm\b|mm\b|in\b|%|[.,]\d|\d))"
_COUNT_FORMS = (
    re.compile(
        r"\b(?:pack|packs|set|box|case|bundle|carton|lot|paquete|caja|estuche|confezione|scatola"
        r"|pak|doos|packung|schachtel|coffret|boite|pacote|caixa|tray|duo|kit|sleeve)\s*"
        rf"(?:of|de|da|di|com|con|van|mit|a|met)\s+(?P<count>{_COUNT})\b{_NOT_A_MEASURE}"
    ),
    re.compile(
        rf"(?<![\w.,/])(?P<count>{_COUNT})\s*-?\s*(?:er|x)?[\s-]*"
        r"(?:pack|packs|pk|set|pcs|pieces|count|ct|stuck|stk)\b"
    ),
    re.compile(
        rf"(?<![\w.,/])(?P<count>{_COUNT})\s*(?:{_MULTI}\s*)?(?!{_UNIT.format('w')})"
        rf"(?:(?!per\b|or\b|to\b|x\b)[a-z-]+\s+){{0,2}}?{_CONTAINER}\b"
    ),
    re.compile(rf"(?<![\w.,/]){_MULTI}\s?(?P<count>\d{{1,3}})\b{_NOT_A_MEASURE}"),
    # Chinese, Japanese and Korean counters of bags and pieces, a total first: "計10袋", "20包".
    re.compile(rf"[\u8a08\u5168\u5171](?P<count>[2-9]|[1-9]\d{{1,2}})\s?{_COUNTER}"),
    re.compile(rf"(?<![\d.,/])(?P<count>[2-9]|[1-9]\d{{1,2}})\s?{_COUNTER}"),
    re.compile(r"\b(?P<twin>twin|double|duo)[\s-]?packs?\b"),
    re.compile(r"^\W*(?P<count>\d{1,3})\s?['\u2019]s\W*$"),
)
# "5 boxes of 10 capsules", "5 boxes (50 capsules)": the capsule is the unit.
_NESTED = re.compile(
    rf"{_BEGIN}(?P<outer>{_COUNT})\s*(?:{_MULTI}\s*)?{_PACKAGE}\s*(?:of|a|de|da|di|von|van|mit"
    rf"|x|con|com|met|with)\s*(?P<count>{_COUNT})\s+(?:[a-z-]+\s+)?{_SERVING}\b"
)
_SERVINGS_IN_ALL = re.compile(
    rf"{_PACKAGE}\s*[(\[/=-]\s*(?P<count>\d{{1,3}})\s+(?:[a-z-]+\s+)?{_SERVING}\b"
)
_EACH = re.compile(
    rf"\b(?:each|apiece|je|jeweils|chacune?|cada(?: un[oa])?|ciascun[oa]|elk|hver|vardera"
    rf"|(?:per|pro|par|por|a|/) ?{_SERVING})\b|[\u6bcf\u5404]"  # Han "each"
)
_SERVINGS = re.compile(
    rf"\b{_SERVING}\b|(?<!\d)(?:[5-9]|\d{{2,3}})\s?[\u5305\u5165\u7247\u679a\u500b\u4e2a\uac1c\ud3ec]"
)
# A drip bag holds about 10 g, a cold-brew sachet more; no bag of coffee is as small.
_MOST_SERVING_GRAMS = 25.0
_WEIGHT_OF_SEVERAL = re.compile(
    rf"(?:{_UNIT.format('p')})\s*(?:bags|pouches|tins|packs|packets|boxes|beutel|sachets)\b"
)


_PATTERNS_OF_UNITS = (
    _COUNT_TIMES_WEIGHT,
    _COUNT_BEFORE_WEIGHT,
    _WEIGHT_TIMES_COUNT,
    _COFFEES_OF_WEIGHT,
    _WEIGHT_OF_COFFEES,
)


# A web address has no decimal mark: "0-25-kg".
_DECIMAL_SLUG = re.compile(r"(\d)-(\d{1,3})-?(kg|lbs?)")


@lru_cache(maxsize=8192)
def parse_weight(text: str) -> Quantity:
    """Weight in grams and pack count printed in one short text, such as a variant's title.

    Weights print in g, kg, oz, lb and Pfund, in the spellings of shops in several languages;
    of two notations of one weight ("12oz (340g)") the metric one is taken.
    """
    lowered = fold(text)
    slug = _DECIMAL_SLUG.fullmatch(lowered)
    if slug is not None:
        lowered = f"{slug[1]}.{slug[2]} {slug[3]}"
    for pattern in _PATTERNS_OF_UNITS:
        match = pattern.search(lowered)
        if match is not None:
            return Quantity(_grams(match), _count(match["count"]), True, _is_imperial(match))
    match = _printed_weight(lowered)
    units = parse_count(lowered)
    if match is None:
        return Quantity(None, units)
    grams, imperial = _grams(match), _is_imperial(match)
    return Quantity(grams, units, _is_each(lowered, match, units), imperial)


_OR = r"\s*(?:/|,|\||-|\u2013|\b(?:or|and|to|oder|und|bis|ou|et|o|y|e|of|en|eller|och|og)\b|&)\s*"
_TWO_WEIGHTS = re.compile(
    rf"(?:{_WEIGHT}){_OR}(?={_WEIGHT.replace('?P<n>', '?P<m>').replace('?P<u', '?P<w')})"
)


def offers_sizes(text: str) -> bool:
    """Whether a text prints different weights side by side, to choose from: "250 g / 1 kg"."""
    for match in _TWO_WEIGHTS.finditer(fold(text)):
        unit = next(u for u in _UNIT_GRAMS if match["w" + u])
        other = _amount(match["m"].strip(), unit) * _UNIT_GRAMS[unit]
        if abs(_grams(match) / other - 1) > _ROUNDING:
            return True
    return False


def _is_each(lowered: str, weight: re.Match[str], units: int | None) -> bool:
    """Whether a weight printed beside a count is that of one unit.

    So it is with "each", with ounces and pounds, and where the count comes second: "250g
    (pack of 2)" is two bags, "Pack of 2 (500g)" is 500 g in all. A weight beside servings
    (capsules, sachets) is their total unless it is a serving's.
    """
    if _EACH.search(lowered):
        return True
    if units is None:
        return False
    grams = _grams(weight)
    if _SERVINGS.search(lowered):
        return grams <= _MOST_SERVING_GRAMS
    if _is_imperial(weight) or _WEIGHT_OF_SEVERAL.search(lowered):
        return True
    return parse_count(lowered[weight.end() :]) == units


# Two notations of one weight differ by rounding; "libra (500 g)" is a metric pound.
_ROUNDING = 0.12


_ONE_DECIMAL = re.compile(r"\d+[.,]\d")  # "2 lb (0.9 kg)": rounded, the pounds are exact


def _printed_weight(lowered: str) -> re.Match[str] | None:
    found = [match for match in _PLAIN_WEIGHT.finditer(lowered) if _grams(match) > 0]
    for match in found:
        rough = _is_imperial(found[0]) and match["ukg"] and _ONE_DECIMAL.fullmatch(match["n"])
        near = abs(_grams(match) / _grams(found[0]) - 1) <= _ROUNDING
        if near and not _is_imperial(match) and not rough:
            return match
    return found[0] if found else None


def _is_imperial(weight: re.Match[str]) -> bool:
    return bool(weight["uoz"] or weight["ulb"])


def parse_count(text: str) -> int | None:
    """Number of units a text names ("Pack of 3", "10 sachets", "6-pack"), 2 to 500, or None."""
    lowered = fold(text)
    nested = _NESTED.search(lowered)
    if nested is not None:
        return (_count(nested["outer"]) or 1) * (_count(nested["count"]) or 1)
    for pattern in (_SERVINGS_IN_ALL, *_COUNT_FORMS):
        match = pattern.search(lowered)
        if match is None:
            continue
        count = 2 if match.groupdict().get("twin") else _count(match["count"])
        if count and count > 1:
            return count
    return None


def _count(text: str) -> int | None:
    count = _COUNT_WORDS.get(text) or (int(text) if text.isdigit() else 0)
    return count if 1 <= count <= 500 else None


def _grams(match: re.Match[str]) -> float:
    unit = next(u for u in _UNIT_GRAMS if match["u" + u])
    return round(_amount(match["n"].strip(), unit) * _UNIT_GRAMS[unit], 2)


def _amount(text: str, unit: str) -> float:
    if text in _NUMBER_WORDS:
        return _NUMBER_WORDS[text]
    if text[-1] in _FRACTIONS:
        return float(text[:-1].strip() or 0) + _FRACTIONS[text[-1]]
    if text.endswith("000") and not text.isdigit() and re.fullmatch(r"\d+\s000", text):
        return float(re.sub(r"\s", "", text))
    if "/" in text:
        whole, _, fraction = text.rpartition(" ")
        top, bottom = fraction.split("/")
        return float(whole.strip() or 0) + float(top) / (float(bottom) or 1.0)
    # "1.000 g" groups thousands, "0,250 kg" and "1.000 kg" are decimal: nobody sells tonnes.
    whole, mark, fraction = _split_last(text)
    if mark and len(fraction) == 3 and unit == "g" and not whole.startswith("0"):
        return float(re.sub(r"[.,]", "", text))
    return float(re.sub(r"[.,]", "", whole) + ("." + fraction if mark else ""))


def _split_last(text: str) -> tuple[str, str, str]:
    at = max(text.rfind("."), text.rfind(","))
    return (text[:at], text[at], text[at + 1 :]) if at >= 0 else (text, "", "")
