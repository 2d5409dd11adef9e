"""The brake: what acts by itself asks first, and the emergency stop ends what runs.

Belongs here: telling automated runs from a person's, listing, refusing and ending them. Does not
belong here: the mode itself (`gateways.control`), ticks and the jobs of the UI (`brake`).

A run is automated when a schedule, a sensor or a condition launched it, also through a
backfill. Keeping partitions in step with the sources is allowed in any mode. A person's run is
never refused nor ended.
"""

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._cli.utils import get_possibly_temporary_instance_for_cli
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.storage.tags import (
    AUTO_MATERIALIZE_TAG,
    AUTOMATION_CONDITION_TAG,
    PARENT_RUN_ID_TAG,
    RETRY_NUMBER_TAG,
    SCHEDULE_NAME_TAG,
    SENSOR_NAME_TAG,
)

from scout_assets.domain.control import ControlState
from scout_assets.gateways.home import Home
from scout_assets.orchestration.tags import DISPATCH_TAG, TRIGGER_TAG, partition_range

__all__ = [
    "Ended",
    "automated_runs",
    "dagster_instance",
    "end_automated",
    "is_automated",
    "refusal",
    "stopped",
]

AUTOMATED = (
    SCHEDULE_NAME_TAG,
    SENSOR_NAME_TAG,
    AUTO_MATERIALIZE_TAG,
    AUTOMATION_CONDITION_TAG,
)
IN_STEP = "sources_changed"
WAITING = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.MANAGED,
)
UNDER_WAY = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED)
AT_ONCE = 8
"""Runs ended at the same time: each waits for its events to be written, and for its process."""
LOOKS = 4
BETWEEN_LOOKS = 0.5
PAGE = 100


def is_automated(tags: Mapping[str, str]) -> bool:
    """Whether nobody launched the run by hand; a person who repeats a run launches it."""
    if PARENT_RUN_ID_TAG in tags and RETRY_NUMBER_TAG not in tags:
        return False
    in_step = tags.get(TRIGGER_TAG) == IN_STEP
    return not in_step and any(tag in tags for tag in AUTOMATED)


def refusal(state: ControlState) -> str:
    """Why nothing acts by itself now, and the mend."""
    since = "" if state.since is None else f" since {state.since:%Y-%m-%d %H:%M} UTC"
    return (
        f"mode is manual{since} by {state.actor} ({state.reason}): nothing acts by itself; "
        "`scout auto --by NAME` changes that, and what you launch by hand always runs"
    )


def stopped(home: Home, tags: Mapping[str, str]) -> Callable[[], bool]:
    """The signal that ends a run's fetches: it is asked between requests."""
    if not is_automated(tags):
        return lambda: False
    return lambda: not home.control.state().is_auto


@dataclass(frozen=True)
class Ended:
    """Automated work that a stop ended. `unreachable`: runs whose process did not answer."""

    cancelled: int = 0
    terminated: int = 0
    backfills: int = 0
    unreachable: tuple[str, ...] = ()


def end_automated(instance: dg.DagsterInstance) -> Ended:
    """Cancel queued automated runs, end running ones, and cancel automated backfills.

    Backfills go first, so that they launch nothing more; queued runs before running ones, whose
    places they would take. Then it looks again: the daemon may have let a run leave the queue, or
    launched one for a tick under way, at the same moment.
    """
    backfills = _open_backfills(instance)
    for backfill in backfills:
        instance.update_backfill(backfill.with_status(BulkActionStatus.CANCELING))
    ended = Ended(backfills=len(backfills))
    for _ in range(LOOKS):
        waiting = _end_all(instance, _automated(instance, WAITING))
        running = _end_all(instance, _automated(instance, UNDER_WAY))
        if not waiting and not running:
            break
        ended = Ended(
            ended.cancelled + sum(waiting.values()),
            ended.terminated + sum(running.values()),
            ended.backfills,
            tuple(run_id for run_id, reached in running.items() if not reached),
        )
        time.sleep(BETWEEN_LOOKS)
    return ended


def _end_all(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> dict[str, bool]:
    """Run → whether it was reached."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        reached = threads.map(functools.partial(_end, instance), run_ids)
        return dict(zip(run_ids, reached, strict=True))


def _automated(
    instance: dg.DagsterInstance, statuses: tuple[dg.DagsterRunStatus, ...]
) -> list[str]:
    found = instance.get_runs(dg.RunsFilter(statuses=list(statuses)))
    return [run.run_id for run in found if is_automated(run.tags)]


def _end(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether the run was reached; one that just ended by itself counts.

    One that has not begun is cancelled at once: its process, if there is one yet, looks before
    it begins, and loading our code takes it longer than a stop may last.
    """
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return True
    if run.status in WAITING:
        instance.report_run_canceled(run, message="Cancelled in the queue by the emergency stop.")
        return True
    reached = _asked_to_end(instance, run_id)
    now = instance.get_run_by_id(run_id)
    if now is None or now.is_finished:
        return True
    if run.status is dg.DagsterRunStatus.STARTING:
        instance.report_run_canceled(now, message="Cancelled as it started by the emergency stop.")
        return True
    return reached


def _asked_to_end(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Ask its process; a code server that does not know the run keeps no other from ending."""
    try:
        return instance.run_coordinator.cancel_run(run_id)
    except dg.DagsterError:
        return False


def _open_backfills(instance: dg.DagsterInstance) -> list[Any]:
    wanted = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    return [found for found in instance.get_backfills(wanted) if is_automated(found.tags)]


def automated_runs(instance: dg.DagsterInstance, limit: int) -> list[dict[str, Any]]:
    """The newest runs that nobody launched by hand, newest first."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(found) < limit:
        records = instance.get_run_records(limit=PAGE, cursor=cursor)
        found += [_told(record) for record in records if is_automated(record.dagster_run.tags)]
        if len(records) < PAGE:
            break
        cursor = records[-1].dagster_run.run_id
    return found[:limit]


def _told(record: dg.RunRecord) -> dict[str, Any]:
    run, tags = record.dagster_run, record.dagster_run.tags
    number = tags.get(DISPATCH_TAG)
    return {
        "trigger": tags.get(TRIGGER_TAG) or next(tags[tag] for tag in AUTOMATED if tag in tags),
        "job": run.job_name,
        "assets": sorted(key.to_user_string() for key in run.asset_selection or ()),
        "sources": "...".join(dict.fromkeys(partition_range(tags) or ())),
        "dispatch": int(number) if number else None,
        "status": run.status.value,
        "requested_at": record.create_timestamp.astimezone(UTC),
        "started_at": _moment(record.start_time),
        "ended_at": _moment(record.end_time),
        "run_id": run.run_id,
    }


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


@contextlib.contextmanager
def dagster_instance() -> Iterator[dg.DagsterInstance]:
    """Dagster's own records as the `dagster` command finds them: DAGSTER_HOME, else this folder."""
    quiet = logging.getLogger("scout.dagster")
    quiet.setLevel(logging.WARNING)
    with get_possibly_temporary_instance_for_cli("scout", logger=quiet) as instance:
        yield instance
