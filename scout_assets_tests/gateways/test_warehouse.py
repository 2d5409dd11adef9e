"""The warehouse on each engine: slices in one transaction, watermarks that never move back."""

import multiprocessing
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from scout_assets.domain.failures import BadConfig, Critical
from scout_assets.domain.tables import OFFERS, QUARANTINE, TABLES
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets.gateways.postgres_warehouse import PostgresWarehouse
from scout_assets.gateways.warehouse import Batch, Warehouse, Watermark
from scout_assets.gateways.warehouse_views import VIEWS

WHEN = datetime(2026, 9, 7, 8, 30, 0, 123456, tzinfo=UTC)


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    if request.param == "duckdb":
        return DuckDbWarehouse(tmp_path / "warehouse.duckdb", wait_seconds=20)
    return PostgresWarehouse(request.getfixturevalue("postgres_schema"), wait_seconds=20)


def reopened(warehouse: Warehouse) -> Warehouse:
    """As another process opens it."""
    if isinstance(warehouse, DuckDbWarehouse):
        return DuckDbWarehouse(warehouse.path, warehouse.wait_seconds)
    assert isinstance(warehouse, PostgresWarehouse)
    return PostgresWarehouse(warehouse.server, warehouse.wait_seconds)


def bad_rows(source: str, *places: str, snapshot: int = 1) -> list[dict]:
    return [
        {
            "kind": "roaster",
            "source": source,
            "snapshot": snapshot,
            "place": place,
            "reason": "broken",
            "row": "{}",
        }
        for place in places
    ]


def batch(rows: Iterable[dict], version: str = "1", generation: int = 0, **marks: int) -> Batch:
    watermarks = {s: Watermark(number, version, generation) for s, number in marks.items()}
    return Batch(QUARANTINE, "roaster", QUARANTINE.arrow(rows), watermarks)


def offer(number: int, price: str | None = "12.5", product: str = "a/1") -> dict:
    return {
        "kind": "roaster",
        "source": "a",
        "offer_id": f"{product}@{number}",
        "product_id": product,
        "product_external_id": "1",
        "snapshot": number,
        "snapshot_hash": "x",
        "observed_at": WHEN.replace(day=number),
        "price": None if price is None else Decimal(price),
        "price_raw": price,
        "compare_at_price": None,
        "currency": "EUR",
        "available": True,
        "unit_price_100g": Decimal("5.0001"),
        "change": "price",
    }


def offers(*rows: dict, upto: int, generation: int = 0) -> Batch:
    marks = {"a": Watermark(upto, "1", generation)}
    rewritten = frozenset(marks if generation else ())
    return Batch(OFFERS, "roaster", OFFERS.arrow(rows), marks, rewritten)


def places(warehouse: Warehouse, *sources: str) -> list[str]:
    rows = warehouse.read("quarantine", "roaster", list(sources) or None).to_pylist()
    return sorted(f"{row['source']}:{row['place']}" for row in rows)


def test_a_warehouse_that_was_never_written_reads_as_empty_tables(warehouse):
    for name, table in TABLES.items():
        assert warehouse.read(name).schema == table.schema
        assert warehouse.read(name).num_rows == 0
    for view in VIEWS:
        assert warehouse.read(view).num_rows == 0


def test_values_come_back_exactly(warehouse):
    warehouse.write(offers(offer(1), upto=1))
    (row,) = warehouse.read("offers").to_pylist()
    assert row == offer(1)
    assert row["observed_at"].tzinfo is not None
    assert isinstance(row["price"], Decimal)


def test_texts_come_back_without_the_one_character_that_not_every_engine_keeps(warehouse):
    warehouse.write(offers(offer(1) | {"price_raw": "12\0.5 \N{OWL}"}, offer(2), upto=2))
    assert [row["price_raw"] for row in warehouse.read("offers").to_pylist()] == ["12.5 🦉", "12.5"]


