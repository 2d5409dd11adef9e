"""The asset `catalogue/price_alerts`: price rules look at what has changed.

Belongs here: when, and how what they say is shown. Does not belong here: the rules
(`domain.price_alerts`), keeping them (`gateways.price_rules`), sending (`orchestration.alerting`).
"""

import dagster as dg

from scout_assets.domain.catalogue import Kind
from scout_assets.gateways.matching import CATALOGUE
from scout_assets.orchestration.conditions import WHEN_INPUTS_CHANGE
from scout_assets.orchestration.guard import guarded
from scout_assets.orchestration.reporting import table
from scout_assets.orchestration.resources import ScoutHome, Web

__all__ = ["price_alerts"]


@dg.asset(
    key=[CATALOGUE, "price_alerts"],
    deps=[dg.AssetKey(["roasters", "offers"])],
    description=(
        "Price rules look at the prices they have not seen yet: `alert_price_delta_pct` of each "
        "source, and those of `scout alerts watch`. What they say goes out as alerts, once."
    ),
    group_name=CATALOGUE,
    kinds={"duckdb", "sqlite"},
    owners=["team:scout"],
    tags={"scout/layer": "alerts", "scout/kind": Kind.ROASTER.value},
    code_version="1",
    automation_condition=WHEN_INPUTS_CHANGE,
)
@guarded
def price_alerts(home: ScoutHome, web: Web) -> dg.MaterializeResult[None]:
    opened = home.open()
    found = opened.price_rules.evaluate(web.now())
    fired = [{"alert": one.subject, "rule": one.key} for one in found.fired]
    asked = [
        {"rule": rule.id, "says": rule.says, "source": rule.source, "product": rule.product,
         "currency": rule.currency, "by": rule.by}
        for rule in opened.price_rules.rules()
    ]  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "alerts/fired": len(found.fired),
            "rules/asked": found.rules,
            "prices/looked_at": found.prices,
            "fired": table(fired, ("alert", "rule")),
            "rules": table(asked, ("rule", "says", "source", "product", "currency", "by")),
        }
    )
