"""Due sources become runs: one per range of neighbours, one per slot, whatever happens."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from scout_assets.domain.control import Mode
from scout_assets.domain.dispatch import Reason
from scout_assets.domain.failures import Transient
from scout_assets_tests.loopback import Loopback, Reply
from scout_assets_tests.orchestration.lanes import TestWeb, World
from scout_assets_tests.orchestration.ticks import tick
from scout_assets_tests.stores import declared, serve_shopify, shopify_page, shopify_product

SNAPSHOTS = dg.AssetKey(["roasters", "snapshots"])
BY_SENSOR = {"dagster/sensor_name": "due_sources"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        made = World(tmp_path, instance)
        for key in "abcd":
            (tmp_path / f"{key}.json").write_bytes(shopify_page([shopify_product(1)]))
        made.declare(*(hourly(key) for key in "abcd"))
        made.home.control.switch(Mode.AUTO, "ana", "go", TestWeb().now())
        yield made


def hourly(key: str, **fields: object) -> dict[str, object]:
    times = {"full_cadence": "0 */6 * * *", "price_cadence": "0 * * * *"}
    return {"key": key, "platform": "shopify", "location": f"{key}.json", **times, **fields}


def request(world: World, minutes: int = 0) -> dg.RunRequest:
    (one,) = tick(world, "due_sources", minutes=minutes).requests
    return one


def run(world: World, asked: dg.RunRequest, minutes: int = 0) -> dg.ExecuteInProcessResult:
    """As the daemon would launch it."""
    keys = [asked.partition_key] if asked.partition_key else []
    return world.run(str(asked.job_name), *keys, minutes=minutes, tags={**BY_SENSOR, **asked.tags})


def test_new_sources_are_one_run_over_their_range_with_all_it_needs_to_know(world: World):
    asked = request(world)
    assert asked.job_name == "ask_roasters"
    assert asked.tags == {
        **BY_SENSOR,
        "scout/trigger": "due_sources",
        "scout/dispatch": "1",
        "scout/scope": "full",
        "scout/reason": "new",
        "dagster/priority": "0",
        "dagster/max_runtime": "3600",
        "dagster/asset_partition_range_start": "a",
        "dagster/asset_partition_range_end": "d",
    }


def test_a_dispatch_is_asked_for_under_one_key_until_its_run_begins(world: World):
    first = request(world)
    assert request(world, 1) == first, "the daemon may have died before it launched it"
    assert run(world, first, 2).success
    assert tick(world, "due_sources", minutes=3).skipped == "no source is due"
    (kept,) = world.home.dispatches.latest()
    assert (kept.outcome, kept.counters["sources/fetched"]) == ("FETCHED", 4)


def test_a_slot_of_prices_asks_for_prices_only(world: World):
    assert run(world, request(world)).success
    assert tick(world, "due_sources", minutes=59).requests == ()
    assert request(world, 61).tags["scout/scope"] == "prices"


def test_a_range_holds_due_sources_only(world: World):
    assert run(world, request(world)).success
    world.home.ledger.record_success("b", TestWeb(minutes=70).now())
    asked = tick(world, "due_sources", minutes=61).requests
    assert [one.partition_key for one in asked] == ["a", None]
    assert asked[1].tags["dagster/asset_partition_range_start"] == "c"


def test_a_source_of_higher_priority_is_a_run_of_its_own(world: World):
    world.declare(*(hourly(key, priority=5 if key == "b" else 0) for key in "abcd"))
    asked = tick(world, "due_sources").requests
    assert [(one.partition_key, one.tags["dagster/priority"]) for one in asked] == [
        ("b", "5"),
        ("a", "0"),
        (None, "0"),
    ]


def test_in_manual_nothing_is_asked_and_what_was_missed_is_erased(world: World):
    assert run(world, request(world)).success
    control = world.home.control
    control.switch(Mode.MANUAL, "ana", "stop", TestWeb(minutes=30).now())
    assert "mode is manual" in tick(world, "due_sources", minutes=61).skipped
    control.switch(Mode.AUTO, "ana", "go", TestWeb(minutes=90).now())
    assert tick(world, "due_sources", minutes=91).skipped == "no source is due"
    assert request(world, 121).tags["scout/reason"] == "slot"


def test_catching_up_acts_on_what_was_missed_once(world: World):
    assert run(world, request(world)).success
    control = world.home.control
    control.switch(Mode.MANUAL, "ana", "stop", TestWeb(minutes=30).now())
    control.switch(Mode.AUTO, "ana", "go", TestWeb(minutes=200).now(), catch_up=True)
    assert run(world, request(world, 201), 201).success
    assert tick(world, "due_sources", minutes=202).requests == ()


def test_dry_run_says_what_it_would_do(world: World):
    world.home.control.set({"dry_run": True}, "ana", TestWeb().now())
    said = tick(world, "due_sources").skipped
    assert said == "dry_run: would ask 4 sources: a (new), b (new), c (new), d (new)"
    assert world.home.dispatches.latest() == ()


def test_on_startup_every_source_is_asked_once_where_that_is_wanted(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    assert run(world, request(world)).success
    assert tick(world, "due_sources", minutes=1).requests == ()
    monkeypatch.setenv("TRIGGER_INGESTION_ON_STARTUP", "true")
    first = tick(world, "due_sources", cursor="another process", minutes=1)
    assert first.requests[0].tags["scout/reason"] == Reason.STARTUP
    assert run(world, first.requests[0], 2).success
    assert tick(world, "due_sources", cursor=first.cursor, minutes=3).requests == ()
    sibling = f"{socket.gethostname()} process {os.getppid()}"  # of the same Dagster, started twice
    assert tick(world, "due_sources", cursor=sibling, minutes=4).requests == ()


# Faults


def test_a_run_asked_for_twice_runs_once(world: World):
    asked = request(world)
    assert run(world, asked).success
    second = run(world, asked, 1)
    assert not second.success
    told = str(second.failure_data_for_node("roasters_snapshots").error)
    assert "dispatch 1 was taken by run" in told


def begun(world: World, asked: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
    """Its run has begun, asked source `a`, and ended without a word."""
    made = world.instance.create_run_for_job(
        world.defs().resolve_job_def("ask_roasters"),
        tags={**BY_SENSOR, **asked.tags, "dagster/run_key": str(asked.run_key)},
        status=status,
    )
    world.home.dispatches.begin(1, made.run_id, None, TestWeb(minutes=1).now())
    world.home.ledger.record_success("a", TestWeb(minutes=1).now())


def test_what_a_dead_run_did_not_ask_is_asked_again(world: World):
    begun(world, request(world), dg.DagsterRunStatus.FAILURE)
    again = request(world, 5)
    assert again.tags["dagster/asset_partition_range_start"] == "b"
    assert world.home.dispatches.latest()[-1].outcome == "FAILURE"


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED])
def test_what_a_dead_run_landed_is_told_to_dagster_for_it(world: World, status):
    asked = request(world)
    landing = world.run("ask_roasters", "a", minutes=1, selection=["roasters/snapshots"])
    world.instance.delete_run(landing.run_id)  # as if it had died before it told
    world.instance.event_log_storage.wipe_asset(SNAPSHOTS)
    begun(world, asked, status)
    tick(world, "due_sources", minutes=5)
    assert world.instance.get_materialized_partitions(SNAPSHOTS) == {"a"}
    (record,) = world.instance.fetch_materializations(SNAPSHOTS, limit=10).records
    event = record.asset_materialization
    assert event.description == "Landed, by a run that ended before it told"
    assert event.tags["dagster/data_version"] == event.metadata["sha256"].value
    tick(world, "due_sources", minutes=6)
    assert len(world.instance.fetch_materializations(SNAPSHOTS, limit=10).records) == 1


def test_a_run_a_person_cancelled_waits_for_the_next_slot(world: World):
    begun(world, request(world), dg.DagsterRunStatus.CANCELED)
    assert tick(world, "due_sources", minutes=5).requests == ()
    assert world.home.dispatches.latest()[-1].outcome == "CANCELED"


def test_a_repeated_run_does_not_ask_what_the_dead_one_asked(world: World, loopback: Loopback):
    stores = {key: loopback.store() for key in "abcd"}
    for store in stores.values():
        serve_shopify(store, [shopify_product(1)])
    world.declare(*(declared(key, store) for key, store in stores.items()))
    asked = request(world)
    world.home.ledger.record_failure("a", Transient("503"), TestWeb(minutes=1).now())
    assert not run(world, asked, 30).success
    assert [len(store.to("/products.json")) for store in stores.values()] == [0, 2, 2, 2]
    assert sorted(world.home.ledger.latest_snapshots([*"abcd"])) == ["b", "c", "d"]


def test_time_up_leaves_the_rest_due_and_what_landed_stays(world: World, loopback: Loopback):
    stores = {key: loopback.store() for key in "abcd"}
    for number, store in enumerate(stores.values()):
        serve_shopify(store, [shopify_product(1)])
        if number:
            store.route("/products.json", Reply(body=shopify_page([]), pause=0.8))
    world.declare(*(declared(key, store) for key, store in stores.items()))
    asked = request(world)
    hasty = TestWeb(minutes=1, soft_limit_seconds=0.5)
    assert not world.run("ask_roasters", tags={**BY_SENSOR, **asked.tags}, web=hasty).success
    assert list(world.home.ledger.latest_snapshots([*"abcd"])) == ["a"]
    assert [one.fetch.failures for one in world.home.ledger.sources()] == [0, 0, 0, 0]
    again = request(world, 2)
    assert again.tags["dagster/asset_partition_range_start"] == "b"


def test_a_permanent_error_is_fetched_once_in_a_month(world: World, loopback: Loopback):
    """A public project once asked 5,363 times after a 405."""
    gone = loopback.store()
    gone.route("/products.json", Reply(status=404))
    world.declare({**hourly("gone"), **declared("gone", gone)})
    launched = 0
    for hour in range(0, 30 * 24, 12):
        for asked in tick(world, "due_sources", minutes=hour * 60).requests:
            launched += 1
            run(world, asked, hour * 60)
    assert launched == 1
    assert len(gone.to("/products.json")) == 1


def test_a_source_retired_while_it_waits_keeps_no_other_back(world: World):
    assert len(tick(world, "due_sources").requests) == 1
    world.home.ledger.retire("d", TestWeb(minutes=1).now())
    again = request(world, 1)
    assert again.tags["dagster/asset_partition_range_end"] == "c"
    assert [one.outcome for one in world.home.dispatches.latest()] == [None, "WITHDRAWN"]


@pytest.mark.parametrize(("catch_up", "slots"), [(True, 4), (False, 0)])
def test_what_waited_at_a_stop_is_erased_or_caught_up(world: World, catch_up: bool, slots: int):
    assert run(world, request(world)).success
    assert len(request(world, 61).tags) > 0
    control = world.home.control
    control.switch(Mode.MANUAL, "ana", "stop", TestWeb(minutes=62).now())
    control.switch(Mode.AUTO, "ana", "go", TestWeb(minutes=70).now(), catch_up=catch_up)
    asked = tick(world, "due_sources", minutes=71).requests
    assert sum(len(one.slots) for one in world.home.dispatches.open()) == slots
    assert len(asked) == (1 if catch_up else 0)


def test_new_sources_that_waited_at_a_stop_are_asked_after_it(world: World):
    request(world)
    control = world.home.control
    control.switch(Mode.MANUAL, "ana", "stop", TestWeb(minutes=2).now())
    control.switch(Mode.AUTO, "ana", "go", TestWeb(minutes=9).now())
    assert request(world, 10).tags["scout/reason"] == "new"


def test_a_run_that_dagster_is_about_to_repeat_is_waited_for(world: World):
    asked = request(world)
    begun(world, asked, dg.DagsterRunStatus.FAILURE)
    (dead,) = world.instance.get_runs(dg.RunsFilter(job_name="ask_roasters"))
    world.instance.add_run_tags(dead.run_id, {"dagster/will_retry": "true"})
    assert tick(world, "due_sources", minutes=5).skipped == "no source is due"


def test_the_priority_a_person_set_counts(world: World):
    world.home.ledger.override("b", {"priority": 7}, TestWeb().now(), "ana")
    assert tick(world, "due_sources").requests[0].tags["dagster/priority"] == "7"
