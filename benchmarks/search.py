"""(e) Embedding and hybrid search over a catalogue of 100,000 made-up coffees.

Search: dense + BM25, fused, with details and current offers from the warehouse. Limit: bare
dense search, which is embedding the query, one matrix-vector product and a sort in numpy: the
least any exact search can cost. Medians of many queries, asked in turn of each.
Embedding: `embed_missing` (hashes, reuse, Arrow) beside the bare embedder on the same texts.
Fresh process: start, imports and one query, with the index kept on disk beside building it.
Postgres: the same rows and queries on a server, where pgvector ranks; its dense ten are held
against the exact ten (recall@10, which must reach 0.98).
"""

import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.measuring import Measured, seconds
from scout_assets.domain import search
from scout_assets.domain.tables import (
    EMBEDDINGS,
    OFFERS,
    PARENTS,
    PRODUCTS,
    SEARCH_DOCUMENTS,
    Table,
)
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets.gateways.embedders import WordLlama, embed_missing
from scout_assets.gateways.pgvector import INDEXED_FROM, nearest
from scout_assets.gateways.postgres_warehouse import PostgresWarehouse
from scout_assets.gateways.vectors import DEPTH, SearchIndex
from scout_assets.gateways.warehouse import Batch, Warehouse, Watermark
from scout_assets_tests.postgres import Server

RECALL = 0.98
BARE = "bare dense search in numpy"
VARIANTS = 2  # of each parent
NOW = datetime(2026, 9, 7, tzinfo=UTC)
COUNTRIES = {"ET": "Ethiopia", "KE": "Kenya", "CO": "Colombia", "BR": "Brazil", "PE": "Peru"}
PROCESSES = ("washed", "natural", "honey", "anaerobic", "pulped_natural")
ROASTS = ("light", "light_medium", "medium", "medium_dark", "dark")
NOTES = ("jasmine", "bergamot", "apricot", "cocoa", "caramel", "blueberry", "plum", "malt")
SYLLABLES = ("ka", "lo", "mi", "ra", "te", "no", "su", "pi", "dã", "ve", "gu", "chi", "ro", "fé")
COMMON = """
we this that with from our for and the a of in on is are it its as by at farm family grown high
altitude slopes harvest pickers cherries ripe red selected hand dried raised beds sun shade weeks
fermented tank clean water mill station cooperative producer smallholder village valley mountain
river forest soil volcanic rich variety heirloom lot micro season fresh roast roasted batch small
slowly cup sweet sweetness bright acidity body juicy silky round syrup delicate floral fruit berry
citrus lemon orange peach honey sugar vanilla almond hazelnut nut dark milk chocolate tea spice
finish long lingering balanced complex elegant favourite morning espresso filter brew grind kettle
machine press ratio grams minutes enjoy black ship order bag week subscription gift
"""
PROSE = COMMON.split()
CURRENCIES = ("EUR", "GBP", "NOK")


def run(quick: bool) -> Iterator[Measured]:
    """Embed and search 100,000 parents with two products of two offers each."""
    size, queries = (2_000, 10) if quick else (100_000, 100)
    rng = random.Random(7)
    vocabulary = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 5))) for _ in range(40_000)]
    parents = list(_parents(rng, vocabulary, size))
    with tempfile.TemporaryDirectory(prefix="bench-search-") as folder:
        embedding = _fill(DuckDbWarehouse(Path(folder) / "bench.duckdb"), rng, parents)
        built, kept = (seconds(lambda: _fresh_process(Path(folder))) for _ in range(2))
        index = _index(Path(folder))
        matrix = index.embedder.embed([search.document_text(parent) for parent in parents])
        asked = [_query(rng, vocabulary) for _ in range(queries)]
        index.search(asked[0])
        bare, hybrid, cheap = _warm(index, matrix, asked)
        on_postgres = list(_on_postgres(Path(folder), index, matrix, asked))
    yield embedding
    yield Measured("search, fresh process", kept, "building the index anew", built)
    yield Measured(f"search {size:,} parents", hybrid, BARE, bare)
    yield Measured("search by price and stock", cheap, BARE, bare)
    yield from on_postgres


