"""The matcher: supplier items in, one decision for each out.

Belongs here: the order of the steps and the rules of decision. Does not belong here: any step.

1. Put both sides in order and into tokens (`records`, `text`).
2. Exact keys (`keys`): known links, GTIN, brand and MPN, SKU.
3. Block (`blocking`), score (`features`, `scoring`), assign (`assignment`).
4. Percentage (`calibration`) and decision: LINK and more links, REVIEW and more is looked at by
   a person, less is new. A vetoed pair is never linked; where only stated facts (size, pack,
   vintage, voltage, capacity) speak against it, it goes to review as if they did not.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.matching import evidence
from scout_assets.domain.matching.assignment import best_each, is_one_to_one, one_to_one
from scout_assets.domain.matching.blocking import Blocking, candidates
from scout_assets.domain.matching.calibration import BUNDLED, LINK, PAIR, REVIEW, Calibration
from scout_assets.domain.matching.features import VETOES
from scout_assets.domain.matching.keys import Links, codes_and_links
from scout_assets.domain.matching.records import Corpus, Frame, corpus, ordered
from scout_assets.domain.matching.scoring import (
    KEYS,
    KNOWN,
    LEAD,
    UNVETOED,
    Scores,
    cells,
    one_item,
    pinned,
    score,
    two_best,
    veto_names,
    with_gaps,
)

MOST_CANDIDATES = 5
_MOST_REVIEW = 94.0
_TAKEN = PAIR - 1.0
_FACT_VETOES = sum(1 << VETOES.index(name) for name in VETOES[:6])
_CODE_FEATURE = 5

SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("product_id", pa.string()),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("decision", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("linear", pa.float64()),
        pa.field(
            "candidates",
            pa.list_(pa.struct([("product_id", pa.string()), ("score", pa.float64())])),
            nullable=False,
        ),
    ]
)
"""One row per item, in order of id. product_id: the best candidate, also when it is not linked.
score: percentage, two places. linear: the score before the map, for `calibrate`."""


class Settings(NamedTuple):
    """How to match.

    one_to_one: whether each product goes to one row of a supplier's list at most; None finds
    out for the list as a whole. threads: of machine code.
    """

    one_to_one: bool | None = None
    blocking: Blocking = Blocking()
    threads: int = 2


@dataclass(frozen=True)
class Matches:
    """What `match` found.

    table: rows by SCHEMA. counters: decisions and vetoes by name. one_to_one: as used.
    """

    table: pa.Table
    counters: Counter[str]
    one_to_one: bool
    calibration: Calibration
    _corpus: Corpus
    _scores: Scores
    _best: NDArray[np.float32]
    _items: pl.Series
    _products: pl.Series

    def explain(self, item_id: str, product_id: str | None = None) -> "evidence.Explanation":
        """Why this pair got its score; the best candidate where no product is named.

        Raises BadConfig where the item is unknown, or was never compared with the product.
        """
        item = _position(self._items, item_id, "item")
        if product_id is None:
            product_id = self.table["product_id"][item].as_py()
        if product_id is None:
            raise BadConfig(f"item {item_id!r} was compared with no product")
        product = _position(self._products, product_id, "product")
        columns = np.flatnonzero(self._scores.rows[item] == product)
        if not columns.size:
            raise BadConfig(f"item {item_id!r} was not compared with product {product_id!r}")
        at = int(columns[0])
        row = one_item(self._scores, item)
        percent = float(_percent(row, self.calibration)[0, at])
        rivals = self._best[product] if self.one_to_one else None
        return evidence.explanation(self._corpus, row, (item, at), rivals, percent)


def _position(ids: pl.Series, wanted: str, role: str) -> int:
    at = ids.search_sorted(wanted)
    if at == len(ids) or ids[at] != wanted:
        raise BadConfig(f"there is no {role} {wanted!r}")
    return int(at)


def match(
    items: Frame,
    catalogue: Frame,
    settings: Settings = Settings(),  # noqa: B008  # immutable
    *,
    known_links: Frame | None = None,
    decisions: Frame | None = None,
    calibration: Calibration = BUNDLED,
) -> Matches:
    """Match every item to the catalogue; each gets exactly one row and one decision.

    Columns of both sides: id and name, and any of `records.TEXT_COLUMNS` and
    `records.NUMBER_COLUMNS`. `known_links` (item_id, product_id) are kept or looked at again;
    `decisions` (with verdict: accepted or rejected) stand. The order of rows changes nothing.
    Raises BadConfig for missing columns, ids that are null or stand twice, unknown verdicts.
    """
    left, right = ordered(items, "items"), ordered(catalogue, "products")
    codes, links = codes_and_links(left, right, _polars(known_links), _polars(decisions))
    both = corpus(left, right, settings.threads)
    rows = candidates(both, settings.blocking, settings.threads).rows
    rows, keys = _with_links(rows, links)
    scores = score(both, rows, keys, (codes.items, codes.products), settings.threads)
    groups = left["supplier"].rank("dense").fill_null(0).cast(pl.Int32).to_numpy()
    single = settings.one_to_one
    if single is None:
        single = is_one_to_one(scores, groups)
    best = two_best(scores.rows, scores.base, len(right))
    scores = with_gaps(scores, best, single)
    wanted = pinned(scores)
    chosen = one_to_one(wanted, groups, len(right)) if single else best_each(wanted)
    decided = _decide(scores, chosen, calibration)
    return Matches(
        _table(left["id"], right["id"], scores, decided, calibration), _counted(decided, scores),
        single, calibration, both, scores, best, left["id"], right["id"],
    )  # fmt: skip


def _polars(frame: Frame | None) -> pl.DataFrame | None:
    if frame is None or isinstance(frame, pl.DataFrame):
        return frame
    return pl.DataFrame(pl.from_arrow(frame))


def _with_links(
    rows: NDArray[np.int32], links: Links
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Candidates without rejected pairs and with those of exact keys."""
    for item, product in links.rejected:
        rows[item][rows[item] == product] = -1
    keys = np.zeros(rows.shape, np.uint8)
    if not links.item.size:
        return rows, keys
    there = rows[links.item] == links.product[:, None].astype(np.int32)
    column = np.where(there.any(axis=1), there.argmax(axis=1), rows.shape[1] - 1)
    rows[links.item, column] = links.product
    keys[links.item, column] = links.key
    return rows, keys


