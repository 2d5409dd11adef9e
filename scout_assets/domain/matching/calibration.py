"""From the linear score to a percentage that keeps its word, and back from decisions.

Belongs here: the monotone map, the one that is bundled, and fitting one to review decisions.
Does not belong here: what the score is made of.

A percentage of 95 or more says: of decisions with this score or a better one, the lower 95 %
bound of the share that is right is at least 97 %.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from scout_assets.domain.failures import BadConfig

LINK, REVIEW = 95.0, 70.0
"""Percentages from which a pair is linked, and from which a person looks at it."""
PAIR = 50.0
"""The one cut from which a best candidate counts as a pair, where pairs are counted."""

SURE = 0.97
"""What the lower bound must reach for LINK."""
_BELOW_LINK = 94.0
_Z = 1.6448536269514722  # one-sided 95 % of the normal distribution
FEWEST = 50
"""Decisions needed to fit a map."""


class Bin(BaseModel):
    """One line of a reliability table: decisions with a percentage from `low` to below `high`."""

    model_config = ConfigDict(frozen=True)

    low: float
    high: float
    count: int
    accepted: int
    mean_percent: float | None


class Calibration(BaseModel):
    """A monotone, piecewise linear map from linear score to percentage, 0 to 100."""

    model_config = ConfigDict(frozen=True)

    linear: tuple[float, ...]
    percent: tuple[float, ...]
    decisions: int = 0
    """How many decisions it was fitted to; 0 for the bundled map."""

    @model_validator(mode="after")
    def _is_monotone(self) -> Self:
        if len(self.linear) != len(self.percent) or len(self.linear) < 2:
            raise BadConfig("a calibration needs at least two knots, each with its percentage")
        if any(np.diff(self.linear) < 0) or any(np.diff(self.percent) < 0):
            raise BadConfig("knots and percentages of a calibration must not fall")
        if self.percent[0] < 0 or self.percent[-1] > 100:
            raise BadConfig("percentages of a calibration lie between 0 and 100")
        return self

    def percentages(self, linear: ArrayLike) -> NDArray[np.float64]:
        """The percentage of each linear score."""
        return np.interp(np.asarray(linear, np.float64), self.linear, self.percent)

    def reliability(self, linear: ArrayLike, accepted: ArrayLike, bins: int = 10) -> list[Bin]:
        """How the percentages of decided pairs compare with what was decided."""
        percent, right = self.percentages(linear), np.asarray(accepted, bool)
        edges = np.linspace(0, 100, bins + 1)
        place = np.clip(np.searchsorted(edges, percent, side="right") - 1, 0, bins - 1)
        return [
            Bin(
                low=edges[at],
                high=edges[at + 1],
                count=int((place == at).sum()),
                accepted=int(right[place == at].sum()),
                mean_percent=float(percent[place == at].mean()) if (place == at).any() else None,
            )
            for at in range(bins)
        ]


BUNDLED = Calibration(
    linear=(-12.0, -6.0, -3.0, -0.5, 2.0, 3.5, 6.0, 12.0),
    percent=(0.5, 20.0, 50.0, 70.0, 88.0, 95.0, 98.5, 99.8),
)
"""Conservative: on lists of electronics, software and wine each band was right more often."""


def lower_bound(right: float, count: float) -> float:
    """One-sided lower 95 % bound of a share: the score interval of Wilson (1927)."""
    if count <= 0:
        return 0.0
    share, square = right / count, _Z * _Z
    middle = share + square / (2 * count)
    spread = _Z * np.sqrt(share * (1 - share) / count + square / (4 * count * count))
    return float(max(0.0, (middle - spread) / (1 + square / count)))


def isotonic(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest sequence that never falls: pool adjacent violators (Ayer et al., 1955)."""
    sums: list[float] = []
    sizes: list[int] = []
    for value in values:
        sums.append(float(value))
        sizes.append(1)
        while len(sums) > 1 and sums[-2] * sizes[-1] >= sums[-1] * sizes[-2]:
            total, size = sums.pop(), sizes.pop()
            sums[-1] += total
            sizes[-1] += size
    means = np.array(sums) / np.array(sizes, np.float64)
    return np.repeat(means, np.array(sizes, np.int64))


def calibrate(linear: ArrayLike, accepted: ArrayLike, before: Calibration = BUNDLED) -> Calibration:
    """Fit the map to decisions: the linear score of each decided pair and whether it was right.

    Isotonic; LINK is reached only where the lower bound of all decisions from there upward is
    SURE. Outside the range of the decisions the map `before` holds. Leave out vetoed pairs:
    no score links them. Raises BadConfig for fewer than FEWEST decisions or lists that differ
    in length.
    """
    scores, right = np.asarray(linear, np.float64), np.asarray(accepted, np.float64)
    if scores.shape != right.shape:
        raise BadConfig(f"{scores.size} scores but {right.size} decisions: give one for each")
    if scores.size < FEWEST:
        raise BadConfig(f"{scores.size} decisions are too few to calibrate: at least {FEWEST}")
    knots, place = np.unique(scores, return_inverse=True)
    counts, hits = np.bincount(place), np.bincount(place, right)
    fitted = 100 * isotonic(np.repeat(hits / counts, counts))
    percent = fitted[np.cumsum(counts) - 1]
    sure = _sure(hits, counts)
    percent = np.where(sure, np.maximum(percent, LINK), np.minimum(percent, _BELOW_LINK))
    knots, percent = _extended(knots, percent, before)
    return Calibration(linear=tuple(knots), percent=tuple(percent), decisions=scores.size)


def _sure(hits: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.bool_]:
    """From which knot on upward the decisions are good enough to link."""
    above, right = np.cumsum(counts[::-1])[::-1], np.cumsum(hits[::-1])[::-1]
    good = [lower_bound(r, n) >= SURE for r, n in zip(right, above, strict=True)]
    return np.arange(len(good)) >= (good.index(True) if True in good else len(good))


def _extended(
    knots: NDArray[np.float64], percent: NDArray[np.float64], before: Calibration
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Knots of `before` on both sides of the fitted ones, bent to stay monotone."""
    old, was = np.array(before.linear), np.array(before.percent)
    low, high = old < knots[0], old > knots[-1]
    below, above = np.minimum(was[low], percent[0]), np.maximum(was[high], percent[-1])
    return (
        np.concatenate([old[low], knots, old[high]]),
        np.concatenate([below, percent, above]),
    )
