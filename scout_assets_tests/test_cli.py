"""The `scout` command as a person uses it, on homes of its own."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from scout_assets.cli.app import app
from scout_assets_tests.loopback import Loopback, Reply
from scout_assets_tests.stores import (
    serve_shopify,
    serve_woocommerce,
    shopify_page,
    shopify_product,
    shopify_variant,
    woocommerce_product,
)

SOURCES = """
sources:
  - {key: berg, platform: shopify, location: stores/berg, currency: EUR}
  - {key: tal, platform: woocommerce, location: "https://tal.example"}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with two declared sources."""
    (tmp_path / "sources.yaml").write_text(SOURCES)
    for name in ("SCOUT_HOME", "SCOUT_SOURCES", "SCOUT_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scout(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def told(*words: str) -> object:
    result = scout(*words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_sync_takes_the_declared_sources_over(place):
    assert "2 added" in scout("sources", "sync").stdout
    assert "2 unchanged" in scout("sources", "sync").stdout
    listed = told("sources", "list", "--json")
    assert [(s["key"], s["kind"], s["state"]) for s in listed] == [
        ("berg", "roaster", "active"),
        ("tal", "roaster", "active"),
    ]
    seed_fields = {
        "full_cadence",
        "price_cadence",
        "default_concurrency",
        "use_firecrawl_fallback",
        "firecrawl_budget_limit",
        "use_llm",
        "alert_price_delta_pct",
        "last_etag",
        "last_modified",
    }
    assert seed_fields <= listed[0].keys()
    assert "berg" in scout("sources", "list").stdout


def test_a_broken_list_retires_nothing_and_names_the_field(place):
    scout("sources", "sync")
    (place / "sources.yaml").write_text(SOURCES.replace("EUR", "euros"))
    result = scout("sources", "sync")
    assert result.exit_code == 1
    assert "source 'berg', field 'currency'" in result.stderr
    assert [s["state"] for s in told("sources", "list", "--json")] == ["active", "active"]


def test_add_and_retire_by_hand(place):
    added = scout(
        "sources", "add", "mine", "shopify", "https://mine.example", "--set", "currency=NOK"
    )
    assert added.exit_code == 0, added.output
    scout("sources", "sync")
    mine = next(s for s in told("sources", "list", "--json") if s["key"] == "mine")
    assert (mine["currency"], mine["origin"], mine["state"]) == ("NOK", "cli", "active")
    assert scout("sources", "retire", "mine").exit_code == 0
    states = {s["key"]: s["state"] for s in told("sources", "list", "--json")}
    assert states == {"berg": "active", "mine": "retired", "tal": "active"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sources", "add", "No Slug", "shopify", "x"), "field 'key'"),
        (("sources", "add", "a", "shopify", "x", "--set", "use_llm"), "expected field=value"),
        (("sources", "add", "a", "shopify", "x", "--set", "colour=red"), "field 'colour'"),
        (("sources", "retire", "nobody"), "no source 'nobody'"),
        (("try", "shopify", "missing.json"), "there is nothing at"),
        (("try", "shopify", "http://127.0.0.1:1/"), "allow"),
        (("summary",), "nothing has landed yet"),
        (("search", "coffee"), "materialise"),
    ],
)
def test_what_is_wrong_is_explained_without_a_traceback(place, words, said):
    result = scout(*words)
    assert result.exit_code == 1
    assert said in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.output


def capture(place: Path) -> Path:
    path = place / "capture.json"
    products = [
        shopify_product(1, [shopify_variant(11, "12.50"), shopify_variant(12, "abc")]),
        shopify_product(2, title="Gift card", product_type="Gift card", body_html="", tags=[]),
        "not a product",
    ]
    path.write_bytes(shopify_page(products))
    return path


def test_try_shows_what_a_source_would_give_and_stores_nothing(place):
    seen = told("try", "shopify", str(capture(place)), "--format", "json", "--currency", "EUR")
    assert {"kind", "source", "counters", "parents", "products", "offers", "quarantine"} == set(
        seen
    )
    assert seen["kind"] == "shopify"
    coffee, gift = seen["parents"]
    assert (coffee["external_id"], coffee["is_coffee"], coffee["process"]) == ("1", True, "washed")
    assert coffee["tasting_notes"] == ["plum", "cocoa"]
    assert coffee["species"] is None, "the page does not say"
    assert not gift["is_coffee"]
    product = seen["products"][0]
    assert (product["external_id"], product["parent_external_id"]) == ("11", "1")
    assert (product["net_weight_g"], product["pack_count"], product["grind"]) == (250, 1, "whole")
    priced = {"product_external_id": "11", "price": "12.50", "currency": "EUR"}
    assert seen["offers"][0] | priced == (seen["offers"][0])
    assert len(seen["quarantine"]) == 2
    assert not (place / ".scout").exists()


def test_try_prints_tables_by_default(place):
    result = scout("try", "shopify", str(capture(place)))
    assert result.exit_code == 0, result.output
    for expected in ("Coffee number 1", "12.5", "Quarantine", "rows/quarantined"):
        assert expected in result.stdout


def test_try_reads_a_store_by_its_address(place, loopback: Loopback):
    shop, woo = loopback.store(), loopback.store()
    serve_shopify(shop, [shopify_product(1)], currency="NOK")
    serve_woocommerce(woo, [woocommerce_product(1)])
    for kind, store, currency in (("shopify", shop, "NOK"), ("woocommerce", woo, "EUR")):
        seen = told("try", kind, store.url(), "--allow-private", "--format", "json")
        assert [offer["currency"] for offer in seen["offers"]] == [currency]
        assert seen["counters"]["http/ok"] > 0


def test_try_explains_a_store_that_is_not_there(place, loopback: Loopback):
    store = loopback.store()
    store.route("/products.json", Reply(status=404))
    result = scout("try", "shopify", store.url(), "--allow-private")
    assert result.exit_code == 1
    assert "404" in result.stderr


def test_a_field_of_a_source_is_set_over_its_list_and_taken_back(place):
    scout("sources", "add", "berg", "shopify", "https://berg.example")
    assert scout("sources", "set", "berg", "price_cadence=@daily", "--by", "ana").exit_code == 0
    (berg,) = json.loads(scout("sources", "list", "--json").stdout)
    assert (berg["price_cadence"], berg["overrides"]) == ("@daily", {"price_cadence": "@daily"})
    assert "not a cron expression" in scout("sources", "set", "berg", "price_cadence=soon").stderr
    assert scout("sources", "unset", "berg", "price_cadence").exit_code == 0
    (berg,) = json.loads(scout("sources", "list", "--json").stdout)
    assert (berg["price_cadence"], berg["overrides"]) == ("0 4 * * 0", {})
