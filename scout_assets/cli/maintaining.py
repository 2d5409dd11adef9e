"""`scout clean|backup|restore|migrate`: keeping an installation small and safe, or moving it.

Belongs here: arguments and printing. Does not belong here: what goes (`gateways.maintenance`), what
a backup holds (`gateways.backup`), how it is moved (`gateways.moving`), Dagster's own runs (the job
`maintenance`).
"""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from scout_assets.cli.terminal import By, err, explained, now, out, print_json, print_table
from scout_assets.domain.failures import BadConfig, ScoutFailure, contained
from scout_assets.domain.tables import SEARCH_DOCUMENTS
from scout_assets.gateways.backup import backup as back_up
from scout_assets.gateways.backup import restore as put_back
from scout_assets.gateways.home import Home, open_warehouse
from scout_assets.gateways.maintenance import STEPS, Cleaned
from scout_assets.gateways.maintenance import clean as clean_home
from scout_assets.gateways.moving import Moved, move
from scout_assets.gateways.postgres import Postgres

__all__ = ["backup", "clean", "migrate", "restore"]

MIGRATE_TO = "SCOUT_MIGRATE_TO"

COLUMNS = ("step", "removed", "bytes", "examples", "failure")


@explained
def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help=f"One step, of {', '.join(STEPS)}; may be repeated")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list")] = False,
) -> None:
    """Remove what nobody needs any more; old runs of Dagster go with its job `maintenance`."""
    cleaned = clean_home(Home.locate(), now(), only or [], dry_run)
    if as_json:
        print_json([_row(one) | {"counts": dict(one.counts)} for one in cleaned])
    else:
        print_table("Would be removed" if dry_run else "Removed", map(_row, cleaned), COLUMNS)
    failed = [one.step for one in cleaned if one.failure is not None]
    if failed:
        err.print(f"steps that failed: {', '.join(failed)}", markup=False, highlight=False)
        raise typer.Exit(1)


def _row(one: Cleaned) -> dict[str, Any]:
    return {
        "step": one.step,
        "removed": one.removed,
        "bytes": one.size,
        "examples": list(one.examples),
        "failure": None if one.failure is None else str(one.failure),
    }


@explained
def backup(
    place: Annotated[
        Path, typer.Argument(help="Folder to make; in one that is there, one named by the time")
    ],
    artifacts: Annotated[
        bool, typer.Option("--artifacts", help="The raw bytes too, from which all can be replayed")
    ] = False,
) -> None:
    """Back warehouse and ledger up, while runs go on."""
    home = Home.locate()
    folder = back_up(home, place.expanduser().resolve(), now(), artifacts)
    out.print(f"backup in {folder}", markup=False, highlight=False, soft_wrap=True)
    if not artifacts:
        said = f"without artifacts; they stay in {home.artifacts_url} (or: --artifacts)"
        out.print(said, markup=False, highlight=False, soft_wrap=True)


@explained
def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that `scout backup` made")],
    by: By = "",
) -> None:
    """Put a backup in place, in manual mode; what was there is kept beside."""
    restored = put_back(Home.locate(), folder.expanduser().resolve(), by, now())
    out.print(f"restored as of {restored.manifest.created_at:%Y-%m-%d %H:%M:%S} UTC, mode manual")
    said = f"what was there is kept in {restored.aside}"
    out.print(said, markup=False, highlight=False, soft_wrap=True)
    if restored.missing:
        err.print(
            f"{restored.missing} artifacts of its snapshots are not here: its rows stand, but "
            "cannot be replayed. Bring them back, or restore a backup made with --artifacts"
        )


@explained
def migrate(
    to: Annotated[
        str,
        typer.Option(
            envvar=MIGRATE_TO,
            show_envvar=True,
            help="postgresql://user@host:5432/database; a password goes into the variable",
        ),
    ],
) -> None:
    """Move warehouse, ledger and Dagster's runs from files to a Postgres server, with all history.

    Interrupted, it goes on when called again. The files stay as they are.
    """
    server = Postgres(to, "warehouse")
    if server.has_password and to != os.environ.get(MIGRATE_TO):
        raise BadConfig(
            "everybody on this machine can read a password on the command line. Set "
            f"{MIGRATE_TO} to the address instead, or leave the password to PGPASSWORD or ~/.pgpass"
        )
    home = Home.locate()
    move(home, to, _say_moved)
    _prepare_search(to)
    runs = _carry_runs(to)
    for line in (
        f"{runs:,} runs of Dagster written",
        f"all of {home.root} stands verified in {server.place.partition(', schema')[0]}, mode "
        "manual; the files are as they were",
        "next: set SCOUT_DATABASE to the address, start Dagster, `scout auto`. Artifacts stay in "
        f"{home.artifacts_url}",
    ):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _prepare_search(to: str) -> None:
    """What it lacks there does not take back what was moved."""
    try:
        open_warehouse(Postgres(to, "warehouse")).prepare_ranking(SEARCH_DOCUMENTS)
    except ScoutFailure as failure:
        err.print(f"all is moved, but {failure}", markup=False, highlight=False)


def _carry_runs(to: str) -> int:
    """Dagster takes seconds to import, and only this needs it."""
    from scout_assets.orchestration.dagster_history import carry_from_here

    def told(place: int, count: int) -> None:
        if place % 100 == 0 or place == count:
            out.print(f"runs of Dagster: {place:,} of {count:,}", highlight=False)

    with contained("Dagster's records"):
        return carry_from_here(to, told)


def _say_moved(one: Moved) -> None:
    line = f"{one.part}.{one.table}: {one.rows:,} rows verified, {one.written:,} of them written"
    out.print(line, markup=False, highlight=False, soft_wrap=True)
