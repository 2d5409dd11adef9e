"""Who gets which product.

Belongs here: whether a list is one-to-one, and the assignment. Does not belong here: scores.
"""

import numpy as np
from numpy.typing import NDArray

from scout_assets.domain.matching.compiled import Array, compiled
from scout_assets.domain.matching.scoring import Scores

STRONG = 0.0
"""Base score from which a best candidate counts as a likely match: log-odds of one half."""
MOST_SHARED = 0.5
"""A list in which more than this share of likely matches compete for a product with another row
of the list is not one-to-one: most of its products stand there more than once."""
FEWEST = 20
"""Likely matches needed to judge a list; with fewer it is taken as one-to-one."""


def is_one_to_one(scores: Scores, groups: NDArray[np.int32]) -> bool:
    """Whether, in the main, one row of a supplier's list is one product.

    `groups` numbers the supplier of each item: rows of different suppliers do not compete.
    """
    if not scores.rows.size:
        return True
    best = np.argmax(scores.base, axis=1)
    every = np.arange(len(best))
    strong = scores.base[every, best] > STRONG
    if strong.sum() < FEWEST:
        return True
    pairs = np.stack([groups[strong], scores.rows[every, best][strong]], axis=1)
    _, counts = np.unique(pairs, axis=0, return_counts=True)
    return bool(counts[counts > 1].sum() <= MOST_SHARED * strong.sum())


def best_each(scores: Scores) -> NDArray[np.int64]:
    """The column of each item's best candidate, -1 for none; ties go to the first product."""
    chosen = np.argmax(scores.linear, axis=1)
    found = scores.linear[np.arange(len(chosen)), chosen] > -1e8
    return np.where(found, chosen, -1)


def one_to_one(scores: Scores, groups: NDArray[np.int32], products: int) -> NDArray[np.int64]:
    """The column of each item's product, -1 where all its candidates went to better items.

    Greedy on score within each group, as a stable matching (Gale and Shapley, 1962), which for
    scores that both sides share is the same and needs no sorting of all pairs. Ties go to the
    item, and then to the product, that stands first in order of id.
    """
    order = np.argsort(-scores.linear, axis=1, kind="stable").astype(np.int16)
    chosen = np.full(len(order), -1, np.int64)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        _propose(members, order, scores.rows, scores.linear, np.full(products, -1), chosen)
    return chosen


@compiled
def _propose(
    members: Array, order: Array, rows: Array, linear: Array, holder: Array, chosen: Array
) -> None:
    """Each item asks for its best product in turn; a product keeps the best that asked."""
    next_choice = np.zeros(rows.shape[0], np.int16)
    for start in members:
        item = start
        while item >= 0 and next_choice[item] < order.shape[1]:
            column = order[item, next_choice[item]]
            next_choice[item] += 1
            row = rows[item, column]
            if row < 0:
                break
            other = holder[row]
            if other >= 0:
                theirs, ours = linear[other, chosen[other]], linear[item, column]
                if theirs > ours or (theirs == ours and other < item):
                    continue
                chosen[other] = -1
            holder[row] = item
            chosen[item] = column
            item = other
