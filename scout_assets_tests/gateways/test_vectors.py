"""The search index against a real warehouse of each engine, with real embeddings."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.search import Filters, documents, search_documents
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
from scout_assets.gateways.postgres import Postgres
from scout_assets.gateways.postgres_warehouse import PostgresWarehouse
from scout_assets.gateways.vectors import DEPTH, SearchIndex
from scout_assets.gateways.warehouse import Batch, Watermark
from scout_assets_tests.domain.test_search import WHEN, parent, product

LLAMA = WordLlama()

Row = dict[str, Any]


class Shop:
    """A warehouse one can stock, and the index over it."""

    def __init__(self, warehouse: DuckDbWarehouse | PostgresWarehouse, folder: Path) -> None:
        self.warehouse = warehouse
        self.cache = folder / "cache"
        self.index = self.fresh_index()
        self.snapshot = 0

    def fresh_index(self) -> SearchIndex:
        return SearchIndex(self.warehouse, LLAMA, self.cache)

    def stock(
        self,
        parents: Sequence[Row],
        variants: Sequence[Row] = (),
        offers: Sequence[Row] = (),
        documents_too: bool = True,
    ) -> None:
        """Replace the slices of the parents' sources, as their assets would."""
        self.snapshot += 1
        sources = {row["source"] for row in parents}
        for table, rows in ((PARENTS, parents), (PRODUCTS, variants), (OFFERS, offers)):
            self.write(table, table.arrow(rows), sources)
        if documents_too:
            self.warehouse.prepare_ranking(SEARCH_DOCUMENTS)
            found = documents(parents, variants, LLAMA.model)
            made = embed_missing(found, EMBEDDINGS.schema.empty_table(), LLAMA, Counter())
            self.write(SEARCH_DOCUMENTS, search_documents(found, made), sources)

    def write(self, table: Table, rows: pa.Table, sources: Iterable[str]) -> None:
        marks = {source: Watermark(self.snapshot, "1") for source in sources}
        self.warehouse.write(Batch(table, "roaster", rows, marks))

    def titles(self, query: str, k: int = 10, **filters: Any) -> list[str]:
        return [hit.title for hit in self.index.search(query, Filters(**filters), k)]


