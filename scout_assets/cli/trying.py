"""`scout try`: read a source and store nothing.

Belongs here: printing what a source would give. Does not belong here: reading it (`gateways`,
`domain`): it is the very path the assets take.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from scout_assets.cli.terminal import Format, err, explained, now, out, print_json, print_table
from scout_assets.domain.capture import RawSnapshot, read_capture
from scout_assets.domain.failures import BadConfig
from scout_assets.domain.history import Capture
from scout_assets.domain.price_lists.model import PriceList
from scout_assets.domain.sources import Platform, Source
from scout_assets.gateways.home import Home
from scout_assets.gateways.http import HttpGateway
from scout_assets.gateways.price_lists import ListAccess, list_name, read_list
from scout_assets.gateways.snapshots import Fetched, fetch

__all__ = ["try_source"]


@explained
def try_source(
    kind: Annotated[Platform, typer.Argument(help="What it is")],
    source: Annotated[str, typer.Argument(help="Address, file, or folder of captures or lists")],
    form: Annotated[Format, typer.Option("--format", help="How to print")] = Format.TABLE,
    currency: Annotated[
        str | None, typer.Option(help="ISO 4217 code, where the store does not say")
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Allow private and loopback addresses")
    ] = False,
    sheet: Annotated[str | None, typer.Option(help="Price lists: the one sheet to read")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Text lists: the character set, such as koi8-r")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Text lists: the sign between fields, or tab")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Price lists: field=header or letter, such as --column sku=B"),
    ] = None,
) -> None:
    """Fetch, parse and normalise a source, and store nothing: look before you add it."""
    declared = {
        "key": "try",
        "platform": kind.value,
        "location": source,
        "currency": currency,
        "allow_private": allow_private,
        "sheet_name": sheet,
        "encoding": encoding,
        "delimiter": delimiter,
        "column_mapping": dict(_mapping(text) for text in column or []),
    }
    counters: Counter[str] = Counter()
    tried = Source.read(declared, "command line")
    *earlier, fetched = asyncio.run(_fetch(tried, counters))
    for capture in earlier:
        if capture.failure is not None:
            err.print(f"note: {capture.failure}", markup=False, highlight=False)
    if fetched.failure is not None:
        raise fetched.failure
    if kind is Platform.PRICE_LIST:
        _show_list(tried, source, form, fetched, counters)
        return
    seen = _read(tried, fetched)
    counters.update(seen.counters)
    if form is Format.JSON:
        print_json(_tried(kind, source, counters, seen))
    else:
        _print_tried(counters, seen)


async def _fetch(source: Source, counters: Counter[str]) -> tuple[Fetched, ...]:
    home = Home.locate()

    def anywhere() -> ListAccess:
        return replace(home.list_access, roots=())

    async with HttpGateway() as http:
        return await fetch(source, http, home.policy(), now(), counters=counters, access=anywhere)


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
    print_table(
        "Parents",
        seen.parents,
        ("external_id", "title", "is_coffee", "roast_level", "process", "tasting_notes"),
    )
    print_table(
        "Products and offers",
        rows,
        ("external_id", "title", "net_weight_g", "pack_count", "grind", "price", "currency"),
    )
    if seen.quarantine:
        print_table("Quarantine", seen.quarantine, ("place", "reason"))
    print_table(
        "Counters",
        ({"name": name, "count": count} for name, count in sorted(counters.items())),
        ("name", "count"),
    )


# Price lists


def _mapping(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadConfig(f"--column {text}: expected field=header, or field=letter")
    return name.strip(), value.strip()


def _show_list(
    tried: Source, source: str, form: Format, fetched: Fetched, counters: Counter[str]
) -> None:
    (page,) = fetched.pages
    read = read_list(tried, page.body, list_name(page.url))
    counters.update(read.counters)
    if form is Format.JSON:
        found = read.as_json() | {"counters": dict(sorted(counters.items()))}
        print_json({"kind": tried.platform.value, "source": source, **found})
    else:
        _print_list(read, counters)


def _print_list(read: PriceList, counters: Mapping[str, int]) -> None:
    sheets = [sheet.model_dump(mode="json") for sheet in read.sheets]
    print_table("Sheets", sheets, ("name", "role", "header_rows", "items", "confidence", "reasons"))
    columns = [
        {"sheet": sheet.name, "field": field, **use.model_dump()}
        for sheet in read.sheets
        for field, uses in sheet.columns.items()
        for use in (uses if isinstance(uses, tuple) else (uses,))
    ]
    print_table("Columns", columns, ("sheet", "field", "letter", "header", "basis", "confidence"))
    items = [item.model_dump() for item in read.items]
    shown = ("sheet", "row", "sku", "name", "price", "price_basis", "currency", "vintage")
    print_table("Items", items, (*shown, "pack_count", "section"))
    if read.quarantine:
        refused = [reject.model_dump() for reject in read.quarantine]
        print_table("Quarantine", refused, ("sheet", "row", "reason", "content"))
    for notice in read.notices:
        out.print(f"note: {notice}", markup=False)
    counted = ({"name": name, "count": count} for name, count in sorted(counters.items()))
    print_table("Counters", counted, ("name", "count"))
