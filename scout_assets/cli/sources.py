"""`scout sources`: the places we watch.

Belongs here: listing and changing declarations. Does not belong here: what is declared
(`domain.sources`), keeping it (`gateways.ledger`).
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from scout_assets.cli.terminal import (
    By,
    err,
    explained,
    named,
    now,
    out,
    print_json,
    print_table,
)
from scout_assets.domain.failures import BadConfig
from scout_assets.domain.sources import Platform, Source, SyncPlan
from scout_assets.gateways.files import declared_sources
from scout_assets.gateways.home import Home
from scout_assets.gateways.ledger import KnownSource
from scout_assets.gateways.supplier_list import sync_suppliers

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The places we watch.")


@app.command("list")
@explained
def list_sources(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list")] = False,
) -> None:
    """Show every known source, its state and what ails it."""
    home = Home.locate()
    known = home.ledger.sources()
    latest = home.ledger.latest_snapshots([item.source.key for item in known])
    rows = [_source_row(item) for item in known]
    for row in rows:
        page = latest[row["key"]].pages[0] if row["key"] in latest else None
        row["last_etag"] = page.etag if page else None
        row["last_modified"] = page.last_modified if page else None
    if as_json:
        print_json(rows)
        return
    columns = ("key", "kind", "state", "platform", "last_success_at", "failures", "failure")
    print_table(f"{len(rows)} sources", rows, columns)


def _source_row(item: KnownSource) -> dict[str, Any]:
    return {
        **item.source.model_dump(mode="json"),
        "state": item.state.value,
        "origin": item.origin,
        "overrides": item.overrides,
        "last_attempt_at": item.fetch.last_attempt_at,
        "last_success_at": item.fetch.last_success_at,
        "next_attempt_at": item.fetch.next_attempt_at,
        "failures": item.fetch.failures,
        "failure": item.fetch.failure,
    }


@app.command("add")
@explained
def add_source(
    key: Annotated[str, typer.Argument(help="Immutable slug, such as my-roaster")],
    platform: Annotated[Platform, typer.Argument(help="What the store runs on")],
    location: Annotated[str, typer.Argument(help="Address, file or folder of captures")],
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other field: --set currency=EUR --set use_llm=true"),
    ] = None,
    by: By = "",
) -> None:
    """Add a source by hand; sources.yaml is the better place for what should last."""
    declared = dict(_setting(text) for text in setting or [])
    declared |= {"key": key, "platform": platform.value, "location": _absolute(location)}
    Home.locate().ledger.add(Source.read(declared, "command line"), now(), named(by))
    out.print(f"added {key}; in auto it is asked at once, else materialise catalogue/sources first")


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadConfig(f"{text}: expected field=value")
    return name, value


def _absolute(location: str) -> str:
    """Paths are kept absolute: runs may start in another folder."""
    path = Path(location).expanduser()
    return str(path.resolve()) if path.exists() else location


@app.command("set")
@explained
def set_fields(
    key: Annotated[str, typer.Argument(help="Key of the source")],
    setting: Annotated[list[str], typer.Argument(help="field=value, such as price_cadence=@daily")],
    by: By = "",
) -> None:
    """Set fields of a source over what its list declares; a sync leaves them as they are."""
    Home.locate().ledger.override(key, dict(map(_setting, setting)), now(), named(by))
    out.print(f"set {', '.join(setting)} of {key}", markup=False, highlight=False)


@app.command("unset")
@explained
def unset_fields(
    key: Annotated[str, typer.Argument(help="Key of the source")],
    field: Annotated[list[str], typer.Argument(help="Fields to take from the list again")],
    by: By = "",
) -> None:
    """Take fields of a source from its list again."""
    Home.locate().ledger.override(key, dict.fromkeys(field), now(), named(by))
    out.print(f"{', '.join(field)} of {key} as its list says", markup=False, highlight=False)


@app.command("retire")
@explained
def retire_source(
    key: Annotated[str, typer.Argument(help="Key of the source")], by: By = ""
) -> None:
    """Stop watching a source, declared or not; its rows stay. Revive takes it back."""
    Home.locate().ledger.retire(key, now(), named(by))
    out.print(f"retired {key}; its rows stay")


@app.command("revive")
@explained
def revive_source(
    key: Annotated[str, typer.Argument(help="Key of the source")], by: By = ""
) -> None:
    """Watch a retired source again."""
    Home.locate().ledger.revive(key, now(), named(by))
    out.print(f"revived {key}")


@app.command("sync")
@explained
def sync_sources(by: By = "") -> None:
    """Take sources.yaml over, and the suppliers' master list where SCOUT_MASTER_LIST names one."""
    home = Home.locate()
    plan = home.ledger.sync(declared_sources(home.sources_file), now(), actor=named(by))
    out.print(f"{home.sources_file.name}: {_counts(plan)}")
    synced = sync_suppliers(home, now())
    if synced is None:
        return
    out.print(f"master list: {_counts(synced.plan)}, {len(synced.bad_rows)} bad rows")
    for bad in synced.bad_rows:
        err.print(f"row {bad.row}: {bad.reason}", markup=False, highlight=False)


def _counts(plan: SyncPlan) -> str:
    counts = {
        "added": len(plan.added),
        "changed": len(plan.changed),
        "revived": len(plan.revived),
        "retired": len(plan.retired),
        "unchanged": len(plan.unchanged),
    }
    return ", ".join(f"{count} {name}" for name, count in counts.items())
