"""The asset `<lane>/snapshots`: the one place where a source may fail alone.

Belongs here: running the fetches of a run's partitions, and telling Dagster which landed and
which failed. Does not belong here: how a fetch goes (`gateways.snapshots`).

All good: the step returns and Dagster marks every partition. Some bad: the good ones are
logged one by one and the step raises, so that Dagster shows the bad ones as failed and no
retry mechanism asks again for what already landed. A crash over one source is a failure of that
source, with its traceback in the run's log.
"""

import asyncio
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import CODE_VERSION_TAG, DATA_VERSION_TAG

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.control import broken_for_most
from scout_assets.domain.dispatch import Reason
from scout_assets.domain.failures import (
    BadConfig,
    Crashed,
    Critical,
    ScoutFailure,
    Transient,
    contained,
)
from scout_assets.gateways.files import is_url
from scout_assets.gateways.home import Home
from scout_assets.gateways.http import HttpGateway, Stopped
from scout_assets.gateways.landed import Snapshot
from scout_assets.gateways.ledger import KnownSource
from scout_assets.gateways.snapshots import Landing, Outcome
from scout_assets.orchestration.assets.sources import SOURCES
from scout_assets.orchestration.control import stopped
from scout_assets.orchestration.guard import guarded
from scout_assets.orchestration.orders import Order
from scout_assets.orchestration.reporting import counters, in_full, table
from scout_assets.orchestration.resources import ScoutHome, Web
from scout_assets.orchestration.tags import REASON_TAG, SOURCES_FAILED_TAG

__all__ = ["VERSION", "build_snapshots", "told_later"]

VERSION = "1"

IN_A_RUN_OF_ITS_OWN = dg.BackfillPolicy(max_partitions_per_run=0)
"""A single-run policy that equals no other: a backfill puts assets of equal policies into one run,
where one failed source would stop the others' catalogue. Snapshots go first, alone; what landed
then goes on. `dagster asset materialize --partition-range` takes it for the single run it is."""
# Jobs of ours that hold both policies are single runs either way: nothing to warn about.
warnings.filterwarnings("ignore", message="Asset job .* with varying BackfillPolicies")

DESCRIPTION = """What each source gave us, unparsed: raw answers by their sha256, with ETag and
Last-Modified. A partition fails alone and keeps its last good snapshot; an unchanged answer
lands nothing. A store or server that keeps failing is left in peace until its next attempt is
due; a run of just that partition asks at once. Of a folder of dated captures what can be read
lands, and what cannot is named."""


@dataclass(frozen=True)
class _Result:
    """What a source came to: a landing, a failure, or both when only its newest capture failed."""

    key: str
    landing: Landing | None
    failure: ScoutFailure | None = None


def build_snapshots(
    kind: Kind, lane: str, partitions: dg.PartitionsDefinition[str], name: str = "snapshots"
) -> dg.AssetsDefinition:
    """The snapshots asset of one lane, under the name its people know."""

    spec = dg.AssetSpec(
        key=[lane, name],
        deps=[SOURCES],
        description=DESCRIPTION,
        group_name=lane,
        kinds={"http", "sqlite"},
        owners=["team:scout"],
        tags={"scout/layer": "raw", "scout/kind": kind.value},
        metadata={"kind": kind.value},
        code_version=VERSION,
        partitions_def=partitions,
    )

    @dg.multi_asset(
        name=f"{lane}_{name}",
        specs=[spec],
        backfill_policy=IN_A_RUN_OF_ITS_OWN,
    )
    @guarded
    def snapshots(context: dg.AssetExecutionContext, home: ScoutHome, web: Web) -> None:
        opened = home.open()
        order = Order.of(context.run.tags).begin(opened, context.run, web.now())
        known = {s.source.key: s for s in opened.ledger.sources(kind, keys=context.partition_keys)}
        asked = [known[key] for key in context.partition_keys if key in known]
        results = [_unknown(key) for key in context.partition_keys if key not in known]
        fetching = _Fetching(opened, web, order, stopped(opened, context.run.tags))
        results += asyncio.run(fetching.refresh_all(asked))
        unasked = any(isinstance(result.failure, Stopped) for result in results)
        order.end(opened, _tally(results), unasked, web.now())
        _trip_when_ours(home, opened, results, web)
        _report(context, results)

    return snapshots


