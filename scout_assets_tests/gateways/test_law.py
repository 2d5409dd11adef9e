"""The law of the warehouse, for any sequence of captures, kills, 304s and re-runs:
the tables equal a clean replay of all stored snapshots in order."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scout_assets.domain.capture import Blacklist, Reader, store_reader
from scout_assets.domain.sources import Platform, Source
from scout_assets.domain.tables import OFFERS, PARENTS, PRODUCTS, QUARANTINE, STATS, Table
from scout_assets.gateways.artifacts import Artifacts
from scout_assets.gateways.catchup import (
    CATALOGUE_TABLES,
    CaughtUp,
    catch_up,
)
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets.gateways.http import HttpGateway, Policy
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.snapshots import Snapshots
from scout_assets.gateways.warehouse import Batch, Warehouse
from scout_assets_tests.stores import (
    shopify_page,
    shopify_product,
    shopify_variant,
    woocommerce_product,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = ("berg", "tal")

STOREFRONTS = store_reader(Blacklist())


class Installation:
    """Two stores kept as files; every step of a run can be taken, left out or repeated."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ledger = Ledger(root / "ledger.sqlite")
        self.snapshots = Snapshots(self.ledger, Artifacts(str(root / "artifacts")))
        self.warehouse = DuckDbWarehouse(root / "warehouse.duckdb")
        self.sources = [
            Source.read(
                {
                    "key": key,
                    "platform": "shopify",
                    "location": str(root / f"{key}.json"),
                    "currency": "EUR",
                },
                "test",
            )
            for key in KEYS
        ]
        self.ledger.sync(self.sources, START)
        self.hours = 0

    def store_shows(self, key: str, products: dict[int, tuple[str, bool]]) -> None:
        listed = [
            shopify_product(
                number, [shopify_variant(number * 10, price=price, available=available)]
            )
            for number, (price, available) in products.items()
        ]
        listed += ["broken"] * (len(products) % 2)
        (self.root / f"{key}.json").write_bytes(shopify_page(listed))

    def fetch(self, key: str) -> None:
        source = next(source for source in self.sources if source.key == key)
        self.hours += 1
        asyncio.run(self.snapshots.refresh(source, HttpGateway(), Policy(), self.clock))

    def clock(self) -> datetime:
        return START + timedelta(hours=self.hours)

    def plan(
        self,
        tables: Sequence[Table],
        warehouse: Warehouse | None = None,
        rewrite: bool = False,
        reader: Reader = STOREFRONTS,
    ) -> CaughtUp:
        return catch_up(
            "roaster",
            self.sources,
            tables,
            self.ledger,
            self.snapshots,
            warehouse or self.warehouse,
            reader,
            rewrite,
        )

    def write(self, caught_up: CaughtUp) -> None:
        for batch in caught_up.batches.values():
            self.warehouse.write(batch)

    def replayed(self) -> Warehouse:
        """A new warehouse from the stored snapshots, all at once."""
        clean = DuckDbWarehouse(self.root / "clean.duckdb")
        for batch in self.plan(CATALOGUE_TABLES, clean).batches.values():
            clean.write(batch)
        return clean


def rows(warehouse: Warehouse, table: Table) -> list[dict]:
    found: pa.Table = warehouse.read(table.name)
    return sorted(found.to_pylist(), key=lambda row: tuple(str(row[part]) for part in table.key))


STORE = st.dictionaries(
    st.integers(1, 3), st.tuples(st.sampled_from(["10.00", "11.00"]), st.booleans()), min_size=1
)
STEPS = st.one_of(
    st.tuples(st.just("show and fetch"), st.sampled_from(KEYS), STORE),
    st.tuples(st.just("fetch again"), st.sampled_from(KEYS), st.none()),
    st.tuples(st.just("run"), st.none(), st.none()),
    st.tuples(st.just("prices only"), st.none(), st.none()),
    st.tuples(st.just("killed between tables"), st.none(), st.none()),
    st.tuples(st.just("slow rival writes later"), st.none(), st.none()),
)


