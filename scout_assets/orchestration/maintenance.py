"""Maintenance as Dagster does it: the job and its sensor, and Dagster's own old runs.

Belongs here: when cleaning runs, what it shows, which runs nothing needs any more. Does not belong
here: the other steps (`gateways.maintenance`), ages (`domain.retention`), old ticks, which Dagster
removes itself (`retention` in dagster.yaml).

A run stays while it holds the last materialisation, attempt or observation of any partition, or the
last evaluation of a check: without it the partition would look missing, and be made again.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES, IN_PROGRESS_RUN_STATUSES
from dagster._core.storage.event_log import EventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from scout_assets.domain.retention import RUNS_AFTER
from scout_assets.gateways.maintenance import EXAMPLES, STEPS, Cleaned, attempted, chosen
from scout_assets.gateways.whole_files import shrink_sqlite
from scout_assets.orchestration.brake import only_in_auto
from scout_assets.orchestration.reporting import counters, in_full, table
from scout_assets.orchestration.resources import ScoutHome, Web

__all__ = [
    "CLEANUP_SECONDS",
    "build_maintenance",
    "clean_regularly",
    "clean_runs",
]

CLEANUP_SECONDS = 3600
JOB = "maintenance"
RUNS = "runs"
EVENTS = (
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_OBSERVATION,
)
"""What the state of a partition is read from."""


class MaintenanceConfig(dg.Config):
    """`dry_run` only shows what would go; `only` names the steps to take, none means all."""

    dry_run: bool = False
    only: list[str] = []  # noqa: RUF012 (pydantic copies it)


def build_maintenance(
    assets: Iterable[dg.AssetsDefinition], checks: Iterable[dg.AssetChecksDefinition]
) -> dg.JobDefinition:
    """The job `maintenance`, for the lanes' assets and checks."""
    specs = [spec for made in assets for spec in made.specs if "table" in spec.metadata]
    made_of = {(s.metadata["table"], s.metadata["kind"]): s.key for s in specs}
    check_keys = [spec.key for made in checks for spec in made.check_specs]

    @dg.op(name="clean")
    def clean(
        context: dg.OpExecutionContext, config: MaintenanceConfig, home: ScoutHome, web: Web
    ) -> None:
        opened, now = home.open(), web.now()
        runs = partial(clean_runs, context.instance, check_keys, now, config.dry_run)
        steps = {name: partial(step, opened, now, config.dry_run) for name, step in STEPS.items()}
        wanted = chosen(config.only, [*steps, RUNS])
        cleaned = [attempted(name, {**steps, RUNS: runs}[name]) for name in wanted]
        if not config.dry_run:
            for event in _changed(cleaned, made_of):
                context.log_event(event)
        for failure in (one.failure for one in cleaned if one.failure is not None):
            context.log.error(in_full(failure))
        _show(context, cleaned)

    @dg.job(
        name=JOB,
        description=(
            "Removes what nobody needs any more: products vanished 30 days ago, orphans, artifacts "
            "no row points at, old runs of Dagster … `dry_run` shows what would go"
        ),
    )
    def maintenance() -> None:
        clean()

    return maintenance


def _changed(
    cleaned: Sequence[Cleaned], made_of: Mapping[tuple[str, str], dg.AssetKey]
) -> Iterator[dg.AssetMaterialization]:
    """Slices that lost rows are new: automation carries that on to what derives from them."""
    for name, kind, source in (each for one in cleaned for each in one.slices):
        key = made_of.get((name, kind))
        if key is not None:
            yield dg.AssetMaterialization(
                key, partition=source, description="Forgot what vanished 30 days ago"
            )


def _show(context: dg.OpExecutionContext, cleaned: Sequence[Cleaned]) -> None:
    """Metadata of the step; raises dg.Failure with them, naming the steps that failed."""
    rows = [
        {
            "step": one.step,
            "removed": one.removed,
            "bytes": one.size,
            "examples": one.examples,
            "failure": one.failure,
        }
        for one in cleaned
    ]
    tally = {f"{one.step}/{what}": count for one in cleaned for what, count in one.counts.items()}
    shown: dict[str, Any] = {
        "cleaned": table(rows, ("step", "removed", "bytes", "examples", "failure")),
        "bytes": sum(one.size for one in cleaned),
        **counters(tally),
    }
    failed = {one.step: one.failure for one in cleaned if one.failure is not None}
    if failed:
        told = [f"steps that failed: {', '.join(failed)}"]
        told += [f"{step}: {failure}" for step, failure in failed.items()]
        raise dg.Failure("\n".join(told), shown, allow_retries=False)
    context.add_output_metadata(shown)


def clean_regularly(seconds: int = CLEANUP_SECONDS) -> dg.SensorDefinition:
    """Cleans every so many seconds; a sensor, for a schedule knows no such interval."""

    @dg.sensor(
        name="clean_regularly",
        job_name=JOB,
        minimum_interval_seconds=seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Runs `maintenance` every {seconds} s (CLEANUP_INTERVAL)",
    )
    @only_in_auto
    def regularly(
        context: dg.SensorEvaluationContext, home: ScoutHome
    ) -> dg.RunRequest | dg.SkipReason:
        under_way = dg.RunsFilter(job_name=JOB, statuses=IN_PROGRESS_RUN_STATUSES)
        if context.instance.get_runs_count(under_way):
            return dg.SkipReason("the last cleaning is still going on")
        return dg.RunRequest()

    return regularly


