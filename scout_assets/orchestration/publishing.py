"""What applications see is brought up to date when its run was lost: the sensor `publish_behind`.

Belongs here: asking for published tables that are not what the warehouse holds. Does not belong
here: what follows at once (`automation`), the tables (`assets.published`).
"""

from datetime import datetime

import dagster as dg

from scout_assets.domain.failures import ScoutFailure
from scout_assets.domain.tables import PUBLISHED
from scout_assets.gateways.copying import behind
from scout_assets.gateways.home import Home
from scout_assets.orchestration.assets.published import GROUP
from scout_assets.orchestration.automation import unpublished
from scout_assets.orchestration.brake import only_in_auto
from scout_assets.orchestration.resources import ScoutHome, Web
from scout_assets.orchestration.tags import TRIGGER_TAG

__all__ = ["publish_behind"]

NAME = "publish_behind"


@dg.sensor(
    name=NAME,
    target=dg.AssetSelection.groups(GROUP),
    minimum_interval_seconds=3600,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Every hour: copies published tables that are not what the warehouse holds, as when their "
        "server was away, SCOUT_PUBLISH is new, or maintenance took rows. In auto only"
    ),
)
@only_in_auto
def publish_behind(
    context: dg.SensorEvaluationContext, home: ScoutHome, web: Web
) -> dg.RunRequest | dg.SkipReason:
    opened, now = home.open(), web.now()
    why = unpublished(opened.control.state().settings)
    if why is not None:
        return dg.SkipReason(why)
    try:
        return _asked(opened, now)
    except ScoutFailure as failure:
        return dg.SkipReason(str(failure))


def _asked(home: Home, now: datetime) -> dg.RunRequest | dg.SkipReason:
    there = home.published
    tables = () if there is None else PUBLISHED.values()
    late = [table for table in tables if there and behind(home.warehouse, there, table)]
    if not late:
        return dg.SkipReason("applications see what the warehouse holds")
    return dg.RunRequest(
        f"{now:%Y%m%dT%H%M%S}",
        asset_selection=[dg.AssetKey([GROUP, table.name]) for table in late],
        tags={TRIGGER_TAG: NAME},
    )
