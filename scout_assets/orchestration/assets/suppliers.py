"""The suppliers' lane: price lists → items → matches, drafts → best prices.

    price_lists → supplier_items, list_sheets, quarantine → matches, drafts → best_prices

Belongs here: keys, partitions, dependencies, metadata. Does not belong here: reading lists,
matching, best prices (`gateways.price_lists`, `gateways.matching`, `domain`).

Matches have no partitions: one supplier's new good is a candidate for the next one's items,
so they are made of all items at once, and the order of runs changes nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from scout_assets.domain import linking, supply
from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import Crashed, ScoutFailure, contained
from scout_assets.domain.review import Status
from scout_assets.domain.tables import (
    BEST_PRICES,
    DRAFTS,
    MATCHES,
    Table,
)
from scout_assets.gateways import match_plots
from scout_assets.gateways.home import Home
from scout_assets.gateways.matching import CATALOGUE, best_price_batch, match_all
from scout_assets.gateways.readers import start_analysis
from scout_assets.gateways.warehouse import Batch
from scout_assets.orchestration.assets.lane import Lane, build_rows
from scout_assets.orchestration.assets.snapshots import build_snapshots
from scout_assets.orchestration.conditions import FOLLOW, WHEN_INPUTS_CHANGE
from scout_assets.orchestration.guard import guarded
from scout_assets.orchestration.reporting import counters, image, in_full, table, table_metadata
from scout_assets.orchestration.resources import ScoutHome, Web

__all__ = ["MatchConfig", "build_suppliers"]

GROUP = "suppliers"
COMPARED = ("parents", "products", "offers")
ANY_RANGE = dg.BackfillPolicy.single_run()
"""Means nothing without partitions, but a range of suppliers may then be chosen with these."""


class MatchConfig(dg.Config):
    """`anew` matches though no input changed: for a mended matcher."""

    anew: bool = False


def build_suppliers() -> list[dg.AssetsDefinition]:
    """All assets of the lane, and the best prices it leads to."""
    lane = Lane(Kind.SUPPLIER, GROUP, dg.DynamicPartitionsDefinition(name=Kind.SUPPLIER.value))
    return [
        build_snapshots(lane.kind, lane.name, lane.partitions, "price_lists"),
        _analyses(lane),
        build_rows(lane, "items", supply.VERSION, ["price_lists", "analyses"]),
        _decisions(),
        _matches(),
        _best_prices(),
    ]


def _analyses(lane: Lane) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        key=lane.key("analyses"),
        deps=[lane.key("price_lists")],
        description=(
            "Lists handed to the ML service, for suppliers with `use_ml_processing`; the sensor "
            "`analysis_jobs` asks how far it is and lets the items follow. Lists that are read "
            "here pass by."
        ),
        group_name=lane.name,
        kinds={"http", "sqlite"},
        owners=["team:scout"],
        tags={"scout/layer": "raw", "scout/kind": lane.kind.value},
        code_version="1",
        automation_condition=FOLLOW,
        partitions_def=lane.partitions,
    )

    @dg.multi_asset(name="suppliers_analyses", specs=[spec], backfill_policy=ANY_RANGE)
    @guarded
    def analyses(context: dg.AssetExecutionContext, home: ScoutHome) -> dg.MaterializeResult[None]:
        opened = home.open()
        happened: Counter[str] = Counter()
        rows: list[dict[str, Any]] = []
        for known in opened.ledger.sources(lane.kind, keys=context.partition_keys):
            try:
                with contained(known.source.key):
                    job = asyncio.run(start_analysis(opened, known.source, happened))
            except ScoutFailure as failure:  # one list must not keep the others' items back
                happened["snapshots/crashed"] += isinstance(failure, Crashed)
                context.log.error(f"{known.source.key}: {in_full(failure)}")
                rows.append({"source": known.source.key, "phase": "refused", "error": str(failure)})
                continue
            if job is not None:
                rows.append({"source": job.source, "phase": job.phase, "error": job.error,
                             "job": job.job_id, "progress": job.progress})  # fmt: skip
        shown = table(rows, ("source", "job", "phase", "progress", "error"))
        return dg.MaterializeResult(metadata={**counters(happened), "jobs": shown})

    return analyses


def _spec(key: list[str], of: Table, kind: str, deps: list[dg.AssetKey]) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=key,
        deps=deps,
        description=f"{of.description}. Table `{of.name}`, made of all sources at once.",
        group_name=key[0],
        kinds={"duckdb", "polars"},
        owners=["team:scout"],
        tags={"scout/layer": "matching", "scout/kind": kind},
        metadata=table_metadata(of, kind),
        code_version=linking.VERSION,
        automation_condition=WHEN_INPUTS_CHANGE,
    ).with_io_manager_key("warehouse")


DECISIONS = dg.AssetKey([GROUP, "decisions"])


def _decisions() -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        key=DECISIONS,
        group_name=GROUP,
        kinds={"sqlite"},
        owners=["team:scout"],
        tags={"scout/layer": "declaration", "scout/kind": Kind.SUPPLIER.value},
        code_version="1",
        description=(
            "What people decided about matches (`scout review`). Its data version changes with "
            "every decision, so that the matches show that they are behind."
        ),
    )

    @dg.multi_asset(name="suppliers_decisions", specs=[spec], backfill_policy=ANY_RANGE)
    @guarded
    def decisions(home: ScoutHome) -> dg.MaterializeResult[None]:
        made = home.open().decisions
        every = made.all()
        counted = Counter(f"decisions/{one.verdict}" for one in every if one.undone_at is None)
        rows = [
            {"item": d.item_id, "product": d.product_id, "verdict": d.verdict, "by": d.actor}
            for d in every[-10:]
            if d.undone_at is None
        ]
        return dg.MaterializeResult(
            data_version=dg.DataVersion(made.state()),
            metadata={
                "dagster/row_count": len(every),
                **counted,
                "latest": table(rows, ("item", "product", "verdict", "by")),
            },
        )

    return decisions


def _matches() -> dg.AssetsDefinition:
    deps = [
        dg.AssetKey([GROUP, "supplier_items"]),
        DECISIONS,
        *(dg.AssetKey(["roasters", name]) for name in COMPARED),
    ]
    keys = {of.name: dg.AssetKey([GROUP, of.name]) for of in (MATCHES, DRAFTS)}

    @dg.multi_asset(
        name="suppliers_matches",
        specs=[_spec([GROUP, of.name], of, Kind.SUPPLIER.value, deps) for of in (MATCHES, DRAFTS)],
        backfill_policy=ANY_RANGE,
        can_subset=True,
    )
    @guarded
    def matches(
        context: dg.AssetExecutionContext, config: MatchConfig, home: ScoutHome, web: Web
    ) -> Iterator[dg.MaterializeResult[Batch]]:
        opened = home.open()
        made = match_all(opened, web.now(), config.anew)
        for name, batch in (("matches", made.matches), ("drafts", made.drafts)):
            if keys[name] in context.selected_asset_keys:
                shown = _shown(opened, batch) if name == "matches" else {}
                yield dg.MaterializeResult(
                    asset_key=keys[name],
                    value=batch,
                    metadata={**counters(made.counters), **shown},
                )

    return matches


def _shown(home: Home, made: Batch) -> Mapping[str, Any]:
    """Pictures: how many of each status by score, and why the nearest undecided ones wait."""
    rows = made.rows.to_pylist() or home.warehouse.read("matches", Kind.SUPPLIER).to_pylist()
    if not rows:
        return {}
    shown = {"scores": image(match_plots.scores_figure(rows), "Matches by score")}
    waiting = [row for row in rows if row["status"] == Status.POTENTIAL_MATCH]
    if waiting:
        first = min(waiting, key=lambda row: (-row["score"], row["item_id"]))
        title = f"{first['item_id']} → {first['product_id']}: {first['score']:.0f}"
        picture = match_plots.waterfall_figure(title, match_plots.parts_of(first["evidence"]))
        shown["evidence of the best one waiting"] = image(picture, title)
    return shown


def _best_prices() -> dg.AssetsDefinition:
    deps = [
        dg.AssetKey([GROUP, "matches"]),
        dg.AssetKey([GROUP, "drafts"]),
        dg.AssetKey([GROUP, "supplier_items"]),
        dg.AssetKey(["roasters", "offers"]),
        dg.AssetKey(["roasters", "products"]),
    ]

    @dg.multi_asset(
        name="best_prices",
        specs=[_spec([CATALOGUE, "best_prices"], BEST_PRICES, CATALOGUE, deps)],
        backfill_policy=ANY_RANGE,
    )
    @guarded
    def best_prices(home: ScoutHome, web: Web) -> dg.MaterializeResult[Batch]:
        return dg.MaterializeResult(value=best_price_batch(home.open(), web.now()))

    return best_prices
