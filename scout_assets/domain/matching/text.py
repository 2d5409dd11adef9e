"""Product text to tokens: folding, units in one form, model codes glued and split.

Belongs here: what a token is and how text is cut into tokens, one row or a million at once.
Does not belong here: how much a token weighs (`records`) or what agreement means (`scoring`).

Classes of token: WORD ("turntable"), NUMBER ("2007", "6.0" is "6"), CODE (letters and digits:
"PS-LX350H" is pslx350h) and MEASURE (a number with its unit: 1.5 l = 1500 ml = 150 cl).
A token may have aliases, which stand for the same place in the text: neighbours GLUEd ("cs 2" is
also cs2), the PARTs of a code with hyphens, and PREFIXes of a code, one to three signs shorter.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scout_assets.domain.matching.compiled import Array, Scalar, compiled, inner
from scout_assets.domain.matching.units import DIMENSIONS, SPELLINGS, TRAIT_GROUPS, TRAITS, UNITS

WORD, NUMBER, CODE, MEASURE = range(4)
CLASSES = ("word", "number", "code", "measure")
BASE, GLUE, PART, PREFIX, SPELLING, BRAND, CATEGORY = range(7)
KINDS = ("base", "glue", "part", "prefix", "spelling", "brand", "category")

MOST_PLACES = 64
"""Tokens of one name that count: their cover is kept in one 64-bit mask."""

RAW = np.dtype(
    [
        ("hash", np.uint64),
        ("value", np.float32),
        ("first", np.uint8),  # the places in the text that the token stands for
        ("last", np.uint8),
        ("flags", np.uint8),  # kind << 3 | class
        ("tag", np.uint8),  # dimension of a measure, group of a trait word (from 1), else 0
    ]
)

Bytes = NDArray[np.uint8]
Rows = NDArray[Any]

_OFFSET, _PRIME = 0xCBF29CE484222325, 0x100000001B3  # FNV-1a, 64 bit (Fowler, Noll, Vo)
_PACK = DIMENSIONS.index("pack")
_GOODS = (DIMENSIONS.index("volume"), DIMENSIONS.index("mass"))
_LETTERS, _DIGITS = 1, 2
_NOTHING, _HYPHEN, _BLANK, _SLASH, _BREAK = range(5)  # what stands before a run


class Lexicon(NamedTuple):
    """The word lists as sorted hashes, for binary search in machine code."""

    unit: NDArray[np.uint64]
    dimension: NDArray[np.uint8]
    factor: NDArray[np.float64]
    loose: NDArray[np.bool_]
    spelling: NDArray[np.uint64]
    standard: NDArray[np.uint64]
    trait: NDArray[np.uint64]
    group: NDArray[np.uint8]
    of_pack: NDArray[np.uint64]
    """"of", then the words before it that make a pack: "case of 12"."""


def hash_of(word: str) -> int:
    """FNV-1a of the UTF-8 bytes."""
    found = _OFFSET
    for byte in word.encode():
        found = (found ^ byte) * _PRIME % (1 << 64)
    return found


def _hashes(words: Iterable[str]) -> NDArray[np.uint64]:
    return np.array([hash_of(word) for word in words], np.uint64)


@cache
def lexicon() -> Lexicon:
    """The lists of `units`, hashed once."""
    units = sorted(UNITS.items(), key=lambda item: hash_of(item[0]))
    spellings = sorted(SPELLINGS.items(), key=lambda item: hash_of(item[0]))
    traits = sorted(TRAITS.items(), key=lambda item: hash_of(item[0]))
    return Lexicon(
        unit=_hashes(word for word, _ in units),
        dimension=np.array([DIMENSIONS.index(u.dimension) for _, u in units], np.uint8),
        factor=np.array([unit.factor for _, unit in units]),
        loose=np.array([unit.loose for _, unit in units]),
        spelling=_hashes(word for word, _ in spellings),
        standard=_hashes(standard for _, standard in spellings),
        trait=_hashes(word for word, _ in traits),
        group=np.array([TRAIT_GROUPS.index(group) + 1 for _, group in traits], np.uint8),
        of_pack=_hashes(("of", "pack", "case", "box", "set", "carton", "lot", "bundle")),
    )


_LIGATURES = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th",
    "\u0131": "i",
    "\u2018": "'", "\u2019": "'", "`": "'", "\u2032": "'", "\u201c": '"', "\u201d": '"',
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": " - ", "\u00d7": " x ",
    "&": " and ", "''": '"',
}  # fmt: skip


def folded(texts: pl.Expr) -> pl.Expr:
    """Lower case without diacritics (Unicode NFKD), typographers' signs made plain.

    An inch sign after a number becomes " in "; null stays null.
    """
    plain = (
        texts.str.to_lowercase()
        .str.normalize("NFKD")
        .str.replace_all(r"\p{M}", "")
        .str.replace_many(_LIGATURES)
    )
    return plain.str.replace_all(r"""(\d)\s?["']([^a-z]|$)""", "${1} in ${2}")


