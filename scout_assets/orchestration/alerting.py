"""The sensors of alerts: one looks whether something went wrong, one delivers.

Belongs here: reading Dagster's records for failed runs, failed checks and stalled sensors, and
when alerts go out. Does not belong here: keeping alerts (`gateways.alerts`), sending them
(`gateways.channels`), prices (`assets.price_alerts`).

Both are on in any mode: they act on nothing, and that automation was stopped must be heard.

One sensor of ours in place of Dagster's `run_failure_sensor`: that one passes over a failure for
good when its own evaluation fails, and does not see runs launched at a terminal. Here the cursor
moves when the alerts are in the outbox, whose keys make looking twice harmless.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import dagster as dg
from dagster import DagsterEventType as Ends
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.events import DagsterEvent
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    TickStatus,
)
from dagster._core.storage.tags import WILL_RETRY_TAG
from dagster._time import get_current_timestamp
from dagster_shared.error import SerializableErrorInfo

from scout_assets.domain.alerts import FAILED_TICKS, Alert, Severity, stalled_after
from scout_assets.domain.cadence import slot_after
from scout_assets.domain.sources import State
from scout_assets.gateways.alerts import Pass
from scout_assets.gateways.home import Home
from scout_assets.gateways.ledger import KnownSource
from scout_assets.orchestration.control import is_automated
from scout_assets.orchestration.resources import ScoutHome, Web
from scout_assets.orchestration.tags import partition_range, partitions_of

__all__ = ["deliver_alerts", "watch_over"]

LOOK_BACK = timedelta(days=1)
"""How far a sensor that was never evaluated looks back for runs."""
RUNS_AT_ONCE = 50
MANY = 10
FIRST_LINES = 8
PRICE_CHECK = "price_change"
"""Its findings are price alerts themselves, each told once."""
GOOD = [TickStatus.SUCCESS, TickStatus.SKIPPED]
DEFAULT_INTERVAL = timedelta(seconds=30)


@dg.sensor(
    name="deliver_alerts",
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Sends alerts that a channel has not got yet: log, webhook, Slack, e-mail "
        "(SCOUT_ALERT_…). A channel that fails rests, and what it lacks follows later"
    ),
)
def deliver_alerts(context: dg.SensorEvaluationContext, home: ScoutHome, web: Web) -> dg.SkipReason:
    opened = home.open()
    found = opened.channels
    passes = opened.alerts.deliver(found.channels, web.now)
    for one in passes:
        if one.failure is not None:
            context.log.warning(_came_to(one))
    told = [_came_to(one) for one in passes if one.sent or one.failed or one.failure]
    told += [str(problem) for problem in found.problems]
    return dg.SkipReason("; ".join(told) or "nothing to deliver")


def _came_to(one: Pass) -> str:
    parts = [f"{one.channel}: {len(one.sent)} sent"] if one.sent else [f"{one.channel}:"]
    if one.failed:
        parts.append(f"{one.failed} failed for good, see `scout alerts list`")
    if one.failure is not None:
        until = one.next_attempt_at
        parts.append(one.failure + ("" if until is None else f" (next try {until:%H:%M:%S} UTC)"))
    return " ".join(parts)


@dg.sensor(
    name="watch_over",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Raises an alert when a run or a check fails, when a source begins to fail, and when a "
        "sensor or schedule that is switched on stalls; one message for each, until it is well "
        "again"
    ),
)
def watch_over(context: dg.SensorEvaluationContext, home: ScoutHome, web: Web) -> dg.SkipReason:
    memory = _Memory.read(context.cursor).awake(get_current_timestamp())
    watch = _Watch(context, home.open(), web.now())
    raised = [*watch.instigators(memory), *watch.sources()]
    found, memory = watch.runs(memory)
    raised += found
    context.update_cursor(memory.text())
    return dg.SkipReason("; ".join(alert.subject for alert in raised) or "all is well")


@dataclass(frozen=True)
class _Memory:
    """The sensor's cursor: when it looked last, since when without a gap, and which runs.

    Times in seconds since the epoch, by Dagster's clock.
    """

    looked: float = 0.0
    since: float = 0.0
    failure: int | None = None
    success: int | None = None

    @classmethod
    def read(cls, cursor: str | None) -> "_Memory":
        try:
            return cls(**json.loads(cursor or "{}"))
        except (ValueError, TypeError):
            return cls()  # of another version: keys keep what it tells again from going out

    def text(self) -> str:
        return json.dumps(asdict(self))

    def awake(self, now: float) -> "_Memory":
        """After a gap nobody was evaluated, so that nobody's silence before now counts."""
        gap = timedelta(seconds=now - self.looked) > stalled_after()
        return _Memory(now, now if gap else self.since, self.failure, self.success)


