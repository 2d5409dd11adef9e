"""What runs by itself for suppliers: analysis jobs, watched folders, the master list."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BadConfig
from scout_assets.domain.jobs import Job, Phase
from scout_assets.domain.sources import State
from scout_assets.orchestration.supply import master_sync, sync_hours
from scout_assets_tests.analysis_service import running
from scout_assets_tests.loopback import Loopback, Reply
from scout_assets_tests.orchestration.lanes import TestWeb, World
from scout_assets_tests.orchestration.test_lane import checks, materialized
from scout_assets_tests.orchestration.test_suppliers import listed, rows, statuses
from scout_assets_tests.supplies import ACME, csv_list, xlsx_list

NORD = "sku;name;price;currency\nN-1;Kenya Embu Mwangaza AB 250 g;10.40;EUR\n"
DEARER = NORD.replace("10.40", "11.20") + "N-2;Paper cups, sleeve of 50;3.15;EUR\n"
LISTS, ANALYSES = "suppliers/price_lists", "suppliers/analyses"
ITEMS = ("suppliers/supplier_items",)
SETTINGS = (
    "USE_ML_PROCESSING",
    "ML_ANALYZE_URL",
    "ML_POLL_INTERVAL_SECONDS",
    "MAX_FILE_SIZE_MB",
    "FILE_CLEANUP_TTL_HOURS",
    "SCOUT_SHARED",
    "SCOUT_WATCH_ROOTS",
    "SCOUT_MASTER_LIST",
    "SCOUT_MASTER_LIST_PRIVATE",
    "SCOUT_HOME",
    "SCOUT_SOURCES",
    "SCOUT_ARTIFACTS",
    "SCOUT_RATES",
)
HEAD = "name,source_type,source_url,active,settings\n"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own settings; the shortest poll interval."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ML_POLL_INTERVAL_SECONDS", "0.001")
    monkeypatch.setenv("SCOUT_RATES", str(tmp_path / "rates.csv"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Dagster's own records in memory: nothing here outlives a process, and it starts at once."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield World(tmp_path, instance)


@dataclass(frozen=True)
class Tick:
    """What one evaluation of a sensor came to."""

    requests: tuple[dg.RunRequest, ...]
    skipped: str
    cursor: str | None
    log: str


def tick(world: World, name: str, cursor: str | None = None, minutes: int = 0) -> Tick:
    """Evaluate a sensor as the daemon does: what it asks for must be partitions of its job."""
    repository = world.defs(minutes).get_repository_def()
    resources = dict(repository.get_top_level_resources())
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    with (
        dg.build_sensor_context(
            instance=world.instance,
            cursor=cursor,
            repository_def=repository,
            resources=resources,
        ) as context,
        partition_loading_context(dynamic_partitions_store=world.instance),
    ):
        context.log.addHandler(handler)
        found = repository.get_sensor_def(name).evaluate_tick(context)
    requests = tuple(found.run_requests or ())
    return Tick(requests, found.skip_message or "", found.cursor, "; ".join(said))


# --- lists that a service reads ---------------------------------------------------------------


class Office:
    """A world with suppliers whose lists go to a service, and that service's life."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch, alive: ExitStack) -> None:
        self.world = world
        self._setenv = monkeypatch.setenv
        self._alive = alive
        self._running: AbstractContextManager[Any] | None = None
        self.port = 0
        self.minutes = 0

    def serve(self, steps: int = 1, remembering: bool = True) -> None:
        """Start the service, on the port it had."""
        memory = self.world.root / "memory.json" if remembering else None
        self._running = running(self.port, memory, steps)
        _, self.port = self._running.__enter__()
        self._alive.push(self._running)
        self._setenv("ML_ANALYZE_URL", f"http://127.0.0.1:{self.port}")

    def kill(self) -> None:
        assert self._running is not None
        self._running.__exit__(None, None, None)

    def declare(self, *keys: str, **fields: Any) -> None:
        """Suppliers by key; `fields` are those of their sources."""
        self.world.declare(
            *(
                {"key": key, "platform": "price-list", "location": f"{key}.csv", **fields}
                for key in keys
            )
        )

    def give(self, key: str, text: str) -> None:
        (self.world.root / f"{key}.csv").write_text(text)

    def lane(self, *keys: str, items: bool = False) -> dg.ExecuteInProcessResult:
        """Fetch and hand over; with `items` read what is ready. Matching is the sensor's."""
        self.minutes += 1
        selection = (LISTS, ANALYSES, *(ITEMS if items else ()))
        result = self.world.run("__ASSET_JOB", *keys, minutes=self.minutes, selection=selection)
        assert result.success
        return result

    def poll(self) -> Tick:
        self.minutes += 1
        return tick(self.world, "analysis_jobs", minutes=self.minutes)

    def follow(self, request: dg.RunRequest, selection: Sequence[str] = ITEMS) -> None:
        """Run what the sensor asked for, or just the items of it."""
        self.minutes += 1
        job, key = "__anonymous_asset_job_analysis_jobs", request.partition_key
        assert key is not None
        result = self.world.run(job, key, minutes=self.minutes, selection=selection)
        assert result.success

    def finish(self) -> dg.RunRequest:
        """Poll until the one open job is complete."""
        for _ in range(9):
            requests = self.poll().requests
            if requests:
                (request,) = requests
                return request
        raise AssertionError(f"no job became complete: {self.jobs()}")

    def jobs(self) -> dict[str, Job]:
        return {job.source: job for job in self.world.home.courier.jobs()}

    def shown(self, result: dg.ExecuteInProcessResult, key: str) -> str:
        return str(materialized(result, "analyses")[key]["jobs"])

    def uploads(self) -> list[Path]:
        return sorted((self.world.home_root / "shared" / "uploads").iterdir())