@given(st.lists(STEPS, max_size=9))
@settings(max_examples=10)
def test_tables_equal_a_clean_replay(steps):
    assert_law(steps)


@pytest.mark.soak
@given(st.lists(STEPS, max_size=25))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_tables_equal_a_clean_replay_at_length(steps):
    assert_law(steps)


def assert_law(steps) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Installation(Path(folder))
        for key in KEYS:
            here.store_shows(key, {1: ("10.00", True)})
            here.fetch(key)
        late: list[CaughtUp] = []
        for step, key, store in steps:
            take(here, step, key, store, late)
        for caught_up in late:
            here.write(caught_up)
        here.write(here.plan(CATALOGUE_TABLES))
        clean = here.replayed()
        for table in (PARENTS, PRODUCTS, OFFERS, QUARANTINE):
            assert rows(here.warehouse, table) == rows(clean, table)


def take(
    here: Installation,
    step: str,
    key: str | None,
    store: dict[int, tuple[str, bool]] | None,
    late: list[CaughtUp],
) -> None:
    if key is not None:
        if store is not None:
            here.store_shows(key, store)
        here.fetch(key)
    elif step == "run":
        here.write(here.plan(CATALOGUE_TABLES))
    elif step == "prices only":
        here.write(here.plan([OFFERS]))
    elif step == "killed between tables":
        here.warehouse.write(here.plan(CATALOGUE_TABLES).batches["offers"])
    else:
        late.append(here.plan(CATALOGUE_TABLES))


def assert_settled(here: Installation) -> None:
    """After one more run the tables equal a clean replay."""
    here.write(here.plan(CATALOGUE_TABLES))
    clean = here.replayed()
    for table in CATALOGUE_TABLES:
        assert rows(here.warehouse, table) == rows(clean, table)


def begun(root: Path) -> Installation:
    here = Installation(root)
    here.store_shows("berg", {1: ("10.00", True)})
    here.fetch("berg")
    here.write(here.plan(CATALOGUE_TABLES))
    return here


def test_a_snapshot_that_lands_while_a_run_folds_waits_for_the_next(tmp_path, monkeypatch):
    here = begun(tmp_path)
    here.store_shows("berg", {1: ("11.00", True)})
    here.fetch("berg")
    load = here.snapshots.load

    def land_meanwhile(source: str, after: int = 0, upto: int | None = None):
        monkeypatch.undo()
        here.store_shows("berg", {1: ("12.00", True)})
        here.fetch("berg")
        return load(source, after, upto)

    monkeypatch.setattr(here.snapshots, "load", land_meanwhile)
    here.write(here.plan(CATALOGUE_TABLES))
    assert_settled(here)


def test_a_rival_that_writes_while_a_run_plans_does_no_harm(tmp_path, monkeypatch):
    here = begun(tmp_path)
    for price in ("5.00", "6.00"):
        here.store_shows("berg", {1: (price, True)})
        here.fetch("berg")
    rival = DuckDbWarehouse(here.warehouse.path)
    watermarks = here.warehouse.watermarks

    def write_meanwhile(table: Table, kind: str):
        marks = watermarks(table, kind)
        monkeypatch.undo()
        for batch in here.plan(CATALOGUE_TABLES, rival).batches.values():
            rival.write(batch)
        return marks

    monkeypatch.setattr(here.warehouse, "watermarks", write_meanwhile)
    here.write(here.plan(CATALOGUE_TABLES))
    assert_settled(here)


def test_a_changed_currency_is_applied_to_all_that_was_seen(tmp_path: Path):
    here = begun(tmp_path)
    here.sources = [s.model_copy(update={"currency": "NOK"}) for s in here.sources]
    here.write(here.plan(CATALOGUE_TABLES))
    assert {row["currency"] for row in rows(here.warehouse, OFFERS)} == {"NOK"}
    assert_settled(here)


