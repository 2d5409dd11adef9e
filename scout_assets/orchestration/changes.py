"""Changes between the slots: the sensor `changed_sources`.

Belongs here: when sources are asked whether they have changed, and what a tick says about it. Does
not belong here: asking them (`gateways.changes`), how far a round is (`domain.rounds`), the runs
that fetch what changed (`due`).

The sensor starts no run: it makes changed sources due, and `due_sources` asks those as any other.
Where a round stands is in the cursor, written after the changed ones are due. So a tick that is
killed is made again, and loses nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import dagster as dg

from scout_assets.domain.cadence import LONGEST_PAUSE
from scout_assets.domain.dispatch import Reason
from scout_assets.domain.failures import Transient
from scout_assets.domain.rounds import Round
from scout_assets.gateways.changes import Askable, Changes, Check
from scout_assets.gateways.home import Home
from scout_assets.gateways.http import Stopped
from scout_assets.orchestration.brake import rehearsed
from scout_assets.orchestration.due import ASKING
from scout_assets.orchestration.resources import ScoutHome, Web

__all__ = ["FEED_CHECK_INTERVAL", "changed_sources"]

FEED_CHECK_INTERVAL = 300
TICK_SECONDS = 20.0
"""Of a tick's sixty, which Dagster allows: what is under way may take ten more."""
NAMED = 20
OFF = (
    "setting enable_autoupdate is off: sources are asked when their cadences say so, and not "
    "between; `scout settings enable_autoupdate=true --by NAME` changes that"
)
NOBODY = (
    "no source may be asked: it needs check_for_changes, an address, and a fetch that did not fail "
    "and is update_interval_minutes ago"
)


def changed_sources(
    interval: int = FEED_CHECK_INTERVAL, tick_seconds: float = TICK_SECONDS
) -> dg.SensorDefinition:
    """A round over the sources every `interval` seconds, in ticks of so many seconds each."""

    @dg.sensor(
        name="changed_sources",
        jobs=list(ASKING.values()),
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Asks sources with `check_for_changes` whether they have changed since their last "
            f"fetch: every {interval} s (FEED_CHECK_INTERVAL), one conditional request each. "
            "Changed ones are due, so `due_sources` fetches them. In auto, and only while the "
            "setting enable_autoupdate is on"
        ),
    )
    @rehearsed
    def changed(context: dg.SensorEvaluationContext, home: ScoutHome, web: Web) -> dg.SkipReason:
        opened, last = home.open(), Round.read(context.cursor)
        if not opened.control.state().settings.enable_autoupdate:
            return dg.SkipReason(OFF)
        current = last.at(web.now(), timedelta(seconds=interval))
        if current is None:
            return dg.SkipReason(f"no round is due: {_stands(last, 0, interval)}")
        try:
            told, current, more = _stretch(context, opened, web, current, tick_seconds)
        except Stopped as stop:  # the cursor stays: the round goes on with the return to auto
            return dg.SkipReason(str(stop))
        return dg.SkipReason(f"{told}; {_stands(current, more, interval)}")

    return changed


def _stretch(
    context: dg.SensorEvaluationContext, home: Home, web: Web, current: Round, seconds: float
) -> tuple[str, Round, int]:
    """Go on with a round: what came of it, where it is then, and how many are left."""
    now, settings = web.now(), home.control.state().settings
    changes = Changes(home.ledger, home.dispatches, lambda: home.list_access)
    rest = timedelta(minutes=settings.update_interval_minutes)
    askable = {one.key: one for one in changes.askable(now, rest)}
    left = [askable[key] for key in current.left(askable, now)]
    if settings.dry_run:
        return f"dry_run: would ask {_some([one.key for one in left])}", current, len(left)
    checks = asyncio.run(_ask(context, home, web, changes, left, seconds))
    home.dispatches.ask([one.key for one in checks if one.changed], Reason.CHANGE, now)
    more = len(left) - len(checks)
    current = current.past([one.key for one in checks], more > 0, _waiting(checks, now))
    context.update_cursor(current.text)
    return _told(checks), current, more


async def _ask(
    context: dg.SensorEvaluationContext,
    home: Home,
    web: Web,
    changes: Changes,
    asked: Sequence[Askable],
    seconds: float,
) -> list[Check]:
    """Check as many as the time allows; the log gets the reasons of failures, and the counters."""
    counters: Counter[str] = Counter()
    async with web.gateway(lambda: not home.control.state().is_auto) as gateway:
        policy, at_once = web.policy(home), web.sources_at_once
        checks = await changes.ask(asked, gateway, policy, counters, seconds, at_once)
    for one in checks:
        if one.failure is not None:
            context.log.warning(
                f"{one.key}: not known to have changed: {type(one.failure).__name__}: {one.failure}"
            )
    context.log.info(f"counters: {dict(counters)}")
    return checks


def _waiting(checks: Sequence[Check], now: datetime) -> dict[str, datetime]:
    """Those whose host said Retry-After, until then; a day at most, as after any failure."""
    return {
        one.key: now + min(timedelta(seconds=one.failure.retry_after), LONGEST_PAUSE)
        for one in checks
        if isinstance(one.failure, Transient) and one.failure.retry_after
    }


def _told(checks: Sequence[Check]) -> str:
    if not checks:
        return NOBODY
    changed = _some([one.key for one in checks if one.changed])
    failed = _some([one.key for one in checks if one.failure is not None])
    return f"checked {len(checks)}, changed {changed}, failed {failed}"


def _some(keys: Sequence[str]) -> str:
    """How many, and who they are."""
    if not keys:
        return "0"
    more = ", …" if len(keys) > NAMED else ""
    return f"{len(keys)} ({', '.join(keys[:NAMED])}{more})"


def _stands(current: Round, more: int, interval: int) -> str:
    """Where the round is."""
    if not current.over and not current.after:
        return "the round has not begun"
    if not current.over:
        return f"the round goes on after {current.after!r}, {more} to ask"
    after = current.next_at(timedelta(seconds=interval))
    return f"the round is over, the next one starts at {after:%H:%M:%S} UTC"