class _Decided(NamedTuple):
    """Arrays over items; `column` is -1 where there is no candidate at all."""

    column: NDArray[np.int64]
    percent: NDArray[np.float64]
    decision: NDArray[np.str_]
    taken: NDArray[np.bool_]


def _percent(scores: Scores, calibration: Calibration) -> NDArray[np.float64]:
    """Percentages of all candidates; those vetoed or with a close rival stay below LINK.

    A known link is kept while nothing speaks against it, its own percentage is REVIEW at least,
    and the calibration links at all; else a person looks at it, whatever the score.
    """
    plain = calibration.percentages(scores.linear)
    vetoed = (scores.vetoes != 0) & (scores.keys < UNVETOED)
    only_facts = vetoed & ((scores.vetoes & ~_FACT_VETOES) == 0)
    relieved = np.where(only_facts, calibration.percentages(scores.linear + scores.relief), plain)
    close = (scores.lead < LEAD) & (scores.keys == 0)
    found = np.where(vetoed | close, np.minimum(relieved, _MOST_REVIEW), plain)
    stays = (found >= REVIEW) & ~vetoed & (calibration.percent[-1] >= LINK)
    kept = np.maximum(found, np.where(stays, LINK, REVIEW))
    return np.where(scores.keys == KNOWN, kept, found)


