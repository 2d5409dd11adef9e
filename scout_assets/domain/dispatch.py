"""Dispatches: which due sources are asked together, in one run.

Belongs here: what a dispatch is, why a source is due, and how due sources are grouped. Does not
belong here: which are due (`gateways.dispatch`), launching runs (`orchestration`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import groupby

from scout_assets.domain.cadence import Scope

LARGEST = 200
"""Sources in one run: some thousand pages, well within the limit of an hour."""


WAITING_AT_MOST = 20
"""Dispatches that wait for their run: what is more stays due, and may still be erased."""


class Reason(StrEnum):
    """Why a source is due. `CHANGE` and `STARTUP` are asked for between its slots."""

    SLOT = "slot"
    NEW = "new"
    RETRY = "retry"
    CHANGE = "change"
    STARTUP = "startup"


@dataclass(frozen=True)
class Due:
    """A source that is due. `slot`: the moment it has been due since."""

    key: str
    scope: Scope
    reason: Reason
    priority: int
    slot: datetime


@dataclass(frozen=True)
class Dispatch:
    """Sources asked for in one run, and what became of it; `slots` in partition order.

    `outcome` is that of the run, None while it waits or runs; `counters` as its fetches counted.
    """

    number: int
    kind: str
    scope: Scope
    reason: Reason
    priority: int
    slots: Mapping[str, datetime]
    requested_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    run_id: str | None = None
    outcome: str | None = None
    counters: Mapping[str, int] = field(default_factory=dict)

    @property
    def keys(self) -> list[str]:
        """The sources in partition order."""
        return list(self.slots)

    @property
    def run_key(self) -> str:
        """What Dagster remembers for ever, so that a dispatch is one run."""
        first = min(self.slots.values())
        return f"dispatch-{self.number}-{first:%Y%m%dT%H%M%S}"


def neighbours(keys: Iterable[str], order: Sequence[str]) -> list[list[str]]:
    """Keys in ranges: contiguous in `order`, not too long; those it lacks are left out."""
    place = {key: position for position, key in enumerate(order)}
    known = sorted((key for key in keys if key in place), key=place.__getitem__)
    ranges = []
    # Neighbours share the difference between place and rank.
    for _, members in groupby(enumerate(known), key=lambda ranked: place[ranked[1]] - ranked[0]):
        together = [key for _, key in members]
        ranges += [together[at : at + LARGEST] for at in range(0, len(together), LARGEST)]
    return ranges


def spans(keys: Iterable[str], order: Sequence[str]) -> Iterator[list[str]]:
    """Ranges of `order` that hold all keys, as few as may be; others may stand between them."""
    wanted, start = set(keys), 0
    while start < len(order):
        if order[start] not in wanted:
            start += 1
            continue
        reach = order[start : start + LARGEST]
        last = max(place for place, key in enumerate(reach) if key in wanted)
        yield list(reach[: last + 1])
        start += last + 1


def grouped(due: Iterable[Due], order: Sequence[str]) -> list[list[Due]]:
    """Due sources in runs: neighbours in `order`, alike in all but key and slot.

    Sources that `order` lacks are left out: they are no partitions yet. The most urgent first.
    """
    alike: dict[tuple[Scope, Reason, int], dict[str, Due]] = {}
    for one in due:
        alike.setdefault((one.scope, one.reason, one.priority), {})[one.key] = one
    groups = [
        [those[key] for key in together]
        for those in alike.values()
        for together in neighbours(those, order)
    ]
    return sorted(groups, key=lambda group: (-group[0].priority, min(one.slot for one in group)))