@pytest.fixture
def office(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    with ExitStack() as alive:
        yield Office(world, monkeypatch, alive)


def test_a_list_goes_to_the_service_and_comes_back_as_items_and_matches(office: Office):
    office.serve(steps=2)
    office.give("nord", NORD)
    office.declare("nord", use_ml_processing=True)
    started = office.lane("nord", items=True)
    assert materialized(started, "price_lists")["nord"]["outcome"] == "landed"
    assert "analyzing" in office.shown(started, "nord")
    assert rows(office.world, "supplier_items") == [], "they wait for the service"

    half = office.poll()
    assert half.requests == ()
    assert "no job is complete" in half.skipped
    assert office.jobs()["nord"].progress == 50
    (request,) = office.poll().requests
    assert request.partition_key == "nord"
    assert office.poll().requests[0].run_key == request.run_key, "the same job asks once"

    office.follow(request, selection=())
    (item,) = rows(office.world, "supplier_items")
    assert (item["item_id"], float(item["price"]), item["currency"]) == ("nord/N-1", 10.4, "EUR")
    assert (item["net_weight_g"], item["sheet"], item["row"]) == (250, "analysis", 1)
    assert statuses(office.world) == {"nord/N-1": "unmatched"}
    assert [row["items"] for row in rows(office.world, "drafts")] == [["nord/N-1"]]
    assert [float(row["min_price"]) for row in rows(office.world, "best_prices")] == [10.4]

    before = rows(office.world, "supplier_items")
    again = office.lane("nord", items=True)
    assert rows(office.world, "supplier_items") == before
    assert "complete" in office.shown(again, "nord")
    assert office.jobs()["nord"].attempts == 1


def test_a_service_that_is_down_or_failed_is_seen_in_the_checks(office: Office):
    office.serve()
    office.give("nord", NORD)
    office.declare("nord", use_ml_processing=True)
    well = checks(office.lane("nord"))
    assert (well["analyses: service"].passed, well["analyses: analysed"].passed) == (True, True)
    office.kill()
    down = checks(office.lane("nord"))["analyses: service"]
    assert (down.passed, down.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "correct ML_ANALYZE_URL" in str(down.metadata["findings"].value)
    office.declare("nord", use_ml_processing=False)
    assert checks(office.lane("nord"))["analyses: service"].passed, "nobody needs it"


def test_the_last_good_items_stay_until_the_new_list_is_analysed(office: Office):
    office.serve()
    office.give("nord", NORD)
    office.declare("nord", use_ml_processing=True)
    office.lane("nord")
    first = office.finish()
    office.follow(first)
    before = rows(office.world, "supplier_items")

    office.give("nord", DEARER)
    office.lane("nord", items=True)
    assert rows(office.world, "supplier_items") == before
    asked = {request.run_key for request in office.poll().requests} - {first.run_key}
    assert len(asked) == 1, "a new list is a new job"
    office.lane("nord", items=True)
    assert listed(office.world) == {"nord/N-1": True, "nord/N-2": True}
    assert float(rows(office.world, "supplier_items")[0]["price"]) == 11.2


def test_a_service_that_dies_in_mid_job_and_comes_back_goes_on(office: Office):
    office.serve(steps=3)
    office.give("nord", NORD)
    office.declare("nord", use_ml_processing=True)
    office.lane("nord")
    office.poll()
    office.kill()
    dead = office.poll()
    assert dead.requests == ()
    assert "ml/unanswered" in dead.skipped
    assert (office.jobs()["nord"].phase, office.jobs()["nord"].progress) == (Phase.ANALYZING, 33)
    assert "analyzing" in office.shown(office.lane("nord"), "nord"), "a run never waits for it"
    office.serve(steps=3)
    office.follow(office.finish())
    assert listed(office.world) == {"nord/N-1": True}


def test_a_failed_job_shows_and_the_retry_job_attempts_it_again(office: Office):
    office.serve(steps=3)
    office.give("nord", NORD)
    office.declare("nord", use_ml_processing=True)
    office.lane("nord")
    office.kill()
    office.serve(remembering=False)
    assert office.poll().requests == ()
    failed = office.jobs()["nord"]
    assert (failed.phase, failed.retryable) == (Phase.FAILED, True)
    assert "the service forgot the job" in str(failed.error)

    retried = office.world.run("retry_analysis")
    assert retried.success
    assert office.jobs()["nord"].phase is Phase.ANALYZING
    request = office.finish()
    assert request.run_key is not None
    assert request.run_key.endswith(":2"), "another attempt asks anew"
    office.follow(request)
    assert listed(office.world) == {"nord/N-1": True}
    assert office.world.run("retry_analysis").success, "nothing failed: nothing to do"
    assert office.jobs()["nord"].attempts == 2


def test_retry_names_a_job_that_cannot_be_retried(office: Office):
    config = {"ops": {"retry": {"config": {"job_ids": ["nord.0"]}}}}
    result = office.world.run("retry_analysis", run_config=config)
    assert not result.success
    assert "there is no job 'nord.0'" in str(result.failure_data_for_node("retry").error)


def test_a_list_too_large_is_told_and_keeps_nobody_else_back(office: Office, monkeypatch):
    monkeypatch.setenv("MAX_FILE_SIZE_MB", "0.002")
    office.serve()
    office.give("huge", NORD + "N-2;Deep bowl;3.15;EUR\n" * 99)
    office.give("nord", NORD)
    office.declare("huge", "nord", use_ml_processing=True)
    result = office.lane("huge", "nord")
    shown = office.shown(result, "huge")
    assert "refused" in shown
    assert "more than MAX_FILE_SIZE_MB allows (0.002)" in shown
    assert set(office.jobs()) == {"nord"}
    office.follow(office.finish())
    assert listed(office.world) == {"nord/N-1": True}


@pytest.mark.parametrize(
    ("body", "file_type"),
    [(NORD.encode(), "csv"), (xlsx_list(ACME), "excel"), (b"%PDF-1.7", "pdf")],
)
def test_an_address_without_a_file_name_is_told_by_its_bytes(
    office: Office, loopback: Loopback, body: bytes, file_type: str
):
    shop = loopback.store()
    shop.route("/export", Reply(body=body))
    office.serve()
    place = {"key": "nord", "platform": "price-list", "location": shop.url("/export?format=x")}
    office.world.declare({**place, "allow_private": True, "use_ml_processing": True})
    office.lane("nord")
    job = office.jobs()["nord"]
    assert (job.phase, job.file_type) == (Phase.ANALYZING, file_type)


@pytest.mark.parametrize("overall", [False, True])
def test_a_supplier_s_own_flag_goes_before_the_global_one(office: Office, monkeypatch, overall):
    monkeypatch.setenv("USE_ML_PROCESSING", str(overall))
    office.serve()
    for key in ("own", "silent"):
        (office.world.root / f"{key}.csv").write_bytes(csv_list(ACME))
    office.world.declare(
        {"key": "own", "platform": "price-list", "location": "own.csv",
         "use_ml_processing": not overall},
        {"key": "silent", "platform": "price-list", "location": "silent.csv"},
    )  # fmt: skip
    office.lane("own", "silent", items=True)
    by_service, here = ("silent", "own") if overall else ("own", "silent")
    assert set(office.jobs()) == {by_service}
    assert {item.partition("/")[0] for item in listed(office.world)} == {here}


def test_the_flag_switched_off_reads_the_same_list_here(office: Office):
    office.serve()
    office.give("nord", NORD)
    office.declare("nord", use_ml_processing=True)
    office.lane("nord")
    office.follow(office.finish())
    office.declare("nord", use_ml_processing=False)
    office.lane("nord", items=True)
    (item,) = rows(office.world, "supplier_items")
    assert (item["item_id"], item["sheet"]) == ("nord/N-1", "nord")


def test_an_analysed_list_of_a_retired_supplier_asks_for_no_run(office: Office):
    office.serve()
    office.give("nord", NORD)
    office.give("sud", NORD)
    office.declare("nord", "sud", use_ml_processing=True)
    office.lane("nord", "sud")
    office.declare("sud", use_ml_processing=True)
    assert [request.partition_key for request in office.poll().requests] == ["sud"]


def test_the_sensor_keeps_its_interval(office: Office, monkeypatch):
    monkeypatch.setenv("ML_POLL_INTERVAL_SECONDS", "90")
    cursor = tick(office.world, "analysis_jobs").cursor
    early = tick(office.world, "analysis_jobs", cursor, minutes=1)
    assert (early.skipped, early.cursor) == ("asks every 90 s", cursor)
    assert "none is open" in tick(office.world, "analysis_jobs", cursor, minutes=2).skipped


def test_shared_files_of_finished_jobs_go_after_their_time(office: Office):
    office.serve()
    office.give("nord", NORD)
    office.declare("nord", use_ml_processing=True)
    office.lane("nord")
    office.finish()
    young, old = office.uploads(), TestWeb().now().timestamp()
    assert len(young) == 2, "the list and its meta data"
    for path in young:
        os.utime(path, (old, old))

    def clean(minutes: int, **config: Any) -> int:
        result = office.world.run(
            "clean_shared_files",
            minutes=minutes,
            run_config={"ops": {"clean_files": {"config": config}}},
        )
        assert result.success
        return len(office.uploads())

    assert clean(23 * 60) == 2
    assert clean(25 * 60, dry_run=True) == 2
    assert clean(25 * 60) == 0
    office.lane("nord", items=True)
    assert listed(office.world) == {"nord/N-1": True}, "what was found stays"


# --- watched folders --------------------------------------------------------------------------


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


# --- the master list --------------------------------------------------------------------------

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
    assert world.run("__ASSET_JOB", "acme", selection=(LISTS, ANALYSES, *ITEMS)).success
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
    import io

    import openpyxl

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


@pytest.mark.parametrize(
    ("hours", "cron"), [(1, "0 */1 * * *"), (8, "0 */8 * * *"), (24, "0 0 * * *")]
)
def test_the_master_list_is_read_every_so_many_hours(hours: int, cron: str):
    schedule = master_sync(hours)
    assert (schedule.cron_schedule, schedule.execution_timezone) == (cron, "UTC")


@pytest.mark.parametrize("hours", [0, -1, 25])
def test_hours_that_no_day_holds_are_refused(hours: int):
    with pytest.raises(BadConfig, match=f"SYNC_INTERVAL_HOURS is {hours}: expected 1 to 24"):
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
