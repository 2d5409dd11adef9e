"""Tables of one warehouse in two places: each is found where it is kept."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from scout_assets.domain.tables import LIST_SHEETS, OFFERS, QUARANTINE, STATS, TABLES
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets.gateways.mixed_warehouse import MixedWarehouse
from scout_assets.gateways.postgres import Postgres
from scout_assets.gateways.postgres_warehouse import PostgresWarehouse
from scout_assets.gateways.warehouse import Batch, Standing, Watermark
from scout_assets_tests.gateways.test_warehouse import bad_rows, batch, offer, offers

STAT = {"kind": "roaster", "source": "a", "metric": "offers", "dimension": "", "value": 1.0}


@pytest.fixture
def warehouse(postgres_schema: Postgres, tmp_path: Path) -> MixedWarehouse:
    """The analytics in a file, all else on a server."""
    file = DuckDbWarehouse(tmp_path / "analytics.duckdb")
    return MixedWarehouse(PostgresWarehouse(postgres_schema), {"stats": file, "list_sheets": file})


def stats(snapshot: int, value: float = 1.0) -> Batch:
    rows = STATS.arrow([STAT | {"value": value}])
    return Batch(STATS, "roaster", rows, {"a": Watermark(snapshot, "1")})


def test_each_table_is_written_and_read_where_it_is_kept(warehouse: MixedWarehouse):
    warehouse.write(stats(1))
    warehouse.write(batch(bad_rows("a", "1"), a=1))
    main, file = warehouse.parts
    assert warehouse.read("stats").num_rows == file.read("stats").num_rows == 1
    assert main.read("stats").num_rows == 0
    assert warehouse.read("quarantine").num_rows == main.read("quarantine").num_rows == 1
    assert file.read("quarantine").num_rows == 0
    assert warehouse.read("source_summary").num_rows == 0, "views are in the main place"


def test_how_far_each_has_come_is_known_for_both(warehouse: MixedWarehouse):
    began = datetime.now(UTC)
    assert warehouse.exists() is False
    warehouse.write(offers(offer(3), upto=3))
    due = warehouse.behind(STATS, "roaster", ["a"], "1", [OFFERS, QUARANTINE])
    assert due["a"].snapshot == 3, "a derived table knows inputs kept elsewhere"
    warehouse.write(Batch(STATS, "roaster", STATS.arrow([STAT]), due))
    assert warehouse.behind(STATS, "roaster", ["a"], "1", [OFFERS, QUARANTINE]) == {}
    assert warehouse.watermarks(STATS, "roaster") == due
    assert warehouse.standing(STATS) == {("roaster", "a"): Standing(due["a"], 1)}
    assert warehouse.written_since(began) == 2
    assert warehouse.last_written(STATS, "roaster") is not None
    assert warehouse.read_slices(STATS, "roaster", ["a"]).watermarks == due
    assert warehouse.glance(STATS, "roaster", ["a"], 5)[0] == 1
    assert warehouse.duplicates(STATS, "roaster", ["a"]) == []
    assert warehouse.stored_schema(STATS).names == STATS.schema.names


def test_a_copy_may_go_into_it_and_out_of_it(warehouse: MixedWarehouse):
    warehouse.mirror(stats(5))
    warehouse.mirror(stats(4, value=2.0))
    assert warehouse.read("stats")["value"].to_pylist() == [2.0]
    warehouse.forget(STATS, [("roaster", "a")])
    assert (warehouse.read("stats").num_rows, warehouse.standing(STATS)) == (0, {})


def test_its_place_names_both(warehouse: MixedWarehouse):
    assert warehouse.place.startswith("postgresql://")
    assert "; stats, list_sheets at " in warehouse.place
    assert warehouse.place.endswith("analytics.duckdb")


def test_no_view_joins_what_may_be_apart() -> None:
    from scout_assets.gateways.warehouse_views import VIEWS

    apart = [table.name for table in TABLES.values() if table.group != "catalogue"]
    assert apart == [STATS.name, LIST_SHEETS.name]
    assert not [name for sql in VIEWS.values() for name in apart if name in sql]
