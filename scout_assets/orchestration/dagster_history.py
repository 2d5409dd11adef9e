"""Dagster's own records carried from files to a server: what ran, and what people switched.

Belongs here: runs that ended, with their events, partitions, sensors and schedules as people set
them. Does not belong here: our own tables (`gateways.moving`).

A run is written the way `dagster debug import` does, its events first and in their order; what an
interrupted carrying left of one is written anew. Cursors stay behind: they count what is stored
where they were made, so sensors and conditions count from now on.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus
from dagster._core.storage.dagster_run import FINISHED_STATUSES, RunRecord
from dagster_postgres import DagsterPostgresStorage

from scout_assets.domain.catalogue import Kind
from scout_assets.gateways.home import DAGSTER_SCHEMA
from scout_assets.gateways.postgres import Postgres
from scout_assets.orchestration.control import dagster_instance

__all__ = ["carry_from_here", "carry_history"]


def carry_from_here(url: str, told: Callable[[int, int], None]) -> int:
    """`carry_history` of what the `dagster` command finds in this folder."""
    with dagster_instance() as instance:
        return carry_history(instance, url, told)


def carry_history(old: dg.DagsterInstance, url: str, told: Callable[[int, int], None]) -> int:
    """Carry all that is not there yet; returns how many runs were.

    `told`: after each run, how many of how many are there. Raises what the server's drivers do.
    """
    server = Postgres(url, DAGSTER_SCHEMA)
    server.make_schema("Dagster's storage")
    new = DagsterPostgresStorage(server.address("psycopg2"))
    for kind in Kind:
        known = list(old.get_dynamic_partitions(kind.value))
        new.event_log_storage.add_dynamic_partitions(kind.value, known)
    _switches(old, new)
    ended = dg.RunsFilter(statuses=list(FINISHED_STATUSES))
    records = old.get_run_records(ended, ascending=True)
    carried = 0
    for place, record in enumerate(records, start=1):
        carried += _run(old, new, record)
        told(place, len(records))
    return carried


def _run(old: dg.DagsterInstance, new: DagsterPostgresStorage, record: RunRecord) -> bool:
    """Whether the run was not there, or not whole."""
    run = record.dagster_run
    events = old.all_logs(run.run_id)
    there = new.event_log_storage.get_logs_for_run(run.run_id)
    if new.run_storage.has_run(run.run_id) and len(there) == len(events):
        return False
    new.event_log_storage.delete_events(run.run_id)
    new.run_storage.delete_run(run.run_id)
    _snapshots(old, new, run)
    for event in events:
        new.event_log_storage.store_event(event)
    new.run_storage.add_historical_run(run, record.create_timestamp)
    for event in events:
        if event.dagster_event is not None:
            at = datetime.fromtimestamp(event.timestamp, UTC)
            new.run_storage.handle_run_event(run.run_id, event.dagster_event, at)
    return True


def _snapshots(old: dg.DagsterInstance, new: DagsterPostgresStorage, run: dg.DagsterRun) -> None:
    """What the run was of: the UI draws its graph from that."""
    runs = new.run_storage
    if run.job_snapshot_id and not runs.has_job_snapshot(run.job_snapshot_id):
        runs.add_job_snapshot(old.get_job_snapshot(run.job_snapshot_id))
    plan = run.execution_plan_snapshot_id
    if plan and not runs.has_execution_plan_snapshot(plan):
        runs.add_execution_plan_snapshot(old.get_execution_plan_snapshot(plan))


def _switches(old: dg.DagsterInstance, new: DagsterPostgresStorage) -> None:
    """Sensors and schedules that people switched on or off."""
    for state in old.all_instigator_state():
        set_by_hand = state.status is not InstigatorStatus.DECLARED_IN_CODE
        ids = state.instigator_origin_id, state.selector_id
        if set_by_hand and new.schedule_storage.get_instigator_state(*ids) is None:
            bare = InstigatorState(state.origin, state.instigator_type, state.status)
            new.schedule_storage.add_instigator_state(bare)
