"""How long things are kept that nobody needs any more.

Belongs here: the ages, and what is old enough to go. Does not belong here: removing it
(`gateways.maintenance`), the clock.

Snapshots and offers are history: they are kept for ever.
"""

from collections.abc import Iterable, Set
from datetime import datetime, timedelta

from scout_assets.domain.jobs import Job, Phase

__all__ = [
    "ALERTS_AFTER",
    "ARTIFACT_GRACE",
    "DISPATCHES_AFTER",
    "QUARANTINE_AFTER",
    "RUNS_AFTER",
    "TASKS_AFTER",
    "VANISHED_AFTER",
    "Landed",
    "forgotten",
    "over_with",
]

VANISHED_AFTER = timedelta(days=30)
"""What a source has not listed for so long is forgotten; should it return, it is new."""
QUARANTINE_AFTER = timedelta(days=30)
"""Of sources retired so long ago nobody mends the unreadable rows of the last snapshot."""
TASKS_AFTER = timedelta(days=7)
"""Finished jobs of the ML service."""
RUNS_AFTER = timedelta(days=7)
"""Finished runs of Dagster, with their events and logs."""
DISPATCHES_AFTER = timedelta(days=30)
"""What automation asked of Dagster, after it ended: the month that `scout runs` can look back."""
ALERTS_AFTER = timedelta(days=90)
"""Alerts, with what became of each in each channel: the season that `scout alerts` looks back."""
ARTIFACT_GRACE = timedelta(hours=24)
"""Artifacts are stored before the row that points at them: younger ones may be about to get one."""

Landed = Set[tuple[str, str]]
"""Lists by source and sha256."""


def forgotten(gone_at: datetime | None, now: datetime) -> bool:
    """Whether what vanished at that time is not kept any more."""
    return gone_at is not None and gone_at <= now - VANISHED_AFTER


def over_with(jobs: Iterable[Job], landed: Landed, last: Landed, now: datetime) -> list[Job]:
    """Old finished jobs that nothing needs: no replay of snapshots, and nobody who looks.

    `landed`: all lists with a snapshot, whose complete jobs a replay reads again; `last`: those of
    each source's last snapshot. The newest job of each source stays.
    """
    known = sorted(jobs, key=lambda job: job.created_at)
    newest = {job.source: job.job_id for job in known}

    def needed(job: Job) -> bool:
        its_list = job.source, job.sha256
        replayed = job.phase is Phase.COMPLETE and its_list in landed
        return replayed or its_list in last or newest[job.source] == job.job_id

    old = (job for job in known if not job.is_open and job.changed_at <= now - TASKS_AFTER)
    return [job for job in old if not needed(job)]
