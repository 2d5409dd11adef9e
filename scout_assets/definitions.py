"""Everything there is, put together: `build_defs(**overrides)` and `defs`.

Belongs here: the list of lanes and resources. The only module that knows everything; nothing
imports it.
"""

import os

import dagster as dg

from scout_assets.domain.catalogue import Kind
from scout_assets.orchestration import supply
from scout_assets.orchestration.assets.checks import build_checks, build_supplier_checks
from scout_assets.orchestration.assets.lane import build_lane
from scout_assets.orchestration.assets.sources import master_list, sources
from scout_assets.orchestration.assets.suppliers import build_suppliers
from scout_assets.orchestration.automation import flow_on, sources_changed
from scout_assets.orchestration.brake import emergency_stop, go_auto
from scout_assets.orchestration.io_managers import WarehouseIOManager
from scout_assets.orchestration.judging import review_follows
from scout_assets.orchestration.resources import Embedding, ScoutHome, Web

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
    assets = [asset for kind, lane in LANES.items() for asset in build_lane(kind, lane)]
    return dg.Definitions(
        assets=[sources, master_list, *assets, *build_suppliers()],
        asset_checks=[
            *(check for kind, lane in LANES.items() for check in build_checks(kind, lane)),
            *build_supplier_checks("suppliers"),
        ],
        jobs=[
            dg.define_asset_job(
                lane,
                dg.AssetSelection.groups(lane),
                description=f"Full refresh: the whole {lane} lane for the chosen partitions",
            )
            for lane in (*LANES.values(), "suppliers")
        ]
        + [
            dg.define_asset_job(
                f"{lane}_prices",
                dg.AssetSelection.assets([lane, "snapshots"], [lane, "offers"]),
                description="Price-only refresh: snapshots and offers",
            )
            for lane in LANES.values()
        ]
        + [supply.clean_shared_files, supply.retry_analysis, emergency_stop, go_auto],
        schedules=[supply.master_sync(hours), supply.clean_shared_files_daily],
        # Steps batch and run concurrently inside; a process for each would only cost its start.
        executor=dg.in_process_executor,
        sensors=[
            sources_changed,
            flow_on(home),
            supply.new_suppliers,
            supply.watched_lists,
            supply.analysis_jobs,
            review_follows,
        ],
        resources={
            "home": home,
            "web": web or Web(),
            "embedding": embedding or Embedding(),
            "warehouse": WarehouseIOManager(home=home),
        },
    )


defs = build_defs()
