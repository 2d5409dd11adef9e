"""The review queue: matches that wait for a person, with all a person needs to see.

Belongs here: joining matches, items, products and decisions into the queue and its order. Does
not belong here: making matches (`matching`), keeping verdicts (`decisions`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.review import REVIEW_LASTS, Status, standing
from scout_assets.gateways.compared import Compared
from scout_assets.gateways.decisions import Judged
from scout_assets.gateways.home import Home

__all__ = ["Waiting", "product_ids", "waiting"]


@dataclass(frozen=True)
class Waiting:
    """One proposed match; `item` and `product` are as the matcher saw them."""

    source: str
    item_id: str
    product_id: str | None
    score: float
    linear: float | None
    reason: str
    proposed_at: datetime | None
    item: Mapping[str, Any]
    product: Mapping[str, Any]
    evidence: Sequence[Mapping[str, Any]]

    def as_row(self) -> dict[str, Any]:
        """What a list or an export shows."""
        return {
            "item_id": self.item_id,
            "product_id": self.product_id,
            "item": self.item.get("name"),
            "product": self.product.get("name"),
            "score": self.score,
            "reason": self.reason,
            "proposed_at": self.proposed_at,
        }

    def judged(self, product_id: str | None = None) -> Judged:
        """What a verdict is about, with what was seen; of another product, without a score.

        Raises BadConfig when no product is proposed and none is given.
        """
        product = product_id or self.product_id
        if not product:
            raise BadConfig(f"no product is proposed for {self.item_id}: name one")
        same = product == self.product_id
        seen = {
            "linear": self.linear if same else None,
            "vetoed": self.reason.startswith("veto"),
            "reason": self.reason,
            "parts": list(self.evidence) if same else [],
        }
        score = self.score if same else None
        return Judged(self.source, self.item_id, product, score, seen)


def waiting(home: Home, now: datetime, decided: bool = False) -> list[Waiting]:
    """Undecided proposals that have not expired, the surest first, put-off ones last.

    With `decided` every match of an item is there, whatever its status.
    """
    stands = standing(home.decisions.all())
    seen = Compared(home)
    rows = [row for row in seen.of("matches") if row["source"] in seen.watched]
    if not decided:
        rows = [
            row
            for row in rows
            if row["status"] == Status.POTENTIAL_MATCH
            and now - row["proposed_at"] < REVIEW_LASTS
            and row["item_id"] not in stands.verified
            and row["product_id"] not in stands.rejected.get(row["item_id"], ())
        ]
    rows.sort(key=lambda row: (row["item_id"] in stands.deferred, -row["score"], row["item_id"]))
    items = {row["id"]: row for row in seen.item_records} if rows else {}
    products = {row["id"]: row for row in seen.product_records} if rows else {}
    return [_waiting(row, items, products) for row in rows]


def product_ids(home: Home) -> frozenset[str]:
    """Every product and draft that a verdict may name."""
    products = home.warehouse.read("products")["product_id"].to_pylist()
    return frozenset(products + home.warehouse.read("drafts")["draft_id"].to_pylist())


def _waiting(
    row: Mapping[str, Any], items: Mapping[str, Any], products: Mapping[str, Any]
) -> Waiting:
    return Waiting(
        row["source"],
        row["item_id"],
        row["product_id"],
        row["score"],
        row["linear"],
        row["reason"],
        row["proposed_at"],
        items.get(row["item_id"], {}),
        products.get(row["product_id"], {"id": row["product_id"]}),
        orjson.loads(row["evidence"]),
    )
