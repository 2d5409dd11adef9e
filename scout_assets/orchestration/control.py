"""The brake: what acts by itself asks first, and the emergency stop ends what runs.

Belongs here: telling automated runs from a person's, refusing and ending them, the job that a
person launches in the UI. Does not belong here: the mode itself (`gateways.control`).

A run is automated when a schedule, a sensor or a condition launched it, also through a
backfill. Keeping partitions in step with the sources is allowed in any mode. A person's run is
never refused nor ended.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._cli.utils import get_possibly_temporary_instance_for_cli
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.storage.tags import (
    AUTO_MATERIALIZE_TAG,
    AUTOMATION_CONDITION_TAG,
    SCHEDULE_NAME_TAG,
    SENSOR_NAME_TAG,
)

from scout_assets.domain.control import ControlState
from scout_assets.gateways.home import Home

__all__ = ["Ended", "dagster_instance", "end_automated", "is_automated", "refusal", "stopped"]

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


def is_automated(tags: Mapping[str, str]) -> bool:
    """Whether nobody launched the run by hand."""
    in_step = tags.get("scout/trigger") == IN_STEP
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
    cancelled = sum(_cancel(instance, run) for run in list(_automated(instance, WAITING)))
    running = [run.run_id for run in _automated(instance, UNDER_WAY)]
    reached = {run_id for run_id in running if _end(instance, run_id)}
    lost = tuple(run_id for run_id in running if run_id not in reached)
    return Ended(cancelled, len(reached), len(backfills), lost)


def _automated(
    instance: dg.DagsterInstance, statuses: tuple[dg.DagsterRunStatus, ...]
) -> Iterator[dg.DagsterRun]:
    for run in instance.get_runs(dg.RunsFilter(statuses=list(statuses))):
        if is_automated(run.tags):
            yield run


def _cancel(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Cancel a run that waits; one event, for each costs a tenth of a second."""
    now = instance.get_run_by_id(run.run_id)
    if now is None or now.status is not dg.DagsterRunStatus.QUEUED:  # dequeued meanwhile
        return _end(instance, run.run_id)
    instance.report_run_canceled(run, message="Cancelled in the queue by the emergency stop.")
    return True


def _end(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether the run was reached; one that just ended by itself counts."""
    if instance.run_coordinator.cancel_run(run_id):
        return True
    run = instance.get_run_by_id(run_id)
    return run is None or run.is_finished


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
