"""`scout quarantine`: rows that could not be read.

Belongs here: showing them, and reading their snapshots again. Does not belong here: why a row
is refused (`domain`), folding (`gateways.catchup`).
"""

from typing import Annotated, Any

import typer

from scout_assets.cli.terminal import explained, out, print_json, print_table
from scout_assets.domain.failures import BadConfig
from scout_assets.gateways.home import Home
from scout_assets.gateways.replay import replay as read_again

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Rows that could not be read.")

Source = Annotated[str | None, typer.Option(help="Key of one source")]


def _rows(home: Home, source: str | None) -> list[dict[str, Any]]:
    sources = None if source is None else [home.ledger.source(source).source.key]
    rows: list[dict[str, Any]] = home.warehouse.read("quarantine", sources=sources).to_pylist()
    return [{"number": number, **row} for number, row in enumerate(rows, 1)]


@app.command("list")
@explained
def list_rows(
    source: Source = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list")] = False,
) -> None:
    """Show every quarantined row with its place and reason."""
    rows = _rows(Home.locate(), source)
    if as_json:
        print_json(rows)
    else:
        columns = ("number", "source", "place", "reason")
        print_table(f"{len(rows)} rows in quarantine", rows, columns)


@app.command("show")
@explained
def show(number: Annotated[int, typer.Argument(help="Number in `scout quarantine list`")]) -> None:
    """Show one row whole."""
    found = next((row for row in _rows(Home.locate(), None) if row["number"] == number), None)
    if found is None:
        raise BadConfig(f"no row number {number}; `scout quarantine list` shows them")
    print_json(found)


@app.command("replay")
@explained
def replay(source: Annotated[str, typer.Argument(help="Key of the source")]) -> None:
    """Read a source's stored snapshots anew: after a mended parser or declaration."""
    home = Home.locate()
    before = len(_rows(home, source))
    read_again(home, source)
    after = len(_rows(home, source))
    out.print(f"{source}: {before} rows in quarantine before, {after} after")