@inner
def _scan(text: Array, start: Scalar, stop: Scalar, runs: Array) -> Scalar:
    """Cut into runs of letters or digits: begin, end, kind, what stands before."""
    count, at, gap = 0, start, 4
    while at < stop and count < runs.shape[0]:
        byte = text[at]
        begin = at
        if 48 <= byte <= 57:
            at = _number_end(text, at, stop)
            kind = 2
        elif 97 <= byte <= 122 or byte >= 128:
            while at < stop and (97 <= text[at] <= 122 or text[at] >= 128):
                at += 1
            kind = 1
        else:
            genitive = byte == 39 and at + 1 < stop and text[at + 1] == 115
            if genitive and count and runs[count - 1, 1] == at and _ends(text, at + 2, stop):
                at += 1
                gap = 2
            gap = _widen(gap, byte)
            at += 1
            continue
        runs[count, 0], runs[count, 1], runs[count, 2], runs[count, 3] = begin, at, kind, gap
        count += 1
        gap = 0
    return count


@inner
def _widen(gap: Scalar, byte: Scalar) -> Scalar:
    """The widest of the signs that stand between two runs."""
    if byte == 45 or byte == 95 or byte == 46:  # - _ .
        return 1 if gap == 0 else max(gap, 2)
    if byte == 32 or byte == 9:
        return max(gap, 2)
    if byte == 47:  # /
        return 3 if gap == 0 else 4
    return 4


@inner
def _ends(text: Array, at: Scalar, stop: Scalar) -> Scalar:
    return at >= stop or not (97 <= text[at] <= 122 or 48 <= text[at] <= 57 or text[at] >= 128)


@inner
def _number_end(text: Array, at: Scalar, stop: Scalar) -> Scalar:
    """Past digits, groups of thousands after a comma, and one decimal part."""
    while at < stop and 48 <= text[at] <= 57:
        at += 1
    while at + 3 < stop and text[at] == 44 and _digits(text, at + 1, stop) == at + 4:
        at += 4
    if at + 1 < stop and text[at] == 46:
        end = _digits(text, at + 1, stop)
        if end > at + 1 and not (end < stop and text[end] == 46):
            at = end
    return at


@inner
def _digits(text: Array, at: Scalar, stop: Scalar) -> Scalar:
    while at < stop and 48 <= text[at] <= 57:
        at += 1
    return at


@inner
def _hash(text: Array, begin: Scalar, end: Scalar) -> Scalar:
    """FNV-1a of the letters and digits, whatever stands between them."""
    found = np.uint64(0xCBF29CE484222325)
    for at in range(begin, end):
        byte = text[at]
        if 48 <= byte <= 57 or 97 <= byte <= 122 or byte >= 128:
            found = (found ^ np.uint64(byte)) * np.uint64(0x100000001B3)
    return found


@inner
def _length(text: Array, begin: Scalar, end: Scalar) -> Scalar:
    count = 0
    for at in range(begin, end):
        byte = text[at]
        count += 48 <= byte <= 57 or 97 <= byte <= 122 or byte >= 128
    return count


@inner
def _value(text: Array, begin: Scalar, end: Scalar) -> Scalar:
    """The number as printed: commas group, a point is the decimal mark."""
    whole, scale = 0.0, 0.0
    for at in range(begin, end):
        if text[at] == 46:
            scale = 1.0
        elif text[at] != 44:
            whole = whole * 10.0 + (text[at] - 48)
            scale *= 10.0
    return whole / scale if scale > 0.0 else whole


@inner
def _number_hash(text: Array, begin: Scalar, end: Scalar) -> Scalar:
    """As the glued digits, but 6.0 is 6, and 2.4 is not 24."""
    point = begin
    while point < end and text[point] != 46:
        point += 1
    last = end
    while last > point + 1 and text[last - 1] == 48:
        last -= 1
    found = _hash(text, begin, point)
    if last > point + 1:
        found = (found ^ np.uint64(46)) * np.uint64(0x100000001B3)
        for at in range(point + 1, last):
            found = (found ^ np.uint64(text[at])) * np.uint64(0x100000001B3)
    return found


