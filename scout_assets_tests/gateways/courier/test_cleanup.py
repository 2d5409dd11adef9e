"""Jobs that are retried, and shared files that have had their time."""

import asyncio
import os
from datetime import UTC, datetime, timedelta

import pytest

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.jobs import Phase
from scout_assets_tests.gateways.courier.office import NOW, said


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
