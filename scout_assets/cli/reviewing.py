"""`scout review`: matches that wait for a person.

Belongs here: the queue at a terminal. Does not belong here: what a decision comes to
(`domain.review`), keeping it (`gateways.decisions`).
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from scout_assets.cli.matching import print_waterfall
from scout_assets.cli.terminal import By, err, explained, now, out, print_json, print_table
from scout_assets.domain.failures import BadConfig
from scout_assets.domain.review import Decision, Verdict
from scout_assets.gateways.decisions import Judged
from scout_assets.gateways.home import Home
from scout_assets.gateways.review_queue import Waiting, product_ids, waiting
from scout_assets.gateways.tables_on_disk import read_csv, write_csv

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Matches that wait for a person.")

Blind = Annotated[bool, typer.Option("--blind", help="Hide the score")]
Item = Annotated[str, typer.Argument(help="Id of the supplier item")]
EXPORTED = ("item_id", "product_id", "item", "product", "score", "reason", "verdict", "by")


@app.command("list")
@explained
def list_waiting(
    blind: Blind = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list")] = False,
) -> None:
    """Show what waits, the surest first; what was put off comes last."""
    queue = waiting(Home.locate(), now())
    rows = [_shown(one, blind) for one in queue]
    if as_json:
        print_json(rows)
        return
    columns = ("item_id", "item", "product", "reason") if blind else (
        "item_id", "item", "product", "score", "reason"
    )  # fmt: skip
    print_table(f"{len(rows)} matches wait", rows, columns)


def _shown(one: Waiting, blind: bool) -> dict[str, Any]:
    row = one.as_row()
    return {name: value for name, value in row.items() if not (blind and name == "score")}


@app.command("next")
@explained
def show_next(blind: Blind = False) -> None:
    """Show the match to decide next, side by side."""
    queue = waiting(Home.locate(), now())
    if not queue:
        out.print("nothing waits")
        return
    _print_pair(queue[0], blind)
    out.print(f"\n{len(queue)} wait. Then: scout review accept|reject|defer {queue[0].item_id}")


@app.command("show")
@explained
def show(item: Item, blind: Blind = False) -> None:
    """Show one match side by side, with its evidence."""
    _print_pair(_one(Home.locate(), item), blind)


def _one(home: Home, item: str) -> Waiting:
    found = next((one for one in waiting(home, now(), decided=True) if one.item_id == item), None)
    if found is None:
        raise BadConfig(f"no match of item {item!r}; `scout review list` shows those that wait")
    return found


def _print_pair(one: Waiting, blind: bool) -> None:
    fields = [
        {"": name, "supplier item": one.item.get(name), "product": one.product.get(name)}
        for name in ("id", "name", "brand", "size", "pack_count", "vintage", "gtin", "price",
                     "currency")
        if one.item.get(name) is not None or one.product.get(name) is not None
    ]  # fmt: skip
    title = one.item_id if blind else f"{one.item_id}: {one.score:g} ({one.reason})"
    print_table(title, fields, ("", "supplier item", "product"))
    if not blind:
        print_waterfall(one.evidence)


@app.command("accept")
@explained
def accept(
    item: Item,
    by: By = "",
    product: Annotated[str | None, typer.Option(help="Another product than the proposed")] = None,
) -> None:
    """It is this product: linked for good, until a person undoes it."""
    _decide(item, Verdict.ACCEPT, by, product)


@app.command("reject")
@explained
def reject(item: Item, by: By = "") -> None:
    """It is not this product: never proposed again; the next best is looked at."""
    _decide(item, Verdict.REJECT, by)


@app.command("defer")
@explained
def defer(item: Item, by: By = "") -> None:
    """Not now: it goes to the end of the queue."""
    _decide(item, Verdict.DEFER, by)


def _decide(item: str, verdict: Verdict, by: str, product: str | None = None) -> None:
    home = Home.locate()
    judged = _one(home, item).judged(product)
    _held_to_be_there(judged, product_ids(home))
    made = home.decisions.add(judged, verdict, by, now())
    _tell(made)


def _held_to_be_there(judged: Judged, products: frozenset[str]) -> None:
    if judged.product_id not in products:
        raise BadConfig(f"there is no product {judged.product_id!r}")


def _tell(made: Decision) -> None:
    out.print(
        f"{made.verdict} {made.item_id} → {made.product_id} by {made.actor}; "
        "materialise suppliers/matches to make it count",
        markup=False,
    )


@app.command("undo")
@explained
def undo(item: Item, by: By = "") -> None:
    """Take the last decision about an item back; what stood before stands again."""
    if not by.strip():
        raise BadConfig("an undo needs a name: --by NAME, or set SCOUT_ACTOR")
    made = Home.locate().decisions.undo(item, by, now())
    out.print(f"took back: {made.verdict} {made.item_id} → {made.product_id}", markup=False)


@app.command("export")
@explained
def export(to: Annotated[Path, typer.Argument(help="CSV to write")], blind: Blind = False) -> None:
    """Write what waits to a CSV: fill in the column verdict (accept, reject, defer)."""
    rows = [_shown(one, blind) for one in waiting(Home.locate(), now())]
    columns = [name for name in EXPORTED if not (blind and name == "score")]
    out.print(f"{write_csv(to, rows, columns)} matches written to {to}", markup=False)


@app.command("import")
@explained
def import_decisions(
    path: Annotated[Path, typer.Argument(help="CSV: item_id, verdict, and maybe product_id, by")],
    by: By = "",
) -> None:
    """Take decisions from a CSV; rows without a verdict are passed over, wrong ones are told.

    What stands already is not taken twice.
    """
    home = Home.locate()
    frame = read_csv(path)
    missing = {"item_id", "verdict"} - set(frame.columns)
    if missing:
        raise BadConfig(f"{path}: no column {', '.join(sorted(missing))}")
    known = {one.item_id: one for one in waiting(home, now(), decided=True)}
    products, stands = product_ids(home), _last_words(home)
    taken: Counter[bool] = Counter()
    problems: list[str] = []
    for number, row in enumerate(frame.to_dicts(), 2):
        if not (row["verdict"] or "").strip():
            continue
        try:
            judged, verdict, actor = _imported(known, row, by)
            _held_to_be_there(judged, products)
            is_new = stands.get(judged.item_id) != (judged.product_id, verdict)
            if is_new:
                home.decisions.add(judged, verdict, actor, now())
            taken[is_new] += 1
        except BadConfig as error:
            problems.append(f"{path}, line {number}: {error}")
    out.print(f"{taken[True]} decisions taken, {taken[False]} stood already", markup=False)
    for problem in problems:
        err.print(problem, markup=False)
    if problems:
        raise typer.Exit(1)


def _last_words(home: Home) -> dict[str, tuple[str, Verdict]]:
    """Item → the product and verdict of its last decision that stands."""
    made = (one for one in home.decisions.all() if one.undone_at is None)
    return {one.item_id: (one.product_id, one.verdict) for one in made}


def _imported(
    known: Mapping[str, Waiting], row: Mapping[str, str | None], by: str
) -> tuple[Judged, Verdict, str]:
    text = (row["verdict"] or "").strip().lower()
    if text not in list(Verdict):
        raise BadConfig(f"{text!r} is no verdict: accept, reject or defer")
    one = known.get(row["item_id"] or "")
    if one is None:
        raise BadConfig(f"no match of item {row['item_id']!r}")
    return one.judged(row.get("product_id")), Verdict(text), row.get("by") or by
