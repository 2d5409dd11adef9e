"""Dagster's records on a server are those of the files: what ran, and what people switched off."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from scout_assets.orchestration.dagster_history import carry_history
from scout_assets_tests.orchestration.lanes import World
from scout_assets_tests.postgres import Server
from scout_assets_tests.stores import shopify_page, shopify_product

KEYS = ("berg", "nord")


@pytest.fixture
def world(world: World) -> World:
    """Two stores: one run over both, one alone, and one that failed."""
    for key in KEYS:
        (world.root / f"{key}.json").write_bytes(shopify_page([shopify_product(1)]))
    world.declare(*({"key": k, "platform": "shopify", "location": f"{k}.json"} for k in KEYS))
    assert world.run("roasters", *KEYS).success
    assert world.run("roasters", "berg", minutes=1).success
    (world.root / "nord.json").write_bytes(b"no json")
    assert not world.run("roasters", "nord", minutes=2, selection=["roasters/snapshots"]).success
    return world


@pytest.fixture
def there(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """Dagster on the server, as the project's dagster.yaml opens it."""
    storage = {
        "module": "scout_assets.orchestration.storage",
        "class": "ScoutStorage",
        "config": {"base_dir": "unused"},
    }
    settings = {"telemetry": {"enabled": False}, "storage": {"custom": storage}}
    address = postgres.database()
    with monkeypatch.context() as patched:
        patched.setenv("SCOUT_DATABASE", address)
        (tmp_path / "there").mkdir()
        with dg.DagsterInstance.local_temp(str(tmp_path / "there"), settings) as instance:
            patched.undo()
            instance.address = address  # type: ignore[attr-defined]
            yield instance


def carry(world: World, there: Any) -> int:
    return carry_history(world.instance, there.address, lambda _place, _count: None)


def runs(instance: dg.DagsterInstance) -> list[tuple[object, ...]]:
    return [
        (r.dagster_run, r.create_timestamp, r.start_time, r.end_time)
        for r in instance.get_run_records()
    ]


def test_runs_and_events_arrive_as_they_were(world: World, there: Any):
    assert carry(world, there) == 4
    assert runs(there) == runs(world.instance)
    for run in world.instance.get_runs():
        assert there.all_logs(run.run_id) == world.instance.all_logs(run.run_id)
        assert there.get_job_snapshot(run.job_snapshot_id) is not None


def test_partitions_and_checks_stand_as_they_stood(world: World, there: Any):
    carry(world, there)
    moved = World(world.root, there)
    assert there.get_dynamic_partitions("roaster") == list(KEYS)
    for name in ("snapshots", "parents", "offers", "stats"):
        assert moved.statuses("roasters", name) == world.statuses("roasters", name)
    assert moved.statuses("roasters", "snapshots") == {"berg": "MATERIALIZED", "nord": "FAILED"}
    keys = sorted(world.defs().resolve_asset_graph().asset_check_keys)
    found, wanted = (
        each.event_log_storage.get_latest_asset_check_execution_by_key(keys)
        for each in (there, world.instance)
    )
    assert {key: one.status for key, one in found.items()} == {
        key: one.status for key, one in wanted.items()
    }
    assert len(found) > 3


def test_carried_again_only_what_is_not_whole_is_written(world: World, there: Any):
    carry(world, there)
    before = runs(there)
    assert carry(world, there) == 0
    first = there.get_runs()[-1].run_id
    there.event_log_storage.delete_events(first)  # as if it was interrupted there
    there.delete_run(there.get_runs()[0].run_id)
    assert carry(world, there) == 2
    assert sorted(map(repr, runs(there))) == sorted(map(repr, before))


def test_what_people_switched_off_stays_off_and_cursors_stay_behind(world: World, there: Any):
    code = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="scout_assets"))
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(code, "repository"), "flow_on")
    state = InstigatorState(
        origin,
        InstigatorType.SENSOR,
        InstigatorStatus.STOPPED,
        SensorInstigatorData(cursor="event 4711"),
    )
    world.instance.add_instigator_state(state)
    carry(world, there)
    (found,) = there.all_instigator_state()
    assert (found.name, found.status, found.instigator_data) == (
        "flow_on",
        InstigatorStatus.STOPPED,
        None,
    )
