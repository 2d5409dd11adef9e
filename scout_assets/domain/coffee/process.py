"""What was done to the coffee before roasting: process, decaf.

Belongs here: one reader per fact, from a `Page` to a `Fact`; each asks labelled lines first,
then the title, then prose and tags in the order that fact's reader names. Where the page does
not say, or says several things of several coffees, there is no fact: never a guess.
Does not belong here: what grew and where (`provenance`), how far it is roasted (`roast`).
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from rapidfuzz.distance import OSA
from rapidfuzz.process import extractOne

from scout_assets.domain.coffee.passages import (
    LABELLED,
    PROSE,
    TAG,
    TITLE,
    Fact,
    Labelled,
    Page,
    first_fact,
)
from scout_assets.domain.coffee.provenance import country, opens_with_origin
from scout_assets.domain.lexicon import (
    BOUNDARIES,
    Hit,
    Words,
    negated,
    phrases,
    short_words_of,
    terms,
    word_set,
    words_of,
)

# Two basic processes side by side are a blend of lots; beside one basic process the treatment
# is the more particular name ("anaerobic washed").
_SEVERAL = "several"
_BASIC = ("washed", "natural", "honey", "pulped_natural")
_STATEMENT = re.compile(
    r"\bprocess(?:ed)?,? (?:\w+ )?(?:using|by|via|with|through|in|is|was) (?:the |a |an )?"
    r"([\w\s-]{3,60})"
)


def process(page: Page) -> Fact | None:
    """Process: labelled line, title, prose beside a process noun, tags, then treatments such
    as barrel ageing in the title, which name the process only where nothing basic is said.

    Several basic processes in one coffee (a blend of washed and natural lots) have no single
    value. "other" is a labelled process outside the enum that the page explains no further.
    """
    fact = _stated_process(page)
    return fact if fact is None or fact.value != _SEVERAL else replace(fact, value=None)


def _stated_process(page: Page) -> Fact | None:
    labelled = _labelled_process(page)
    if labelled is not None:
        return labelled
    return _unlabelled_process(page) or _unknown_process(page)


def _unlabelled_process(page: Page) -> Fact | None:
    titled = _title_process(page)
    if titled is not None and not page.is_assortment:
        return _more_particular(page, titled)
    if titled is not None or page.is_assortment:
        return titled
    return first_fact(page, _prose_process, _tagged_process, _treatment, _prose_treatment)


def _settled(values: Iterable[str]) -> str | None:
    """One process out of all that a place names, in the order named."""
    found = list(dict.fromkeys(values))
    basic = [value for value in found if value in _BASIC]
    treatments = [value for value in found if value not in _BASIC]
    if set(basic) == {"pulped_natural", "honey"}:  # two names of one process
        basic = basic[:1]
    if len(basic) > 1 or (basic and treatments in (["monsooned"], ["wet_hulled"])):
        return _SEVERAL
    return next(iter(treatments + basic), None)


def _labelled_process(page: Page) -> Fact | None:
    for value in page.labelled.get("process", ()):
        words = words_of(value.text.split(". ")[0])
        found = _leading(words, _process_hits(words, "terms", "contextual", "labelled"))
        if "semi" in words.words and "pulped_natural" in found and _is_indonesian(page):
            found = ["wet_hulled"]
        settled = _settled(found) or _settled(_weak(words)) or _misspelt(words)
        if settled is not None and len(words.words) <= 60:
            return Fact(settled, value.text, LABELLED)
    return None


_SPELLED = ("washed", "natural", "anaerobic", "monsooned")
_MOST_SLIPS = 2  # of the hand: a letter too many, too few, another, or two swapped


def _misspelt(words: Words) -> str | None:
    """The process that a labelled word of its own only misspells ("Wasehd")."""
    if len(words.words) != 1 or len(words.words[0]) < 6:
        return None
    found = extractOne(words.words[0], _SPELLED, scorer=OSA.distance, score_cutoff=_MOST_SLIPS)
    return None if found is None else str(found[0])


def _leading(words: Words, hits: list[Hit]) -> list[str]:
    """The processes of a labelled value: the steps that a longer value goes on to tell
    ("Natural, picked ripe, then washed clean") name no second basic one."""
    found: list[str] = []
    end = 0
    for hit in hits:
        following = hit.value in _BASIC and bool({*found} & {*_BASIC})
        if following and not (hit.start - end <= 2 or _joined(words.words, end, hit.start)):
            continue
        found.append(hit.value)
        end = hit.end
    return found


def _unknown_process(page: Page) -> Fact | None:
    """ "other" for a labelled process that is none of ours; not for a way to decaffeinate."""
    for value in page.labelled.get("process", ()):
        words = words_of(value.text.split(". ")[0]).words
        said = terms("process", "words.no_process").first(words) is None
        if said and 0 < len(words) <= 6 and not any(c.isdigit() for c in value.text):
            return Fact("other", value.text, LABELLED)
    return None


def _is_indonesian(page: Page) -> bool:
    # "Semi-washed" is pulped natural in Brazil and wet-hulled in Indonesia.
    return country(page) == "ID"


def _process_hits(text: Words, *sections: str) -> list[Hit]:
    found: list[Hit] = []
    for section in sections:
        for hit in phrases("process", section).hits(text.words):
            if all(hit.end <= other.start or hit.start >= other.end for other in found):
                found.append(hit)
    weather = list(terms("process", "words.weather").hits(text.words))
    washed = any(hit.value == "washed" for hit in found)
    return sorted(
        hit
        for hit in found
        if not negated(text.words, hit.start)
        and not any(other.start < hit.end and hit.start < other.end for other in weather)
        and not (washed and text.words[hit.start : hit.end] in _SUN_DRIED)
    )


# After washing it is how the parchment dries, no second process.
_SUN_DRIED = frozenset((("sun", "dried"), ("sundried",)))


def _weak(text: Words) -> list[str]:
    return [hit.value for hit in phrases("process", "weak").hits(text.words)]


def _title_process(page: Page) -> Fact | None:
    title = page.title
    hits = [
        hit
        for hit in _process_hits(title, "terms", "contextual")
        if hit.value != "honey" or _is_honey_process(title, hit)
    ]
    values = [hit.value for hit in hits]
    # In a set of lots the treatment may be that of one, the basic process is all theirs.
    basic = [value for value in values if value in _BASIC] if page.is_assortment else []
    settled = _settled(basic or values)
    if settled is None:
        return None
    return Fact(settled, title.printed(hits[0].start, hits[-1].end), TITLE)


def _treatment(page: Page) -> Fact | None:
    settled = _settled(_weak(page.title))
    return Fact(settled, page.title.text, TITLE) if settled else None


def _prose_treatment(page: Page) -> Fact | None:
    """A ferment with yeast or the like, else one without oxygen, told in prose."""
    found: dict[str, str] = {}
    for sentence in page.sentences:
        if _FERMENT.search(sentence.folded):
            for hit in phrases("process", "ferments").hits(sentence.words):
                found.setdefault(hit.value, sentence.printed(hit.start, hit.end))
    for value in ("experimental", "anaerobic"):
        if value in found:
            return Fact(value, found[value], PROSE)
    return None


_FERMENT = re.compile(r"\b(?:co-?)?f(?:er|eri)ment|発酵|\binoculat")


def _is_honey_process(title: Words, hit: Hit) -> bool:
    """Plain "honey" in a title is a process at the end of a part, not in "Milk & Honey"."""
    if hit.end - hit.start > 1:
        return True
    words = title.words
    before = words[hit.start - 1] if hit.start else ""
    after = words[hit.end] if hit.end < len(words) else "-"
    last = after in BOUNDARIES or after == "lot" or after.isdigit()
    return last and hit.start > 0 and before not in ("&", "and", "of", "with", "the", "n")


def _more_particular(page: Page, titled: Fact) -> Fact:
    """A method the text states outright refines the title, unless it repeats the title's."""
    for sentence in page.sentences:
        match = _STATEMENT.search(sentence.folded)
        if match is None:
            continue
        stated = [hit.value for hit in _process_hits(words_of(match[1]), "terms", "contextual")]
        settled = _settled(stated)
        if settled not in (None, _SEVERAL, *_BASIC) and titled.value not in stated:
            return Fact(settled, sentence.text[match.start(1) : match.end(1)].strip(), PROSE)
    return titled


