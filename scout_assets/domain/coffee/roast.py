"""How far the coffee is roasted.

Belongs here: one reader from a `Page` to a `Fact`; labelled lines first, then the title, tags
and prose. Where the page does not say, or says several levels of several coffees, there is no
fact: never a guess. Does not belong here: what was done before roasting (`process`).
"""

import re
from collections.abc import Iterable, Iterator

from scout_assets.domain.coffee.passages import LABELLED, PROSE, TAG, TITLE, Fact, Page, first_fact
from scout_assets.domain.lexicon import (
    BOUNDARIES,
    Hit,
    Words,
    fold,
    negated,
    phrases,
    short_words_of,
    terms,
    word_set,
    words_of,
)

_LEVELS = ("light", "light_medium", "medium", "medium_dark", "dark")
_SCALE = re.compile(
    r"(?<![\d/.])(\d{1,2})\s*(?:/|of|out of|von|sur|de|su|van)\s*(\d{1,2})(?![\d/.])"
)
_PIPS = re.compile(r"([●★■⬤◼🟤◉█]+)\s*([○☆□◯◻⚪◎░]+)")


def roast(page: Page) -> Fact | None:
    """Roast level: labelled line, title's roast phrase, one-valued roast tags, then prose."""
    if _is_unroasted(page):
        return None
    if page.is_assortment:
        return first_fact(page, _labelled_roast, _title_roast)
    return first_fact(page, _labelled_roast, _title_roast, _tagged_roast, _prose_roast, _bare_roast)


def _is_unroasted(page: Page) -> bool:
    green = terms("goods", "coffee.green")
    texts = (page.title, page.product_type, *page.tags)
    return any(green.first(text.words) is not None for text in texts)


def _labelled_roast(page: Page) -> Fact | None:
    for value in page.labelled.get("roast", ()):
        level = _level_of_value(words_of(value.text)) or _scale_level(value.text)
        if level is not None:
            return Fact(level, value.text, LABELLED)
    return _offered_roast(page)


def _offered_roast(page: Page) -> Fact | None:
    """The level that all choices of an option for the roast agree on ("Light", "Nordic")."""
    for values in page.choices("roast"):
        levels = {_level_of_value(short_words_of(value)) for value in values}
        if len(levels) == 1 and (level := levels.pop()) is not None:
            return Fact(level, ", ".join(values), LABELLED)
    return None


def _scale_level(text: str) -> str | None:
    """ "3/5", "4 of 10" or "●●●○○" as one of the five levels."""
    if match := _SCALE.search(fold(text)):
        step, steps = int(match[1]), int(match[2])
    elif match := _PIPS.search(text):
        step, steps = len(match[1]), len(match[1]) + len(match[2])
    else:
        return None
    if not 1 <= step <= steps or not 3 <= steps <= 10:
        return None
    return _LEVELS[round((step - 1) * 4 / (steps - 1))]


def _levels(words: tuple[str, ...]) -> list[Hit]:
    """Levels in a text; two that are joined to a span ("light to medium") are one hit."""
    joints = word_set("roast", "words.span")
    found: list[Hit] = []
    for hit in phrases("roast", "levels").hits(words):
        last = found[-1] if found else None
        between = words[last.end : hit.start] if last else ()
        if last and 0 < len(between) <= 2 and joints.issuperset(between):
            found[-1] = Hit(last.start, hit.end, _spanned({last.value, hit.value}))
        else:
            found.append(hit)
    return found


_SPANS = {
    frozenset(("light", "medium")): "light_medium",
    frozenset(("light", "light_medium")): "light_medium",
    frozenset(("light_medium", "medium")): "light_medium",
    frozenset(("medium", "dark")): "medium_dark",
    frozenset(("medium", "medium_dark")): "medium_dark",
    frozenset(("medium_dark", "dark")): "medium_dark",
}


def _spanned(levels: set[str]) -> str:
    return next(iter(levels)) if len(levels) == 1 else _SPANS.get(frozenset(levels), "range")


