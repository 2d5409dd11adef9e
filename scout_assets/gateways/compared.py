"""What is compared: the warehouse's rows that matching, best prices and the review look at.

Belongs here: reading items, parents, products and offers of watched sources, and the records
the matcher sees of them. Does not belong here: matching (`matching`), what waits for a person
(`review_queue`). Imports nothing that compiles, so that every command may use it.
"""

from dataclasses import dataclass
from functools import cached_property

from scout_assets.domain import supply
from scout_assets.domain.history import Row
from scout_assets.domain.sources import State
from scout_assets.gateways.home import Home

__all__ = ["Compared"]


@dataclass(frozen=True)
class Compared:
    """Rows of one installation as they are now, each table read once."""

    home: Home

    def of(self, relation: str) -> list[Row]:
        """All rows of a relation."""
        rows: list[Row] = self.home.warehouse.read(relation).to_pylist()
        return rows

    @cached_property
    def watched(self) -> frozenset[str]:
        """What was retired is neither matched nor reviewed, nor does it quote prices."""
        known = self.home.ledger.sources(state=State.ACTIVE)
        return frozenset(item.source.key for item in known)

    @cached_property
    def items(self) -> list[Row]:
        """Items that are listed now."""
        listed = (row for row in self.of("supplier_items") if row["gone_at"] is None)
        return [row for row in listed if row["source"] in self.watched]

    @cached_property
    def parents(self) -> dict[str, Row]:
        """By id."""
        return {row["parent_id"]: row for row in self.of("parents")}

    @cached_property
    def products(self) -> list[Row]:
        """Listed or gone."""
        return [row for row in self.of("products") if row["source"] in self.watched]

    @cached_property
    def offers(self) -> dict[str, Row]:
        """The current ones by product."""
        return {row["product_id"]: row for row in self.of("current_offers")}

    @cached_property
    def item_records(self) -> list[Row]:
        """Items as the matcher sees them."""
        return supply.item_records(self.items)

    @cached_property
    def product_records(self) -> list[Row]:
        """Products as the matcher sees them."""
        codes = frozenset(row["gtin"] for row in self.items if row["gtin"])
        return supply.product_records(self.products, self.parents, self.offers, codes)
