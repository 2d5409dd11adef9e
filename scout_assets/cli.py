"""`scout`: what an operator needs at a terminal, with Dagster up or down.

Belongs here: arguments, and how answers are printed. Does not belong here: the work itself
(`gateways`, `domain`); anything that should be a Dagster run.

Exit codes: 0 done, 1 a failure explained on stderr, 2 wrong usage.
"""

import asyncio
import functools
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import orjson
import typer
from rich.console import Console
from rich.table import Table

from scout_assets.domain.capture import RawSnapshot, read_capture
from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BadConfig, ScoutFailure
from scout_assets.domain.history import Capture
from scout_assets.domain.search import Filters, Hit
from scout_assets.domain.sources import Platform, Source, State
from scout_assets.gateways.files import declared_sources
from scout_assets.gateways.home import Home
from scout_assets.gateways.http import HttpGateway
from scout_assets.gateways.ledger import KnownSource
from scout_assets.gateways.snapshots import Fetched, fetch

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="scout_assets at the terminal.",
)
sources_app = typer.Typer(no_args_is_help=True, help="The places we watch.")
app.add_typer(sources_app, name="sources")

PIPED_WIDTH = 140
"""Columns when the output is not a terminal, which has no width of its own."""

out = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Console(stderr=True)

P = ParamSpec("P")
R = TypeVar("R")


