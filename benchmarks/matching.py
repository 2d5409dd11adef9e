"""(f) Matching made-up lists: ours beside what else would do it.

Shape: names, brands, categories and prices of `made_up_products`; four of five items are in the
catalogue, as a supplier would print them. Peers, each with its usual settings and the threshold
that is best for it, which favours it: rapidfuzz `cdist` (token_set_ratio) within category, TF-IDF
of 3-grams with sparse_dot_topn, Splink on DuckDB. Each runs in a process of its own, imports and
compilation not counted; the note says how good the links are (F1) and how much memory the process
took. A million by a million has no peer: blocking recall and memory are what it is about.
"""

import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from benchmarks.made_up_products import Lists, lists
from benchmarks.measuring import Measured

THREADS = 2
LIMIT = "limit"


class Found(NamedTuple):
    """What one matcher found: seconds, best F1, peak memory in GB, blocking recall (ours)."""

    seconds: float
    f1: float
    memory: float
    recall: float | None = None


def run(quick: bool) -> Iterator[Measured]:
    """Ours beside each peer at 100k x 100k, and beside the limits at 1M x 1M."""
    size, large = (2_000, 5_000) if quick else (100_000, 1_000_000)
    ours = in_a_process("ours", size)
    shape = f"match {size:,} x {size:,}"
    yield Measured(shape, ours.seconds, LIMIT, 5.0, 1.0, _note(ours))
    for name in PEERS:
        peer = in_a_process(name, size)
        target = 1 / 8 if name == "splink" else None
        note = f"F1 {ours.f1:.3f}, its {peer.f1:.3f}"
        yield Measured(shape, ours.seconds, name, peer.seconds, target, note)
    most = in_a_process("ours", large)
    shape = f"match {large:,} x {large:,}"
    yield Measured(shape, most.seconds, LIMIT, 60.0, 1.0, _note(most))


def _note(found: Found) -> str:
    return f"F1 {found.f1:.3f}, blocking recall {found.recall:.3f}, {found.memory:.1f} GB"


def in_a_process(name: str, size: int) -> Found:
    """Run one matcher in a fresh process, so that its memory is its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(_measure, name, size).result()


def _measure(name: str, size: int) -> Found:
    matcher = {"ours": _ours, **PEERS}[name]
    matcher(lists(200))  # imports and compilation
    made = lists(size)
    start = time.perf_counter()
    scored = matcher(made)
    taken = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    recall = _blocking_recall(made) if name == "ours" else None
    return Found(taken, best_f1(scored, made.links), memory, recall)


def best_f1(scored: pl.DataFrame, links: pl.DataFrame) -> float:
    """The best F1 over all thresholds of rows item_id, product_id, score."""
    hits = scored.join(links.with_columns(hit=1), on=["item_id", "product_id"], how="left")
    ranked = hits.sort("score", descending=True)
    right = ranked["hit"].fill_null(0).cum_sum().to_numpy()
    made = np.arange(1, len(ranked) + 1)
    return float((2 * right / (made + len(links))).max()) if len(ranked) else 0.0


def _ours(made: Lists) -> pl.DataFrame:
    from scout_assets.domain.matching.matcher import Settings, match

    found = match(made.items, made.catalogue, Settings(threads=THREADS)).table
    frame = pl.DataFrame(pl.from_arrow(found.select(["item_id", "product_id", "score"])))
    return frame.drop_nulls()


def _blocking_recall(made: Lists) -> float:
    """The share of true pairs among the candidates."""
    from scout_assets.domain.matching.blocking import Blocking, candidates
    from scout_assets.domain.matching.records import corpus, ordered

    sides = ordered(made.items, "items"), ordered(made.catalogue, "products")
    rows = candidates(corpus(*sides, THREADS), Blocking(), THREADS).rows
    item, product = (
        made.links[column].replace_strict(side["id"], np.arange(len(side))).to_numpy()
        for side, column in zip(sides, ("item_id", "product_id"), strict=True)
    )
    return float((rows[item] == product[:, None]).any(axis=1).mean())


def _best_rows(
    made: Lists, rows: ArrayLike, products: ArrayLike, scores: ArrayLike
) -> pl.DataFrame:
    """One product for each item: positions of both and their scores."""
    return pl.DataFrame(
        {
            "item_id": made.items["id"].gather(np.asarray(rows, np.int64)),
            "product_id": made.catalogue["id"].gather(np.asarray(products, np.int64)),
            "score": np.asarray(scores, np.float64),
        }
    )


def _cdist(made: Lists) -> pl.DataFrame:
    """token_set_ratio of every pair within a category, in bands that fit into memory."""
    from rapidfuzz import fuzz, process, utils

    parts = []
    products = made.catalogue.with_row_index("at").partition_by("category", as_dict=True)
    for key, items in (
        made.items.with_row_index("at").partition_by("category", as_dict=True).items()
    ):
        shelf = products.get(key)
        if shelf is None:
            continue
        for band in items.iter_slices(2_000):
            scores = process.cdist(
                band["name"].to_list(), shelf["name"].to_list(), scorer=fuzz.token_set_ratio,
                processor=utils.default_process, workers=THREADS, dtype=np.uint8,
            )  # fmt: skip
            best = scores.argmax(axis=1)
            parts.append(_best_rows(made, band["at"], shelf["at"].gather(best), scores.max(axis=1)))
    return pl.concat(parts)


def _tfidf(made: Lists) -> pl.DataFrame:
    """Cosine of TF-IDF over 3-grams of the names, the best product of each item."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sparse_dot_topn import sp_matmul_topn

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), dtype=np.float32)
    vectors.fit(pl.concat([made.items["name"], made.catalogue["name"]]))
    left, right = (vectors.transform(side["name"]) for side in (made.items, made.catalogue))
    best = sp_matmul_topn(left, right.T.tocsr(), top_n=1, n_threads=THREADS).tocoo()
    return _best_rows(made, best.row, best.col, best.data)


def _splink(made: Lists) -> pl.DataFrame:
    """Splink's link-only model: name, brand, category and price, trained by EM."""
    from benchmarks.splink_peer import link

    return link(made, THREADS)


PEERS: dict[str, Callable[[Lists], pl.DataFrame]] = {
    "rapidfuzz cdist": _cdist,
    "TF-IDF": _tfidf,
    "splink": _splink,
}


if __name__ == "__main__":
    print(json.dumps(in_a_process(sys.argv[1], int(sys.argv[2]))._asdict()))
