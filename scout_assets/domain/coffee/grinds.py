"""How a variant is ground, or that it is whole beans.

Belongs here: reading a grind from options, else from what the page says of all its variants.
Does not belong here: how much is in the bag (`packs`).
"""

import re
from functools import lru_cache

from scout_assets.domain.coffee.passages import Page
from scout_assets.domain.lexicon import (
    Hit,
    Words,
    fold,
    phrases,
    short_words_of,
    terms,
    word_set,
    words_of,
)
from scout_assets.domain.storefront import Variant

Grind = tuple[str | None, str | None]
"""A grind of the enum and the printed text; no grind but a text for one the enum lacks."""


def grind(variant: Variant, of_page: Grind) -> Grind:
    """From the option named for it, else any option that is one, else what the page says."""
    named = [value for name, value in variant.options.items() if _names_grind(name)]
    if named:
        return next((read for value in named if (read := _read_grind(value))[0]), (None, named[0]))
    values = [value for name, value in variant.options.items() if not _names_other(name)]
    if not variant.options and variant.title is not None:
        values = [part.strip() for part in variant.title.split(" / ")]
    reads = [read for value in values if (read := _read_grind(value))[0]]
    # "Espresso / Whole Bean / 250g": the roast is for espresso, the beans are whole.
    whole = [read for read in reads if read[0] == "whole"]
    ground = [read for read in reads if read[1] and _GROUND.search(fold(read[1]))]
    return next(iter(whole + ground + reads), of_page)


_GROUND = re.compile(r"\b(?:ground|grind|gemahlen|moulu|molido|macinato|moido|gemalen|malet)\b")


@lru_cache(maxsize=1024)
def _names_grind(name: str) -> bool:
    return fold(name).strip(" :?") in word_set("grinds", "words.grind_names")


@lru_cache(maxsize=1024)
def _names_other(name: str) -> bool:
    return fold(name).strip(" :?") in word_set("grinds", "words.other_names")


@lru_cache(maxsize=4096)
def _read_grind(value: str) -> tuple[str | None, str]:
    """The first brewer a text names; "whole" anywhere wins."""
    words = short_words_of(value).words
    found = [hit.value for hit in phrases("grinds", "brewers").hits(words)]
    if "whole" in found:
        return "whole", value
    return next(iter(found), None), value


def page_grind(page: Page) -> Grind:
    """What the page says of all its variants: whole beans, or "ground for" one brewer; nothing
    where a variant says another grind. "Espresso" in a title is a style."""
    options = page.listing.options
    offered = {
        _read_grind(value)[0]
        for name, values in options.items()
        if not _names_other(name)
        for value in values
    }
    if offered - {"whole", None}:
        return None, None
    titled = terms("grinds", "words.titled")
    for text in (page.title, *map(short_words_of, options), page.product_type):
        stated = None if text is page.product_type else _whole_beans(text)
        hit = stated or titled.first(text.words)
        if hit is not None:
            return "whole", text.printed(hit.start, hit.end)
    named = frozenset(
        hit.value
        for text in (page.title, page.product_type)
        for hit in phrases("grinds", "brewers").hits(text.words)
    )
    ground = _sold_ground(page)
    powders = named & _POWDERS
    if len(powders) == 1 and _POWDER.search(fold(page.listing.description)):
        return next(iter(powders)), page.title.text
    reads = (_spoken_grind(sentence, named, ground) for sentence in page.sentences)
    return next((read for read in reads if read[0] is not None), (None, None))


def _sold_ground(page: Page) -> bool:
    return page.is_named(_GROUND_GOODS)


_GROUND_GOODS = re.compile(
    r"\b(?:pre-?ground|ground coffee|coffee powder|filter coffee powder|powder|moulus?|gemahlen\w*"
    r"|molido|macinato|moido|gemalen|mielona|mleta|jauhettu|malet|malt kaffe|bryggkaffe"
    r"|filterkaffee gemahlen|filtermalet)\b"
)
# Coffees that are drunk with their grounds or from a metal filter are sold as a powder.
_POWDERS = frozenset(("turkish", "south_indian_filter"))
_POWDER = re.compile(
    r"\b(?:powder|chicory|ground|ogutul\w*|gemahlen|moulu|molido|macinato|malet)\b"
)
_NOUN_OF_GRIND = re.compile(
    r"\b(?:mouture|mahlung|mahlgrad|molienda|macinatura|moagem|grind|maling|malning)\b"
)
_TERSE = 4  # words and marks


def _spoken_grind(sentence: Words, named: frozenset[str], sold_ground: bool) -> Grind:
    folded = sentence.folded
    label, mark, value = sentence.text.partition(":")
    if mark and _names_grind(label):
        # A brewer alone may be advice ("Grind: V60") unless the goods are named after it or
        # sold ground; beside whole beans it is a choice.
        grinds = {hit.value for hit in phrases("grinds", "brewers").hits(words_of(value).words)}
        told = grinds == {"whole"} or (len(grinds) == 1 and (sold_ground or grinds <= named))
        return (grinds.pop(), value.strip()) if told else (None, None)
    if sold_ground and len(sentence.words) <= _TERSE and _NOUN_OF_GRIND.search(folded):
        hit = phrases("grinds", "brewers").first(sentence.words)
        return (hit.value, sentence.text) if hit is not None else (None, None)
    if _CHOICE.search(folded):
        return None, None
    if (match := _GROUND_FOR.search(folded)) is not None:
        hit = phrases("grinds", "brewers").first(short_words_of(folded[match.end() :]).words)
        near = hit is not None and hit.start <= 2
        return (hit.value, sentence.text[match.start() :]) if hit and near else (None, None)
    hit = _whole_beans(sentence)
    if hit is None or _GRINDS.search(folded[: sentence.spans[hit.start][0]]):
        return None, None
    return "whole", sentence.printed(hit.start, hit.end)


_GROUND_FOR = re.compile(
    r"\b(?:ground(?: \w+)?(?: for|,)|gemahlen fur|moulu pour|molido para|macinato per|moido para"
    r"|gemalen voor|malet til|malt for|malt til) "
)
# Advice to grind whole beans at home is no statement of what is sold; nor is a choice.
_GRINDS = re.compile(r"\b(?:grind\w*|mahlen|mahle|moudre|moler|macinare|moer|malen)\b")
_CHOICE = re.compile(
    r"\b(?:or|choose|select|prefer|also|either|if|can|oder|wahl\w*|ou|choisi\w*|elige|scegli"
    r"|escolha|kies|eller|velg|available in|options?)\b|\b(?:beans?|bohnen?|grains?) (?:and|&) "
)


def _whole_beans(text: Words) -> Hit | None:
    """The first phrase for whole beans that is more than a word for beans."""
    for hit in phrases("grinds", "brewers").hits(text.words):
        if (
            hit.value == "whole"
            and (hit.end - hit.start > 1 or text.words[hit.start] in ("wholebean", "wholebeans"))
            and terms("grinds", "words.loose").whole(text.words[hit.start : hit.end]) is None
        ):
            return hit
    return None
