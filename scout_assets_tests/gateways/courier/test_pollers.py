"""Several pollers at once, killed ones too: each job is submitted once and asked about once.

On either engine of the ledger.
"""

import asyncio
import multiprocessing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from scout_assets.domain.jobs import Job, Phase
from scout_assets.gateways.postgres import Postgres
from scout_assets_tests.gateways.courier.office import LIST, Clock, Office, Service


@pytest.fixture
def office(tmp_path: Path, service: Service, ledger_place: Path | Postgres) -> Office:
    return Office(tmp_path, Clock(), service.url, ledger_at=ledger_place)


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


def _poll_in_process(
    folder: Path, url: str, ledger_at: Path | Postgres, results: "multiprocessing.Queue[int]"
) -> None:
    clock = Clock()
    clock.pass_by(seconds=5)
    results.put(len(Office(folder, clock, url, ledger_at=ledger_at).poll()))


def test_of_several_processes_one_asks_about_each_job(office, service):
    service.pause = 1.0  # so that the others come while the first is at it
    jobs = [office.start(body=LIST + b"%d" % number) for number in range(5)]
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    arguments = (office.folder, office.url, office.ledger_at, results)
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