@dataclass(frozen=True)
class _Watch:
    """One look at everything. `now` dates what is raised."""

    context: dg.SensorEvaluationContext
    home: Home
    now: datetime

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.context.instance

    # Sources

    def sources(self) -> tuple[Alert, ...]:
        """One message when sources begin to fail; none for their later failures."""
        active = self.home.ledger.sources(state=State.ACTIVE)
        failing = {known.source.key: known for known in active if known.fetch.failures}
        return self.home.alerts.follow(
            "source", failing, lambda new: [self._failing([failing[key] for key in new])], self.now
        )

    def _failing(self, new: Sequence[KnownSource]) -> Alert:
        names = [known.source.key for known in new]
        lines = [f"- {known.source.key}: {known.fetch.failure}" for known in new[:MANY]]
        more = [f"and {len(new) - MANY} more; see catalogue/sources"] if len(new) > MANY else []
        permanent = any(known.fetch.failure_permanent for known in new)
        return Alert(
            f"source:{_few(names)}:{self.now:%Y%m%dT%H%M%SZ}",
            Severity.ERROR if permanent else Severity.WARNING,
            f"{'source' if len(new) == 1 else f'{len(new)} sources'} failing: {_few(names)}",
            "\n".join([*lines, *more]),
        )

    # Runs and their checks

    def runs(self, memory: _Memory) -> tuple[list[Alert], _Memory]:
        """What the runs that ended since the last look came to, in the order of their ends."""
        failed = self._ended(Ends.RUN_FAILURE, memory.failure)
        good = self._ended(Ends.RUN_SUCCESS, memory.success)
        ended = {record.run_id: record for record in (*failed, *good)}
        known = self.instance.get_runs(dg.RunsFilter(run_ids=list(ended))) if ended else []
        runs = {run.run_id: run for run in known if self._is_ours(run)}
        raised: list[Alert] = []
        for record in sorted((*failed, *good), key=lambda one: one.storage_id):
            run, event = runs.get(record.run_id), record.event_log_entry.dagster_event
            if run is not None:
                raised += self._checks(run)
                raised += self._failure(run, event) if event and event.is_run_failure else ()
        last = [records[-1].storage_id if records else None for records in (failed, good)]
        return raised, _Memory(
            memory.looked, memory.since, last[0] or memory.failure, last[1] or memory.success
        )

    def _ended(
        self, event: Literal[Ends.RUN_FAILURE, Ends.RUN_SUCCESS], after: int | None
    ) -> Sequence[dg.EventLogRecord]:
        """Ends of runs after the one numbered `after`, oldest first."""
        since = None if after is not None else get_current_timestamp() - LOOK_BACK.total_seconds()
        wanted = dg.RunStatusChangeRecordsFilter(
            event, after_storage_id=after, after_timestamp=since
        )
        found = self.instance.fetch_run_status_changes(wanted, RUNS_AT_ONCE, ascending=True)
        return found.records

    def _is_ours(self, run: dg.DagsterRun) -> bool:
        """Runs launched at a terminal belong to no code location; they are ours too."""
        here, origin = self.context.code_location_origin, run.remote_job_origin
        if here is None or origin is None:
            return True
        there = origin.repository_origin.code_location_origin
        return bool(there.location_name == here.location_name)

    def _failure(self, run: dg.DagsterRun, event: DagsterEvent) -> tuple[Alert, ...]:
        if run.tags.get(WILL_RETRY_TAG) == "true":
            return ()
        why = self._why(run, event)
        if why is None:
            return ()
        launched = "by itself" if is_automated(run.tags) else "by hand"
        about = _about(run)
        alert = Alert(
            f"run:{run.run_id}",
            Severity.ERROR,
            f"run failed: {run.job_name}{about and f' ({about})'}",
            f"run {run.run_id}, launched {launched}\n{why}",
        )
        return (alert,) if self.home.alerts.raise_(alert, self.now) else ()

    def _why(self, run: dg.DagsterRun, event: DagsterEvent) -> str | None:
        """The first lines of the error; None for sources alone, and for what the brake refused."""
        records = self.instance.get_records_for_run(
            run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE
        ).records
        steps = [record.event_log_entry.dagster_event for record in records]
        failures = [step.step_failure_data for step in steps if step is not None]
        if failures and all(_is_of_sources(failure) for failure in failures):
            return None
        lines = [f"{step.step_key}: {_said(step.step_failure_data)}" for step in steps if step]
        lines = lines or [_of_run(event)]
        if any("not run: mode is manual" in line for line in lines):
            return None
        return "\n".join("\n".join(lines).splitlines()[:FIRST_LINES])

    def _checks(self, run: dg.DagsterRun) -> Iterator[Alert]:
        """A message for each check that begins to fail for a source; known failures are silent."""
        records = self.instance.get_records_for_run(
            run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ).records
        for record in records:
            event = record.event_log_entry.dagster_event
            found = None if event is None else event.asset_check_evaluation_data
            if found is not None and found.check_name != PRICE_CHECK:
                yield from self._check(run, found)

    def _check(self, run: dg.DagsterRun, found: dg.AssetCheckEvaluation) -> Sequence[Alert]:
        name = f"{found.asset_key.to_user_string()}: {found.check_name}"

        def told(new: Sequence[str]) -> Iterator[Alert]:
            error = found.severity is dg.AssetCheckSeverity.ERROR
            yield Alert(
                f"check:{name}:{run.run_id}",
                Severity.ERROR if error else Severity.WARNING,
                f"check failed: {name} ({_few(new)})",
                f"{found.description or 'no description'}\nrun {run.run_id}",
            )

        return self.home.alerts.follow(
            f"check {name}", _failing_sources(found), told, self.now, self._looked_at(run, found)
        )

    def _looked_at(
        self, run: dg.DagsterRun, found: dg.AssetCheckEvaluation
    ) -> Collection[str] | None:
        """The sources a check was about; None means all."""
        kind = found.asset_key.path[0].removesuffix("s")  # a lane is called after its kind
        # A range whose end is retired holds none: nothing is known to be well again.
        return partitions_of(run.tags, self.instance.get_dynamic_partitions(kind))

    # Sensors and schedules

    def instigators(self, memory: _Memory) -> tuple[Alert, ...]:
        """One message when a sensor or schedule that is switched on stalls."""
        stalled = {
            state.name: why
            for state, since in self._switched_on()
            if (why := self._stall(state, max(since, memory.since))) is not None
        }

        def told(new: Sequence[str]) -> Iterator[Alert]:
            for name in new:
                key = f"stalled:{name}:{self.now:%Y%m%dT%H%M%SZ}"
                yield Alert(key, Severity.ERROR, f"{name} has stalled", stalled[name])

        return self.home.alerts.follow("stalled", stalled, told, self.now)

    def _switched_on(self) -> Iterator[tuple[InstigatorState, float]]:
        """Each with the time since when it is on."""
        here = self.context.code_location_origin
        for state in self.instance.all_instigator_state(
            instigator_statuses={InstigatorStatus.RUNNING, InstigatorStatus.DECLARED_IN_CODE}
        ):
            there = state.origin.repository_origin.code_location_origin
            if here is not None and there.location_name != here.location_name:
                continue
            data = state.instigator_data
            names = ("last_sensor_start_timestamp", "start_timestamp")
            started = [getattr(data, name, None) or 0.0 for name in names]
            if self._definition(state) is not None:
                yield state, max(started)

    def _definition(
        self, state: InstigatorState
    ) -> dg.SensorDefinition | dg.ScheduleDefinition | None:
        """What it is in this code; None when it is gone, or no longer on by default."""
        repository = self.context.repository_def
        if repository is None:
            return None
        defined: Mapping[str, dg.SensorDefinition | dg.ScheduleDefinition] = (
            {one.name: one for one in repository.sensor_defs}
            if state.instigator_type is InstigatorType.SENSOR
            else {one.name: one for one in repository.schedule_defs}
        )
        found = defined.get(state.name)
        if found is None or state.status is InstigatorStatus.RUNNING:
            return found
        return found if found.default_status.value == InstigatorStatus.RUNNING.value else None

    def _stall(self, state: InstigatorState, since: float) -> str | None:
        """Why it counts as stalled; `since`: silence before that does not count."""
        origin, selector = state.instigator_origin_id, state.selector_id
        recent = self.instance.get_ticks(origin, selector, limit=FAILED_TICKS)
        failed = [tick for tick in recent if tick.status is TickStatus.FAILURE]
        if len(failed) == FAILED_TICKS:
            return f"its last {FAILED_TICKS} ticks failed: {_of_error(failed[0].error)}"
        good = self.instance.get_ticks(origin, selector, limit=1, statuses=GOOD)
        last = good[0].timestamp if good else 0.0
        overdue = self._overdue(state, datetime.fromtimestamp(max(last, since), UTC))
        if overdue is None:
            return None
        told = f"{datetime.fromtimestamp(last, UTC):%Y-%m-%d %H:%M:%S} UTC" if last else "never"
        return f"last good tick {told}; {overdue}. Is the daemon busy? See its ticks in the UI"

    def _overdue(self, state: InstigatorState, since: datetime) -> str | None:
        now = datetime.fromtimestamp(get_current_timestamp(), UTC)
        found = self._definition(state)
        if isinstance(found, dg.ScheduleDefinition):
            crons = found.cron_schedule
            zone = found.execution_timezone or "UTC"
            slots = [crons] if isinstance(crons, str) else crons
            slot = min(slot_after(since, cron, zone) for cron in slots)
            late = now - slot > stalled_after()
            return f"it was due at {slot:%Y-%m-%d %H:%M} UTC" if late else None
        seconds = found.minimum_interval_seconds if found is not None else None
        interval = timedelta(seconds=seconds) if seconds else DEFAULT_INTERVAL
        late = now - since > stalled_after(interval)
        return f"it is due every {interval.total_seconds():g} s" if late else None


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return ", ".join(names[:MANY]) + more


def _about(run: dg.DagsterRun) -> str:
    """The partition or range of a run."""
    return "…".join(dict.fromkeys(partition_range(run.tags) or ()))


def _failing_sources(found: dg.AssetCheckEvaluation) -> list[str]:
    """Names in the check's metadata; a check without them is about everything."""
    if found.passed:
        return []
    named = found.metadata.get("failing sources")
    return str(named.value).split(", ") if named is not None else ["all"]


def _is_of_sources(failure: StepFailureData) -> bool:
    """Whether nothing but sources failed: each is told once by its own failures."""
    told = failure.user_failure_data
    return told is not None and "failed sources" in told.metadata


def _said(failure: StepFailureData) -> str:
    told = failure.user_failure_data
    if told is not None and told.description:
        return str(told.description)
    return _of_error(failure.error)


def _of_run(event: DagsterEvent) -> str:
    data = event.event_specific_data
    error = getattr(data, "error", None)
    return _of_error(error) if error is not None else event.message or "no error is on record"


def _of_error(error: SerializableErrorInfo | None) -> str:
    """What the innermost cause says."""
    if error is None:
        return "no error is on record"
    while error.cause is not None:
        error = error.cause
    return error.message.strip()
