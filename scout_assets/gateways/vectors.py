"""The search index: listed parents by likeness of meaning and by words, within filters.

Belongs here: keeping the index in step with the warehouse, the two rankings, which offers pass
the filters. Does not belong here: the text that is searched, fusion and the shape of a hit
(`domain.search`), or making vectors (`embedders`).

Dense is brute force over a matrix (exact, and 20 ms at 100,000 rows), or left to a warehouse that
ranks vectors itself. Lexical is BM25. Building it takes seconds at that size, so it is kept in a
folder named by a fingerprint of the rows it was built from; when they change, the name does, and
an old index cannot be mistaken for a new one. Prices, stock and what is listed are read from the
warehouse with every query.
"""

import contextlib
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.search import (
    WORD,
    WORDS_VERSION,
    Filters,
    Hit,
    reciprocal_rank_fusion,
    searchable,
    stem,
    text_hash,
    words,
)
from scout_assets.domain.tables import SEARCH_DOCUMENTS
from scout_assets.gateways.embedders import Embedder
from scout_assets.gateways.warehouse import Connection, Warehouse

if TYPE_CHECKING:
    from bm25s import BM25

__all__ = ["DEPTH", "SearchIndex"]

DEPTH = 1000
"""How many of each ranking are fused, and the most hits one can ask for."""

_SEARCHED = ("parent_id", "kind", "source", "text_hash")

_ONE_TEXT_OF_EACH_SLICE = """
SELECT DISTINCT ON (kind, source) source, text, text_hash
FROM search_documents ORDER BY kind, source, parent_id
"""

_LISTED = """
EXISTS (
    SELECT 1 FROM parents
    WHERE parents.parent_id = search_documents.parent_id AND parents.gone_at IS NULL
)
"""

_OFFERED = """
search_documents.parent_id IN (
    SELECT products.parent_id FROM products JOIN current_offers USING (product_id)
    WHERE products.gone_at IS NULL AND {offers}
)
"""

_CURRENCIES = """
SELECT DISTINCT coalesce(current_offers.currency, 'none stated') AS currency
FROM search_documents JOIN products USING (parent_id) JOIN current_offers USING (product_id)
WHERE products.gone_at IS NULL AND price IS NOT NULL AND {parents} ORDER BY currency
"""

_VARIANTS = "SELECT product_id FROM products WHERE parent_id = ANY($found) AND gone_at IS NULL"

# The products are spelled out one by one: only such a list does DuckDB apply before it looks for
# the current offer, rather than after finding that of every product (90 ms at 200,000).
# Prices in two currencies have no order, hence by currency first.
_HITS = """
SELECT parents.parent_id, parents.title, parents.kind, parents.source, url, roast_level, process,
    origin_country, tasting_notes, product_id, variant_title, net_weight_g, price, currency,
    available, unit_price_100g
FROM parents LEFT JOIN (
    SELECT products.parent_id, product_id, products.title AS variant_title, net_weight_g, price,
        currency, available, unit_price_100g,
        row_number() OVER (PARTITION BY products.parent_id
            ORDER BY currency NULLS LAST, price NULLS LAST, product_id) AS cheapness
    FROM products
    LEFT JOIN (SELECT * FROM current_offers WHERE product_id IN ({variants})) current_offers
        USING (product_id)
    WHERE products.gone_at IS NULL AND products.parent_id = ANY($found) AND {offers}
) variant ON variant.parent_id = parents.parent_id AND cheapness = 1
WHERE parents.parent_id = ANY($found)
"""


@dataclass(frozen=True)
class _Loaded:
    """Everything searched, row by row. No `vectors` when the warehouse ranks them itself."""

    fingerprint: str
    ids: pa.Array
    vectors: NDArray[np.float32]
    lexical: "BM25 | None"


class _Read(NamedTuple):
    """Documents as the warehouse holds them; vectors and `texts` only when wanted."""

    ids: pa.Array
    vectors: NDArray[np.float32]
    texts: list[str]


class _Passing(NamedTuple):
    """The documents that pass the filters: the condition, and its values."""

    sql: str
    values: dict[str, Any]


