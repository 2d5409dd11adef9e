"""The brake as Dagster shows it: ticks that wait in manual, jobs that switch the mode.

Belongs here: asking before a tick, and what a person launches in the UI. Does not belong here:
the mode (`gateways.control`), runs that were launched already (`control`, `resources`).
"""

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.tags import PRIORITY_TAG

from scout_assets.domain.control import Mode
from scout_assets.gateways.control import Control, this_process
from scout_assets.orchestration.control import end_automated, refusal
from scout_assets.orchestration.resources import ScoutHome, Web

__all__ = [
    "emergency_stop",
    "go_auto",
    "held_back",
    "only_in_auto",
    "rehearsed",
    "skipped_in_manual",
]


def skipped_in_manual(home: ScoutHome, instance: dg.DagsterInstance) -> dg.SkipReason | None:
    """Why a tick is to wait now; None in auto, where this Dagster is the one that acts."""
    why = held_back(home.open().control, instance)
    return None if why is None else dg.SkipReason(why)


def held_back(
    control: Control, instance: dg.DagsterInstance, rehearses: bool = False
) -> str | None:
    """Why nothing may act by itself here now. `rehearses`: in a dry run it says what it would do,
    by itself."""
    state = control.state()
    if not state.is_auto:
        return refusal(state)
    if state.settings.dry_run and not rehearses:
        return "setting dry_run is on: nothing acts by itself"
    storage = instance.run_storage
    shared = storage.get_run_storage_id()[:8] if isinstance(storage, SqlRunStorage) else ""
    other = control.hold(datetime.now(UTC), this_process(shared))
    if other is None:
        return None
    return (
        f"{other} runs the automation of this installation; end one of the two. "
        "This one takes over when the other is gone"
    )


def rehearsed(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    """As `only_in_auto`, for a tick that says itself what it would do in a dry run."""
    return _only_when(functools.partial(held_back, rehearses=True), evaluate)


def only_in_auto(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    """A tick that skips in manual and says why; its cursor stays, so nothing is lost.

    For functions of a context and resources, one of which is `home`.
    """

    return _only_when(held_back, evaluate)


def _only_when(
    held: Callable[[Control, dg.DagsterInstance], str | None], evaluate: Callable[..., Any]
) -> Callable[..., Any]:
    @functools.wraps(evaluate)
    def asked(context: Any, home: ScoutHome, **resources: Any) -> Any:  # noqa: ANN401
        why = held(home.open().control, context.instance)
        if why is None:
            return evaluate(context, home=home, **resources)
        return dg.SkipReason(why)

    return asked


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


@dg.job(
    description="Mode manual; automated runs that wait are cancelled, those that run are ended",
    tags={PRIORITY_TAG: "100"},
)
def emergency_stop() -> None:
    _stop()


@dg.op(name="auto")
def _auto(config: Named, home: ScoutHome, web: Web) -> None:
    home.open().control.switch(Mode.AUTO, config.by, config.reason, web.now())


@dg.job(description="Mode auto: schedules, sensors and conditions act by themselves")
def go_auto() -> None:
    _auto()
