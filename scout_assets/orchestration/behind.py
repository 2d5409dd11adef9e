"""What automation left behind is carried on: the sensor `left_behind`.

Belongs here: asking for tables that do not show what landed over an hour ago. Does not belong
here: what follows at once (`automation`), asking sources (`due`).

Dagster counts a partition as dealt with once its run was asked for. Such a run may be cancelled,
wait too long or die; the watermarks in the warehouse tell.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import PRIORITY_TAG

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.dispatch import WAITING_AT_MOST, spans
from scout_assets.domain.tables import BEST_PRICES, MATCHES, Table
from scout_assets.gateways import catchup
from scout_assets.gateways.home import Home
from scout_assets.gateways.matching import CATALOGUE, best_prices_behind, matches_behind
from scout_assets.gateways.readers import analysis, reader_of
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
    Kind.SUPPLIER: ("suppliers", ("analyses", "supplier_items", "list_sheets", "quarantine")),
}
"""The name of each lane, and its partitioned assets after those that ask."""
UNFINISHED = list(NOT_FINISHED_STATUSES)
FOLLOWING = ("flow_on", "publish_on", "left_behind")
"""Whose runs make these assets."""

CARRYING = {
    kind: dg.define_asset_job(
        f"carry_on_{lane}",
        dg.AssetSelection.assets(*([lane, name] for name in names)),
        description=f"Brings what is made of the last snapshots of {lane} up to date",
    )
    for kind, (lane, names) in LANES.items()
}
INDEX = "vector_index"
MATCHED = [dg.AssetKey(["suppliers", name]) for name in ("matches", "drafts")]
COMPARED = [dg.AssetKey(["catalogue", "best_prices"])]
TAGS = {TRIGGER_TAG: "left_behind", PRIORITY_TAG: "-1"}
COMPARING = dg.define_asset_job(
    "match_and_compare",
    dg.AssetSelection.assets(*MATCHED, *COMPARED),
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
        state = opened.control.state()
        why = paused(state.settings) or _goes_on(context.instance, state.since, now)
        if why is not None:
            yield dg.SkipReason(why)
            return
        publish, before = state.settings.publish_enabled, now - LONGEST_WAIT
        asked: list[dg.RunRequest] = []
        for kind in LANES:
            order = context.instance.get_dynamic_partitions(kind)
            late = _late(opened, kind, before, embedding.embedder().model, publish)
            asked += _of_lane(kind, late, order, now, publish)
        asked += _of_all(opened, now, publish)
        yield from asked
        if not asked:
            yield dg.SkipReason("everything shows what landed")

    return behind


def _goes_on(instance: dg.DagsterInstance, since: datetime | None, now: datetime) -> str | None:
    """Why it is too early to say that anything was left behind."""
    if since is not None and now - since < LONGEST_WAIT:
        return f"in auto since {since:%H:%M} UTC only: what follows has its hour"
    following = [dg.RunsFilter(tags={TRIGGER_TAG: name}, statuses=UNFINISHED) for name in FOLLOWING]
    count = sum(instance.get_runs_count(one) for one in following)
    return f"{count} runs of what follows are not over" if count else None


def _late(home: Home, kind: Kind, before: datetime, model: str, indexed: bool) -> set[str]:
    """Sources of which anything in the warehouse is behind a snapshot from before that time."""
    landed = home.ledger.landed_before(kind, before)
    late = set(catchup.left_behind(kind, landed, home.warehouse))
    if INDEX in LANES[kind][1]:
        return late | derived_behind(home.warehouse, kind, list(landed), model, indexed)
    ready = reader_of(kind, home).ready
    sources = [known.source for known in home.ledger.sources(kind, keys=sorted(late))]
    # A list that the ML service has waits for it; one that nobody handed over is late.
    return {s.key for s in sources if ready(s) or analysis(home, s) is None}


def _of_lane(
    kind: Kind, late: set[str], order: Sequence[str], now: datetime, publish: bool
) -> Iterator[dg.RunRequest]:
    """A run for each span of partitions; those in between that are up to date cost little."""
    lane, names = LANES[kind]
    made = [dg.AssetKey([lane, name]) for name in names if publish or name != INDEX]
    for keys in islice(spans(late, order), WAITING_AT_MOST):
        run_key = f"{keys[0]}-{len(keys)}-{now:%Y%m%dT%H%M%S}"
        yield over(keys, CARRYING[kind].name, run_key, TAGS)._replace(asset_selection=made)


def _of_all(home: Home, now: datetime, publish: bool) -> list[dg.RunRequest]:
    """At most one run for what is about all sources at once, and none within its hour."""

    def settled(table: Table, kind: str) -> bool:
        at = home.warehouse.last_written(table, kind)
        return at is None or now - at >= LONGEST_WAIT

    matches = settled(MATCHES, Kind.SUPPLIER) and matches_behind(home)
    prices = publish and settled(BEST_PRICES, CATALOGUE) and best_prices_behind(home, now)
    selection = [*(MATCHED if matches else ()), *(COMPARED if prices else ())]
    key = f"all-{now:%Y%m%dT%H%M%S}"
    asked = dg.RunRequest(key, job_name=COMPARING.name, asset_selection=selection, tags=TAGS)
    return [asked] if selection else []
