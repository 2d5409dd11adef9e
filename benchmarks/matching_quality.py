"""How good matches are on a labelled set: ours beside three plain methods.

    python -m benchmarks.matching_quality FOLDER [FOLDER ...] [--many]

Each folder holds items.csv, catalogue.csv (id, name and any further column of the matcher) and
links.csv (item_id, product_id). Ours runs with its one fixed setting; F1 counts best candidates
with a score of at least 50, and the best F1 over all cuts stands beside it. Peers are shown at
their best cut, which favours them. `known` counts only pairs of which one side is in the links,
for sets whose links are incomplete.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike
from rich.console import Console
from rich.table import Table

from benchmarks.made_up_products import Lists
from benchmarks.matching import THREADS, best_f1
from scout_assets.domain.matching.calibration import PAIR
from scout_assets.domain.matching.matcher import Settings, match


class Quality(NamedTuple):
    """One line: pairs at the fixed cut, the link band, and the share of rows to review."""

    f1: float
    precision: float
    recall: float
    best_f1: float
    link_precision: float
    link_precision_known: float
    link_recall: float
    review: float


def read(folder: Path) -> Lists:
    """The three files, every column as text."""
    names = ("items.csv", "catalogue.csv", "links.csv")
    return Lists(*(pl.read_csv(folder / name, infer_schema=False) for name in names))


def quality(made: Lists, one_to_one: bool | None = None) -> Quality:
    """Match and count."""
    found = match(made.items, made.catalogue, Settings(one_to_one, threads=THREADS)).table
    rows = pl.DataFrame(pl.from_arrow(found.drop_columns(["candidates"])))
    rows = rows.join(
        made.links.with_columns(hit=True), on=["item_id", "product_id"], how="left"
    ).with_columns(pl.col("hit").fill_null(False))
    pairs, linked = rows.filter(pl.col("score") >= PAIR), rows.filter(decision="link")
    known = linked.filter(
        pl.col("item_id").is_in(made.links["item_id"].implode())
        | pl.col("product_id").is_in(made.links["product_id"].implode())
    )
    total, right = len(made.links), _hits(pairs)
    return Quality(
        f1=2 * right / (len(pairs) + total),
        precision=_share(right, len(pairs)),
        recall=_share(right, total),
        best_f1=best_f1(rows.select("item_id", "product_id", "score").drop_nulls(), made.links),
        link_precision=_share(_hits(linked), len(linked)),
        link_precision_known=_share(_hits(known), len(known)),
        link_recall=_share(_hits(linked), total),
        review=_share(len(rows.filter(decision="review")), len(rows)),
    )


def _hits(rows: pl.DataFrame) -> int:
    return len(rows.filter("hit"))


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0


def token_set(made: Lists) -> pl.DataFrame:
    """rapidfuzz token_set_ratio over all pairs, the best product of each item."""
    from rapidfuzz import fuzz, process, utils

    scores = process.cdist(
        made.items["name"].to_list(), made.catalogue["name"].to_list(),
        scorer=fuzz.token_set_ratio, processor=utils.default_process, workers=THREADS,
        dtype=np.float32,
    )  # fmt: skip
    return _rows(made, np.arange(len(scores)), scores.argmax(axis=1), scores.max(axis=1))


def tfidf(made: Lists) -> pl.DataFrame:
    """TF-IDF of 3-grams, pairs that are each other's best."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sparse_dot_topn import sp_matmul_topn

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3))
    vectors.fit(pl.concat([made.items["name"], made.catalogue["name"]]))
    left, right = (vectors.transform(side["name"]) for side in (made.items, made.catalogue))
    there = sp_matmul_topn(left, right.T.tocsr(), top_n=1).tocoo()
    back = sp_matmul_topn(right, left.T.tocsr(), top_n=1).tocsr()
    mutual = np.asarray(back[there.col, there.row]).ravel() > 0
    return _rows(made, there.row[mutual], there.col[mutual], there.data[mutual])


def splink(made: Lists) -> pl.DataFrame:
    """Splink 5, see `splink_peer`."""
    from benchmarks.splink_peer import link

    return link(made, THREADS)


def _rows(made: Lists, items: ArrayLike, products: ArrayLike, scores: ArrayLike) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_id": made.items["id"].gather(np.asarray(items, np.int64)),
            "product_id": made.catalogue["id"].gather(np.asarray(products, np.int64)),
            "score": np.asarray(scores, np.float64),
        }
    )


PEERS: dict[str, Callable[[Lists], pl.DataFrame]] = {
    "rapidfuzz token_set": token_set,
    "TF-IDF 3-grams, mutual": tfidf,
    "Splink 5": splink,
}


def lines(folder: Path, one_to_one: bool | None) -> Iterator[tuple[str, ...]]:
    """Rows of the table for one labelled set."""
    made = read(folder)
    ours = quality(made, one_to_one)
    yield (folder.name, "ours", *(f"{value:.3f}" for value in ours))
    for name, peer in PEERS.items():
        yield (folder.name, name, "", "", "", f"{best_f1(peer(made), made.links):.3f}")


def main() -> None:
    """Print one table for all folders."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.matching_quality")
    arguments.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    arguments.add_argument("--many", action="store_true", help="several items may be one product")
    given = arguments.parse_args()
    table = Table(
        "set", "method", "F1", "precision", "recall", "best F1", "link precision", "known",
        "link recall", "review",
    )  # fmt: skip
    for folder in given.folders:
        for line in lines(folder, False if given.many else None):
            table.add_row(*line)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
