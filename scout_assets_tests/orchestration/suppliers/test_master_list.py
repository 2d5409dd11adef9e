"""The master list: its suppliers become partitions, by an asset and on schedule."""

import fcntl
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import openpyxl
import pytest

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BadConfig
from scout_assets.domain.sources import State
from scout_assets.orchestration.supply import master_sync, sync_hours
from scout_assets_tests.orchestration.lanes import World, listed, materialized
from scout_assets_tests.orchestration.ticks import tick
from scout_assets_tests.supplies import ACME, csv_list

READING = tuple(f"suppliers/{name}" for name in ("price_lists", "analyses", "supplier_items"))
HEAD = "name,source_type,source_url,active,settings\n"
Sync = Callable[[], dg.ExecuteInProcessResult]


@pytest.fixture
def place(world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the master list lies; a test writes it."""
    path = world.root / "suppliers.csv"
    monkeypatch.setenv("SCOUT_MASTER_LIST", str(path))
    return path


@pytest.fixture
def sync(world: World) -> Sync:
    return lambda: world.run("__ASSET_JOB", selection=["catalogue/master_list"])


def synced(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    assert result.success
    return materialized(result, "master_list")[None]


def suppliers(world: World) -> list[str]:
    return [s.source.key for s in world.home.ledger.sources(Kind.SUPPLIER, State.ACTIVE)]


def test_without_a_master_list_nothing_happens(sync: Sync):
    assert synced(sync()) == {"list": "none; set SCOUT_MASTER_LIST"}


def test_suppliers_of_the_list_become_partitions_and_are_read(world: World, place: Path, sync):
    (world.root / "acme.csv").write_bytes(csv_list(ACME))
    place.write_text(HEAD + "Acme,csv,acme.csv,yes,currency=EUR\nZeta & Co,,zeta.xlsx,,\n")
    assert synced(sync())["sources/added"] == 2
    assert world.instance.get_dynamic_partitions("supplier") == ["acme", "zeta-co"]
    assert world.run("__ASSET_JOB", "acme", selection=READING).success
    assert len(listed(world)) == len(ACME)

    place.write_text(HEAD + "Acme,csv,acme.csv,no,\nZeta & Co,,zeta.xlsx,,\n")
    changed = synced(sync())
    assert (changed["sources/retired"], changed["master/inactive"]) == (1, 1)
    assert world.instance.get_dynamic_partitions("supplier") == ["zeta-co"]
    assert len(listed(world)) == len(ACME), "a retired supplier's rows stay"

    place.write_text(HEAD + "Acme,csv,acme.csv,yes,\nZeta & Co,,zeta.xlsx,,\n")
    assert synced(sync())["sources/revived"] == 1
    again = synced(sync())
    assert all(again[f"sources/{what}"] == 0 for what in ("added", "changed", "retired"))


def test_a_workbook_is_a_master_list_too(world: World, place: Path, sync: Sync, monkeypatch):
    monkeypatch.setenv("SCOUT_MASTER_LIST", str(place.with_suffix(".xlsx")))
    place.with_suffix(".xlsx").write_bytes(workbook(["Acme", "acme.csv"], ["Zeta", "zeta.xlsx"]))
    assert synced(sync())["sources/added"] == 2
    assert suppliers(world) == ["acme", "zeta"]


def workbook(*cells: list[str]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Supplier", "URL"], *cells):
        sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_a_bad_row_is_shown_and_keeps_its_supplier(world: World, place: Path, sync: Sync):
    place.write_text(HEAD + "Acme,csv,acme.csv,yes,\nZeta,,zeta.xlsx,,\n")
    synced(sync())
    place.write_text(HEAD + "Acme,csv,acme.csv,perhaps,\nZeta,,zeta.xlsx,,\n")
    shown = synced(sync())
    assert (shown["sources/retired"], shown["master/bad_rows"]) == (0, 1)
    assert "| 2 | acme | active is 'perhaps'; write yes or no |" in shown["bad rows"]
    assert suppliers(world) == ["acme", "zeta"]


@pytest.mark.parametrize("text", [None, HEAD, "who,where\nAcme,acme.csv\n"])
def test_an_unreadable_list_fails_and_retires_nothing(world: World, place: Path, sync, text):
    place.write_text(HEAD + "Acme,csv,acme.csv,yes,\n")
    synced(sync())
    place.unlink() if text is None else place.write_text(text)
    assert not sync().success
    assert suppliers(world) == ["acme"]
    assert world.instance.get_dynamic_partitions("supplier") == ["acme"]


def test_the_master_list_and_sources_yaml_leave_each_other_alone(world: World, place: Path, sync):
    world.declare({"key": "own", "platform": "price-list", "location": "own.csv"})
    place.write_text(HEAD + "Acme,csv,acme.csv,yes,\n")
    assert synced(sync())["sources/retired"] == 0
    world.declare({"key": "own", "platform": "price-list", "location": "own.csv"})
    assert suppliers(world) == ["acme", "own"]


def test_a_second_sync_at_once_is_left_out(world: World, place: Path, sync: Sync):
    place.write_text(HEAD + "Acme,csv,acme.csv,yes,\n")
    world.home_root.mkdir(exist_ok=True)
    with (world.home_root / "master_list.lock").open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = sync()
    assert not refused.success
    error = str(refused.failure_data_for_node("catalogue__master_list").error)
    assert "Transient" in error
    assert "another sync of the master list is running" in error
    assert suppliers(world) == []
    assert synced(sync())["sources/added"] == 1


def test_new_and_changed_suppliers_are_due_at_once(world: World, place: Path, sync: Sync):
    (world.root / "acme.csv").write_bytes(csv_list(ACME))
    place.write_text(HEAD + "Acme,csv,acme.csv,yes,\nZeta,,zeta.csv,,\n")
    synced(sync())
    (first,) = tick(world, "due_sources").requests
    assert first.tags["scout/reason"] == "new"
    assert not world.run("ask_suppliers", "acme", "zeta", minutes=1, tags=first.tags).success, (
        "no zeta.csv"
    )
    assert list(world.home.ledger.latest_snapshots(["acme", "zeta"])) == ["acme"]
    assert tick(world, "due_sources", minutes=2).skipped == "no source is due"

    place.write_text(HEAD + "Acme,csv,acme.csv,yes,currency=EUR\nZeta,,zeta.csv,,\n")
    assert world.run("__ASSET_JOB", selection=["catalogue/master_list"], minutes=2).success
    (changed,) = tick(world, "due_sources", minutes=2).requests
    assert (changed.partition_key, changed.tags["scout/reason"]) == ("acme", "new")


@pytest.mark.parametrize(
    ("hours", "cron"), [(1, "0 */1 * * *"), (8, "0 */8 * * *"), (24, "0 0 * * *")]
)
def test_the_master_list_is_read_every_so_many_hours(hours: int, cron: str):
    schedule = master_sync(hours)
    assert (schedule.cron_schedule, schedule.execution_timezone) == (cron, "UTC")


@pytest.mark.parametrize("hours", [0, -1, 7, 25, 48])
def test_hours_that_do_not_divide_a_day_are_refused(hours: int):
    said = rf"SYNC_INTERVAL_HOURS is {hours}: expected a divisor of 24 \(1, 2, 3, 4, 6, 8, 12, 24\)"
    with pytest.raises(BadConfig, match=said):
        master_sync(hours)


def test_the_schedule_reads_the_list_by_its_own_job(world: World, place: Path):
    place.write_text(HEAD + "Acme,csv,acme.csv,yes,\n")
    schedule = world.defs().get_repository_def().get_schedule_def("master_sync")
    assert world.run(schedule.job_name).success
    assert suppliers(world) == ["acme"]


@pytest.mark.parametrize(
    ("text", "hours"), [("", 8), ("6", 6), (" 12 ", 12)], ids=["unset", "six", "blanks"]
)
def test_the_sync_interval_is_a_number_of_hours(text, hours):
    assert sync_hours({"SYNC_INTERVAL_HOURS": text}) == hours


@pytest.mark.parametrize("text", ["abc", "-1", "1.5"])
def test_a_sync_interval_that_is_no_number_says_so(text):
    with pytest.raises(BadConfig, match="SYNC_INTERVAL_HOURS"):
        sync_hours({"SYNC_INTERVAL_HOURS": text})