def _prose_process(page: Page) -> Fact | None:
    values: list[str] = []
    raw = ""
    for sentence in page.sentences:
        hits = _spoken_hits(sentence)
        if hits and not raw:
            raw = sentence.printed(hits[0].start, hits[-1].end)
        values += [hit.value for hit in hits]
    settled = _settled(values)
    return Fact(settled, raw, PROSE) if settled else _washing_step(page)


def _washing_step(page: Page) -> Fact | None:
    """Washing as a step: after pulping or fermenting, or before drying, in a text that names
    no process outright, it is the washed process."""
    for sentence in page.sentences:
        hit = terms("process", "words.steps").first(sentence.words)
        if hit is None or negated(sentence.words, hit.start):
            continue
        before, after = sentence.words[: hit.start], sentence.words[hit.end :]
        if not word_set("process", "words.pulped").isdisjoint(before) or (
            not word_set("process", "words.drying").isdisjoint(after)
        ):
            return Fact("washed", sentence.printed(hit.start, hit.end), PROSE)
    return None


_TERSE = 4  # words and marks; a sentence as short as "Washed, Kenya." is a list of facts


def _spoken_hits(sentence: Words) -> list[Hit]:
    """Process words of a sentence that are used as such: beside a process noun, or listed
    with one that is ("washed, honey and natural processes")."""
    hits = _process_hits(sentence, "terms", "contextual")
    if len(sentence.words) <= _TERSE:
        plain = phrases("process", "contextual")
        terse = hits or _process_hits(sentence, "labelled")
        return [
            hit
            for hit in terse
            if (hits and plain.whole(sentence.words[hit.start : hit.end]) is None)
            or _stands_alone(sentence.words, hit)
            or _beside_noun(sentence.words, hit)
        ]
    kept: list[Hit] = []
    following = False
    plain = phrases("process", "contextual")
    for hit in reversed(hits):
        if plain.whole(sentence.words[hit.start : hit.end]) is None:
            spoken = True
        else:
            spoken = (
                _beside_noun(sentence.words, hit)
                or (following and _joined(sentence.words, hit.end, kept[-1].start))
                or _of_share(sentence, hit)
                or _in_parentheses(sentence.words, hit)
            )
        if spoken:
            kept.append(hit)
        following = spoken
    return kept[::-1]


