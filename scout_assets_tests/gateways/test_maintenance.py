"""Cleaning: what nobody needs goes, what derives from it notices, and the law still holds."""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from scout_assets.domain import quality
from scout_assets.domain.catalogue import Kind
from scout_assets.domain.control import Mode
from scout_assets.domain.failures import BadConfig, Critical
from scout_assets.domain.tables import (
    EMBEDDINGS,
    OFFERS,
    PARENTS,
    PRODUCTS,
    QUARANTINE,
    SEARCH_DOCUMENTS,
    STATS,
    TABLES,
)
from scout_assets.gateways.catchup import CATALOGUE_TABLES, catch_up
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets.gateways.home import Home
from scout_assets.gateways.maintenance import STEPS, Cleaned, clean
from scout_assets.gateways.moving import move
from scout_assets.gateways.readers import reader_of
from scout_assets.gateways.warehouse import Batch, Warehouse, Watermark
from scout_assets_tests.gateways.test_warehouse import bad_rows, offer
from scout_assets_tests.postgres import Server
from scout_assets_tests.supplies import ACME, Installation, coffees, csv_list

DECAF, DECAF_PRODUCT = "berg/4", "berg/41"


@pytest.fixture(scope="module")
def stood(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A roaster and a supplier, matched; a coffee and an item have just vanished."""
    here = Installation(tmp_path_factory.mktemp("stood"))
    here.supplier("acme", csv_list())
    show(here, coffees())
    here.run()
    here.supplier("acme", csv_list(ACME[:3]))
    show(here, [*coffees()[:3], "broken"])
    here.run()
    return here


def show(here: Installation, products: Sequence[object]) -> None:
    """What the store lists now; a file is of the time it was written at."""
    here.store(products)
    for path in here.root.glob("*.*"):
        os.utime(path, (here.now.timestamp(), here.now.timestamp()))


@pytest.fixture
def here(stood: Installation, tmp_path: Path) -> Installation:
    return stood.copied(tmp_path)


@pytest.fixture(params=["files", "server"])
def anywhere(request: pytest.FixtureRequest, here: Installation) -> Installation:
    """The same installation on either engine."""
    if request.param == "server":
        server: Server = request.getfixturevalue("postgres")
        here.home.control.switch(Mode.MANUAL, "ana", "moving house", here.now)
        move(here.home, address := server.database(), lambda _: None)
        here.__dict__["home"] = Home.locate(
            {"SCOUT_DATABASE": address},
            str(here.root / "home"),
            str(here.root / "sources.yaml"),
        )
    return here


def cleaned(here: Installation, step: str, dry_run: bool = False) -> Cleaned:
    (one,) = clean(here.home, here.now, [step], dry_run)
    assert one.failure is None, one.failure
    return one


def ids(here: Installation, table: str) -> set[str]:
    return {row[TABLES[table].key[-1]] for row in here.rows(table)}


# What vanished


def test_what_vanished_goes_after_thirty_days_and_its_offers_stay(anywhere: Installation):
    anywhere.pass_time(days=29)
    assert cleaned(anywhere, "vanished").removed == 0
    anywhere.pass_time(days=1)
    gone = cleaned(anywhere, "vanished")
    assert gone.counts == {"products": 1, "parents": 1, "supplier_items": 1}
    assert gone.examples == [
        f"products {DECAF_PRODUCT}",
        f"parents {DECAF}",
        "supplier_items acme/A-4",
    ]
    assert DECAF not in ids(anywhere, "parents")
    history = [row for row in anywhere.rows("price_history") if row["product_id"] == DECAF_PRODUCT]
    assert sorted(row["change"] for row in history) == ["gone", "new"]
    assert {row["title"] for row in history} == {None}, "known by its id only"
    assert quality.orphans(anywhere.rows("products"), anywhere.rows("parents")) == []
    assert cleaned(anywhere, "vanished").removed == 0


def test_a_preview_reports_the_same_and_changes_nothing(anywhere: Installation):
    anywhere.pass_time(days=30)
    before = {name: anywhere.rows(name) for name in TABLES}
    marks = anywhere.home.warehouse.watermarks(PRODUCTS, Kind.ROASTER)
    told = cleaned(anywhere, "vanished", dry_run=True)
    assert {name: anywhere.rows(name) for name in TABLES} == before
    assert anywhere.home.warehouse.watermarks(PRODUCTS, Kind.ROASTER) == marks
    assert cleaned(anywhere, "vanished") == told


def test_what_derives_from_the_rows_notices(here: Installation):
    warehouse = here.home.warehouse

    def behind() -> list[str]:
        inputs = [PARENTS, PRODUCTS, OFFERS]
        return sorted(warehouse.behind(STATS, Kind.ROASTER, ["berg"], "1", inputs))

    due = warehouse.behind(STATS, Kind.ROASTER, ["berg"], "1", [PARENTS, PRODUCTS, OFFERS])
    warehouse.write(Batch(STATS, Kind.ROASTER, STATS.arrow([]), due))
    assert behind() == []
    assert here.match().matches.watermarks == {}
    here.pass_time(days=30)
    slices = cleaned(here, "vanished").slices
    assert slices == [
        ("parents", "roaster", "berg"),
        ("products", "roaster", "berg"),
        ("supplier_items", "supplier", "acme"),
    ]
    assert behind() == ["berg"]
    assert list(here.match().matches.watermarks) == ["acme"]
    assert cleaned(here, "vanished").slices == []
    assert here.match().matches.watermarks == {}, "noticed once"


def test_a_parent_stays_as_long_as_a_product_of_it(here: Installation):
    here.pass_time(days=30)
    with here.home.warehouse.writing() as db:
        db.execute(
            "UPDATE products SET gone_at = ? WHERE product_id = ?", [here.now, DECAF_PRODUCT]
        )
    assert cleaned(here, "vanished").counts == {"supplier_items": 1}
    assert DECAF in ids(here, "parents")


def replayed(here: Installation) -> Warehouse:
    """A warehouse made of all stored snapshots at once."""
    clean_one = DuckDbWarehouse(here.root / "clean.duckdb")
    clean_one.path.unlink(missing_ok=True)
    read_with(here, clean_one)
    return clean_one


def read_with(here: Installation, warehouse: Warehouse, code: str = "") -> None:
    """Catch up with the lane's code, or with another version of it."""
    reader = reader_of(Kind.ROASTER, here.home)
    found = catch_up(
        Kind.ROASTER, [here.declared["berg"]], CATALOGUE_TABLES, here.home.ledger,
        here.home.snapshots, warehouse, replace(reader, version=code or reader.version),
    )  # fmt: skip
    for batch in found.batches.values():
        warehouse.write(batch)


@pytest.mark.parametrize("listed", [coffees()[:2], coffees()], ids=["stays away", "returns"])
def test_after_the_next_capture_the_tables_equal_a_clean_replay(
    here: Installation, listed: Sequence[object]
):
    here.pass_time(days=40)
    cleaned(here, "vanished")
    show(here, listed)
    here.fetch("berg")
    here.read(Kind.ROASTER)
    anew = replayed(here)
    for table in CATALOGUE_TABLES:
        rows = sorted(map(str, anew.read(table.name).to_pylist()))
        mine = here.home.warehouse.read(table.name, Kind.ROASTER).to_pylist()
        assert sorted(map(str, mine)) == rows, table.name


def test_what_a_replay_by_other_code_brings_back_goes_again(here: Installation):
    here.pass_time(days=40)
    assert cleaned(here, "vanished").counts["products"] == 1
    for code in ("next", "the one after"):
        read_with(here, here.home.warehouse, code)
        assert DECAF in ids(here, "parents")
        assert cleaned(here, "vanished").counts == {"products": 1, "parents": 1}
        assert cleaned(here, "vanished").removed == 0
        read_with(here, here.home.warehouse, code)
        assert DECAF not in ids(here, "parents"), "the same code does not replay again"


# Orphans and quarantine


def test_rows_of_a_source_the_ledger_does_not_know_are_orphans(anywhere: Installation):
    warehouse, mark = anywhere.home.warehouse, {"nobody": Watermark(1, "1")}
    for table, row in ((OFFERS, offer(1)), *((QUARANTINE, row) for row in bad_rows("a", "1"))):
        strange = table.arrow([row | {"source": "nobody"}])
        warehouse.write(Batch(table, "roaster", strange, mark))
    before = {name: anywhere.rows(name) for name in TABLES if name not in ("offers", "quarantine")}
    assert cleaned(anywhere, "orphans").counts == {"offers": 1, "quarantine": 1}
    assert {name: anywhere.rows(name) for name in before} == before
    assert "nobody" not in anywhere.home.warehouse.watermarks(OFFERS, Kind.ROASTER)


def test_derived_rows_of_what_is_not_there_are_orphans(anywhere: Installation):
    for table, keys in (
        (SEARCH_DOCUMENTS, ({"parent_id": "berg/1"}, {"parent_id": "berg/99"})),
        (EMBEDDINGS, ({"source": "berg"}, {"source": "no_catalogue"})),
    ):
        common = {"kind": "roaster", "source": "berg", "text": "", "text_hash": "x", "model": "m"}
        rows = [common | {"vector": [1.0]} | key for key in keys]
        marks = {str(row["source"]): Watermark(1, "1") for row in rows}
        anywhere.home.warehouse.write(Batch(table, "roaster", table.arrow(rows), marks))
    anywhere.declare("no_catalogue", "shopify", "berg.json")
    with anywhere.home.warehouse.writing() as db:
        db.execute("DELETE FROM supplier_items WHERE item_id = 'acme/A-1'")
    gone = cleaned(anywhere, "orphans")
    assert gone.counts == {"search_documents": 1, "embeddings": 1, "matches": 1}
    assert "search_documents berg/99" in gone.examples
    assert ids(anywhere, "search_documents") == {"berg/1"}


def test_best_prices_of_products_and_drafts_stay_while_these_do(here: Installation):
    before = here.rows("best_prices")
    assert before
    assert cleaned(here, "orphans").removed == 0
    with here.home.warehouse.writing() as db:
        db.execute("DELETE FROM products")
        db.execute("DELETE FROM drafts")
    assert cleaned(here, "orphans").counts == {"best_prices": len(before)}


def test_a_ledger_that_knows_nothing_makes_nothing_an_orphan(here: Installation):
    before = {name: here.rows(name) for name in TABLES}
    here.home.ledger.path.rename(here.root / "lost.sqlite")
    del here.home.__dict__["ledger"]
    for one in clean(here.home, here.now + timedelta(days=1), ["orphans", "artifacts"]):
        assert (one.failure, one.removed) == (None, 0)
    assert {name: here.rows(name) for name in TABLES} == before


def test_unreadable_rows_of_a_retired_source_go_after_thirty_days_and_come_with_it(
    here: Installation,
):
    (bad,) = here.rows("quarantine")
    here.pass_time(days=31)
    assert cleaned(here, "quarantine").removed == 0, "it is active: somebody may mend it"
    here.home.ledger.retire("berg", here.now)
    here.pass_time(days=29)
    assert cleaned(here, "quarantine").removed == 0
    here.pass_time(days=1)
    assert cleaned(here, "quarantine").counts == {"quarantine": 1}
    assert here.rows("quarantine") == []
    assert cleaned(here, "quarantine").removed == 0
    here.home.ledger.revive("berg", here.now)
    here.read(Kind.ROASTER)
    assert here.rows("quarantine") == [bad]


# Jobs, artifacts, space


def test_artifacts_of_snapshots_stay_and_others_go(here: Installation):
    used = here.home.artifacts.stored()
    stray = here.home.artifacts.put(b"of a fetch that was killed")
    assert used
    for path in (here.root / "home" / "artifacts").rglob("*"):
        os.utime(path, (0, 0))
    fresh = here.home.artifacts.put(b"of a fetch that is about to land it")
    assert cleaned(here, "artifacts").examples == [stray]
    assert here.home.artifacts.stored() == {*used, fresh}


def test_what_the_service_found_stays_with_its_job(here: Installation, monkeypatch):
    result = here.home.artifacts.put(b"[]")
    monkeypatch.setattr(type(here.home.courier), "results", lambda _: {result})
    for path in (here.root / "home" / "artifacts").rglob("*"):
        os.utime(path, (0, 0))
    assert cleaned(here, "artifacts").removed == 0


def test_old_failed_jobs_go(here: Installation, monkeypatch):
    monkeypatch.setenv("ML_ANALYZE_URL", "http://127.0.0.1:1")
    for body in (b"a;b\n1;2\n", b"a;b\n3;4\n"):
        job = asyncio.run(here.home.courier.start("acme", "list.csv", body, Counter()))
        with here.home.ledger.session() as session:
            session.connection().exec_driver_sql("UPDATE jobs SET phase = 'failed'")
    assert cleaned(here, "tasks").removed == 0
    here.now = job.changed_at + timedelta(days=7)
    assert cleaned(here, "tasks", dry_run=True).removed == 1
    assert cleaned(here, "tasks").removed == 1
    assert [left.job_id for left in here.home.courier.jobs()] == [job.job_id], "its newest stays"


def fill(here: Installation) -> None:
    """Much that goes again, in both files."""
    with here.home.warehouse.writing() as db:
        db.execute(
            "INSERT INTO quarantine (kind, source, reason) "
            "SELECT 'roaster', 'berg', md5(i::VARCHAR) || md5((i + 1)::VARCHAR) "
            "FROM range(200_000) numbers(i)"
        )
    with here.home.warehouse.writing() as db:
        db.execute("DELETE FROM quarantine WHERE snapshot IS NULL")
    with here.home.ledger.session() as session:
        run = session.connection().exec_driver_sql
        run("CREATE TABLE filler (text)")
        run("INSERT INTO filler VALUES (hex(randomblob(2000000)))")
        run("DROP TABLE filler")


def test_files_of_which_most_is_free_are_written_anew(here: Installation):
    fill(here)
    files = (here.home.warehouse.path, here.home.ledger.path)
    before = [path.stat().st_size for path in files]
    rows = {name: here.rows(name) for name in (*TABLES, "price_history")}
    told = cleaned(here, "space", dry_run=True)
    assert [path.stat().st_size for path in files] == before
    won = cleaned(here, "space")
    assert told.examples == won.examples == ["warehouse", "ledger"]
    assert won.size > 4_000_000
    assert all(path.stat().st_size < size / 2 for path, size in zip(files, before, strict=True))
    assert {name: here.rows(name) for name in rows} == rows
    assert [s.source.key for s in here.home.ledger.sources()] == ["acme", "berg"]
    assert cleaned(here, "space").size == 0


def test_what_a_killed_cleaning_left_beside_is_overwritten(here: Installation):
    fill(here)
    left = here.home.warehouse.path.with_name("warehouse.duckdb.smaller")
    left.write_bytes(b"half written")
    rows = here.rows("parents")
    assert cleaned(here, "space").size > 0
    assert here.rows("parents") == rows
    assert not left.exists()


def test_a_journal_of_a_killed_writer_is_folded_in(here: Installation):
    assert here.home.ledger.path.with_name("ledger.sqlite-wal").stat().st_size > 0
    cleaned(here, "space")
    assert here.home.ledger.path.with_name("ledger.sqlite-wal").stat().st_size == 0


# Steps


def test_a_step_that_fails_says_so_and_stops_no_other(here: Installation):
    here.home.warehouse.path.write_bytes(b"no database" * 1000)
    found = {one.step: one for one in clean(here.home, here.now)}
    assert list(found) == list(STEPS)
    failed = {name for name, one in found.items() if one.failure is not None}
    assert failed == {"vanished", "orphans", "quarantine", "space"}
    assert isinstance(found["vanished"].failure, Critical)
    assert "warehouse.duckdb" in str(found["vanished"].failure)


def test_an_unknown_step_is_refused_before_any_is_taken(here: Installation):
    with pytest.raises(BadConfig, match="no step everything; there are vanished, orphans"):
        clean(here.home, here.now, ["vanished", "everything"])


def test_a_new_installation_is_clean_and_gets_no_warehouse_by_it(tmp_path: Path):
    here = Installation(tmp_path)
    assert [one.removed for one in clean(here.home, here.now)] == [0] * len(STEPS)
    assert not here.home.warehouse.path.exists()


def test_only_the_last_snapshots_bad_rows_are_in_quarantine(here: Installation):
    assert QUARANTINE.mode == "replace", "why nothing of it grows old but that of retired sources"
    assert {row["snapshot"] for row in here.rows("quarantine")} == {2}
