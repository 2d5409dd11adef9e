"""What is due becomes runs: the sensor `due_sources`.

Belongs here: what is asked of Dagster for a dispatch, and what became of its run. Does not belong
here: which sources are due (`gateways.dispatch`), what a run does (`assets.snapshots`), what was
left behind (`behind`).

The tick of `due_sources` reads the ledger only, never the network. A run brings snapshots; what
landed is carried on by `flow_on`, for exactly the partitions that landed.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import dagster as dg
from dagster._core.storage.tags import (
    MAX_RUNTIME_SECONDS_TAG,
    PRIORITY_TAG,
    RUN_KEY_TAG,
    WILL_RETRY_TAG,
)
from dagster._time import get_current_timestamp

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.control import ControlState
from scout_assets.domain.dispatch import WAITING_AT_MOST, Dispatch, Reason
from scout_assets.gateways.control import runs_here, this_process
from scout_assets.gateways.home import Home
from scout_assets.orchestration.assets.snapshots import told_later
from scout_assets.orchestration.assets.sources import register_partitions
from scout_assets.orchestration.brake import rehearsed
from scout_assets.orchestration.control import WAITING, is_automated
from scout_assets.orchestration.resources import ScoutHome, Web
from scout_assets.orchestration.tags import (
    DISPATCH_TAG,
    HARD_LIMIT_SECONDS,
    REASON_TAG,
    SCOPE_TAG,
    TRIGGER_TAG,
    range_tags,
)

__all__ = ["ASKING", "LONGEST_WAIT", "due_sources", "over"]

ASKED = {
    Kind.ROASTER: dg.AssetKey(["roasters", "snapshots"]),
    Kind.SUPPLIER: dg.AssetKey(["suppliers", "price_lists"]),
}
ASKING = {
    kind: dg.define_asset_job(
        f"ask_{asset.path[0]}",
        dg.AssetSelection.assets(asset),
        description=f"Asks for what they have: `{asset.to_user_string()}` alone. `flow_on` follows",
    )
    for kind, asset in ASKED.items()
}
"""The job of each lane that asks its sources."""

LONGEST_WAIT = timedelta(hours=1)
"""An automated run that waited longer is not run any more, as the old system had it."""
TO_APPEAR = timedelta(minutes=2)


@dg.sensor(
    name="due_sources",
    jobs=list(ASKING.values()),
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Asks the sources whose cadence says so, that are new, that may be tried again after a "
        "failure, or that have changed: one run per range of neighbours. In auto only"
    ),
)
@rehearsed
def due_sources(
    context: dg.SensorEvaluationContext, home: ScoutHome, web: Web
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    opened, now = home.open(), web.now()
    state = opened.control.state()
    if state.settings.dry_run:
        due = opened.dispatches.due(now)
        some = ", ".join(f"{one.key} ({one.reason})" for one in due[:20])
        yield dg.SkipReason(f"dry_run: would ask {len(due)} sources: {some or 'none'}")
        return
    partitions = register_partitions(opened, context.instance)
    _expire(context.instance)
    waiting = _settled(opened, context.instance, web, state, partitions)
    if context.cursor is None or not runs_here(context.cursor):
        context.update_cursor(this_process())
        if opened.trigger_on_startup:
            opened.dispatches.ask(None, Reason.STARTUP, now)
    for kind in ASKING:
        room = WAITING_AT_MOST - len(waiting)
        waiting += opened.dispatches.claim(kind, partitions[kind], now, state.missed_before, room)
    yield from map(_request, waiting)
    if not waiting:
        yield dg.SkipReason("no source is due")


def _request(dispatch: Dispatch) -> dg.RunRequest:
    """The run of a dispatch; asked again until it has begun, it is one run by its key."""
    keys = dispatch.keys
    tags = {
        TRIGGER_TAG: "due_sources",
        DISPATCH_TAG: str(dispatch.number),
        SCOPE_TAG: dispatch.scope.value,
        REASON_TAG: dispatch.reason.value,
        PRIORITY_TAG: str(dispatch.priority),
        MAX_RUNTIME_SECONDS_TAG: str(HARD_LIMIT_SECONDS),
    }
    return over(keys, ASKING[Kind(dispatch.kind)].name, dispatch.run_key, tags)


def over(keys: Sequence[str], job: str, run_key: str, tags: Mapping[str, str]) -> dg.RunRequest:
    """One run of a job over neighbouring partitions."""
    one = len(keys) == 1
    return dg.RunRequest(
        run_key=run_key,
        job_name=job,
        partition_key=keys[0] if one else None,
        tags={**tags, **({} if one else range_tags(keys))},
    )


def _settled(
    home: Home,
    instance: dg.DagsterInstance,
    web: Web,
    state: ControlState,
    partitions: Mapping[Kind, Sequence[str]],
) -> list[Dispatch]:
    """Dispatches that still wait for their run; the others that have not ended are closed.

    What a person cancelled in auto waits for its next slot. Anything else is due again, since its
    own slot: whether that was missed in manual is decided where sources are claimed.
    """
    waiting, now = [], web.now()
    for one in home.dispatches.open():
        stopped = state.since is not None and one.requested_at < state.since
        ended = _ended(instance, one) if now - one.requested_at > TO_APPEAR else None
        if ended is None and one.started_at and now - one.started_at > 2 * LONGEST_WAIT:
            ended = "LOST"
        if ended is not None:
            _tell_of_landed(home, instance, one)
            cancelled = ended == dg.DagsterRunStatus.CANCELED.value and not stopped
            close = home.dispatches.end if cancelled else home.dispatches.lost
            close(one.number, ended, now)
        elif one.started_at is not None:
            continue  # it goes on
        elif stopped or not set(one.keys) <= set(partitions[Kind(one.kind)]):
            home.dispatches.lost(one.number, "WITHDRAWN", now)
        else:
            waiting.append(one)
    return waiting


def _tell_of_landed(home: Home, instance: dg.DagsterInstance, dispatch: Dispatch) -> None:
    """A run tells Dagster how sources answered when it is through; of one that never was, we do, so
    that automation carries it on."""
    landed = home.ledger.answered_since(dispatch.keys, dispatch.requested_at)
    for key, snapshot in home.ledger.latest_snapshots(list(landed)).items():
        event = told_later(ASKED[Kind(dispatch.kind)], key, snapshot, landed[key])
        instance.report_runless_asset_event(event)


def _ended(instance: dg.DagsterInstance, dispatch: Dispatch) -> str | None:
    """How the runs of a dispatch ended; None while one goes on, or when there is none."""
    runs = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: dispatch.run_key}))
    if not runs or any(not run.is_finished for run in runs):
        return None
    if runs[0].tags.get(WILL_RETRY_TAG) == "true":
        return None  # Dagster is about to repeat it, under the same key
    if any(run.tags.get(EXPIRED_TAG) for run in runs):
        return "EXPIRED"
    return runs[0].status.value


EXPIRED_TAG = "scout/expired"


def _expire(instance: dg.DagsterInstance) -> None:
    """Cancel automated runs that waited in the queue for too long."""
    since = get_current_timestamp() - LONGEST_WAIT.total_seconds()
    for record in instance.get_run_records(dg.RunsFilter(statuses=list(WAITING))):
        run = record.dagster_run
        if record.create_timestamp.timestamp() < since and is_automated(run.tags):
            instance.add_run_tags(run.run_id, {EXPIRED_TAG: "true"})
            instance.report_run_canceled(run, message="Waited in the queue for over an hour.")
