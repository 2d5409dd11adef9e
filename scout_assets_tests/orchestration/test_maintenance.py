"""Maintenance in Dagster: what the job shows, which runs stay, and that nothing is made again."""

import gc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickStatus

from scout_assets.domain.control import Mode
from scout_assets.domain.failures import BadConfig
from scout_assets.domain.retention import RUNS_AFTER
from scout_assets.domain.tables import TABLES
from scout_assets.gateways.backup import backup, restore
from scout_assets.gateways.maintenance import STEPS, Cleaned
from scout_assets.orchestration.intervals import interval
from scout_assets.orchestration.maintenance import CLEANUP_SECONDS, clean_regularly, clean_runs
from scout_assets_tests.orchestration.commands import PROJECT
from scout_assets_tests.orchestration.lanes import TestWeb, World, materialized, rows
from scout_assets_tests.orchestration.ticks import tick
from scout_assets_tests.stores import shopify_page, shopify_product

DAY = 24 * 60
SAMPLES = PROJECT / "samples" / "stores"


def capture(world: World, day: str, *numbers: int) -> None:
    """A dated capture of the one store."""
    folder = world.root / "berg"
    folder.mkdir(exist_ok=True)
    (folder / f"{day}.json").write_bytes(shopify_page(map(shopify_product, numbers)))


@pytest.fixture
def store(world: World) -> World:
    """Three coffees, of which one vanished seven weeks ago; nothing has run yet."""
    capture(world, "2026-09-21", 1, 2, 3)
    capture(world, "2026-10-05", 1, 2)
    source = {"key": "berg", "platform": "shopify", "location": "berg", "currency": "EUR"}
    world.declare(source)
    return world


@pytest.fixture
def lane(store: World) -> World:
    """All of the store's tables."""
    assert store.run("roasters", "berg").success
    return store


def fetch(world: World, *keys: str) -> dg.ExecuteInProcessResult:
    return world.run("roasters", *(keys or ("berg",)), selection=["roasters/snapshots"])


def maintain(world: World, **config: Any) -> dg.ExecuteInProcessResult:
    return world.run("maintenance", run_config={"ops": {"clean": {"config": config}}})


def shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = (e for e in result.all_events if e.event_type_value == "STEP_OUTPUT")
    return {name: value.value for name, value in event.step_output_data.metadata.items()}


# The job


def test_the_job_shows_what_went_and_a_preview_shows_the_same(lane: World):
    only = ["vanished", "quarantine", "artifacts"]
    preview = maintain(lane, dry_run=True, only=only)
    told = shown(preview)
    assert (told["vanished/products"], told["vanished/parents"]) == (1, 1)
    assert "berg/31" in told["cleaned"]
    assert len(rows(lane, "products")) == 3
    assert materialized(preview, "products") == {}
    assert shown(maintain(lane, only=only)) == told
    assert len(rows(lane, "products")) == 2
    assert "vanished/products" not in shown(maintain(lane, only=only))


def test_all_steps_are_taken_without_names_and_dagsters_runs_come_last(store: World):
    lines = shown(maintain(store, dry_run=True))["cleaned"].splitlines()[2:]
    assert [line.split(" | ")[0].strip("| ") for line in lines] == [*STEPS, "runs"]


def test_slices_that_lost_rows_are_materialised_so_that_automation_carries_it_on(lane: World):
    automation = lane.defs()
    before = dg.evaluate_automation_conditions(automation, lane.instance)
    result = maintain(lane)
    assert set(materialized(result, "products")) == {"berg"}
    assert set(materialized(result, "parents")) == {"berg"}
    after = dg.evaluate_automation_conditions(automation, lane.instance, cursor=before.cursor)
    for name in ("stats", "embeddings"):
        assert after.get_requested_partitions(dg.AssetKey(["roasters", name])) == {"berg"}, name
    assert materialized(lane.run("roasters", "berg"), "stats")["berg"]["slices/written"] == 1
    assert materialized(maintain(lane), "products") == {}, "nothing went, nothing is new"


def test_a_failing_step_is_named_and_stops_no_other(store: World):
    fetch(store)
    store.home.warehouse.path.write_bytes(b"no database" * 1000)
    result = maintain(store)
    assert not result.success
    (failure,) = (e for e in result.all_events if e.event_type_value == "STEP_FAILURE")
    said = failure.step_failure_data.user_failure_data
    assert said is not None
    first, *others = str(said.description).splitlines()
    assert first == "steps that failed: vanished, orphans, quarantine, space"
    assert all("warehouse.duckdb" in line for line in others)
    assert "artifacts/files" in said.metadata, "the other steps were taken"


