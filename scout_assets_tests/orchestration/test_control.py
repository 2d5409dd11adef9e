"""The brake: automated runs refuse and end in manual; what a person launches always runs."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from scout_assets.domain.control import Mode
from scout_assets.orchestration.control import end_automated, is_automated
from scout_assets_tests.loopback import Loopback, Reply, Request
from scout_assets_tests.orchestration.lanes import TestWeb, World
from scout_assets_tests.orchestration.ticks import tick
from scout_assets_tests.stores import declared, shopify_page, shopify_product

NOW = TestWeb().now()
BY_SENSOR = {"dagster/sensor_name": "due_sources"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        yield World(tmp_path, instance)


@pytest.fixture
def store(world: World) -> World:
    (world.root / "berg.json").write_bytes(shopify_page([shopify_product(1)]))
    world.declare({"key": "berg", "platform": "shopify", "location": "berg.json"})
    return world


@pytest.mark.parametrize(
    ("tags", "automated"),
    [
        ({}, False),
        ({"dagster/partition": "berg"}, False),
        ({"dagster/backfill": "b1"}, False),
        ({"dagster/schedule_name": "master_sync"}, True),
        (BY_SENSOR, True),
        ({"dagster/auto_materialize": "true", "dagster/backfill": "b2"}, True),
        ({**BY_SENSOR, "scout/trigger": "sources_changed"}, False),
        # A person repeats an automated run in the UI; Dagster repeats one whose process died.
        ({**BY_SENSOR, "dagster/parent_run_id": "r1"}, False),
        ({**BY_SENSOR, "dagster/parent_run_id": "r1", "dagster/retry_number": "1"}, True),
    ],
)
def test_a_run_is_automated_when_no_person_launched_it(tags: dict[str, str], automated: bool):
    assert is_automated(tags) is automated


def fetch(world: World, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
    return world.run("roasters", "berg", selection=["roasters/snapshots"], tags=tags)


def test_in_manual_an_automated_run_refuses_and_says_how_to_allow_it(store: World):
    refused = fetch(store, BY_SENSOR)
    assert not refused.success
    said = "\n".join(
        str(event.event_specific_data.error)
        for event in refused.all_events
        if getattr(event.event_specific_data, "error", None)
    )
    assert "nothing acts by itself" in said
    assert "scout auto --by NAME" in said
    assert store.home.ledger.latest_snapshots(["berg"]) == {}


def test_in_manual_a_person_may_run_everything(store: World):
    assert fetch(store, {}).success
    assert "berg" in store.home.ledger.latest_snapshots(["berg"])


def test_in_auto_an_automated_run_acts(store: World):
    store.home.control.switch(Mode.AUTO, "ana", "go", NOW)
    assert fetch(store, BY_SENSOR).success
    store.home.control.switch(Mode.MANUAL, "ana", "enough", NOW)
    assert not fetch(store, BY_SENSOR).success


def slow_store(world: World, loopback: Loopback, pages: int) -> None:
    """A store with many pages, each of which takes a while."""
    store = loopback.store()

    def page(request: Request) -> Reply:
        number = int(request.query["page"])
        listed = [shopify_product(number)] if number <= pages else []
        return Reply(body=shopify_page(listed), pause=0.05)

    store.route("/products.json", page)
    world.declare(declared("berg", store))


@pytest.mark.parametrize(("tags", "ends"), [(BY_SENSOR, True), ({}, False)])
def test_the_switch_to_manual_ends_an_automated_fetch_between_its_requests(
    world: World, loopback: Loopback, tags: dict[str, str], ends: bool
):
    slow_store(world, loopback, pages=60)
    world.home.control.switch(Mode.AUTO, "ana", "go", NOW)
    done: list[dg.ExecuteInProcessResult] = []
    running = threading.Thread(target=lambda: done.append(fetch(world, tags)))
    running.start()
    time.sleep(1.5)
    world.home.control.switch(Mode.MANUAL, "ana", "stop", NOW)
    stopped_at = time.monotonic()
    running.join(timeout=60)
    (result,) = done
    assert result.success is not ends
    landed = world.home.ledger.latest_snapshots(["berg"])
    assert (landed == {}) is ends, "a stopped fetch lands nothing, and counts as no failure"
    assert world.home.ledger.source("berg").fetch.failures == 0
    if ends:
        assert time.monotonic() - stopped_at < 5


# Sensors and schedules

SENSORS = ("due_sources", "watched_lists", "review_follows", "flow_on", "publish_on")


@pytest.mark.parametrize("name", SENSORS)
def test_in_manual_a_sensor_waits_and_says_why(store: World, name: str):
    waiting = tick(store, name, cursor="as it was")
    assert waiting.requests == ()
    assert "mode is manual" in waiting.skipped
    assert waiting.cursor == "as it was", "what changed meanwhile is seen with the return to auto"


def test_partitions_keep_in_step_with_the_sources_in_manual(store: World):
    assert len(tick(store, "sources_changed").requests) == 1


@pytest.mark.parametrize("name", ["master_sync"])
def test_a_schedule_acts_in_auto_only(store: World, name: str):
    def requests() -> int:
        repository = store.defs().get_repository_def()
        resources = dict(repository.get_top_level_resources())
        with (
            dg.instance_for_test() as instance,  # schedules know instances on disk only
            dg.build_schedule_context(instance=instance, resources=resources) as context,
        ):
            found = repository.get_schedule_def(name).evaluate_tick(context)
        return len(found.run_requests or ())

    assert requests() == 0
    store.home.control.switch(Mode.AUTO, "ana", "go", NOW)
    assert requests() == 1


def test_a_job_in_the_ui_switches_the_mode_by_name(store: World):
    config = {"config": {"by": "ana", "reason": "checked"}}
    assert store.run("go_auto", run_config={"ops": {"auto": config}}).success
    assert store.home.control.state().mode is Mode.AUTO
    assert store.run("emergency_stop", run_config={"ops": {"stop": config}}).success
    state = store.home.control.state()
    assert (state.mode, state.actor, state.reason) == (Mode.MANUAL, "ana", "checked")


# The emergency stop


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    coordinator = {"module": "dagster._core.run_coordinator", "class": "QueuedRunCoordinator"}
    with dg.instance_for_test(
        temp_dir=str(tmp_path), overrides={"run_coordinator": coordinator}
    ) as made:
        yield made


@dg.job
def anything() -> None:
    pass


def queued(instance: dg.DagsterInstance, tags: dict[str, str]) -> str:
    place = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__")
    run = instance.create_run_for_job(
        anything,
        tags=tags,
        status=dg.DagsterRunStatus.QUEUED,
        remote_job_origin=RemoteJobOrigin(place, "anything"),
    )
    return run.run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def backfill(instance: dg.DagsterInstance, name: str, tags: dict[str, str]) -> None:
    made = PartitionBackfill(
        backfill_id=name,
        status=BulkActionStatus.REQUESTED,
        from_failure=False,
        tags=tags,
        backfill_timestamp=0.0,
    )
    instance.add_backfill(made)


def test_waiting_automated_runs_are_cancelled_a_persons_stay(queue: dg.DagsterInstance):
    automated = [queued(queue, BY_SENSOR) for _ in range(5)]
    mine = queued(queue, {"dagster/partition": "berg"})
    ended = end_automated(queue)
    assert (ended.cancelled, ended.terminated, ended.unreachable) == (5, 0, ())
    assert {status(queue, run) for run in automated} == {dg.DagsterRunStatus.CANCELED}
    assert status(queue, mine) is dg.DagsterRunStatus.QUEUED
    assert end_automated(queue).cancelled == 0, "a second stop finds nothing to do"


def test_automated_backfills_launch_nothing_more(queue: dg.DagsterInstance):
    backfill(queue, "by-condition", {"dagster/auto_materialize": "true"})
    backfill(queue, "by-hand", {})
    assert end_automated(queue).backfills == 1
    found = {one.backfill_id: one.status for one in queue.get_backfills()}
    assert found == {
        "by-condition": BulkActionStatus.CANCELING,
        "by-hand": BulkActionStatus.REQUESTED,
    }


def test_a_run_whose_process_is_gone_is_named(queue: dg.DagsterInstance):
    run = queue.create_run_for_job(anything, tags=BY_SENSOR, status=dg.DagsterRunStatus.STARTED)
    assert end_automated(queue).unreachable == (run.run_id,)


def test_a_run_that_has_not_begun_is_cancelled_at_once(queue: dg.DagsterInstance):
    run = queue.create_run_for_job(anything, tags=BY_SENSOR, status=dg.DagsterRunStatus.STARTING)
    assert end_automated(queue).terminated == 1
    assert status(queue, run.run_id) is dg.DagsterRunStatus.CANCELED


def test_a_code_server_that_is_gone_keeps_no_other_run_from_ending(queue: dg.DagsterInstance):
    gone = {"dagster/grpc_info": '{"host": "localhost", "socket": "/nowhere"}'}
    lost = queue.create_run_for_job(
        anything, tags={**BY_SENSOR, **gone}, status=dg.DagsterRunStatus.STARTED
    )
    other = queue.create_run_for_job(
        anything, tags={**BY_SENSOR, **gone}, status=dg.DagsterRunStatus.STARTING
    )
    assert end_automated(queue).unreachable == (lost.run_id,)
    assert status(queue, other.run_id) is dg.DagsterRunStatus.CANCELED


def test_a_run_that_was_refused_is_not_repeated(store: World):
    refused = fetch(store, BY_SENSOR)
    run = store.instance.get_run_by_id(refused.run_id)
    assert run is not None
    assert run.tags["dagster/max_retries"] == "0"
