"""Tasting notes: what a page says the coffee tastes of, phrase by phrase.

Belongs here: finding lists of notes (labelled, headline, prose, tags) and cutting them into
phrases that name a flavour. Does not belong here: the flavour words (`vocabulary/flavours`).

The best place wins, the others are not mixed in: a labelled line, a headline of flavours
("Cherry + Cocoa"), "notes of …" in prose, then aroma and finish, then flavour tags.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache

from scout_assets.domain.coffee.passages import Page
from scout_assets.domain.coffee.provenance import names_other_fact
from scout_assets.domain.lexicon import (
    Phrases,
    Words,
    fold,
    phrases,
    short_words_of,
    vocabulary,
    word_set,
    words_of,
)

_MOST_NOTES = 12
_MOST_WORDS = 4  # a longer phrase is a clause, not a note
_LONG_VALUE = 30  # words; a longer labelled value is prose

_SEPARATOR = re.compile(
    r"\s*(?:\((?=[^()]*(?:,|$))|[,;/|•·+&\t\n…、・\uff0c。★☆→>]|\s[-\u2013\u2014]\s"
    r"|\b(?:and|und|et|og|och|oder|or)\b|(?<=\s)(?:y|e|en)(?=\s(?!almibar|su jugo))"
    r"|\b(?:layered |paired |complemented |complimented |balanced )?with\b|\b(?:up)?lifted by\b"
    r"|\bfollowed by\b|\bunderpinned by\b|\balongside\b|\bover\b|\bcomplemented by\b|\bmit\b"
    r"|\bavec\b|\b(?:finishing|leading|giving way) (?:in|with|to|into)\b)\s*"
)
_QUALITY = (
    r"(?:notes?|flavou?rs?|hints?|layers?|tones?|undertones?|overtones?|touch(?:es)?|nuances?"
    r"|feast|medley|mix|combination|symphony|explosion|array|harmony|interplay|cascade|wave|mingling"
    r"|tonen|tonos|tons|smaken|accents?|traces?|suggestions?|bursts?|tastes?"
    r"|splash(?! of (?:\w+ )?(?:milk|cream|water))"
    r"|note|noten|aromen|notas|toques|sentori|sabores|saveurs|aromes|sapori|matices|nuancen|anklange"
    r"|noter|toner|aromi|nuancer)"
)
_OF = (
    r"(?:of|like|such as|including|include|includes|are|reminiscent of|von|nach|de|d'|di|van|av|af"
    r"|a|as|fra)"
)
_LIST_CUE = re.compile(
    rf"\b{_QUALITY}:?(?: \w+ (?:e|y|et|und|and|og|och|en))? (?:{_OF}[: ]+|d')"
    rf"|\b{_QUALITY} \w+ (?:de |d'|di |do |da )"  # "notas dulces de"
    r"|\brecuerdan? a |\blembram? "
    r"|\berinner(?:t|n)(?: \w+){1,3} an |\ban (?=[^.]{3,90}\b(?:denken|erinnern)\b)"
    r"|\brappell(?:e|ent|ant) |\bevo(?:quent|quant|cando|cano) |\bche ricord(?:a|ano) "
    r"|\bdoe[tn] (?:\w+ )?denken aan |\b(?:minder|minner|paminner) om |\bwir schmecken "
    r"|\bnous goutons |\bwe proeven |\bvi sma(?:ger|ker) "
    r"|\breminiscent of |\bbursting with |\bpacked with |\btastes? like "
    r"|\bflavou?r profile (?:of|with|includes|including) |\b(?:we|you'll|you will|you can) taste "
    r"|\bthink(?: of)?[: ]+|\bexpect |\bschmeckt nach |\berinnert an |\bsmaakt naar |\bsabe a "
    r"|\bsabor(?:es)? (?:a|de) |\bgouts? (?:de|d')|\bsa di |\bsentori di |\bsmager af |\bsmakar "
    r"|\bsmaker? av |\bsmag af |\bmed toner av |\bnoter (?:av|af) |\baromas? a |\baromi di "
    r"|\baromes (?:de|d')|\bparfums (?:de|d')|\bhints? van |\bsapori di "
)
_VERB_CUE = re.compile(
    r"\b(?:brings?|offers?|delivers?|features?|presents?|reveals?|showcases?|boasts?"
    r"|unveils?|evokes?"
    r"|we find|you(?:'ll| will)? find|we (?:get|taste)|look for|discover"
    r"|trover(?:ete|ai)|encontraras|encontramos|on (?:y )?(?:re)?trouve"
    r"|vous (?:y )?(?:re)?trouverez|remind(?:s|ed|ing)?(?: \w+){0,2} of|that recalls?"
    r"|finden sich|findest du|finden wir|je (?:vindt|proeft)|du (?:finner|smaker)"
    r"|opens? with|leads? with|starts? with|loaded with|filled with|full of|bietet|besticht durch"
    r"|offre|ofrece|oferece|biedt) "
)
# "fruity notes of berries": what stands before the "of" is not the note.
_INTRODUCTION = re.compile(
    rf"^.*\b(?:{_QUALITY}|aftertaste|aromas?|finish|sweetness|tartness|brightness) {_OF} "
)
# "dark honey by the fire": where and when it is drunk.
_CIRCUMSTANCE = re.compile(r"(?<=\w) (?:by|at|on|for|through|throughout) (?:the|your|every|each)\b")
_SCENT_CUE = re.compile(
    rf"\b(?:aromas?|aftertaste|finish|fragrance|scents?) {_OF} |\bfinish(?:ing|es) (?:with|on) "
)
_AFTER_FLAVOUR = frozenset(
    (
        "notes",
        "flavours",
        "flavors",
        "flavour",
        "flavor",
        "tones",
        "undertones",
        "overtones",
        "forward",
    )
)
_AFTER_SCENT = frozenset(("aftertaste", "finish", "aroma", "aromas", "mouthfeel", "sweetness"))


def tasting_notes(page: Page) -> tuple[str, ...]:
    """Flavours the page says the coffee tastes of, in lower case, as printed and in order."""
    found = _labelled_notes(page)
    if not found:
        texts = _all_sentences(page)
        readers = (
            _headline_notes,
            _terse_notes,
            _spoken_notes,
            _offered_notes,
            _weak_headline_notes,
        )
        found = next((notes for read in readers if (notes := read(page, texts))), [])
        found = found or _tagged_notes(page)
    return _distinct(found)[:_MOST_NOTES]


def _all_sentences(page: Page) -> list[Words]:
    return [] if page.is_assortment else page.spoken


def _distinct(notes: Iterable[str]) -> tuple[str, ...]:
    """Each note once; "chocolatey" goes where "dark chocolate" stands."""
    distinct: dict[str, str] = {}
    for note in notes:
        distinct.setdefault(note.rstrip("s"), note)
    kept = tuple(distinct.values())
    return tuple(
        note
        for note in kept
        if not any(
            other != note and note.endswith("y") and note[:-1].rstrip("e") in other
            for other in kept
        )
    )


# --- phrases ------------------------------------------------------------------------------


@cache
def _flavours() -> Phrases:
    """Nouns (with plurals) and adjectives of taste; the value says which of the two."""
    lists = vocabulary("flavours")
    nouns = [(form, "noun") for noun in lists["nouns"] for form in _forms(noun)]
    return Phrases(nouns + [(word, "adjective") for word in lists["adjectives"]])


def _forms(noun: str) -> tuple[str, ...]:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun, noun[:-1] + "ies"
    return noun, noun + "s", noun + "es"


def _split(text: str) -> list[str]:
    folded = fold(text)
    for phrase in vocabulary("flavours")["joined"]:
        folded = folded.replace(phrase, phrase.replace(" and ", " ~~~ "))
    pieces, at = [], 0
    for match in _SEPARATOR.finditer(folded):
        pieces.append(text[at : match.start()])
        at = match.end()
    return [*pieces, text[at:]]


def _cleaned(piece: str, *, listed: bool = False) -> Words:
    """A piece without the words around the flavour: "a gentle hint of Orange zest". In a list
    of notes "smooth caramel" is the note as printed; in prose "smooth" praises the cup."""
    introduction = _INTRODUCTION.match(fold(piece))
    piece = piece[introduction.end() :] if introduction else piece
    circumstance = _CIRCUMSTANCE.search(fold(piece))
    piece = piece[: circumstance.start()] if circumstance else piece
    piece = piece.strip(" .!?:\"'“”[]*#")
    if piece.count("(") != piece.count(")"):  # a list in parentheses was cut at its commas
        piece = piece.strip("()")
    words = words_of(piece)
    start, end = 0, len(words.words)
    fillers, trailers = word_set("flavours", "fillers"), word_set("flavours", "trailers")
    if listed:
        fillers = fillers - word_set("flavours", "praise")
    # "thé" is a flavour, "the" is not: folded they are the same word.
    while (
        start < end
        and words.printed(start, start + 1).lower() != "thé"
        and (words.words[start] in fillers or not words.words[start].isalnum())
    ):
        start += 1
    if words.words[start:end].count("(") == 0:
        trailers |= {")"}
    while end > start and (words.words[end - 1] in trailers or words.words[end - 1] in ".!?:"):
        small = words.printed(end - 1, end).islower()
        if small and end - start > 1 and _only_flavour(words.words[start:end]):
            break
        end -= 1
    return short_words_of(words.printed(start, end)) if start < end else short_words_of("")


def _only_flavour(words: tuple[str, ...]) -> bool:
    """Whether the last word is the one flavour of a phrase: Dutch "geroosterde noten" are
    nuts, German "fruchtige Noten" are notes."""
    hits = list(_flavours().hits(words))
    return bool(hits) and hits[0].start == len(words) - 1 and hits[0].value == "noun"


def _kind(words: Words) -> str | None:
    """ "noun", "adjective" or None, for a cleaned phrase."""
    if not words.words or _length(words) > _MOST_WORDS:
        return None
    hits = list(_flavours().hits(words.words))
    tasty = {at for hit in hits for at in range(hit.start, hit.end)}
    if any(
        word in word_set("flavours", "reject") and at not in tasty
        for at, word in enumerate(words.words)
    ):
        return None
    kinds = {hit.value for hit in hits}
    return "noun" if "noun" in kinds else next(iter(kinds), None)


def _length(words: Words) -> float:
    """Words, of which two Chinese or Japanese signs make about one."""
    return sum(0.5 if len(word) == 1 and word > "\u3040" else 1 for word in words.words)


def _notes_in(text: str) -> list[tuple[str, str]]:
    """(note, kind) of each phrase of a text that names a flavour."""
    found = []
    for piece in _split(text):
        words = _cleaned(piece)
        kind = _kind(words)
        # "Honeyed sweetness" describes the sweetness.
        if kind == "noun" or (kind is not None and not _STRUCTURE.search(fold(piece))):
            found.append((words.text.lower(), kind))
    return found


_STRUCTURE = re.compile(
    r"\b(?:sweetness|richness|warmth|complexity|brightness|depth|finish|aftertaste|character)\b"
)


# --- places -------------------------------------------------------------------------------


def _labelled_notes(page: Page) -> list[str]:
    """Of the first label that holds any; nose and palate, told apart, together."""
    for value in page.labelled.get("notes", ()):
        found = _value_notes(page, value.text)
        if found:
            return found
    senses = page.labelled.get("senses", ())
    return [note for value in senses for note in _value_notes(page, value.text)]


def _value_notes(page: Page, text: str) -> list[str]:
    """Notes of a labelled value: of its prose, else of the sentences that are lists."""
    sentences = _SENTENCE.split(text)
    if len(text.split()) > _LONG_VALUE or _LIST_CUE.search(fold(text)):
        return _spoken_notes(page, [words_of(sentence) for sentence in sentences])
    found = _listed(sentences[0])
    for sentence in sentences[1:]:
        pieces = [_cleaned(piece) for piece in _split(sentence)]
        if 2 * sum(_kind(piece) == "noun" for piece in pieces) > len(pieces) > 1:
            found += _listed(sentence)
    return found


_SENTENCE = re.compile(r"\. +")


def _listed(text: str) -> list[str]:
    """Notes of a list; where most items are flavours, short unknown ones are too."""
    pieces = [(_cleaned(piece), _cleaned(piece, listed=True)) for piece in _split(text)]
    known = [bool(_kind(bare)) for bare, _ in pieces if bare.words]
    cleaned = [printed for bare, printed in pieces if bare.words]
    trusted = len(cleaned) > 1 and 3 * sum(known) >= len(cleaned)
    return [
        words.text.lower()
        for words, is_known in zip(cleaned, known, strict=True)
        if is_known or (trusted and _may_be_note(words))
    ]


def _may_be_note(words: Words) -> bool:
    return (
        _length(words) <= 3
        and words.text[:1].isalpha()
        and not any(
            word in word_set("flavours", "reject") or word.isdigit() for word in words.words
        )
        and not names_other_fact(words.words)
        and not _is_roast(words.words)
    )


def _is_roast(words: tuple[str, ...]) -> bool:
    roasts = word_set("roast", "words.roast")
    return not roasts.isdisjoint(words) and phrases("roast", "levels").first(words) is not None


def _headline_notes(page: Page, _: list[Words]) -> list[str]:
    """A line that is only a list of flavours, two of them things: "Cherry + Cocoa"."""
    return next((notes for notes, nouns in _headlines(page) if nouns >= 2), [])


def _weak_headline_notes(page: Page, _: list[Words]) -> list[str]:
    return next((notes for notes, _nouns in _headlines(page)), [])


def _headlines(page: Page) -> Iterator[tuple[list[str], int]]:
    if page.is_assortment:
        return
    for line in page.lines:
        if len(line) > 90 or line.endswith(".") or any(c.isdigit() or c == ":" for c in line):
            continue
        kinds, flavours = _flavours_of(line)
        if len(flavours) >= max(2, round(0.6 * len(kinds))):
            yield flavours, kinds.count("noun")


def _flavours_of(text: str) -> tuple[list[str | None], list[str]]:
    """(kind of each item, its flavours) of a text that is only a short list; else ([], [])."""
    cleaned = [words for words in map(_cleaned, _split(text)) if words.words]
    kinds = [_kind(words) for words in cleaned]
    pairs = list(zip(cleaned, kinds, strict=True))
    if not all(kind or _may_be_note(words) for words, kind in pairs):
        return [], []
    return kinds, [words.text.lower() for words, kind in pairs if kind]


def _terse_notes(page: Page, texts: list[Words]) -> list[str]:
    """A sentence that is only a list of flavours: "Earthy, cedar, dark chocolate." """
    for text in texts:
        if _is_list(text) and len(text.words) <= 14 and len(text.text) <= 70:
            kinds, flavours = _flavours_of(_bare_list(text))
            if len(flavours) >= 2 and all(kinds) and "noun" in kinds:
                return flavours
    for text in texts[:_OPENING]:
        notes = _opening_list(text)
        if notes:
            return notes
    return []


_OPENING = 4  # lines and sentences at the head of a page, where shops put a list of flavours


def _opening_list(text: Words) -> list[str]:
    """A terse list of which half are known things to taste: the others are notes as well."""
    if not _is_list(text):
        return []
    pieces = [_cleaned(piece) for piece in _split(_bare_list(text))]
    things = sum(_kind(piece) == "noun" for piece in pieces)
    if not 2 <= len(pieces) <= 6 or 2 * things < len(pieces) or len(text.text) > 90:
        return []
    if not all(_kind(piece) or (piece.words and _may_be_note(piece)) for piece in pieces):
        return []
    return [piece.text.lower() for piece in pieces]


# "… with a juicy body" at the end of a list tells of the cup.
_STRUCTURE_CLAUSE = re.compile(
    r",? (?:with|mit|avec|con|com|met|med) [^,]{0,40}\b(?:body|acidity|finish|mouthfeel|texture"
    r"|aftertaste|korper|saure|abgang|corps|acidite|cuerpo|acidez|corpo|acidita|zuren|syre|syra)"
    r"[\s.]*$"
)


def _bare_list(text: Words) -> str:
    clause = _STRUCTURE_CLAUSE.search(text.folded)
    return text.text[: clause.start() if clause else None].rstrip(". ")


def _is_list(text: Words) -> bool:
    return bool({",", "、"} & set(text.words)) and not _LIST_CUE.search(text.folded)


def _spoken_notes(page: Page, texts: list[Words]) -> list[str]:
    """ "notes of …" first; "… notes" and the aroma only where that names hardly anything."""
    listed = [note for text in texts for note in _after_cue(text, _LIST_CUE)]
    things = any(kind == "noun" for _, kind in listed)
    listed += [
        (note, kind)
        for text in texts
        for note, kind in _before_cue(text, _AFTER_FLAVOUR)
        if note not in _GENERIC
        and (kind == "noun" or not things)
        and not any(other.endswith(" " + note) for other, _ in listed)
    ]
    if not any(kind == "noun" for _, kind in listed):
        listed += [note for text in texts for note in _after_cue(text, _SCENT_CUE)]
        listed += [
            note for text in texts for note in _before_cue(text, _AFTER_SCENT) if note[1] == "noun"
        ]
    return [note for note, _ in listed]


# "Fruit notes", "a fruit-forward cup": a kind of taste, no note.
_GENERIC = frozenset(("fruit", "fruits", "sweet fruit", "bright fruit", "sugar", "milk"))


def _offered_notes(_: Page, texts: list[Words]) -> list[str]:
    """ "It brings blood orange and black cherry": what is offered is all known flavours."""
    for text in texts:
        for match in _VERB_CUE.finditer(text.folded):
            stop = _stop().search(text.folded, match.end() - 1)
            pieces = _split(text.text[match.end() : stop.start() if stop else None].rstrip(". "))
            kinds = [_kind(_cleaned(piece)) for piece in pieces]
            if kinds.count("noun") >= 2 and all(kinds):
                return [_cleaned(piece).text.lower() for piece in pieces]
    return []


@cache
def _stop() -> re.Pattern[str]:
    words = sorted(map(fold, vocabulary("flavours")["stops"]), key=len, reverse=True)
    return re.compile(rf"(?<=[\s,])(?:{'|'.join(map(re.escape, words))})\b")


def _after_cue(text: Words, cue: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Notes listed after each cue, up to where the sentence goes on."""
    folded, at = text.folded, 0
    while (match := cue.search(folded, at)) is not None:
        # From the blank before the list: a list that opens with a stop word is none.
        stop = _stop().search(folded, match.end() - 1)
        end = stop.start() if stop else len(folded)
        yield from _notes_in(text.text[match.end() : end])
        at = max(end, match.end())