class Format(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"


def main() -> None:
    """Entry point of the `scout` command."""
    app()


def explained(command: Callable[P, R]) -> Callable[P, R]:
    """Print a failure of ours as a message, without a traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ScoutFailure as failure:
            err.print(f"[bold red]{type(failure).__name__}[/]: ", end="")
            err.print(str(failure), markup=False, highlight=False)
            raise typer.Exit(1) from None

    return run


def _now() -> datetime:
    return datetime.now(UTC)


def _print_json(value: object) -> None:
    text = orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2)
    typer.echo(text.decode())


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"cannot print {type(value).__name__} as JSON")


def _print_table(title: str, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    out.print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


# Sources


@sources_app.command("list")
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
        _print_json(rows)
        return
    columns = ("key", "kind", "state", "platform", "last_success_at", "failures", "failure")
    _print_table(f"{len(rows)} sources", rows, columns)


def _source_row(item: KnownSource) -> dict[str, Any]:
    return {
        **item.source.model_dump(mode="json"),
        "state": item.state.value,
        "origin": item.origin,
        "last_attempt_at": item.fetch.last_attempt_at,
        "last_success_at": item.fetch.last_success_at,
        "next_attempt_at": item.fetch.next_attempt_at,
        "failures": item.fetch.failures,
        "failure": item.fetch.failure,
    }


@sources_app.command("add")
@explained
def add_source(
    key: Annotated[str, typer.Argument(help="Immutable slug, such as my-roaster")],
    platform: Annotated[Platform, typer.Argument(help="What the store runs on")],
    location: Annotated[str, typer.Argument(help="Address, file or folder of captures")],
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other field: --set currency=EUR --set use_llm=true"),
    ] = None,
) -> None:
    """Add a source by hand; sources.yaml is the better place for what should last."""
    declared = dict(_setting(text) for text in setting or [])
    declared |= {"key": key, "platform": platform.value, "location": _absolute(location)}
    Home.locate().ledger.add(Source.read(declared, "command line"), _now())
    out.print(f"added {key}; materialise catalogue/sources to make it a partition")


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadConfig(f"--set {text}: expected field=value")
    return name, value


def _absolute(location: str) -> str:
    """Paths are kept absolute: runs may start in another folder."""
    path = Path(location).expanduser()
    return str(path.resolve()) if path.exists() else location


@sources_app.command("retire")
@explained
def retire_source(key: Annotated[str, typer.Argument(help="Key of the source")]) -> None:
    """Stop watching a source, declared or not; its rows stay. Revive takes it back."""
    Home.locate().ledger.retire(key, _now())
    out.print(f"retired {key}; its rows stay")


@sources_app.command("revive")
@explained
def revive_source(key: Annotated[str, typer.Argument(help="Key of the source")]) -> None:
    """Watch a retired source again."""
    Home.locate().ledger.revive(key, _now())
    out.print(f"revived {key}")


@sources_app.command("sync")
@explained
def sync_sources() -> None:
    """Take sources.yaml over into the ledger, as the asset catalogue/sources does."""
    home = Home.locate()
    plan = home.ledger.sync(declared_sources(home.sources_file), _now())
    counts = {
        "added": len(plan.added),
        "changed": len(plan.changed),
        "revived": len(plan.revived),
        "retired": len(plan.retired),
        "unchanged": len(plan.unchanged),
    }
    out.print(", ".join(f"{count} {name}" for name, count in counts.items()))


# Trying a source


@app.command("try")
@explained
def try_source(
    kind: Annotated[Platform, typer.Argument(help="What the store runs on")],
    source: Annotated[str, typer.Argument(help="Address, file or folder of captures")],
    form: Annotated[Format, typer.Option("--format", help="How to print")] = Format.TABLE,
    currency: Annotated[
        str | None, typer.Option(help="ISO 4217 code, where the store does not say")
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Allow private and loopback addresses")
    ] = False,
) -> None:
    """Fetch, parse and normalise a source, and store nothing: look before you add it."""
    declared = {
        "key": "try",
        "platform": kind.value,
        "location": source,
        "currency": currency,
        "allow_private": allow_private,
    }
    counters: Counter[str] = Counter()
    tried = Source.read(declared, "command line")
    seen = _read(tried, asyncio.run(_fetch(tried, counters))[-1])
    counters.update(seen.counters)
    if form is Format.JSON:
        _print_json(_tried(kind, source, counters, seen))
    else:
        _print_tried(counters, seen)


async def _fetch(source: Source, counters: Counter[str]) -> tuple[Fetched, ...]:
    async with HttpGateway() as http:
        return await fetch(source, http, Home.locate().policy(), _now(), counters=counters)


def _read(source: Source, fetched: Fetched) -> Capture:
    pages = [(page.role, page.body) for page in fetched.pages]
    return read_capture(source, RawSnapshot(1, "", fetched.captured_at, pages))


OURS = frozenset({"kind", "source", "parent_id", "product_id", "offer_id", "snapshot_hash"})
"""Columns that only mean something once a source is stored."""


def _tried(
    kind: Platform, source: str, counters: Mapping[str, int], seen: Capture
) -> dict[str, Any]:
    def shown(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{name: row[name] for name in row if name not in OURS} for row in rows]

    return {
        "kind": kind.value,
        "source": source,
        "counters": dict(sorted(counters.items())),
        "parents": shown(seen.parents),
        "products": shown(seen.products),
        "offers": shown(seen.offers),
        "quarantine": shown(seen.quarantine),
    }


def _print_tried(counters: Mapping[str, int], seen: Capture) -> None:
    offers = {offer["product_external_id"]: offer for offer in seen.offers}
    rows = [{**product, **offers[product["external_id"]]} for product in seen.products]
    _print_table(
        "Parents",
        seen.parents,
        ("external_id", "title", "is_coffee", "roast_level", "process", "tasting_notes"),
    )
    _print_table(
        "Products and offers",
        rows,
        ("external_id", "title", "net_weight_g", "pack_count", "grind", "price", "currency"),
    )
    if seen.quarantine:
        _print_table("Quarantine", seen.quarantine, ("place", "reason"))
    _print_table(
        "Counters",
        ({"name": name, "count": count} for name, count in sorted(counters.items())),
        ("name", "count"),
    )


# Search


@app.command()
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
        _print_json([hit.model_dump() for hit in hits])
    else:
        _print_hits(query, hits)


def _print_hits(query: str, hits: Sequence[Hit]) -> None:
    if not hits:
        out.print("nothing matches; loosen a filter")
        return
    rows = [hit.model_dump() for hit in hits]
    columns = ("title", "source", "variant_title", "price", "currency", "available", "process")
    _print_table(f"“{query}”", rows, (*columns, "tasting_notes"))


# What landed

SLICE = ("kind", "source")


@app.command()
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
    if not rows:
        raise BadConfig("nothing has landed yet: `make run`, or materialise group:roasters")
    total = {name: sum(row[name] for row in rows) for name in rows[0] if name not in SLICE}
    news = None if since is None else _news(home, since.replace(tzinfo=UTC))
    if as_json:
        _print_json({"sources": len(rows), **total, "per_source": rows, "since": news})
        return
    _print_table("What landed", [*rows, {"source": "all", **total}], ["source", *total])
    if news is not None:
        counts = ", ".join(f"{count} {name}" for name, count in news.items() if name != "seconds")
        out.print(f"This run: {counts}, in {news['seconds']:.1f} s")


def _news(home: Home, since: datetime) -> dict[str, float]:
    """What landed and was written since then: nothing, when nothing changed."""
    return {
        "new snapshots": home.ledger.landed_since(since),
        "tables' slices written": home.warehouse.written_since(since),
        "seconds": (_now() - since).total_seconds(),
    }