def _on_postgres(
    folder: Path, index: SearchIndex, matrix: NDArray[np.float32], asked: Sequence[str]
) -> Iterator[Measured]:
    server = Server(folder / "server", durable=True)
    try:
        there = PostgresWarehouse(server.schema())
        for table in (PARENTS, PRODUCTS, OFFERS):
            _write(there, table, index.warehouse.read(table.name))
        documents = index.warehouse.read("search_documents")
        _write(there, SEARCH_DOCUMENTS, documents)
        indexing = seconds(lambda: there.prepare_ranking(SEARCH_DOCUMENTS))
        again = SearchIndex(there, index.embedder, folder / "cache-postgres")
        again.search(asked[0])
        bare, hybrid, cheap = _warm(again, matrix, asked)
        recall = _recall(there, index, matrix, asked)
    finally:
        server.stop()
    if recall < RECALL and len(matrix) >= INDEXED_FROM:
        raise AssertionError(f"recall@10 is {recall:.3f}")
    note = f"recall@10 {recall:.3f}, indexed in {indexing:.0f} s"
    yield Measured("search on Postgres", hybrid, BARE, bare, note=note)
    yield Measured("search on Postgres by price and stock", cheap, BARE, bare)


def _recall(
    there: PostgresWarehouse,
    index: SearchIndex,
    matrix: NDArray[np.float32],
    asked: Sequence[str],
) -> float:
    """Share of the ten most alike that pgvector has among its ten."""
    hits = 0
    ids = np.array([f"store-{n * 100 // len(matrix)}/{n}" for n in range(len(matrix))])
    for query in asked:
        vector = index.embedder.embed([query])[0]
        with there.reading() as db:
            found = nearest(db, SEARCH_DOCUMENTS, vector, "true", {}, DEPTH)
        ten = found.sort_by([("likeness", "descending")])["parent_id"].to_pylist()[:10]
        hits += len(set(ten) & set(ids[np.argsort(-(matrix @ vector))[:10]].tolist()))
    return hits / (10 * len(asked))


def _warm(
    index: SearchIndex, matrix: NDArray[np.float32], asked: Sequence[str]
) -> tuple[float, ...]:
    """Median seconds of bare dense search, hybrid search, and that with filters on offers."""
    affordable = search.Filters(currency="EUR", max_price=Decimal(20), in_stock=True)

    def ask(query: str) -> tuple[float, float, float]:
        return (
            seconds(lambda: np.argsort(-(matrix @ index.embedder.embed([query])[0]))[:10]),
            seconds(lambda: index.search(query)),
            seconds(lambda: index.search(query, affordable)),
        )

    return tuple(map(median, zip(*map(ask, asked), strict=True)))


def _index(folder: Path) -> SearchIndex:
    return SearchIndex(DuckDbWarehouse(folder / "bench.duckdb"), WordLlama(), folder / "cache")


def _fresh_process(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "benchmarks.search", str(folder)], check=True)


def _query(rng: random.Random, vocabulary: Sequence[str]) -> str:
    known = (rng.choice(NOTES), rng.choice(list(COUNTRIES.values())), rng.choice(PROCESSES))
    return " ".join(rng.sample([*known, _word(rng, vocabulary), "for filter"], k=3))


def _word(rng: random.Random, vocabulary: Sequence[str]) -> str:
    """Few words often, most words seldom, as in any language."""
    return vocabulary[min(int(rng.paretovariate(0.35)), len(vocabulary)) - 1]


