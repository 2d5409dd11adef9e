"""The asset `catalogue/sources`: what is declared, known to ledger and Dagster alike.

Belongs here: running the sync and registering partitions. Does not belong here: reading or
comparing the lists (`gateways.files`, `domain.sources`).
"""

from collections.abc import Sequence

import dagster as dg

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.sources import SyncPlan
from scout_assets.gateways.files import declared_sources
from scout_assets.gateways.home import Home
from scout_assets.gateways.supplier_list import sync_suppliers
from scout_assets.orchestration.guard import guarded
from scout_assets.orchestration.reporting import counters, source_table, table
from scout_assets.orchestration.resources import ScoutHome, Web

__all__ = ["MASTER_LIST", "SOURCES", "master_list", "register_partitions", "sources"]

SOURCES = dg.AssetKey(["catalogue", "sources"])


@dg.asset(
    key=SOURCES,
    group_name="catalogue",
    kinds={"yaml", "sqlite"},
    owners=["team:scout"],
    tags={"scout/layer": "declaration"},
    code_version="1",
    description=(
        "The places we watch: reads `sources.yaml` into the ledger and registers one partition "
        "per source. A list that cannot be read fails here and retires nothing."
    ),
)
@guarded
def sources(
    context: dg.AssetExecutionContext, home: ScoutHome, web: Web
) -> dg.MaterializeResult[None]:
    opened = home.open()
    plan = opened.ledger.sync(declared_sources(opened.sources_file), web.now())
    register_partitions(opened, context.instance)
    known = opened.ledger.sources()
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(known),
            "declared in": dg.MetadataValue.path(str(opened.sources_file)),
            "sources": source_table(known),
            **_changes(plan),
        }
    )


MASTER_LIST = dg.AssetKey(["catalogue", "master_list"])


@dg.asset(
    key=MASTER_LIST,
    group_name="catalogue",
    kinds={"excel", "sqlite"},
    owners=["team:scout"],
    tags={"scout/layer": "declaration"},
    code_version="1",
    description=(
        "The suppliers' master list (`SCOUT_MASTER_LIST`: csv, workbook or Google Sheet) taken "
        "into the ledger, one sync at a time. A list that cannot be read fails here and retires "
        "nobody; a bad row is shown and keeps its supplier."
    ),
)
@guarded
def master_list(
    context: dg.AssetExecutionContext, home: ScoutHome, web: Web
) -> dg.MaterializeResult[None]:
    opened = home.open()
    synced = sync_suppliers(opened, web.now())
    if synced is None:
        return dg.MaterializeResult(metadata={"list": "none; set SCOUT_MASTER_LIST"})
    register_partitions(opened, context.instance)
    bad = [{"row": row.row, "supplier": row.key, "reason": row.reason} for row in synced.bad_rows]
    return dg.MaterializeResult(
        metadata={
            "list": opened.master_list,
            "bad rows": table(bad, ("row", "supplier", "reason")),
            **_changes(synced.plan),
            **counters(synced.counters),
        }
    )


def _changes(plan: SyncPlan) -> dict[str, int]:
    return {
        "sources/added": len(plan.added),
        "sources/changed": len(plan.changed),
        "sources/revived": len(plan.revived),
        "sources/retired": len(plan.retired),
    }


def register_partitions(home: Home, instance: dg.DagsterInstance) -> dict[Kind, Sequence[str]]:
    """Make each kind's dynamic partitions equal its active sources; returns them in order."""
    return {kind: _register(kind, home.ledger.active_keys(kind), instance) for kind in Kind}


def _register(kind: Kind, active: set[str], instance: dg.DagsterInstance) -> Sequence[str]:
    order = instance.get_dynamic_partitions(kind)
    registered = set(order)
    if active == registered:
        return order
    if active - registered:
        instance.add_dynamic_partitions(kind, sorted(active - registered))
    for key in sorted(registered - active):
        instance.delete_dynamic_partition(kind, key)
    return instance.get_dynamic_partitions(kind)