class SearchIndex:
    """Hybrid search over the documents of one warehouse.

    `cache_dir` may be deleted at any time; it must serve one warehouse only. `counts` tells
    how often the index was built (`search/built`), read from disk (`search/read`), unreadable
    or unwritable there.
    """

    def __init__(self, warehouse: Warehouse, embedder: Embedder, cache_dir: Path) -> None:
        self.warehouse = warehouse
        self.embedder = embedder
        self.cache_dir = cache_dir
        self.counts: Counter[str] = Counter()
        self._loaded: _Loaded | None = None

    def search(self, query: str, filters: Filters | None = None, k: int = 10) -> list[Hit]:
        """The k best parents that pass the filters, best first; fewer when fewer pass.

        Raises BadConfig when the query is empty, k is not within 1 to DEPTH, nothing is
        indexed (at all, or of that kind or source), the index was made by another embedder, or
        prices are bounded without a currency where there are several.
        """
        if not query.strip():
            raise BadConfig("the query is empty: say what to look for")
        if not 1 <= k <= DEPTH:
            raise BadConfig(f"k is {k}: ask for 1 to {DEPTH} hits")
        filters = filters or Filters()
        vector = self.embedder.embed([query])[0]
        with self._current() as (db, loaded):
            passing = _passing(db, filters)
            found = _matching(db, loaded.ids, passing)
            rows = np.sort(found[found >= 0])
            dense = self._dense(db, loaded, vector, rows, passing, min(DEPTH, len(found)))
            lexical = _best(_bm25(loaded.lexical, query), rows, above=0.0)
            fused = reciprocal_rank_fusion([dense, lexical])[:k]
            ids = loaded.ids.take(pa.array([row for row, _ in fused], pa.int64()))
            details = _details(db, ids.to_pylist(), filters)
        places = [{row: place for place, row in enumerate(r, start=1)} for r in (dense, lexical)]
        return [
            Hit(
                **details[parent_id],
                score=score,
                dense_rank=places[0].get(row),
                lexical_rank=places[1].get(row),
            )
            for parent_id, (row, score) in zip(ids.to_pylist(), fused, strict=True)
        ]

    def refresh(self) -> int:
        """Bring the index up to date now rather than at the next query.

        Returns the number of documents. Raises BadConfig as `search` does.
        """
        with self._current() as (_, loaded):
            return len(loaded.ids)

    def _dense(
        self,
        db: Connection,
        loaded: _Loaded,
        vector: NDArray[np.float32],
        rows: NDArray[np.int64],
        passing: _Passing,
        limit: int,
    ) -> list[int]:
        nearest = self.warehouse.nearest
        if nearest is None:
            return _best(loaded.vectors @ vector, rows)
        found = nearest(db, SEARCH_DOCUMENTS, vector, passing.sql, passing.values, limit)
        places = _rows(loaded.ids, found["parent_id"])
        order = np.lexsort((places, -found["likeness"].to_numpy()))
        return [int(place) for place in places[order] if place >= 0]

    @contextlib.contextmanager
    def _current(self) -> Iterator[tuple[Connection, _Loaded]]:
        """The warehouse, open, and the index of what it holds now."""
        with self.warehouse.reading() as db:
            fingerprint = _fingerprint(db)
            if self._loaded is not None and self._loaded.fingerprint == fingerprint:
                yield db, self._loaded
                return
            self._check_model(db)
            lexical = self._read_lexical(fingerprint)
            read = _read(db, self.warehouse.nearest is None, with_text=lexical is None)
        # Building takes seconds: writers need not wait for it.
        if lexical is None:
            lexical = self._build_lexical(read.texts, fingerprint)
        self._loaded = _Loaded(fingerprint, read.ids, read.vectors, lexical)
        with self.warehouse.reading() as db:
            yield db, self._loaded

    def _check_model(self, db: Connection) -> None:
        """Slices are written whole, so one text of each tells which embedder made it."""
        model = self.embedder.model
        strange = [
            source
            for source, text, made in db.execute(_ONE_TEXT_OF_EACH_SLICE)
            if text_hash(model, text) != made
        ]
        if strange:
            raise BadConfig(
                f"the index of {', '.join(strange[:5])} ({len(strange)} sources) was not made by "
                f"{model}: choose the embedder that made it, or materialise embeddings and "
                "vector_index of these sources"
            )

    def _kept(self, fingerprint: str) -> Path:
        import bm25s

        return self.cache_dir / f"bm25-{fingerprint}-{WORDS_VERSION}-{bm25s.__version__}"

    def _read_lexical(self, fingerprint: str) -> "BM25 | None":
        _quieten_bm25s()
        from bm25s import BM25

        folder = self._kept(fingerprint)
        if not folder.exists():
            return None
        try:
            lexical = BM25.load(folder, show_progress=False)
        except (OSError, EOFError, ValueError, KeyError) as error:
            self.counts["search/unreadable"] += 1
            logging.getLogger(__name__).warning("%s: %s. Building it anew", folder, error)
            shutil.rmtree(folder, ignore_errors=True)
            return None
        self.counts["search/read"] += 1
        return lexical

    def _build_lexical(self, texts: Sequence[str], fingerprint: str) -> "BM25 | None":
        """BM25 over the texts; None when not one of them holds a word."""
        import bm25s

        tokenized = bm25s.tokenize(
            [searchable(text) for text in texts],
            lower=False,
            token_pattern=WORD,
            stopwords=None,
            stemmer=lambda unique: [stem(word) for word in unique],
            show_progress=False,
        )
        self.counts["search/built"] += 1
        if not tokenized.vocab:
            return None
        lexical = bm25s.BM25()
        lexical.index(tokenized, show_progress=False)
        self._keep(lexical, self._kept(fingerprint))
        return lexical

    def _keep(self, lexical: "BM25", folder: Path) -> None:
        """Save beside, then rename; a disk that refuses costs time, not the answer."""
        try:
            self.cache_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="building-", dir=self.cache_dir) as beside:
                lexical.save(Path(beside) / "index", show_progress=False)
                if not folder.exists():
                    (Path(beside) / "index").rename(folder)
        except OSError as error:
            self.counts["search/unwritable"] += 1
            logging.getLogger(__name__).warning("%s: %s. Building it each time", folder, error)
            return
        for old in set(self.cache_dir.glob("bm25-*")) - {folder}:
            shutil.rmtree(old, ignore_errors=True)


