"""Tables copied to a Postgres server for applications that want SQL.

    roasters/parents, … → published/parents, …     with SCOUT_PUBLISH=postgresql://…

Belongs here: which tables, their specs, what a copy shows. Does not belong here: how it is copied
(`gateways.copying`), when one is behind (`orchestration.publishing`).

Without the setting there are no such assets. Each table is a step of its own: one that fails stops
no other, and none of them what comes in.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.tables import (
    BEST_PRICES,
    MATCHES,
    PUBLISHED,
    SUPPLIER_ITEMS,
    Table,
)
from scout_assets.gateways.copying import bring, take
from scout_assets.gateways.home import Home
from scout_assets.orchestration.conditions import WHEN_INPUTS_CHANGE
from scout_assets.orchestration.guard import elsewhere, guarded
from scout_assets.orchestration.reporting import table_metadata
from scout_assets.orchestration.resources import ScoutHome

__all__ = ["GROUP", "build_published"]

GROUP = "published"
MADE_OF = {SUPPLIER_ITEMS: "suppliers", MATCHES: "suppliers", BEST_PRICES: "catalogue"}
"""The group of a table that is one asset; the others are those of all lanes."""


def build_published(home: Home, lanes: Sequence[str]) -> list[dg.AssetsDefinition]:
    """An asset for each published table; none when nothing is to be published.

    `lanes`: those with a catalogue of their own, all in the same tables.
    """
    if home.published is None:
        return []
    place = home.published.place
    groups = {
        table: [MADE_OF[table]] if table in MADE_OF else lanes for table in PUBLISHED.values()
    }
    return [
        _published(table, [dg.AssetKey([group, table.name]) for group in of], place)
        for table, of in groups.items()
    ]


def _published(table: Table, deps: Sequence[dg.AssetKey], place: str) -> dg.AssetsDefinition:
    @dg.multi_asset(name=f"{GROUP}_{table.name}", specs=[_spec(table, deps, place)])
    @guarded
    def published(context: dg.AssetExecutionContext, home: ScoutHome) -> dg.MaterializeResult[None]:
        with elsewhere(context, "publishing"):
            return dg.MaterializeResult(metadata=_brought(home.open(), table))

    return published


def _spec(table: Table, deps: Sequence[dg.AssetKey], place: str) -> dg.AssetSpec:
    described = table_metadata(table, GROUP)
    return dg.AssetSpec(
        key=[GROUP, table.name],
        deps=deps,
        description=(
            f"{table.description}. Table `{table.name}` for applications, copied to {place}: only "
            "slices that changed, each in one transaction."
        ),
        group_name=GROUP,
        kinds={"postgres"},
        owners=["team:scout"],
        tags={"scout/layer": "publishing"},
        metadata={
            "dagster/column_schema": described["dagster/column_schema"],
            "dagster/table_name": f"{GROUP}.{table.name}",
            "key": described["key"],
        },
        code_version="1",
        automation_condition=WHEN_INPUTS_CHANGE,
    )


def _brought(home: Home, table: Table) -> Mapping[str, Any]:
    """Copy, and tell."""
    there = home.published
    if there is None:
        raise BadConfig("nothing is to be published any more: set SCOUT_PUBLISH again")
    take(there, home.ledger.identity)
    copied = bring(home.warehouse, there, table)
    return {
        "dagster/row_count": copied.total,
        "rows/written": copied.rows,
        "slices/written": copied.slices,
        "slices/removed": copied.removed,
        "place": there.place,
    }
