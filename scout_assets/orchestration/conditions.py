"""When an asset follows its inputs by itself.

Belongs here: automation conditions. Does not belong here: which asset has which (`assets`), when
sources are asked (`due`), the mode (`automation` evaluates nothing in manual).
"""

import warnings
from typing import Any

import dagster as dg

from scout_assets.domain.cadence import Scope
from scout_assets.orchestration.tags import SCOPE_TAG

Condition = dg.AutomationCondition[Any]

__all__ = ["FOLLOW", "FOLLOW_FULL", "WHEN_INPUTS_CHANGE", "Condition"]

FOLLOW: Condition = dg.AutomationCondition.eager()
"""For exactly the partitions that landed."""


def _unless_prices_only() -> Condition:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        for_prices = dg.AutomationCondition.all_new_updates_have_run_tags(
            tag_values={SCOPE_TAG: Scope.PRICES.value}
        )
    updated = (
        dg.AutomationCondition.newly_updated()
        & ~dg.AutomationCondition.executed_with_root_target()
        & ~for_prices
    )
    return FOLLOW.replace("newly_updated_without_root", updated)


FOLLOW_FULL = _unless_prices_only()
"""As `FOLLOW`, but not after a refresh of prices only: that is snapshots and offers."""

WHEN_INPUTS_CHANGE = (
    dg.AutomationCondition.any_deps_updated().since(
        dg.AutomationCondition.newly_requested() | dg.AutomationCondition.newly_updated()
    )
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
)
"""For assets without partitions; unlike `eager` it does not wait for sources never fetched."""