def test_a_slice_replaces_the_one_before_and_leaves_other_sources_alone(warehouse):
    warehouse.write(batch(bad_rows("a", "1", "2") + bad_rows("b", "1"), a=1, b=1))
    written = warehouse.write(batch(bad_rows("a", "3"), a=2))
    assert (written.rows, written.sources, written.superseded) == (1, ("a",), ())
    assert places(warehouse) == ["a:3", "b:1"]


def test_an_empty_slice_empties(warehouse):
    warehouse.write(batch(bad_rows("a", "1"), a=1))
    warehouse.write(batch([], a=2))
    assert places(warehouse) == []


def test_a_slice_never_moves_back(warehouse):
    warehouse.write(batch(bad_rows("a", "new"), a=5))
    written = warehouse.write(batch(bad_rows("a", "old") + bad_rows("b", "1"), a=4, b=1))
    assert written.superseded == ("a",)
    assert places(warehouse) == ["a:new", "b:1"]


def test_the_same_snapshot_again_changes_nothing_unless_the_code_is_new(warehouse):
    warehouse.write(batch(bad_rows("a", "1"), a=5))
    assert warehouse.write(batch(bad_rows("a", "again"), a=5)).superseded == ("a",)
    assert warehouse.write(batch(bad_rows("a", "better"), a=5, version="2")).sources == ("a",)
    assert places(warehouse) == ["a:better"]


def test_a_new_generation_replaces_the_same_snapshot_but_not_a_later_one(warehouse):
    warehouse.write(batch(bad_rows("a", "1"), a=5))
    warehouse.write(batch(bad_rows("a", "mended"), a=5, generation=1))
    assert places(warehouse) == ["a:mended"]
    warehouse.write(batch(bad_rows("a", "older"), a=4, generation=2))
    assert places(warehouse) == ["a:mended"]


def test_appending_keeps_history_and_repeats_nothing(warehouse):
    warehouse.write(offers(offer(1), upto=1))
    late_twin = offers(offer(1), offer(2, "13"), upto=2)
    assert warehouse.write(late_twin).rows == 1
    assert [row["snapshot"] for row in warehouse.read("offers").to_pylist()] == [1, 2]


def test_rewriting_history_is_possible_when_asked_for(warehouse):
    warehouse.write(offers(offer(1), offer(2, "13"), upto=2))
    warehouse.write(offers(offer(1, "12"), upto=2, generation=1))
    assert [row["price"] for row in warehouse.read("offers").to_pylist()] == [Decimal(12)]


def test_rows_with_the_same_key_are_found_or_refused(warehouse):
    assert warehouse.duplicates(OFFERS, "roaster", ["a"]) == []
    if isinstance(warehouse, PostgresWarehouse):
        with pytest.raises(Critical, match="break a key"):
            warehouse.write(offers(offer(1), offer(1), upto=1))
        return
    warehouse.write(offers(offer(1), offer(1), upto=1))
    assert warehouse.duplicates(OFFERS, "roaster", ["a"]) == [
        {"source": "a", "key": "a/1@1", "rows": 2}
    ]


def test_price_history_shows_each_price_with_the_one_before(warehouse):
    warehouse.write(offers(offer(1, "10"), offer(2, None), offer(3, "12.5"), upto=3))
    rows = sorted(warehouse.read("price_history").to_pylist(), key=lambda row: row["snapshot"])
    assert [row["delta_pct"] for row in rows] == [None, None, 25.0]
    assert [row["valid_to"] for row in rows] == [WHEN.replace(day=2), WHEN.replace(day=3), None]
    (current,) = warehouse.read("current_offers").to_pylist()
    assert current["price"] == Decimal("12.5")


def test_rows_and_watermarks_are_read_together(warehouse):
    warehouse.write(batch(bad_rows("a", "1") + bad_rows("b", "1"), a=3, b=7))
    slices = warehouse.read_slices(QUARANTINE, "roaster", ["b", "unknown"])
    assert slices.rows.num_rows == 1
    assert slices.watermarks == {"b": Watermark(7, "1")}


