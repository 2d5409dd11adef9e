"""Where a coffee comes from and what grew: varieties, species, origin, estate, altitude, crop.

Belongs here: one reader per fact from a `Page`; a name that also means something else (a
drink, a place, a person) counts only where the page uses it as the fact.
Does not belong here: what was done to the coffee after picking (`process`).
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache

from scout_assets.domain.coffee.passages import LABELLED, PROSE, TAG, TITLE, Fact, Page
from scout_assets.domain.lexicon import (
    Hit,
    Phrases,
    Words,
    fold,
    negated,
    phrases,
    vocabulary,
    word_set,
    words_of,
)

# Ambiguous names that are no places: "washed Bourbon" is a cultivar, "washed Colombia" is not.
_NO_PLACES = frozenset(("Bourbon", "Pacas", "Heirloom", "Sudan Rume", "Aramosa"))
# The cultivar named like its country is read on labelled lines only.
_COUNTRY = "Colombia"


def varieties(page: Page, *, subscription: bool = False) -> tuple[str, ...]:
    """Cultivars named on labelled lines, in the title, or plainly in prose; never in doubt.

    The prose of an assortment or a subscription tells of many coffees.
    """
    labelled = [name for text in page.values("variety") for name in _listed_varieties(text)]
    if labelled:
        return _without_generic(labelled)
    one_coffee = not (page.is_assortment or subscription)
    texts = [page.title, *page.sentences] if one_coffee else [page.title]
    found = [name for text in texts for name in _spoken_varieties(text)]
    if not found and one_coffee:
        plain = phrases("varieties", "plain")
        found = [name for tag in page.tags if (name := plain.whole(tag.words)) is not None]
    return _without_generic(found)


_VARIETY_JOINTS = re.compile(
    r"[,;/&|+()、・\uff0c\u2022\u00b7]|\s[-\u2013]\s|\b(?:and|und|et|y|e|en|og|och|with)\b"
)
_SHARE = re.compile(r"^[\s~ca.]*\d+(?:[.,]\d+)?\s*%\s*")


def _listed_varieties(value: Words) -> Iterator[str]:
    """The cultivars of a labelled value in order: of each part the known ones, else the part
    itself where it can only be a name."""
    for printed in _VARIETY_JOINTS.split(value.text):
        part = _SHARE.sub("", printed)
        words = words_of(part)
        plain = list(phrases("varieties", "plain").hits(words.words))
        others = phrases("varieties", "ambiguous").hits(words.words)
        known = [
            hit.value
            for hit in sorted([*plain, *(hit for hit in others if not _inside(hit, plain))])
        ]
        yield from known or _unlisted_variety(part, words, len(value.words))


def _unlisted_variety(part: str, words: Words, value_length: int) -> Iterator[str]:
    name = part.strip(" .()")
    other = word_set("grammar", "no_variety") & set(words.words) or _is_other_fact(name)
    # A longer value is prose, a longer part no name.
    if name[:1].isupper() and len(words.words) <= 2 and value_length <= 16 and not other:
        yield name


def _spoken_varieties(text: Words) -> Iterator[str]:
    """Cultivars that prose names: plain names anywhere, ambiguous ones only in company."""
    plain = list(phrases("varieties", "plain").hits(text.words))
    for hit in plain:
        if text.words[hit.end : hit.end + 1] != ("village",) and not negated(text.words, hit.start):
            yield hit.value
    beside = {at for hit in plain for at in (hit.start - 2, hit.start - 1, hit.end, hit.end + 1)}
    for hit in phrases("varieties", "ambiguous").hits(text.words):
        near = text.words[max(0, hit.start - 2) : hit.start] + text.words[hit.end : hit.end + 2]
        listed = hit.start in beside and not _inside(hit, plain)
        if hit.value == _COUNTRY:
            continue
        if (listed or _marks_variety(hit, near)) and not word_set("grammar", "drink") & set(near):
            yield hit.value


def _marks_variety(hit: Hit, near: tuple[str, ...]) -> bool:
    if word_set("grammar", "variety") & set(near):
        return True
    return hit.value in _NO_PLACES and phrases("process", "contextual").first(near) is not None


def _inside(hit: Hit, others: Iterable[Hit]) -> bool:
    return any(other.start <= hit.start < other.end for other in others)


def _without_generic(names: Iterable[str]) -> tuple[str, ...]:
    """Distinct names in order; "Catuai" goes where "Red Catuai" stands."""
    distinct = list(dict.fromkeys(names))
    return tuple(
        name
        for name in distinct
        if not any(name != other and other.endswith(" " + name) for other in distinct)
    )


# --- species ------------------------------------------------------------------------------


def species(page: Page) -> Fact | None:
    """Species: labelled line, title, prose, type, tags; arabica with robusta is "blend"."""
    places: list[tuple[Iterable[Words], float]] = [
        (page.values("species", "variety"), LABELLED),
        ((page.title,), TITLE),
        (page.sentences, PROSE),
        ((page.product_type,), TAG),
        (page.tags, TAG),
    ]
    for texts, trust in places:
        fact = _species_in(texts, trust)
        if fact is not None:
            return fact
    return None


def _species_in(texts: Iterable[Words], trust: float) -> Fact | None:
    found: dict[str, str] = {}
    for text in texts:
        for hit in phrases("species").hits(text.words):
            if not negated(text.words, hit.start) and not _zero_before(text, hit.start):
                raw = text.text if len(text.text) <= 80 else text.printed(hit.start, hit.end)
                found.setdefault(hit.value, raw)
    if not found:
        return None
    value = next(iter(found)) if len(found) == 1 else "blend"
    return Fact(value, "; ".join(dict.fromkeys(found.values())), trust)


def _zero_before(text: Words, at: int) -> bool:
    return at > 0 and text.words[at - 1] == "0"


# --- origin -------------------------------------------------------------------------------


@cache
def _origins(kind: str | None = None) -> Phrases:
    return Phrases(
        (term, code)
        for code, lists in vocabulary("origins").items()
        for key, terms in lists.items()
        if kind in (None, key)
        for term in terms
    )


def opens_with_origin(words: tuple[str, ...]) -> bool:
    """Whether a text begins with the name of a growing country or region."""
    hit = _origins().first(words)
    return hit is not None and hit.start == 0


def country(page: Page) -> str | None:
    """ISO 3166-1 alpha-2 code of the one country the coffee grew in, else None.

    Read from labelled lines, the title, tags and type, then prose; a region implies its
    country. Several countries in the first place that names any are a blend: None.
    """
    places: list[Iterable[Words]] = [page.values("origin", "region"), [page.title]]
    if not page.is_assortment:
        places += [[*page.tags, page.product_type], page.sentences]
    for texts in places:
        found = {code for text in texts for code in _countries(text)}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _countries(text: Words) -> Iterator[str]:
    for hit in _origins().hits(text.words):
        before = text.words[max(0, hit.start - 1) : hit.start]
        after = text.words[hit.end : hit.end + 1]
        if before != ("south",) and not word_set("grammar", "goods_of_countries") & set(after):
            yield hit.value


def region(page: Page) -> str | None:
    """The growing region as printed: labelled, else a known region in title, tags or prose."""
    for value in page.values("region", "origin"):
        hit = _origins("regions").first(value.words)
        if hit is not None:
            return value.printed(hit.start, hit.end)
    for value in page.values("region"):
        if len(value.words) <= 10:
            return value.text
    texts = [page.title] if page.is_assortment else [page.title, *page.tags, *page.sentences]
    for text in texts:
        hit = _origins("regions").first(text.words)
        if hit is not None:
            return text.printed(hit.start, hit.end)
    return None


_NAME = r"(?:[^\W\d_a-z][\w'\u2019.-]*)"
_ESTATE = re.compile(
    rf"\b((?:{_NAME} ){{1,3}}(?:Estate|Farm|Plantation)|(?:Finca|Fazenda|Hacienda|Sitio|Sítio)"
    rf"(?: (?:{_NAME}|de|do|da|dos|das|del|la|las|los|el|e)){{1,4}})(?!\w)"
)
_NOT_ESTATE = frozenset(("single", "our", "the", "this", "from", "to", "at", "each", "and"))


def estate(page: Page) -> str | None:
    """The farm or estate: labelled, named in the title, or the only one named in prose."""
    for value in page.values("estate"):
        if 0 < len(value.words) <= 10:
            return value.text
    if page.is_assortment:
        return None
    titled = list(_estates(page.title.text))
    if titled:
        return titled[0]
    spoken = {name for sentence in page.sentences for name in _estates(sentence.text)}
    return spoken.pop() if len(spoken) == 1 else None


def _is_other_fact(word: str) -> bool:
    return names_other_fact(words_of(word).words)


def names_other_fact(words: tuple[str, ...]) -> bool:
    """Whether a phrase names a process, a cultivar or a growing country or region."""
    lists = (
        phrases("process", "contextual"),
        phrases("process", "terms"),
        phrases("varieties", "plain"),
        _origins(),
    )
    return any(listed.first(words) is not None for listed in lists)


def _estates(text: str) -> Iterator[str]:
    for match in _ESTATE.finditer(text):
        words = match[1].split()
        while words and fold(words[0]) in _NOT_ESTATE:
            words.pop(0)
        while words and (words[-1].islower() or _is_other_fact(words[-1])):
            words.pop()
        if len(words) > 1:
            yield " ".join(words)


# --- altitude and crop --------------------------------------------------------------------

_NUMBER = r"(\d(?:[.,' ]?\d{3})|\d{3,4})"
_METRES = (
    r"(?:m\.?a\.?s\.?l\.?|m\.?s\.?n\.?m\.?|m\.?s\.?l\.?m\.?|mamsl|mslm|meters?|metres?"
    r"|metros|metri|meter|mts?|m)"
)
_TO = r"(?:-|\u2013|\u2014|~|to|bis|a|up to|and|et|und|y)"
_HEIGHT = re.compile(
    rf"{_NUMBER}\s*(?:{_METRES}|ft|feet)?\.?\s*(?:{_TO}\s*{_NUMBER})?\s*\+?\s*"
    rf"({_METRES}|ft|feet|foot)(?![a-z])"
)
_SEA_LEVEL = re.compile(
    r"masl|m\.a\.s\.l|msnm|s\.n\.m|sea level|asl|uber|u\. ?(?:m|n)|mamsl|altitud|elevation|slm"
    r"|d'altitude|hoogte|altitudine|nivel do mar|height|grown at"
)
_FEET = 0.3048  # metres, exact (international foot)
# Coffee is grown between these heights, in metres; other numbers are not altitudes.
_LOWEST, _HIGHEST = 100, 3000


def altitude(page: Page) -> tuple[int | None, int | None]:
    """Lowest and highest growing altitude in metres above sea level; (None, None) if unsaid."""
    for value in page.values("altitude"):
        span = _heights(value.text, labelled=True)
        if span is not None:
            return span
    if not page.is_assortment:
        for sentence in page.sentences:
            span = _heights(sentence.text, labelled=False)
            if span is not None:
                return span
    return None, None


def _heights(text: str, *, labelled: bool) -> tuple[int, int] | None:
    folded = fold(text)
    match = _HEIGHT.search(folded) or (_HEIGHT.search(folded + " m") if labelled else None)
    # In prose a lone "1500 m" may be anything; a span of metres is how altitudes are given.
    if match is None or not (labelled or match[2] or _SEA_LEVEL.search(folded)):
        return None
    scale = _FEET if match[3].startswith("f") else 1.0
    numbers = [int(re.sub(r"\D", "", n)) * scale for n in match.group(1, 2) if n]
    low, high = round(min(numbers)), round(max(numbers))
    return (low, high) if low >= _LOWEST and high <= _HIGHEST else None


_CROP = re.compile(
    r"\b(?:harvest|crop|cosecha|ernte|recolte|raccolto|safra|oogst)\W{0,3}(?:year|of|from)?\W{0,3}"
    r"(?:'|20)(\d\d)\b|\b20(\d\d)(?:/(?:20)?(\d\d))? (?:harvest|crop)\b"
)
_YEAR = re.compile(r"\b20([12]\d)(?:\s*/\s*(?:20)?([12]\d))?\b")


def crop_year(page: Page) -> int | None:
    """The year of the harvest; of a harvest over two years, the later."""
    for value in page.values("harvest"):
        years = [int(y) for match in _YEAR.finditer(value.text) for y in match.groups() if y]
        if years:
            return 2000 + max(years)
    for text in (page.title, *(() if page.is_assortment else page.sentences)):
        match = _CROP.search(text.folded)
        if match is not None:
            return 2000 + max(int(y) for y in match.groups() if y)
    return None