@dataclass
class _Fetching:
    """The fetches of one run, `sources_at_once` at a time; no failure stops another."""

    home: Home
    web: Web
    order: Order
    stop: Callable[[], bool]

    def __post_init__(self) -> None:
        self.until = time.monotonic() + self.web.soft_limit_seconds
        self.turn = asyncio.Semaphore(self.web.sources_at_once)

    def _over(self) -> bool:
        """Asked between requests: no more of them."""
        return time.monotonic() > self.until or self.stop()

    async def refresh_all(self, asked: Sequence[KnownSource]) -> list[_Result]:
        async with self.web.gateway(self._over) as gateway:
            return list(
                await asyncio.gather(
                    *(self._in_turn(gateway, item, len(asked) == 1) for item in asked)
                )
            )

    async def _in_turn(self, gateway: HttpGateway, item: KnownSource, explicit: bool) -> _Result:
        async with self.turn:
            done = self._done(item)
            if done is not None:
                return done
            if not explicit and is_url(item.source.location) and not item.fetch.due(self.web.now()):
                return _Result(item.source.key, None, _resting(item))
            return await self._refresh(gateway, item)

    def _done(self, item: KnownSource) -> _Result | None:
        """What an earlier run of the same dispatch came to, before its process died."""
        fetch, since = item.fetch, self.order.requested_at
        if since is None or fetch.last_attempt_at is None or fetch.last_attempt_at < since:
            return None
        if fetch.failures:
            return _Result(item.source.key, None, _resting(item))
        snapshot = self.home.ledger.latest_snapshots([item.source.key]).get(item.source.key)
        if snapshot is None or item.is_new:  # declared otherwise meanwhile
            return None
        again = Landing(Outcome.UNCHANGED, snapshot, {"sources/asked_before": 1})
        return _Result(item.source.key, again)

    async def _refresh(self, gateway: HttpGateway, item: KnownSource) -> _Result:
        key, ledger, now = item.source.key, self.home.ledger, self.web.now
        scope = self.order.scope
        try:
            with contained(key):
                source = self.home.resolved(item.source)
                landing = await self.home.snapshots.refresh(
                    source, gateway, self.web.policy(self.home), now, self.order.shrink_limit_pct
                )
        except Stopped as failure:
            return _Result(key, None, failure)
        except ScoutFailure as failure:
            ledger.record_failure(key, failure, now(), scope)
            return _Result(key, None, failure)
        if landing.failure is not None:
            ledger.record_failure(key, landing.failure, now(), scope)
        else:
            remark = "; ".join(map(str, landing.passed_over)) or None
            ledger.record_success(key, now(), remark, scope)
        return _Result(key, landing, landing.failure)


def _tally(results: Sequence[_Result]) -> Counter[str]:
    """The counters of all sources together."""
    tally: Counter[str] = Counter()
    for result in results:
        tally["sources/failed"] += result.failure is not None
        tally["sources/fetched"] += result.landing is not None
        tally.update(result.landing.counters if result.landing else {})
    return tally


def _trip_when_ours(home: ScoutHome, opened: Home, results: Sequence[_Result], web: Web) -> None:
    """Stop everything when the failures are a fault of ours, and not of the sources.

    All sources asked lately are judged: a run may be of a single one.
    """
    failures = [result.failure for result in results if result.failure is not None]
    window = timedelta(minutes=opened.control.state().settings.failure_window_minutes)
    worst = [one for one in failures if isinstance(one, Critical) and not isinstance(one, Crashed)]
    why = (
        str(worst[0])
        if worst
        else broken_for_most(opened.ledger.outcomes_since(web.now() - window) if failures else ())
    )
    if why is not None:
        home.trip(why)


def _unknown(key: str) -> _Result:
    failure = BadConfig(f"no source {key!r}: declare it in sources.yaml, then run `sources`")
    return _Result(key, None, failure)


