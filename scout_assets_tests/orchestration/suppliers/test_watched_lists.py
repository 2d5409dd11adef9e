"""Watched folders: a sensor fetches each whole new list once."""

import os
from pathlib import Path

import pytest

from scout_assets_tests.orchestration.lanes import World
from scout_assets_tests.orchestration.ticks import Tick, tick
from scout_assets_tests.supplies import ACME, csv_list


@pytest.fixture
def folder(world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A watched folder with the lists of two suppliers, one of them in a folder of its own."""
    staging = world.root / "staging"
    (staging / "zeta").mkdir(parents=True)
    (staging / "acme.csv").write_bytes(csv_list(ACME))
    (staging / "zeta" / "prices.csv").write_bytes(csv_list(ACME[:2]))
    monkeypatch.setenv("SCOUT_WATCH_ROOTS", str(staging))
    world.declare(
        {"key": "acme", "platform": "price-list", "location": "staging/acme.csv"},
        {"key": "far", "platform": "price-list", "location": "https://far.example/acme.csv"},
        {"key": "zeta", "platform": "price-list", "location": "staging/zeta"},
    )
    return staging


def partitions(tick: Tick) -> list[str | None]:
    return [request.partition_key for request in tick.requests]


def test_without_roots_nothing_is_watched(world: World):
    assert "set SCOUT_WATCH_ROOTS" in tick(world, "watched_lists").skipped


def test_a_whole_new_list_is_fetched_once(world: World, folder: Path):
    first = tick(world, "watched_lists")
    assert (first.requests, first.skipped) == ((), "nothing has changed")
    second = tick(world, "watched_lists", first.cursor)
    assert partitions(second) == ["acme", "zeta"]
    assert second.skipped == ""
    third = tick(world, "watched_lists", second.cursor)
    assert (third.requests, third.skipped) == ((), "nothing has changed")

    job = "__anonymous_asset_job_watched_lists"
    assert world.run(job, "acme").success
    assert "acme" in world.home.ledger.latest_snapshots(["acme"])


def test_a_list_still_being_written_waits(world: World, folder: Path):
    cursor = tick(world, "watched_lists", tick(world, "watched_lists").cursor).cursor
    (folder / "acme.csv").write_bytes(csv_list(ACME[:1]))
    growing = tick(world, "watched_lists", cursor)
    assert growing.requests == ()
    (folder / "acme.csv").write_bytes(csv_list(ACME[:3]))
    still = tick(world, "watched_lists", growing.cursor)
    assert still.requests == ()
    assert partitions(tick(world, "watched_lists", still.cursor)) == ["acme"]


def test_each_state_of_a_list_has_a_run_key_of_its_own(world: World, folder: Path):
    def settled(body: bytes, cursor: str | None) -> Tick:
        (folder / "acme.csv").write_bytes(body)
        os.utime(folder / "acme.csv", (1_000_000, 1_000_000))
        cursor = tick(world, "watched_lists", cursor).cursor
        return tick(world, "watched_lists", cursor)

    one = settled(csv_list(ACME), None)
    other = settled(csv_list(ACME[:2]), one.cursor)
    assert partitions(other) == ["acme"]
    assert one.requests[0].run_key != other.requests[0].run_key, "same time, other size"


def test_a_file_that_is_nobody_s_list_is_told(world: World, folder: Path):
    cursor = tick(world, "watched_lists", tick(world, "watched_lists").cursor).cursor
    (folder / "zeta" / "old").mkdir()
    (folder / "zeta" / "old" / "prices.csv").write_bytes(csv_list(ACME))
    settling = tick(world, "watched_lists", cursor)
    told = tick(world, "watched_lists", settling.cursor)
    assert told.requests == ()
    assert "files that belong to no supplier have changed" in told.skipped
    assert "not in one below it" in told.log
    assert "zeta/old/prices.csv" in told.log
    assert tick(world, "watched_lists", told.cursor).skipped == "nothing has changed"


def test_links_that_lead_out_are_refused_and_logged(world: World, folder: Path):
    alike = world.root / "staging_evil"
    alike.mkdir()
    (alike / "list.csv").write_bytes(csv_list(ACME))
    (folder / "out.csv").symlink_to(alike / "list.csv")
    world.declare(
        {"key": "evil", "platform": "price-list", "location": "staging_evil/list.csv"},
        {"key": "out", "platform": "price-list", "location": "staging/out.csv"},
    )
    first = tick(world, "watched_lists")
    second = tick(world, "watched_lists", first.cursor)
    assert second.requests == ()
    for seen in (first, second):
        assert "refused" in seen.log
        assert "staging_evil/list.csv" in seen.log
        assert "is not below an allowed folder" in seen.log


def test_a_folder_that_is_not_there_is_told_and_forgets_nothing(world: World, folder: Path):
    cursor = tick(world, "watched_lists", tick(world, "watched_lists").cursor).cursor
    folder.rename(world.root / "unmounted")
    away = tick(world, "watched_lists", cursor)
    assert "is no folder" in away.skipped
    assert away.cursor == cursor
    (world.root / "unmounted").rename(folder)
    assert tick(world, "watched_lists", away.cursor).requests == ()
