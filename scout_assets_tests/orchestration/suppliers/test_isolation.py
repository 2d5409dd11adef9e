"""One bad list: other suppliers, and the good lists beside it, must not notice."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from scout_assets.domain.failures import Crashed, Transient, contained
from scout_assets.gateways import price_lists, readers
from scout_assets.gateways.files import CaptureFile
from scout_assets_tests.orchestration.lanes import World, listed, materialized, rows
from scout_assets_tests.supplies import ACME, csv_list

LISTS = ("suppliers/price_lists",)
READING = tuple(f"suppliers/{name}" for name in ("analyses", "supplier_items", "quarantine"))
HOSTILE = b"this list breaks the reader"


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader with a fault: over one list it raises what nobody foresaw."""
    read = price_lists.read_workbook

    def reading(body: bytes, *settings: Any, **named: Any) -> Any:
        if body == HOSTILE:
            raise ValueError("index out of range")
        return read(body, *settings, **named)

    monkeypatch.setattr(price_lists, "read_workbook", reading)


def suppliers(world: World, **lists: bytes) -> None:
    for key, body in lists.items():
        (world.root / f"{key}.csv").write_bytes(body)
    world.declare(
        *({"key": key, "platform": "price-list", "location": f"{key}.csv"} for key in lists)
    )


def failure(result: dg.ExecuteInProcessResult) -> Any:
    assert not result.success
    return result.failure_data_for_node("suppliers_price_lists").user_failure_data


def logged(world: World, result: dg.ExecuteInProcessResult) -> str:
    return "\n".join(event.user_message for event in world.instance.all_logs(result.run_id))


def on_the_graph(world: World) -> set[str]:
    """The suppliers whose lists Dagster knows to have landed."""
    return world.instance.get_materialized_partitions(dg.AssetKey(["suppliers", "price_lists"]))


def test_a_list_that_crashes_its_reader_fails_alone(world: World, fragile: None):
    suppliers(world, acme=csv_list(ACME), evil=HOSTILE, zeta=csv_list(ACME[:2]))
    result = world.run("__ASSET_JOB", "acme", "zeta", selection=LISTS)
    told = failure(result)
    assert told.description.startswith("1 of 3 sources failed; the others landed.")
    assert "evil.csv: reading it crashed (ValueError: index out of range)" in told.description
    assert told.metadata["failed/Crashed"].value == told.metadata["snapshots/crashed"].value == 1
    assert on_the_graph(world) == {"acme", "zeta"}
    assert "in reading" in logged(world, result), "the traceback stands in the run's log"

    evil = world.home.ledger.source("evil").fetch
    assert (evil.failures, evil.failure_permanent) == (1, False)
    assert "ValueError" in str(evil.failure)


def test_a_landed_list_that_crashes_its_reader_becomes_a_quarantined_row(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    suppliers(world, acme=csv_list(ACME), evil=csv_list(ACME[:1]))
    assert world.run("__ASSET_JOB", "acme", "evil", selection=LISTS).success
    read = readers.read_list

    def reading(source: Any, body: bytes, name: str) -> Any:
        if source.key == "evil":
            raise RecursionError("too deep")
        return read(source, body, name)

    monkeypatch.setattr(readers, "read_list", reading)
    result = world.run("__ASSET_JOB", "acme", "evil", selection=READING)
    assert result.success
    assert {item.partition("/")[0] for item in listed(world)} == {"acme"}
    (row,) = rows(world, "quarantine")
    assert (row["source"], row["place"]) == ("evil", "whole snapshot")
    assert "reading it crashed (RecursionError: too deep)" in row["reason"]
    assert materialized(result, "supplier_items")["acme"]["snapshots/crashed"] == 1
    assert "in reading" in logged(world, result)


def test_handing_over_one_list_may_crash_too(world: World, monkeypatch: pytest.MonkeyPatch):
    suppliers(world, acme=csv_list(ACME), evil=csv_list(ACME[:1]))
    world.run("__ASSET_JOB", "acme", "evil", selection=LISTS)

    def crashing(home: Any, source: Any) -> bool:
        if source.key == "evil":
            raise KeyError("url")
        return False

    monkeypatch.setattr(readers, "_by_service", crashing)
    result = world.run("__ASSET_JOB", "acme", "evil", selection=("suppliers/analyses",))
    assert result.success
    shown = materialized(result, "analyses")["evil"]
    assert "evil: reading it crashed (KeyError: 'url')" in shown["jobs"]
    assert shown["snapshots/crashed"] == 1


class PanicException(BaseException):
    """Named as those that readers written in Rust raise."""


@pytest.mark.parametrize("raised", [ValueError("x"), MemoryError(), PanicException("unwrap")])
def test_whatever_is_raised_over_a_source_names_it(raised: BaseException):
    said = rf"^acme: reading it crashed \({type(raised).__name__}"
    with pytest.raises(Crashed, match=said) as told, contained("acme"):
        raise raised
    assert told.value.__cause__ is raised


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(), Crashed("known")])
def test_interrupts_and_failures_of_ours_pass(raised: BaseException):
    with pytest.raises(type(raised)) as told, contained("acme"):
        raise raised
    assert told.value is raised


# A folder of dated lists


@pytest.fixture
def folder(world: World) -> Path:
    place = world.root / "acme"
    place.mkdir()
    world.declare({"key": "acme", "platform": "price-list", "location": "acme"})
    return place


def fetched(world: World, minutes: int = 0) -> dg.ExecuteInProcessResult:
    return world.run("__ASSET_JOB", "acme", minutes=minutes, selection=LISTS)


