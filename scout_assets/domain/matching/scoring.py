"""What agreement is worth: one fixed set of weights, the gaps to rivals, the linear score.

Belongs here: the weights and the score of every candidate of every item. Does not belong here:
the features (`features`), the percentage (`calibration`), who gets which product (`assignment`).

The weights are rounded log-odds, set by hand: learned probabilities did not carry from one data
set to another, fixed weights did. The linear score is
bias + sum of weight x feature + row gap + column gap + exact key.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scout_assets.domain.matching.compiled import Array, Scalar, compiled, in_threads, inner
from scout_assets.domain.matching.features import FEATURES, VETOES, compare
from scout_assets.domain.matching.records import Corpus

BIAS = -6.5
WEIGHTS = {
    "cover_item": 1.4,
    "cover_product": 1.4,
    "cover_best": 2.6,
    "shared_weight": 0.8,
    "grams": 2.0,
    "code_agrees": 3.0,
    "code_prefix": 1.3,
    "code_near": -1.2,
    "code_conflicts": -1.8,
    "numbers_agree": 0.2,
    "numbers_conflict": -1.0,
    "number_missing": -0.1,
    "measures_agree": 0.2,
    "measures_conflict": -0.6,
    "colour_conflicts": -1.5,
    "edition_differs": -1.7,
    "platform_conflicts": -1.0,
    "brand_agrees": 0.4,
    "brand_conflicts": -0.8,
    "category_agrees": 0.4,
    "category_conflicts": -0.5,
    "price_near": 0.3,
    "price_far": -2.2,
    "description": 0.5,
    "fact_agrees": 0.6,
    "fact_missing": -0.5,
    "facts_conflict": -5.0,
}
ROW_GAP = 0.7
"""Weight of the lead over the item's next best product (or lag behind its best one)."""
COLUMN_GAP = 0.7
"""The same over the product's other items; 0 where several items may be one product."""
WIDEST_GAP = 3.0
PHANTOM = -4.0
"""Base score of the rival that every pair has: with nobody to beat, a poor pair is still poor."""
LEAD = 1.5
"""A pair without exact key is linked only if it leads every rival by this much of base score:
a person should choose between products that fit nearly as well."""
KEY = 40.0
"""What an exact key is worth: more than all else together."""

KEYS = ("", "gtin", "brand and mpn", "sku", "known link", "accepted")
"""Exact keys by number; the later, the stronger. Against "accepted" no veto counts; a known link
adds nothing to the score."""
KNOWN, UNVETOED = KEYS.index("known link"), KEYS.index("accepted")


class Scores(NamedTuple):
    """Per item (rows) and candidate (columns): arrays of one shape.

    rows: catalogue rows, -1 for none. base: linear score without gaps and key. linear: with
    them. relief: what the conflicts of stated facts took off. vetoes: bits of VETOES.
    keys: number of the exact key. lead: how far ahead of the nearest rival, in row and column.
    """

    rows: NDArray[np.int32]
    base: NDArray[np.float32]
    linear: NDArray[np.float32]
    relief: NDArray[np.float32]
    vetoes: NDArray[np.int16]
    keys: NDArray[np.uint8]
    lead: NDArray[np.float32]


def weight_vector() -> NDArray[np.float64]:
    """WEIGHTS in the order of FEATURES."""
    return np.array([WEIGHTS[name] for name in FEATURES])


@compiled
def _score_rows(
    corpus: Corpus,
    item_codes: Array,
    product_codes: Array,
    rows: Array,
    first: Scalar,
    end: Scalar,
    bias: Scalar,
    weights: Array,
    base: Array,
    relief: Array,
    vetoes: Array,
) -> None:
    masks, s = np.zeros(4, np.uint64), np.zeros(8)
    t, u, x = np.zeros(15), np.zeros(15), np.zeros(weights.size)
    last = weights.size - 1
    for item in range(first, end):
        for at in range(rows.shape[1]):
            product = rows[item, at]
            if product < 0:
                continue
            found = compare(corpus, item, product, x, masks, s, t, u)
            total = bias
            for number in range(weights.size):
                total += weights[number] * x[number]
            base[item, at] = total
            relief[item, at] = -weights[last] * x[last]
            for code in range(item_codes.shape[1]):
                ours, theirs = item_codes[item, code], product_codes[product, code]
                if ours >= 0 and theirs >= 0 and ours != theirs:
                    found |= 256 if code == 2 else 64
            vetoes[item, at] = found


