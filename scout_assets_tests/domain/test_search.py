"""What is searched of a page, reciprocal rank fusion, and which filters are refused."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scout_assets.domain.catalogue import stable_id
from scout_assets.domain.failures import BadConfig, Critical
from scout_assets.domain.search import (
    DESCRIPTION_CHARS,
    Filters,
    document_text,
    documents,
    reciprocal_rank_fusion,
    search_documents,
    text_hash,
    words,
)
from scout_assets.domain.tables import EMBEDDINGS, PARENTS, PRODUCTS

WHEN = datetime(2026, 9, 7, tzinfo=UTC)


def parent(number: int, title: str, source: str = "north", **fields: Any) -> dict[str, Any]:
    """A row of `parents`: a coffee about which the page says nothing but `fields`."""
    return {column.name: None for column in PARENTS.columns} | {
        "kind": "roaster",
        "source": source,
        "first_seen_at": WHEN,
        "changed_at": WHEN,
        "parent_id": stable_id(source, str(number)),
        "external_id": str(number),
        "title": title,
        "tags": [],
        "description": "",
        "image_urls": [],
        "is_coffee": True,
        "is_coffee_confidence": 1.0,
        "subscription": False,
        "varieties": [],
        "tasting_notes": [],
        "confidence": 1.0,
        **fields,
    }


def product(number: int, of: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A row of `products`: a variant of the parent `of`."""
    return {column.name: None for column in PRODUCTS.columns} | {
        "kind": of["kind"],
        "source": of["source"],
        "first_seen_at": WHEN,
        "changed_at": WHEN,
        "product_id": stable_id(of["source"], f"v{number}"),
        "external_id": f"v{number}",
        "parent_id": of["parent_id"],
        "parent_external_id": of["external_id"],
        "options": "{}",
        "pack_count": 1,
        "confidence": 1.0,
        **fields,
    }


FULL = parent(
    1,
    "Morning Ridge",
    vendor="Hilltop Roasters",
    tasting_notes=["jasmine", "lime"],
    process="pulped_natural",
    process_raw="Despulpado natural",
    roast_level="light",
    origin_country="ET",
    origin_region="Guji",
    varieties=["Kurume"],
    species="arabica",
    decaf=True,
    product_type="Beans",
    tags=["v60"],
    description="Grown on one slope.  Rests two weeks.",
)


@pytest.mark.parametrize(
    "said",
    [
        "Morning Ridge",
        "Hilltop Roasters",
        "jasmine",
        "pulped natural process",
        "Despulpado natural",
        "light roast",
        "ethiopia ethiopian",
        "Guji",
        "Kurume",
        "arabica",
        "decaf decaffeinated",
        "for filter, pour over",
        "Beans",
        "coffee",
        "Grown on one slope. Rests two weeks.",
    ],
)
def test_text_says_every_fact_in_words_that_people_use(said: str) -> None:
    assert said in document_text(FULL)


def test_text_says_nothing_twice_but_tells_a_word_from_its_beginning() -> None:
    text = document_text(parent(1, "Washed Kenyan", product_type="washed", origin_region="Kenya"))
    assert text.lower().count("washed") == 1
    assert text == "Washed Kenyan. Kenya. coffee"


def test_text_of_gear_names_no_brew_method_and_no_coffee() -> None:
    text = document_text(parent(1, "Paper cones", is_coffee=False, tags=["v60"]))
    assert text == "Paper cones"


@pytest.mark.parametrize(
    ("grinds", "said"),
    [
        (["whole", "french_press"], "Ridge. for french press. coffee"),
        (["whole"], "Ridge. coffee"),
        (["filter", "espresso", "moka", "turkish"], "Ridge. coffee"),
    ],
    ids=["one grind tells", "whole is no grind", "every grind tells nothing"],
)
def test_text_names_grinds_that_tell_coffees_apart(grinds: list[str], said: str) -> None:
    assert document_text(parent(1, "Ridge"), grinds) == said


def test_text_keeps_a_country_it_has_no_names_for() -> None:
    assert "ZZ" in document_text(parent(1, "Ridge", origin_country="ZZ"))


@pytest.mark.parametrize(
    ("description", "kept"),
    [
        ("short and whole", "short and whole"),
        ("peach " * 100, ("peach " * 83).strip()),
        ("x" * (DESCRIPTION_CHARS + 200), "x" * DESCRIPTION_CHARS),
        (f"{'x' * DESCRIPTION_CHARS} tail", "x" * DESCRIPTION_CHARS),
    ],
    ids=["short", "between words", "one endless word", "a word that just fits"],
)
def test_description_is_cut_between_words(description: str, kept: str) -> None:
    text = document_text(parent(1, "Ridge", is_coffee=False, description=description))
    assert text == f"Ridge. {kept}"


def test_text_hash_depends_on_model_and_text_and_where_one_ends() -> None:
    hashes = {
        text_hash("m", "ab"),
        text_hash("m", "abc"),
        text_hash("n", "ab"),
        text_hash("ma", "b"),
    }
    assert len(hashes) == 4
    assert text_hash("m", "ab") == text_hash("m", "ab")


