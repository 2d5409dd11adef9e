"""How rows change from capture to capture.

The law of the warehouse: after any sequence of captures, kills and re-runs a table equals a
clean replay of all captures in order. Both folds here are such replays, cut at any point:
`fold(fold([], a), b) == fold([], a + b)`.
Belongs here: what is new, changed, gone or back. Does not belong here: reading a capture
(`capture`), or writing rows (`gateways.warehouse`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scout_assets.domain.retention import forgotten

Row = dict[str, Any]

LIFESPAN = frozenset({"first_seen_at", "changed_at", "gone_at"})
OFFER_STATE = ("price", "currency", "compare_at_price", "available")


@dataclass(frozen=True)
class Capture:
    """The rows one snapshot shows. Parents, products and items without their lifespan fields.

    `notices`: what a person should know about how it was read.
    """

    source: str
    snapshot: int
    snapshot_hash: str
    captured_at: datetime
    parents: Sequence[Row] = ()
    products: Sequence[Row] = ()
    offers: Sequence[Row] = ()
    items: Sequence[Row] = ()
    sheets: Sequence[Row] = ()
    quarantine: Sequence[Row] = ()
    notices: Sequence[str] = ()
    counters: Mapping[str, int] = field(default_factory=dict)


def _as_they_are(_: Mapping[str, Row], listed: Sequence[Row]) -> Sequence[Row]:
    return listed


def fold_rows(
    before: Iterable[Row],
    captures: Iterable[tuple[datetime, Sequence[Row]]],
    key: str,
    settled: Callable[[Mapping[str, Row], Sequence[Row]], Sequence[Row]] = _as_they_are,
) -> list[Row]:
    """Upsert with gone_at: what a capture lacks stays, marked with that capture's time.

    What has been gone for long (`retention`) is forgotten: a cleaning that forgets it between two
    captures only does so earlier, and a replay comes to the same rows.
    `settled` gives the rows of a capture the keys of the known rows (key → row) they continue.
    """
    rows = {row[key]: row for row in before}
    for captured_at, listed in captures:
        rows = {k: row for k, row in rows.items() if not forgotten(row["gone_at"], captured_at)}
        seen = set()
        for row in settled(rows, listed):
            seen.add(row[key])
            rows[row[key]] = _seen(rows.get(row[key]), row, captured_at)
        for name, row in rows.items():
            if name not in seen and row["gone_at"] is None:
                rows[name] = {**row, "gone_at": captured_at}
    return list(rows.values())


def _seen(before: Row | None, row: Row, captured_at: datetime) -> Row:
    if before is None:
        return {**row, "first_seen_at": captured_at, "changed_at": captured_at, "gone_at": None}
    same = all(before[name] == value for name, value in row.items())
    return {
        **row,
        "first_seen_at": before["first_seen_at"],
        "changed_at": before["changed_at"] if same else captured_at,
        "gone_at": None,
    }


def fold_offers(last: Iterable[Row], captures: Iterable[Capture]) -> list[Row]:
    """The offer rows that `captures` add, given the last row of each product.

    A product that vanishes gets a row without a price, change `gone`; its return is `back`.
    """
    state = {row["product_id"]: row for row in last}
    added: list[Row] = []
    for capture in captures:
        seen = {offer["product_id"] for offer in capture.offers}
        for offer in capture.offers:
            change = _change(state.get(offer["product_id"]), offer)
            if change is not None:
                added.append({**offer, "change": change})
                state[offer["product_id"]] = added[-1]
        for product_id, row in state.items():
            if product_id not in seen and row["change"] != "gone":
                added.append(_gone(row, capture))
                state[product_id] = added[-1]
    return added


def _change(before: Row | None, offer: Row) -> str | None:
    if before is None:
        return "new"
    if before["change"] == "gone":
        return "back"
    changed = [name for name in OFFER_STATE if before[name] != offer[name]]
    if not changed:
        return None
    return "availability" if changed == ["available"] else "price"


def _gone(row: Row, capture: Capture) -> Row:
    return {
        **row,
        "offer_id": f"{row['product_id']}@{capture.snapshot}",
        "snapshot": capture.snapshot,
        "snapshot_hash": capture.snapshot_hash,
        "observed_at": capture.captured_at,
        "price": None,
        "price_raw": None,
        "compare_at_price": None,
        "available": False,
        "unit_price_100g": None,
        "change": "gone",
    }
