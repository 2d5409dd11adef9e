"""Embedders: texts in, unit vectors out.

Belongs here: the protocol, each provider behind it, and the rule that a text is embedded once.
Does not belong here: which text a product page has (`domain.search`), or keeping and searching
vectors (`gateways.vectors`, `gateways.warehouse`).
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scout_assets.domain.failures import BrokenContract
from scout_assets.domain.search import Document
from scout_assets.domain.tables import EMBEDDINGS

if TYPE_CHECKING:
    from wordllama import WordLlamaInference


class Embedder(Protocol):
    """What turns texts into vectors."""

    @property
    def model(self) -> str:
        """Name and version; vectors of different models are never compared."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Shape (len(texts), dimensions), one row per text, each of unit length.

        A text without a single token has the zero vector, which is like nothing.
        """


class WordLlama:
    """Static token embeddings, averaged: offline, deterministic, no GPU.

    The weights lie in the wheel (16 MB). Importing takes about a second, so that both import
    and load wait for the first text.
    """

    dimensions = 256

    @cached_property
    def model(self) -> str:
        return f"wordllama-l2_supercat-{self.dimensions}@{version('wordllama')}"

    @cached_property
    def _inference(self) -> "WordLlamaInference":
        with _root_logger_unconfigured():
            import wordllama
        # Without cache_dir it looks for its own tokenizer in a folder that does not exist.
        return wordllama.WordLlama.load(
            dim=self.dimensions,
            cache_dir=Path(wordllama.__file__).parent,
            disable_download=True,
        )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        pooled = np.asarray(self._inference.embed(list(texts)), dtype=np.float32)
        norms = np.linalg.norm(pooled, axis=1, keepdims=True)
        norms[norms == 0] = 1
        unit: NDArray[np.float32] = pooled / norms
        return unit


@contextlib.contextmanager
def _root_logger_unconfigured() -> Iterator[None]:
    """wordllama calls logging.basicConfig when imported, which does nothing beside a handler."""
    root, guard = logging.getLogger(), logging.NullHandler()
    root.addHandler(guard)
    try:
        yield
    finally:
        root.removeHandler(guard)


def embed_missing(
    documents: Sequence[Document],
    known: pa.Table,
    embedder: Embedder,
    counts: Counter[str],
) -> pa.Table:
    """The slices of `embeddings` for the sources of `documents`.

    `known` are rows of that table, of any source. Only texts of listed documents without a
    known vector are embedded, each once. Known vectors of gone documents are kept: many come
    back next season, and a provider would charge again. Vectors of texts that no document has
    any more are left out. Counts `embeddings/{reused,embedded,kept_for_gone}`.

    Raises BrokenContract when the embedder answers with other shapes or with numbers that are
    not finite, and whatever the embedder raises.
    """
    place = {text_hash: row for row, text_hash in enumerate(known["text_hash"].to_pylist())}
    new: dict[str, str] = {
        document.text_hash: document.text
        for document in documents
        if document.listed and document.text_hash not in place
    }
    vectors = [*known["vector"].chunks, _embed(embedder, list(new.values()))]
    place |= {text_hash: row for row, text_hash in enumerate(new, start=known.num_rows)}
    rows = _rows(documents, place)
    for _, _, text_hash, listed in rows:
        reused = "reused" if listed else "kept_for_gone"
        counts[f"embeddings/{'embedded' if text_hash in new else reused}"] += 1
    return _table(rows, embedder.model, place, pa.chunked_array(vectors))


_EmbeddingRow = tuple[str, str, str, bool]


def _rows(documents: Sequence[Document], place: dict[str, int]) -> list[_EmbeddingRow]:
    """One row per source and text; listed when any document of that text there is."""
    listed: dict[tuple[str, str, str], bool] = {}
    for document in documents:
        if document.text_hash in place:
            key = (document.kind, document.source, document.text_hash)
            listed[key] = listed.get(key, False) or document.listed
    return [(*key, is_listed) for key, is_listed in listed.items()]


def _table(
    rows: Sequence[_EmbeddingRow], model: str, place: dict[str, int], vectors: pa.ChunkedArray
) -> pa.Table:
    columns = {
        "kind": pa.array([kind for kind, _, _, _ in rows], pa.string()),
        "source": pa.array([source for _, source, _, _ in rows], pa.string()),
        "text_hash": pa.array([text_hash for _, _, text_hash, _ in rows], pa.string()),
        "model": pa.array([model] * len(rows), pa.string()),
        "vector": vectors.take(pa.array([place[row[2]] for row in rows], pa.int64())),
    }
    return pa.table(columns, schema=EMBEDDINGS.schema)


def _embed(embedder: Embedder, texts: Sequence[str]) -> pa.ListArray:
    """Vectors as an Arrow column; asks the embedder nothing when there is nothing to ask."""
    column = EMBEDDINGS.schema.field("vector").type
    if not texts:
        return pa.array([], column)
    vectors = np.ascontiguousarray(embedder.embed(texts), dtype=np.float32)
    if vectors.shape != (len(texts), embedder.dimensions) or not np.isfinite(vectors).all():
        raise BrokenContract(
            f"embedder {embedder.model}: gave an array of shape {vectors.shape} for {len(texts)} "
            f"texts of {embedder.dimensions} dimensions, or numbers that are not finite"
        )
    offsets = np.arange(len(texts) + 1, dtype=np.int32) * embedder.dimensions
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(vectors.ravel()), type=column)