def test_an_unknown_step_fails_with_those_there_are(store: World):
    result = maintain(store, only=["everything"])
    (failure,) = (e for e in result.all_events if e.event_type_value == "STEP_FAILURE")
    assert "there are vanished, orphans" in str(failure.step_failure_data.error)


# When


def test_it_runs_by_itself_in_auto_only(store: World):
    assert "mode is manual" in tick(store, "clean_regularly").skipped
    store.home.control.switch(Mode.AUTO, "ana", "go", TestWeb().now())
    assert len(tick(store, "clean_regularly").requests) == 1


def test_one_cleaning_at_a_time(store: World):
    store.home.control.switch(Mode.AUTO, "ana", "go", TestWeb().now())
    job = store.defs().resolve_job_def("maintenance")
    run = store.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert "still going on" in tick(store, "clean_regularly").skipped
    store.instance.report_run_canceled(run)
    assert len(tick(store, "clean_regularly").requests) == 1


def every(environment: dict[str, str]) -> int:
    return interval(environment, "CLEANUP_INTERVAL", CLEANUP_SECONDS)


def test_the_interval_is_the_environments():
    assert every({}) == every({"CLEANUP_INTERVAL": " "}) == 3600
    assert every({"CLEANUP_INTERVAL": "5400"}) == 5400
    assert clean_regularly(5400).minimum_interval_seconds == 5400
    for wrong in ("hourly", "0", "-1", "1.5"):
        with pytest.raises(BadConfig, match="CLEANUP_INTERVAL is"):
            every({"CLEANUP_INTERVAL": wrong})


