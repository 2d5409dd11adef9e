"""Which products an item is compared with at all.

Belongs here: the inverted index over tokens, pairs of tokens and 3-grams, and the best few
candidates of each item by it. Does not belong here: the score that decides.

Three kinds of key, each looked up rarest first:
- a token that at most `budget` products share;
- two common tokens together, which are rare even where each alone is not;
- a 3-gram, only for items whose tokens found little (typing errors, words run together).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scout_assets.domain.matching.compiled import Array, Scalar, compiled, in_threads, inner
from scout_assets.domain.matching.records import Corpus, Side, gram_counts

_PAIR_TOKENS = 8
"""Of each row's common tokens, the rarest so many are paired."""
_CHUNK = 4_000
_LEAST_GRAMS = 8
_FAR, _FEW = 0.5, 5
"""Rows below this share of the best cosine are ranked only until there are so many."""


class Blocking(NamedTuple):
    """How much work blocking may do per item.

    keep: candidates per item. budget: postings read by tokens. singles: tokens that more
    products share are also paired. gram_budget: postings read by 3-grams, for items whose best
    cosine by tokens is not above `enough`. pool: rows that are ranked over all of their tokens.
    """

    keep: int = 8
    budget: int = 300
    singles: int = 50
    gram_budget: int = 2000
    enough: float = 0.35
    pool: int = 40


class Index(NamedTuple):
    """Postings of the catalogue: rows by token, by pair of tokens (hashed) and by 3-gram."""

    token_at: NDArray[np.int64]
    token_rows: NDArray[np.int32]
    pair_at: NDArray[np.int64]
    pair_rows: NDArray[np.int32]
    gram_at: NDArray[np.int64]
    gram_rows: NDArray[np.int32]
    norm: NDArray[np.float32]
    gram_norm: NDArray[np.float32]
    counts: NDArray[np.int32]


class Candidates(NamedTuple):
    """Catalogue rows per item, best first: row i is `rows[i]`, -1 where there are fewer."""

    rows: NDArray[np.int32]


@compiled
def _post(ids: Array, offsets: Array, at: Array, rows: Array) -> None:
    """Counting sort of rows by id, each row once per id; `at` holds the starts."""
    for row in range(offsets.size - 1):
        last = np.int64(-1)
        for place in range(offsets[row], offsets[row + 1]):
            found = ids[place]
            if found != last:
                rows[at[found]] = row
                at[found] += 1
                last = np.int64(found)


@inner
def _norm(entries: Array, at: Scalar, end: Scalar) -> Scalar:
    """Length of a row's vector of tokens, and a little, which holds back very short names."""
    total = 0.0
    for place in range(at, end):
        if entries[place]["flags"] >> 3 == 0:
            total += entries[place]["weight"] ** 2
    return np.sqrt(total) + 0.3


@compiled
def _norms(entries: Array, offsets: Array, norm: Array) -> None:
    for row in range(offsets.size - 1):
        norm[row] = _norm(entries, offsets[row], offsets[row + 1])


@inner
def _common(
    entries: Array,
    first: Scalar,
    end: Scalar,
    counts: Array,
    budget: Scalar,
    most: Scalar,
    ids: Array,
) -> Scalar:
    """The tokens of a row above the single-token limit, rarest first, into `ids`."""
    size, last = 0, -1
    for at in range(first, end):
        found = entries[at]["id"]
        count = counts[found]
        if found == last or count <= budget or entries[at]["flags"] >> 3 == 3:
            continue
        last = found
        place = min(size, most)
        while place > 0 and (counts[ids[place - 1]], ids[place - 1]) > (count, found):
            if place < most:
                ids[place] = ids[place - 1]
            place -= 1
        if place < most:
            ids[place] = found
            size = min(size + 1, most)
    return size


@inner
def _pair(a: Scalar, b: Scalar, mask: Scalar) -> Scalar:
    low, high = np.uint64(min(a, b)), np.uint64(max(a, b))
    found = (low * np.uint64(0x9E3779B97F4A7C15) ^ high) * np.uint64(0xC2B2AE3D27D4EB4F)
    return np.int64((found >> np.uint64(24)) & np.uint64(mask))


@compiled
def _pair_counts(
    entries: Array,
    offsets: Array,
    counts: Array,
    budget: Scalar,
    most: Scalar,
    mask: Scalar,
    at: Array,
) -> None:
    ids = np.empty(most, np.int64)
    for row in range(offsets.size - 1):
        size = _common(entries, offsets[row], offsets[row + 1], counts, budget, most, ids)
        for a in range(size):
            for b in range(a):
                at[_pair(ids[a], ids[b], mask) + 1] += 1


