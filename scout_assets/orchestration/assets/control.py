"""The group `control`: what an operator sees at a glance.

Belongs here: the mode, due and failing sources and budgets as observations with tables. Does not
belong here: deciding or changing any of them.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from scout_assets.domain.dispatch import WAITING_AT_MOST
from scout_assets.domain.sources import State
from scout_assets.gateways.home import Home
from scout_assets.orchestration.failsafe import failed_runs
from scout_assets.orchestration.reporting import table
from scout_assets.orchestration.resources import ScoutHome, Web

__all__ = ["control_changed", "control_panel"]

SHOWN = 50
DESCRIPTIONS: Mapping[str, str] = {
    "mode": "Whether anything acts by itself, who said so, the settings, and the last changes",
    "due": "Sources that are due now, and what was asked of Dagster and has not ended",
    "failing": "Sources whose last fetch failed: how often, why, and when they are tried again",
    "budgets": "Failed automated runs, and runs that wait, against their limits",
}
SPECS = [
    dg.AssetSpec(
        ["control", name],
        description=description,
        group_name="control",
        kinds={"sqlite"},
        owners=["team:scout"],
        tags={"scout/layer": "control"},
        code_version="1",
    )
    for name, description in DESCRIPTIONS.items()
]


@dg.multi_observable_source_asset(  # type: ignore[untyped-decorator]
    name="control_panel", specs=SPECS, can_subset=True
)
def control_panel(
    context: dg.AssetExecutionContext, home: ScoutHome, web: Web
) -> Iterator[dg.ObserveResult]:
    seen = _seen(home.open(), context.instance, web)
    for name, metadata in seen.items():
        key = dg.AssetKey(["control", name])
        if key in context.selected_asset_keys:
            yield dg.ObserveResult(
                asset_key=key, metadata=metadata, data_version=dg.DataVersion(_version(metadata))
            )


@dg.sensor(
    name="control_changed",
    target=dg.AssetSelection.groups("control"),
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Shows mode, due and failing sources and budgets anew whenever one has changed",
)
def control_changed(
    context: dg.SensorEvaluationContext, home: ScoutHome, web: Web
) -> dg.SensorResult:
    seen = _seen(home.open(), context.instance, web)
    versions = {name: _version(metadata) for name, metadata in seen.items()}
    before = dict(part.split("=") for part in (context.cursor or "").split())
    events = [
        dg.AssetObservation(dg.AssetKey(["control", name]), metadata=metadata)
        for name, metadata in seen.items()
        if before.get(name) != versions[name]
    ]
    told = ", ".join(event.asset_key.path[-1] for event in events)
    return dg.SensorResult(
        skip_reason=f"changed: {told}" if told else "nothing has changed",
        asset_events=events,
        cursor=" ".join(f"{name}={version}" for name, version in versions.items()),
    )


def _version(metadata: Mapping[str, Any]) -> str:
    return hashlib.sha256(repr(sorted(metadata.items())).encode()).hexdigest()[:16]


def _seen(home: Home, instance: dg.DagsterInstance, web: Web) -> dict[str, dict[str, Any]]:
    return {
        "mode": _mode(home),
        "due": _due(home, web),
        "failing": _failing(home),
        "budgets": _budgets(home, instance, web),
    }


def _mode(home: Home) -> dict[str, Any]:
    state = home.control.state()
    changes = map(vars, home.control.audit(10))
    settings = ({"setting": name, "value": value} for name, value in state.settings)
    return {
        "mode": state.mode.value,
        "since": "never" if state.since is None else f"{state.since:%Y-%m-%d %H:%M:%S} UTC",
        "by": state.actor,
        "reason": state.reason,
        "settings": table(settings, ("setting", "value")),
        "last changes": table(changes, ("at", "actor", "entity", "action", "reason")),
    }


def _due(home: Home, web: Web) -> dict[str, Any]:
    due, open_ = home.dispatches.due(web.now()), home.dispatches.open()
    asked = (
        {
            "dispatch": one.number,
            "sources": f"{len(one.slots)}: {', '.join(one.keys[:5])}",
            "scope": one.scope,
            "reason": one.reason,
            "requested": one.requested_at,
            "started": one.started_at,
        }
        for one in open_
    )
    return {
        "sources/due": len(due),
        "dispatches/open": len(open_),
        "due": table(map(vars, due[:SHOWN]), ("key", "scope", "reason", "priority", "slot")),
        "open": table(asked, ("dispatch", "sources", "scope", "reason", "requested", "started")),
    }


def _failing(home: Home) -> dict[str, Any]:
    active = home.ledger.sources(state=State.ACTIVE)
    failing = sorted((s for s in active if s.fetch.failures), key=lambda s: -s.fetch.failures)
    rows = (
        {
            "source": one.source.key,
            "times": one.fetch.failures,
            "failure": one.fetch.failure,
            "next attempt": one.fetch.next_attempt_at or "when declared anew, or by hand",
        }
        for one in failing[:SHOWN]
    )
    return {
        "sources/failing": len(failing),
        "sources/active": len(active),
        "failing": table(rows, ("source", "times", "failure", "next attempt")),
    }


def _budgets(home: Home, instance: dg.DagsterInstance, web: Web) -> dict[str, Any]:
    state = home.control.state()
    failed = len(failed_runs(instance, state, web.now()))
    waiting = sum(one.started_at is None for one in home.dispatches.open())
    window = f"failed automated runs in {state.settings.failure_window_minutes} minutes"
    rows = (
        {"budget": window, "used": failed, "limit": state.settings.failure_budget},
        {"budget": "dispatches that wait for their run", "used": waiting, "limit": WAITING_AT_MOST},
    )
    return {
        "runs/failed": failed,
        "dispatches/waiting": waiting,
        "budgets": table(rows, ("budget", "used", "limit")),
    }
