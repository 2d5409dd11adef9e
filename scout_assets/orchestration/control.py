"""The brake: what acts by itself asks first, and the emergency stop ends what runs.

Belongs here: telling automated runs from a person's, refusing and ending them, the job that a
person launches in the UI. Does not belong here: the mode itself (`gateways.control`).

A run is automated when a schedule, a sensor or a condition launched it, also through a
backfill. Keeping partitions in step with the sources is allowed in any mode. A person's run is
never refused nor ended.
"""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._cli.utils import get_possibly_temporary_instance_for_cli
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    AUTO_MATERIALIZE_TAG,
    AUTOMATION_CONDITION_TAG,
    PARTITION_NAME_TAG,
    SCHEDULE_NAME_TAG,
    SENSOR_NAME_TAG,
)

from scout_assets.domain.control import ControlState
from scout_assets.gateways.home import Home
from scout_assets.orchestration.tags import DISPATCH_TAG, TRIGGER_TAG

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


def is_automated(tags: Mapping[str, str]) -> bool:
    """Whether nobody launched the run by hand."""
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
    places they would take.
    """
    backfills = _open_backfills(instance)
    for backfill in backfills:
        instance.update_backfill(backfill.with_status(BulkActionStatus.CANCELING))
    with ThreadPoolExecutor(AT_ONCE) as threads:
        end = functools.partial(_end, instance)
        cancelled = sum(threads.map(end, _automated(instance, WAITING)))
        running = _automated(instance, UNDER_WAY)
        reached = list(threads.map(end, running))
    lost = tuple(run_id for run_id, ended in zip(running, reached, strict=True) if not ended)
    return Ended(cancelled, sum(reached), len(backfills), lost)


def automated_runs(instance: dg.DagsterInstance, limit: int) -> list[dict[str, Any]]:
    """The last runs nobody launched by hand, newest first: by what, over which sources, and how
    they stand. Times in UTC."""
    found: list[dict[str, Any]] = []
    for record in instance.get_run_records(limit=SEARCHED * limit):
        run = record.dagster_run
        if is_automated(run.tags) and len(found) < limit:
            found.append(
                {
                    "run_id": run.run_id,
                    "trigger": next((run.tags[tag] for tag in NAMING if tag in run.tags), ""),
                    "job": run.job_name,
                    "assets": sorted(key.to_user_string() for key in run.asset_selection or ()),
                    "sources": _sources(run.tags),
                    "status": run.status.value,
                    "requested_at": record.create_timestamp,
                    "started_at": _moment(record.start_time),
                    "ended_at": _moment(record.end_time),
                    "dispatch": int(run.tags.get(DISPATCH_TAG, 0)) or None,
                }
            )
    return found


SEARCHED = 20
"""So many runs by hand may stand between two automated ones."""
NAMING = (TRIGGER_TAG, SENSOR_NAME_TAG, SCHEDULE_NAME_TAG)


def _sources(tags: Mapping[str, str]) -> str:
    ends = (tags.get(ASSET_PARTITION_RANGE_START_TAG), tags.get(ASSET_PARTITION_RANGE_END_TAG))
    return tags.get(PARTITION_NAME_TAG) or "...".join(end for end in ends if end)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


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
    reached = instance.run_coordinator.cancel_run(run_id)
    now = instance.get_run_by_id(run_id)
    if now is None or now.is_finished:
        return True
    if run.status is dg.DagsterRunStatus.STARTING:
        instance.report_run_canceled(now, message="Cancelled as it started by the emergency stop.")
        return True
    return reached


def _open_backfills(instance: dg.DagsterInstance) -> list[Any]:
    wanted = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    return [found for found in instance.get_backfills(wanted) if is_automated(found.tags)]


@contextlib.contextmanager
def dagster_instance() -> Iterator[dg.DagsterInstance]:
    """Dagster's own records as the `dagster` command finds them: DAGSTER_HOME, else this folder."""
    quiet = logging.getLogger("scout.dagster")
    quiet.setLevel(logging.WARNING)
    with get_possibly_temporary_instance_for_cli("scout", logger=quiet) as instance:
        yield instance
