"""What is old enough to go, and what is needed however old it is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scout_assets.domain.jobs import Job, Phase
from scout_assets.domain.retention import TASKS_AFTER, VANISHED_AFTER, forgotten, over_with

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LONG_AGO = NOW - TASKS_AFTER


def job(name: str, phase: Phase, at: datetime = LONG_AGO, source: str = "nord") -> Job:
    made = Job(name, source, "list.csv", "csv", name, name, 10, at, at)
    return replace(made, phase=phase)


NEWEST = job("newest", Phase.COMPLETE, NOW)


def test_what_vanished_is_forgotten_after_thirty_days():
    assert forgotten(NOW - VANISHED_AFTER, NOW)
    assert not forgotten(NOW - VANISHED_AFTER + SECOND, NOW)
    assert not forgotten(None, NOW), "it is listed"


@pytest.mark.parametrize(
    ("one", "goes"),
    [
        (job("a", Phase.FAILED), True),
        (job("a", Phase.FAILED, LONG_AGO + SECOND), False),
        (job("a", Phase.ANALYZING), False),
        (job("a", Phase.COMPLETE), True),
        (job("landed", Phase.COMPLETE), False),
        (job("landed", Phase.FAILED), True),
        (job("last", Phase.FAILED), False),
        (job("last", Phase.COMPLETE), False),
        (job("a", Phase.FAILED, source="sud"), False),
    ],
    ids=[
        "failed and old",
        "failed and young",
        "still open",
        "complete, but its list never landed",
        "complete: a replay reads it",
        "failed: a replay has nothing to read",
        "failed, and the last list: its failure is shown",
        "complete, and the last list",
        "the only one of its source",
    ],
)
def test_a_finished_job_goes_when_nothing_needs_it(one: Job, goes: bool):
    landed = {("nord", "landed"), ("nord", "last")}
    assert over_with([NEWEST, one], landed, {("nord", "last")}, NOW) == ([one] if goes else [])
