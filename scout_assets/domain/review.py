"""Review: what a person decided about a match, and what stands after all decisions.

Belongs here: the verdicts, how later ones override earlier ones, when a proposal expires. Does
not belong here: scoring (`matching`), keeping decisions (`gateways.decisions`).

A decision is never edited: an undo marks it, and what stood before stands again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

__all__ = [
    "REVIEW_LASTS",
    "Decision",
    "Standing",
    "Status",
    "Verdict",
    "proposed_since",
    "standing",
]

REVIEW_LASTS = timedelta(days=30)
"""A proposal nobody decided leaves the queue after this, and comes back with the next run."""


class Verdict(StrEnum):
    """What a person says of one proposed match."""

    ACCEPT = "accept"
    REJECT = "reject"
    DEFER = "defer"


class Status(StrEnum):
    """Where a supplier item stands."""

    UNMATCHED = "unmatched"
    AUTO_MATCHED = "auto_matched"
    POTENTIAL_MATCH = "potential_match"
    VERIFIED_MATCH = "verified_match"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Decision:
    """One verdict with who, when, and what was seen then. `number` counts in order of time."""

    number: int
    source: str
    item_id: str
    product_id: str
    verdict: Verdict
    actor: str
    decided_at: datetime
    score: float | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    undone_at: datetime | None = None
    undone_by: str | None = None


@dataclass(frozen=True)
class Standing:
    """What all decisions come to: inputs of the next matching."""

    verified: Mapping[str, str] = field(default_factory=dict)
    """item → product, by a person; never matched again automatically."""
    rejected: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """item → products it is not."""
    deferred: Mapping[str, datetime] = field(default_factory=dict)
    """item → when it was put off; it goes to the end of the queue."""


def standing(decisions: Iterable[Decision]) -> Standing:
    """Replay decisions in order, undone ones left out.

    Accepting one product takes an earlier rejection of it back, and the other way round.
    """
    verified: dict[str, str] = {}
    rejected: dict[str, frozenset[str]] = {}
    deferred: dict[str, datetime] = {}
    for decision in sorted(decisions, key=lambda made: made.number):
        if decision.undone_at is not None:
            continue
        item, product = decision.item_id, decision.product_id
        if decision.verdict is Verdict.DEFER:
            deferred[item] = decision.decided_at
            continue
        deferred.pop(item, None)
        if decision.verdict is Verdict.ACCEPT:
            verified[item] = product
            rejected[item] = rejected.get(item, frozenset()) - {product}
        else:
            rejected[item] = rejected.get(item, frozenset()) | {product}
            if verified.get(item) == product:
                del verified[item]
    return Standing(verified, {item: those for item, those in rejected.items() if those}, deferred)


def proposed_since(before: Mapping[str, Any] | None, product_id: str, now: datetime) -> datetime:
    """Since when a match is proposed: kept while it is the same one and has not expired.

    `before`: the item's row of the last matching, with `status`, `product_id` and
    `proposed_at`.
    """
    if before is None or before["status"] != Status.POTENTIAL_MATCH:
        return now
    since: datetime | None = before["proposed_at"]
    if since is None or before["product_id"] != product_id or now - since >= REVIEW_LASTS:
        return now
    return since