def _stands_alone(words: tuple[str, ...], hit: Hit) -> bool:
    """Not before a noun of taste ("natural sweetness"), and no lone "honey", a flavour."""
    after = words[hit.end : hit.end + 1]
    plain_honey = hit.value == "honey" and hit.end - hit.start == 1
    return not plain_honey and (not after or after[0] in BOUNDARIES or after[0] in ("and", "&"))


def _beside_noun(words: tuple[str, ...], hit: Hit) -> bool:
    if hit.value == "natural" and words[hit.start : hit.end] == ("sun", "dried"):
        return False
    nouns = word_set("process", "words.nouns")
    after = words[hit.end :]
    while after and after[0] in _FROM:
        after = after[1:]
    if opens_with_origin(after[:3]) or phrases("varieties", "plain").starts(after):
        return True
    if any(word in nouns for word in _clause(words[hit.end : hit.end + 3])):
        return True
    if hit.value == "washed" and _follows_noun(words, hit):
        return True
    before = _clause(words[max(0, hit.start - 4) : hit.start][::-1])
    if hit.value == "honey" or not word_set("process", "words.heads") & set(before):
        return False
    # "processed with a natural solvent" names a solvent.
    after = words[hit.end : hit.end + 1]
    return not after or not after[0].isalpha() or after[0] in word_set("process", "words.after")


_FROM = frozenset(("d", "de", "du", "des", "del", "from", "aus", "uit", "dall", "di", "da", "do"))