def test_old_ticks_are_dagsters_to_remove(tmp_path: Path):
    (tmp_path / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        for kind in (
            InstigatorType.SENSOR,
            InstigatorType.SCHEDULE,
            InstigatorType.AUTO_MATERIALIZE,
        ):
            days = instance.get_tick_retention_settings(kind)
            assert all(0 < days[status] <= 30 for status in TickStatus), kind


# Dagster's runs

SOON = timedelta(minutes=1)


def cleaned(world: World, after: timedelta = RUNS_AFTER + SOON, dry_run: bool = False) -> Cleaned:
    """Clean as if that time had passed."""
    graph = world.defs().get_repository_def().asset_graph
    checks = sorted(graph.asset_check_keys, key=str)
    return clean_runs(world.instance, checks, datetime.now(UTC) + after, dry_run)


def known_runs(world: World) -> set[str]:
    return set(world.instance.get_run_ids())


def run_files(world: World, run_id: str) -> list[Path]:
    return sorted((world.root / "dagster").rglob(f"*{run_id}*"))


def test_a_run_goes_when_later_ones_hold_all_it_held(store: World):
    first = fetch(store).run_id
    assert cleaned(store).removed == 0, "it holds the last of its asset"
    fetch(store)
    assert cleaned(store, RUNS_AFTER - SOON).removed == 0, "too young"
    told = cleaned(store, dry_run=True)
    assert (told.counts, told.examples) == ({"runs": 1}, [first])
    assert told.size > 10_000
    assert first in known_runs(store)
    assert cleaned(store).counts == {"runs": 1}
    assert first not in known_runs(store)
    assert run_files(store, first) == []
    assert cleaned(store).removed == 0


def test_what_the_ui_shows_stays(store: World):
    def seen() -> object:
        evaluated = store.instance.event_log_storage.get_latest_asset_check_execution_by_key(
            sorted(store.defs().get_repository_def().asset_graph.asset_check_keys, key=str)
        )
        statuses = store.statuses("roasters", "snapshots")
        return statuses, {str(key): record.status for key, record in evaluated.items()}

    fetch(store)
    fetch(store)
    before = seen()
    assert cleaned(store).removed == 1
    assert seen() == before


def test_a_run_stays_for_a_single_partition_and_for_a_failed_attempt(world: World):
    for key in ("berg", "tal"):
        (world.root / f"{key}.json").write_bytes(shopify_page([shopify_product(1)]))
    files = {key: f"{key}.json" for key in ("berg", "tal")}
    world.declare(*({"key": k, "platform": "shopify", "location": at} for k, at in files.items()))
    both = fetch(world, "berg", "tal").run_id
    one = fetch(world, "berg").run_id
    assert cleaned(world).removed == 0, "the first holds the last of tal"
    (world.root / "tal.json").unlink()
    failed = fetch(world, "tal")
    assert not failed.success
    assert cleaned(world).removed == 0, "the first holds the last rows, the third the last attempt"
    assert {both, one, failed.run_id} <= known_runs(world)
    assert world.statuses("roasters", "snapshots") == {"berg": "MATERIALIZED", "tal": "FAILED"}


def test_runs_of_jobs_and_unfinished_runs(store: World):
    mended = maintain(store, only=["space"]).run_id
    going_on = store.instance.create_run_for_job(
        store.defs().resolve_job_def("maintenance"), status=dg.DagsterRunStatus.STARTED
    ).run_id
    assert cleaned(store).examples == [mended]
    assert going_on in known_runs(store)


def test_automation_asks_for_nothing_again_after_a_cleaning(lane: World):
    assert lane.run("roasters", "berg").success
    automation = lane.defs()
    before = dg.evaluate_automation_conditions(automation, lane.instance)
    assert cleaned(lane).removed == 1
    after = dg.evaluate_automation_conditions(automation, lane.instance, cursor=before.cursor)
    assert after.total_requested == 0


def test_check_results_of_removed_runs_go_too(store: World):
    def results() -> int:
        key = dg.AssetCheckKey(dg.AssetKey(["roasters", "snapshots"]), "fresh")
        history = store.instance.event_log_storage.get_asset_check_execution_history(key, 100)
        return len(history)

    fetch(store)
    fetch(store)
    assert results() == 2
    cleaned(store)
    assert results() == 1


def test_a_cleaning_that_was_killed_is_ended_by_the_next(store: World, monkeypatch):
    fetch(store)
    fetch(store)
    storage = type(store.instance.run_storage)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(storage, "delete_run", killed)
        with pytest.raises(KeyboardInterrupt):
            cleaned(store)
    (gone,) = cleaned(store).examples
    assert run_files(store, gone) == []


# Restore


def test_after_a_restore_a_run_comes_to_the_tables_of_an_undisturbed_one(
    world: World, tmp_path: Path
):
    """Two captures of a roaster; the backup is of the time between them."""
    first, second = sorted((SAMPLES / "fjordlys").iterdir())
    declared = yaml.safe_load((PROJECT / "sources.yaml").read_text())["sources"]
    (source,) = (one for one in declared if one["key"] == "fjordlys")
    stores = world.root / "fjordlys"
    stores.mkdir()
    (stores / first.name).write_bytes(first.read_bytes())
    world.declare(source | {"location": str(stores)})
    assert world.run("roasters", "fjordlys").success
    kept = backup(world.home, tmp_path / "kept", TestWeb().now())
    (stores / second.name).write_bytes(second.read_bytes())
    assert world.run("roasters", "fjordlys", minutes=DAY).success
    gc.collect()
    restore(world.home, kept, "ana", TestWeb().now())
    assert world.run("roasters", "fjordlys", minutes=DAY).success

    undisturbed = World(tmp_path / "undisturbed", world.instance)
    undisturbed.root.mkdir()
    undisturbed.declare(source | {"location": str(stores)})
    assert undisturbed.run("roasters", "fjordlys", minutes=DAY).success
    for name in TABLES:
        assert rows(world, name) == rows(undisturbed, name), name


def test_what_sensors_observed_long_ago_goes_but_for_the_last_of_each(store: World):
    key = dg.AssetKey(["control", "mode"])
    for mode in ("manual", "auto", "manual"):
        store.instance.report_runless_asset_event(dg.AssetObservation(key, metadata={"mode": mode}))
    observed = dg.DagsterEventType.ASSET_OBSERVATION

    def left() -> int:
        return len(store.instance.get_event_records(dg.EventRecordsFilter(observed, key)))

    later = datetime.now(UTC) + timedelta(days=8)
    assert "observations" not in clean_runs(store.instance, [], datetime.now(UTC)).counts
    assert clean_runs(store.instance, [], later, dry_run=True).counts["observations"] == 2
    assert left() == 3
    assert clean_runs(store.instance, [], later).counts["observations"] == 2
    assert left() == 1