@pytest.fixture(params=["duckdb", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    if request.param == "duckdb":
        return Shop(DuckDbWarehouse(tmp_path / "shop.duckdb", wait_seconds=20), tmp_path)
    at: Postgres = request.getfixturevalue("postgres_schema")
    return Shop(PostgresWarehouse(at, wait_seconds=20), tmp_path)


def offer(of: Row, price: str | None, snapshot: int = 1, **fields: Any) -> Row:
    return {
        "kind": of["kind"],
        "source": of["source"],
        "offer_id": f"{of['product_id']}@{snapshot}",
        "product_id": of["product_id"],
        "product_external_id": of["external_id"],
        "snapshot": snapshot,
        "snapshot_hash": "x",
        "observed_at": WHEN,
        "price": None if price is None else Decimal(price),
        "price_raw": price,
        "compare_at_price": None,
        "currency": "EUR",
        "available": True,
        "unit_price_100g": None,
        "change": "new",
        **fields,
    }


WASHED = parent(1, "Hill Song", origin_country="ET", process="washed", tasting_notes=["jasmine"])
NATURAL = parent(2, "Sun Drum", origin_country="BR", process="natural", roast_level="dark")
GRINDER = parent(3, "Steel burr grinder", is_coffee=False)
ALL = (WASHED, NATURAL, GRINDER)


def test_a_hit_shows_the_page_its_cheapest_variant_and_both_ranks(shop: Shop) -> None:
    small = product(1, WASHED, title="250 g", net_weight_g=250.0)
    large = product(2, WASHED, title="1 kg", net_weight_g=1000.0)
    offers = [offer(small, "14.50", unit_price_100g=Decimal("5.80")), offer(large, "48")]
    shop.stock(ALL, [large, small], offers)
    hit = shop.index.search("washed ethiopian for filter", k=1)[0]
    assert hit.model_dump(exclude={"score"}) == {
        "parent_id": "north/1",
        "title": "Hill Song",
        "kind": "roaster",
        "source": "north",
        "url": None,
        "dense_rank": 1,
        "lexical_rank": 1,
        "roast_level": None,
        "process": "washed",
        "origin_country": "ET",
        "tasting_notes": ["jasmine"],
        "product_id": "north/v1",
        "variant_title": "250 g",
        "net_weight_g": 250.0,
        "price": Decimal("14.50"),
        "currency": "EUR",
        "available": True,
        "unit_price_100g": Decimal("5.80"),
    }
    assert hit.score == pytest.approx(2 / 61)


def test_without_filters_everything_listed_is_ranked_even_what_has_no_offer(shop: Shop) -> None:
    shop.stock(ALL)
    hits = shop.index.search("grinder")
    assert hits[0].title == "Steel burr grinder"
    assert len(hits) == 3
    assert all(hit.product_id is hit.price is hit.available is None for hit in hits)


def test_a_word_that_only_the_lexical_index_knows_comes_first(shop: Shop) -> None:
    others = [parent(n, f"Lot {n}", description="sweet and round") for n in range(10, 40)]
    shop.stock([*others, parent(1, "Lot", description="sweet and round, bin QX7719")])
    hit = shop.index.search("qx7719")[0]
    assert (hit.parent_id, hit.lexical_rank) == ("north/1", 1)


def test_a_meaning_that_shares_no_word_is_found_by_its_vector(shop: Shop) -> None:
    shop.stock([parent(1, "Blackberry jam"), *(parent(n, f"Steel bolt {n}") for n in range(2, 9))])
    hit = shop.index.search("fruits")[0]
    assert (hit.title, hit.dense_rank, hit.lexical_rank) == ("Blackberry jam", 1, None)


@pytest.mark.parametrize(
    "query", ["cafe pena", "CAFÉ PEÑA", "cafe\N{COMBINING ACUTE ACCENT}s peña"]
)
def test_accents_and_case_do_not_matter(shop: Shop, query: str) -> None:
    shop.stock([parent(1, "Café Peña"), parent(2, "Valle Alto")])
    assert shop.index.search(query)[0].lexical_rank == 1
    assert shop.titles(query)[0] == "Café Peña"


def test_a_query_of_no_known_word_still_ranks_by_meaning(shop: Shop) -> None:
    shop.stock(ALL)
    hits = shop.index.search("☕ zzzzqq")
    assert [hit.lexical_rank for hit in hits] == [None] * 3


def test_documents_without_a_single_word_can_be_searched(shop: Shop) -> None:
    shop.stock([parent(1, "☕", is_coffee=False)])
    assert shop.titles("coffee") == ["☕"]


def filtered_shop(shop: Shop) -> None:
    """Ten coffees at 10, 20 … 100 EUR, odd ones sold out; one of another store in NOK."""
    coffees = [parent(n, f"Coffee {n}") for n in range(1, 11)]
    variants = [product(n, coffee) for n, coffee in enumerate(coffees, start=1)]
    offers = [
        offer(variant, f"{10 * n}", available=n % 2 == 0)
        for n, variant in enumerate(variants, start=1)
    ]
    shop.stock(coffees, variants, offers)
    nordic = parent(1, "Kaffe", source="nord")
    variant = product(1, nordic)
    shop.stock([nordic], [variant], [offer(variant, "15", currency="NOK")])


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"currency": "EUR", "max_price": Decimal(20)}, {"Coffee 1", "Coffee 2"}),
        ({"currency": "EUR", "min_price": Decimal(90)}, {"Coffee 9", "Coffee 10"}),
        (
            {"currency": "EUR", "min_price": Decimal(30), "max_price": Decimal(50)},
            {"Coffee 3", "Coffee 4", "Coffee 5"},
        ),
        (
            {"currency": "EUR", "max_price": Decimal(40), "in_stock": True},
            {"Coffee 2", "Coffee 4"},
        ),
        ({"currency": "NOK"}, {"Kaffe"}),
        ({"source": "nord", "max_price": Decimal(15)}, {"Kaffe"}),
        ({"source": "nord", "kind": "roaster"}, {"Kaffe"}),
        ({"currency": "GBP"}, set()),
        ({"currency": "EUR", "max_price": Decimal("9.99")}, set()),
    ],
    ids=lambda value: str(sorted(value)),
)
def test_filters(shop: Shop, filters: dict[str, Any], found: set[str]) -> None:
    filtered_shop(shop)
    assert set(shop.titles("coffee", **filters)) == found


