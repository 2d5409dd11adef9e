"""When to ask a source again.

Belongs here: back-off after failures, and how old a source may grow before it is stale.
Does not belong here: the clock, or what the sources answered (`gateways.ledger`).
"""

from datetime import datetime, timedelta

from croniter import croniter

FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=24)
STALE_AFTER_SLOTS = 2


def next_attempt(now: datetime, failures: int, permanent: bool) -> datetime | None:
    """When a failing source is due again: 5, 10, 20 … minutes, a day at most.

    None for a permanent failure: never, until its declaration changes or a person asks.
    """
    if permanent:
        return None
    doublings: int = min(failures - 1, 20)
    return now + min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)


def stale_since(now: datetime, cron: str) -> datetime:
    """The time before which a last success is too old: two slots of `cron` have passed."""
    slots = croniter(cron, now)
    for _ in range(STALE_AFTER_SLOTS):
        slots.get_prev(datetime)
    moment: datetime = slots.get_current(datetime)
    return moment
