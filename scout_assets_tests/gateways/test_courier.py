"""Price lists carried to a real analysis service on the loopback, and what comes back."""

import asyncio
import json
import multiprocessing
import os
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from scout_assets.domain.failures import BadConfig, BrokenContract, Refused
from scout_assets.domain.jobs import GIVE_UP_AFTER, Job, Phase
from scout_assets.gateways.artifacts import Artifacts
from scout_assets.gateways.courier import Courier, CourierSettings, uses_ml
from scout_assets.gateways.ledger import Base, Ledger
from scout_assets_tests.analysis_service import running
from scout_assets_tests.loopback import Loopback, Reply, Request, Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIST = b"sku;name;price\nN1;Tinto Joven 75cl;93,60\n"
ROWS = [{"sku": "N1", "name": "Tinto Joven 75cl", "price": 93.6}]


@dataclass
class Service:
    """An analysis service that reads the shared folder; `memory` is lost by a restart.

    `script`: what it says of a job, in turn; the last one for ever.
    """

    store: Store
    script: list[dict[str, Any]]
    memory: dict[str, int] = field(default_factory=dict)
    read: list[bytes] = field(default_factory=list)
    pause: float = 0.0

    def __post_init__(self) -> None:
        self.store.route("/analyze/file", self._take)
        self.store.route("/health", Reply.json({"status": "healthy"}))

    @property
    def url(self) -> str:
        return self.store.url("")

    def orders(self) -> list[dict[str, str]]:
        return [json.loads(request.body) for request in self.store.to("/analyze/file")]

    def _take(self, request: Request) -> Reply:
        self.read.append(Path(json.loads(request.body)["file_path"]).read_bytes())
        job = f"r/{len(self.memory) + 1}"
        self.memory[job] = 0
        self.store.route(f"/analyze/status/r%2F{len(self.memory)}", lambda _: self._tell(job))
        return Reply.json({"job_id": job, "status": "pending", "eta": 3}, status=202)

    def _tell(self, job: str) -> Reply:
        if job not in self.memory:
            return Reply.json({"detail": "Job not found"}, status=404)
        turn = min(self.memory[job], len(self.script) - 1)
        self.memory[job] += 1
        said = self.script[turn]
        if "reply" in said:
            return said["reply"]
        return Reply.json({"job_id": job, **said}, pause=self.pause)


def said(status: str = "processing", **fields: object) -> dict[str, Any]:
    return {"status": status, **fields}


DONE = said("completed", progress_percentage=100, items=ROWS)


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Office:
    """A courier with all it stands on; `poll` lets the poll interval pass first."""

    folder: Path
    clock: Clock
    url: str
    counters: Counter[str] = field(default_factory=Counter)
    options: dict[str, str] = field(default_factory=dict)
    pass_seconds: float = 20.0

    def courier(self) -> Courier:
        environment = {"ML_ANALYZE_URL": self.url, **self.options}
        return Courier(
            Ledger(self.folder / "ledger.sqlite"),
            Artifacts(str(self.folder / "artifacts")),
            CourierSettings.from_environment(environment, self.folder),
            clock=self.clock,
            pass_seconds=self.pass_seconds,
        )

    def start(self, body: bytes = LIST, name: str = "Liste Früh.csv", source: str = "nord") -> Job:
        return asyncio.run(self.courier().start(source, name, body, self.counters))

    def poll(self, **span: float) -> tuple[Job, ...]:
        self.clock.pass_by(**(span or {"seconds": 5}))
        return asyncio.run(self.courier().poll(self.counters))

    def retry(self, job: Job) -> Job:
        return asyncio.run(self.courier().retry(job.job_id, self.counters))

    def uploads(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "shared" / "uploads").iterdir())


@pytest.fixture
def service(loopback: Loopback) -> Service:
    return Service(loopback.store(), [DONE])


@pytest.fixture
def office(tmp_path: Path, service: Service) -> Office:
    return Office(tmp_path, Clock(), service.url)