@pytest.mark.parametrize(
    ("asked", "printed"),
    [
        ("cafe", "Café"),
        ("CAFÉ", "cafe\N{COMBINING ACUTE ACCENT}"),
        ("smorrebrod", "Smørrebrød"),
        ("naturals", "natural"),
        ("cherry", "cherries"),
        ("sl28", "SL-28"),
        ("S.795", "s795"),
        ("v60", "V-60"),
        ("lavado", "Lavados"),
    ],
)
def test_words_meet_across_accents_case_plurals_and_code_spellings(
    asked: str, printed: str
) -> None:
    assert words(asked) == words(printed)


@pytest.mark.parametrize("word", ["citrus", "less", "gas", "250"])
def test_words_that_are_no_plural_stay(word: str) -> None:
    assert words(word) == [word]


def test_documents_carry_grinds_of_listed_variants_and_mark_the_gone() -> None:
    here, gone = parent(1, "Ridge"), parent(2, "Valley", gone_at=WHEN)
    variants = [
        product(1, here, grind="moka"),
        product(2, here, grind="syphon", gone_at=WHEN),
        product(3, parent(9, "Elsewhere"), grind="turkish"),
    ]
    first, second = documents([here, gone], variants, "m")
    assert first.text == "Ridge. for moka. coffee"
    assert first.text_hash == text_hash("m", first.text)
    assert (first.listed, second.listed) == (True, False)


def embedding_rows(*made: tuple[str, list[float]]) -> pa.Table:
    return EMBEDDINGS.arrow(
        {"kind": "roaster", "source": "north", "model": "m", "text_hash": h, "vector": v}
        for h, v in made
    )


def test_search_documents_pair_listed_parents_with_their_vectors() -> None:
    found = documents(
        [parent(1, "Ridge"), parent(2, "Valley", gone_at=WHEN), parent(3, "Plain")], [], "m"
    )
    made = embedding_rows((found[2].text_hash, [0.0, 1.0]), (found[0].text_hash, [1.0, 0.0]))
    rows = search_documents(found, made).to_pylist()
    assert [(row["parent_id"], row["vector"]) for row in rows] == [
        ("north/1", [1.0, 0.0]),
        ("north/3", [0.0, 1.0]),
    ]


def test_search_documents_of_nothing_is_an_empty_slice() -> None:
    assert search_documents([], embedding_rows()).num_rows == 0


def test_search_documents_without_a_vector_are_refused_by_name() -> None:
    found = documents([parent(1, "Ridge")], [], "m")
    with pytest.raises(Critical, match="north/1: materialise embeddings"):
        search_documents(found, embedding_rows())


RANKINGS = st.lists(st.lists(st.integers(0, 20), unique=True, max_size=12), max_size=4)


@given(RANKINGS, st.randoms())
def test_fusion_does_not_depend_on_the_order_of_the_rankings(
    rankings: list[list[int]], random: Any
) -> None:
    shuffled = random.sample(rankings, len(rankings))
    assert reciprocal_rank_fusion(rankings) == reciprocal_rank_fusion(shuffled)


@given(st.lists(st.integers(), unique=True), st.integers(1, 4))
def test_fusion_of_a_ranking_with_itself_keeps_it(ranking: list[int], times: int) -> None:
    assert [item for item, _ in reciprocal_rank_fusion([ranking] * times)] == ranking


@given(RANKINGS, st.data())
def test_fusion_never_punishes_a_better_rank(rankings: list[list[int]], data: Any) -> None:
    movable = [n for n, ranking in enumerate(rankings) if len(ranking) > 1]
    if not movable:
        return
    number = data.draw(st.sampled_from(movable))
    at = data.draw(st.integers(1, len(rankings[number]) - 1))
    item = rankings[number][at]
    better = [list(ranking) for ranking in rankings]
    better[number][at - 1 : at + 1] = [item, better[number][at - 1]]
    before, after = (
        [found for found, _ in reciprocal_rank_fusion(some)] for some in (rankings, better)
    )
    assert after.index(item) <= before.index(item)


@given(RANKINGS)
def test_fusion_finds_everything_once_best_first(rankings: list[list[int]]) -> None:
    fused = reciprocal_rank_fusion(rankings)
    assert sorted(item for item, _ in fused) == sorted({i for r in rankings for i in r})
    assert [score for _, score in fused] == sorted((score for _, score in fused), reverse=True)


def test_fusion_score_is_the_sum_of_reciprocal_ranks() -> None:
    assert reciprocal_rank_fusion([[7, 8], [8]]) == [(8, 1 / 62 + 1 / 61), (7, 1 / 61)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_price": Decimal(-1)}, "max_price is -1"),
        ({"min_price": Decimal(20), "max_price": Decimal(10)}, "min_price 20 is above"),
        ({"currency": "euro"}, "currency is 'euro'.*such as EUR"),
    ],
)
def test_filters_that_make_no_sense_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadConfig, match=message):
        Filters(**fields)


def test_filters_of_an_unknown_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="colour"):
        Filters.model_validate({"colour": "red"})
