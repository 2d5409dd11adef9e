"""What should become of a plan: an oracle beside the product's own code.

Belongs here: slots as Dagster's cron reads them, and which tick should act on which source, why
and for which slot, worked out from the plan alone. Does not belong here: living it (`months`).

Of the product only its promises are used: a slot is acted on once, by the first tick that may; a
full refresh is one of prices too; slots that pass before a source is asked are one; a failing
source pauses 5, 10, 20 … minutes, a day at most, or as long as its store said; a permanent failure
ends it; what passes in manual is erased, but for a source that still has to be tried again.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import takewhile

from dagster._utils.schedules import cron_string_iterator

from scout_assets_tests.orchestration.months import Life, Plan, Shop, Tick, Trouble

FULL, PRICES = "full", "prices"


@dataclass(frozen=True)
class Act:
    """A source was asked for: at which tick, what, since when it was due, and why."""

    claimed: datetime
    scope: str
    slot: datetime
    reason: str


@lru_cache(maxsize=256)
def slots(cron: str, zone: str, start: datetime, end: datetime) -> tuple[datetime, ...]:
    """The slots from `start` until before `end`, in UTC.

    Dagster takes an hour that comes twice the second time, where we take it the first time.
    """
    found = cron_string_iterator(start.timestamp(), cron, zone)
    inside = takewhile(lambda slot: slot < end, found)
    once = [slot if _every_hour(cron) else slot.replace(fold=0) for slot in inside]
    return tuple(sorted({slot.astimezone(UTC) for slot in once}))


def _every_hour(cron: str) -> bool:
    return cron == "@hourly" or cron.split()[1:2] == ["*"]


def slots_of(shop: Shop, plan: Plan) -> tuple[Sequence[datetime], Sequence[datetime]]:
    """Those of its full and of its price cadence."""
    cadence = shop.cadence
    within = cadence.zone, plan.start, plan.end
    return slots(cadence.full, *within), slots(cadence.prices, *within)


Acts = Mapping[Act, datetime | None]
"""What was asked of a source, and the moment of the run that followed."""


def acted(life: Life) -> dict[str, dict[Act, datetime | None]]:
    """What the ledger has, by source."""
    runs = {run.number: run.at for run in life.daemon.runs}
    found: dict[str, dict[Act, datetime | None]] = {shop.key: {} for shop in life.shops}
    for one in reversed(life.world.home.dispatches.latest(limit=1_000_000)):
        for key, slot in one.slots.items():
            act = Act(one.requested_at, str(one.scope), slot, str(one.reason))
            found[key][act] = runs.get(one.number)
    return found


@dataclass
class _Foretelling:
    """Walks over the ticks with what is known of one source."""

    shop: Shop
    plan: Plan
    launched: Mapping[datetime, datetime | None]

    def __post_init__(self) -> None:
        self.full, self.prices = slots_of(self.shop, self.plan)
        self.done = {FULL: self.plan.start, PRICES: self.plan.start}
        self.is_new, self.failures = True, 0
        self.again_at: datetime | None = None
        self.again = FULL

    def acts(self, ticks: Sequence[Tick]) -> Iterator[Act]:
        free_at = self.plan.start
        for tick in ticks:
            if tick.at < free_at or self.plan.is_manual(tick.at):
                continue
            act = self._due(tick.at)
            if act is None or (tick.full and tick.at not in self.launched):
                continue
            yield act
            asked_at = self.launched.get(tick.at)
            if asked_at is None:
                return  # it was not asked: whoever compares will see
            free_at = asked_at
            if not self._asked(asked_at, act.scope):
                return

    def _due(self, at: datetime) -> Act | None:
        if self.is_new:
            return Act(at, FULL, self.plan.start, "new")
        if self.again_at is not None and at < self.again_at:
            return None
        reason = "slot" if self.again_at is None else "retry"
        for scope in (FULL, PRICES):
            slot = self._slot(scope, at)
            if slot is not None:
                return Act(at, scope, slot, reason)
        return None

    def _slot(self, scope: str, at: datetime) -> datetime | None:
        """The first slot that is due and neither done nor erased."""
        if self.again_at is not None and scope == self.again:
            return self.again_at
        listed = self.full if scope == FULL else self.prices
        place = max(
            bisect_right(listed, self.done[scope]),
            bisect_left(listed, self.plan.erased_before(at)),
        )
        return listed[place] if place < len(listed) and listed[place] <= at else None

    def _asked(self, at: datetime, scope: str) -> bool:
        """It was asked; whether it will ever be again."""
        self.is_new, self.again_at = False, None
        self.done[PRICES] = at
        if scope == FULL:
            self.done[FULL] = at
        trouble = self.shop.fails(at)
        if trouble is None:
            self.failures = 0
            return True
        self.failures += 1
        self.again, self.again_at = scope, at + _pause(self.failures, trouble)
        return not trouble.permanent


def _pause(failures: int, trouble: Trouble) -> timedelta:
    minutes = min(5 * 2 ** (failures - 1), 24 * 60)
    return max(timedelta(minutes=minutes), trouble.wait)


def foretold(life: Life, shop: Shop, acts: Acts) -> list[Act]:
    """What should have been asked of a source; from its `acts` only the moments of their runs
    are taken, for its next slots are counted from there."""
    launched = {act.claimed: at for act, at in acts.items()}
    return list(_Foretelling(shop, life.plan, launched).acts(life.daemon.ticks))
