"""Crawling stores: which pages are asked for, when to stop, what is asked again."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from scout_assets.domain.capture import RawSnapshot, read_capture
from scout_assets.domain.failures import BrokenContract, NotFound, Permanent, Refused, Transient
from scout_assets.domain.history import Capture
from scout_assets.domain.sources import Source
from scout_assets.gateways import snapshots
from scout_assets.gateways.artifacts import Artifacts
from scout_assets.gateways.http import Policy
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.snapshots import Landing, Outcome, Snapshots
from scout_assets.gateways.storefronts import RawPage, crawl
from scout_assets_tests.gateways.http.fetching import run
from scout_assets_tests.loopback import Loopback, Reply, Request, Store
from scout_assets_tests.stores import (
    declared,
    serve_shopify,
    serve_woocommerce,
    shopify_page,
    shopify_product,
    woocommerce_prices,
    woocommerce_product,
)

QUICK = Policy(delay_seconds=0, jitter_seconds=0, attempts=2, backoff_seconds=0.01)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def source(store: Store, platform: str = "shopify", **fields: object) -> Source:
    return Source.read(declared("shop", store, platform=platform) | fields, "test")


def crawled(of: Source, counters: Counter[str] | None = None) -> tuple[RawPage, ...]:
    tally = Counter() if counters is None else counters
    return run(lambda http: crawl(of, http, QUICK, {}, tally))


def read(of: Source, pages: Sequence[RawPage]) -> Capture:
    raw = RawSnapshot(1, "hash", NOW, [(page.role, page.body) for page in pages])
    return read_capture(of, raw)


def queries(store: Store, path: str) -> list[Mapping[str, str]]:
    return [request.query for request in store.to(path)]


@pytest.mark.parametrize(("products", "pages"), [(0, 1), (1, 2), (250, 2), (620, 4)])
def test_shopify_is_asked_until_a_page_is_empty(loopback: Loopback, products: int, pages: int):
    store = loopback.store()
    serve_shopify(store, [shopify_product(number) for number in range(1, products + 1)])
    seen = read(source(store), crawled(source(store)))
    assert len(seen.parents) == products
    assert queries(store, "/products.json") == [
        {"limit": "250", "page": str(number)} for number in range(1, pages + 1)
    ]


def test_shopify_stops_at_25000_products_and_says_so(loopback: Loopback):
    store = loopback.store()

    def full(request: Request) -> Reply:
        first = int(request.query["page"]) * 1000
        return Reply(body=shopify_page({"id": n} for n in range(first, first + 250)))

    store.route("/products.json", full)
    counters: Counter[str] = Counter()
    pages = crawled(source(store, currency="EUR"), counters)
    assert len(pages) == 100
    assert counters["fetch/truncated"] == 1


def test_a_store_with_a_page_size_of_its_own_is_read_to_the_end(loopback: Loopback):
    store = loopback.store()
    products = [shopify_product(number) for number in range(1, 8)]

    def three(request: Request) -> Reply:
        first = (int(request.query["page"]) - 1) * 3
        return Reply(body=shopify_page(products[first : first + 3]))

    store.route("/products.json", three)
    assert len(read(source(store), crawled(source(store))).parents) == 7


def test_a_file_that_ignores_the_page_is_taken_once(loopback: Loopback):
    store = loopback.store()
    everything = shopify_page(shopify_product(number) for number in range(1, 301))
    store.route("/all.json", Reply(body=everything))
    here = source(store, location=store.url("/all.json?page=3"), currency="EUR")
    assert len(read(here, crawled(here)).parents) == 300
    assert queries(store, "/all.json") == [
        {"limit": "250", "page": "1"},
        {"limit": "250", "page": "2"},
    ]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("\ufeff{}", "application/json; charset=utf-8"),
        ("{}", "application/json; charset=iso-8859-1"),
        ("{}", "application/json; charset=windows-1252"),
    ],
)
def test_other_encodings_are_read_as_declared(loopback: Loopback, body: str, content_type: str):
    store = loopback.store()
    text = shopify_page([shopify_product(1, title="Café Brûlé")]).decode()
    charset = content_type.rpartition("=")[2]
    encoded = body.replace("{}", text).encode(charset)
    store.route("/products.json", Reply(body=encoded, headers={"Content-Type": content_type}))
    seen = read(source(store), crawled(source(store)))
    assert [parent["title"] for parent in seen.parents] == ["Café Brûlé"]


def test_shopify_currency_comes_from_the_store_unless_declared(loopback: Loopback):
    store = loopback.store()
    serve_shopify(store, [shopify_product(1)], currency="NOK")
    assert read(source(store), crawled(source(store))).offers[0]["currency"] == "NOK"
    declared = source(store, currency="EUR")
    assert read(declared, crawled(declared)).offers[0]["currency"] == "EUR"
    assert len(store.to("/meta.json")) == 1


@pytest.mark.parametrize(
    "answer",
    [Reply(status=404), Reply.json({"id": 1}), Reply.json({"currency": 7}), Reply.json([])],
)
def test_a_currency_the_store_does_not_say_is_unknown(loopback: Loopback, answer: Reply):
    store = loopback.store()
    serve_shopify(store, [shopify_product(1)], currency=None)
    store.route("/meta.json", answer)
    assert read(source(store), crawled(source(store))).offers[0]["currency"] is None


def test_a_location_that_names_a_json_file_is_asked_as_it_is(loopback: Loopback):
    store = loopback.store()
    store.route("/export/all.json", Reply(body=shopify_page([shopify_product(1)])))
    here = source(store, location=store.url("/export/all.json"))
    assert len(read(here, crawled(here)).parents) == 1


def test_woocommerce_pages_are_counted_by_the_header(loopback: Loopback):
    store = loopback.store()
    serve_woocommerce(store, [woocommerce_product(number) for number in range(1, 251)])
    seen = read(source(store, "woocommerce"), crawled(source(store, "woocommerce")))
    assert len(seen.parents) == 250
    asked = queries(store, "/wp-json/wc/store/v1/products")
    assert sorted(query["page"] for query in asked) == ["1", "2", "3"]
    assert str(seen.offers[0]["price"]) == "12.50", "minor units"


def test_woocommerce_without_the_header_is_asked_until_a_page_is_not_full(loopback: Loopback):
    store = loopback.store()
    products = [woocommerce_product(number) for number in range(1, 131)]

    def listing(request: Request) -> Reply:
        first = (int(request.query["page"]) - 1) * 100
        return Reply.json(products[first : first + 100])

    store.route("/wp-json/wc/store/v1/products", listing)
    pages = crawled(source(store, "woocommerce"))
    assert len(read(source(store, "woocommerce"), pages).parents) == 130


VARIABLE = woocommerce_product(
    7,
    type="variable",
    prices=woocommerce_prices("900") | {"price_range": {"min_amount": "900", "max_amount": "3200"}},
    variations=[
        {"id": 71, "attributes": [{"name": "Size", "value": "250 g"}]},
        {"id": 72, "attributes": [{"name": "Size", "value": "1 kg"}]},
    ],
)


def test_woocommerce_variations_bring_their_own_prices(loopback: Loopback):
    store = loopback.store()
    variations = [
        woocommerce_product(71, type="variation", parent=7, prices=woocommerce_prices("900")),
        woocommerce_product(72, type="variation", parent=7, prices=woocommerce_prices("3200")),
    ]
    serve_woocommerce(store, [VARIABLE], variations)
    seen = read(source(store, "woocommerce"), crawled(source(store, "woocommerce")))
    assert {o["product_external_id"]: str(o["price"]) for o in seen.offers} == {
        "71": "9.00",
        "72": "32.00",
    }


def test_woocommerce_that_lists_no_variations_leaves_their_prices_unknown(loopback: Loopback):
    store = loopback.store()

    def listing(request: Request) -> Reply:
        if "type" in request.query:
            return Reply.json({"code": "rest_invalid_param"}, status=400)
        return Reply.json([VARIABLE], headers={"X-WP-TotalPages": "1"})

    store.route("/wp-json/wc/store/v1/products", listing)
    counters: Counter[str] = Counter()
    seen = read(source(store, "woocommerce"), crawled(source(store, "woocommerce"), counters))
    assert [offer["price"] for offer in seen.offers] == [None, None]
    assert counters["woocommerce/variations_unavailable"] == 1


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (Reply(status=410), NotFound),
        (Reply(body=b"<html>", headers={"Content-Type": "application/json"}), BrokenContract),
        (Reply.json({"items": []}), BrokenContract),
        (Reply.text("<html>", "text/html"), BrokenContract),
    ],
)
def test_a_page_that_fails_fails_the_crawl(loopback: Loopback, answer: Reply, failure: type):
    store = loopback.store()
    first = Reply(body=shopify_page(shopify_product(n) for n in range(1, 251)))
    store.route("/products.json", first, answer)
    with pytest.raises(failure):
        crawled(source(store))


def test_a_private_address_is_refused_unless_allowed(loopback: Loopback):
    store = loopback.store()
    serve_shopify(store, [shopify_product(1)])
    with pytest.raises(Refused, match="allow_private"):
        crawled(source(store, allow_private=False))
    assert store.requests == []


class Keeper:
    """Snapshots of one store in a folder."""

    def __init__(self, root: Path, of: Source) -> None:
        self.ledger = Ledger(root / "ledger.sqlite")
        self.ledger.sync([of], NOW)
        self.snapshots = Snapshots(self.ledger, Artifacts(str(root / "artifacts")))
        self.source = of

    def refresh(self) -> Landing:
        return run(lambda http: self.snapshots.refresh(self.source, http, QUICK, lambda: NOW))


def test_of_two_runs_over_the_same_captures_each_lands_once_and_in_order(tmp_path, monkeypatch):
    folder = tmp_path / "shop"
    folder.mkdir()
    for month in (8, 9):
        listed = shopify_page([shopify_product(n) for n in range(month)])
        (folder / f"2026-{month:02}-01.json").write_bytes(listed)
    declared = Source(key="shop", platform="shopify", location=str(folder), currency="EUR")
    keeper = Keeper(tmp_path, declared)
    real = snapshots.fetch

    async def fetched_while_a_rival_lands(*args: object) -> tuple[snapshots.Fetched, ...]:
        found = await real(*args)
        monkeypatch.undo()
        await asyncio.to_thread(keeper.refresh)
        return found

    monkeypatch.setattr(snapshots, "fetch", fetched_while_a_rival_lands)
    late = keeper.refresh()
    assert (late.outcome, late.counters["snapshots/overtaken"]) == (Outcome.UNCHANGED, 1)
    months = [(one.number, one.captured_at.month) for one in keeper.ledger.snapshots("shop")]
    assert months == [(1, 8), (2, 9)]


def test_what_did_not_change_is_asked_conditionally_and_lands_nothing(loopback, tmp_path):
    store = loopback.store()
    serve_shopify(store, [shopify_product(n) for n in range(1, 300)], etags=True)
    keeper = Keeper(tmp_path, source(store, currency="EUR"))
    assert keeper.refresh().outcome is Outcome.LANDED
    again = keeper.refresh()
    assert again.outcome is Outcome.UNCHANGED
    assert again.counters["http/not_modified"] == 2
    assert [s.number for s in keeper.ledger.snapshots("shop")] == [1]


def test_one_changed_page_lands_with_the_unchanged_ones_from_the_store_of_artifacts(
    loopback, tmp_path
):
    store = loopback.store()
    products = [shopify_product(n) for n in range(1, 300)]
    serve_shopify(store, products, etags=True)
    keeper = Keeper(tmp_path, source(store, currency="EUR"))
    keeper.refresh()
    serve_shopify(store, [*products, shopify_product(300)], etags=True)
    landing = keeper.refresh()
    assert landing.outcome is Outcome.LANDED
    assert landing.counters["http/not_modified"] == 1
    _, newest = keeper.snapshots.load("shop")
    assert sum(len(orjson.loads(body)["products"]) for _, body in newest.pages) == 300


def test_a_passing_failure_of_a_page_that_was_there_fails_the_crawl(loopback, tmp_path):
    """Without its currency, or its variations, every price would seem to change."""
    shop, woo = loopback.store(), loopback.store()
    serve_shopify(shop, [shopify_product(1)], currency="NOK")
    variation = woocommerce_product(71, type="variation", parent=7)
    serve_woocommerce(woo, [VARIABLE], [variation])
    for store, platform in ((shop, "shopify"), (woo, "woocommerce")):
        keeper = Keeper(tmp_path / platform, source(store, platform))
        keeper.refresh()
        if platform == "shopify":
            store.route("/meta.json", Reply(status=403))
        else:
            serve_woocommerce(store, [VARIABLE])

            def denied(request: Request) -> Reply:
                variations = "type" in request.query
                return Reply(status=403) if variations else Reply.json([VARIABLE])

            store.route("/wp-json/wc/store/v1/products", denied)
        with pytest.raises(Permanent):
            keeper.refresh()
        assert [s.number for s in keeper.ledger.snapshots("shop")] == [1]


def test_lost_bytes_are_fetched_again(loopback, tmp_path):
    store = loopback.store()
    serve_shopify(store, [shopify_product(1)], etags=True)
    keeper = Keeper(tmp_path, source(store, currency="EUR"))
    keeper.refresh()
    for path in (tmp_path / "artifacts").rglob("*"):
        if path.is_file():
            path.unlink()
    landing = keeper.refresh()
    assert landing.counters["artifacts/fetched_again"] >= 1
    assert keeper.snapshots.load("shop")[0].pages


def test_a_failed_fetch_lands_nothing_and_a_store_that_lists_nothing_is_a_failure(
    loopback, tmp_path
):
    store = loopback.store()
    serve_shopify(store, [shopify_product(1)])
    keeper = Keeper(tmp_path, source(store, currency="EUR"))
    keeper.refresh()
    serve_shopify(store, [])
    with pytest.raises(Transient, match="lists no product at all, where it listed some"):
        keeper.refresh()
    assert [s.number for s in keeper.ledger.snapshots("shop")] == [1]