def _follows_noun(words: tuple[str, ...], hit: Hit) -> bool:
    """Romance languages put it behind the noun: "un café lavé", "Caturra lavado"."""
    if words[hit.start] in ("washed", "gewaschen"):
        return False
    before = words[max(0, hit.start - 2) : hit.start]
    return before[-1:] != () and (
        before[-1] in word_set("process", "words.nouns")
        or any(hit.end == len(before) for hit in phrases("varieties", "plain").hits(before))
        or before[-1] in ("moka", "mokka")
        or opens_with_origin(before[-1:])
    )


def _clause(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words up to the first mark."""
    end = next((i for i, word in enumerate(words) if word in BOUNDARIES), len(words))
    return words[:end]


def _joined(words: tuple[str, ...], start: int, end: int) -> bool:
    joints = word_set("process", "words.joints")
    return end - start <= 4 and all(word in joints for word in words[start:end])


def _in_parentheses(words: tuple[str, ...], hit: Hit) -> bool:
    """The process of the coffee named before it: "Huila (washed)"."""
    return words[hit.start - 1 : hit.start] == ("(",) and words[hit.end : hit.end + 1] == (")",)


_SHARE = re.compile(r"\(\s*\d{1,2}\s?%\s*\)")


def _of_share(sentence: Words, hit: Hit) -> bool:
    """The process of one part of a blend: "Huila (60%) - washed"."""
    return sentence.words[hit.start - 1 : hit.start] != () and (
        sentence.words[hit.start - 1] in BOUNDARIES
        and _SHARE.search(sentence.folded[: sentence.spans[hit.start][0]]) is not None
    )


def _tagged_process(page: Page) -> Fact | None:
    nouns = {"process", "processed", "processing", "method", ":", "-", "coffee", "the", "proceso"}
    values: dict[str, str] = {}
    for tag in page.tags:
        rest = tuple(word for word in tag.words if word not in nouns)
        value = phrases("process", "contextual").whole(rest) if rest else None
        value = value or (phrases("process", "terms").whole(rest or tag.words))
        named = len(rest) < len(tag.words)
        if value is not None and (value != "honey" or named or len(rest) > 1):
            values[value] = tag.text
    if len(values) > 1:
        values.pop("experimental", None)  # a shelf in the shop, beside a tag that says which
    settled = _settled(values)
    return Fact(settled, ", ".join(values.values()), TAG) if settled else None


# --- decaf ----------------------------------------------------------------------------------


def decaf(page: Page) -> bool:
    """Whether the coffee is sold as decaffeinated.

    False also where the page is silent: coffee is caffeinated unless sold otherwise. Half-caff
    is not decaf.
    """
    words = phrases("decaf")
    # The tags of a box name each coffee in it.
    tags = () if page.is_assortment else page.tags
    stated = (page.title, page.product_type, *page.values("caffeine"))
    places = (*stated, *tags, short_words_of(page.listing.url or ""))
    values = {
        hit.value
        for text in places
        for hit in words.hits(text.words)
        if not negated(text.words, hit.start)
    }
    if values:
        return "half" not in values
    if "decaf" in page.labelled:
        return not any(_says_no(value) for value in page.labelled["decaf"])
    return any(_sold_as_decaf(sentence) for sentence in page.sentences)


def _says_no(value: Labelled) -> bool:
    words = words_of(value.text).words
    return not words or words[0] in ("no", "none", "nein", "non", "false", "nee", "nao")


def _sold_as_decaf(sentence: Words) -> bool:
    """ "this decaf …", "decaffeinated by …": not a remark that decaf exists elsewhere."""
    words = sentence.words
    for hit in phrases("decaf").hits(words):
        if hit.value != "decaf" or negated(words, hit.start):
            continue
        before, after = words[max(0, hit.start - 2) : hit.start], words[hit.end : hit.end + 2]
        if {"this", "our", "dieser", "ce", "este", "questo"} & set(before):
            return True
        if {"using", "by", "with", "via", "through", "process", "method"} & set(after):
            return True
    return False