@compiled
def two_best(rows: Array, base: Array, products: Scalar) -> Array:
    """The best and second best base of each product over all items."""
    best = np.full((products, 2), np.float32(-1e9))
    for item in range(rows.shape[0]):
        for at in range(rows.shape[1]):
            row = rows[item, at]
            if row >= 0:
                value = base[item, at]
                if value > best[row, 0]:
                    best[row, 1] = best[row, 0]
                    best[row, 0] = value
                elif value > best[row, 1]:
                    best[row, 1] = value
    return best


@inner
def _lead(value: Scalar, best: Scalar, second: Scalar, widest: Scalar) -> Scalar:
    """Ahead of the second for the best, behind the best for the others; within the widest."""
    rival = max(second if value >= best else best, PHANTOM)
    return min(max(value - rival, -widest), widest)


@compiled
def _add_gaps(
    rows: Array,
    base: Array,
    keys: Array,
    best: Array,
    row_gap: Scalar,
    column_gap: Scalar,
    widest: Scalar,
    key: Scalar,
    linear: Array,
    lead: Array,
) -> None:
    for item in range(rows.shape[0]):
        first = second = np.float32(-1e9)
        for at in range(rows.shape[1]):
            if rows[item, at] >= 0:
                if base[item, at] > first:
                    second, first = first, base[item, at]
                elif base[item, at] > second:
                    second = base[item, at]
        for at in range(rows.shape[1]):
            row = rows[item, at]
            if row >= 0:
                value = base[item, at]
                in_row = _lead(value, first, second, widest)
                in_column = _lead(value, best[row, 0], best[row, 1], widest)
                linear[item, at] = (
                    value
                    + row_gap * in_row
                    + column_gap * in_column
                    + (key if keys[item, at] and keys[item, at] != KNOWN else 0.0)
                )
                lead[item, at] = min(in_row, in_column) if column_gap > 0.0 else in_row


def score(
    corpus: Corpus, rows: NDArray[np.int32], keys: NDArray[np.uint8],
    codes: tuple[NDArray[np.int32], NDArray[np.int32]], threads: int,
) -> Scores:  # fmt: skip
    """Base scores and vetoes of all candidates; `linear` is filled by `with_gaps`.

    `codes` holds, for items and products, numbers of GTIN, MPN and SKU (-1: none or not
    comparable), which veto where both are there and differ.
    """
    base = np.full(rows.shape, -1e9, np.float32)
    relief = np.zeros(rows.shape, np.float32)
    vetoes, vector = np.zeros(rows.shape, np.int16), weight_vector()

    def part(first: int, end: int) -> None:
        _score_rows(corpus, codes[0], codes[1], rows, first, end, BIAS, vector, base, relief,
                    vetoes)  # fmt: skip

    in_threads(part, len(rows), max(2000, -(-len(rows) // max(1, threads * 4))), threads)
    return Scores(rows, base, base, relief, vetoes, keys, base)


def with_gaps(scores: Scores, best: NDArray[np.float32], one_to_one: bool) -> Scores:
    """`scores` with the lead over rivals, and the exact key, in `linear`.

    `best`: the two best of each product (see `two_best`).
    """
    linear, lead = (np.full(scores.rows.shape, -1e9, np.float32) for _ in range(2))
    _add_gaps(
        scores.rows, scores.base, scores.keys, best, ROW_GAP, COLUMN_GAP if one_to_one else 0.0,
        WIDEST_GAP, KEY, linear, lead,
    )  # fmt: skip
    return scores._replace(linear=linear, lead=lead)


def pinned(scores: Scores) -> Scores:
    """`scores` in which known links are worth an exact key: who gets what, but no score."""
    known = np.where(scores.keys == KNOWN, np.float32(KEY), np.float32(0.0))
    return scores._replace(linear=scores.linear + known)


def cells(scores: Scores, columns: NDArray[np.int64]) -> Scores:
    """The cells in `columns`, which has as many rows as `scores` and any number of columns."""
    parts: list[Any] = [np.take_along_axis(part, columns, axis=1) for part in scores]
    return Scores(*parts)


def one_item(scores: Scores, item: int) -> Scores:
    """The row of one item alone, so that explaining it costs the same in a list of any length."""
    parts: list[Any] = [part[item : item + 1] for part in scores]
    return Scores(*parts)


def veto_names(bits: int) -> list[str]:
    """The vetoes in a number of bits."""
    return [name for at, name in enumerate(VETOES) if bits >> at & 1]
