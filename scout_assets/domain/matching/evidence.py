"""Why a pair got its score: one record for each part, and they add up.

Belongs here: the records and their sum. Does not belong here: how they are drawn.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scout_assets.domain.matching.features import FEATURES, SCRATCH, compare
from scout_assets.domain.matching.records import Corpus
from scout_assets.domain.matching.scoring import (
    BIAS,
    COLUMN_GAP,
    KEY,
    KEYS,
    KNOWN,
    PHANTOM,
    ROW_GAP,
    WEIGHTS,
    WIDEST_GAP,
    Scores,
    veto_names,
)


class Evidence(NamedTuple):
    """One part of the linear score: `contribution` is `weight` times `value`."""

    feature: str
    meaning: str
    value: float
    weight: float
    contribution: float


class Explanation(NamedTuple):
    """All parts of one pair's score.

    linear is the sum of the contributions. percent is the calibrated percentage of it; a veto
    keeps percent below 95, and where only stated facts speak against the pair, percent is that
    of the sum without `facts_conflict`, so that a person sees it.
    """

    records: tuple[Evidence, ...]
    linear: float
    percent: float
    vetoes: tuple[str, ...]
    key: str


def explanation(
    corpus: Corpus,
    row: Scores,
    cell: tuple[int, int],
    rivals: NDArray[np.float32] | None,
    percent: float,
) -> Explanation:
    """The evidence for a pair; parts that are 0 are left out.

    `cell`: the item and its candidate's column; `row`: the scores of this item alone; `rivals`:
    the best and second base of the product, None where several items may be one product.
    """
    item, column = cell
    x, masks = np.zeros(len(FEATURES)), np.zeros(SCRATCH[0], np.uint64)
    sums = (np.zeros(SCRATCH[1]), np.zeros(SCRATCH[2]), np.zeros(SCRATCH[2]))
    compare(corpus, item, row.rows[0, column], x, masks, *sums)
    key, own = int(row.keys[0, column]), float(row.base[0, column])
    row_gap = _lead(own, row.base[0][row.rows[0] >= 0])
    parts = [Evidence("bias", "where every pair starts", 1.0, BIAS, BIAS)]
    parts += [
        Evidence(name, meaning, float(value), WEIGHTS[name], WEIGHTS[name] * float(value))
        for (name, meaning), value in zip(FEATURES.items(), x, strict=True)
    ]
    parts.append(_part("row_gap", "lead over the item's next product", row_gap, ROW_GAP))
    if rivals is not None:
        meaning = "lead over the product's next item"
        parts.append(_part("column_gap", meaning, _lead(own, rivals), COLUMN_GAP))
    counts = float(key not in (0, KNOWN))
    parts.append(_part("exact_key", KEYS[key] or "no exact key", counts, KEY))
    records = tuple(part for part in parts if part.contribution)
    linear = sum(part.contribution for part in records)
    vetoes = tuple(veto_names(int(row.vetoes[0, column])))
    return Explanation(records, linear, percent, vetoes, KEYS[key])


def _part(name: str, meaning: str, value: float, weight: float) -> Evidence:
    return Evidence(name, meaning, value, weight, weight * value)


def _lead(own: float, bases: NDArray[np.float32]) -> float:
    ranked = np.sort(bases.astype(np.float64))[::-1]
    second = ranked[1] if ranked.size > 1 else PHANTOM
    rival = ranked[0] if own < ranked[0] else second
    return float(np.clip(own - max(rival, PHANTOM), -WIDEST_GAP, WIDEST_GAP))
