"""`scout stop|auto|manual|status`: the brake at the terminal, with Dagster up or down.

Belongs here: arguments and printing. Does not belong here: the mode (`gateways.control`), how
runs are ended (`orchestration.control`, the one module of Dagster's that a command may use).
"""

from typing import Annotated, Any

import typer

from scout_assets.cli.terminal import err, explained, now, out, print_json, print_table
from scout_assets.domain.control import ControlState, Mode
from scout_assets.gateways.home import Home

__all__ = ["auto", "manual", "status", "stop"]

By = Annotated[str, typer.Option("--by", envvar="SCOUT_ACTOR", help="Who says so")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it ends in the audit log")]


@explained
def stop(by: By = "", reason: Reason = "emergency stop") -> None:
    """Stop at once: mode manual, automated runs cancelled and ended."""
    state = Home.locate().control.switch(Mode.MANUAL, by, reason, now())
    _print_state(state)  # first of all: from here on every automated act refuses
    from scout_assets.orchestration.control import dagster_instance, end_automated

    try:
        with dagster_instance() as instance:
            ended = end_automated(instance)
    except Exception as error:
        err.print(f"Dagster's runs could not be reached: {error}", markup=False, highlight=False)
        err.print("nothing starts by itself any more; runs under way end at their next request")
        raise typer.Exit(1) from error
    out.print(
        f"{ended.cancelled} waiting runs cancelled, {ended.terminated} ended, "
        f"{ended.backfills} backfills cancelled"
    )
    for run_id in ended.unreachable:
        err.print(f"run {run_id} did not answer: its process is gone, or on another machine")


@explained
def auto(by: By = "", reason: Reason = "the operator said auto") -> None:
    """Let schedules, sensors and conditions act by themselves."""
    _print_state(Home.locate().control.switch(Mode.AUTO, by, reason, now()))


@explained
def manual(by: By = "", reason: Reason = "the operator said manual") -> None:
    """Nothing new acts by itself; automated runs under way end at their next request."""
    _print_state(Home.locate().control.switch(Mode.MANUAL, by, reason, now()))


@explained
def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object")] = False,
) -> None:
    """The mode, who set it, and the last changes."""
    control = Home.locate().control
    state, changes = control.state(), control.audit(10)
    if as_json:
        print_json({**_row(state), "audit": [vars(entry) for entry in changes]})
        return
    _print_state(state)
    if changes:
        print_table("Last changes", map(vars, changes), ("at", "actor", "action", "reason"))


def _row(state: ControlState) -> dict[str, Any]:
    return {"mode": state.mode, "since": state.since, "actor": state.actor, "reason": state.reason}


def _print_state(state: ControlState) -> None:
    since = "" if state.since is None else f" since {state.since:%Y-%m-%d %H:%M:%S} UTC"
    out.print(f"[bold]{state.mode}[/]{since}, by ", end="")
    out.print(f"{state.actor}: {state.reason}", markup=False, highlight=False)
