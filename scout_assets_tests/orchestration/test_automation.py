"""What follows what by itself: prices only, or everything."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from scout_assets.domain.control import Mode
from scout_assets_tests.orchestration.lanes import TestWeb, World
from scout_assets_tests.orchestration.ticks import tick
from scout_assets_tests.stores import shopify_page, shopify_product

AFTER_PRICES = {"roasters/offers"}
AFTER_ALL = {f"roasters/{name}" for name in ("offers", "parents", "products", "quarantine")}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        made = World(tmp_path, instance)
        (tmp_path / "berg.json").write_bytes(shopify_page([shopify_product(1)]))
        made.declare({"key": "berg", "platform": "shopify", "location": "berg.json"})
        made.home.control.switch(Mode.AUTO, "ana", "go", TestWeb().now())
        assert made.run("roasters", "berg").success
        yield made


def follows(world: World, tags: dict[str, str]) -> set[str]:
    """What is asked for at once after a run of the snapshots with these tags."""
    defs = world.defs()
    before = dg.evaluate_automation_conditions(defs=defs, instance=world.instance)
    assert world.run("roasters", "berg", selection=["roasters/snapshots"], tags=tags).success
    asked = dg.evaluate_automation_conditions(
        defs=defs, instance=world.instance, cursor=before.cursor
    )
    keys = (one.key for one in asked.results if asked.get_num_requested(one.key))
    return {key.to_user_string() for key in keys if isinstance(key, dg.AssetKey)}


@pytest.mark.parametrize(
    ("tags", "first"),
    [
        ({"scout/scope": "prices"}, AFTER_PRICES),
        ({"scout/scope": "full"}, AFTER_ALL),
        ({}, AFTER_ALL),
    ],
    ids=["prices", "full", "by hand"],
)
def test_a_refresh_of_prices_brings_offers_and_not_products(world: World, tags, first):
    assert follows(world, tags) & AFTER_ALL == first


def test_what_was_landed_for_prices_is_in_the_next_full_refresh(world: World):
    (world.root / "berg.json").write_bytes(shopify_page([shopify_product(1), shopify_product(2)]))
    prices = {"scout/scope": "prices"}
    assert world.run("roasters_prices", "berg", minutes=1, tags=prices).success
    count = {name: world.home.warehouse.read(name).num_rows for name in ("products", "offers")}
    assert count == {"products": 1, "offers": 2}
    assert world.run("roasters", "berg", minutes=2).success
    assert world.home.warehouse.read("products").num_rows == 2


@pytest.mark.parametrize(
    ("name", "setting", "why"),
    [
        ("flow_on", {"stage_only": True}, "stage_only is on"),
        ("flow_on", {"dry_run": True}, "dry_run is on"),
        ("publish_on", {"stage_only": True}, "stage_only is on"),
        ("publish_on", {"publish_enabled": False}, "publish_enabled is off"),
        ("left_behind", {"stage_only": True}, "stage_only is on"),
    ],
)
def test_settings_hold_back_what_follows(world: World, name: str, setting, why: str):
    world.home.control.set(setting, "ana", TestWeb().now())
    held = tick(world, name, cursor="as it was")
    assert held.requests == ()
    assert why in held.skipped


def left_behind(world: World, minutes: int) -> list[tuple[str | None, str | None, set[str]]]:
    """Job, partition and assets of each run that is asked for."""
    return [
        (one.job_name, one.partition_key, {"/".join(key.path) for key in one.asset_selection or ()})
        for one in tick(world, "left_behind", minutes=minutes).requests
    ]


LANE = {f"roasters/{name}" for name in ("stats", "embeddings", "vector_index")} | AFTER_ALL
CARRY_ON = ("carry_on_roasters", "berg", LANE)
COMPARE = ("match_and_compare", None, {"catalogue/best_prices"})


def land(world: World, *more: str, minutes: int = 1, scope: str = "full") -> None:
    """Another product comes; `more` is what was made of it before all was lost."""
    products = [shopify_product(number) for number in range(1, minutes + 2)]
    (world.root / "berg.json").write_bytes(shopify_page(products))
    lane = [f"roasters/{name}" for name in ("snapshots", *more)]
    tags = {"scout/scope": scope}
    assert world.run("roasters", "berg", minutes=minutes, selection=lane, tags=tags).success


def test_what_landed_and_was_not_carried_on_is_after_an_hour(world: World):
    land(world)
    assert tick(world, "left_behind", minutes=59).skipped.startswith("in auto since 12:00 UTC only")
    assert left_behind(world, minutes=60) == [COMPARE], "its hour is not over"
    assert left_behind(world, minutes=62) == [CARRY_ON, COMPARE]
    assert world.run("carry_on_roasters", "berg", minutes=62).success
    assert world.home.warehouse.read("search_documents").num_rows == 2
    assert world.run("match_and_compare", minutes=62).success
    assert tick(world, "left_behind", minutes=63).skipped == "everything shows what landed"


@pytest.mark.parametrize(
    "made",
    [("parents", "products"), ("offers",), (*sorted(AFTER_ALL), "stats"), ("parents", "offers")],
    ids=["no prices", "prices only", "no embeddings", "half of a fold"],
)
def test_what_does_not_show_the_last_rows_is_made(world: World, made: tuple[str, ...]):
    land(world, *(name.removeprefix("roasters/") for name in made))
    assert left_behind(world, minutes=62)[0] == CARRY_ON


def test_a_fold_that_prices_overtook_is_found(world: World):
    land(world)
    land(world, "offers", minutes=2, scope="prices")
    assert left_behind(world, minutes=63)[0] == CARRY_ON


def test_after_a_refresh_of_prices_nothing_else_is_behind(world: World):
    land(world, "offers", "stats", scope="prices")
    assert left_behind(world, minutes=62) == [COMPARE]


def test_a_source_that_changes_all_the_time_is_looked_at_too(world: World):
    land(world)
    land(world, minutes=61)
    assert left_behind(world, minutes=62)[0] == CARRY_ON


def test_what_still_follows_is_waited_for(world: World):
    land(world)
    world.instance.create_run_for_job(
        world.defs().resolve_job_def("roasters"),
        tags={"scout/trigger": "flow_on"},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert tick(world, "left_behind", minutes=62).skipped == "1 runs of what follows are not over"


def test_what_people_are_shown_stays_when_it_is_not_to_be_published(world: World):
    world.home.control.set({"publish_enabled": False}, "ana", TestWeb().now())
    assert left_behind(world, minutes=62) == []
    land(world)
    unpublished = ("carry_on_roasters", "berg", LANE - {"roasters/vector_index"})
    assert left_behind(world, minutes=62) == [unpublished]


def test_sources_are_read_again_every_so_many_hours_in_any_mode(world: World):
    world.home.control.switch(Mode.MANUAL, "ana", "no", TestWeb().now())
    first = tick(world, "sources_changed")
    assert len(first.requests) == 1
    assert tick(world, "sources_changed", first.cursor, minutes=23 * 60).requests == ()
    assert len(tick(world, "sources_changed", first.cursor, minutes=24 * 60).requests) == 1


def test_what_the_blacklist_names_is_left_out_and_comes_back(world: World):
    control, now = world.home.control, TestWeb().now()
    control.set({"blacklist_titles": "NUMBER 1, mug"}, "ana", now)
    assert world.run("roasters", "berg", minutes=1).success
    assert [
        row["gone_at"] is None for row in world.home.warehouse.read("parents").to_pylist()
    ] == []
    control.set({"blacklist_titles": ""}, "ana", now)
    assert world.run("roasters", "berg", minutes=2).success
    assert world.home.warehouse.read("parents").num_rows == 1