@inner
def _measure_hash(dimension: Scalar, value: Scalar) -> Scalar:
    """Equal for values that differ by less than rounding of units does (three digits)."""
    rounded = np.int64(0)
    if value > 0.0:
        step = 10.0 ** (np.floor(np.log10(value)) - 2.0)
        rounded = np.int64(np.round(np.round(value / step) * step * 1000.0))
    found = (np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(dimension)) * np.uint64(0x100000001B3)
    return (found ^ np.uint64(rounded)) * np.uint64(0x9E3779B97F4A7C15)


@inner
def _place(keys: Array, key: Scalar) -> Scalar:
    at = np.searchsorted(keys, key)
    return at if at < keys.size and keys[at] == key else -1


@inner
def _unit(text: Array, runs: Array, count: Scalar, at: Scalar, words: Lexicon) -> Scalar:
    """The unit in run `at`, after a number; -1 where there is none."""
    if at >= count or runs[at, 2] != 1 or runs[at, 3] > 2:
        return -1
    begin, end = runs[at, 0], runs[at, 1]
    if at + 1 < count and runs[at + 1, 3] == 0 and not (end - begin > 1 and text[end - 1] == 120):
        return -1  # "5v2" is a code, but "250gx4" is four of a weight
    if end - begin > 3 and text[end - 1] == 115:
        end -= 1
    found = _place(words.unit, _hash(text, begin, end))
    if found < 0 and runs[at, 1] - end == 0 and end - begin > 2 and text[end - 1] == 115:
        found = _place(words.unit, _hash(text, begin, end - 1))
    if found >= 0 and runs[at, 3] == 2 and not words.loose[found]:
        return -1
    return found


@inner
def _emit(
    out: Array,
    at: Scalar,
    found: Scalar,
    kind: Scalar,
    sort: Scalar,
    first: Scalar,
    last: Scalar,
    tag: Scalar,
    value: Scalar,
) -> Scalar:
    row = out[at]
    row["hash"], row["value"] = found, value
    row["first"], row["last"], row["tag"] = first, last, tag
    row["flags"] = kind << 3 | sort
    return at + 1


@inner
def _is_x(text: Array, runs: Array, count: Scalar, at: Scalar) -> Scalar:
    return at < count and runs[at, 1] - runs[at, 0] == 1 and text[runs[at, 0]] == 120


@inner
def _times(text: Array, runs: Array, count: Scalar, at: Scalar, words: Lexicon) -> Scalar:
    """Runs to the amount that number `at` multiplies: "4 x 250 g", "12/750 ml"; else 0."""
    if at + 2 < count and runs[at + 1, 2] == 2 and runs[at + 1, 3] == 3:
        step = 1
    elif at + 3 < count and _is_x(text, runs, count, at + 1) and runs[at + 2, 2] == 2:
        step = 2
    else:
        return 0
    unit = _unit(text, runs, count, at + step + 1, words)
    return step if unit >= 0 and words.dimension[unit] < 2 else 0


@inner
def _measure(
    text: Array,
    runs: Array,
    count: Scalar,
    at: Scalar,
    place: Scalar,
    words: Lexicon,
    out: Array,
    size: Scalar,
) -> tuple[Scalar, Scalar]:
    """Emit a measure that begins at number `at`; returns (runs used, new size)."""
    value = _value(text, runs[at, 0], runs[at, 1])
    step = _times(text, runs, count, at, words)
    if step:
        return step, _emit(out, size, _measure_hash(3, value), 0, 3, place, place, 3, value)
    unit = _unit(text, runs, count, at + 1, words)
    if unit < 0:
        return 0, size
    dimension = words.dimension[unit]
    if dimension == 1 and at + 2 < count and runs[at + 1, 1] - runs[at + 1, 0] == 2:
        pass
    value *= words.factor[unit]
    if value <= 0.0:
        return 0, size
    found = _measure_hash(dimension, value)
    return 2, _emit(out, size, found, 0, 3, place, place, dimension, value)


@inner
def _word(
    text: Array, begin: Scalar, end: Scalar, place: Scalar, words: Lexicon, out: Array, size: Scalar
) -> Scalar:
    """Emit a word: singular, in its standard spelling, with its trait."""
    if end - begin > 3 and text[end - 1] == 115 and text[end - 2] != 115 and text[end - 2] != 117:
        end -= 1
    found = _hash(text, begin, end)
    other = _place(words.spelling, found)
    if other >= 0:
        found = words.standard[other]
    trait = _place(words.trait, found)
    tag = words.group[trait] if trait >= 0 else 0
    return _emit(out, size, found, 0, 0, place, place, tag, 0.0)


