"""Jobs a person launches in the UI to switch the mode: stop everything, or let it run by itself.

Belongs here: the jobs. Does not belong here: how runs are ended (`control`).
"""

import dagster as dg

from scout_assets.domain.control import Mode
from scout_assets.orchestration.control import end_automated
from scout_assets.orchestration.resources import ScoutHome, Web

__all__ = ["emergency_stop", "go_auto"]


class Named(dg.Config):
    """Who says so, and why: both end in the audit log."""

    by: str
    reason: str = "launched in the UI"


@dg.op(name="stop")
def _stop(context: dg.OpExecutionContext, config: Named, home: ScoutHome, web: Web) -> None:
    home.open().control.switch(Mode.MANUAL, config.by, config.reason, web.now())
    ended = end_automated(context.instance)
    context.add_output_metadata(
        {
            "runs/cancelled": ended.cancelled,
            "runs/terminated": ended.terminated,
            "backfills/cancelled": ended.backfills,
            "unreachable": ", ".join(ended.unreachable) or "none",
        }
    )


@dg.job(description="Mode manual; automated runs that wait are cancelled, those that run are ended")
def emergency_stop() -> None:
    _stop()


@dg.op(name="auto")
def _auto(config: Named, home: ScoutHome, web: Web) -> None:
    home.open().control.switch(Mode.AUTO, config.by, config.reason, web.now())


@dg.job(description="Mode auto: schedules, sensors and conditions act by themselves")
def go_auto() -> None:
    _auto()
