"""Matching as an installation does it: all suppliers' items with the whole catalogue.

Belongs here: gathering what is matched from warehouse and ledger, whether anything changed
since the last time, and the batches to write. Does not belong here: matching (`domain.linking`),
best prices (`domain.best_prices`), writing.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product
from typing import Any

from scout_assets.domain import best_prices, linking, supply
from scout_assets.domain.best_prices import Good
from scout_assets.domain.catalogue import Kind
from scout_assets.domain.history import Row
from scout_assets.domain.money import Rates
from scout_assets.domain.review import REVIEW_LASTS, Status, standing
from scout_assets.domain.sources import State
from scout_assets.domain.tables import (
    BEST_PRICES,
    DRAFTS,
    MATCHES,
    OFFERS,
    PARENTS,
    PRODUCTS,
    SUPPLIER_ITEMS,
    Table,
)
from scout_assets.gateways.compared import Compared
from scout_assets.gateways.home import Home
from scout_assets.gateways.warehouse import Batch, Watermark

__all__ = [
    "CATALOGUE",
    "Matched",
    "best_price_batch",
    "best_prices_behind",
    "match_all",
    "matches_behind",
    "proposals_expired",
]

CATALOGUE = "catalogue"
"""Kind and source of tables that are about all sources at once."""
INPUTS: Sequence[tuple[Table, Kind]] = (
    (SUPPLIER_ITEMS, Kind.SUPPLIER),
    *product((PARENTS, PRODUCTS, OFFERS), (kind for kind in Kind if kind is not Kind.SUPPLIER)),
)
"""Whose watermarks say whether anything changed; every other lane makes products."""


@dataclass(frozen=True)
class Matched:
    """Batches of matches and drafts; without slices when nothing changed."""

    matches: Batch
    drafts: Batch
    counters: Mapping[str, int] = field(default_factory=dict)


def match_all(home: Home, now: datetime, anew: bool = False) -> Matched:
    """Match every listed item; only what an input changed since is to be written.

    Inputs are items, products, offers, decisions, the calibration, which suppliers are watched,
    and proposals that have expired. `anew` matches though nothing changed.
    """
    rows = Compared(home)
    before = rows.of("matches")
    due = _all_due(home, anew or _any_expired(before, now))
    if not any(due.values()):
        return Matched(_batch(MATCHES, [], {}), _batch(DRAFTS, [], {}), {"slices/unchanged": 1})
    linked = linking.link(
        rows.items,
        rows.item_records,
        rows.product_records,
        standing(home.decisions.all()),
        before,
        now,
        home.decisions.calibration(),
    )
    return Matched(
        _batch(MATCHES, linked.matches, due["matches"]),
        _batch(DRAFTS, list(linked.drafts.values()), due["drafts"]),
        _counted(linked.matches, linked.drafts),
    )


def _inputs(home: Home) -> str:
    """A digest of which sources are watched and how far every input has come."""
    active = [s.source.key for s in home.ledger.sources(state=State.ACTIVE)]
    marks = [
        (table.name, source, mark.snapshot, mark.version, mark.generation)
        for table, kind in INPUTS
        for source, mark in sorted(home.warehouse.watermarks(table, kind).items())
    ]
    return _digest((active, marks))


def proposals_expired(home: Home, now: datetime) -> bool:
    """Whether a proposal has expired: it comes back with the next matching."""
    return _any_expired(Compared(home).of("matches"), now)


def _any_expired(before: Sequence[Row], now: datetime) -> bool:
    return any(
        row["status"] == Status.POTENTIAL_MATCH and now - row["proposed_at"] >= REVIEW_LASTS
        for row in before
    )


def matches_behind(home: Home) -> bool:
    """Whether an input of the matches has changed since they were made."""
    return any(_all_due(home, False).values())


def _all_due(home: Home, anew: bool) -> dict[str, dict[str, Watermark]]:
    version = f"{linking.VERSION}({_inputs(home)};{home.decisions.state()})"
    marks = home.warehouse.watermarks(SUPPLIER_ITEMS, Kind.SUPPLIER)
    return {table.name: _due(home, table, marks, version, anew) for table in (MATCHES, DRAFTS)}


def _due(
    home: Home, table: Table, items: Mapping[str, Watermark], version: str, anew: bool
) -> dict[str, Watermark]:
    """Slices to write, one for each supplier that has items."""
    known = home.warehouse.watermarks(table, Kind.SUPPLIER)
    due: dict[str, Watermark] = {}
    for source, mark in items.items():
        target, here = Watermark(mark.snapshot, version), known.get(source)
        if anew and here is not None:
            target = target.after(here)
        if target.replaces(here):
            due[source] = target
    return due


def _batch(table: Table, rows: Sequence[Row], marks: Mapping[str, Watermark]) -> Batch:
    wanted = [row for row in rows if row["source"] in marks]
    return Batch(table, Kind.SUPPLIER, table.arrow(wanted), marks)


def _counted(matches: Sequence[Row], drafts: Mapping[str, Row]) -> dict[str, int]:
    counted: defaultdict[str, int] = defaultdict(int)
    for row in matches:
        counted[f"items/{row['status']}"] += 1
    return {**counted, "items/matched": len(matches), "drafts": len(drafts)}


# --- best prices ------------------------------------------------------------------------------


def best_price_batch(home: Home, now: datetime) -> Batch:
    """The lowest comparable price of each product and draft; no slice when nothing changed."""
    today = now.date()
    rates = home.rates.until(today)
    target = _best_prices_due(home, rates)
    if target is None:
        return Batch(BEST_PRICES, CATALOGUE, BEST_PRICES.arrow([]), {})
    rows = Compared(home)
    products = {row["product_id"]: row for row in rows.products}
    linked = _linked(rows.of("matches"))
    quotes = [
        *supply.quotes_of_offers(rows.offers.values(), products),
        *supply.quotes_of_items({row["item_id"]: row for row in rows.items}, linked),
    ]
    goods = _goods(rows, rows.of("drafts"))
    found = best_prices.best_prices(goods, quotes, rates, today)
    for row in found:
        row["kind"], row["source"] = CATALOGUE, CATALOGUE
    return Batch(BEST_PRICES, CATALOGUE, BEST_PRICES.arrow(found), {CATALOGUE: target})


def best_prices_behind(home: Home, now: datetime) -> bool:
    """Whether an input of the best prices, as a rate, has changed since they were found."""
    return _best_prices_due(home, home.rates.until(now.date())) is not None


def _best_prices_due(home: Home, rates: Rates) -> Watermark | None:
    target = Watermark(1, f"2({_inputs(home)};{_matched(home)};{_digest(rates)})")
    known = home.warehouse.watermarks(BEST_PRICES, CATALOGUE).get(CATALOGUE)
    return target if target.replaces(known) else None


def _matched(home: Home) -> str:
    marks = home.warehouse.watermarks(MATCHES, Kind.SUPPLIER)
    return _digest(sorted((source, m.version, m.generation) for source, m in marks.items()))


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def _linked(matches: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Item → product or draft, for what is linked or made a draft of."""
    sure = (Status.AUTO_MATCHED, Status.VERIFIED_MATCH)
    sure_of = (row for row in matches if row["status"] in sure and row["product_id"])
    linked = {row["item_id"]: row["product_id"] for row in sure_of}
    drafted = {row["item_id"]: row["draft_id"] for row in matches if row["draft_id"]}
    return {**linked, **drafted}


def _goods(rows: Compared, drafts: Sequence[Row]) -> list[Good]:
    listed = [
        Good(
            row["kind"],
            row["source"],
            row["product_id"],
            supply.product_title(row, rows.parents[row["parent_id"]]),
            row["net_weight_g"],
        )
        for row in rows.products
        if row["gone_at"] is None and row["parent_id"] in rows.parents
    ]
    return listed + [
        Good(
            row["kind"],
            row["source"],
            row["draft_id"],
            row["name"],
            row["size_ml"] or row["net_weight_g"],
        )
        for row in drafts
    ]