# Dagster's runs


def clean_runs(
    instance: dg.DagsterInstance,
    checks: Sequence[dg.AssetCheckKey],
    now: datetime,
    dry_run: bool = False,
) -> Cleaned:
    """Runs that ended 7 days ago and that nothing needs, with their events, check results, logs."""
    before = now - RUNS_AFTER
    over = dg.RunsFilter(statuses=FINISHED_STATUSES, updated_before=before)
    ended = list(instance.get_run_ids(over))
    needed = _needed(instance, checks, before) if ended else set()
    old = [run_id for run_id in ended if run_id not in needed]
    seen = _remove_observations(instance.event_log_storage, before, dry_run)
    size = sum(_remove(instance, run_id, dry_run) for run_id in old)
    if old and not dry_run:
        _remove_check_results(instance, old)
        size += _shrink(instance)
    counts = {"runs": len(old), **({"observations": seen} if seen else {})}
    return Cleaned(RUNS, counts, size, old[:EXAMPLES])


def _needed(
    instance: dg.DagsterInstance, checks: Sequence[dg.AssetCheckKey], before: datetime
) -> set[str]:
    """Runs from before that time that hold the last event of its kind of any partition."""
    storage = instance.event_log_storage
    evaluated = storage.get_latest_asset_check_execution_by_key(checks)
    needed = {record.run_id for record in evaluated.values()}
    for key in instance.all_asset_keys():
        for kind in EVENTS:
            last = storage.get_latest_storage_id_by_partition(key, kind)
            # Not partitioned, or partly not: the very last one counts too.
            needed |= _runs_of(instance, dg.EventRecordsFilter(kind, key), limit=1)
            if last:
                of_partitions = dg.EventRecordsFilter(
                    kind, key, storage_ids=list(last.values()), before_timestamp=before.timestamp()
                )
                needed |= _runs_of(instance, of_partitions)
    return needed


def _runs_of(
    instance: dg.DagsterInstance, wanted: dg.EventRecordsFilter, limit: int | None = None
) -> set[str]:
    found = instance.event_log_storage.get_event_records(wanted, limit=limit)
    return {record.run_id for record in found}


def _remove(instance: dg.DagsterInstance, run_id: str, dry_run: bool) -> int:
    """Bytes of its files. The run's row goes last: a killed cleaning finds it again."""
    files = [path for place in _places(instance, run_id) for path in _below(place)]
    size = sum(path.stat().st_size for path in files)
    if not dry_run:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        _remove_events(instance.event_log_storage, run_id)
        for place in _places(instance, run_id):
            shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
        instance.run_storage.delete_run(run_id)
    return size


def _remove_events(storage: EventLogStorage, run_id: str) -> None:
    """In SQLite each run's stand in a file of its own, which goes whole; the others in one."""
    if not isinstance(storage, SqliteEventLogStorage):
        storage.delete_events(run_id)
        return
    with storage.index_connection() as connection:
        storage.delete_events_for_run(connection, run_id)


def _places(instance: dg.DagsterInstance, run_id: str) -> list[Path]:
    """Files and folders of one run."""
    places = [Path(instance.storage_directory(), run_id)]
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        shard = storage.path_for_shard(run_id)
        places += [Path(f"{shard}{journal}") for journal in ("", "-wal", "-shm")]
    return places


def _below(place: Path) -> list[Path]:
    """A file, or those in a folder."""
    return [path for path in (place, *place.rglob("*")) if path.is_file()]


def _remove_check_results(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> None:
    """Dagster keeps those of deleted runs; none of these is a check's last."""
    storage = instance.event_log_storage
    if isinstance(storage, SqlEventLogStorage):
        gone = AssetCheckExecutionsTable.c.run_id.in_(run_ids)
        with storage.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(gone))


def _remove_observations(storage: EventLogStorage, before: datetime, dry_run: bool) -> int:
    """What sensors observed 7 days ago belongs to no run; the last of each partition stays."""
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    events = SqlEventLogStorageTable
    kind = dg.DagsterEventType.ASSET_OBSERVATION.value
    runless = (events.c.run_id == "") & (events.c.dagster_event_type == kind)
    with storage.index_connection() as connection:
        found = connection.execute(events.select().where(runless).order_by(events.c.id)).fetchall()
        last = {(event.asset_key, event.partition): event.id for event in found}
        limit = before.replace(tzinfo=None)
        kept = set(last.values())
        ids = [e.id for e in found if e.timestamp < limit and e.id not in kept]
        for at in range(0, 0 if dry_run else len(ids), BATCH):
            connection.execute(events.delete().where(events.c.id.in_(ids[at : at + BATCH])))
    return len(ids)


BATCH = 500


def _shrink(instance: dg.DagsterInstance) -> int:
    """Bytes won in Dagster's own files; only while no other run writes into them."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        return 0
    if instance.get_runs_count(dg.RunsFilter(statuses=IN_PROGRESS_RUN_STATUSES)) > 1:
        return 0
    index = Path(storage.path_for_shard("index"))
    return sum(shrink_sqlite(path) for path in (index, index.parent.parent / "runs.db"))
