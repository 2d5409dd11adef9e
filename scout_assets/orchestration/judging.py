"""What people's decisions set off: matches follow them, and expired proposals come back.

Belongs here: when Dagster matches again because of the review. Does not belong here: decisions
(`gateways.decisions`), matching (`gateways.matching`).
"""

import dagster as dg

from scout_assets.gateways.matching import proposals_expired
from scout_assets.orchestration.brake import only_in_auto
from scout_assets.orchestration.resources import ScoutHome, Web

__all__ = ["review_follows"]

FOLLOWING = dg.AssetSelection.assets(
    ["suppliers", "decisions"],
    ["suppliers", "matches"],
    ["suppliers", "drafts"],
)


@dg.sensor(
    name="review_follows",
    target=FOLLOWING,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Matches again after decisions (`scout review`) and a new calibration, and brings back "
        "proposals that nobody decided for 30 days, once a day"
    ),
)
@only_in_auto
def review_follows(
    context: dg.SensorEvaluationContext, home: ScoutHome, web: Web
) -> dg.RunRequest | dg.SkipReason:
    opened, now = home.open(), web.now()
    state, _, looked = (context.cursor or "").partition(" ")
    today = now.date().isoformat()
    decided = opened.decisions.state()
    expired = looked != today and proposals_expired(opened, now)
    context.update_cursor(f"{decided} {today}")
    if state == decided and not expired:
        return dg.SkipReason("nothing was decided, and no proposal has expired")
    why = "expired" if state == decided else "decided"
    return dg.RunRequest(
        run_key=f"{decided}:{today}", tags={"scout/trigger": "review_follows", "scout/why": why}
    )
