"""`scout search` and `scout summary`: what is in the warehouse.

Belongs here: arguments and printing. Does not belong here: ranking (`domain.search`,
`gateways.vectors`), counting (views of `gateways.warehouse`).
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from scout_assets.cli.terminal import explained, now, out, print_json, print_table
from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BadConfig
from scout_assets.domain.search import Filters, Hit
from scout_assets.domain.sources import State
from scout_assets.gateways.home import Home

__all__ = ["search", "summary"]


@explained
def search(
    query: Annotated[str, typer.Argument(help="What you are looking for, in words")],
    min_price: Annotated[float | None, typer.Option(help="Lowest price")] = None,
    max_price: Annotated[float | None, typer.Option(help="Highest price")] = None,
    currency: Annotated[str | None, typer.Option(help="ISO 4217 code of prices")] = None,
    in_stock: Annotated[bool, typer.Option("--in-stock", help="Only what can be bought")] = False,
    kind: Annotated[Kind | None, typer.Option(help="Kind of source")] = None,
    source: Annotated[str | None, typer.Option(help="Key of one source")] = None,
    top: Annotated[int, typer.Option(min=1, max=200, help="How many hits")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list")] = False,
) -> None:
    """Search the catalogue by meaning and by words, within filters."""
    from scout_assets.gateways.embedders import WordLlama  # heavy: not for other commands
    from scout_assets.gateways.vectors import SearchIndex

    home = Home.locate()
    for bound in (min_price, max_price):
        if bound is not None and not math.isfinite(bound):
            raise BadConfig(f"a price bound must be a number, not {bound}")
    filters = Filters(
        min_price=None if min_price is None else Decimal(str(min_price)),
        max_price=None if max_price is None else Decimal(str(max_price)),
        currency=currency,
        in_stock=in_stock,
        kind=kind,
        source=source,
        without=tuple(item.source.key for item in home.ledger.sources(state=State.RETIRED)),
    )
    index = SearchIndex(home.warehouse, WordLlama(), home.search_cache)
    hits = index.search(query, filters, top)
    if as_json:
        print_json([hit.model_dump() for hit in hits])
    else:
        _print_hits(query, hits)


def _print_hits(query: str, hits: Sequence[Hit]) -> None:
    if not hits:
        out.print("nothing matches; loosen a filter")
        return
    rows = [hit.model_dump() for hit in hits]
    columns = ("title", "source", "variant_title", "price", "currency", "available", "process")
    print_table(f"“{query}”", rows, (*columns, "tasting_notes"))


SLICE = ("kind", "source")


@explained
def summary(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object")] = False,
    since: Annotated[
        datetime | None, typer.Option(help="Also tell what is new since this time (UTC)")
    ] = None,
) -> None:
    """Print what is in the warehouse, per source and in all."""
    home = Home.locate()
    rows = home.warehouse.read("source_summary").to_pylist()
    supply = home.warehouse.read("supply_summary").to_pylist()
    if not rows and not supply:
        raise BadConfig("nothing has landed yet: `make run`, or materialise group:roasters")
    total, supplied = _total(rows), _total(supply)
    news = None if since is None else _news(home, since.replace(tzinfo=UTC))
    drafts, priced = _count(home, "drafts"), _count(home, "best_prices")
    if as_json:
        extras = {**supplied, "drafts": drafts, "best_prices": priced, "per_source": supply}
        found = {"sources": len(rows), **total, "per_source": rows, "suppliers": extras}
        print_json({**found, "since": news})
        return
    print_table("What landed", [*rows, {"source": "all", **total}], ["source", *total])
    if supply:
        listed = [*supply, {"source": "all", **supplied}]
        print_table("From suppliers", listed, ["source", *supplied])
        out.print(f"{drafts} new products (drafts), {priced} best prices")
    if news is not None:
        counts = ", ".join(f"{count} {name}" for name, count in news.items() if name != "seconds")
        out.print(f"This run: {counts}, in {news['seconds']:.1f} s")


def _total(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    names = [name for name in rows[0] if name not in SLICE] if rows else []
    return {name: sum(row[name] for row in rows) for name in names}


def _count(home: Home, table: str) -> int:
    rows: int = home.warehouse.read(table).num_rows
    return rows


def _news(home: Home, since: datetime) -> dict[str, float]:
    """What landed and was written since then: nothing, when nothing changed."""
    return {
        "new snapshots": home.ledger.landed_since(since),
        "tables' slices written": home.warehouse.written_since(since),
        "seconds": (now() - since).total_seconds(),
    }
