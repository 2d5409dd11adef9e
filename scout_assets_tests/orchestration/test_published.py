"""Tables copied for applications: only what changed, and nobody harmed when it fails."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from scout_assets.domain.control import Mode
from scout_assets.gateways.postgres_warehouse import PostgresWarehouse
from scout_assets.orchestration.resources import ScoutHome
from scout_assets_tests.orchestration.lanes import TestWeb, World, materialized, rows
from scout_assets_tests.orchestration.suppliers.test_lane import SOURCES
from scout_assets_tests.orchestration.ticks import tick
from scout_assets_tests.postgres import Server
from scout_assets_tests.stores import shopify_page
from scout_assets_tests.supplies import ACME, coffees, csv_list

TABLES = ("parents", "products", "offers", "supplier_items", "matches", "best_prices")
PUBLISHED = [f"published/{name}" for name in TABLES]
JOB = "__ASSET_JOB"


@pytest.fixture
def there(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> PostgresWarehouse:
    """The server of the applications."""
    address = postgres.database()
    monkeypatch.setenv("SCOUT_PUBLISH", address)
    copy = ScoutHome().open().published
    assert isinstance(copy, PostgresWarehouse)
    return copy


@pytest.fixture
def world(tmp_path: Path, there: PostgresWarehouse) -> Iterator[World]:
    """A roaster and a supplier, matched and compared, nothing published yet."""
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        made = World(tmp_path, instance)
        (tmp_path / "berg.json").write_bytes(shopify_page(coffees()))
        (tmp_path / "acme.csv").write_bytes(csv_list(ACME))
        made.declare(*SOURCES[:2])
        carry(made, minutes=0)
        yield made


def carry(world: World, minutes: int) -> None:
    """All that is published from, up to date."""
    compared = [f"roasters/{name}" for name in ("snapshots", "parents", "products", "offers")]
    assert world.run("roasters", "berg", minutes=minutes, selection=compared).success
    assert world.run("suppliers", "acme", minutes=minutes).success
    assert world.run("match_and_compare", minutes=minutes).success


def publish(world: World, minutes: int = 0) -> dict[str, dict[str, Any]]:
    """What each published table showed."""
    result = world.run(JOB, minutes=minutes, selection=PUBLISHED)
    assert result.success
    return {name: materialized(result, name)[None] for name in TABLES}


def found(there: PostgresWarehouse, table: str) -> list[dict[str, Any]]:
    return sorted(there.read(table).to_pylist(), key=lambda row: str(list(row.values())))


def test_applications_see_what_the_warehouse_holds(world: World, there: PostgresWarehouse):
    shown = publish(world)
    for table in TABLES:
        assert found(there, table) == rows(world, table) != [], table
        assert shown[table]["dagster/row_count"] == len(rows(world, table))
        assert shown[table]["rows/written"] == len(rows(world, table))
    assert found(there, "current_offers") == rows(world, "current_offers")
    with there.reading() as db:
        kept = {*TABLES, "current_offers", "price_history", "watermarks"}
        assert db.stored().keys() == kept, "and nothing that stays empty"


def test_published_again_nothing_is_written(world: World):
    publish(world)
    again = publish(world)
    assert {shown["rows/written"] for shown in again.values()} == {0}
    assert {shown["slices/written"] for shown in again.values()} == {0}


def test_what_changed_is_written_and_nothing_else(world: World, there: PostgresWarehouse):
    publish(world)
    dearer = coffees()
    dearer[0]["variants"][0]["price"] = "99.00"
    (world.root / "berg.json").write_bytes(shopify_page(dearer))
    carry(world, minutes=1)
    shown = publish(world, minutes=1)
    assert shown["offers"]["slices/written"] == 1
    assert shown["supplier_items"]["slices/written"] == 0, "the list is as it was"
    assert len(found(there, "offers")) == len(rows(world, "offers")) == 6, "with its history"


def test_what_the_warehouse_has_no_more_goes(world: World, there: PostgresWarehouse):
    publish(world)
    with world.home.warehouse.writing() as db:
        db.execute("DELETE FROM products WHERE external_id = '12'")  # as maintenance does
        db.execute("DELETE FROM matches")
        db.execute("DELETE FROM watermarks WHERE table_name = 'matches'")
    shown = publish(world)
    assert found(there, "products") == rows(world, "products")
    assert (shown["matches"]["slices/removed"], found(there, "matches")) == (1, [])


def test_a_server_that_is_away_stops_no_one(
    world: World, postgres: Server, monkeypatch: pytest.MonkeyPatch
):
    """A step that may work later is tried again; the others, and automation, go on."""
    world.home.control.switch(Mode.AUTO, "ana", "go", TestWeb().now())
    monkeypatch.setenv("SCOUT_PUBLISH", "postgresql://nobody:hunter2@127.0.0.1:1/db")
    result = world.run(JOB, selection=PUBLISHED)
    assert not result.success
    failures = [e.event_specific_data for e in result.all_events if e.is_step_failure]
    assert len(failures) == len(TABLES)
    assert "hunter2" not in repr(result.all_events)
    assert world.home.control.state().is_auto
    run = world.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags["scout/failed_elsewhere"] == "publishing", "not in the failure budget"


def test_what_is_wrong_with_it_is_no_alarm_of_ours(world: World, there: PostgresWarehouse):
    world.home.control.switch(Mode.AUTO, "ana", "go", TestWeb().now())
    publish(world)
    with there.writing() as db:
        db.execute("ALTER TABLE offers ADD CHECK (price < 1) NOT VALID")
        db.execute("DELETE FROM watermarks WHERE table_name = 'offers'")
    result = world.run(JOB, selection=PUBLISHED)
    failed = {event.step_key for event in result.all_events if event.is_step_failure}
    assert failed == {"published_offers"}
    assert world.home.control.state().is_auto, "a fault of that server trips nothing"


def test_what_is_behind_is_asked_for_within_the_hour(world: World, there: PostgresWarehouse):
    """All tables when the setting is new; then those whose run was lost, or that lost rows."""
    world.home.control.switch(Mode.AUTO, "ana", "go", TestWeb().now())

    def asked() -> set[str]:
        requests = tick(world, "publish_behind").requests
        return {key.path[-1] for one in requests for key in one.asset_selection or ()}

    assert asked() == set(TABLES)
    publish(world)
    assert asked() == set()
    with world.home.warehouse.writing() as db:
        db.execute("DELETE FROM products WHERE external_id = '12'")  # as maintenance does
    assert asked() == {"products"}
    world.home.control.set({"publish_enabled": False}, "ana", TestWeb().now())
    assert "publish_enabled is off" in tick(world, "publish_behind").skipped


def test_the_copy_of_another_installation_is_left_alone(
    world: World, there: PostgresWarehouse, tmp_path: Path
):
    publish(world)
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        (tmp_path / "other").mkdir()
        other = World(tmp_path / "other", instance)
        (other.root / "nord.json").write_bytes(shopify_page(coffees()))
        other.sources_file.write_text(
            "sources: [{key: nord, platform: shopify, location: nord.json}]"
        )
        assert other.run(JOB, selection=["catalogue/sources"], minutes=5).success
        result = other.run(JOB, selection=["published/offers"])
        assert not result.success
    assert "is not from this installation" in repr(result.all_events)
    assert found(there, "offers") == rows(world, "offers")


def test_each_is_asked_for_when_what_it_shows_has_changed(world: World):
    defs = world.defs()
    before = dg.evaluate_automation_conditions(defs=defs, instance=world.instance)
    assert world.run("match_and_compare", minutes=1).success
    asked = dg.evaluate_automation_conditions(
        defs=defs, instance=world.instance, cursor=before.cursor
    )
    wanted = {name for name in PUBLISHED if asked.get_num_requested(dg.AssetKey(name.split("/")))}
    assert wanted == {"published/matches", "published/best_prices"}


def test_without_the_setting_there_are_no_such_assets(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    groups = {spec.group_name for spec in world.defs().resolve_all_asset_specs()}
    assert "published" in groups
    monkeypatch.delenv("SCOUT_PUBLISH")
    groups = {spec.group_name for spec in world.defs().resolve_all_asset_specs()}
    assert "published" not in groups
    assert ScoutHome(root=str(world.home_root)).open().published is None
