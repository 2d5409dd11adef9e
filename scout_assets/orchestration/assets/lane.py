"""The pipe every kind of source flows through, made once per kind.

    snapshots → parents, products, offers, quarantine → embeddings → vector_index
                                                      → stats

Belongs here: keys, partitions, dependencies, metadata. Does not belong here: fetching
(`snapshots`), rules, SQL, pictures (`plots`), checks (`checks`).
Only snapshots may fail per source. What follows is total: it re-derives from the last good
snapshot and puts bad rows into quarantine, so a run over a range never leaves holes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pyarrow as pa

from scout_assets.domain import capture, search, stats
from scout_assets.domain.catalogue import Kind
from scout_assets.domain.tables import (
    EMBEDDINGS,
    OFFERS,
    PARENTS,
    PRODUCTS,
    SEARCH_DOCUMENTS,
    STATS,
    Table,
)
from scout_assets.gateways import plots
from scout_assets.gateways.catchup import catch_up
from scout_assets.gateways.embedders import embed_missing
from scout_assets.gateways.readers import reader_of, tables_of
from scout_assets.gateways.warehouse import Batch, Warehouse
from scout_assets.orchestration.assets.snapshots import build_snapshots
from scout_assets.orchestration.conditions import FOLLOW, FOLLOW_FULL, Condition
from scout_assets.orchestration.guard import elsewhere, guarded
from scout_assets.orchestration.reporting import (
    counters,
    image,
    in_full,
    table,
    table_metadata,
)
from scout_assets.orchestration.resources import Embedding, ScoutHome

__all__ = ["CatalogueConfig", "Lane", "build_lane", "build_rows", "derived_behind"]

PLOTTED_AT_ONCE = 12
"""Runs over more partitions draw one overview instead of a picture each."""

SEARCH_VERSION = "1"
"""Bump when the same rows make other search documents."""

Rows = list[dict[str, Any]]


class CatalogueConfig(dg.Config):
    """`rewrite` folds all stored snapshots anew, offers too: for a mended parser."""

    rewrite: bool = False


@dataclass(frozen=True)
class Lane:
    """One kind of source, and what its assets share."""

    kind: Kind
    name: str
    partitions: dg.DynamicPartitionsDefinition

    def key(self, name: str) -> dg.AssetKey:
        return dg.AssetKey([self.name, name])

    def spec(
        self,
        table: Table,
        name: str,
        version: str,
        deps: Sequence[str],
        *kinds: str,
        follow: Condition = FOLLOW,
    ) -> dg.AssetSpec:
        """An asset that is one table: dressed from the registry, written by the IO manager."""
        return dg.AssetSpec(
            key=self.key(name),
            deps=[self.key(name) for name in deps],
            description=f"{table.description}. One slice of table `{table.name}` per source.",
            group_name=self.name,
            kinds={"duckdb", *kinds},
            owners=["team:scout"],
            tags={"scout/layer": "catalogue", "scout/kind": self.kind.value},
            metadata=table_metadata(table, self.kind.value),
            code_version=version,
            automation_condition=follow,
            partitions_def=self.partitions,
        ).with_io_manager_key("warehouse")


def build_lane(kind: Kind, name: str) -> list[dg.AssetsDefinition]:
    """All assets of one kind of source; `name` is group and first part of every key."""
    lane = Lane(kind, name, dg.DynamicPartitionsDefinition(name=kind.value))
    return [
        build_snapshots(kind, name, lane.partitions),
        build_rows(lane, "catalogue", capture.VERSION, ["snapshots"]),
        _embeddings(lane),
        _vector_index(lane),
        _stats(lane),
    ]


def build_rows(lane: Lane, name: str, version: str, deps: Sequence[str]) -> dg.AssetsDefinition:
    """One step for all tables that come from a capture: its pages are parsed once."""
    tables = tables_of(lane.kind)
    whole = {t.name: FOLLOW_FULL for t in tables if OFFERS in tables and t is not OFFERS}

    @dg.multi_asset(
        name=f"{lane.name}_{name}",
        specs=[
            lane.spec(t, t.name, version, deps, follow=whole.get(t.name, FOLLOW)) for t in tables
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    @guarded
    def rows(
        context: dg.AssetExecutionContext, config: CatalogueConfig, home: ScoutHome
    ) -> Iterator[dg.MaterializeResult[Batch]]:
        opened = home.open()
        known = opened.ledger.sources(lane.kind, keys=context.partition_keys)
        caught_up = catch_up(
            lane.kind,
            [item.source for item in known],
            [t for t in tables if lane.key(t.name) in context.selected_asset_keys],
            opened.ledger,
            opened.snapshots,
            opened.warehouse,
            reader_of(lane.kind, opened),
            config.rewrite,
        )
        for crash in caught_up.crashes:
            context.log.error(in_full(crash))
        happened = {
            **counters(sum(caught_up.counters.values(), Counter())),
            **_noticed(caught_up.notices),
        }
        for name, batch in caught_up.batches.items():
            yield dg.MaterializeResult(asset_key=lane.key(name), value=batch, metadata=happened)

    return rows


def _noticed(notices: Mapping[str, Sequence[str]]) -> Mapping[str, Any]:
    rows = [{"source": key, "notice": one} for key, said in notices.items() for one in said]
    return {"notices": table(rows, ("source", "notice"))} if rows else {}


def _embeddings(lane: Lane) -> dg.AssetsDefinition:
    inputs = [PARENTS, PRODUCTS]

    @dg.multi_asset(
        name=f"{lane.name}_embeddings",
        specs=[
            lane.spec(
                EMBEDDINGS, "embeddings", SEARCH_VERSION, ["parents", "products"], "wordllama"
            )
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    @guarded
    def embeddings(
        context: dg.AssetExecutionContext, home: ScoutHome, embedding: Embedding
    ) -> dg.MaterializeResult[Batch]:
        warehouse, embedder = home.open().warehouse, embedding.embedder()
        version = f"{SEARCH_VERSION}/{embedder.model}"
        due = warehouse.behind(EMBEDDINGS, lane.kind, context.partition_keys, version, inputs)
        documents = _documents(warehouse, lane, list(due), embedder.model)
        known = warehouse.read_slices(EMBEDDINGS, lane.kind, list(due)).rows
        tally: Counter[str] = Counter()
        rows = embed_missing(documents, known, embedder, tally)
        batch = Batch(EMBEDDINGS, lane.kind, rows, due)
        return dg.MaterializeResult(value=batch, metadata=counters(tally))

    return embeddings


def _vector_index(lane: Lane) -> dg.AssetsDefinition:
    inputs = [PARENTS, PRODUCTS, EMBEDDINGS]

    @dg.multi_asset(
        name=f"{lane.name}_vector_index",
        specs=[
            lane.spec(
                SEARCH_DOCUMENTS,
                "vector_index",
                SEARCH_VERSION,
                ["parents", "products", "embeddings"],
            )
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    @guarded
    def vector_index(
        context: dg.AssetExecutionContext, home: ScoutHome, embedding: Embedding
    ) -> dg.MaterializeResult[Batch]:
        warehouse, model = home.open().warehouse, embedding.embedder().model
        with elsewhere(context, "search"):
            warehouse.prepare_ranking(SEARCH_DOCUMENTS)
        version, keys = f"{SEARCH_VERSION}/{model}", context.partition_keys
        due = warehouse.behind(SEARCH_DOCUMENTS, lane.kind, keys, version, inputs)
        documents = _documents(warehouse, lane, list(due), model)
        vectors = warehouse.read_slices(EMBEDDINGS, lane.kind, list(due)).rows
        waiting = _without_vectors(documents, vectors)
        rows = search.search_documents(
            [document for document in documents if document.source not in waiting], vectors
        )
        ready = {source: mark for source, mark in due.items() if source not in waiting}
        batch = Batch(SEARCH_DOCUMENTS, lane.kind, rows, ready)
        return dg.MaterializeResult(value=batch, metadata={"sources/waiting": len(waiting)})

    return vector_index


def derived_behind(
    warehouse: Warehouse, kind: Kind, sources: Sequence[str], model: str, indexed: bool = True
) -> set[str]:
    """Sources whose stats, embeddings or, with `indexed`, search index do not reflect their last
    rows."""
    version, texts = f"{SEARCH_VERSION}/{model}", [PARENTS, PRODUCTS]
    behind = set(warehouse.behind(STATS, kind, sources, stats.VERSION, [*texts, OFFERS]))
    behind |= warehouse.behind(EMBEDDINGS, kind, sources, version, texts).keys()
    if indexed:
        made_of = [*texts, EMBEDDINGS]
        behind |= warehouse.behind(SEARCH_DOCUMENTS, kind, sources, version, made_of).keys()
    return behind


def _without_vectors(documents: Sequence[search.Document], vectors: pa.Table) -> set[str]:
    """Sources whose parents moved on since their embeddings: the next run indexes them."""
    there = set(vectors["text_hash"].to_pylist())
    return {d.source for d in documents if d.listed and d.text_hash not in there}


def _documents(
    warehouse: Warehouse, lane: Lane, sources: Sequence[str], model: str
) -> list[search.Document]:
    parents = warehouse.read_slices(PARENTS, lane.kind, sources).rows.to_pylist()
    products = warehouse.read_slices(PRODUCTS, lane.kind, sources).rows.to_pylist()
    return search.documents(parents, products, model)


def _stats(lane: Lane) -> dg.AssetsDefinition:
    inputs = [PARENTS, PRODUCTS, OFFERS]

    @dg.multi_asset(
        name=f"{lane.name}_stats",
        specs=[lane.spec(STATS, "stats", stats.VERSION, [table.name for table in inputs])],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    @guarded
    def source_stats(
        context: dg.AssetExecutionContext, home: ScoutHome
    ) -> dg.MaterializeResult[Batch]:
        warehouse, keys = home.open().warehouse, context.partition_keys
        due = warehouse.behind(STATS, lane.kind, keys, stats.VERSION, inputs)
        drawn = keys if len(keys) <= PLOTTED_AT_ONCE else list(due)
        seen = [_by_source(warehouse, table, lane.kind, drawn) for table in inputs]
        made = {
            source: stats.source_stats(lane.kind, source, *(rows[source] for rows in seen))
            for source in drawn
        }
        if len(keys) <= PLOTTED_AT_ONCE:
            priced = {key: stats.coffee_offers(*(rows[key] for rows in seen)) for key in keys}
            _draw_each(context, lane, made, priced)
        else:
            _draw_overview(context, lane, _by_source(warehouse, STATS, lane.kind, keys) | made)
        fresh = [row for source in due for row in made[source]]
        return dg.MaterializeResult(value=Batch(STATS, lane.kind, STATS.arrow(fresh), due))

    return source_stats


def _by_source(
    warehouse: Warehouse, table: Table, kind: str, sources: Sequence[str]
) -> defaultdict[str, Rows]:
    grouped: defaultdict[str, Rows] = defaultdict(list)
    for row in warehouse.read_slices(table, kind, sources).rows.to_pylist():
        grouped[row["source"]].append(row)
    return grouped


def _draw_each(
    context: dg.AssetExecutionContext,
    lane: Lane,
    made: Mapping[str, Rows],
    priced: Mapping[str, Sequence[Mapping[str, Any]]],
) -> None:
    for source, rows in made.items():
        picture = plots.source_figure(source, rows, priced[source])
        shown = {"plot": image(picture, source), **_numbers(rows)}
        context.add_asset_metadata(shown, lane.key("stats"), source)


def _draw_overview(context: dg.AssetExecutionContext, lane: Lane, made: Mapping[str, Rows]) -> None:
    title = f"{len(made)} {lane.name}"
    picture = plots.overview_figure(title, [row for rows in made.values() for row in rows])
    context.add_asset_metadata({"overview": image(picture, title)}, lane.key("stats"))


def _numbers(rows: Rows) -> dict[str, float]:
    """Plain counts and shares as numeric metadata, which Dagster draws over time."""
    return {row["metric"]: row["value"] for row in rows if not row["dimension"]}
