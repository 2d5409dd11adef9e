"""Rows to match, and what machine code reads of them.

Belongs here: the input's columns and checks, the canonical order, tokens with their weights,
3-grams, facts (size, pack, vintage ...) and prices as arrays. Does not belong here: how text is
cut (`text`) or how two rows compare (`scoring`).

Both sides are put in order of id first, so that the order of the input changes nothing.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.matching.compiled import Array, Scalar, compiled, in_threads, inner
from scout_assets.domain.matching.text import (
    BASE,
    BRAND,
    CATEGORY,
    CODE,
    MOST_PLACES,
    NUMBER,
    RAW,
    folded,
    lexicon,
    tokenise_rows,
)
from scout_assets.domain.matching.units import DIMENSIONS

REQUIRED = ("id", "name")
TEXT_COLUMNS = (
    "sku", "gtin", "mpn", "brand", "category", "description", "currency", "size", "vintage",
    "supplier",
)  # fmt: skip
NUMBER_COLUMNS = ("price", "pack_count")

FACTS = ("volume", "mass", "pack", "voltage", "storage", "power", "vintage")
"""What tells apart products of one name; base units as in `units`, vintage a year, 0 for NV."""
_VINTAGE = FACTS.index("vintage")
_DIMENSION_FACT = np.array(
    [FACTS.index(name) if name in FACTS else -1 for name in DIMENSIONS], np.int8
)
YEARS = (1900, 2039)

DESCRIPTION_PLACES = 160
_CHUNK = 20_000
_GRAMS = 39  # letters, digits, blank, other signs, start

ENTRY = np.dtype(
    [
        ("id", np.int32),
        ("weight", np.float32),
        ("value", np.float32),
        ("first", np.uint8),
        ("last", np.uint8),
        ("flags", np.uint8),
        ("tag", np.uint8),
    ]
)

Frame: TypeAlias = pl.DataFrame | pa.Table


class Side(NamedTuple):
    """One side in order of id; rows are slices of the flat arrays between two offsets."""

    entries: NDArray[Any]
    offsets: NDArray[np.int64]
    words: NDArray[np.int32]
    """Ids of the tokens of descriptions, in order, each once."""
    word_offsets: NDArray[np.int64]
    grams: NDArray[np.uint16]
    gram_offsets: NDArray[np.int64]
    gram_norm: NDArray[np.float32]
    facts: NDArray[np.float32]
    price: NDArray[np.float64]
    currency: NDArray[np.int32]


class Corpus(NamedTuple):
    """Both sides and the weights that are measured over both."""

    items: Side
    catalogue: Side
    item_rows: NDArray[np.int32]
    """In how many items each token id occurs; by id."""
    product_rows: NDArray[np.int32]
    word_weight: NDArray[np.float32]
    gram_weight: NDArray[np.float32]


def ordered(table: Frame, role: str) -> pl.DataFrame:
    """The known columns of `table` with their types, in order of id.

    Missing optional columns are null, unknown ones are dropped. Raises BadConfig, naming `role`
    and column, where id or name is missing, an id is null or stands twice.
    """
    frame = pl.DataFrame(table) if isinstance(table, pl.DataFrame) else _from_arrow(table)
    for column in REQUIRED:
        if column not in frame.columns:
            raise BadConfig(f"{role} have no column {column!r}: it needs {', '.join(REQUIRED)}")
    known = [_column(frame, name, pl.String) for name in (*REQUIRED, *TEXT_COLUMNS)]
    numbers = [_column(frame, name, pl.Float64) for name in NUMBER_COLUMNS]
    found = frame.select(*known, *numbers).sort("id")
    if found["id"].null_count():
        raise BadConfig(f"{found['id'].null_count()} of the {role} have no id: give each one")
    twice = found.filter(pl.col("id").is_duplicated())["id"]
    if len(twice):
        raise BadConfig(f"{role}: id {twice[0]!r} stands more than once; ids must be unique")
    return found


def _from_arrow(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise BadConfig(f"a table of rows is needed, not {type(table).__name__}")
    return frame


def _column(frame: pl.DataFrame, name: str, kind: type[pl.DataType]) -> pl.Expr:
    if name not in frame.columns:
        return pl.lit(None, kind).alias(name)
    column = pl.col(name)
    if kind is pl.Float64:
        return column.cast(kind, strict=False).alias(name)
    if frame.schema[name].is_float():  # 2019.0 is the text "2019"
        whole = column.cast(pl.Int64, strict=False)
        column = (
            pl.when(whole == column).then(whole.cast(pl.String)).otherwise(column.cast(pl.String))
        )
    text = column.cast(pl.String)
    return text if name == "id" else text.str.strip_chars().replace("", None).alias(name)


class Cut(NamedTuple):
    """Raw tokens of one column of texts."""

    raw: NDArray[Any]
    offsets: NDArray[np.int64]


def _bytes(texts: pl.Series) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """UTF-8 of all texts, one after another; null is empty."""
    arrow = texts.fill_null("").rechunk().to_arrow().cast(pa.large_string())
    _, ends, data = arrow.buffers()
    if not len(arrow):
        return np.frombuffer(b"\0", np.uint8), np.zeros(1, np.int64)
    offsets = np.frombuffer(ends, np.int64, len(arrow) + 1, arrow.offset * 8)
    return np.frombuffer(data or b"\0", np.uint8), offsets.copy()


def cut(texts: pl.Series, places: int, threads: int) -> Cut:
    """The tokens of folded texts."""
    data, offsets = _bytes(texts)

    def part(first: int, end: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
        found, sizes = [], []
        while first < end:
            width = int(offsets[end] - offsets[first]) * 3 // 2
            out, ends = np.empty(width + 9 * places, RAW), np.zeros(end - first, np.int64)
            done = tokenise_rows(data, offsets, first, end, places, lexicon(), out, ends)
            ends = ends[: done - first]
            found.append(out[: ends[-1]].copy())
            sizes.append(np.diff(ends, prepend=0))
            first = done
        return np.concatenate(found), np.concatenate(sizes)

    parts = in_threads(part, len(texts), _CHUNK, threads)
    if not parts:
        return Cut(np.zeros(0, RAW), np.zeros(1, np.int64))
    sizes = np.concatenate([size for _, size in parts])
    return Cut(np.concatenate([raw for raw, _ in parts]), np.concatenate(([0], np.cumsum(sizes))))


class Vocabulary:
    """Token hashes to dense ids, in order of first appearance. Grows as it is fed."""

    def __init__(self) -> None:
        self._keys = np.zeros(1 << 16, np.uint64)
        self._ids = np.full(1 << 16, -1, np.int32)
        self.size = 0

    def ids(self, hashes: NDArray[np.uint64]) -> NDArray[np.int32]:
        """The id of each hash."""
        out, done = np.empty(hashes.size, np.int32), 0
        while True:
            done, self.size = _intern(hashes, done, self._keys, self._ids, self.size, out)
            if done == hashes.size:
                return out
            keys, ids = np.zeros(self._keys.size * 2, np.uint64), np.full(self._ids.size * 2, -1)
            self._ids, old = ids.astype(np.int32), self._ids
            _rehash(self._keys, old, keys, self._ids)
            self._keys = keys


@compiled
def _intern(
    hashes: Array, at: Scalar, keys: Array, ids: Array, size: Scalar, out: Array
) -> tuple[Scalar, Scalar]:
    mask = np.uint64(keys.size - 1)
    while at < hashes.size:
        if size * 5 > keys.size * 3:
            break
        key = hashes[at]
        slot = (key ^ (key >> np.uint64(29))) & mask
        while ids[slot] >= 0 and keys[slot] != key:
            slot = (slot + np.uint64(1)) & mask
        if ids[slot] < 0:
            keys[slot], ids[slot] = key, size
            size += 1
        out[at] = ids[slot]
        at += 1
    return at, size


@compiled
def _rehash(old_keys: Array, old_ids: Array, keys: Array, ids: Array) -> None:
    mask = np.uint64(keys.size - 1)
    for at in range(old_keys.size):
        if old_ids[at] >= 0:
            key = old_keys[at]
            slot = (key ^ (key >> np.uint64(29))) & mask
            while ids[slot] >= 0:
                slot = (slot + np.uint64(1)) & mask
            keys[slot], ids[slot] = key, old_ids[at]


class _Rows(NamedTuple):
    """One side before weights are known."""

    entries: NDArray[Any]
    offsets: NDArray[np.int64]
    words: NDArray[np.int32]
    word_offsets: NDArray[np.int64]
    names: pl.Series


def _rows(frame: pl.DataFrame, vocabulary: Vocabulary, threads: int) -> _Rows:
    """Tokens of name, brand, category and MPN of each row, in order of id."""
    texts = frame.select(
        folded(pl.col("name")), folded(pl.col("brand")), folded(pl.col("category")),
        folded(pl.col("description")),
        folded(pl.col("mpn")).str.replace_all(r"[\W_]", ""),
    )  # fmt: skip
    name = cut(texts["name"], MOST_PLACES, threads)
    brand = _cut_or_none(texts["brand"], threads)
    category = _cut_or_none(texts["category"], threads)
    mpn = _cut_or_none(texts["mpn"], threads)
    total = name.raw.size + brand.raw.size + category.raw.size + mpn.raw.size
    entries, offsets = np.empty(total, ENTRY), np.zeros(len(frame) + 1, np.int64)
    cuts = (name, brand, category, mpn)
    ids = tuple(vocabulary.ids(_column_of(one.raw, "hash")) for one in cuts)
    _assemble(ids, cuts, entries, offsets)
    described = _cut_or_none(texts["description"], threads, DESCRIPTION_PLACES)
    words = vocabulary.ids(_column_of(described.raw, "hash"))
    words, word_offsets = _distinct(words, described.offsets)
    return _Rows(entries[: offsets[-1]], offsets, words, word_offsets, texts["name"])


def _column_of(rows: Array, name: str) -> Array:
    """One field of a structured array, on its own in memory."""
    return np.ascontiguousarray(rows[name])


def _cut_or_none(texts: pl.Series, threads: int, places: int = MOST_PLACES) -> Cut:
    if texts.null_count() == len(texts):
        return Cut(np.zeros(0, RAW), np.zeros(len(texts) + 1, np.int64))
    return cut(texts, places, threads)


@compiled
def _assemble(
    ids: tuple[Array, ...], cuts: tuple[Cut, ...], entries: Array, offsets: Array
) -> None:
    """Entries of each row out of its cuts (name, brand, category, MPN), in order of id."""
    size, held = np.int64(0), np.empty_like(entries[:1])
    name, brand, category, mpn = cuts
    for row in range(offsets.size - 1):
        start = size
        for at in range(name.offsets[row], name.offsets[row + 1]):
            size = _entry(name.raw[at], ids[0][at], 255, entries, size)
        for at in range(brand.offsets[row], brand.offsets[row + 1]):
            if brand.raw[at]["flags"] >> 3 <= 1:
                size = _entry(brand.raw[at], ids[1][at], 5, entries, size)
        for at in range(category.offsets[row], category.offsets[row + 1]):
            if category.raw[at]["flags"] >> 3 == 0:
                size = _entry(category.raw[at], ids[2][at], 6, entries, size)
        for at in range(mpn.offsets[row], mpn.offsets[row + 1]):
            if mpn.raw[at]["flags"] == 2:  # a code that stands in the text, no alias of it
                size = _entry(mpn.raw[at], ids[3][at], 2, entries, size)
        _sort(entries, start, size, held)
        offsets[row + 1] = size


@inner
def _entry(raw: Array, found: Scalar, kind: Scalar, entries: Array, size: Scalar) -> Scalar:
    entry = entries[size]
    entry["id"], entry["value"], entry["tag"] = found, raw["value"], raw["tag"]
    entry["first"], entry["last"], entry["flags"] = raw["first"], raw["last"], raw["flags"]
    if kind != 255:
        entry["first"] = entry["last"] = 255
        entry["flags"] = kind << 3 | (raw["flags"] & 7)
    return size + 1


@inner
def _sort(entries: Array, start: Scalar, end: Scalar, held: Array) -> None:
    """Insertion sort by id, stable: rows are short."""
    for at in range(start + 1, end):
        place = at
        held[0] = entries[at]
        while place > start and entries[place - 1]["id"] > held[0]["id"]:
            entries[place] = entries[place - 1]
            place -= 1
        entries[place] = held[0]


@compiled
def _distinct_rows(ids: Array, offsets: Array, out: Array, ends: Array) -> None:
    size = 0
    for row in range(offsets.size - 1):
        last = -1
        for found in np.sort(ids[offsets[row] : offsets[row + 1]]):
            if found != last:
                out[size] = last = found
                size += 1
        ends[row + 1] = size


def _distinct(
    ids: NDArray[np.int32], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    out, ends = np.empty(ids.size, np.int32), np.zeros(offsets.size, np.int64)
    if ids.size:
        _distinct_rows(ids, offsets, out, ends)
    return out[: ends[-1]].copy(), ends


@compiled
def _count_rows(ids: Array, offsets: Array, counts: Array) -> None:
    """In how many rows each id occurs; ids are in order within a row."""
    for row in range(offsets.size - 1):
        last = -1
        for at in range(offsets[row], offsets[row + 1]):
            if ids[at] != last:
                last = ids[at]
                counts[last] += 1


def _counts(ids: NDArray[np.int32], offsets: NDArray[np.int64], size: int) -> NDArray[np.int32]:
    counts = np.zeros(size, np.int32)
    _count_rows(ids, offsets, counts)
    return counts


def weights(counts: NDArray[np.int32], rows: int) -> NDArray[np.float32]:
    """Inverse document frequency, 0 to 1: 1 for what stands in one row, 0 for all rows."""
    most = np.log(max(rows, 2) + 1.0)
    found = np.log((rows + 1.0) / np.maximum(counts, 1)) / most
    return np.asarray(np.clip(found, 0.02, 1.0), np.float32)


ONE_SIDED = np.float32(0.45)
"""Weight of a token that the other side never prints: it cannot tell its rows apart."""


@compiled
def _gram_rows(
    data: Array, offsets: Array, first: Scalar, end: Scalar, out: Array, sizes: Array
) -> Scalar:
    """Distinct 3-grams of the names first to end, in order."""
    size = 0
    for row in range(first, end):
        start, a, b = size, 38, 36
        for at in range(offsets[row], offsets[row + 1] + 1):
            c = _sign(data[at]) if at < offsets[row + 1] else 36
            if c == 36 and b == 36:
                continue
            if a < 38 or b < 38:
                out[size] = (a * 39 + b) * 39 + c
                size += 1
            a, b = b, c
        found = np.sort(out[start:size])
        size = start
        for gram in found:
            if size == start or out[size - 1] != gram:
                out[size] = gram
                size += 1
        sizes[row - first] = size - start
    return size


@inner
def _sign(byte: Scalar) -> Scalar:
    if 97 <= byte <= 122:
        return byte - 97
    if 48 <= byte <= 57:
        return byte - 22
    return 37 if byte >= 128 else 36


def _grams(names: pl.Series, threads: int) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    data, offsets = _bytes(names)

    def part(first: int, end: int) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
        out = np.empty(int(offsets[end] - offsets[first]) + end - first, np.uint16)
        sizes = np.zeros(end - first, np.int64)
        return out[: _gram_rows(data, offsets, first, end, out, sizes)].copy(), sizes

    parts = in_threads(part, len(names), _CHUNK, threads)
    if not parts:
        return np.zeros(0, np.uint16), np.zeros(1, np.int64)
    sizes = np.concatenate([size for _, size in parts])
    return np.concatenate([g for g, _ in parts]), np.concatenate(([0], np.cumsum(sizes)))


@compiled
def _read_facts(entries: Array, offsets: Array, dimension_fact: Array, facts: Array) -> None:
    """Facts that a name states once; two values of one dimension state nothing (-2)."""
    for row in range(offsets.size - 1):
        for at in range(offsets[row], offsets[row + 1]):
            entry = entries[at]
            fact, value = -1, entry["value"]
            if entry["flags"] == 3:
                fact = dimension_fact[entry["tag"]]
            elif entry["flags"] == 1 and 1900.0 <= value <= 2039.0 and value == np.floor(value):
                fact = facts.shape[1] - 1
            if fact >= 0:
                before = facts[row, fact]
                if before == -1.0:
                    facts[row, fact] = value
                elif before != value:
                    facts[row, fact] = -2.0


def _facts(frame: pl.DataFrame, rows: _Rows) -> NDArray[np.float32]:
    """Facts of each row, by FACTS; NaN where unknown. Columns go before what the name says."""
    facts = np.full((len(frame), len(FACTS)), -1.0, np.float32)
    _read_facts(rows.entries, rows.offsets, _DIMENSION_FACT, facts)
    facts[facts < 0] = np.nan
    if frame["size"].null_count() < len(frame):
        _fill_sizes(frame["size"], facts)
    pack = frame["pack_count"].to_numpy()
    facts[:, FACTS.index("pack")] = np.where(np.isnan(pack), facts[:, FACTS.index("pack")], pack)
    vintage = _vintages(frame["vintage"])
    facts[:, _VINTAGE] = np.where(np.isnan(vintage), facts[:, _VINTAGE], vintage)
    return facts


def _fill_sizes(sizes: pl.Series, facts: NDArray[np.float32]) -> None:
    """Volume and mass as the size column states them; a bare number is in ml or g."""
    bare = pl.col("size").cast(pl.Float64, strict=False)
    texts = pl.DataFrame({"size": sizes}).select(
        pl.when(bare.is_not_null()).then(pl.col("size") + " ml").otherwise(folded(pl.col("size")))
    )["size"]
    found = cut(texts, MOST_PLACES, 1)
    row = np.repeat(np.arange(len(sizes)), np.diff(found.offsets))
    stated = found.raw["flags"] == 3
    for fact in range(2):
        at = stated & (found.raw["tag"] == fact)
        facts[row[at], fact] = found.raw["value"][at]


def _vintages(texts: pl.Series) -> NDArray[np.float64]:
    """Year, 0 for non-vintage, NaN for what says neither."""
    year = texts.str.extract(r"\b((?:19|20)\d\d)\b").cast(pl.Float64, strict=False)
    plain = texts.str.to_lowercase().str.replace_all(r"[^a-z]", "")
    none = plain.is_in(["nv", "nonvintage", "mv", "multivintage"]) & year.is_null()
    return pl.select(pl.when(none).then(0.0).otherwise(year).alias("v"))["v"].to_numpy()


def _side(
    frame: pl.DataFrame, rows: _Rows, weight: NDArray[np.float32], codes: dict[str, int],
    threads: int,
) -> Side:  # fmt: skip
    rows.entries["weight"] = weight[rows.entries["id"]]
    grams, gram_offsets = _grams(rows.names, threads)
    currency = frame["currency"].str.to_uppercase().fill_null("")
    numbers = currency.replace_strict(codes, default=-1, return_dtype=pl.Int32)
    price = frame["price"].fill_null(0.0).fill_nan(0.0).to_numpy()
    return Side(
        rows.entries, rows.offsets, rows.words, rows.word_offsets, grams, gram_offsets,
        np.zeros(0, np.float32), _facts(frame, rows), np.where(price > 0, price, np.nan),
        numbers.to_numpy().copy(),
    )  # fmt: skip


def corpus(items: pl.DataFrame, catalogue: pl.DataFrame, threads: int) -> Corpus:
    """Both sides, which are in order, as arrays with weights measured over both."""
    vocabulary = Vocabulary()
    sides = [_rows(frame, vocabulary, threads) for frame in (items, catalogue)]
    frames = (items, catalogue)
    counts = [_counts(np.ascontiguousarray(s.entries["id"]), s.offsets, vocabulary.size)
              for s in sides]  # fmt: skip
    total = len(items) + len(catalogue)
    weight = weights(counts[0] + counts[1], total)
    weight[(counts[0] == 0) | (counts[1] == 0)] *= ONE_SIDED
    described = [_counts(s.words, s.word_offsets, vocabulary.size) for s in sides]
    currencies = pl.concat([f["currency"] for f in frames]).str.to_uppercase().fill_null("")
    codes = {code: number for number, code in enumerate(sorted(set(currencies.unique())))}
    made = [_side(f, s, weight, codes, threads) for f, s in zip(frames, sides, strict=True)]
    gram_weight = weights(gram_counts(made[0].grams) + gram_counts(made[1].grams), total)
    normed = [_normed(side, gram_weight) for side in made]
    word_weight = weights(described[0] + described[1], total)
    return Corpus(normed[0], normed[1], counts[0], counts[1], word_weight, gram_weight)


@compiled
def _count_grams(grams: Array, counts: Array) -> None:
    for gram in grams:
        counts[gram] += 1


@compiled
def _gram_norms(grams: Array, offsets: Array, weight: Array, norm: Array) -> None:
    """Length of each row's vector of 3-grams."""
    for row in range(norm.size):
        total = 0.0
        for at in range(offsets[row], offsets[row + 1]):
            total += weight[grams[at]] ** 2
        norm[row] = np.sqrt(total)


def gram_counts(grams: NDArray[np.uint16]) -> NDArray[np.int32]:
    """In how many rows each 3-gram occurs."""
    counts = np.zeros(_GRAMS**3, np.int32)
    _count_grams(grams, counts)
    return counts


def _normed(side: Side, weight: NDArray[np.float32]) -> Side:
    norm = np.empty(side.gram_offsets.size - 1, np.float32)
    _gram_norms(side.grams, side.gram_offsets, weight, norm)
    return side._replace(gram_norm=norm)


__all__ = [
    "BASE",
    "BRAND",
    "CATEGORY",
    "CODE",
    "NUMBER",
    "Corpus",
    "Side",
    "corpus",
    "gram_counts",
    "ordered",
]
