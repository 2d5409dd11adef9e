"""Everything there is, put together: `build_defs(**overrides)` and `defs`.

Belongs here: the list of lanes and resources. The only module that knows everything; nothing
imports it.
"""

import os

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,
)

from scout_assets.domain.cadence import Scope
from scout_assets.domain.catalogue import Kind
from scout_assets.gateways.home import Home
from scout_assets.orchestration import supply
from scout_assets.orchestration.alerting import deliver_alerts, watch_over
from scout_assets.orchestration.assets.checks import build_checks, build_supplier_checks
from scout_assets.orchestration.assets.control import control_changed, control_panel
from scout_assets.orchestration.assets.lane import build_lane
from scout_assets.orchestration.assets.price_alerts import price_alerts
from scout_assets.orchestration.assets.published import build_published
from scout_assets.orchestration.assets.sources import master_list, sources
from scout_assets.orchestration.assets.suppliers import build_suppliers
from scout_assets.orchestration.automation import flow_on, sources_changed
from scout_assets.orchestration.behind import left_behind
from scout_assets.orchestration.brake import emergency_stop, go_auto
from scout_assets.orchestration.changes import FEED_CHECK_INTERVAL, changed_sources
from scout_assets.orchestration.due import due_sources
from scout_assets.orchestration.failsafe import failure_budget
from scout_assets.orchestration.intervals import interval
from scout_assets.orchestration.io_managers import WarehouseIOManager
from scout_assets.orchestration.judging import review_follows
from scout_assets.orchestration.maintenance import (
    CLEANUP_SECONDS,
    build_maintenance,
    clean_regularly,
)
from scout_assets.orchestration.publishing import publish_behind
from scout_assets.orchestration.resources import Embedding, ScoutHome, Web
from scout_assets.orchestration.tags import SCOPE_TAG

LANES = {Kind.ROASTER: "roasters"}


def build_defs(
    home: ScoutHome | None = None,
    web: Web | None = None,
    embedding: Embedding | None = None,
    sync_hours: int | None = None,
) -> dg.Definitions:
    """The definitions, with any resource replaced; tests need no patching.

    A replaced `home` also moves the IO manager. `sync_hours`: how often the master list is read;
    None means SYNC_INTERVAL_HOURS of the environment.
    """
    hours = supply.sync_hours(os.environ) if sync_hours is None else sync_hours
    home = home or ScoutHome()
    stores = [asset for kind, lane in LANES.items() for asset in build_lane(kind, lane)]
    opened = home.open()
    copies = build_published(opened, list(LANES.values()))
    made = [sources, master_list, *stores, *build_suppliers(), price_alerts, control_panel, *copies]
    assets = [_shown_as_kept(asset, opened) for asset in made]
    checks = [
        *(check for kind, lane in LANES.items() for check in build_checks(kind, lane)),
        *build_supplier_checks("suppliers"),
    ]
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[
            *_refreshes(),
            build_maintenance(assets, checks),
            supply.retry_analysis,
            emergency_stop,
            go_auto,
        ],
        schedules=[supply.master_sync(hours)],
        # Steps batch and run concurrently inside; a process for each would only cost its start.
        executor=dg.in_process_executor,
        sensors=[*_sensors(home), *([publish_behind] if copies else [])],
        resources={
            "home": home,
            "web": web or Web(),
            "embedding": embedding or Embedding(),
            "warehouse": WarehouseIOManager(home=home),
        },
    )


def _shown_as_kept(asset: dg.AssetsDefinition, home: Home) -> dg.AssetsDefinition:
    """With the kinds of what keeps it in this installation."""

    def shown(spec: dg.AssetSpec) -> dg.AssetSpec:
        engines = home.engines(spec.metadata.get("table"))
        return spec.replace_attributes(kinds={engines.get(kind, kind) for kind in spec.kinds})

    return asset.map_asset_specs(shown)


def _refreshes() -> list[UnresolvedAssetJobDefinition]:
    """What a person launches over a choice of partitions."""
    full = [
        dg.define_asset_job(
            lane,
            dg.AssetSelection.groups(lane),
            description=f"Full refresh: the whole {lane} lane for the chosen partitions",
        )
        for lane in (*LANES.values(), "suppliers")
    ]
    prices = [
        dg.define_asset_job(
            f"{lane}_prices",
            dg.AssetSelection.assets([lane, "snapshots"], [lane, "offers"]),
            description="Price-only refresh: snapshots and offers",
            tags={SCOPE_TAG: Scope.PRICES.value},
        )
        for lane in LANES.values()
    ]
    return full + prices


def _sensors(home: ScoutHome) -> list[dg.SensorDefinition]:
    """All that acts or watches by itself."""
    environment = os.environ
    return [
        sources_changed,
        due_sources,
        changed_sources(interval(environment, "FEED_CHECK_INTERVAL", FEED_CHECK_INTERVAL)),
        *flow_on(home),
        left_behind(interval(environment, "EMBEDDING_UPDATE_INTERVAL", 3600)),
        supply.watched_lists,
        supply.analysis_jobs,
        review_follows,
        clean_regularly(interval(environment, "CLEANUP_INTERVAL", CLEANUP_SECONDS)),
        failure_budget,
        control_changed,
        watch_over,
        deliver_alerts,
    ]


defs = build_defs()