def _parents(rng: random.Random, vocabulary: Sequence[str], count: int) -> Iterator[dict[str, Any]]:
    blank = {column.name: None for column in PARENTS.columns}
    for number in range(count):
        source = f"store-{number * 100 // count}"
        notes, country = rng.sample(NOTES, k=3), rng.choice(list(COUNTRIES))
        yield blank | {
            "kind": "roaster",
            "source": source,
            "first_seen_at": NOW,
            "changed_at": NOW,
            "parent_id": f"{source}/{number}",
            "external_id": str(number),
            "title": f"{COUNTRIES[country]} {_word(rng, vocabulary)}",
            "url": f"https://{source}.example/products/{number}",
            "vendor": source,
            "tags": [],
            "image_urls": [],
            "description": " ".join(_prose(rng, vocabulary)),
            "is_coffee": True,
            "is_coffee_confidence": 1.0,
            "subscription": False,
            "roast_level": rng.choice(ROASTS),
            "process": rng.choice(PROCESSES),
            "origin_country": country,
            "varieties": [],
            "tasting_notes": notes,
            "confidence": 1.0,
        }


def _prose(rng: random.Random, vocabulary: Sequence[str]) -> list[str]:
    """Eighty words about few things, as a page is; some of them its own."""
    about = rng.sample(PROSE, k=12)
    return [rng.choice(about) if rng.random() < 0.8 else _word(rng, vocabulary) for _ in range(80)]


def _variants(
    rng: random.Random, parents: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Products of the parents and two offers of each: the price moved once."""
    products, offers = [], []
    for number in range(VARIANTS * len(parents)):
        parent = parents[number // VARIANTS]
        same = {"kind": "roaster", "source": parent["source"]}
        id_ = f"{parent['source']}/v{number}"
        products.append(
            {column.name: None for column in PRODUCTS.columns}
            | same
            | {"product_id": id_, "external_id": f"v{number}", "parent_id": parent["parent_id"]}
            | {"parent_external_id": parent["external_id"], "options": "{}", "pack_count": 1}
            | {"first_seen_at": NOW, "changed_at": NOW, "net_weight_g": 250.0, "confidence": 1.0}
        )
        currency = CURRENCIES[int(parent["source"].rpartition("-")[2]) % len(CURRENCIES)]
        offers += [
            {column.name: None for column in OFFERS.columns}
            | same
            | {"offer_id": f"{id_}@{snapshot}", "product_id": id_, "currency": currency}
            | {"product_external_id": f"v{number}", "snapshot": snapshot, "snapshot_hash": "0"}
            | {"observed_at": NOW, "price": Decimal(rng.randint(8, 60)), "change": "price"}
            | {"available": rng.random() < 0.8}
            for snapshot in (1, 2)
        ]
    return products, offers


def _fill(warehouse: Warehouse, rng: random.Random, parents: Sequence[dict[str, Any]]) -> Measured:
    """Write the catalogue; returns what embedding took."""
    products, offers = _variants(rng, parents)
    for table, rows in ((PARENTS, parents), (PRODUCTS, products), (OFFERS, offers)):
        _write(warehouse, table, table.arrow(rows))
    embedder = WordLlama()
    embedder.embed(["warm"])
    found = search.documents(parents, products, embedder.model)
    start = time.perf_counter()
    made = embed_missing(found, EMBEDDINGS.schema.empty_table(), embedder, Counter())
    ours = time.perf_counter() - start
    bare = seconds(lambda: embedder.embed([document.text for document in found]))
    _write(warehouse, EMBEDDINGS, made)
    _write(warehouse, SEARCH_DOCUMENTS, search.search_documents(found, made))
    rate = f"{len(found) / ours:,.0f} documents/s"
    return Measured(f"embed {len(found):,} parents", ours, "the embedder alone", bare, note=rate)


def _write(warehouse: Warehouse, table: Table, rows: pa.Table) -> None:
    marks = {source: Watermark(2, "1") for source in rows["source"].unique().to_pylist()}
    warehouse.write(Batch(table, "roaster", rows, marks))


if __name__ == "__main__":
    _index(Path(sys.argv[1])).search("washed ethiopian for filter")
