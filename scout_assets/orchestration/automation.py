"""What runs by itself: sensors, schedules and conditions.

Belongs here: when Dagster launches what. Does not belong here: what the runs do (`assets`).
"""

import hashlib
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta

import dagster as dg
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG

from scout_assets.domain.control import Settings
from scout_assets.orchestration.assets.published import GROUP
from scout_assets.orchestration.assets.sources import SOURCES
from scout_assets.orchestration.brake import held_back
from scout_assets.orchestration.control import IN_STEP
from scout_assets.orchestration.resources import ScoutHome, Web
from scout_assets.orchestration.tags import HARD_LIMIT_SECONDS, TRIGGER_TAG

__all__ = ["flow_on", "paused", "sources_changed", "unpublished"]


@dg.sensor(
    name="sources_changed",
    target=dg.AssetSelection.assets(SOURCES),
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Materialises `catalogue/sources` when sources.yaml changes, and every "
        "catalogue_interval_hours; in any mode, as it fetches nothing"
    ),
)
def sources_changed(
    context: dg.SensorEvaluationContext, home: ScoutHome, web: Web
) -> dg.RunRequest | dg.SkipReason:
    opened, now = home.open(), web.now()
    declared = opened.sources_file
    try:
        digest = hashlib.sha256(declared.read_bytes()).hexdigest()
    except OSError as error:
        return dg.SkipReason(f"cannot read {declared}: {error.strerror}; nothing is retired")
    every = timedelta(hours=opened.control.state().settings.catalogue_interval_hours)
    before, _, at = (context.cursor or "").partition(" ")
    if before == digest and at and now - datetime.fromisoformat(at) < every:
        return dg.SkipReason(f"{declared} has not changed")
    context.update_cursor(f"{digest} {now.isoformat()}")
    return dg.RunRequest(asset_selection=[SOURCES], tags={TRIGGER_TAG: IN_STEP})


PUBLISHED = dg.AssetSelection.assets(
    ["roasters", "vector_index"], ["catalogue", "best_prices"]
) | dg.AssetSelection.groups(GROUP)
"""What people are shown: it follows by a sensor of its own, which `publish_enabled` holds back."""


class _Following(dg.AutomationConditionSensorDefinition):
    """Evaluates nothing in manual: what changed meanwhile is carried on with the return to auto."""

    def __init__(
        self,
        name: str,
        target: dg.AssetSelection,
        description: str,
        home: ScoutHome,
        held: Callable[[Settings], str | None],
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)  # of the parameter below
            super().__init__(
                name,
                target=target,
                default_status=dg.DefaultSensorStatus.RUNNING,
                use_user_code_server=True,  # where the mode can be asked
                description=description,
                run_tags={TRIGGER_TAG: name, MAX_RUNTIME_SECONDS_TAG: str(HARD_LIMIT_SECONDS)},
            )
        self._home, self._held = home, held

    def evaluate_tick(self, context: dg.SensorEvaluationContext) -> SensorExecutionData:
        control = self._home.open().control
        why = held_back(control, context.instance) or self._held(control.state().settings)
        if why is None:
            return super().evaluate_tick(context)
        # What changes from now on is told from what was there before; that needs one evaluation.
        cursor = context.cursor or super().evaluate_tick(context).cursor
        return SensorExecutionData(skip_message=why, cursor=cursor)


def flow_on(home: ScoutHome) -> list[dg.SensorDefinition]:
    """Eager automation over all lanes, in auto only."""
    return [
        _Following(
            "flow_on",
            dg.AssetSelection.all() - PUBLISHED,
            "Carries what landed downstream, for exactly the partitions that landed. In auto, and "
            "unless the setting stage_only is on",
            home,
            paused,
        ),
        _Following(
            "publish_on",
            PUBLISHED,
            "Carries on to what people are shown: search index, best prices, published tables. As "
            "`flow_on`, and only while the setting publish_enabled is on",
            home,
            unpublished,
        ),
    ]


def paused(settings: Settings) -> str | None:
    """Why what landed is not carried on; None if it is. A dry run is the brake's affair."""
    return "setting stage_only is on: snapshots stay as they are" if settings.stage_only else None


def unpublished(settings: Settings) -> str | None:
    """Why what people are shown is not brought up to date; None if it is."""
    if not settings.publish_enabled:
        return "setting publish_enabled is off: what people are shown stays as it is"
    return paused(settings)
