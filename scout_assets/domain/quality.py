"""Rules that rows must meet: what asset checks look for.

Belongs here: finding rows that break a rule, each finding with its source and the facts a
person needs. Does not belong here: how a finding is shown or whether it stops a run
(`orchestration.assets.checks`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from statistics import median
from typing import Any

import pyarrow as pa

from scout_assets.domain.tables import Table

__all__ = [
    "LEAST_CONFIDENCE",
    "SHRINK_LIMIT",
    "beyond",
    "implausible_prices",
    "orphans",
    "price_moves",
    "shrunk",
    "unmatched",
    "unsure_sheets",
    "wrong_columns",
]

Finding = dict[str, Any]

SHRINK_LIMIT = 0.3
"""A capture may lack at most this share of what the one before listed."""
SHRINK_FLOOR = 5
"""Fewer vanished products than this are daily business."""
PLAUSIBLE_FACTOR = 20
"""A price per 100 g this many times off its source's median is a misread weight or price."""
LEAST_CONFIDENCE = 0.7
"""A sheet read with less is worth a look: a header or a price column may be guessed."""
PLAUSIBLE_SAMPLE = 8
"""A median of fewer prices says little."""


def wrong_columns(found: pa.Schema, table: Table) -> list[Finding]:
    """Columns of a stored table that differ from the registry."""
    wanted = {column.name: _named(column.type) for column in table.columns}
    stored = {field.name: _named(field.type) for field in found}
    return [
        {"source": "all", "column": name, "is": stored.get(name), "should be": wanted.get(name)}
        for name in sorted(wanted.keys() | stored.keys())
        if wanted.get(name) != stored.get(name)
    ]


def _named(arrow_type: pa.DataType) -> str:
    """An engine may name the items of a list as it likes."""
    if pa.types.is_list(arrow_type):
        return f"list<{arrow_type.value_type}>"
    return str(arrow_type)


def orphans(
    products: Iterable[Mapping[str, Any]], parents: Iterable[Mapping[str, Any]]
) -> list[Finding]:
    """Products whose parent is not there."""
    known = {row["parent_id"] for row in parents}
    return [
        {"source": row["source"], "product_id": row["product_id"], "parent_id": row["parent_id"]}
        for row in products
        if row["parent_id"] not in known
    ]


def shrunk(
    products: Iterable[Mapping[str, Any]], last_capture: Mapping[str, datetime]
) -> list[Finding]:
    """Sources whose last capture lacks more than SHRINK_LIMIT of the products before it."""
    before: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    for row in products:
        source = row["source"]
        just_gone = row["gone_at"] == last_capture.get(source)
        gone[source] += just_gone
        is_new = row["first_seen_at"] == last_capture.get(source)
        before[source] += just_gone or (row["gone_at"] is None and not is_new)
    return [
        {"source": source, "vanished": gone[source], "listed before": count}
        for source, count in before.items()
        if gone[source] >= SHRINK_FLOOR and gone[source] > SHRINK_LIMIT * count
    ]


def implausible_prices(offers: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Current offers below zero, or far from what their source asks per 100 g."""
    found: list[Finding] = []
    by_market: defaultdict[tuple[str, str | None], list[Mapping[str, Any]]] = defaultdict(list)
    for row in offers:
        if row["price"] is not None and row["price"] <= 0:
            found.append(_price(row, "not above zero"))
        elif row["unit_price_100g"] is not None:
            by_market[row["source"], row["currency"]].append(row)
    for rows in by_market.values():
        found.extend(_outliers(rows))
    return found


def _outliers(rows: Sequence[Mapping[str, Any]]) -> Iterable[Finding]:
    if len(rows) < PLAUSIBLE_SAMPLE:
        return
    middle = Decimal(median(row["unit_price_100g"] for row in rows))
    for row in rows:
        unit_price = row["unit_price_100g"]
        if unit_price > middle * PLAUSIBLE_FACTOR or unit_price < middle / PLAUSIBLE_FACTOR:
            yield _price(row, f"per 100 g {unit_price:f}, the source's median is {middle:f}")


def _price(row: Mapping[str, Any], why: str) -> Finding:
    return {
        "source": row["source"],
        "product_id": row["product_id"],
        "price": row["price"],
        "currency": row["currency"],
        "why": why,
    }


def price_moves(
    history: Iterable[Mapping[str, Any]],
    last_capture: Mapping[str, datetime],
    limits_pct: Mapping[str, float],
) -> list[Finding]:
    """Prices that the last capture of their source moved by more than its limit, largest first."""
    moved = [
        {
            "source": row["source"],
            "product": " / ".join(filter(None, (row["title"], row["variant"]))),
            "from": row["previous_price"],
            "to": row["price"],
            "currency": row["currency"],
            "change %": row["delta_pct"],
            "limit %": limits_pct[row["source"]],
        }
        for row in history
        if row["valid_from"] == last_capture.get(row["source"])
        and beyond(row["delta_pct"], limits_pct[row["source"]])
    ]
    return sorted(moved, key=lambda row: -abs(row["change %"]))


def beyond(delta_pct: float | None, limit_pct: float) -> bool:
    """Whether a price moved by more than a limit; a first price, or another currency's, did not."""
    return delta_pct is not None and abs(delta_pct) > limit_pct


def unsure_sheets(sheets: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Sheets of items that were read with little confidence, and why."""
    return [
        {
            "source": row["source"],
            "sheet": row["sheet"],
            "confidence": row["confidence"],
            "reasons": "; ".join(row["reasons"]),
            "mend": "scout try price-list, then column_mapping",
        }
        for row in sheets
        if row["role"] == "items" and row["confidence"] < LEAST_CONFIDENCE
    ]


def unmatched(
    items: Iterable[Mapping[str, Any]], matches: Iterable[Mapping[str, Any]]
) -> list[Finding]:
    """Listed items without exactly one match: no row may be lost on the way."""
    counted = Counter(row["item_id"] for row in matches)
    return [
        {"source": row["source"], "item_id": row["item_id"], "matches": counted[row["item_id"]]}
        for row in items
        if row["gone_at"] is None and counted[row["item_id"]] != 1
    ]