def test_a_store_that_moved_to_other_software_keeps_its_history(tmp_path: Path):
    here = begun(tmp_path)
    moved = here.sources[0].model_copy(update={"platform": Platform.WOOCOMMERCE})
    here.sources[0] = moved
    (tmp_path / "berg.json").write_bytes(orjson.dumps([woocommerce_product(9)]))
    here.fetch("berg")
    assert_settled(here)
    listed = {row["external_id"]: row["gone_at"] is None for row in rows(here.warehouse, PARENTS)}
    assert listed == {"1": False, "9": True}


def test_a_rewrite_is_noticed_by_what_derives_from_it(tmp_path: Path):
    here = begun(tmp_path)
    due = here.warehouse.behind(STATS, "roaster", KEYS, "1", [OFFERS])
    here.warehouse.write(Batch(STATS, "roaster", STATS.arrow([]), due))
    assert here.warehouse.behind(STATS, "roaster", KEYS, "1", [OFFERS]) == {}
    here.write(here.plan(CATALOGUE_TABLES, rewrite=True))
    assert list(here.warehouse.behind(STATS, "roaster", KEYS, "1", [OFFERS])) == ["berg"]


def test_history_of_one_store_reads_as_it_happened(tmp_path: Path):
    here = Installation(tmp_path)
    for store in (
        {1: ("10.00", True), 2: ("5.00", True)},
        {1: ("12.00", True)},
        {1: ("12.00", False), 2: ("5.00", True)},
    ):
        here.store_shows("berg", store)
        here.fetch("berg")
        here.write(here.plan(CATALOGUE_TABLES))
    told = [(o["product_id"], o["change"], o["snapshot"]) for o in rows(here.warehouse, OFFERS)]
    assert told == [
        ("berg/10", "new", 1),
        ("berg/10", "price", 2),
        ("berg/10", "availability", 3),
        ("berg/20", "new", 1),
        ("berg/20", "gone", 2),
        ("berg/20", "back", 3),
    ]


def test_unchanged_content_is_not_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    here = Installation(tmp_path)
    here.store_shows("berg", {1: ("10.00", True)})
    here.fetch("berg")
    here.write(here.plan(CATALOGUE_TABLES))
    here.fetch("berg")
    again = here.plan(CATALOGUE_TABLES)
    assert again.counters["berg"] == {"slices/unchanged": 1}
    assert all(batch.rows.num_rows == 0 for batch in again.batches.values())


def test_other_code_folds_all_snapshots_anew_but_leaves_history(tmp_path: Path):
    here = Installation(tmp_path)
    for price in ("10.00", "11.00"):
        here.store_shows("berg", {1: (price, True)})
        here.fetch("berg")
        here.write(here.plan(CATALOGUE_TABLES))
    before = rows(here.warehouse, OFFERS)
    renewed = here.plan(CATALOGUE_TABLES, reader=replace(STOREFRONTS, version="next"))
    assert renewed.batches["products"].rows.num_rows == 1
    here.write(renewed)
    assert rows(here.warehouse, OFFERS) == before
    assert here.warehouse.watermarks(PRODUCTS, "roaster")["berg"].version == "next/EUR"


def test_a_snapshot_no_longer_readable_is_one_row_of_quarantine(tmp_path: Path, monkeypatch):
    here = Installation(tmp_path)
    here.store_shows("berg", {1: ("10.00", True)})
    here.fetch("berg")
    here.write(here.plan(CATALOGUE_TABLES))
    # A later parser may refuse what an earlier one let in.
    monkeypatch.setattr("scout_assets.gateways.snapshots.page_items", lambda *_: 1)
    (tmp_path / "berg.json").write_bytes(b'{"something": "else"}')
    here.fetch("berg")
    here.write(here.plan(CATALOGUE_TABLES))
    (bad,) = rows(here.warehouse, QUARANTINE)
    assert (bad["place"], bad["snapshot"]) == ("whole snapshot", 2)
    assert [row["product_id"] for row in rows(here.warehouse, PRODUCTS)] == ["berg/10"]
