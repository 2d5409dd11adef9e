"""Price rules over a real warehouse: what they remember, what they read, what they refuse."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.price_alerts import Trigger
from scout_assets.domain.sources import Source
from scout_assets.domain.tables import OFFERS, PARENTS, PRODUCTS, Table
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.postgres_warehouse import PostgresWarehouse
from scout_assets.gateways.price_rules import PriceRules
from scout_assets.gateways.warehouse import Batch, Warehouse, Watermark
from scout_assets_tests.postgres import Server

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Market:
    """A store `berg` with coffees whose prices a test sets, capture by capture."""

    def __init__(self, ledger: Ledger, warehouse: Warehouse) -> None:
        self.ledger = ledger
        self.warehouse = warehouse
        self.rules = PriceRules(self.ledger, self.warehouse)
        self.snapshot = 0
        declared = {"key": "berg", "platform": "shopify", "location": "https://b.example"}
        self.ledger.sync([Source.read(declared, "test")], NOW - 30 * DAY)
        product = {"product_id": "berg/1", "parent_id": "berg/p", "external_id": "1",
                   "parent_external_id": "p", "options": "{}", "pack_count": 1,
                   "confidence": 1.0}  # fmt: skip
        self._write(PRODUCTS, product)
        page = {"parent_id": "berg/p", "external_id": "p", "title": "Kenya", "tags": [],
                "description": "", "image_urls": [], "is_coffee": True,
                "is_coffee_confidence": 1.0, "subscription": False, "varieties": [],
                "tasting_notes": [], "confidence": 1.0}  # fmt: skip
        self._write(PARENTS, page)

    def _write(self, table: Table, row: dict[str, Any], snapshot: int = 1) -> None:
        common = {"kind": "roaster", "source": "berg", "first_seen_at": NOW, "changed_at": NOW}
        arrow = table.arrow([common | row])
        self.warehouse.write(Batch(table, "roaster", arrow, {"berg": Watermark(snapshot, "1")}))

    def ask(self, price: str | None, currency: str = "EUR", available: bool = True) -> datetime:
        """The store asks this price from now on, a day after the last one."""
        self.snapshot += 1
        at = NOW + self.snapshot * DAY
        row = {
            "offer_id": f"berg/1@{self.snapshot}", "product_id": "berg/1",
            "product_external_id": "1", "snapshot": self.snapshot, "snapshot_hash": "h",
            "observed_at": at, "price": None if price is None else Decimal(price),
            "currency": currency, "available": available and price is not None,
            "change": "gone" if price is None else "price",
        }  # fmt: skip
        self._write(OFFERS, row, self.snapshot)
        return at

    def fired(self) -> list[str]:
        """Rule and capture of what an evaluation raises now."""
        told = self.rules.evaluate(NOW + 99 * DAY).fired
        return [alert.key.removeprefix("price:").replace(":berg/1", "") for alert in told]


@pytest.fixture(params=["files", "server"])
def market(request: pytest.FixtureRequest, tmp_path: Path) -> Market:
    if request.param == "files":
        warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
        return Market(Ledger(tmp_path / "ledger.sqlite"), warehouse)
    server: Server = request.getfixturevalue("postgres")
    return Market(Ledger(server.ledger()), PostgresWarehouse(server.schema()))


def watch(market: Market, trigger: Trigger, limit: str | None = None, **fields: Any) -> str:
    known = {"by": "ana", "now": NOW} | fields
    made = market.rules.watch(trigger, limit=None if limit is None else Decimal(limit), **known)
    return made.id


def test_every_source_brings_a_rule_of_its_own(market: Market):
    (rule,) = market.rules.of_sources()
    assert (rule.id, rule.says) == ("move-berg", "moved by more than 10.00 %")
    market.ask("10")
    assert market.fired() == []
    market.ask("11.50")
    market.ask("10")
    assert market.fired() == ["move-berg@2", "move-berg@3"]
    assert market.fired() == []


def test_a_rule_looks_at_the_prices_of_now_at_once_and_then_at_new_ones(market: Market):
    market.ask("9")
    market.ask("9.50")
    market.fired()
    watch(market, Trigger.BELOW, "10", currency="EUR", now=NOW + 2.5 * DAY)
    assert market.fired() == ["1@2"], "what holds now, not what was"
    assert market.fired() == []
    market.ask("9.20")
    assert market.fired() == [], "it is told already"
    market.ask("10.50")
    market.ask("9")
    assert "1@5" in market.fired(), "armed by the price in between, though nobody looked then"


def test_a_new_low_knows_the_prices_before_the_rule(market: Market):
    for price in ("8", "12", "9"):
        market.ask(price)
    watch(market, Trigger.NEW_LOW, now=NOW + 50 * DAY)
    assert "1@3" not in market.fired()
    market.ask("7")
    assert "1@4" in market.fired()


def test_another_currency_is_another_price(market: Market):
    watch(market, Trigger.NEW_LOW)
    watch(market, Trigger.BELOW, "10", currency="EUR")
    market.ask("100", "SEK")
    market.ask("9")
    market.ask("99", "SEK")
    assert market.fired() == ["2@2", "1@3"]


def test_what_vanishes_or_is_sold_out_is_no_news(market: Market):
    watch(market, Trigger.BELOW, "10", currency="EUR")
    market.ask("9", available=False)
    market.ask(None)
    assert market.fired() == []
    market.ask("9")
    assert market.fired() == ["1@3"]


def test_rules_may_be_about_a_product_its_page_or_a_source(market: Market):
    market.ask("9")
    for fields in ({"product": "berg/1"}, {"product": "berg/p"}, {"source": "berg"}):
        watch(market, Trigger.BELOW, "10", currency="EUR", **fields)
    assert market.fired() == ["1@1", "2@1", "3@1"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"by": " "}, "needs a name: --by NAME"),
        ({"source": "nobody"}, "no source 'nobody'"),
        ({"product": "berg/2"}, "no product 'berg/2'"),
        ({"currency": None}, "needs a currency"),
    ],
)
def test_a_rule_that_can_never_speak_is_refused(market: Market, fields: dict[str, Any], said: str):
    with pytest.raises(BadConfig, match=said):
        watch(market, Trigger.BELOW, "10", **({"currency": "EUR"} | fields))
    assert market.rules.rules() == ()


def test_a_rule_that_is_ended_is_silent_and_forgotten(market: Market):
    market.ask("9")
    number = int(watch(market, Trigger.BELOW, "10", currency="EUR"))
    market.fired()
    market.rules.unwatch(number, "ben", NOW)
    assert market.rules.rules() == ()
    market.ask("8")
    assert "1@2" not in market.fired()
    with pytest.raises(BadConfig, match="no price rule 1; `scout alerts rules` shows them"):
        market.rules.unwatch(number, "ben", NOW)
    again = watch(market, Trigger.BELOW, "10", currency="EUR", now=NOW + 2.5 * DAY)
    assert again == "2", "an id is never used twice: its alerts are on record"
    assert "2@2" in market.fired()


def test_an_evaluation_that_is_cut_off_is_made_again(
    market: Market, monkeypatch: pytest.MonkeyPatch
):
    market.ask("9")
    watch(market, Trigger.BELOW, "10", currency="EUR")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("scout_assets.gateways.price_rules.raise_all", killed)
        with pytest.raises(KeyboardInterrupt):
            market.fired()
    assert market.fired() == ["1@1"]


def test_an_empty_installation_has_nothing_to_say(tmp_path: Path):
    rules = PriceRules(Ledger(tmp_path / "ledger.sqlite"), DuckDbWarehouse(tmp_path / "w.duckdb"))
    found = rules.evaluate(NOW)
    assert (found.fired, found.rules, found.prices) == ((), 0, 0)
