"""What the words of a price list say: fields, meanings of prices, currencies.

Belongs here: reading one short text (a header, a banner, a note) with the vocabulary
`price_lists.toml`. Does not belong here: any word of a list; evidence from values (`profiles`).
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from scout_assets.domain.lexicon import fold, vocabulary, word_set
from scout_assets.domain.specs import extract

__all__ = [
    "FIELDS",
    "Meaning",
    "currency_of",
    "field_scores",
    "is_break",
    "is_no_price",
    "is_plain_dollar",
    "is_size",
    "is_sold_out",
    "meaning",
    "tokens",
    "word_list",
]

_VOCABULARY = "price_lists"
FIELDS = (
    "sku",
    "gtin",
    "brand",
    "name",
    "vintage",
    "size",
    "pack",
    "quantity",
    "category",
    "currency",
    "price",
)
_TOKEN = re.compile(r"[^\W_]+|[#%\u2116]")
_DESCRIBING_SCORE = 0.8
_SIZE_SCORE = 0.5
_BREAK_SCORE = 0.5
_CURRENCY_SCORE = 0.7
"""A header that names a currency is one of prices."""
_LONGEST_HEADER = 14
"""Words; a longer text is a note that mentions things, not a header."""


@lru_cache(maxsize=8192)
def tokens(text: str) -> tuple[str, ...]:
    """Folded words of a text, and the signs for number and percent."""
    return tuple(_TOKEN.findall(fold(text)))


@cache
def _neutral() -> frozenset[str]:
    return word_set(_VOCABULARY, "words.neutral")


def _telling(words: Sequence[str]) -> tuple[str, ...]:
    """Words without numbers, currencies, articles: "2026 price per kg" is "price kg"."""
    return tuple(word for word in words if word not in _neutral() and not word.isdigit())


class _Phrases(NamedTuple):
    """Phrases of one list by their first word, the longest first."""

    by_first: Mapping[str, Sequence[tuple[str, ...]]]

    def covered(self, words: Sequence[str]) -> set[int]:
        """Indexes of words that phrases cover."""
        found: set[int] = set()
        for at, word in enumerate(words):
            for phrase in self.by_first.get(word, ()):
                if tuple(words[at : at + len(phrase)]) == phrase:
                    found.update(range(at, at + len(phrase)))
                    break
        return found

    def longest(self, words: Sequence[str]) -> int:
        """Number of words of the longest phrase in them."""
        return max(
            (
                len(phrase)
                for at, word in enumerate(words)
                for phrase in self.by_first.get(word, ())
                if tuple(words[at : at + len(phrase)]) == phrase
            ),
            default=0,
        )


@cache
def _phrases(section: str, name: str) -> _Phrases:
    by_first: dict[str, list[tuple[str, ...]]] = {}
    for term in vocabulary(_VOCABULARY)[section][name]:
        words = tokens(term)
        if section == "fields":
            words = _telling(words) or words
        by_first.setdefault(words[0], []).append(words)
    return _Phrases(
        {first: sorted(all_, key=len, reverse=True) for first, all_ in by_first.items()}
    )


@lru_cache(maxsize=32768)
def field_scores(text: str) -> Mapping[str, float]:
    """How well a header names each field (and `other`), 0 to 1: the share of its words."""
    words = tokens(text)
    telling = _telling(words)
    if is_break(text):
        return {"price": _BREAK_SCORE}
    if not telling:
        return {"price": _CURRENCY_SCORE} if currency_of(text, near_amount=True) else {}
    if len(telling) > _LONGEST_HEADER:
        return {}
    if is_size(text):
        return {"price": _SIZE_SCORE}
    scores = {
        field: _phrases("fields", field).longest(telling) / len(telling)
        for field in (*FIELDS, "other")
    }
    scores["price"] = _price_score(telling)
    if " ".join(telling) in word_list("describing"):
        scores["name"] = _DESCRIBING_SCORE
    if currency_of(text, near_amount=True) and len(telling) <= 4:
        scores["price"] = max(scores["price"], _CURRENCY_SCORE)
    return {field: score for field, score in scores.items() if score > 0}


@lru_cache(maxsize=4096)
def is_size(text: str) -> bool:
    """Whether a text is a size and nothing else: above prices, the size they are for."""
    found = extract(text.strip())
    return any(
        span.text == text.strip()
        for name, span in found.spans.items()
        if name in ("size_g", "size_ml")
    )


def _price_score(words: Sequence[str]) -> float:
    covered = _phrases("fields", "price").covered(words)
    bases, kinds = (_meant(section, words) for section in ("basis", "kinds"))
    if covered:
        return len(covered | bases | kinds) / len(words)
    return 0.6 * len(kinds) / len(words) if kinds else 0.3 * len(bases) / len(words)


def _meant(section: str, words: Sequence[str]) -> set[int]:
    names = vocabulary(_VOCABULARY)[section]
    return set[int]().union(*(_phrases(section, name).covered(words) for name in names))


class Meaning(NamedTuple):
    """What a price is: `bases` in printed order, kind, currency, and from which quantity on."""

    bases: tuple[str, ...] = ()
    kind: str | None = None
    currency: str | None = None
    min_quantity: int | None = None


@lru_cache(maxsize=32768)
def meaning(text: str) -> Meaning:
    """What the words of a header say about the prices below it."""
    words = tokens(text)
    kinds = (
        kind for kind in vocabulary(_VOCABULARY)["kinds"] if _phrases("kinds", kind).longest(words)
    )
    return Meaning(_bases(words), next(kinds, None), currency_of(text, True), _min_quantity(text))


def _bases(words: Sequence[str]) -> tuple[str, ...]:
    found = {
        at: basis
        for basis in vocabulary(_VOCABULARY)["basis"]
        for at in _phrases("basis", basis).covered(words)
    }
    return tuple(dict.fromkeys(found[at] for at in sorted(found)))


_FROM = r"from|ab|des|a partir de|da|desde|od|\u043e\u0442|\u0432\u0456\u0434|>=|=>|\u2265|>|min\.?"
_TO = r"-|\u2013|\u2014|to|bis|do|\u0434\u043e|a"
_COUNTED = (
    r"cs|cse|cases?|ctns?|cartons?|kartons?|krt|caisses?|cajas?|cartoni|box(?:es)?"
    r"|btls?|bottles?|fl\.?|pcs?|units?|stk|stuck|st|szt|\u0448\u0442|kg|plt|pallets?"
)
_BREAK = re.compile(
    rf"(?:^|[\s(\[])(?:{_FROM})?\s*"
    rf"(?P<low>\d{{1,5}})\s*(?:\+|-\s*\d{{1,5}}|\u2013\s*\d{{1,5}})?\s*"
    rf"(?P<unit>\+|{_COUNTED})?(?=$|[\s)\].,;:/])"
)
_BARE_BREAK = re.compile(
    r"(?:(?:qty|qte|qta|quantity|quantite|cantidad|quantita|menge|anzahl|stk|stuck|ilosc|aantal"
    r"|\u043a\u043e\u043b-\u0432\u043e|units?|pcs)\.?:?\s*)?"
    rf"(?P<least>(?:{_FROM})\s*)?(?P<low>\d{{1,5}})\s*"
    rf"(?:(?:{_TO})\s*(?P<high>\d{{1,5}})|(?P<more>\+|(?:and|&) (?:up|more|over)|u\. ?mehr))?"
    rf"\s*(?:{_COUNTED})?\.?"
)


@lru_cache(maxsize=8192)
def is_break(text: str) -> bool:
    """Whether a text is a quantity to buy and nothing else: "1-9", "ab 10", "Qty 50+"."""
    return _bare_break(fold(text).strip()) is not None


def _bare_break(folded: str) -> int | None:
    match = _BARE_BREAK.fullmatch(folded) if len(folded) <= 40 else None
    if match is None or not (match["least"] or match["high"] or match["more"]):
        return None
    ends = [int(end) for end in (match["low"], match["high"]) if end]
    years = all(1900 <= end < 2100 for end in ends)
    return None if years or ends != sorted(set(ends)) else ends[0]


def _min_quantity(text: str) -> int | None:
    folded = fold(text)
    bare = _bare_break(folded.strip())
    if bare is not None:
        return bare
    for match in _BREAK.finditer(folded):
        alone = match.group().strip() == folded.strip()
        marked = match["unit"] or re.search(
            r"\+|-|\u2013|>|\u2265|[a-z\u0430-\u044f]", match.group()
        )
        if marked and not (len(match["low"]) == 4 and match["low"][:2] in ("19", "20")):
            return int(match["low"])
        if (
            alone
            and int(match["low"]) <= 10_000
            and not re.fullmatch(r"(?:19|20)\d\d", match["low"])
        ):
            return int(match["low"])
    return None


@lru_cache(maxsize=8192)
def is_no_price(text: str) -> bool:
    """Whether a text in place of a price says that there is none: "-", "inquire", "POA"."""
    words = tokens(text)
    joined = " ".join(words)
    return not words or joined in word_list("no_price") or joined.startswith(_no_price_starts())


def is_sold_out(text: str) -> bool:
    """Whether a text in place of a stock says that there is none: "sold out", "0", "OOS"."""
    return " ".join(tokens(text)) in word_list("sold_out")


@cache
def _no_price_starts() -> tuple[str, ...]:
    return tuple(f"{phrase} " for phrase in word_list("no_price") if len(phrase) > 3)


@cache
def word_list(name: str) -> frozenset[str]:
    """One list of `words`, each as its tokens joined by blanks."""
    return frozenset(" ".join(tokens(term)) for term in vocabulary(_VOCABULARY)["words"][name])


# Currencies

_PLAIN_DOLLAR = "$"


class _Currencies(NamedTuple):
    """Ways to print currencies: signs, phrases, words anywhere, words beside amounts only."""

    codes: frozenset[str]
    signs: Mapping[str, str]
    phrases: Mapping[str, str]
    words: Mapping[str, str]
    short: Mapping[str, str]
    sign: re.Pattern[str]


@cache
def _currencies() -> _Currencies:
    signs, phrases, words, short = (
        dict[str, str](),
        dict[str, str](),
        dict[str, str](),
        dict[str, str](),
    )
    for code, terms in vocabulary(_VOCABULARY)["currencies"].items():
        for term in terms:
            if not term.replace(".", "").replace(" ", "").isalpha():
                signs[term] = code
            elif " " in term:
                phrases[fold(term)] = code
            else:
                (words if len(term) > 4 or term == "euro" else short).setdefault(
                    fold(term).strip("."), code
                )
    ordered = sorted(signs, key=len, reverse=True)
    before = (r"(?<![^\W\d_])" if term[0].isalpha() else "" for term in ordered)
    sign = re.compile(
        "|".join(start + re.escape(t) for start, t in zip(before, ordered, strict=True))
    )
    codes = frozenset(vocabulary(_VOCABULARY)["currencies"])
    return _Currencies(codes, signs, phrases, words, short, sign)


_ENGLISH_WORDS = frozenset({"COP", "GEL", "RON", "TRY"})
"""Codes that are words or names in capitals too."""
_LETTERS = re.compile(r"[^\W\d_]+")


@lru_cache(maxsize=32768)
def currency_of(text: str, near_amount: bool = False) -> str | None:
    """The ISO 4217 code of the first currency a text names; "$" alone is USD.

    `near_amount`: the text is a printed price or its header, where short words count too.
    """
    known = _currencies()
    folded = fold(text)
    found = [(folded.find(term), code) for term, code in known.phrases.items() if term in folded]
    sign = known.sign.search(folded)
    if sign is not None:
        found.append((sign.start(), known.signs[sign.group()]))
    for match in _LETTERS.finditer(text):
        word = match.group()
        sure = word in known.codes and (near_amount or word not in _ENGLISH_WORDS)
        code = word if sure else _spoken(known, fold(word), near_amount)
        if code is not None:
            found.append((match.start(), code))
            break
    return min(found)[1] if found else None


def _spoken(known: _Currencies, word: str, near_amount: bool) -> str | None:
    code = known.words.get(word)
    return known.short.get(word) if code is None and near_amount else code


def is_plain_dollar(text: str) -> bool:
    """Whether a text shows a dollar sign that no letters make a certain dollar."""
    return _PLAIN_DOLLAR in text and re.search(r"[A-Za-z]\s?\$|\$\s?[A-Z]{2}", text) is None
