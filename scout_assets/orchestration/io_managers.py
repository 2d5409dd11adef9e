"""The IO manager between assets and warehouse.

Belongs here: which slices a run's partitions mean, and what a write shows in the UI. Does not
belong here: SQL or transactions (`gateways.warehouse`).
"""

from collections.abc import Mapping, Sequence

import dagster as dg

from scout_assets.domain.tables import TABLES, Table
from scout_assets.gateways.warehouse import Batch, Slices, Warehouse
from scout_assets.orchestration.guard import judged
from scout_assets.orchestration.reporting import PREVIEW_ROWS, preview
from scout_assets.orchestration.resources import ScoutHome

__all__ = ["WarehouseIOManager"]

PREVIEWED: Mapping[str, tuple[str, ...]] = {
    "parents": ("external_id", "title", "is_coffee", "roast_level", "process", "tasting_notes"),
    "products": ("external_id", "title", "net_weight_g", "pack_count", "grind", "sku"),
    "offers": ("product_id", "observed_at", "price", "currency", "available", "change"),
    "quarantine": ("place", "reason", "row"),
    "embeddings": ("source", "text_hash", "model"),
    "search_documents": ("parent_id", "text"),
    "stats": ("source", "metric", "dimension", "value"),
    "supplier_items": ("sku", "name", "price", "price_basis", "currency", "pack_count", "section"),
    "list_sheets": ("source", "sheet", "role", "header_rows", "items", "confidence"),
    "matches": ("item_id", "status", "product_id", "score", "reason"),
    "drafts": ("draft_id", "name", "category", "items"),
    "best_prices": ("title", "min_price", "currency", "best_source", "own_price", "sources_count"),
}


class WarehouseIOManager(dg.ConfigurableIOManager):
    """Writes the `Batch` an asset returns, in one transaction; loads inputs as `Slices`.

    The asset's metadata says which table it is (`table`) and of which kind of source (`kind`);
    the partitions of the run are the slices.
    """

    home: dg.ResourceDependency[ScoutHome]

    def handle_output(self, context: dg.OutputContext, obj: Batch) -> None:
        with judged(self.home, context.step_context.previous_attempt_count):
            self._write(context, obj)

    def _write(self, context: dg.OutputContext, obj: Batch) -> None:
        warehouse = self.home.open().warehouse
        if obj.watermarks:
            written = warehouse.write(obj)
            context.add_output_metadata(
                {"rows/written": written.rows, "slices/superseded": len(written.superseded)}
            )
        partitioned = context.has_asset_partitions
        sources = context.asset_partition_keys if partitioned else _all(warehouse, obj)
        count, first = warehouse.glance(obj.table, obj.kind, sources, PREVIEW_ROWS)
        context.add_output_metadata(
            {
                "dagster/row_count": count,
                "slices/written": len(obj.watermarks),
                "preview": preview(first, PREVIEWED[obj.table.name]),
            }
        )

    def load_input(self, context: dg.InputContext) -> Slices:
        table, kind = _meant(context)
        sources = list(context.asset_partition_keys)
        return self.home.open().warehouse.read_slices(table, kind, sources)


def _all(warehouse: Warehouse, batch: Batch) -> Sequence[str]:
    """Every slice of the batch's table: what an asset without partitions shows."""
    return sorted(warehouse.watermarks(batch.table, batch.kind))


def _meant(context: dg.InputContext) -> tuple[Table, str]:
    """The table and kind of the upstream asset."""
    about = context.upstream_output.definition_metadata if context.upstream_output else {}
    return TABLES[str(about["table"])], str(about["kind"])
