"""The fail-safe: what is broken with ourselves stops automation, writes why, and tells once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from scout_assets.domain.control import Mode
from scout_assets.orchestration.failsafe import failed_runs
from scout_assets_tests.loopback import Loopback, Reply
from scout_assets_tests.orchestration.lanes import TestWeb, World
from scout_assets_tests.stores import declared, serve_shopify, shopify_page, shopify_product

BY_SENSOR = {"dagster/sensor_name": "due_sources"}
PRODUCTS = [shopify_product(number) for number in range(1, 21)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        made = World(tmp_path, instance)
        (tmp_path / "berg.json").write_bytes(shopify_page(PRODUCTS))
        made.declare({"key": "berg", "platform": "shopify", "location": "berg.json"})
        made.home.control.switch(Mode.AUTO, "ana", "go", TestWeb().now())
        yield made


def lane(world: World, *keys: str, minutes: int = 1) -> dg.ExecuteInProcessResult:
    return world.run("roasters", *(keys or ("berg",)), minutes=minutes, tags=BY_SENSOR)


def assert_tripped(world: World, why: str) -> None:
    """Manual, with an audit line of before, after and reason, and one alert."""
    state = world.home.control.state()
    assert (state.mode, state.actor) == (Mode.MANUAL, "system")
    assert why in state.reason
    line = world.home.control.audit(1)[0]
    assert (line.before["mode"], line.after["mode"]) == ("auto", "manual")
    assert line.reason.startswith("fail-safe: ")
    (alert,) = [one for one in world.home.alerts.listed() if one.alert.key.startswith("fail-safe:")]
    assert why in alert.alert.text


def test_a_sound_run_trips_nothing(world: World):
    assert lane(world).success
    assert world.home.control.state().is_auto


def damage_an_artifact(world: World) -> None:
    (page,) = world.home.ledger.latest_snapshots(["berg"])["berg"].pages
    (found,) = (world.home_root / "artifacts").rglob(f"{page.sha256}*")
    found.write_bytes(b"rotten")


def damage_the_warehouse(world: World) -> None:
    world.home.warehouse.path.write_bytes(b"this is no database" * 999)


def lose_the_parents(world: World) -> None:
    with world.home.warehouse.writing() as db:
        db.execute("DELETE FROM parents")


@pytest.mark.parametrize(
    ("break_it", "why"),
    [
        (damage_an_artifact, "artifact"),
        (damage_the_warehouse, "cannot be used"),
        (lose_the_parents, "referential"),
    ],
)
def test_a_broken_invariant_stops_automation(
    world: World, break_it: Callable[[World], None], why: str
):
    assert lane(world).success
    before = world.home.ledger.latest_snapshots(["berg"])["berg"].number
    break_it(world)
    anew = {"ops": {"roasters_catalogue": {"config": {"rewrite": True}}}}
    if break_it is lose_the_parents:
        world.run("roasters", "berg", selection=["roasters/products"], tags=BY_SENSOR)
    else:
        assert not world.run("roasters", "berg", tags=BY_SENSOR, run_config=anew).success
    assert_tripped(world, why)
    assert world.home.ledger.latest_snapshots(["berg"])["berg"].number == before


def test_a_store_that_lost_most_of_its_products_stops_automation_until_a_person_looks(
    world: World, loopback: Loopback
):
    store = loopback.store()
    serve_shopify(store, PRODUCTS)
    world.declare(declared("berg", store))
    assert lane(world).success
    serve_shopify(store, PRODUCTS[:2])
    assert not lane(world, minutes=2).success
    assert_tripped(world, "lists 2 items, where it listed 20")
    assert world.home.ledger.latest_snapshots(["berg"])["berg"].number == 1, "the last rows stay"
    assert world.run("roasters", "berg", minutes=3).success, "a person takes it"
    assert world.home.ledger.latest_snapshots(["berg"])["berg"].number == 2


@pytest.mark.parametrize(("broken", "trips"), [(6, True), (5, False), (2, False)])
def test_a_contract_broken_for_most_sources_is_a_fault_of_ours(
    world: World, loopback: Loopback, broken: int, trips: bool
):
    stores = [loopback.store() for _ in range(10)]
    for number, store in enumerate(stores):
        serve_shopify(store, PRODUCTS)
        if number < broken:
            store.route("/products.json", Reply(body=b"<html>moved</html>"))
    world.declare(*(declared(f"s{number}", store) for number, store in enumerate(stores)))
    lane(world, "s0", "s9")
    assert world.home.control.state().is_auto is not trips
    if trips:
        assert_tripped(world, "6 of 10 sources asked lately broke their contract")


def test_in_manual_a_persons_run_fails_without_a_switch(world: World):
    assert lane(world).success
    world.home.control.switch(Mode.MANUAL, "ana", "mending", TestWeb().now())
    damage_the_warehouse(world)
    assert not world.run("roasters", "berg").success
    assert world.home.control.state().actor == "ana"
    assert world.home.alerts.listed() == ()


# The failure budget


@pytest.mark.parametrize(("reason", "counts"), [("slot", True), ("retry", False)])
def test_sources_that_fail_again_are_no_fault_of_ours(
    world: World, loopback: Loopback, reason: str, counts: bool
):
    stores = {key: loopback.store() for key in "ab"}
    for store in stores.values():
        store.route("/products.json", Reply(status=500))
    world.declare(*(declared(key, store) for key, store in stores.items()))
    tags = {**BY_SENSOR, "scout/reason": reason}
    selection = ["roasters/snapshots"]
    result = world.run("roasters", "a", "b", selection=selection, tags=tags)
    state = world.home.control.state()
    failed = failed_runs(world.instance, state, TestWeb().now())
    assert [run.run_id for run in failed] == [result.run_id] * counts


@dg.op
def failing() -> None:
    raise RuntimeError("our fault")


@dg.job
def anything() -> None:
    failing()


def fail(world: World, tags: dict[str, str]) -> None:
    """A run fails, and the sensor is told as the daemon does."""
    result = anything.execute_in_process(instance=world.instance, tags=tags, raise_on_error=False)
    repository = world.defs().get_repository_def()
    resources = repository.get_top_level_resources()
    with dg.build_resources(
        {name: resources[name] for name in ("home", "web")}, instance=world.instance
    ) as built:
        context = dg.build_run_status_sensor_context(
            "failure_budget",
            result.get_run_failure_event(),
            world.instance,
            result.dagster_run,
            resources={"home": built.home, "web": built.web},
        ).for_run_failure()
        repository.get_sensor_def("failure_budget")(context)


@pytest.mark.parametrize(
    ("tags", "count", "trips"),
    [
        (BY_SENSOR, 3, True),
        (BY_SENSOR, 2, False),
        ({}, 4, False),
        ({**BY_SENSOR, "scout/sources_failed": "1"}, 4, False),
    ],
    ids=["over the budget", "within it", "by hand", "sources failed"],
)
def test_more_failed_automated_runs_than_the_budget_stop_automation(
    world: World, tags: dict[str, str], count: int, trips: bool
):
    world.home.control.set({"failure_budget": 2}, "ana", TestWeb().now())
    for _ in range(count):
        fail(world, tags)
    assert world.home.control.state().is_auto is not trips
    if trips:
        assert_tripped(world, "3 automated runs failed within 60 minutes (anything)")
