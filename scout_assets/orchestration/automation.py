"""What runs by itself: sensors, schedules and conditions.

Belongs here: when Dagster launches what. Does not belong here: what the runs do (`assets`).
"""

import hashlib
import warnings

import dagster as dg
from dagster._core.definitions.sensor_definition import SensorExecutionData

from scout_assets.orchestration.assets.sources import SOURCES
from scout_assets.orchestration.control import refusal
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


class _FlowOn(dg.AutomationConditionSensorDefinition):
    """Evaluates nothing in manual: what changed meanwhile is carried on with the return to auto."""

    def __init__(self, home: ScoutHome) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)  # of the parameter below
            super().__init__(
                "flow_on",
                target=dg.AssetSelection.all(),
                default_status=dg.DefaultSensorStatus.STOPPED,
                use_user_code_server=True,  # where the mode can be asked
                description=(
                    "Carries what landed downstream, for exactly the partitions that landed. "
                    "Switch it on here when the catalogue should follow the snapshots by itself"
                ),
            )
        self._home = home

    def evaluate_tick(self, context: dg.SensorEvaluationContext) -> SensorExecutionData:
        state = self._home.open().control.state()
        if state.is_auto:
            return super().evaluate_tick(context)
        # What changes from now on is told from what was there before; that needs one evaluation.
        cursor = context.cursor or super().evaluate_tick(context).cursor
        return SensorExecutionData(skip_message=refusal(state), cursor=cursor)


def flow_on(home: ScoutHome) -> dg.SensorDefinition:
    """Eager automation over all lanes, in auto only."""
    return _FlowOn(home)