def test_k_is_full_when_enough_pass_however_badly_they_rank(shop: Shop) -> None:
    good = [parent(n, "washed ethiopian filter coffee") for n in range(1, 2 * DEPTH)]
    poor = [parent(n, f"bolt {n}", source="yard", is_coffee=False) for n in range(1, 6)]
    shop.stock([*good, *poor])
    hits = shop.index.search("washed ethiopian filter coffee", Filters(source="yard"), k=5)
    assert {hit.source for hit in hits} == {"yard"}
    assert [hit.dense_rank for hit in hits] == [1, 2, 3, 4, 5]


def test_the_variant_shown_is_the_cheapest_that_passes(shop: Shop) -> None:
    variants = [product(n, WASHED) for n in range(1, 5)]
    offers = [
        offer(variants[0], "8", available=False),
        offer(variants[1], "12"),
        offer(variants[2], "30"),
        offer(variants[3], None),
    ]
    shop.stock(ALL, variants, offers)

    def shown(**filters: Any) -> Decimal | None:
        return shop.index.search("hill song", Filters(**filters))[0].price

    assert shown() == 8
    assert shown(in_stock=True) == 12
    assert shown(min_price=Decimal(13)) == 30


def test_one_hit_per_page_however_many_variants_pass(shop: Shop) -> None:
    variants = [product(n, WASHED) for n in range(1, 30)]
    shop.stock(ALL, variants, [offer(variant, "9") for variant in variants])
    assert shop.titles("washed", in_stock=True) == ["Hill Song"]


def test_price_bounds_need_a_currency_when_there_are_several(shop: Shop) -> None:
    filtered_shop(shop)
    with pytest.raises(BadConfig, match=r"several currencies \(EUR, NOK\): give `currency`"):
        shop.titles("coffee", max_price=Decimal(20))


def test_price_bounds_do_not_take_an_unstated_currency_for_another(shop: Shop) -> None:
    known, unknown = product(1, WASHED), product(2, NATURAL)
    shop.stock(ALL, [known, unknown], [offer(known, "9"), offer(unknown, "9", currency=None)])
    with pytest.raises(BadConfig, match=r"EUR, none stated"):
        shop.titles("coffee", max_price=Decimal(20))
    assert shop.titles("coffee", max_price=Decimal(20), currency="EUR") == ["Hill Song"]


def test_the_current_price_counts_at_once_without_indexing_anew(shop: Shop) -> None:
    variant = product(1, WASHED)
    shop.stock(ALL, [variant], [offer(variant, "9")])
    assert shop.titles("song", max_price=Decimal(10)) == ["Hill Song"]
    dearer = [offer(variant, "11", snapshot=2)]
    shop.stock(ALL, [variant], dearer, documents_too=False)
    assert shop.titles("song", max_price=Decimal(10)) == []
    assert shop.index.search("song")[0].price == 11
    assert shop.index.counts == {"search/built": 1}


def test_what_vanished_is_not_found_even_before_the_index_is_made_anew(shop: Shop) -> None:
    variant = product(1, NATURAL)
    shop.stock(ALL, [variant], [offer(variant, "9")])
    assert "Hill Song" in shop.titles("hill song")
    left = [WASHED | {"gone_at": WHEN}, NATURAL, GRINDER]
    shop.stock(left, [variant | {"gone_at": WHEN}], documents_too=False)
    assert "Hill Song" not in shop.titles("hill song")
    assert shop.titles("coffee", in_stock=True) == [], "its only variant is gone"
    shop.stock(left)
    assert sorted(shop.titles("hill song")) == ["Steel burr grinder", "Sun Drum"]


def test_the_index_follows_every_write(shop: Shop) -> None:
    shop.stock(ALL)
    assert shop.titles("fig")[0] != "Fig Tree"
    shop.stock([*ALL, parent(4, "Fig Tree")])
    assert shop.titles("fig")[0] == "Fig Tree"
    renamed = [WASHED, NATURAL, GRINDER | {"title": "Fig slicer"}, parent(4, "Oak")]
    shop.stock(renamed)
    assert shop.titles("fig")[0] == "Fig slicer"
    assert shop.index.counts["search/built"] == 3


def test_an_index_on_disk_is_read_by_the_next_process_and_gives_the_same(shop: Shop) -> None:
    shop.stock(ALL)
    before = shop.index.search("washed ethiopian")
    later = shop.fresh_index()
    assert later.search("washed ethiopian") == before
    assert later.counts == {"search/read": 1}
    later.search("again")
    assert later.counts == {"search/read": 1}