def _resting(item: KnownSource) -> ScoutFailure:
    fetch = item.fetch
    until = (
        "not asked again until its declaration changes"
        if fetch.next_attempt_at is None
        else f"next attempt after {fetch.next_attempt_at:%Y-%m-%d %H:%M} UTC"
    )
    times = "once" if fetch.failures == 1 else f"{fetch.failures} times"
    return Transient(
        f"failed {times}, {until} (materialise this partition alone to ask now): {fetch.failure}"
    )


def _report(context: dg.AssetExecutionContext, results: Sequence[_Result]) -> None:
    failed = [result for result in results if result.failure is not None]
    for result in results:
        if isinstance(result.failure, Crashed):
            context.log.error(f"{result.key}: {in_full(result.failure)}")
        if result.landing is None:
            continue
        for failure in result.landing.passed_over:
            context.log.warning(f"{result.key}: {in_full(failure)}")
        metadata = _metadata(result.landing)
        if failed:
            context.log_event(
                dg.AssetMaterialization(
                    asset_key=context.asset_key,
                    partition=result.key,
                    metadata=metadata,
                    tags=_tags(result.landing),
                )
            )
        else:
            context.add_asset_metadata(metadata, partition_key=result.key)
    if failed:
        if _is_theirs(context.run.tags, len(failed), len(results)):
            context.instance.add_run_tags(
                context.run.run_id, {SOURCES_FAILED_TAG: str(len(failed))}
            )
        raise _failure(failed, len(results))


def told_later(
    asset: dg.AssetKey, key: str, snapshot: Snapshot, landed: bool
) -> dg.AssetMaterialization:
    """How a source answered a run that ended before it was through."""
    outcome = Outcome.LANDED if landed else Outcome.UNCHANGED
    landing = Landing(outcome, snapshot, {"sources/told_later": 1})
    return dg.AssetMaterialization(
        asset,
        partition=key,
        description=f"{outcome.capitalize()}, by a run that ended before it told",
        metadata=_metadata(landing),
        tags=_tags(landing),
    )


def _is_theirs(tags: Mapping[str, str], failed: int, asked: int) -> bool:
    """Whether sources are at fault: one alone, some among others, or ones that failed before."""
    return failed < max(asked, 2) or tags.get(REASON_TAG) == Reason.RETRY


def _tags(landing: Landing) -> Mapping[str, str]:
    """A logged materialisation carries no versions by itself."""
    return {CODE_VERSION_TAG: VERSION, DATA_VERSION_TAG: landing.snapshot.hash}


def _metadata(landing: Landing) -> dict[str, Any]:
    snapshot = landing.snapshot
    return {
        "outcome": landing.outcome.value,
        "snapshot": snapshot.number,
        "captured at": dg.MetadataValue.timestamp(snapshot.captured_at),
        "sha256": snapshot.hash,
        "pages/count": len(snapshot.pages),
        "pages": table(
            [{"role": p.role, "url": p.url, "sha256": p.sha256[:12]} for p in snapshot.pages[:10]],
            ("role", "url", "sha256"),
        ),
        **counters(landing.counters),
        **({"passed over": _reasons(landing.passed_over)} if landing.passed_over else {}),
        **({"newest failed": _reasons([landing.failure])} if landing.failure else {}),
    }


def _reasons(failures: Sequence[ScoutFailure]) -> dg.MarkdownMetadataValue:
    rows = [{"failure": type(one).__name__, "reason": str(one)} for one in failures]
    return table(rows, ("failure", "reason"))


def _failure(failed: Sequence[_Result], asked: int) -> dg.Failure:
    rows = [
        {"source": r.key, "failure": type(r.failure).__name__, "reason": str(r.failure)}
        for r in failed
    ]
    lines = "\n".join(f"- {row['source']}: {row['reason']}" for row in rows)
    kinds = Counter(f"failed/{row['failure']}" for row in rows)
    crashed = sum(isinstance(result.failure, Crashed) for result in failed)
    return dg.Failure(
        description=f"{len(failed)} of {asked} sources failed; the others landed.\n{lines}",
        metadata={
            "failed sources": table(rows, ("source", "failure", "reason")),
            **kinds,
            **({"snapshots/crashed": crashed} if crashed else {}),
        },
        allow_retries=False,
    )
