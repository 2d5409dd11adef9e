"""What runs by itself for suppliers: master list, watched folders, analysis jobs.

Belongs here: when Dagster launches what, and the small jobs a person may launch. Does not
belong here: what they do (`gateways`), the lane (`assets.suppliers`).
"""

import asyncio
import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import dagster as dg

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BadConfig, ScoutFailure
from scout_assets.domain.jobs import OPEN_PHASES, Job, Phase
from scout_assets.domain.sources import Source, State
from scout_assets.gateways.files import is_url
from scout_assets.gateways.home import Home
from scout_assets.gateways.readers import analysis
from scout_assets.gateways.watched import look_at
from scout_assets.orchestration.assets.sources import MASTER_LIST, register_partitions
from scout_assets.orchestration.brake import only_in_auto, skipped_in_manual
from scout_assets.orchestration.intervals import interval
from scout_assets.orchestration.reporting import table
from scout_assets.orchestration.resources import ScoutHome, Web

__all__ = [
    "SYNC_INTERVAL_HOURS",
    "analysis_jobs",
    "master_sync",
    "retry_analysis",
    "sync_hours",
    "watched_lists",
]

SYNC_INTERVAL_HOURS = 8
ITEMS = dg.AssetSelection.assets(
    *([["suppliers", name] for name in ("supplier_items", "list_sheets", "quarantine")])
)
ANALYSES = dg.AssetKey(["suppliers", "analyses"])
AFTER_ITEMS = [
    dg.AssetKey(["suppliers", "matches"]),
    dg.AssetKey(["suppliers", "drafts"]),
]


def sync_hours(environment: Mapping[str, str]) -> int:
    """SYNC_INTERVAL_HOURS, else the default. Raises BadConfig for what is no number."""
    return interval(environment, "SYNC_INTERVAL_HOURS", SYNC_INTERVAL_HOURS, "hours")


EVEN_HOURS = tuple(hours for hours in range(1, 25) if 24 % hours == 0)
"""Others would leave a shorter gap at midnight: cron starts counting anew every day."""


def master_sync(hours: int = SYNC_INTERVAL_HOURS) -> dg.ScheduleDefinition:
    """Takes the master list over every so many hours, a divisor of 24.

    Raises BadConfig for another number.
    """
    if hours not in EVEN_HOURS:
        known = ", ".join(map(str, EVEN_HOURS))
        raise BadConfig(f"SYNC_INTERVAL_HOURS is {hours}: expected a divisor of 24 ({known})")

    @dg.schedule(
        name="master_sync",
        target=dg.AssetSelection.assets(MASTER_LIST),
        cron_schedule=f"0 */{hours} * * *" if hours < 24 else "0 0 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Takes the suppliers' master list over every {hours} hours",
    )
    @only_in_auto
    def every_so_often(context: dg.ScheduleEvaluationContext, home: ScoutHome) -> dg.RunRequest:
        return dg.RunRequest()

    return every_so_often


