"""What a run was ordered to do, as its tags say.

Belongs here: reading scope and dispatch from a run's tags, and telling the ledger that the run
began and ended. Does not belong here: launching runs (`due`), fetching (`assets.snapshots`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

import dagster as dg

from scout_assets.domain.cadence import Scope
from scout_assets.domain.failures import BadConfig
from scout_assets.gateways.home import Home
from scout_assets.orchestration.control import is_automated
from scout_assets.orchestration.tags import DISPATCH_TAG, SCOPE_TAG

__all__ = ["Order"]


@dataclass(frozen=True)
class Order:
    """`number` of the dispatch, None for a run by hand; sources asked since `requested_at` are
    not asked again. A person may take what an automated run must not: a store that shrank."""

    scope: Scope = Scope.FULL
    number: int | None = None
    automated: bool = False
    requested_at: datetime | None = None
    shrink_limit_pct: int | None = None

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Self:
        """Raises BadConfig for a scope there is none of."""
        wanted = tags.get(SCOPE_TAG, Scope.FULL)
        if wanted not in tuple(Scope):
            raise BadConfig(f"run tag {SCOPE_TAG} is {wanted!r}: expected {' or '.join(Scope)}")
        automated = is_automated(tags)
        number = tags.get(DISPATCH_TAG) if automated else None
        return cls(Scope(wanted), int(number) if number else None, automated)

    def begin(self, home: Home, run: dg.DagsterRun, now: datetime) -> Self:
        """Tell the ledger; returns the order with what else holds for it.

        Raises BadConfig when another run has the dispatch: two automations share the ledger.
        """
        limit = home.control.state().settings.shrink_limit_pct if self.automated else None
        if self.number is None:
            return replace(self, shrink_limit_pct=limit)
        dispatch = home.dispatches.begin(self.number, run.run_id, run.parent_run_id, now)
        return replace(self, requested_at=dispatch.requested_at, shrink_limit_pct=limit)

    def end(self, home: Home, counters: Mapping[str, int], unasked: bool, now: datetime) -> None:
        """Tell the ledger what the fetches came to. `unasked`: time was up before all were asked;
        in auto the rest is due at once."""
        if self.number is None:
            return
        if unasked and home.control.state().is_auto:
            home.dispatches.lost(self.number, "TIME UP", now)
        else:
            home.dispatches.end(self.number, "FETCHED", now, counters)
