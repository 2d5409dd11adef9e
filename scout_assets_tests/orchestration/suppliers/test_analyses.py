"""Lists that an analysis service reads: handed over, polled by the sensor, retried, cleaned up."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from scout_assets.domain.control import Mode
from scout_assets.domain.jobs import Job, Phase
from scout_assets_tests.analysis_service import running
from scout_assets_tests.loopback import Loopback, Reply
from scout_assets_tests.orchestration.lanes import (
    TestWeb,
    World,
    checks,
    listed,
    match_statuses,
    materialized,
    rows,
)
from scout_assets_tests.orchestration.ticks import Tick, tick
from scout_assets_tests.supplies import ACME, csv_list, xlsx_list

NORD = "sku;name;price;currency\nN-1;Kenya Embu Mwangaza AB 250 g;10.40;EUR\n"
DEARER = NORD.replace("10.40", "11.20") + "N-2;Paper cups, sleeve of 50;3.15;EUR\n"
LISTS, ANALYSES = "suppliers/price_lists", "suppliers/analyses"
ITEMS = ("suppliers/supplier_items",)


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

    def hand_over(self, items: bool = False, **lists: str) -> dg.ExecuteInProcessResult:
        """A lane of new suppliers, key → list, that leave the reading to the service."""
        for key, text in lists.items():
            self.give(key, text)
        self.declare(*lists, use_ml_processing=True)
        return self.lane(*lists, items=items)

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
    started = office.hand_over(nord=NORD, items=True)
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
    assert match_statuses(office.world) == {"nord/N-1": "unmatched"}
    assert [row["items"] for row in rows(office.world, "drafts")] == [["nord/N-1"]]

    before = rows(office.world, "supplier_items")
    again = office.lane("nord", items=True)
    assert rows(office.world, "supplier_items") == before
    assert "complete" in office.shown(again, "nord")
    assert office.jobs()["nord"].attempts == 1


def test_a_list_that_nobody_handed_over_is_after_an_hour(office: Office):
    office.serve(steps=9)
    office.give("nord", NORD)
    office.declare("nord", use_ml_processing=True)
    office.world.home.control.switch(Mode.AUTO, "ana", "go", TestWeb().now())
    landed = office.world.run("suppliers", "nord", minutes=1, selection=[LISTS])
    assert landed.success
    asked, *_ = tick(office.world, "left_behind", minutes=62).requests
    assert (asked.job_name, asked.partition_key) == ("carry_on_suppliers", "nord")
    assert office.world.run("carry_on_suppliers", "nord", minutes=62).success
    assert office.jobs()["nord"].phase == "analyzing"
    waits = tick(office.world, "left_behind", minutes=63).requests
    assert "carry_on_suppliers" not in [one.job_name for one in waits], "the service has it"


def test_each_change_of_phase_or_progress_is_observed_once(office: Office):
    office.serve(steps=2)
    office.hand_over(nord=NORD)
    seen: list[tuple[str | None, str, int]] = []
    cursor = None
    for minutes in range(1, 6):
        found = tick(office.world, "analysis_jobs", cursor, minutes)
        cursor = found.cursor
        seen += [
            (
                one.partition,
                str(one.metadata["phase"].value),
                int(str(one.metadata["progress"].value)),
            )
            for one in found.observed
        ]
        assert all(one.asset_key == dg.AssetKey(ANALYSES.split("/")) for one in found.observed)
    assert seen == [("nord", "analyzing", 50), ("nord", "complete", 100)]


def test_a_failure_and_its_retry_are_observed_with_the_reason(office: Office):
    office.serve(steps=3)
    office.hand_over(nord=NORD)
    office.kill()
    office.serve(steps=3, remembering=False)
    failed = tick(office.world, "analysis_jobs")
    (told,) = failed.observed
    assert told.metadata["phase"].value == "failed"
    assert "the service forgot the job" in str(told.metadata["error"].value)
    assert office.world.run("retry_analysis").success
    (again,) = tick(office.world, "analysis_jobs", failed.cursor, minutes=1).observed
    assert (again.metadata["phase"].value, again.metadata["attempts"].value) == ("analyzing", 2)


@pytest.mark.parametrize("cursor", ["1763812800.0", "[]", "not JSON", '{"asked": null}'])
def test_a_cursor_of_another_version_costs_nothing_but_a_repetition(office: Office, cursor: str):
    office.serve()
    office.hand_over(nord=NORD)
    assert len(tick(office.world, "analysis_jobs", cursor, minutes=9).observed) == 1


def test_in_manual_a_persons_list_is_still_asked_about_and_starts_nothing(office: Office):
    office.serve()
    control = office.world.home.control
    control.switch(Mode.MANUAL, "ana", "by hand", TestWeb().now())
    office.hand_over(nord=NORD)
    ticks = [office.poll() for _ in range(3)]
    assert office.jobs()["nord"].phase is Phase.COMPLETE
    assert [one.requests for one in ticks] == [(), (), ()]
    assert "mode is manual" in ticks[-1].skipped
    office.lane("nord", items=True)
    assert listed(office.world) == {"nord/N-1": True}, "what a person launches reads it"
    control.switch(Mode.AUTO, "ana", "go", TestWeb().now())
    assert [one.partition_key for one in office.poll().requests] == ["nord"]


def test_a_service_that_is_down_is_seen_in_the_checks(office: Office):
    office.serve()
    office.hand_over(nord=NORD)
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
    office.hand_over(nord=NORD)
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
    office.hand_over(nord=NORD)
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
    office.hand_over(nord=NORD)
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
    office.serve()
    office.give("huge", NORD + "N-2;Deep bowl;3.15;EUR\n" * 99)
    office.give("nord", NORD)
    office.declare("huge", "nord", use_ml_processing=True)
    assert office.world.run("__ASSET_JOB", "huge", "nord", selection=(LISTS,)).success
    monkeypatch.setenv("MAX_FILE_SIZE_MB", "0.002")
    result = office.world.run("__ASSET_JOB", "huge", "nord", selection=(ANALYSES,))
    assert result.success
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
    office.hand_over(nord=NORD)
    office.follow(office.finish())
    office.declare("nord", use_ml_processing=False)
    office.lane("nord", items=True)
    (item,) = rows(office.world, "supplier_items")
    assert (item["item_id"], item["sheet"]) == ("nord/N-1", "nord")


def test_an_analysed_list_of_a_retired_supplier_asks_for_no_run(office: Office):
    office.serve()
    office.hand_over(nord=NORD, sud=NORD)
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
    office.hand_over(nord=NORD)
    office.finish()
    young, old = office.uploads(), TestWeb().now().timestamp()
    assert len(young) == 2, "the list and its meta data"
    for path in young:
        os.utime(path, (old, old))

    def clean(minutes: int, **config: Any) -> int:
        result = office.world.run(
            "maintenance",
            minutes=minutes,
            run_config={"ops": {"clean": {"config": {"only": ["shared_files"], **config}}}},
        )
        assert result.success
        return len(office.uploads())

    assert clean(23 * 60) == 2
    assert clean(25 * 60, dry_run=True) == 2
    assert clean(25 * 60) == 0
    office.lane("nord", items=True)
    assert listed(office.world) == {"nord/N-1": True}, "what was found stays"