@dg.sensor(
    name="watched_lists",
    target=dg.AssetSelection.assets(["suppliers", "price_lists"]),
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Fetches a supplier's list when its file below SCOUT_WATCH_ROOTS has changed and is whole "
        "(size and time the same at two looks)"
    ),
)
@only_in_auto
def watched_lists(
    context: dg.SensorEvaluationContext, home: ScoutHome
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    opened = home.open()
    try:
        roots = opened.watch_roots
        look = look_at(roots, context.cursor)
    except ScoutFailure as failure:
        yield dg.SkipReason(f"{type(failure).__name__}: {failure}")
        return
    if not roots:
        yield dg.SkipReason("no folder is watched: set SCOUT_WATCH_ROOTS")
        return
    unclaimed = set(look.fresh)
    for source in _suppliers(opened, context.instance):
        changed = [path for path in look.fresh if _holds(source, path)]
        unclaimed.difference_update(changed)
        if changed:
            yield dg.RunRequest(
                run_key=f"{source.key}:{_state(changed)}",
                partition_key=source.key,
                tags={"scout/trigger": "watched_lists"},
            )
    context.update_cursor(look.cursor)
    if look.refused:
        context.log.warning("refused: " + "; ".join(look.refused))
    if unclaimed:
        context.log.warning(f"{NOBODYS}: {', '.join(map(str, sorted(unclaimed)))}")
    if len(unclaimed) == len(look.fresh):
        yield dg.SkipReason(NOBODYS if unclaimed else "nothing has changed")


NOBODYS = (
    "files that belong to no supplier have changed (a supplier's lists are its location or lie in "
    "that folder, not in one below it)"
)


def _suppliers(home: Home, instance: dg.DagsterInstance) -> list[Source]:
    """The active ones, made partitions first: a request for an unknown one would fail the tick."""
    register_partitions(home, instance)
    return [known.source for known in home.ledger.sources(Kind.SUPPLIER, State.ACTIVE)]


def _state(paths: Sequence[Path]) -> str:
    """A digest of where the files are, their sizes and times; one that vanished adds none."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(paths):
        with contextlib.suppress(FileNotFoundError):
            found = path.stat()
            digest.update(os.fsencode(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0"))
    return digest.hexdigest()


def _holds(source: Source, path: Path) -> bool:
    """Whether a changed file is the source's list, or lies in its folder."""
    if is_url(source.location):
        return False
    place = Path(source.location).resolve()
    return place in (path, path.parent)


@dg.sensor(
    name="analysis_jobs",
    target=ITEMS | dg.AssetSelection.assets(*AFTER_ITEMS),
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Asks the ML service how far it is: each change of a job's phase or progress is an "
        "observation of `suppliers/analyses`, and in auto what is complete becomes supplier items"
    ),
)
def analysis_jobs(
    context: dg.SensorEvaluationContext, home: ScoutHome, web: Web
) -> dg.SensorResult | dg.SkipReason:
    opened = home.open()
    interval, now = opened.courier_settings.poll_interval_seconds, web.now().timestamp()
    asked_at, seen = _memory(context.cursor)
    if now - asked_at < interval:
        return dg.SkipReason(f"asks every {interval:g} s")
    happened: Counter[str] = Counter()
    if opened.courier.jobs(phases=tuple(OPEN_PHASES)):
        asyncio.run(opened.courier.poll(happened))
    found = (analysis(opened, source) for source in _suppliers(opened, context.instance))
    jobs = [job for job in found if job is not None]
    states = {job.job_id: [job.attempts, job.phase.value, job.progress] for job in jobs}
    complete = [_items_of(job) for job in jobs if job.phase is Phase.COMPLETE]
    none = dg.SkipReason(f"no job is complete ({dict(happened) or 'none is open'})")
    # A person hands lists over in any mode, and may ask in any how far they are.
    waits = skipped_in_manual(home, context.instance) if complete else none
    return dg.SensorResult(
        run_requests=[] if waits else complete,
        skip_reason=waits,
        asset_events=[_observed(job) for job in jobs if states[job.job_id] != seen.get(job.job_id)],
        cursor=json.dumps({"asked": now, "jobs": states}),
    )


def _memory(cursor: str | None) -> tuple[float, Mapping[str, object]]:
    """When the service was asked last, and how the jobs stood then."""
    try:
        memory = json.loads(cursor or "{}")
        return float(memory.get("asked", 0)), memory.get("jobs", {})
    except (ValueError, AttributeError, TypeError):
        return 0.0, {}  # of another version: everything is told once more


def _items_of(job: Job) -> dg.RunRequest:
    """The same job asks once: a run key is remembered."""
    return dg.RunRequest(
        run_key=f"{job.job_id}:{job.attempts}",
        partition_key=job.source,
        tags={"scout/trigger": "analysis_jobs", "scout/job": job.job_id},
    )


def _observed(job: Job) -> dg.AssetObservation:
    metadata = {
        "job": job.job_id,
        "phase": job.phase.value,
        "progress": job.progress,
        "attempts": job.attempts,
        "error": job.error or "",
    }
    return dg.AssetObservation(ANALYSES, partition=job.source, metadata=metadata)


class RetryConfig(dg.Config):
    """Failed jobs to attempt again; none means every one that may well pass next time."""

    job_ids: list[str] = []  # noqa: RUF012 (pydantic copies it)


@dg.op(name="retry")
def _retry(context: dg.OpExecutionContext, config: RetryConfig, home: ScoutHome) -> None:
    opened = home.open()
    jobs = asyncio.run(opened.courier.retry_all(config.job_ids, Counter()))
    rows = ({"job": job.job_id, "phase": job.phase, "error": job.error} for job in jobs)
    context.add_output_metadata({"jobs": table(rows, ("job", "phase", "error"))})


@dg.job(description="Hands failed lists to the ML service again")
def retry_analysis() -> None:
    _retry()