@inner
def _code(
    text: Array, begin: Scalar, end: Scalar, place: Scalar, out: Array, size: Scalar
) -> Scalar:
    """Emit a code and its prefixes of at least five signs that hold a digit."""
    size = _emit(out, size, _hash(text, begin, end), 0, 2, place, place, 0, 0.0)
    length, digits = _length(text, begin, end), False
    for at in range(begin, end):
        byte = text[at]
        if not (48 <= byte <= 57 or 97 <= byte <= 122 or byte >= 128):
            continue
        digits = digits or byte <= 57
        so_far = _length(text, begin, at + 1)
        if digits and so_far >= 5 and length - 3 <= so_far < length:
            size = _emit(out, size, _hash(text, begin, at + 1), 3, 2, place, place, 0, 0.0)
    return size


@inner
def _shape(runs: Array, at: Scalar, end: Scalar) -> Scalar:
    """How the chunk of runs reads: 0 one by one, 2 as one code."""
    letters = longest = digits = pieces = 0
    for run in range(at, end):
        width = runs[run, 1] - runs[run, 0]
        pieces += run == at or runs[run, 3] != 0
        if runs[run, 2] == 1:
            letters += 1
            longest = max(longest, width)
        else:
            digits += width
    if not letters:
        return 2 if pieces >= 3 or (pieces == 2 and digits >= 6) else 0
    if not digits or end - at == 1:
        return 0
    split = end - at == 2 and runs[at, 2] == 1 and longest >= 5  # "office2007"
    return 0 if split or (pieces > 1 and longest >= 5) else 2


@inner
def _chunk_end(runs: Array, count: Scalar, at: Scalar) -> Scalar:
    end = at + 1
    while end < count and runs[end, 3] <= 1:
        end += 1
    return end


@inner
def _pieces(
    text: Array, runs: Array, at: Scalar, end: Scalar, place: Scalar, out: Array, size: Scalar
) -> Scalar:
    """Emit the parts of a code between hyphens that are codes or long numbers themselves."""
    first = at
    for run in range(at, end):
        if run + 1 == end or runs[run + 1, 3] != 0:
            begin, stop = runs[first, 0], runs[run, 1]
            whole = first == at and run + 1 == end
            if not whole and stop - begin >= 3 and runs[run, 2] + (run - first) >= 2:
                size = _emit(out, size, _hash(text, begin, stop), 2, 2, place, place, 0, 0.0)
            first = run + 1
    return size


@inner
def _plain(
    text: Array, runs: Array, at: Scalar, place: Scalar, words: Lexicon, out: Array, size: Scalar
) -> Scalar:
    """Emit one run as a word or a number."""
    begin, end = runs[at, 0], runs[at, 1]
    if runs[at, 2] == 1:
        return _word(text, begin, end, place, words, out, size)
    found, value = _number_hash(text, begin, end), _value(text, begin, end)
    sort = 2 if end - begin >= 5 and value >= 10000.0 else 1  # an article number
    return _emit(out, size, found, 0, sort, place, place, 0, value)


@inner
def _glue(text: Array, spans: Array, place: Scalar, out: Array, size: Scalar) -> Scalar:
    """Emit aliases for the token at `place` with its one or two neighbours to the left."""
    for back in range(1, 3):
        if place < back or spans[place - back + 1, 2] > 3:
            break
        begin, end = spans[place - back, 0], spans[place, 1]
        digits = marks = 0
        for at in range(place - back, place + 1):
            digits += spans[at, 3]
            marks += at > place - back and spans[at, 2] != 2
            if spans[at, 1] - spans[at, 0] > 12 or spans[at, 3] == 9:
                return size
        hyphened = back == 1 and spans[place, 2] <= 1
        letters = digits < 2 * (back + 1)
        if (digits and letters and (back == 1 or marks)) or hyphened:
            found = _hash(text, begin, end)
            size = _emit(out, size, found, 1, 2 if digits else 0, place - back, place, 0, 0.0)
    return size


@inner
def _pack_of(text: Array, runs: Array, at: Scalar, words: Lexicon) -> Scalar:
    """Whether "pack of" or the like stands right before run `at`."""
    if (
        at < 2
        or runs[at - 1, 2] != 1
        or _hash(text, runs[at - 1, 0], runs[at - 1, 1]) != (words.of_pack[0])
    ):
        return False
    before = _hash(text, runs[at - 2, 0], runs[at - 2, 1])
    return np.any(words.of_pack[1:] == before)


