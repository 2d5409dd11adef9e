"""The asset `<lane>/snapshots`: the one place where a source may fail alone.

Belongs here: running the fetches of a run's partitions, and telling Dagster which landed and
which failed. Does not belong here: how a fetch goes (`gateways.snapshots`).

All good: the step returns and Dagster marks every partition. Some bad: the good ones are
logged one by one and the step raises, so that Dagster shows the bad ones as failed and no
retry mechanism asks again for what already landed. A crash over one source is a failure of that
source, with its traceback in the run's log.
"""

import asyncio
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import CODE_VERSION_TAG, DATA_VERSION_TAG

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BadConfig, Crashed, ScoutFailure, Transient, contained
from scout_assets.gateways.files import is_url
from scout_assets.gateways.home import Home
from scout_assets.gateways.http import HttpGateway, Stopped
from scout_assets.gateways.ledger import KnownSource
from scout_assets.gateways.snapshots import Landing
from scout_assets.orchestration.assets.sources import SOURCES
from scout_assets.orchestration.control import stopped
from scout_assets.orchestration.reporting import counters, in_full, table
from scout_assets.orchestration.resources import ScoutHome, Web

__all__ = ["VERSION", "build_snapshots"]

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
    def snapshots(context: dg.AssetExecutionContext, home: ScoutHome, web: Web) -> None:
        opened = home.open()
        known = {s.source.key: s for s in opened.ledger.sources(kind, keys=context.partition_keys)}
        asked = [known[key] for key in context.partition_keys if key in known]
        unknown = [_unknown(key) for key in context.partition_keys if key not in known]
        _report(
            context,
            unknown
            + asyncio.run(_refresh_all(opened, web, asked, stopped(opened, context.run.tags))),
        )

    return snapshots


async def _refresh_all(
    home: Home, web: Web, asked: Sequence[KnownSource], stop: Callable[[], bool]
) -> list[_Result]:
    """Fetch all sources, `sources_at_once` at a time; no failure stops another."""
    turn = asyncio.Semaphore(web.sources_at_once)
    explicit = len(asked) == 1

    async def one(item: KnownSource) -> _Result:
        async with turn:
            if not explicit and is_url(item.source.location) and not item.fetch.due(web.now()):
                return _Result(item.source.key, None, _resting(item))
            return await _refresh(home, web, gateway, item)

    async with web.gateway(stop) as gateway:
        return list(await asyncio.gather(*(one(item) for item in asked)))


async def _refresh(home: Home, web: Web, gateway: HttpGateway, item: KnownSource) -> _Result:
    key = item.source.key
    try:
        with contained(key):
            source = home.resolved(item.source)
            landing = await home.snapshots.refresh(source, gateway, web.policy(home), web.now)
    except Stopped as failure:
        return _Result(key, None, failure)
    except ScoutFailure as failure:
        home.ledger.record_failure(key, failure, web.now())
        return _Result(key, None, failure)
    if landing.failure is not None:
        home.ledger.record_failure(key, landing.failure, web.now())
    else:
        remark = "; ".join(map(str, landing.passed_over)) or None
        home.ledger.record_success(key, web.now(), remark)
    return _Result(key, landing, landing.failure)


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
        raise _failure(failed, len(results))


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