@compiled
def _pair_post(
    entries: Array,
    offsets: Array,
    counts: Array,
    budget: Scalar,
    most: Scalar,
    mask: Scalar,
    at: Array,
    rows: Array,
) -> None:
    ids = np.empty(most, np.int64)
    for row in range(offsets.size - 1):
        size = _common(entries, offsets[row], offsets[row + 1], counts, budget, most, ids)
        for a in range(size):
            for b in range(a):
                bucket = _pair(ids[a], ids[b], mask)
                rows[at[bucket]] = row
                at[bucket] += 1


def _starts(counts: NDArray[np.int32]) -> NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))


def _posted(
    ids: NDArray[np.int32] | NDArray[np.uint16], offsets: NDArray[np.int64],
    counts: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:  # fmt: skip
    at = _starts(counts)
    rows = np.empty(at[-1], np.int32)
    _post(ids, offsets, at.copy(), rows)
    return at, rows


def index(side: Side, corpus: Corpus, singles: int) -> Index:
    """Index one side of the corpus: the catalogue. `singles` parts rare from common tokens."""
    ids = np.ascontiguousarray(side.entries["id"])
    token_at, token_rows = _posted(ids, side.offsets, corpus.product_rows)
    gram_at, gram_rows = _posted(side.grams, side.gram_offsets, gram_counts(side.grams))
    norm = np.empty(side.offsets.size - 1, np.float32)
    _norms(side.entries, side.offsets, norm)
    pair_at, pair_rows = _pairs(side, corpus.product_rows, singles)
    return Index(
        token_at, token_rows, pair_at, pair_rows, gram_at, gram_rows, norm,
        side.gram_norm + np.float32(0.3), corpus.product_rows,
    )  # fmt: skip


def _pairs(
    side: Side, counts: NDArray[np.int32], singles: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    if not np.any(counts > singles):
        return np.zeros(2, np.int64), np.zeros(0, np.int32)
    rows = side.offsets.size - 1
    mask = (1 << max(10, int(np.ceil(np.log2(rows * 8 + 1))))) - 1
    at = np.zeros(mask + 2, np.int64)
    most = _PAIR_TOKENS
    _pair_counts(side.entries, side.offsets, counts, singles, most, mask, at)
    at = np.cumsum(at)
    found = np.empty(at[-1], np.int32)
    _pair_post(side.entries, side.offsets, counts, singles, most, mask, at[:-1].copy(), found)
    return at, found


@inner
def _touch(
    rows: Array, begin: Scalar, end: Scalar, bit: Scalar, masks: Array, touched: Array, size: Scalar
) -> Scalar:
    """Mark the rows of a posting list with the bits of what found them."""
    for at in range(begin, end):
        row = rows[at]
        if masks[row] == 0:
            if size == touched.size:
                continue
            touched[size] = row
            size += 1
        masks[row] |= bit
    return size


@inner
def _lookup(
    entries: Array,
    first: Scalar,
    end: Scalar,
    found: Index,
    budget: Scalar,
    singles: Scalar,
    most: Scalar,
    ids: Array,
    bits: Array,
    masks: Array,
    touched: Array,
) -> tuple[Scalar, Scalar]:
    """Products that share a key with the item: rare tokens first, then pairs of common ones."""
    used, size, spent = 0, 0, 0
    order = np.empty(end - first, np.int64)
    count, last = 0, -1
    for at in range(first, end):
        token = entries[at]["id"]
        if token != last and found.counts[token] > 0:
            order[count] = at
            count += 1
        last = token
    sizes = np.empty(count, np.int64)
    for at in range(count):
        sizes[at] = found.counts[entries[order[at]]["id"]]
    for at in np.argsort(sizes, kind="mergesort"):
        if used == 20 or (spent and spent + sizes[at] > budget):
            break
        if sizes[at] > max(budget, singles):
            break
        token = entries[order[at]]["id"]
        begin, stop = found.token_at[token], found.token_at[token + 1]
        size = _touch(found.token_rows, begin, stop, np.uint32(1 << used), masks, touched, size)
        bits[used] = entries[order[at]]["weight"] ** 2
        ids[used] = token
        used += 1
        spent += sizes[at]
    return used, size


@inner
def _lookup_pairs(
    entries: Array,
    first: Scalar,
    end: Scalar,
    found: Index,
    budget: Scalar,
    singles: Scalar,
    most: Scalar,
    ids: Array,
    used: Scalar,
    bits: Array,
    masks: Array,
    touched: Array,
    size: Scalar,
) -> Scalar:
    if found.pair_rows.size == 0:
        return size
    common = np.empty(most, np.int64)
    count = _common(entries, first, end, found.counts, singles, most, common)
    slots = np.empty(count, np.int64)
    for at in range(count):
        slot = 0
        while slot < used and ids[slot] != common[at]:
            slot += 1
        if slot == used:
            used += 1
            ids[slot] = common[at]
            for place in range(first, end):
                if entries[place]["id"] == common[at]:
                    bits[slot] = entries[place]["weight"] ** 2
        slots[at] = slot
    pairs = np.empty((count * (count - 1) // 2, 3), np.int64)
    made, mask = 0, found.pair_at.size - 2
    for a in range(count):
        for b in range(a):
            bucket = _pair(common[a], common[b], mask)
            length = found.pair_at[bucket + 1] - found.pair_at[bucket]
            place = made
            while place > 0 and pairs[place - 1, 0] > length:
                pairs[place] = pairs[place - 1]
                place -= 1
            pairs[place, 0], pairs[place, 1] = length, bucket
            pairs[place, 2] = 1 << slots[a] | 1 << slots[b]
            made += 1
    spent = 0
    for at in range(made):
        if spent and spent + pairs[at, 0] > budget:
            break
        begin, stop = found.pair_at[pairs[at, 1]], found.pair_at[pairs[at, 1] + 1]
        size = _touch(found.pair_rows, begin, stop, np.uint32(pairs[at, 2]), masks, touched, size)
        spent += stop - begin
    return size


@inner
def _best(
    masks: Array,
    touched: Array,
    size: Scalar,
    bits: Array,
    own: Scalar,
    norm: Array,
    levels: Array,
    rows: Array,
) -> Scalar:
    """The candidates of highest cosine into `rows`, in no order; clears the masks.

    Cosines are told apart in 256 levels; of those far below the best only a few are taken. Of
    the last level that still fits in part, those that were found first are.
    """
    counts = np.zeros(256, np.int64)
    for at in range(size):
        row = touched[at]
        mask, total, bit = masks[row], 0.0, 0
        masks[row] = 0
        while mask:
            if mask & np.uint32(1):
                total += bits[bit]
            mask >>= np.uint32(1)
            bit += 1
        levels[at] = min(255.0, 255.0 * total / (own * norm[row]))
        counts[levels[at]] += 1
    cut, taken = 255, 0
    least: Scalar = -1
    while True:
        if least < 0 and counts[cut]:
            least = np.int64(np.ceil(cut * _FAR))
        room = max((rows.size if cut >= least else _FEW) - taken, 0)
        if cut == 0 or counts[cut] > room:
            break
        taken += counts[cut]
        cut -= 1
    count = 0
    for at in range(size):
        if levels[at] > cut or (levels[at] == cut and room > 0):
            room -= levels[at] == cut
            rows[count] = touched[at]
            count += 1
    return count


@inner
def _refine(
    entries: Array,
    start: Scalar,
    stop: Scalar,
    others: Array,
    offsets: Array,
    norm: Array,
    rows: Array,
    count: Scalar,
    scores: Array,
    out: Array,
) -> Scalar:
    """Of the first `count` rows, the best by the cosine over all tokens into `out`."""
    kept = 0
    for at in range(count):
        row = rows[at]
        total: Scalar = 0.0
        a, b, end = start, offsets[row], offsets[row + 1]
        while a < stop and b < end:
            left, right = entries[a]["id"], others[b]["id"]
            if left == right:
                total += entries[a]["weight"] ** 2
                while a < stop and entries[a]["id"] == left:
                    a += 1
                while b < end and others[b]["id"] == left:
                    b += 1
            elif left < right:
                a += 1
            else:
                b += 1
        kept = _insert(out, scores, kept, row, total / norm[row])
    return kept


@inner
def _insert(rows: Array, scores: Array, count: Scalar, row: Scalar, score: Scalar) -> Scalar:
    """Keep the best in order of score, then of row."""
    most = rows.size
    if count == most and (
        score < scores[most - 1] or (score == scores[most - 1] and row > rows[most - 1])
    ):
        return count
    at = min(count, most - 1)
    while at > 0 and (scores[at - 1] < score or (scores[at - 1] == score and rows[at - 1] > row)):
        scores[at], rows[at] = scores[at - 1], rows[at - 1]
        at -= 1
    scores[at], rows[at] = score, row
    return min(count + 1, most)


@inner
def _gram_search(
    grams: Array,
    first: Scalar,
    end: Scalar,
    found: Index,
    weight: Array,
    budget: Scalar,
    sums: Array,
    touched: Array,
    rows: Array,
    scores: Array,
) -> Scalar:
    """The best by cosine over the item's rarest 3-grams.

    None where the budget covers fewer than `_LEAST_GRAMS`: what they find is chance.
    """
    sizes = np.empty(end - first, np.int64)
    for at in range(end - first):
        gram = grams[first + at]
        sizes[at] = found.gram_at[gram + 1] - found.gram_at[gram]
    order = np.argsort(sizes, kind="mergesort")
    size = spent = covered = 0
    for at in order:
        spent += sizes[at]
        covered += spent <= budget
    if covered < min(_LEAST_GRAMS, sizes.size):
        return 0
    for at in order[:covered]:
        gram = grams[first + at]
        square = weight[gram] ** 2
        for place in range(found.gram_at[gram], found.gram_at[gram + 1]):
            row = found.gram_rows[place]
            if sums[row] == 0.0:
                if size == touched.size:
                    continue
                touched[size] = row
                size += 1
            sums[row] += square
    count = 0
    for at in range(size):
        row = touched[at]
        count = _insert(rows, scores, count, row, sums[row] / found.gram_norm[row])
        sums[row] = 0.0
    return count


@compiled
def _block(
    items: Side,
    shelf: Side,
    found: Index,
    weight: Array,
    first: Scalar,
    end: Scalar,
    limits: Blocking,
    most: Scalar,
    out: Array,
) -> None:
    """Candidates of items first to end into `out`."""
    products, keep, budget = found.norm.size, out.shape[1], limits.budget
    masks, sums = np.zeros(products, np.uint32), np.zeros(products, np.float32)
    touched = np.empty(min(products, 8 * budget + 64), np.int32)
    levels, pool = np.empty(touched.size, np.int64), np.empty(limits.pool, np.int32)
    ids, bits = np.empty(64, np.int64), np.empty(64, np.float64)
    scores, gram_scores = np.empty(keep, np.float64), np.empty(keep // 2, np.float64)
    gram_rows, entries, norm = np.empty(keep // 2, np.int32), items.entries, found.norm
    for item in range(first, end):
        at, stop, rows = items.offsets[item], items.offsets[item + 1], out[item]
        own = _norm(entries, at, stop)
        used, size = _lookup(
            entries, at, stop, found, budget, limits.singles, most, ids, bits, masks, touched
        )
        size = _lookup_pairs(
            entries, at, stop, found, budget, limits.singles, most, ids, used, bits, masks,
            touched, size,
        )  # fmt: skip
        count = _best(masks, touched, size, bits, own, norm, levels, pool)
        count = _refine(
            entries, at, stop, shelf.entries, shelf.offsets, norm, pool, count, scores, rows
        )
        if count and scores[0] > limits.enough * own:
            continue
        at, stop = items.gram_offsets[item], items.gram_offsets[item + 1]
        more = _gram_search(
            items.grams, at, stop, found, weight, limits.gram_budget, sums, touched, gram_rows,
            gram_scores,
        )  # fmt: skip
        _merge(rows, count, gram_rows, more)


@inner
def _merge(rows: Array, count: Scalar, others: Array, more: Scalar) -> None:
    """Add rows that are not there yet, at the end; the last third makes room for them."""
    count = min(count, rows.size - min(more, rows.size // 3))
    for at in range(more):
        if count == rows.size:
            break
        known = False
        for place in range(count):
            known = known or rows[place] == others[at]
        if not known:
            rows[count] = others[at]
            count += 1
    rows[count:] = -1


def candidates(corpus: Corpus, settings: Blocking, threads: int) -> Candidates:
    """The best `keep` products of each item."""
    items = corpus.items
    found = index(corpus.catalogue, corpus, settings.singles)
    count = items.offsets.size - 1
    out = np.full((count, settings.keep), -1, np.int32)

    def part(first: int, end: int) -> None:
        weight, shelf = corpus.gram_weight, corpus.catalogue
        _block(items, shelf, found, weight, first, end, settings, _PAIR_TOKENS, out)

    size = max(_CHUNK, -(-count // max(1, threads * 4)))
    in_threads(part, count, size, threads)
    return Candidates(out)