@pytest.fixture
def dead_url() -> Iterator[str]:
    """An address where nobody answers, and nobody else will while the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_list_goes_to_the_service_and_its_rows_come_back(office, service):
    service.script[:] = [
        said("pending"),
        said(progress_percentage=40),
        said(progress_percentage=90, phase="matching"),
        DONE,
    ]
    job = office.start()
    assert (job.phase, job.remote_id) == (Phase.ANALYZING, "r/1")
    path = office.courier().path(job)
    assert service.orders() == [{"file_path": str(path), "supplier_id": "nord", "file_type": "csv"}]
    assert service.read == [LIST]
    polled = [office.poll()[0] for _ in range(4)]
    assert [(job.phase.value, job.progress) for job in polled] == [
        ("analyzing", 0),
        ("analyzing", 40),
        ("matching", 90),
        ("complete", 100),
    ]
    kept = office.courier().job(job.job_id)
    assert kept == polled[-1]
    assert kept.rows == 1
    assert office.courier().rows(kept) == ROWS
    assert office.poll() == ()
    assert +office.counters == {
        "ml/started": 1,
        "ml/submitted": 1,
        "ml/polled": 4,
        "ml/completed": 1,
    }


def test_the_file_stands_in_the_shared_folder_with_its_meta_data(office):
    job = office.start(name="../../etc/Liste Früh.csv")
    name = f"nord.{job.sha256[:16]}.liste-fruh.csv"
    assert office.uploads() == [name, f"{name}.meta.json"]
    assert office.courier().path(job).read_bytes() == LIST
    meta = json.loads(office.courier().path(job).with_name(f"{name}.meta.json").read_text())
    assert meta == {
        "job_id": job.job_id,
        "supplier_id": "nord",
        "original_filename": "../../etc/Liste Früh.csv",
        "file_type": "csv",
        "sha256": job.sha256,
        "size_bytes": len(LIST),
        "created_at": "2026-11-22T12:00:00+00:00",
    }


def test_rows_may_come_by_an_address_and_odd_ones_are_kept(office, service):
    service.script[:] = [said("completed", result_url="/results/1")]
    rows = [{"price": float("nan"), "n": 10**30, "name": "Ærø"}, "remark", None]
    service.store.route("/results/1", Reply.json({"items": rows}))
    office.start()
    (job,) = office.poll()
    assert job.phase is Phase.COMPLETE
    assert office.courier().rows(job) == [
        {"price": None, "n": 10**30, "name": "Ærø"},
        {"value": "remark"},
        {"value": None},
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (said("failed", error="no table on any page"), "could not analyse .*: no table on any"),
        (said("completed"), "completed without its rows"),
        (said("completed", items=[]), "found no row at all in Liste Früh.csv; the last rows stay"),
        (said("completed", result_url="http://elsewhere.example/r"), "gave a result elsewhere"),
        (said("completed", result_url="/gone"), "GET .*/gone answered 404"),
        (said("sleeping"), "did not answer as agreed: status"),
        (said(job_id="r/7"), "answered about another job, 'r/7'"),
        ({"reply": Reply.text("<html>", "text/html")}, "is ML_ANALYZE_URL the analysis service"),
        ({"reply": Reply.json({"detail": "no key"}, status=403)}, "answered 403: .*no key"),
    ],
)
def test_an_answer_that_ends_a_job_is_told(office, service, answer, reason):
    service.script[:] = [answer]
    office.start()
    (job,) = office.poll()
    assert job.phase is Phase.FAILED
    assert job.result_sha256 is None
    assert re.search(reason, job.error)
    with pytest.raises(BadConfig, match="is failed: it has no rows"):
        office.courier().rows(job)
    assert office.counters["ml/failed"] == 1
    assert office.poll() == ()


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(status=500),
        Reply(status=503, headers={"Retry-After": "9"}),
        Reply(status=429),
        Reply(hang_up=True),
        Reply.json(DONE, cut_after=9),
    ],
    ids=["500", "503", "429", "hang up", "cut"],
)
def test_trouble_on_the_way_leaves_the_job_open(office, service, trouble):
    service.script[:] = [{"reply": trouble}, DONE]
    office.start()
    (job,) = office.poll()
    assert job.is_open
    assert job.silent_since == office.clock.now
    assert job.error
    assert office.counters["ml/unanswered"] == 1
    (job,) = office.poll()
    assert (job.phase, job.error, job.silent_since) == (Phase.COMPLETE, None, None)


def test_a_service_that_is_down_at_first_gets_the_list_later(office, service, dead_url):
    office.url = dead_url
    job = office.start()
    assert job.phase is Phase.DOWNLOADING
    assert "POST" in job.error
    office.url = service.url
    (job,) = office.poll()
    assert job.phase is Phase.ANALYZING
    assert office.poll()[0].phase is Phase.COMPLETE


def test_a_service_killed_in_mid_answer_goes_on_where_it_was(office, tmp_path):
    memory = tmp_path / "memory.json"
    with running(memory=memory, steps=3, pause=0.5) as (process, port):
        office.url = f"http://127.0.0.1:{port}"
        office.start()
        assert office.poll()[0].progress == 33
        killer = threading.Timer(0.2, process.kill)
        killer.start()
        (job,) = office.poll()
        assert (job.phase, job.progress) == (Phase.ANALYZING, 33)
        assert office.poll()[0].silent_since == job.silent_since, "nobody is there"
    with running(port, memory, steps=3):
        (job,) = office.poll(minutes=29)
        assert (job.progress, job.silent_since) == (66, None)
        (job,) = office.poll()
    assert job.phase is Phase.COMPLETE
    assert office.courier().rows(job) == [
        {"sku": "N1", "name": "Tinto Joven 75cl", "price": "93,60"}
    ]


def test_a_service_that_comes_back_without_its_memory_is_told_and_can_be_retried(office):
    with running(steps=3) as (_, port):
        office.url = f"http://127.0.0.1:{port}"
        office.start()
        office.poll()
    with running(port, steps=1):
        (job,) = office.poll()
        assert (job.phase, job.retryable) == (Phase.FAILED, True)
        assert "forgot the job, as after a restart: retry" in job.error
        again = office.retry(job)
        assert (again.phase, again.attempts, again.progress) == (Phase.ANALYZING, 2, 0)
        assert office.poll()[0].phase is Phase.COMPLETE


def test_a_service_that_stays_dead_is_given_up(office, dead_url):
    office.start()
    office.url = dead_url
    assert office.poll()[0].is_open
    assert office.poll(seconds=(GIVE_UP_AFTER - timedelta(seconds=1)).total_seconds())[0].is_open
    (job,) = office.poll(seconds=1 + 5)
    assert (job.phase, job.retryable) == (Phase.FAILED, True)
    assert "no answer of the service for 30 min" in job.error


def test_a_silent_service_does_not_hold_up_the_pass(office, service, loopback):
    mute = Service(loopback.store(), [{"reply": Reply(pause=30)}])
    office.url, office.pass_seconds = mute.url, 0.6
    for number in range(20):
        office.start(body=LIST + b"%d" % number)
    assert asyncio.run(_timed(office)) < 2
    assert len(office.courier().jobs(phases=[Phase.ANALYZING])) == 20
    assert office.counters["ml/unanswered"] + office.counters["ml/left"] == 20
    assert office.counters["ml/left"] >= 4
    mute.script[:], office.pass_seconds = [DONE], 20.0
    assert len(office.poll()) == 20, "what was cut off is free for the next pass"
    assert office.counters["ml/raced"] == 0


async def _timed(office: Office) -> float:
    office.clock.pass_by(seconds=5)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await office.courier().poll(office.counters)
    return loop.time() - begun


def test_jobs_are_asked_at_the_poll_interval(office, service):
    service.script[:] = [said()]
    office.options["ML_POLL_INTERVAL_SECONDS"] = "60"
    office.start()
    assert office.poll(seconds=59) == ()
    assert office.counters["ml/not_due"] == 1
    assert len(office.poll(seconds=1)) == 1


def test_the_same_bytes_of_a_source_are_one_job(office, service):
    job = office.start()
    assert office.start(name="renamed.csv") == job
    (done,) = office.poll()
    assert office.start() == done
    assert office.start(source="sud").job_id != job.job_id
    assert len(service.read) == 2
    assert office.counters["ml/known"] == 2


def test_a_failed_list_that_is_handed_over_again_is_attempted_again(office, service):
    service.script[:] = [said("failed")]
    office.start()
    (failed,) = office.poll()
    office.courier().path(failed).unlink()
    service.script[:] = [DONE]
    assert office.start().attempts == 2
    assert office.poll()[0].phase is Phase.COMPLETE


@pytest.mark.parametrize(
    ("body", "name", "failure", "said"),
    [
        (b"x" * 2001, "big.csv", Refused, r"2,001 bytes, more than MAX_FILE_SIZE_MB .*\(0.002\)"),
        (b"", "empty.csv", BrokenContract, "empty.csv of nord is empty"),
        (b"x", "list.exe", BadConfig, "no price list by its name"),
    ],
)
def test_what_cannot_be_handed_over_makes_no_job(office, service, body, name, failure, said):
    office.options["MAX_FILE_SIZE_MB"] = "0.002"
    with pytest.raises(failure, match=said):
        office.start(body, name)
    assert office.courier().jobs() == ()
    assert service.store.requests == []


def test_a_list_at_the_limit_passes(office):
    office.options["MAX_FILE_SIZE_MB"] = "0.002"
    assert office.start(b"x" * 2000).phase is Phase.ANALYZING


def test_a_shared_folder_that_cannot_be_written_is_told(office):
    (office.folder / "shared").write_text("in the way")
    job = office.start()
    assert (job.phase, job.retryable) == (Phase.FAILED, True)
    assert "cannot write into the shared folder" in job.error
    (office.folder / "shared").unlink()
    assert office.start().phase is Phase.ANALYZING


# Several pollers


def test_of_two_pollers_at_once_one_asks(office, service):
    service.pause = 0.3
    office.start()
    office.clock.pass_by(seconds=5)

    async def both() -> tuple[tuple[Job, ...], tuple[Job, ...]]:
        first, second = office.courier(), office.courier()
        return await asyncio.gather(first.poll(office.counters), second.poll(office.counters))

    one, other = asyncio.run(both())
    assert sorted([len(one), len(other)]) == [0, 1]
    assert office.counters["ml/raced"] == 1
    assert len(service.store.to("/analyze/status/r%2F1")) == 1
    assert office.courier().jobs()[0].phase is Phase.COMPLETE


def _poll_in_process(folder: Path, url: str, results: "multiprocessing.Queue[int]") -> None:
    clock = Clock()
    clock.pass_by(seconds=5)
    results.put(len(Office(folder, clock, url).poll()))


def test_of_several_processes_one_asks_about_each_job(office, service):
    service.pause = 1.0  # so that the others come while the first is at it
    jobs = [office.start(body=LIST + b"%d" % number) for number in range(5)]
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    arguments = (office.folder, office.url, results)
    pollers = [spawn.Process(target=_poll_in_process, args=arguments) for _ in range(3)]
    for poller in pollers:
        poller.start()
    assert sum(results.get(timeout=60) for _ in pollers) == len(jobs)
    for poller in pollers:
        poller.join(60)
    asked = [path for path in service.store.paths if path.startswith("/analyze/status/")]
    assert len(asked) == len(set(asked)) == len(jobs)


def test_two_who_start_the_same_list_at_once_submit_it_once(office, service):
    async def both() -> list[Job]:
        couriers = office.courier(), office.courier()
        return await asyncio.gather(
            *(courier.start("nord", "a.csv", LIST, office.counters) for courier in couriers)
        )

    first, second = asyncio.run(both())
    assert first.job_id == second.job_id
    assert len(service.read) == 1


def test_a_killed_poller_loses_its_claim_after_a_while(office, service):
    job = office.start()
    courier, now = office.courier(), office.clock.now
    assert courier._jobs.swap(job, job, now=now, claim=now + timedelta(minutes=2))
    assert office.poll() == (), "claimed by somebody who will never come back"
    assert office.poll(minutes=2)[0].phase is Phase.COMPLETE


def test_a_poller_that_lost_its_claim_changes_nothing(office):
    job = office.start()
    courier, now = office.courier(), office.clock.now
    claims = [now + timedelta(minutes=2), now + timedelta(minutes=5)]
    assert courier._jobs.swap(job, job, now=now, claim=claims[0])
    assert not courier._jobs.swap(job, job, now=now, claim=claims[1])
    late = claims[0] + timedelta(seconds=1)
    assert courier._jobs.swap(job, job, now=late, claim=claims[1])
    failed = job.failed("late", late)
    assert courier._keep(job, failed, claims[0], office.counters) == job
    assert courier.job(job.job_id) == job


def test_a_start_that_was_killed_before_its_file_stood_fails_clearly(office):
    job = office.start()
    courier = office.courier()
    courier.path(job).unlink()
    early = replace(job, phase=Phase.DOWNLOADING, remote_id=None)
    assert courier._jobs.swap(job, early, now=office.clock.now)
    (job,) = office.poll()
    assert job.phase is Phase.FAILED
    assert "is gone" in job.error
    assert office.start().phase is Phase.ANALYZING


# Retry and clean-up


def test_a_retry_without_its_file_says_so(office, service):
    service.script[:] = [said("failed")]
    office.start()
    (job,) = office.poll()
    office.courier().cleanup(datetime.now(UTC) + timedelta(hours=25), office.counters)
    again = office.retry(job)
    assert (again.phase, again.attempts) == (Phase.FAILED, 2)
    assert "is gone (FILE_CLEANUP_TTL_HOURS is 24); fetch the list again" in again.error
    assert len(service.read) == 1


def test_a_retry_with_a_changed_file_says_so(office, service):
    service.script[:] = [said("failed")]
    office.start()
    (job,) = office.poll()
    office.courier().path(job).write_bytes(b"other")
    assert "was changed by somebody" in office.retry(job).error


def test_only_known_and_failed_jobs_are_retried(office):
    job = office.start()
    with pytest.raises(BadConfig, match="is analyzing: only failed jobs"):
        office.retry(job)
    with pytest.raises(BadConfig, match="there is no job 'x'"):
        asyncio.run(office.courier().retry("x", office.counters))


def test_clean_up_removes_old_files_with_their_meta_data_and_nothing_else(office, service):
    done = office.start(b"done")
    office.poll()
    service.script[:] = [said()]
    still_open = office.start(b"open")
    folder = office.courier().path(done).parent
    orphan = folder / "gone.0123456789abcdef.list.csv"
    left_over = folder / f"{done.file}.77.part"
    foreign = folder / "readme.txt"
    link = folder / "nord.0000000000000000.link.csv"
    for path in (orphan, left_over, foreign):
        path.write_text("x")
    link.symlink_to(foreign)
    courier, now = office.courier(), datetime.now(UTC)
    assert courier.cleanup(now + timedelta(hours=23), office.counters).files == ()
    later = now + timedelta(hours=25)
    told = courier.cleanup(later, office.counters, dry_run=True)
    expected = {done.file, f"{done.file}.meta.json", left_over.name, orphan.name}
    assert {path.name for path in told.files} == expected
    assert all(path.exists() for path in told.files)
    assert courier.cleanup(later, office.counters) == told
    assert told.size > 4
    assert office.uploads() == sorted(
        [foreign.name, link.name, still_open.file, f"{still_open.file}.meta.json"]
    )
    assert office.counters["ml/files_removed"] == 4


def test_a_file_that_a_retry_took_up_counts_as_new(office, service):
    service.script[:] = [said("failed")]
    office.start()
    (job,) = office.poll()
    path = office.courier().path(job)
    for name in office.uploads():
        os.utime(path.with_name(name), (0, 0))
    office.retry(job)
    assert office.poll()[0].phase is Phase.FAILED
    assert office.courier().cleanup(datetime.now(UTC), office.counters).files == ()


def test_clean_up_before_anything_was_carried(office):
    assert office.courier().cleanup(NOW, office.counters).files == ()


# Health and settings


def test_health(office, service, dead_url):
    health = asyncio.run(office.courier().health())
    assert (health.healthy, health.detail) == (True, '{"status": "healthy"}')
    service.store.route("/health", Reply.text("loading", status=503))
    sick = asyncio.run(office.courier().health())
    assert not sick.healthy
    assert "answered 503: loading" in sick.detail
    office.url = dead_url
    assert not asyncio.run(office.courier().health()).healthy


def test_settings_have_defaults(tmp_path):
    settings = CourierSettings.from_environment({"ML_ANALYZE_URL": " ", "HOME": "x"}, tmp_path)
    assert settings.model_dump() == {
        "use_ml_processing": False,
        "url": "http://ml-analyze:8001",
        "poll_interval_seconds": 5,
        "max_file_size_mb": 50,
        "cleanup_ttl_hours": 24,
        "shared": tmp_path / "shared",
    }
    assert settings.max_bytes == 50_000_000


def test_settings_come_from_the_environment(tmp_path):
    given = {
        "USE_ML_PROCESSING": "yes",
        "ML_ANALYZE_URL": "https://ml.example/api/",
        "ML_POLL_INTERVAL_SECONDS": "0.5",
        "SCOUT_SHARED": str(tmp_path / "x"),
    }
    settings = CourierSettings.from_environment(given, Path("unused"))
    assert settings.use_ml_processing
    assert settings.url == "https://ml.example/api"
    assert settings.shared == tmp_path / "x"


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("USE_ML_PROCESSING", "perhaps", "USE_ML_PROCESSING is 'perhaps'"),
        ("ML_ANALYZE_URL", "ml-analyze:8001", "ML_ANALYZE_URL is .*write http://host:port"),
        ("ML_ANALYZE_URL", "http://", "write http://host:port"),
        ("ML_POLL_INTERVAL_SECONDS", "0", "ML_POLL_INTERVAL_SECONDS is '0'"),
        ("MAX_FILE_SIZE_MB", "-1", "MAX_FILE_SIZE_MB is '-1'.*unset it"),
        ("FILE_CLEANUP_TTL_HOURS", "day", "FILE_CLEANUP_TTL_HOURS is 'day'"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, variable, text, said):
    with pytest.raises(BadConfig, match=said):
        CourierSettings.from_environment({variable: text}, tmp_path)


@pytest.mark.parametrize(
    ("own", "overall", "used"),
    [
        (None, False, False),
        (None, True, True),
        (True, False, True),
        (False, True, False),
    ],
)
def test_a_supplier_overrides_the_global_flag(tmp_path, own, overall, used):
    given = {"USE_ML_PROCESSING": str(overall)}
    assert uses_ml(own, CourierSettings.from_environment(given, tmp_path)) is used


def test_the_migration_makes_the_table_of_jobs(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    wanted = sa.MetaData()
    Base.metadata.tables["jobs"].to_metadata(wanted)

    def only_jobs(thing: Any, name: str, kind: str, *_: object) -> bool:
        return kind != "table" or name == "jobs"

    with sa.create_engine(f"sqlite:///{ledger.path}").connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": only_jobs})
        assert compare_metadata(context, wanted) == []