def _level_of_value(value: Words) -> str | None:
    named = phrases("roast", "named").first(value.words)
    if named is not None:
        return named.value
    levels = {hit.value for hit in _levels(value.words) if not negated(value.words, hit.start)}
    level = _spanned(levels) if levels else "range"
    return level if level != "range" else None


def _title_roast(page: Page) -> Fact | None:
    title = page.title
    fact = _roast_phrase(title, TITLE)
    if fact is not None:
        return fact if fact.value != "range" else None
    for part in page.title_parts[1:]:
        level = _whole_level(part)
        if level in _LEVELS:
            return Fact(level, " ".join(part), TITLE)
    return None


def _whole_level(words: tuple[str, ...]) -> str | None:
    """The level that is all of a text: one term, or a span."""
    hits = _levels(words)
    return hits[0].value if hits and (hits[0].start, hits[0].end) == (0, len(words)) else None


def _tagged_roast(page: Page) -> Fact | None:
    return _one_level(_tag_levels(page, bare=False))


def _bare_roast(page: Page) -> Fact | None:
    """A tag that is only "dark" counts where nothing else speaks of roast."""
    return _one_level(_tag_levels(page, bare=True))


def _tag_levels(page: Page, *, bare: bool) -> Iterator[Fact]:
    roasts, aside = word_set("roast", "words.roast"), word_set("roast", "words.aside")
    for tag in (*page.tags, page.product_type):
        rest = tuple(word for word in tag.words if word not in roasts and word not in aside)
        level = phrases("roast", "named").whole(tag.words) or _whole_level(rest)
        named = len(rest) < len([word for word in tag.words if word not in aside])
        named = named or phrases("roast", "named").whole(tag.words) is not None
        if level in _LEVELS and (named or len(rest) > 1 or bare):
            yield Fact(level, tag.text, TAG)


def _one_level(facts: Iterable[Fact]) -> Fact | None:
    """The one level of all tags; a level between two also stands on its neighbours' shelves."""
    found = {fact.value: fact for fact in facts}
    for between, neighbours in (
        ("light_medium", {"light", "medium"}),
        ("medium_dark", {"medium", "dark"}),
    ):
        if between in found and found.keys() <= neighbours | {between}:
            return found[between]
    return next(iter(found.values())) if len(found) == 1 else None


def _prose_roast(page: Page) -> Fact | None:
    for sentence in page.sentences:
        fact = _roast_phrase(sentence, PROSE)
        if fact is not None:
            return fact if fact.value != "range" else None
    return None


def _roast_phrase(text: Words, trust: float) -> Fact | None:
    """The first level in a text that stands beside a roast word, or is a compound level."""
    words = text.words
    named = phrases("roast", "named").first(words)
    if named is not None and not negated(words, named.start):
        return Fact(named.value, text.printed(named.start, named.end), trust)
    roasts, cup = word_set("roast", "words.roast"), word_set("roast", "words.cup")
    for hit in _levels(words):
        after = words[hit.end] if hit.end < len(words) else "."
        told = words[hit.start - 1 : hit.start] == ("roasted",) and after == "and"
        if negated(words, hit.start) or (after in cup and after not in roasts and not told):
            continue
        compound = hit.value in ("light_medium", "medium_dark") and hit.end - hit.start > 1
        if after in roasts or compound or _roasted_before(words, hit):
            return Fact(hit.value, text.printed(hit.start, hit.end), trust)
    return None


_TERSE_ROAST = 6  # words and marks; a line as short as "Torréfaction filtre, claire" is one fact


def _roasted_before(words: tuple[str, ...], hit: Hit) -> bool:
    """ "roasted (this coffee / to a …) light": a roast word up to six words before the level."""
    if terms("roast", "words.places").whole(words[hit.start : hit.end]):
        return False
    roasts = word_set("roast", "words.roast")
    terse = len(words) <= _TERSE_ROAST
    for word in reversed(words[max(0, hit.start - 6) : hit.start]):
        if word in roasts:
            return True
        if (word in BOUNDARIES and not (terse and word == ",")) or word in (
            "and",
            "with",
            "for",
            "und",
            "et",
            "y",
            "e",
            "en",
        ):
            return False
    return False