@inner
def _token(
    text: Array,
    runs: Array,
    count: Scalar,
    at: Scalar,
    place: Scalar,
    words: Lexicon,
    out: Array,
    size: Scalar,
) -> tuple[Scalar, Scalar]:
    """Emit the token that begins at run `at`; returns (runs used, new size)."""
    if runs[at, 2] == 2:
        if _pack_of(text, runs, at, words) and _unit(text, runs, count, at + 1, words) < 0:
            value = _value(text, runs[at, 0], runs[at, 1])
            return 1, _emit(out, size, _measure_hash(3, value), 0, 3, place, place, 3, value)
        used, size = _measure(text, runs, count, at, place, words, out, size)
        if used:
            return used, size
    elif _is_x(text, runs, count, at) and at + 1 < count and runs[at + 1, 2] == 2 and size:
        last = out[size - 1]
        if last["flags"] == 3 and last["tag"] < 2 and _alone(runs, count, at + 1):  # 250 g x 4
            value = _value(text, runs[at + 1, 0], runs[at + 1, 1])
            return 2, _emit(out, size, _measure_hash(3, value), 0, 3, place, place, 3, value)
    end = _chunk_end(runs, count, at)
    begin = runs[at, 0]
    if end - at == 2 and runs[at, 1] - begin == 1 and text[begin] == 118 and runs[at + 1, 2] == 2:
        return 2, _plain(text, runs, at + 1, place, words, out, size)  # "v8.0"
    if _shape(runs, at, end) == 2:
        size = _code(text, begin, runs[end - 1, 1], place, out, size)
        return end - at, _pieces(text, runs, at, end, place, out, size)
    return 1, _plain(text, runs, at, place, words, out, size)


@inner
def _alone(runs: Array, count: Scalar, at: Scalar) -> Scalar:
    return at + 1 >= count or runs[at + 1, 3] >= 2


@inner
def _tokenise_one(
    text: Array,
    start: Scalar,
    stop: Scalar,
    words: Lexicon,
    runs: Array,
    spans: Array,
    out: Array,
    size: Scalar,
) -> Scalar:
    """Emit the tokens of one text; returns the new size of `out`."""
    count, at, place = _scan(text, start, stop, runs), np.int64(0), np.int64(0)
    while at < count and place < spans.shape[0]:
        before = size
        used, size = _token(text, runs, count, at, place, words, out, size)
        sort = out[before]["flags"] & 7
        last = min(at + used, count) - 1
        spans[place, 0], spans[place, 1], spans[place, 2] = runs[at, 0], runs[last, 1], runs[at, 3]
        spans[place, 3] = 9 if sort == 3 else (0, 2, 1)[sort]
        if place:
            size = _glue(text, spans, place, out, size)
        place += 1
        at += used
    return size


@compiled
def tokenise_rows(
    text: Array,
    offsets: Array,
    first: Scalar,
    end: Scalar,
    places: Scalar,
    words: Lexicon,
    out: Array,
    ends: Array,
) -> Scalar:
    """Tokens of texts first to end into `out` (RAW); `ends[i]` is where the i-th text's end."""
    runs = np.empty((4 * places, 4), np.int64)
    spans = np.empty((places, 4), np.int64)
    size = np.int64(0)
    for row in range(first, end):
        if out.size - size < 9 * places:
            return row
        start, stop = offsets[row], offsets[row + 1]
        size = _tokenise_one(text, start, stop, words, runs, spans, out, size)
        ends[row - first] = size
    return end


class Token(NamedTuple):
    """One token of a text, for people: `printed` is None, only its hash is kept."""

    hash: int
    kind: str
    sort: str
    first: int
    last: int
    tag: int
    value: float


def tokens(text: str) -> list[Token]:
    """The tokens of one text, folded here; in order of place, aliases after what they stand for."""
    frame = pl.DataFrame({"text": [text]}).select(folded(pl.col("text")))
    data = np.frombuffer(frame["text"][0].encode() or b"\0", np.uint8)
    out, ends = np.empty(9 * MOST_PLACES, RAW), np.zeros(1, np.int64)
    offsets = np.array([0, len(frame["text"][0].encode())], np.int64)
    tokenise_rows(data, offsets, 0, 1, MOST_PLACES, lexicon(), out, ends)
    return [
        Token(
            int(row["hash"]),
            KINDS[row["flags"] >> 3],
            CLASSES[row["flags"] & 7],
            int(row["first"]),
            int(row["last"]),
            int(row["tag"]),
            float(row["value"]),
        )
        for row in out[: ends[0]]
    ]
