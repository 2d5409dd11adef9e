"""WordLlama works offline and repeatably; a text is embedded once."""

import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scout_assets.domain.failures import BrokenContract
from scout_assets.domain.search import documents
from scout_assets.domain.tables import EMBEDDINGS
from scout_assets.gateways.embedders import WordLlama, embed_missing
from scout_assets_tests.domain.test_search import WHEN, parent

LLAMA = WordLlama()
NOTHING = EMBEDDINGS.schema.empty_table()


class Counting:
    """WordLlama, noting what it is asked."""

    def __init__(self, model: str = "counting@1") -> None:
        self.model = model
        self.dimensions = LLAMA.dimensions
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return LLAMA.embed(texts)


class Answering(Counting):
    """An embedder that answers with whatever it was given."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = np.asarray(answer, dtype=np.float32)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.answer


def embedded(
    embedder: Counting, *parents: dict[str, Any], known: pa.Table = NOTHING
) -> tuple[pa.Table, Counter[str]]:
    counts: Counter[str] = Counter()
    return embed_missing(documents(parents, [], embedder.model), known, embedder, counts), counts


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=8))
def test_vectors_are_of_unit_length_or_zero_for_no_token(texts: list[str]) -> None:
    vectors = LLAMA.embed(texts)
    assert vectors.shape == (len(texts), 256)
    assert vectors.dtype == np.float32
    lengths = np.linalg.norm(vectors, axis=1)
    wanted = [1.0 if text else 0.0 for text in texts]
    assert lengths == pytest.approx(wanted, abs=1e-5)


def test_a_vector_does_not_depend_on_the_texts_beside_it() -> None:
    texts = ["washed coffee", "a much longer text about a coffee " * 20, ""]
    alone = np.concatenate([LLAMA.embed([text]) for text in texts])
    assert np.array_equal(LLAMA.embed(texts), alone)
    assert np.array_equal(WordLlama().embed(texts), alone)


def test_like_is_nearer_than_unlike() -> None:
    fruit, berries, kettle = LLAMA.embed(["fruity coffee", "berry coffee", "steel kettle"])
    assert fruit @ berries > fruit @ kettle


def test_model_names_the_version_of_the_weights() -> None:
    assert LLAMA.model.startswith("wordllama-l2_supercat-256@")
    assert LLAMA.model.rpartition("@")[2][0].isdigit()


def test_import_is_light_and_loading_needs_no_network_and_leaves_logging_alone() -> None:
    code = """
import logging, socket, sys
from scout_assets.gateways.embedders import WordLlama
llama = WordLlama()
assert llama.model
assert not {"wordllama", "tokenizers"} & set(sys.modules), "imported too early"
def refuse(*_): raise AssertionError("asked the network")
socket.socket.connect = refuse
assert llama.embed(["coffee"]).shape == (1, 256)
assert not logging.getLogger().handlers and logging.getLogger().level == logging.WARNING
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_handlers_of_the_root_logger_survive_loading() -> None:
    before = list(logging.getLogger().handlers)
    WordLlama().embed(["coffee"])
    assert logging.getLogger().handlers == before


def test_every_listed_text_is_embedded_once_even_across_sources() -> None:
    embedder = Counting()
    twins = [parent(1, "Ridge"), parent(2, "Ridge"), parent(1, "Ridge", source="south")]
    rows, counts = embedded(embedder, *twins, parent(3, "Valley"))
    assert embedder.asked == ["Ridge. coffee", "Valley. coffee"]
    assert rows.schema == EMBEDDINGS.schema
    assert rows["source"].to_pylist() == ["north", "south", "north"]
    assert len(set(rows["text_hash"].to_pylist())) == 2
    assert counts == {"embeddings/embedded": 3}
    assert rows["vector"][0].as_py() == pytest.approx(LLAMA.embed(["Ridge. coffee"])[0].tolist())


def test_known_texts_are_never_bought_again() -> None:
    embedder = Counting()
    known, _ = embedded(embedder, parent(1, "Ridge"), parent(2, "Valley"))
    embedder.asked.clear()
    rows, counts = embedded(
        embedder, parent(1, "Ridge"), parent(2, "Valley", roast_level="dark"), known=known
    )
    assert embedder.asked == ["Valley. dark roast. coffee"]
    assert counts == {"embeddings/reused": 1, "embeddings/embedded": 1}
    assert rows["vector"][0] == known["vector"][0]
    assert rows.num_rows == 2, "the old text of Valley is left out"


def test_nothing_new_asks_the_embedder_nothing() -> None:
    known, _ = embedded(Counting(), parent(1, "Ridge"))
    again = Answering([])
    rows, _ = embedded(again, parent(1, "Ridge"), known=known)
    assert rows.equals(known)


def test_vectors_of_the_gone_are_kept_for_their_return_but_not_bought() -> None:
    embedder = Counting()
    known, _ = embedded(embedder, parent(1, "Ridge"))
    gone, counts = embedded(
        embedder,
        parent(1, "Ridge", gone_at=WHEN),
        parent(2, "Never seen", gone_at=WHEN),
        known=known,
    )
    assert gone.equals(known)
    assert counts == {"embeddings/kept_for_gone": 1}
    embedder.asked.clear()
    embedded(embedder, parent(1, "Ridge"), known=gone)
    assert embedder.asked == []


def test_another_model_embeds_everything_anew() -> None:
    known, _ = embedded(Counting("old@1"), parent(1, "Ridge"))
    newer = Counting("new@2")
    rows, _ = embedded(newer, parent(1, "Ridge"), known=known)
    assert newer.asked == ["Ridge. coffee"]
    assert rows["model"].to_pylist() == ["new@2"]


@pytest.mark.parametrize(
    "answer",
    [np.zeros((2, 256)), np.zeros((1, 3)), np.full((1, 256), np.nan)],
    ids=["too many", "too short", "not finite"],
)
def test_an_embedder_that_breaks_its_promise_is_named(answer: Any) -> None:
    with pytest.raises(BrokenContract, match=r"embedder counting@1: .* 1 texts of 256"):
        embedded(Answering(answer), parent(1, "Ridge"))
