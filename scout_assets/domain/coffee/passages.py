"""A product page cut into what its facts are read from: labelled lines, sentences, title, tags.

Belongs here: the layout of pages (which text is a label's value, which sentence speaks of
another coffee). Does not belong here: what the text says of the coffee (`process`, `notes`, ...).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from scout_assets.domain.lexicon import (
    BOUNDARIES,
    Words,
    fold,
    phrases,
    short_words_of,
    terms,
    word_set,
    words_of,
)
from scout_assets.domain.storefront import Listing

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”')]*\s+(?=[\"“'(]?[^\W\d_a-z]|\d)|\n")
_COLON = re.compile(r"\s*[:\uff1a]\s*")
_ROW = re.compile(
    r"^(?P<label>[^\t]{2,40}?)(?:\s*\t\s*|\s+[-\u2013\u2014|]\s+|\s*=\s*)(?P<value>.+)$"
)
_BULLET = re.compile(r"^(?:[\s•·*✓✔✦➤►▪‣\-\u2013\u2014>#]|[○●] )+|[\s•·*✦|,;]+$")
# A sentence that recommends, compares or lists other products says nothing of this one.
_OF_OTHERS = re.compile(
    r"\bif you(?:'ve| have)? (?:really |also |already )?(?:liked?|loved?|enjoy(?:ed)?|tried|are a"
    r" fan|'re a fan)(?: of)? (?:our|other|the|a|coffees)\b|\b(?:roast|coffee|espresso) (?:lovers?"
    r"|drinkers?|fans?|enthusiasts?)\b|\byou (?:may|might) also like\b|\balso (?:available|try)\b"
    r"|\bsimilar to our\b|\bunlike\b|\bcompared (?:to|with)\b|\bclick here\b|\bread more about\b"
)
_SAMPLER = re.compile(
    r"\b(?:sampler|sample|variety|tasting|assorted|mixed) (?:packs?|sets?|box(?:es)?|kits?)\b"
    r"|\b\d ?x [^.+]{3,40}\+ ?\d ?x\b"  # "3x House + 1x Guest"
    r"|\bcollection of \w+ (?:different|distinct) coffees\b|\b\d-in-1 .{0,20}\b(?:pack|box|set)\b"
)
_MOST_LABEL_WORDS = 5
_LONGEST_NOTE_LINE = 6


@dataclass(slots=True, frozen=True)
class Labelled:
    """The printed value of one label, and whether the label stood on a line of its own."""

    text: str
    own_line: bool


# How far each place on a page can be trusted, for `confidence`.
LABELLED, TITLE, TAG, PROSE = 0.95, 0.9, 0.8, 0.7


@dataclass(frozen=True, slots=True)
class Fact:
    """A value of an enum, the printed text it was read from, and how sure the place is.

    The value is None where the text names several and so no single one.
    """

    value: str | None
    raw: str
    trust: float


class Page:
    """One listing, cut up lazily: each part is computed when a fact first asks for it."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.title = short_words_of(listing.title)
        self.product_type = short_words_of(listing.product_type or "")
        self.tags = tuple(map(short_words_of, listing.tags))

    @cached_property
    def lines(self) -> list[str]:
        """Lines of the description without bullets."""
        return [
            line for raw in self.listing.description.split("\n") if (line := _BULLET.sub("", raw))
        ]

    @cached_property
    def labelled(self) -> dict[str, list[Labelled]]:
        """Values of the labels found, by the fact the label announces."""
        found: dict[str, list[Labelled]] = {}
        for field, value in _labelled(self.lines):
            if value.text and field != "other":
                found.setdefault(field, []).append(value)
        for name, values in self.listing.options.items():
            field_of_option = _label_field(name)
            if field_of_option in ("roast", "process", "variety", "origin") and len(values) == 1:
                found.setdefault(field_of_option, []).append(Labelled(values[0], True))
        return found

    def choices(self, field: str) -> list[tuple[str, ...]]:
        """The values of each option named for `field` that leaves a choice."""
        options = self.listing.options.items()
        return [
            values for name, values in options if len(values) > 1 and _label_field(name) == field
        ]

    def values(self, *fields: str) -> list[Words]:
        """The values of labels for any of `fields`, as words."""
        return [words_of(value.text) for field in fields for value in self.labelled.get(field, ())]

    @cached_property
    def spoken(self) -> list[Words]:
        """All sentences of the description."""
        parts = _SENTENCE_END.split(self.listing.description)
        return [words_of(sentence) for sentence in parts if sentence]

    @cached_property
    def sentences(self) -> list[Words]:
        """Sentences that state something of this product and recommend no other."""
        stated = [words for words in self.spoken if words.words[-1:] != ("?",)]
        if not _OF_OTHERS.search(fold(self.listing.description)):
            return stated
        return [words for words in stated if not _OF_OTHERS.search(words.folded)]

    @cached_property
    def title_parts(self) -> list[tuple[str, ...]]:
        """The title's words between its marks: "A - B (C)" has the parts A, B and C."""
        parts: list[list[str]] = [[]]
        for word in self.title.words:
            if word.isalnum() or word == "+":
                parts[-1].append(word)
            else:
                parts.append([])
        return [tuple(part) for part in parts if part]

    def is_named(self, pattern: re.Pattern[str]) -> bool:
        """Whether the title, the type or a tag shows the pattern."""
        texts = (self.title, self.product_type, *self.tags)
        return any(pattern.search(text.folded) for text in texts)

    @cached_property
    def is_assortment(self) -> bool:
        """Whether several different coffees make up the product."""
        words = terms("goods", "assortment.words")
        return (
            any(words.first(part.words) is not None for part in (self.title, self.product_type))
            or any(words.whole(tag.words) is not None for tag in self.tags)
            or _SAMPLER.search(fold(self.listing.description)) is not None
        )


