"""Checks for changes: has a source changed since its last snapshot, asked as cheaply as it gets?

Belongs here: which sources may be asked, the one request for each, how many fit into a time. Does
not belong here: when to ask and what follows (`orchestration.changes`), fetching (`snapshots`),
the request itself (`storefronts`, `price_lists`, `http`).

A check asks for the first page of the last snapshot as the next fetch will, with the validators
that stand there. 304, or 200 with the bytes we have, is no change; other bytes are one, and are
thrown away. A check that fails is no change either, and leaves no trace on its source: it tells
of a moment, while a fetch has time and further attempts.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import takewhile

from scout_assets.domain.failures import Refused, ScoutFailure, Transient, contained
from scout_assets.domain.sources import Platform, Source, State
from scout_assets.gateways.dispatch import Dispatches
from scout_assets.gateways.exchange import shown
from scout_assets.gateways.files import is_url
from scout_assets.gateways.google_sheets import Private
from scout_assets.gateways.http import HttpGateway, Policy, Stopped, Validators
from scout_assets.gateways.ledger import KnownSource, Ledger, Page
from scout_assets.gateways.price_lists import ListAccess, newer_list
from scout_assets.gateways.storefronts import newer_page

__all__ = ["Askable", "Changes", "Check"]

TIMEOUT_SECONDS = 5.0
DEADLINE_SECONDS = 10.0
GRACE_SECONDS = 10.0
"""For what is under way when the time is up."""


@dataclass(frozen=True)
class Askable:
    """A source that may be asked, and the page to ask for."""

    source: Source
    page: Page

    @property
    def key(self) -> str:
        return self.source.key


@dataclass(frozen=True)
class Check:
    """What asking a source came to; with a failure nobody knows whether it changed."""

    key: str
    changed: bool = False
    failure: ScoutFailure | None = None


class Changes:
    """Checks of the sources in a ledger. `access`: what is allowed for price lists."""

    def __init__(
        self, ledger: Ledger, dispatches: Dispatches, access: Callable[[], ListAccess]
    ) -> None:
        self._ledger = ledger
        self._dispatches = dispatches
        self._access = access

    def askable(self, now: datetime, rest: timedelta) -> list[Askable]:
        """Sources that may be asked now, in key order.

        They wish it, have an address and a snapshot, their last fetch is `rest` ago and did not
        fail, and nothing is about to fetch them anyway.
        """
        busy = {due.key for due in self._dispatches.due(now)}
        busy |= {key for dispatch in self._dispatches.open() for key in dispatch.keys}
        wishing = [
            known.source
            for known in self._ledger.sources(state=State.ACTIVE)
            if known.source.key not in busy and _may_be_asked(known, now, rest)
        ]
        last = self._ledger.latest_snapshots([source.key for source in wishing])
        return [Askable(one, last[one.key].pages[0]) for one in wishing if one.key in last]

    async def ask(
        self,
        asked: Sequence[Askable],
        http: HttpGateway,
        policy: Policy,
        counters: Counter[str],
        seconds: float,
        at_once: int,
    ) -> list[Check]:
        """Check as many as `seconds` allow, in order, and at least one. Raises Stopped.

        None is begun after that time. What has not answered 10 s later is cut off: neither it nor
        what comes behind it is among the checks. The first one then counts as failed, so that one
        source holds nobody back for ever.
        """
        asking = _Asking(http, _impatient(policy), self._access, counters)
        await asking.run(asked, seconds, at_once)
        if asking.stopped is not None:
            raise asking.stopped
        done = asking.done
        checks = [done[one.key] for one in takewhile(lambda one: one.key in done, asked)]
        if asked and not checks:
            return [_cut_off(asked[0], seconds + GRACE_SECONDS)]
        return checks


@dataclass
class _Asking:
    """One stretch of checks under way."""

    http: HttpGateway
    policy: Policy
    access: Callable[[], ListAccess]
    counters: Counter[str]
    done: dict[str, Check] = field(default_factory=dict)
    stopped: Stopped | None = None

    async def run(self, asked: Iterable[Askable], seconds: float, at_once: int) -> None:
        now, queue = asyncio.get_running_loop().time, iter(asked)
        until = now() + seconds

        async def work() -> None:
            for one in queue:  # shared: each worker takes the next
                await self._ask(one)
                if self.stopped is not None or now() >= until:
                    return

        try:
            async with asyncio.timeout_at(until + GRACE_SECONDS):
                await asyncio.gather(*(work() for _ in range(at_once)))
        except TimeoutError:
            self.counters["changes/cut_off"] += 1

    async def _ask(self, one: Askable) -> None:
        try:
            self.done[one.key] = await self._check(one)
        except Stopped as stop:
            self.stopped = stop

    async def _check(self, one: Askable) -> Check:
        try:
            with contained(one.key):
                body = await self._newer(one)
        except Stopped:
            raise
        except ScoutFailure as failure:
            return Check(one.key, failure=failure)
        return Check(one.key, body is not None and _digest(body) != one.page.sha256)

    async def _newer(self, one: Askable) -> bytes | None:
        """The first page where the source does not say that it is unchanged."""
        source, page = one.source, one.page
        known = Validators(page.etag, page.last_modified)
        if source.platform is not Platform.PRICE_LIST:
            return await newer_page(source, self.http, self.policy, page.url, known, self.counters)
        # Without the service account: with it a check would be a whole download of unknown length.
        access = replace(self.access(), google_key=None)
        try:
            return await newer_list(source, self.http, self.policy, known, self.counters, access)
        except Private as failure:
            raise Refused(
                "its Google sheet is private, and such a one cannot be asked cheaply: it is fetched"
                " when its cadence says so; take `check_for_changes` out, or share it as 'anyone"
                " with the link'"
            ) from failure


def _may_be_asked(known: KnownSource, now: datetime, rest: timedelta) -> bool:
    source, fetch = known.source, known.fetch
    if not source.check_for_changes or not is_url(source.location):
        return False
    if known.is_new or not fetch.due(now):
        return False
    return fetch.last_attempt_at is not None and fetch.last_attempt_at <= now - rest


def _impatient(policy: Policy) -> Policy:
    """One short attempt: who does not answer now is asked in the next round."""
    return policy.model_copy(
        update={
            "attempts": 1,
            "timeout_seconds": min(policy.timeout_seconds, TIMEOUT_SECONDS),
            "deadline_seconds": min(policy.deadline_seconds, DEADLINE_SECONDS),
        }
    )


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _cut_off(one: Askable, seconds: float) -> Check:
    return Check(
        one.key,
        failure=Transient(
            f"{shown(one.page.url)} gave no answer within {seconds:g} s, the waiting that its host"
            " asks for included; the next round asks again"
        ),
    )