def _quieten_bm25s() -> None:
    """It sets its own logger to DEBUG when imported."""
    import bm25s  # noqa: F401

    logging.getLogger("bm25s").setLevel(logging.WARNING)


def _fingerprint(db: Connection) -> str:
    """Of the rows searched: parent ids are unique and a text hash stands for text and vector."""
    count, content = db.fingerprint("search_documents", _SEARCHED)
    if not count:
        raise BadConfig(
            "nothing is indexed yet: materialise snapshots, then everything up to vector_index"
        )
    return f"{count}-{content:x}"


def _read(db: Connection, with_vectors: bool, with_text: bool) -> _Read:
    """All documents in the order of their ids.

    Sorted here: DuckDB takes a second to sort 100,000 rows that carry vectors.
    """
    columns = ["parent_id", *["vector"] * with_vectors, *["text"] * with_text]
    unordered = db.arrow(f"SELECT {', '.join(columns)} FROM search_documents")
    order = pc.sort_indices(unordered["parent_id"])
    vectors = np.empty((0, 0), np.float32)
    if with_vectors:
        flat = unordered["vector"].combine_chunks().flatten().to_numpy()
        vectors = flat.reshape(len(order), -1)[order.to_numpy()]
    return _Read(
        unordered["parent_id"].take(order).combine_chunks(),
        vectors,
        unordered["text"].take(order).to_pylist() if with_text else [],
    )


def _bm25(lexical: "BM25 | None", query: str) -> NDArray[np.float32] | None:
    """BM25 of every row, 0 where no word of the query occurs; None when none occurs anywhere."""
    known = lexical.get_tokens_ids(words(query)) if lexical else []
    return lexical.get_scores_from_ids(known) if lexical and known else None