def test_a_derived_slice_is_behind_until_it_reflects_every_input(warehouse):
    def behind() -> dict[str, Watermark]:
        return warehouse.behind(QUARANTINE, "roaster", ["a", "b"], "1", [OFFERS])

    assert behind() == {}, "nothing upstream, nothing to do"
    warehouse.write(offers(offer(1), upto=1))
    due = behind()
    assert list(due) == ["a"]
    warehouse.write(Batch(QUARANTINE, "roaster", QUARANTINE.arrow([]), due))
    assert behind() == {}
    warehouse.write(offers(offer(2, "13"), upto=2))
    assert list(behind()) == ["a"]


def test_a_failed_write_leaves_what_was_there(warehouse):
    warehouse.write(batch(bad_rows("a", "1"), a=1))

    def fail_half_way() -> None:
        with warehouse.writing() as db:
            db.execute("DELETE FROM quarantine")
            db.execute("INSERT INTO no_such_table VALUES (1)")

    with pytest.raises((duckdb.Error, Critical)):
        fail_half_way()
    assert places(warehouse) == ["a:1"]


def test_a_missing_value_where_one_is_needed_is_an_error_naming_the_column():
    with pytest.raises(Critical, match="table quarantine: no value in place"):
        QUARANTINE.arrow([bad_rows("a", "1")[0] | {"place": None}])


def test_a_new_column_is_added_and_another_type_is_refused_with_the_mend(warehouse):
    warehouse.write(batch(bad_rows("a", "1"), a=1))
    with warehouse.writing() as db:
        db.execute("DROP VIEW source_summary")
        db.execute("DROP VIEW supply_summary")
        db.execute("ALTER TABLE quarantine DROP COLUMN reason")
    reopened(warehouse).write(batch(bad_rows("b", "1"), b=1))
    rows = warehouse.read("quarantine", None, ["b"]).to_pylist()
    assert rows[0]["reason"] == "broken"
    assert warehouse.read("source_summary").num_rows == 0
    with warehouse.writing() as db:
        db.execute("DROP TABLE stats")
        db.execute("CREATE TABLE stats (kind INTEGER)")
    with pytest.raises(BadConfig, match=r"table stats, column kind: is (?i:INTEGER), should be"):
        reopened(warehouse).write(batch(bad_rows("c", "1"), c=1))


def test_views_are_made_anew_when_they_or_what_they_show_have_changed(warehouse):
    warehouse.write(offers(offer(1), upto=1))
    with warehouse.writing() as db:
        for view in reversed(list(VIEWS)):
            db.execute(f"DROP VIEW {view}")
        db.execute("CREATE VIEW current_offers AS SELECT kind, source FROM offers")
    again = reopened(warehouse)
    assert again.read("current_offers").schema.names == OFFERS.schema.names
    assert again.read("price_history").num_rows == 1


def _write_slices(warehouse: Warehouse, source: str, times: int) -> None:
    for number in range(1, times + 1):
        warehouse.write(batch(bad_rows(source, str(number), snapshot=number), **{source: number}))


def test_processes_that_write_at_once_take_turns_and_lose_nothing(warehouse):
    spawn = multiprocessing.get_context("spawn")
    writers = [
        spawn.Process(target=_write_slices, args=(warehouse, source, 8))
        for source in ("a", "b", "shared", "shared")
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0, 0]
    assert places(warehouse) == ["a:8", "b:8", "shared:8"]


def test_a_killed_writer_blocks_nobody(warehouse):
    warehouse.write(batch(bad_rows("a", "1"), a=1))
    spawn = multiprocessing.get_context("spawn")
    writer = spawn.Process(target=_write_slices, args=(warehouse, "a", 10_000))
    writer.start()
    time.sleep(2.5)
    writer.kill()
    writer.join()
    number = warehouse.watermarks(QUARANTINE, "roaster")["a"].snapshot
    assert places(warehouse) == [f"a:{number}"]
