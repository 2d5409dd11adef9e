"""The failure budget: too many failed automated runs stop automation.

Belongs here: which failed runs count, and the sensor that counts them. Does not belong here: what
stops at once (`guard`, `assets.checks`, `assets.snapshots`), the switch itself (`gateways.home`).

A run counts when it failed for a reason of ours: not when some of its sources failed, which backs
those off, nor when it tried again those that had failed, nor for what fails elsewhere (a server
that tables are published to), nor when a person launched it, nor before automation was last
switched on.
"""

from datetime import datetime, timedelta

import dagster as dg

from scout_assets.domain.control import ControlState
from scout_assets.orchestration.control import is_automated
from scout_assets.orchestration.resources import ScoutHome, Web
from scout_assets.orchestration.tags import ELSEWHERE_TAG, SOURCES_FAILED_TAG

__all__ = ["failed_runs", "failure_budget"]

NOT_OURS = {SOURCES_FAILED_TAG, ELSEWHERE_TAG}


def failed_runs(
    instance: dg.DagsterInstance, state: ControlState, now: datetime
) -> list[dg.DagsterRun]:
    """Automated runs that failed within the window of the budget, newest first."""
    window = now - timedelta(minutes=state.settings.failure_window_minutes)
    since = window if state.since is None else max(window, state.since)
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    runs = (record.dagster_run for record in instance.get_run_records(failed))
    return [run for run in runs if is_automated(run.tags) and not NOT_OURS & run.tags.keys()]


@dg.run_failure_sensor(
    name="failure_budget",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Counts failed automated runs; more than the setting failure_budget within "
        "failure_window_minutes switch to manual. Failing sources do not count: they back off"
    ),
)
def failure_budget(context: dg.RunFailureSensorContext, home: ScoutHome, web: Web) -> None:
    opened, now = home.open(), web.now()
    state = opened.control.state()
    if not state.is_auto:
        return
    failed = failed_runs(context.instance, state, now)
    if len(failed) > state.settings.failure_budget:
        jobs = ", ".join(sorted({run.job_name for run in failed}))
        opened.control.trip(
            f"{len(failed)} automated runs failed within {state.settings.failure_window_minutes} "
            f"minutes ({jobs}), the last one {failed[0].run_id}; look at its page, mend, then "
            "`scout auto`",
            now,
        )