def _decide(scores: Scores, chosen: NDArray[np.int64], calibration: Calibration) -> _Decided:
    every = np.arange(len(chosen))
    best = best_each(scores)
    taken = (chosen < 0) & (best >= 0)
    column = np.where(taken, best, chosen)
    one = np.maximum(column, 0)[:, None]
    percent = _percent(cells(scores, one), calibration)[every, 0]
    percent = np.where(taken, np.minimum(percent, _TAKEN), percent)
    percent = np.round(np.where(column < 0, 0.0, percent), 2).astype(np.float64)
    decision = np.where(percent >= LINK, "link", np.where(percent >= REVIEW, "review", "new"))
    return _Decided(column, percent, decision, taken)


def _reason(key: int, vetoes: int, decision: str, taken: bool, compared: bool) -> str:
    if not compared:
        return "no candidate"
    if key >= UNVETOED:
        return KEYS[key]
    if taken:
        return "its products fit other items better"
    if vetoes:
        return f"veto: {', '.join(veto_names(vetoes))}"
    if key:
        return KEYS[key] if decision == "link" else f"{KEYS[key]}, but little agrees"
    return {"link": "names agree", "review": "names are alike"}.get(decision, "too little agrees")


def _reasons(scores: Scores, decided: _Decided) -> pa.Array:
    """The reason of each decision; made once for each kind of case."""
    every, at = np.arange(len(decided.column)), np.maximum(decided.column, 0)
    cases = pl.DataFrame(
        {
            "key": scores.keys[every, at],
            "vetoes": scores.vetoes[every, at],
            "decision": decided.decision,
            "taken": decided.taken,
            "compared": decided.column >= 0,
        }
    )
    kinds = cases.unique(maintain_order=True)
    texts = pl.Series("reason", [_reason(*kind) for kind in kinds.iter_rows()], pl.String)
    named = cases.join(
        kinds.with_columns(texts), on=cases.columns, how="left", maintain_order="left"
    )
    return named["reason"].to_arrow().cast(pa.string())


def _counted(decided: _Decided, scores: Scores) -> Counter[str]:
    counters: Counter[str] = Counter(f"match/{name}" for name in decided.decision.tolist())
    every, at = np.arange(len(decided.column)), np.maximum(decided.column, 0)
    bits = scores.vetoes[every, at][decided.decision == "review"]
    for number, name in enumerate(VETOES):
        counters[f"veto/{name.replace(' ', '_')}"] = int((bits >> number & 1).sum())
    return counters


def _table(
    item_ids: pl.Series, product_ids: pl.Series, scores: Scores, decided: _Decided,
    calibration: Calibration,
) -> pa.Table:  # fmt: skip
    every, at = np.arange(len(item_ids)), np.maximum(decided.column, 0)
    found = decided.column >= 0
    ids = product_ids.to_arrow().cast(pa.string())
    product = pa.array(np.where(found, scores.rows[every, at], 0), mask=~found)
    columns: list[Any] = [
        item_ids.to_arrow().cast(pa.string()),
        ids.take(product) if len(ids) else pa.nulls(len(every), pa.string()),
        decided.percent,
        pa.array(decided.decision.tolist(), pa.string()),
        _reasons(scores, decided),
        pa.array(scores.linear[every, at].astype(np.float64), mask=~found),
        _candidates(ids, scores, calibration),
    ]
    return pa.table(columns, schema=SCHEMA)


def _candidates(ids: pa.Array, scores: Scores, calibration: Calibration) -> pa.Array:
    """The best few of each item with their percentages, best first."""
    order = np.argsort(-scores.linear, axis=1, kind="stable")[:, :MOST_CANDIDATES]
    best = cells(scores, order)
    there = best.rows >= 0
    percent = np.round(_percent(best, calibration), 2)[there]
    offsets = np.concatenate(([0], np.cumsum(there.sum(axis=1)))).astype(np.int32)
    rows = pa.array(best.rows[there])
    names = ids.take(rows) if len(ids) else pa.array([], pa.string())
    structs = pa.StructArray.from_arrays([names, pa.array(percent)], ["product_id", "score"])
    return pa.ListArray.from_arrays(offsets, structs)