def _before_cue(text: Words, cues: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Flavour words right before a cue: "nutty and chocolatey notes"."""
    words = text.words
    if cues.isdisjoint(words):
        return
    tasty = {at for hit in _flavours().hits(words) for at in range(hit.start, hit.end)}
    passed = {",", "and", "&", "-", "like", "flavour", "flavor", "tasting", "profile"}
    for at, word in enumerate(words):
        introduces = words[at + 1 : at + 2] in (("of",), ("like",))
        if word not in cues or (introduces and words[at + 2 : at + 3] not in (("our",), ("this",))):
            continue
        start = at
        while start > 0 and (
            start - 1 in tasty
            or words[start - 1] in passed
            or (start - 1 > 0 and start in tasty and _modifies(words[start - 1]))
        ):
            start -= 1
        if start < at:
            yield from _notes_in(text.printed(start, at))


def _modifies(word: str) -> bool:
    return word in word_set("flavours", "modifiers")


def _tagged_notes(page: Page) -> list[str]:
    """Tags with a prefix for flavours ("tag_caramel"); else tags that are only a flavour."""
    prefixed: list[str] = []
    plain: list[str] = []
    for tag in page.tags:
        note, had_prefix = _without_prefix(tag)
        # "Sweet & Comforting" and the type's own name are shelves of the shop.
        if tag.words == page.product_type.words or not all(
            _kind(_cleaned(piece)) for piece in _split(note.text)
        ):
            continue
        if note.words and _kind(note) and (had_prefix or not names_other_fact(note.words)):
            (prefixed if had_prefix else plain).append(note.text.replace("_", " ").lower())
    return prefixed or plain


def _without_prefix(tag: Words) -> tuple[Words, bool]:
    names = {short_words_of(prefix).words for prefix in vocabulary("flavours")["tag_prefixes"]}
    for length in (2, 1):
        if tag.words[:length] in names and len(tag.words) > length:
            skip = length + (tag.words[length] in (":", "-", "/", "|"))
            if skip < len(tag.words):
                return short_words_of(tag.printed(skip, len(tag.words))), True
    return tag, False
