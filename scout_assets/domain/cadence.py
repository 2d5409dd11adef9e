"""When a source is to be asked: slots of its cadence, and back-off after failures.

Belongs here: cron slots in a time zone, when a failing source is due again, how old a source may
grow before it is stale. Does not belong here: the clock, or which sources are due
(`gateways.dispatch`).

A slot is a moment at which a cadence says so. Daylight saving as cron itself has it: a slot in an
hour that is skipped comes as much later, one in an hour that comes twice is taken the first time
only, unless the hours are `*`.
"""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=24)
STALE_AFTER_SLOTS = 2
LONGEST_SHIFT = timedelta(hours=3)
FIELDS = 5
RANDOM = re.compile(r"\b[RH]\b")
"""croniter's own signs for a slot drawn by lot or by hash: no slot of cron."""
SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


class Scope(StrEnum):
    """What a refresh is to bring: everything, or prices only (snapshots and offers)."""

    FULL = "full"
    PRICES = "prices"


@lru_cache(maxsize=4096)  # many sources share a cadence
def is_cron(expression: str) -> bool:
    """Whether it is five fields of cron, or one of its names such as `@weekly`."""
    known = expression.startswith("@") or len(expression.split()) == FIELDS
    if not known or RANDOM.search(expression) or not croniter.is_valid(expression):
        return False
    try:
        _step(croniter(expression, SOME_DAY), later=True)
    except CroniterBadDateError:  # such as 30 February
        return False
    return True


@lru_cache(maxsize=4096)  # many sources share a cadence
def slot_after(moment: datetime, cron: str, zone: str = "UTC") -> datetime:
    """The first slot later than `moment`, in UTC."""
    return _slot(moment, cron, ZoneInfo(zone), later=True)


def slot_before(moment: datetime, cron: str, zone: str = "UTC") -> datetime:
    """The last slot earlier than `moment`, in UTC."""
    return _slot(moment, cron, ZoneInfo(zone), later=False)


def _slot(moment: datetime, cron: str, zone: ZoneInfo, later: bool) -> datetime:
    """Slots are found on the wall clock, without an offset, and then dated."""
    wall = moment.astimezone(zone).replace(tzinfo=None, fold=0)
    if _every_hour(cron):
        # By elapsed time: of an hour that comes twice both have their slots.
        found = moment + (_step(croniter(cron, wall), later) - wall)
        if croniter.match(cron, found.astimezone(zone).replace(tzinfo=None, fold=0)):
            return found.astimezone(UTC)
    slots = croniter(cron, wall - _slack(moment, zone) * (1 if later else -1))
    while True:
        found = _step(slots, later).replace(tzinfo=zone).astimezone(UTC)
        if found > moment if later else found < moment:
            return found


def _step(slots: croniter, later: bool) -> datetime:
    found: datetime = slots.get_next(datetime) if later else slots.get_prev(datetime)
    return found


def _slack(moment: datetime, zone: ZoneInfo) -> timedelta:
    """Near a change of offset, later on the wall clock may be earlier in time."""
    ends = (moment - LONGEST_SHIFT, moment + LONGEST_SHIFT)
    before, after = (end.astimezone(zone).utcoffset() for end in ends)
    return timedelta() if before == after else LONGEST_SHIFT


def _every_hour(cron: str) -> bool:
    return cron == "@hourly" or (not cron.startswith("@") and cron.split()[1] == "*")


def next_attempt(
    now: datetime, failures: int, permanent: bool, retry_after: float | None = None
) -> datetime | None:
    """When a failing source is due again: 5, 10, 20 … minutes, a day at most.

    Not before the `retry_after` seconds that its host asked for. None for a permanent failure:
    never, until its declaration changes or a person asks.
    """
    if permanent:
        return None
    doublings: int = min(failures - 1, 20)
    asked_for = timedelta(seconds=min(retry_after or 0.0, LONGEST_PAUSE.total_seconds()))
    return now + min(max(FIRST_PAUSE * (1 << doublings), asked_for), LONGEST_PAUSE)


def stale_since(now: datetime, cron: str, zone: str = "UTC") -> datetime:
    """The time before which a last success is too old: two slots of `cron` have passed."""
    moment = now
    for _ in range(STALE_AFTER_SLOTS):
        moment = slot_before(moment, cron, zone)
    return moment