def test_an_index_of_other_rows_is_not_read_and_does_not_pile_up(shop: Shop) -> None:
    shop.stock(ALL)
    shop.index.search("washed")
    shop.stock([WASHED, NATURAL])
    later = shop.fresh_index()
    assert len(later.search("washed")) == 2
    assert later.counts == {"search/built": 1}
    assert len(list(shop.cache.iterdir())) == 1


@pytest.mark.parametrize("files", ["*", "*.npy", "vocab*", "params*"])
@pytest.mark.parametrize("damage", ["truncate", "remove"])
def test_a_damaged_index_on_disk_is_built_anew(
    shop: Shop, damage: str, files: str, caplog: pytest.LogCaptureFixture
) -> None:
    shop.stock(ALL)
    before = shop.index.search("washed")
    (kept,) = shop.cache.iterdir()
    for file in list(kept.glob(files)):
        file.write_bytes(b"") if damage == "truncate" else file.unlink()
    later = shop.fresh_index()
    assert later.search("washed") == before
    assert later.counts == {"search/unreadable": 1, "search/built": 1}
    assert "Building it anew" in caplog.text
    assert shop.fresh_index().search("washed") == before


def test_a_cache_that_cannot_be_written_costs_time_not_the_answer(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.stock(ALL)
    shop.cache.write_text("a file where the folder should be")
    assert shop.titles("grinder")[0] == "Steel burr grinder"
    assert shop.index.counts == {"search/built": 1, "search/unwritable": 1}
    assert str(shop.cache) in caplog.text


def test_refresh_builds_what_the_next_process_reads(shop: Shop) -> None:
    shop.stock(ALL)
    assert shop.index.refresh() == 3
    later = shop.fresh_index()
    later.search("washed")
    assert later.counts == {"search/read": 1}


def test_writers_are_not_kept_waiting_while_the_index_is_built(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.stock(ALL)
    shop.warehouse.wait_seconds = 0.0
    build = shop.index._build_lexical

    def write_meanwhile(texts: Sequence[str], fingerprint: str) -> object:
        shop.stock([parent(1, "Kaffe", source="nord")])
        return build(texts, fingerprint)

    monkeypatch.setattr(shop.index, "_build_lexical", write_meanwhile)
    assert len(shop.index.search("coffee")) == 3, "as of the moment it looked"
    monkeypatch.undo()
    assert len(shop.index.search("coffee")) == 4


@pytest.mark.parametrize("query", ["", "  \n"])
def test_an_empty_query_is_refused(shop: Shop, query: str) -> None:
    with pytest.raises(BadConfig, match="query is empty"):
        shop.index.search(query)


@pytest.mark.parametrize("k", [0, -1, DEPTH + 1])
def test_a_k_out_of_bounds_is_refused(shop: Shop, k: int) -> None:
    with pytest.raises(BadConfig, match=f"k is {k}: ask for 1 to {DEPTH}"):
        shop.index.search("coffee", k=k)


def test_an_empty_warehouse_says_what_to_do(shop: Shop) -> None:
    with pytest.raises(BadConfig, match="nothing is indexed yet: materialise"):
        shop.index.search("coffee")
    with pytest.raises(BadConfig, match="nothing is indexed yet"):
        shop.index.refresh()


def test_an_unknown_source_is_not_an_empty_result(shop: Shop) -> None:
    shop.stock(ALL)
    with pytest.raises(BadConfig, match=r"of source 'nrth'. Indexed: north \(roaster\)"):
        shop.titles("coffee", source="nrth")


def test_an_index_made_by_another_embedder_is_refused(shop: Shop) -> None:
    class Other(WordLlama):
        model = "other@1"

    shop.stock(ALL)
    with pytest.raises(BadConfig, match=r"index of north .* not made by other@1"):
        SearchIndex(shop.warehouse, Other(), shop.cache).search("coffee")


def test_equals_rank_by_id_and_a_search_repeats_itself(shop: Shop) -> None:
    shop.stock([parent(n, "Same") for n in (3, 1, 2)])
    first = shop.index.search("same")
    assert [hit.parent_id for hit in first] == ["north/1", "north/2", "north/3"]
    assert shop.fresh_index().search("same") == first


def test_building_writes_nothing_to_the_log_or_the_terminal(
    shop: Shop, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    shop.stock(ALL)
    shop.index.search("coffee")
    assert [record for record in caplog.records if record.name.startswith("bm25s")] == []
    assert capfd.readouterr() == ("", "")