def landed(world: World) -> list[str]:
    return [f"{s.captured_at:%m-%d}" for s in world.home.ledger.snapshots("acme")]


def test_good_lists_land_though_one_before_them_is_bad(world: World, folder: Path):
    (folder / "2026-09-20.csv").write_bytes(csv_list(ACME[:1]))
    (folder / "2026-09-25.csv").write_bytes(b"Terms and conditions\nall prices net\n")
    (folder / "2026-09-30.csv").write_bytes(csv_list(ACME))
    result = fetched(world)
    assert result.success
    assert landed(world) == ["09-20", "09-30"]
    shown = materialized(result, "price_lists")["acme"]
    assert (shown["captures/failed"], shown["snapshots/landed"]) == (1, 2)
    assert "2026-09-25.csv: no item found" in shown["passed over"]
    state = world.home.ledger.source("acme").fetch
    assert state.failures == 0
    assert "2026-09-25.csv: no item found" in str(state.failure)
    assert "Give what it should say under a later date" in str(state.failure)


def test_a_mended_list_of_the_past_is_passed_over(world: World, folder: Path):
    (folder / "2026-09-25.csv").write_bytes(b"")
    (folder / "2026-09-30.csv").write_bytes(csv_list(ACME))
    assert fetched(world).success
    (folder / "2026-09-25.csv").write_bytes(csv_list(ACME[:1]))
    shown = materialized(fetched(world, 1), "price_lists")["acme"]
    assert landed(world) == ["09-30"], "history is never rewritten"
    assert (shown["captures/known"], shown["outcome"]) == (1, "unchanged")
    assert world.home.ledger.source("acme").fetch.failure is None, "and it is told once"


def test_the_newest_list_is_tried_until_it_is_good(world: World, folder: Path):
    (folder / "2026-09-20.csv").write_bytes(csv_list(ACME))
    (folder / "2026-09-25.csv").write_bytes(HOSTILE)
    result = fetched(world)
    assert "- acme: 2026-09-25.csv: no item found" in failure(result).description
    assert on_the_graph(world) == {"acme"}, "what landed flows on"
    event = world.instance.get_latest_materialization_event(dg.AssetKey(LISTS[0].split("/")))
    assert event is not None
    assert event.asset_materialization is not None
    shown = event.asset_materialization.metadata["newest failed"]
    assert "2026-09-25.csv: no item found" in str(shown.value)
    assert landed(world) == ["09-20"]
    assert world.home.ledger.source("acme").fetch.failures == 1

    (folder / "2026-09-25.csv").write_bytes(csv_list(ACME[:2]))
    assert fetched(world, 1).success
    assert landed(world) == ["09-20", "09-25"]


def test_a_list_on_disk_does_not_rest_after_a_failure(world: World, folder: Path):
    """Looking at a file disturbs nobody, so a run over a range looks too."""
    other = {"key": "zeta", "platform": "price-list", "location": "acme"}
    world.declare({"key": "acme", "platform": "price-list", "location": "acme"}, other)
    (folder / "2026-09-25.csv").write_bytes(b"")
    assert (
        "2 of 2 sources failed"
        in failure(world.run("__ASSET_JOB", "acme", "zeta", selection=LISTS)).description
    )
    (folder / "2026-09-30.csv").write_bytes(csv_list(ACME))
    assert world.run("__ASSET_JOB", "acme", "zeta", minutes=1, selection=LISTS).success
    assert landed(world) == ["09-30"]


def test_a_list_that_may_be_readable_later_holds_back_those_after_it(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    for day, items in (("20", 1), ("25", 2), ("30", 3)):
        (folder / f"2026-09-{day}.csv").write_bytes(csv_list(ACME[:items]))
    read = CaptureFile.read

    def busy(capture: CaptureFile, max_bytes: int | None) -> tuple[bytes, ...]:
        if capture.pages[0].name == "2026-09-25.csv":
            raise Transient("2026-09-25.csv changed while it was read")
        return read(capture, max_bytes)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(CaptureFile, "read", busy)
        assert "changed while it was read" in failure(fetched(world)).description
    assert landed(world) == ["09-20"]
    assert fetched(world, 1).success
    assert landed(world) == ["09-20", "09-25", "09-30"]


def test_the_newest_list_edited_in_place_is_read_again(world: World, folder: Path):
    for day in ("20", "25"):
        (folder / f"2026-09-{day}.csv").write_bytes(csv_list(ACME[:2]) + day.encode())
    assert fetched(world).success
    assert materialized(fetched(world, 1), "price_lists")["acme"]["outcome"] == "unchanged"
    (folder / "2026-09-25.csv").write_bytes(csv_list(ACME))
    (folder / "2026-09-20.csv").write_bytes(csv_list(ACME))
    assert materialized(fetched(world, 2), "price_lists")["acme"]["outcome"] == "landed"
    assert landed(world) == ["09-20", "09-25", "09-25"], "of the past only the newest date"
    assert world.run("__ASSET_JOB", "acme", minutes=3, selection=READING).success
    assert len(listed(world)) == len(ACME)


def test_several_lists_of_one_date_land_once(world: World, folder: Path):
    (folder / "2026-09-25 a.csv").write_bytes(csv_list(ACME[:2]))
    (folder / "2026-09-25 b.csv").write_bytes(csv_list(ACME))
    for minutes in range(3):
        assert fetched(world, minutes).success
    assert landed(world) == ["09-25", "09-25"]
