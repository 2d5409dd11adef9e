"""Snapshots: fetch a source, land what is new, load what landed.

Belongs here: joining crawl or files, artifacts and ledger so that a kill at any point leaves
either a whole snapshot or none. Does not belong here: pages (`storefronts`, `files`), rows
(`domain.capture`), which sources to fetch (`orchestration`).

Dated captures land in the order of their dates, and history is never rewritten. One that cannot
be read keeps no later one back, unless it may be readable next time; once a later one has landed
it is passed over, mended or not, and counts as `captures/known`. Only the newest date is read
again: a list that is edited in place lands as one more snapshot of that date.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from scout_assets.domain.capture import META_PAGE, PRODUCTS_PAGE, RawSnapshot
from scout_assets.domain.failures import BrokenContract, ScoutFailure, Shrunk, Transient, contained
from scout_assets.domain.pages import page_items
from scout_assets.domain.sources import Platform, Source
from scout_assets.gateways.artifacts import Artifacts
from scout_assets.gateways.files import CaptureFile, captures, is_url, lists
from scout_assets.gateways.http import HttpGateway, Policy, Validators
from scout_assets.gateways.ledger import Ledger, Page, Snapshot
from scout_assets.gateways.price_lists import ListAccess, fetch_list, list_page
from scout_assets.gateways.storefronts import KnownPage, RawPage, crawl

__all__ = ["Fetched", "Landing", "Outcome", "Snapshots", "fetch"]


Access = Callable[[], ListAccess]
"""What is allowed for price lists; asked when one is fetched, as a setting may be wrong."""


class Outcome(StrEnum):
    """What a fetch came to."""

    LANDED = "landed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Fetched:
    """One capture as it came, not stored yet; `failure` says why it has no pages."""

    captured_at: datetime
    pages: tuple[RawPage, ...]
    failure: ScoutFailure | None = None


@dataclass(frozen=True)
class Landing:
    """What fetching one source did. `snapshot` is its newest, landed now or before.

    `failure`: the newest capture could not be read, though an earlier one landed.
    `passed_over`: captures that could not be read, and will not be, for a later one landed.
    """

    outcome: Outcome
    snapshot: Snapshot
    counters: Mapping[str, int]
    failure: ScoutFailure | None = None
    passed_over: tuple[ScoutFailure, ...] = ()


async def fetch(
    source: Source,
    http: HttpGateway,
    policy: Policy,
    now: datetime,
    last: Snapshot | None = None,
    known: Mapping[str, KnownPage] | None = None,
    counters: Counter[str] | None = None,
    access: Access = ListAccess,
) -> tuple[Fetched, ...]:
    """The captures of a source that `last` does not cover, oldest first; stores nothing.

    Each file has its own failure. Raises any ScoutFailure that concerns them all, or an address:
    NotFound, Refused, BrokenContract, Transient, ...
    """
    tally: Counter[str] = Counter() if counters is None else counters
    is_list = source.platform is Platform.PRICE_LIST
    if is_url(source.location):
        asked = source, http, policy, known or {}, tally
        pages = await (fetch_list(*asked, access()) if is_list else crawl(*asked))
        return (Fetched(now, pages),)
    allowed = access() if is_list else None
    found = captures(source.location) if allowed is None else lists(source.location, allowed.roots)
    fresh = [item for item in found if _is_fresh(item, found[-1], last)]
    tally["captures/known"] += len(found) - len(fresh)
    fetched = []
    for item in fresh:
        fetched.append(await asyncio.to_thread(_attempted, source, item, allowed))
        if isinstance(fetched[-1].failure, Transient):
            break  # it may be readable next time: later ones wait for it
    return tuple(fetched)


def _is_fresh(item: CaptureFile, newest: CaptureFile, last: Snapshot | None) -> bool:
    """Whether a capture is to be read: later than the last landed one, or the newest as it is."""
    if last is None or not item.dated:
        return True
    again = item is newest and item.captured_at == last.captured_at
    return again or item.captured_at > last.captured_at


def _attempted(source: Source, item: CaptureFile, allowed: ListAccess | None) -> Fetched:
    """A capture, or why it cannot be read; a failure names the file. `allowed` is for lists."""
    try:
        with contained(item.pages[0].name):
            if allowed is None:
                return _from_file(source, item)
            return _list_from_file(source, item, allowed.max_bytes)
    except ScoutFailure as failure:
        name, said = item.pages[0].name, str(failure)
        told = failure if name in said else _saying(failure, f"{name}: {said}")
        return Fetched(item.captured_at, (), told)


def _from_file(source: Source, item: CaptureFile) -> Fetched:
    none = Validators(None, None)
    pages = []
    for path, body in zip(item.pages, item.read(), strict=True):
        role = META_PAGE if path.name == "meta.json" else PRODUCTS_PAGE
        listed = role == PRODUCTS_PAGE
        items = page_items(source.platform, body) if listed else 0
        pages.append(RawPage(role, path.as_uri(), body, none, items))
    return Fetched(item.captured_at, tuple(pages))


def _list_from_file(source: Source, item: CaptureFile, max_bytes: int) -> Fetched:
    (path,), (body,) = item.pages, item.read(max_bytes)
    page = list_page(source, body, path.as_uri(), Validators(None, None))
    return Fetched(item.captured_at, (page,))


class Snapshots:
    """Fetched captures in artifacts and ledger."""

    def __init__(self, ledger: Ledger, artifacts: Artifacts, access: Access = ListAccess) -> None:
        self._ledger = ledger
        self._artifacts = artifacts
        self._access = access

    async def refresh(
        self,
        source: Source,
        http: HttpGateway,
        policy: Policy,
        clock: Callable[[], datetime],
        shrink_limit_pct: int | None = None,
    ) -> Landing:
        """Fetch a source and land what is new. Raises any ScoutFailure; then nothing landed.

        A failure that only some of its captures have is told in the Landing. Raises Shrunk when
        a store lost more than `shrink_limit_pct` percent of its products at once; None lets it.
        """
        counters: Counter[str] = Counter()
        last = self._ledger.latest_snapshots([source.key]).get(source.key)
        fetched = await fetch(
            source, http, policy, clock(), last, self._known_pages(last), counters, self._access
        )
        outcome = Outcome.UNCHANGED
        for capture in fetched:
            if capture.failure is not None:
                counters["captures/failed"] += 1
                continue
            # In a thread: other stores' answers need not wait for this one's disk.
            last, landed = await asyncio.to_thread(
                self._land, source, capture, last, counters, clock(), shrink_limit_pct
            )
            outcome = Outcome.LANDED if landed else outcome
        passed_over, failure = _failures(fetched)
        if failure is not None and not any(capture.pages for capture in fetched):
            raise failure
        if last is None:
            raise BrokenContract(f"{source.location} gave no capture")
        return Landing(outcome, last, counters, failure, passed_over)

    def load(self, source: str, after: int = 0, upto: int | None = None) -> tuple[RawSnapshot, ...]:
        """Landed snapshots numbered above `after` and up to `upto`, with their bytes.

        Raises Critical when an artifact is gone or damaged.
        """
        return tuple(
            RawSnapshot(
                snapshot.number,
                snapshot.hash,
                snapshot.captured_at,
                [(page.role, self._artifacts.get(page.sha256)) for page in snapshot.pages],
                snapshot.platform,
                [page.url for page in snapshot.pages],
            )
            for snapshot in self._ledger.snapshots(source, after)
            if upto is None or snapshot.number <= upto
        )

    def _known_pages(self, last: Snapshot | None) -> dict[str, KnownPage]:
        pages = last.pages if last else ()
        return {page.url: self._known_page(page) for page in pages}

    def _known_page(self, page: Page) -> KnownPage:
        validators = Validators(page.etag, page.last_modified)
        return KnownPage(validators, lambda: self._artifacts.get(page.sha256))

    def _land(
        self,
        source: Source,
        capture: Fetched,
        last: Snapshot | None,
        counters: Counter[str],
        now: datetime,
        shrink_limit_pct: int | None = None,
    ) -> tuple[Snapshot, bool]:
        """Store a capture unless its bytes equal the last; returns the newest snapshot.

        Another run may land first: then compare with what it landed, and try again. What that took
        later is the newer word: this capture is left out, or history would run backwards.
        """
        pages = tuple(self._store(page) for page in capture.pages)
        digest = Snapshot.hash_of(pages)
        while True:
            if last is not None and last.hash == digest:
                self._ledger.renew_validators(last, pages)
                counters["snapshots/unchanged"] += 1
                return last, False
            self._refuse_emptied(source, capture.pages, last)
            self._refuse_shrunk(source, capture.pages, last, shrink_limit_pct)
            counters[LISTED] = sum(page.items for page in capture.pages)
            snapshot = _next(source, last, digest, capture.captured_at, pages, counters)
            if self._ledger.land(snapshot, now):
                counters["snapshots/landed"] += 1
                return snapshot, True
            counters["snapshots/raced"] += 1
            last = self._ledger.latest_snapshots([source.key])[source.key]
            if capture.captured_at < last.captured_at:
                counters["snapshots/overtaken"] += 1
                return last, False

    def _store(self, page: RawPage) -> Page:
        return Page(
            page.role,
            page.url,
            self._artifacts.put(page.body),
            page.validators.etag,
            page.validators.last_modified,
        )

    def _listed(self, snapshot: Snapshot) -> int:
        """How many products a landed snapshot lists."""
        return sum(
            page_items(snapshot.platform, self._artifacts.get(page.sha256))
            for page in snapshot.pages
            if page.role == PRODUCTS_PAGE
        )

    def _refuse_emptied(
        self, source: Source, pages: Sequence[RawPage], last: Snapshot | None
    ) -> None:
        """A store that listed products and now lists none is closed or broken, not empty."""
        if last is None or any(page.items for page in pages) or not self._listed(last):
            return
        raise Transient(
            f"{source.location} lists no product at all, where it listed some before; "
            f"the last rows stay. If it really closed: scout sources retire {source.key}"
        )

    def _refuse_shrunk(
        self,
        source: Source,
        pages: Sequence[RawPage],
        last: Snapshot | None,
        limit_pct: int | None,
    ) -> None:
        """A store rarely drops most of what it sells; a broken reader or way there often does."""
        if last is None or limit_pct is None:
            return
        before = last.counters.get(LISTED) or self._listed(last)
        now = sum(page.items for page in pages)
        if before >= WORTH_COUNTING and 100 * (before - now) > limit_pct * before:
            raise Shrunk(
                f"{source.key}: {source.location} lists {now} items, where it listed {before}; "
                "the last rows stay. Look at it; if it is so, materialise this partition by hand"
            )


LISTED = "items/listed"
WORTH_COUNTING = 10
"""Of fewer items one page more or less is most of them."""

PASSED_OVER = (
    "; a later one has landed, so this one is passed over from now on, mended or not: "
    "history is never rewritten. Give what it should say under a later date"
)


def _failures(fetched: Sequence[Fetched]) -> tuple[tuple[ScoutFailure, ...], ScoutFailure | None]:
    """Those before the last capture that could be read, which are over, and what is wrong now."""
    newest = max((at for at, capture in enumerate(fetched) if capture.failure is None), default=-1)
    over = [c.failure for c in fetched[: max(newest, 0)] if c.failure is not None]
    now = [c.failure for c in fetched[newest + 1 :] if c.failure is not None]
    joined = _saying(now[-1], "; ".join(map(str, now))) if now else None
    return tuple(_saying(failure, f"{failure}{PASSED_OVER}") for failure in over), joined


def _saying(failure: ScoutFailure, text: str) -> ScoutFailure:
    """The same failure in other words."""
    told = type(failure)(text)
    told.__cause__ = failure.__cause__
    return told


def _next(
    source: Source,
    last: Snapshot | None,
    digest: str,
    captured_at: datetime,
    pages: tuple[Page, ...],
    counters: Mapping[str, int],
) -> Snapshot:
    """The snapshot after `last`; time never runs backwards, whatever the clocks say."""
    at = captured_at if last is None else max(captured_at, last.captured_at)
    number = 1 if last is None else last.number + 1
    return Snapshot(source.key, number, digest, at, pages, dict(counters), source.platform)
