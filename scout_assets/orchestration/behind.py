"""What automation left behind is carried on: the sensor `left_behind`.

Belongs here: asking for tables that do not show what landed over an hour ago. Does not belong
here: what follows at once (`automation`), asking sources (`due`).

Dagster counts a partition as dealt with once its run was asked for. Such a run may be cancelled,
wait too long or die; the watermarks in the warehouse tell.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import dagster as dg

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.dispatch import neighbours
from scout_assets.domain.sources import State
from scout_assets.gateways import catchup
from scout_assets.gateways.home import Home
from scout_assets.gateways.matching import best_prices_behind, matches_behind
from scout_assets.gateways.readers import reader_of, tables_of
from scout_assets.orchestration.assets.lane import derived_behind
from scout_assets.orchestration.automation import paused
from scout_assets.orchestration.brake import only_in_auto
from scout_assets.orchestration.due import LONGEST_WAIT, over
from scout_assets.orchestration.resources import Embedding, ScoutHome, Web
from scout_assets.orchestration.tags import TRIGGER_TAG

__all__ = ["left_behind"]

LANES: Mapping[Kind, tuple[str, tuple[str, ...]]] = {
    Kind.ROASTER: (
        "roasters",
        ("parents", "products", "offers", "quarantine", "stats", "embeddings", "vector_index"),
    ),
    Kind.SUPPLIER: ("suppliers", ("supplier_items", "list_sheets", "quarantine")),
}
"""The name of each lane, and its assets that stand in the warehouse, by partition."""

CARRYING = {
    kind: dg.define_asset_job(
        f"carry_on_{lane}",
        dg.AssetSelection.assets(*([lane, name] for name in names)),
        description=f"Brings what is made of the last snapshots of {lane} up to date",
    )
    for kind, (lane, names) in LANES.items()
}
INDEX = "vector_index"
MATCHES = [dg.AssetKey(["suppliers", name]) for name in ("matches", "drafts")]
BEST_PRICES = [dg.AssetKey(["catalogue", "best_prices"])]
COMPARING = dg.define_asset_job(
    "match_and_compare",
    dg.AssetSelection.assets(*MATCHES, *BEST_PRICES),
    description="Matches all suppliers' items, and finds the best prices",
)


def left_behind(seconds: int) -> dg.SensorDefinition:
    """Looks every so many seconds for what does not show what landed."""

    @dg.sensor(
        name="left_behind",
        jobs=[*CARRYING.values(), COMPARING],
        minimum_interval_seconds=seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            f"Every {seconds} s (EMBEDDING_UPDATE_INTERVAL): makes what `flow_on` left behind, as "
            "when its run was cancelled, or with another model: rows, stats, embeddings, search "
            "index, matches, best prices. In auto only"
        ),
    )
    @only_in_auto
    def behind(
        context: dg.SensorEvaluationContext, home: ScoutHome, web: Web, embedding: Embedding
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        opened, now = home.open(), web.now()
        settings = opened.control.state().settings
        why = paused(settings)
        asked: list[dg.RunRequest] = []
        for kind in () if why else LANES:
            order = context.instance.get_dynamic_partitions(kind)
            model = embedding.embedder().model
            late = _late(opened, kind, now - LONGEST_WAIT, model, settings.publish_enabled)
            asked += _of_lane(kind, late, order, now, settings.publish_enabled)
        asked += [] if why else _of_all(opened, now, settings.publish_enabled)
        yield from asked
        if not asked:
            yield dg.SkipReason(why or "everything shows what landed")

    return behind


def _late(home: Home, kind: Kind, before: datetime, model: str, indexed: bool) -> set[str]:
    """Sources of which anything in the warehouse is behind a snapshot from before that time."""
    sources = [known.source for known in home.ledger.sources(kind, State.ACTIVE)]
    settled, late = catchup.left_behind(
        kind, sources, tables_of(kind), home.ledger, home.warehouse, reader_of(kind, home), before
    )
    if INDEX not in LANES[kind][1]:
        return set(late)
    return {*late, *derived_behind(home.warehouse, kind, settled, model, indexed)}


def _of_lane(
    kind: Kind, late: set[str], order: Sequence[str], now: datetime, publish: bool
) -> Iterator[dg.RunRequest]:
    """A run for each range of neighbours; search index is what people are shown."""
    lane, names = LANES[kind]
    shown = [dg.AssetKey([lane, name]) for name in names if publish or name != INDEX]
    for keys in neighbours(late, order):
        run_key = f"{keys[0]}-{len(keys)}-{now:%Y%m%dT%H%M%S}"
        asked = over(keys, CARRYING[kind].name, run_key, {TRIGGER_TAG: "left_behind"})
        yield asked._replace(asset_selection=shown)


def _of_all(home: Home, now: datetime, publish: bool) -> list[dg.RunRequest]:
    """At most one run for what is about all sources at once."""
    matches = MATCHES if matches_behind(home) else []
    compared = publish and (bool(matches) or best_prices_behind(home, now))
    selection = [*matches, *(BEST_PRICES if compared else ())]
    if not selection:
        return []
    key, tags = f"all-{now:%Y%m%dT%H%M%S}", {TRIGGER_TAG: "left_behind"}
    return [dg.RunRequest(key, job_name=COMPARING.name, asset_selection=selection, tags=tags)]
