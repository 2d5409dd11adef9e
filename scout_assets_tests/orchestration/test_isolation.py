"""Thirty stores, three of them broken in their own way: the others must not notice."""

import dagster as dg
import pytest

from scout_assets_tests.loopback import Loopback, Reply, Store
from scout_assets_tests.orchestration.lanes import World
from scout_assets_tests.stores import declared, serve_shopify, shopify_page, shopify_product

SNAPSHOTS = ["roasters/snapshots"]
FLOWS_ON = [
    f"roasters/{name}"
    for name in [
        "parents",
        "products",
        "offers",
        "quarantine",
        "embeddings",
        "vector_index",
        "stats",
    ]
]
KEYS = [f"store-{number:02}" for number in range(30)]
BROKEN = {
    "store-04": Reply(status=500),
    "store-15": Reply(body=b'{"products": [', headers={"Content-Type": "application/json"}),
    "store-16": Reply(pause=3),
}


@pytest.fixture
def stores(loopback: Loopback, world: World) -> dict[str, Store]:
    stores = {key: loopback.store() for key in KEYS}
    for number, store in enumerate(stores.values()):
        serve_shopify(store, [shopify_product(100 + number)], etags=True)
    world.declare(*(declared(key, store) for key, store in stores.items()))
    return stores


def break_some(stores: dict[str, Store]) -> None:
    for key, reply in BROKEN.items():
        stores[key].route("/products.json", reply)


def test_broken_stores_fail_alone_with_a_reason_and_keep_their_rows(stores, world):
    assert world.run("roasters", KEYS[0], KEYS[-1]).success
    before = world.home.warehouse.read("products")
    break_some(stores)
    serve_shopify(stores["store-05"], [shopify_product(105), shopify_product(999)])

    result = world.run("roasters", KEYS[0], KEYS[-1], minutes=60)
    assert not result.success
    assert world.statuses("roasters", "snapshots") == {
        key: "FAILED" if key in BROKEN else "MATERIALIZED" for key in KEYS
    }
    said = result.failure_data_for_node("roasters_snapshots").user_failure_data.description
    assert said.startswith("3 of 30 sources failed; the others landed.")
    reasons = dict(line[2:].split(": ", 1) for line in said.splitlines()[1:])
    assert reasons.keys() == BROKEN.keys()
    assert "500" in reasons["store-04"]
    assert "not JSON" in reasons["store-15"]
    assert "was silent for 1 s" in reasons["store-16"]

    assert world.home.warehouse.read("products").equals(before), "the last good rows stay"
    good = [key for key in KEYS if key not in BROKEN]
    assert world.run("roasters", "store-05", "store-14", selection=FLOWS_ON).success
    after = world.home.warehouse.read("products")
    assert after.num_rows == before.num_rows + 1, "what landed flows on"
    assert len(good) == 27


def test_the_next_run_asks_only_what_is_due(stores, world):
    break_some(stores)
    world.run("roasters", KEYS[0], KEYS[-1], selection=SNAPSHOTS)
    asked = {key: len(stores[key].requests) for key in KEYS}

    result = world.run("roasters", KEYS[0], KEYS[-1], minutes=1, selection=SNAPSHOTS)
    assert not result.success
    for key in BROKEN:
        assert len(stores[key].requests) == asked[key], f"{key} backs off"
    for key in set(KEYS) - BROKEN.keys():
        assert stores[key].requests[-1].path in ("/products.json", "/meta.json")
    assert world.home.ledger.latest_snapshots(KEYS).keys() == set(KEYS) - BROKEN.keys()

    stores["store-15"].route("/products.json", Reply(body=shopify_page([shopify_product(1)])))
    stores["store-04"].route("/products.json", Reply(body=shopify_page([shopify_product(2)])))
    world.run("roasters", KEYS[0], KEYS[-1], minutes=6, selection=SNAPSHOTS)
    assert len(stores["store-04"].requests) > asked["store-04"], "a transient failure is due again"
    assert len(stores["store-15"].requests) == asked["store-15"], "a broken contract is not"
    alone = world.run("roasters", "store-15", minutes=7, selection=SNAPSHOTS)
    assert alone.success, "unless a person asks for it alone"
    assert world.statuses("roasters", "snapshots")["store-15"] == "MATERIALIZED"


def test_the_flow_on_sensor_carries_exactly_what_landed(stores, world):
    """Declarative automation, evaluated as the sensor does it: all downstream in one go."""
    break_some(stores)
    definitions = world.defs()
    seen = dg.evaluate_automation_conditions(defs=definitions, instance=world.instance)
    assert seen.total_requested == 0
    world.run("roasters", KEYS[0], KEYS[-1], selection=SNAPSHOTS)
    asked = dg.evaluate_automation_conditions(
        defs=definitions, instance=world.instance, cursor=seen.cursor
    )
    for name in FLOWS_ON:
        requested = asked.get_requested_partitions(dg.AssetKey(name.split("/")))
        assert requested == set(KEYS) - BROKEN.keys(), name