def first_fact(page: Page, *readers: Callable[[Page], Fact | None]) -> Fact | None:
    """What the first reader that finds a fact finds."""
    return next((fact for read in readers if (fact := read(page)) is not None), None)


def _label_field(text: str) -> str | None:
    words = short_words_of(text).words
    return _field(words) if len(words) <= _MOST_LABEL_WORDS else None


_NOTES = frozenset(("notes", "note", "noten", "notas", "noter"))


def _field(words: tuple[str, ...]) -> str | None:
    """The fact that a label announces; "… notes" are tasting notes unless they are of a work
    ("brewing notes")."""
    field = phrases("labels").whole(words)
    if field is None and 2 <= len(words) <= 3 and words[-1] in _NOTES:
        return "other" if word_set("grammar", "works") & set(words) else "notes"
    return field


# Labels that a plain row may print without a mark, and how many rows make a table.
_ROW_FIELDS = frozenset(
    ("notes", "roast", "process", "variety", "altitude", "origin", "region", "estate", "harvest")
)
_TABLE_ROWS = 3
_MOST_ROW_WORDS = 16


def _bare_rows(lines: list[str]) -> dict[int, tuple[str, str]]:
    """(field, value) by line of rows without a mark ("Process Washed"): in a table of them,
    or where the label is of two words ("Tasting Notes Papaya, Lime")."""
    rows = {at: row for at, line in enumerate(lines) if (row := _bare_row(line)) is not None}
    if len({field for field, _, _ in rows.values()}) < _TABLE_ROWS:
        rows = {at: row for at, row in rows.items() if row[2] > 1 and row[0] in ("notes", "roast")}
    return {at: (field, value) for at, (field, value, _) in rows.items()}


def _bare_row(line: str) -> tuple[str, str, int] | None:
    """(field, value, words of the label); the value starts with a capital or a digit."""
    words = short_words_of(line) if len(line) < 120 else words_of("")
    count = len(words.words)
    if not 1 < count <= _MOST_ROW_WORDS or line.endswith((".", "!", "?")):
        return None
    for length in range(min(_MOST_LABEL_WORDS, count - 1), 0, -1):
        field = phrases("labels").whole(words.words[:length])
        if field is not None:
            value = line[words.spans[length][0] :]
            told = field in _ROW_FIELDS and (value[0].isupper() or value[0].isdigit())
            return (field, value, length) if told and line[0].isupper() else None
    return None


def _labelled(lines: list[str]) -> Iterator[tuple[str, Labelled]]:
    bare = _bare_rows(lines)
    for index, line in enumerate(lines):
        pairs = list(_colon_pairs(line))
        if not pairs and (row := _ROW.match(line)) and (field := _label_field(row["label"])):
            pairs = [(field, row["value"])]
        if not pairs and (field := _label_field(line)):
            pairs = [(field, "")]
        if not pairs and index in bare:
            pairs = [bare[index]]
        for field, value in pairs:
            if value:
                yield field, Labelled(value, False)
            elif field != "other":
                yield field, Labelled(_following(lines, index + 1, field), True)


def _colon_pairs(line: str) -> Iterator[tuple[str, str]]:
    """(field, value) of each "Label: value" in a line that may hold several."""
    parts = _COLON.split(line)
    labels = [_ending_label(part, first=index == 0) for index, part in enumerate(parts[:-1])]
    for index, label in enumerate(labels):
        if label is None:
            continue
        value = parts[index + 1]
        follower = labels[index + 1] if index + 1 < len(labels) else None
        if follower is not None:
            value = value[: follower[1]]
        yield label[0], _BULLET.sub("", value)


def _ending_label(part: str, *, first: bool) -> tuple[str, int] | None:
    """(field, place) of the label that ends a part; inside a line it starts with a capital."""
    words = short_words_of(part) if len(part) < 80 else words_of(part)
    count = len(words.words)
    for length in range(min(_MOST_LABEL_WORDS, count), 0, -1):
        start = count - length
        field = _field(words.words[start:])
        place = words.spans[start][0]
        before = words.words[start - 1 : start]
        opens = not before or before[0] in BOUNDARIES or (not first and part[place].isupper())
        if field and (opens or (length > 1 and part[place].isupper())):
            return field, place
    return None


def _following(lines: list[str], start: int, field: str) -> str:
    """The value under a label that stands alone: one line, or a list of short ones for notes."""
    taken: list[str] = []
    for line in lines[start : start + 8]:
        if _label_field(line) or any(True for _ in _colon_pairs(line)):
            break
        if taken and (field != "notes" or len(line.split()) > _LONGEST_NOTE_LINE):
            break
        taken.append(line)
        if field != "notes" or len(line.split()) > _LONGEST_NOTE_LINE:
            break
    return ", ".join(taken)
