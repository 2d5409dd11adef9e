"""`scout stop|auto|manual|status|settings|runs|audit`: control at the terminal.

Belongs here: arguments and printing; all but ending and listing runs works with Dagster down. Does
not belong here: the mode (`gateways.control`), how runs are ended (`orchestration.control`, the
one module of Dagster's that a command may use).
"""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from scout_assets.cli.terminal import (
    JSON_OBJECT,
    By,
    err,
    explained,
    now,
    out,
    print_json,
    print_table,
)
from scout_assets.domain.control import ControlState, Mode
from scout_assets.domain.dispatch import Dispatch
from scout_assets.domain.failures import BadConfig, ScoutFailure, contained
from scout_assets.domain.sources import State
from scout_assets.gateways.home import Home

__all__ = ["audit", "auto", "manual", "runs", "settings", "status", "stop"]

Reason = Annotated[str, typer.Option("--reason", help="Why; it ends in the audit log")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many, the newest first")]
AsJson = Annotated[bool, typer.Option("--json", help=JSON_OBJECT)]


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
def auto(
    by: By = "",
    reason: Reason = "the operator said auto",
    catch_up: Annotated[
        bool, typer.Option("--catch-up", help="Act on slots missed in manual too, once each")
    ] = False,
) -> None:
    """Let schedules, sensors and conditions act by themselves; what was missed is erased."""
    _print_state(Home.locate().control.switch(Mode.AUTO, by, reason, now(), catch_up))


@explained
def manual(by: By = "", reason: Reason = "the operator said manual") -> None:
    """Nothing new acts by itself; automated runs under way end at their next request."""
    _print_state(Home.locate().control.switch(Mode.MANUAL, by, reason, now()))


@explained
def status(as_json: AsJson = False) -> None:
    """The mode, who set it, what is due and failing, and the last changes."""
    home = Home.locate()
    state, changes = home.control.state(), home.control.audit(10)
    known, acting = home.ledger.sources(state=State.ACTIVE), home.control.acting(now())
    counts = {
        "sources": len(known),
        "due": len(home.dispatches.due(now())),
        "failing": sum(one.fetch.failures > 0 for one in known),
        "open_dispatches": len(home.dispatches.open()),
    }
    if as_json:
        told = {
            **_row(state),
            "acting": acting,
            **counts,
            "settings": state.settings.model_dump(mode="json"),
        }
        print_json({**told, "audit": [vars(entry) for entry in changes]})
        return
    _print_state(state)
    if state.is_auto:
        nobody = "nobody acts yet: if this stays for a minute, start Dagster's daemon (`make ui`)"
        out.print(nobody if acting is None else f"{acting} acts", markup=False, highlight=False)
    out.print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()))
    if changes:
        columns = ("at", "actor", "entity", "action", "reason")
        print_table("Last changes", map(vars, changes), columns)


@explained
def settings(
    change: Annotated[
        list[str] | None, typer.Argument(help="Settings to change: name=value")
    ] = None,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Show what an operator may set, or change some of it."""
    control = Home.locate().control
    if change:
        values = dict(_pair(text) for text in change)
        made = control.set(values, by, now())
    else:
        made = control.state().settings
    if as_json:
        print_json(made.model_dump(mode="json"))
        return
    rows = (
        {"setting": name, "value": getattr(made, name), "meaning": field.description}
        for name, field in type(made).model_fields.items()
    )
    print_table("Settings", rows, ("setting", "value", "meaning"))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadConfig(f"{text}: expected name=value; `scout settings` shows all")
    return name.strip(), value.strip()


@explained
def runs(limit: Limit = 20, as_json: AsJson = False) -> None:
    """What ran by itself: by what, over which sources, why, and what came of it."""
    asked = {one.number: one for one in Home.locate().dispatches.latest(10 * limit)}
    rows = [_with_dispatch(run, asked.pop(run["dispatch"], None)) for run in _launched(limit)]
    # Those that Dagster has no run of: not launched yet, or its records are gone.
    rows += [_with_dispatch({"trigger": "due_sources"}, one) for one in asked.values()]
    rows.sort(key=lambda row: str(row["requested_at"]), reverse=True)
    if as_json:
        print_json(rows[:limit])
        return
    columns = ("requested_at", "trigger", "sources", "reason", "scope", "status")
    shown = [{**row, "took": _took(row)} for row in rows[:limit]]
    print_table(f"{len(shown)} automated runs", shown, (*columns, "took", "fetched", "failed"))


def _launched(limit: int) -> list[dict[str, Any]]:
    """Dagster's own records; without them the ledger still knows what was asked."""
    from scout_assets.orchestration.control import automated_runs, dagster_instance

    try:
        with contained("Dagster's records"), dagster_instance() as instance:
            return automated_runs(instance, limit)
    except ScoutFailure as failure:
        err.print(str(failure), markup=False, highlight=False)
        return []


def _with_dispatch(run: Mapping[str, Any], dispatch: Dispatch | None) -> dict[str, Any]:
    if dispatch is None:
        return dict(run)
    keys = dispatch.keys
    return {
        "sources": keys[0] if len(keys) == 1 else f"{keys[0]}...{keys[-1]}",
        "status": dispatch.outcome or "WAITING",
        "requested_at": dispatch.requested_at,
        "started_at": dispatch.started_at,
        "ended_at": dispatch.ended_at,
        "run_id": dispatch.run_id,
        **run,
        "dispatch": dispatch.number,
        "reason": dispatch.reason,
        "scope": dispatch.scope,
        "fetched": dispatch.counters.get("sources/fetched"),
        "failed": dispatch.counters.get("sources/failed"),
        "counters": dispatch.counters,
    }


def _took(row: Mapping[str, Any]) -> str:
    started, ended = row.get("started_at"), row.get("ended_at")
    return f"{(ended - started).total_seconds():.0f} s" if started and ended else ""


@explained
def audit(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Every change of mode, setting, source and decision, by whom; nothing is ever edited."""
    changes = list(map(vars, Home.locate().control.audit(limit)))
    if as_json:
        print_json(changes)
        return
    print_table("Audit log", changes, ("number", "at", "actor", "entity", "action", "reason"))


def _row(state: ControlState) -> dict[str, Any]:
    return {"mode": state.mode, "since": state.since, "actor": state.actor, "reason": state.reason}


def _print_state(state: ControlState) -> None:
    since = "" if state.since is None else f" since {state.since:%Y-%m-%d %H:%M:%S} UTC"
    out.print(f"[bold]{state.mode}[/]{since}, by ", end="")
    out.print(f"{state.actor}: {state.reason}", markup=False, highlight=False)