def _best(
    scores: NDArray[np.float32] | None, rows: NDArray[np.int64], above: float | None = None
) -> list[int]:
    """The DEPTH best of `rows` by score, best first, ties by row."""
    if scores is None:
        return []
    mine = scores[rows]
    if above is not None:
        rows, mine = rows[mine > above], mine[mine > above]
    best: list[int] = rows[np.argsort(-mine, kind="stable")[:DEPTH]].tolist()
    return best


def _passing(db: Connection, filters: Filters) -> _Passing:
    """What the filters ask, once it is known that it can be answered."""
    parents, values = _parents_sql(filters)
    if not db.execute(f"SELECT true FROM search_documents WHERE {parents} LIMIT 1", values):
        _refuse_unknown(db, filters)
    if filters.bounds_price and filters.currency is None:
        _need_one_currency(db, filters)
    offers, more = _offers_sql(filters)
    offered = [_OFFERED.format(offers=offers)] if filters.concerns_offers else []
    return _Passing(" AND ".join([parents, _LISTED, *offered]), values | more)


def _matching(db: Connection, ids: pa.Array, passing: _Passing) -> NDArray[np.int64]:
    """Places among `ids` of the documents that pass; -1 for what came since these were read."""
    query = f"SELECT parent_id FROM search_documents WHERE {passing.sql}"
    return _rows(ids, db.arrow(query, passing.values)["parent_id"])


def _rows(ids: pa.Array, some: pa.ChunkedArray) -> NDArray[np.int64]:
    """Where `some` stand among `ids`; -1 for what is not there."""
    found = pc.index_in(some, value_set=ids).fill_null(-1).cast(pa.int64())
    rows: NDArray[np.int64] = found.to_numpy()
    return rows


def _parents_sql(filters: Filters) -> tuple[str, dict[str, Any]]:
    wanted = {"kind": filters.kind, "source": filters.source}
    values: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    conditions = [f"search_documents.{name} = ${name}" for name in values]
    if filters.without:
        conditions.append("search_documents.source <> ALL($without)")
        values["without"] = list(filters.without)
    return " AND ".join(["true", *conditions]), values


def _offers_sql(filters: Filters) -> tuple[str, dict[str, Any]]:
    conditions: Mapping[str, Any] = {
        "current_offers.currency = $currency": filters.currency,
        "price >= $min_price": filters.min_price,
        "price <= $max_price": filters.max_price,
        "available = $in_stock": filters.in_stock or None,
    }
    wanted = {sql: value for sql, value in conditions.items() if value is not None}
    return " AND ".join(["true", *wanted]), {
        sql.rpartition("$")[2]: value for sql, value in wanted.items()
    }


def _refuse_unknown(db: Connection, filters: Filters) -> None:
    wanted = {"kind": filters.kind, "source": filters.source}
    asked = [f"{name} {value!r}" for name, value in wanted.items() if value is not None]
    there = db.execute("SELECT DISTINCT kind, source FROM search_documents ORDER BY kind, source")
    some = ", ".join(f"{source} ({kind})" for kind, source in there[:20])
    raise BadConfig(
        f"nothing is indexed of {' and '.join(asked) or 'active sources'}. Indexed: {some}"
        f"{f' and {len(there) - 20} more' if len(there) > 20 else ''}"
    )


def _need_one_currency(db: Connection, filters: Filters) -> None:
    parents, values = _parents_sql(filters)
    found = [row[0] for row in db.execute(_CURRENCIES.format(parents=parents), values)]
    if len(found) > 1:
        raise BadConfig(
            f"prices are in several currencies ({', '.join(found)}): give `currency` with "
            "min_price or max_price"
        )


def _details(db: Connection, found: Sequence[str], filters: Filters) -> dict[str, dict[str, Any]]:
    """Fields of a hit by parent id, with the cheapest variant that passes."""
    parents = {"found": list(found)}
    variants = {
        f"variant_{number}": id_ for number, (id_,) in enumerate(db.execute(_VARIANTS, parents))
    }
    offers, values = _offers_sql(filters)
    sql = _HITS.format(offers=offers, variants=", ".join(f"${v}" for v in variants) or "NULL")
    rows = db.arrow(sql, parents | variants | values).to_pylist()
    return {row["parent_id"]: row for row in rows}
