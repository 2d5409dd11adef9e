"""What runs by itself: sensors, schedules and conditions.

Belongs here: when Dagster launches what. Does not belong here: what the runs do (`assets`).
"""

import hashlib

import dagster as dg

from scout_assets.orchestration.assets.sources import SOURCES
from scout_assets.orchestration.resources import ScoutHome

__all__ = ["flow_on", "sources_changed"]


@dg.sensor(
    name="sources_changed",
    target=dg.AssetSelection.assets(SOURCES),
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Materialises `catalogue/sources` when sources.yaml changes",
)
def sources_changed(
    context: dg.SensorEvaluationContext, home: ScoutHome
) -> dg.RunRequest | dg.SkipReason:
    declared = home.open().sources_file
    try:
        digest = hashlib.sha256(declared.read_bytes()).hexdigest()
    except OSError as error:
        return dg.SkipReason(f"cannot read {declared}: {error.strerror}; nothing is retired")
    if context.cursor == digest:
        return dg.SkipReason(f"{declared} has not changed")
    context.update_cursor(digest)
    return dg.RunRequest(asset_selection=[SOURCES], tags={"scout/trigger": "sources_changed"})


flow_on = dg.AutomationConditionSensorDefinition(
    "flow_on",
    target=dg.AssetSelection.all(),
    default_status=dg.DefaultSensorStatus.STOPPED,
    description=(
        "Carries what landed downstream, for exactly the partitions that landed. Switch it on "
        "here when the catalogue should follow the snapshots by itself"
    ),
)
