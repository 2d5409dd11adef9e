"""Price lists carried to a real analysis service on the loopback, and what comes back."""

import asyncio
import json
import re
import threading
from datetime import timedelta

import pytest

from scout_assets.domain.failures import BadConfig, BrokenContract, Refused
from scout_assets.domain.jobs import GIVE_UP_AFTER, Phase
from scout_assets_tests.analysis_service import running
from scout_assets_tests.gateways.courier.office import DONE, LIST, ROWS, Office, Service, said
from scout_assets_tests.loopback import Reply


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
