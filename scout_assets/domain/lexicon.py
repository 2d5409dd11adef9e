"""Finding listed terms in running text: folding, words, and phrase matching.

Belongs here: loading the word lists in `vocabulary` (once, lazily) and the matching itself.
Does not belong here: any word, or what a found word means.

Text is folded (lower case, no diacritics) without changing its length, so that a position in
the folded text is the same position in the printed text.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import Any, NamedTuple

# Words and the marks that no phrase may cross; a hyphen inside a word joins like a blank.
# Chinese and Japanese print no blanks: a run of katakana is one word, any other sign a word.
_KATAKANA, _SIGNS = r"\u30a1-\u30fa\u30fc-\u30ff", r"\u3041-\u309f\u3400-\u9fff"
_WORD = re.compile(
    rf"[{_KATAKANA}]+|[{_SIGNS}]|[^\W_{_KATAKANA}{_SIGNS}]+|\+|[.!?](?=\s|$)"
    r"|[,;:/&()|\n\t•·、。・\uff0c\uff1a\uff08\uff09\uff0f]|(?<=\s)[-\u2013\u2014](?=\s)"
)
BOUNDARIES = frozenset(".!?,;:/&()|\n\t•·-\u2013\u2014、。・\uff0c\uff1a\uff08\uff09\uff0f")


_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
# Letters that Unicode does not decompose, and the apostrophes of typographers.
_PLAIN = {
    "\u2019": "'",
    "\u2018": "'",
    "\u0131": "i",
    "ø": "o",
    "ł": "l",
    "ß": "s",
    "æ": "a",
    "đ": "d",
}


@cache
def _plain(character: str) -> str:
    if "\uff01" <= character <= "\uff5e":  # full-width forms of ASCII
        return chr(ord(character) - 0xFEE0).lower()
    if "\uac00" <= character <= "\ud7a3":  # a Hangul syllable is no letter with a diacritic
        return character
    lowered = character.lower()[:1]
    return _PLAIN.get(lowered) or unicodedata.normalize("NFD", lowered)[:1] or character


def fold(text: str) -> str:
    """Lower case without diacritics, character for character."""
    if text.isascii():
        return text.lower()
    return _NOT_ASCII.sub(lambda match: _plain(match.group()), text).lower()


class Words(NamedTuple):
    """A text cut into folded words and marks; `spans` are their places in `text`."""

    text: str
    folded: str
    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]

    def printed(self, start: int, end: int) -> str:
        """The printed text of words start to end (exclusive)."""
        return self.text[self.spans[start][0] : self.spans[end - 1][1]]


def words_of(text: str) -> Words:
    """Cut a text into words."""
    folded = fold(text)
    matches = list(_WORD.finditer(folded))
    return Words(
        text, folded, tuple([m.group() for m in matches]), tuple([m.span() for m in matches])
    )


short_words_of = lru_cache(maxsize=8192)(words_of)  # for titles, tags and option values


def negated(words: tuple[str, ...], at: int, reach: int = 5) -> bool:
    """Whether one of the words before `at`, in the same clause, negates or compares."""
    negations = word_set("grammar", "negations")
    for word in reversed(words[max(0, at - reach) : at]):
        if word in BOUNDARIES:
            return False
        if word in negations:
            return True
    return False


class Hit(NamedTuple):
    """A phrase found at words start to end (exclusive), and what it stands for."""

    start: int
    end: int
    value: str


class Phrases:
    """A set of phrases, each standing for a value; finds the longest at each word."""

    def __init__(self, terms: Iterable[tuple[str, str]]) -> None:
        index: dict[str, dict[tuple[str, ...], str]] = {}
        for term, value in terms:
            for words in _spellings(term):
                index.setdefault(words[0], {}).setdefault(words, value)
        self._index = {
            first: sorted(options.items(), key=lambda item: -len(item[0]))
            for first, options in index.items()
        }

    def hits(self, words: Sequence[str]) -> Iterator[Hit]:
        """Hits from left to right; they do not overlap."""
        index, at, end = self._index, 0, len(words)
        if index.keys().isdisjoint(words):
            return
        while at < end:
            for phrase, value in index.get(words[at], ()):
                if words[at : at + len(phrase)] == phrase:
                    yield Hit(at, at + len(phrase), value)
                    at += len(phrase) - 1
                    break
            at += 1

    def first(self, words: Sequence[str]) -> Hit | None:
        """The leftmost hit."""
        return next(self.hits(words), None)

    def starts(self, words: tuple[str, ...]) -> bool:
        """Whether a phrase opens a text."""
        options = self._index.get(words[0], ()) if words else ()
        return any(words[: len(phrase)] == phrase for phrase, _ in options)

    def whole(self, words: tuple[str, ...]) -> str | None:
        """The value of a phrase that is all of `words`."""
        for phrase, value in self._index.get(words[0], ()) if words else ():
            if phrase == words:
                return value
        return None


def _spellings(term: str) -> Iterator[tuple[str, ...]]:
    words = words_of(term).words
    yield words
    if len(words) > 1 and all(word.isalpha() and len(word) > 1 for word in words):
        yield ("".join(words),)


@cache
def vocabulary(name: str) -> Mapping[str, Any]:
    """The word list `name`.toml."""
    source = resources.files("scout_assets.domain.vocabulary") / f"{name}.toml"
    return tomllib.loads(source.read_text(encoding="utf-8"))


def _section(name: str, section: str) -> Mapping[str, Any]:
    lists = vocabulary(name)
    for part in section.split("."):
        lists = lists[part] if part else lists
    return lists


@cache
def phrases(name: str, section: str = "") -> Phrases:
    """Phrases of a table of lists: each term stands for the key of its list.

    `section` is a dotted path inside the file; "" is the whole file.
    """
    return Phrases((term, key) for key, terms in _section(name, section).items() for term in terms)


@cache
def terms(name: str, section: str) -> Phrases:
    """Phrases of one list: each term stands for itself."""
    return Phrases((term, term) for term in _section(name, section))


@cache
def word_set(name: str, section: str) -> frozenset[str]:
    """One list as a set of folded words."""
    return frozenset(map(fold, _section(name, section)))
