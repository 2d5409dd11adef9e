"""Price lists handed to an external analysis service: the life of one job.

Belongs here: the phases and which answer leads from one to the next, the bounds after which a
job is given up, the shape of the service's answers. Does not belong here: asking the service,
the shared folder and the jobs' rows (`gateways.courier`), what the found rows mean.

    downloading ──→ analyzing ──→ matching ──→ complete
         └───────────────┴────────────┴──────→ failed ──(retry)──→ downloading

The service's contract; further fields are ignored, and every path is below ML_ANALYZE_URL:

    POST /analyze/file        {file_path, supplier_id, file_type: excel | csv | pdf}
         2xx                  {job_id}                                            → Accepted
    GET  /analyze/status/{job_id}
         200                  {job_id, status: pending | processing | completed | failed,
                               progress_percentage: 0..100, phase?, error?,
                               items?: [row, …], result_url?}                     → Status
         404                  it does not know the job, as after a restart
    GET  result_url           [row, …] or {items: [row, …]}; of the service's own origin
    GET  /health              any 2xx

A row is an object as the service found it (name, price, sku, …). A completed job brings
`items`, or the `result_url` to get them from.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from slugify import slugify

from scout_assets.domain.failures import BadConfig

__all__ = [
    "FILE_TYPES",
    "GIVE_UP_AFTER",
    "OPEN_PHASES",
    "STALLED_AFTER",
    "Accepted",
    "Job",
    "Phase",
    "RemoteState",
    "Status",
    "file_type",
    "job_id",
    "safe_name",
]

GIVE_UP_AFTER = timedelta(minutes=30)
"""A service silent for so long is taken for dead; its jobs fail and can be retried."""
STALLED_AFTER = timedelta(hours=6)
"""A job the service calls running, without any progress for so long, is taken for lost."""
FILE_TYPES: Mapping[str, str] = {
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".pdf": "pdf",
}
"""Suffixes of price lists, with the word the service has for each."""
_ERROR_LENGTH = 500
_STEM_LENGTH = 60


class Phase(StrEnum):
    """Where a job is; what operators see."""

    DOWNLOADING = "downloading"
    ANALYZING = "analyzing"
    MATCHING = "matching"
    COMPLETE = "complete"
    FAILED = "failed"


OPEN_PHASES = (Phase.DOWNLOADING, Phase.ANALYZING, Phase.MATCHING)
"""In order: a job never goes back, but by a retry."""


class RemoteState(StrEnum):
    """What the service says about a job."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


def _percentage(value: object) -> object:
    """Null and numbers out of bounds are the service's carelessness, not a reason to fail."""
    if value is None:
        return 0
    return int(min(max(value, 0), 100)) if isinstance(value, int | float) else value


def _text(value: object) -> object:
    return value if value is None else str(value)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)


class Accepted(_Answer):
    """The service took a file."""

    job_id: str = Field(min_length=1)


class Status(_Answer):
    """What the service says about one of its jobs; see the module's contract."""

    job_id: str = Field(min_length=1)
    status: Annotated[RemoteState, BeforeValidator(lambda v: str(v).strip().lower())]
    progress_percentage: Annotated[int, BeforeValidator(_percentage)] = 0
    phase: Annotated[str | None, BeforeValidator(_text)] = None
    error: Annotated[str | None, BeforeValidator(_text)] = None
    items: list[Any] | None = None
    result_url: str | None = None


@dataclass(frozen=True)
class Job:
    """One price list on its way through the service.

    `job_id` is ours, `remote_id` the service's. `progress` in percent. `size` in bytes.
    `changed_at`: when phase or progress last moved; `silent_since`: the first request of an
    unbroken row without a usable answer. `retryable`: the same bytes may well pass next time.
    `result_sha256` names the artifact with the rows, a JSON list of `rows` objects.
    """

    job_id: str
    source: str
    name: str
    file_type: str
    file: str
    sha256: str
    size: int
    created_at: datetime
    changed_at: datetime
    phase: Phase = Phase.DOWNLOADING
    progress: int = 0
    attempts: int = 1
    remote_id: str | None = None
    polled_at: datetime | None = None
    silent_since: datetime | None = None
    error: str | None = None
    retryable: bool = False
    result_sha256: str | None = None
    rows: int | None = None

    @property
    def is_open(self) -> bool:
        return self.phase in OPEN_PHASES

    def accepted(self, answer: Accepted, now: datetime) -> "Job":
        """The service took the file."""
        return replace(
            self,
            phase=Phase.ANALYZING,
            remote_id=answer.job_id,
            changed_at=now,
            polled_at=now,
            silent_since=None,
            error=None,
        )

    def reported(self, answer: Status, now: datetime) -> "Job":
        """The service is at it, or failed. A completed job needs its rows: `completed`."""
        if answer.status is RemoteState.FAILED:
            said = answer.error or "without a reason"
            return self.failed(f"the service could not analyse {self.name}: {said}", now)
        matching = (answer.phase or "").strip().lower() == Phase.MATCHING
        phase = Phase.MATCHING if matching or self.phase is Phase.MATCHING else Phase.ANALYZING
        progress = max(self.progress, answer.progress_percentage)
        moved = (phase, progress) != (self.phase, self.progress)
        if not moved and now - self.changed_at >= STALLED_AFTER:
            why = f"no progress beyond {progress} % for {_hours(STALLED_AFTER)} h"
            return self.failed(f"{why}; look at the service's log, then retry", now, True)
        changed_at = now if moved else self.changed_at
        return replace(
            self,
            phase=phase,
            progress=progress,
            changed_at=changed_at,
            polled_at=now,
            silent_since=None,
            error=None,
        )

    def silent(self, why: str, now: datetime) -> "Job":
        """No usable answer this time; given up once that lasts `GIVE_UP_AFTER`."""
        since = self.silent_since or now
        if now - since >= GIVE_UP_AFTER:
            minutes = GIVE_UP_AFTER // timedelta(minutes=1)
            return self.failed(
                f"no answer of the service for {minutes} min ({why}); "
                "see that it runs and that ML_ANALYZE_URL is right, then retry",
                now,
                True,
            )
        return replace(self, polled_at=now, silent_since=since, error=_short(why))

    def completed(self, result_sha256: str, rows: int, now: datetime) -> "Job":
        """The rows are stored."""
        return replace(
            self,
            phase=Phase.COMPLETE,
            progress=100,
            result_sha256=result_sha256,
            rows=rows,
            changed_at=now,
            polled_at=now,
            silent_since=None,
            error=None,
        )

    def failed(self, why: str, now: datetime, retryable: bool = False) -> "Job":
        """The end of this attempt, with reason and mend."""
        return replace(
            self, phase=Phase.FAILED, error=_short(why), retryable=retryable, changed_at=now
        )

    def again(self, now: datetime) -> "Job":
        """A new attempt with the same file. Raises BadConfig for a job that did not fail."""
        if self.phase is not Phase.FAILED:
            raise BadConfig(f"job {self.job_id} is {self.phase}: only failed jobs are retried")
        return replace(
            self,
            phase=Phase.DOWNLOADING,
            progress=0,
            attempts=self.attempts + 1,
            remote_id=None,
            polled_at=None,
            silent_since=None,
            error=None,
            retryable=False,
            changed_at=now,
        )


def _short(text: str) -> str:
    return text if len(text) <= _ERROR_LENGTH else text[: _ERROR_LENGTH - 1] + "…"


def _hours(span: timedelta) -> int:
    return span // timedelta(hours=1)


def job_id(source: str, sha256: str) -> str:
    """`source.<16 hex digits>`: the same bytes of a source are one job, whoever brings them."""
    return f"{source}.{sha256[:16]}"


def _suffix(name: str) -> str:
    found = re.search(r"\.[A-Za-z0-9]{1,8}$", name.strip())
    return found[0].lower() if found else ""


def file_type(name: str) -> str:
    """What the service is told about a file of this name. Raises BadConfig for no price list."""
    try:
        return FILE_TYPES[_suffix(name)]
    except KeyError:
        known = ", ".join(FILE_TYPES)
        raise BadConfig(f"{name!r} is no price list by its name; known: {known}") from None


def safe_name(job: str, name: str) -> str:
    """The name of a job's file in the shared folder: nothing in `name` can lead out of it.

    >>> safe_name("nord.0123456789abcdef", "../../Liste Früh 2026.XLSX")
    'nord.0123456789abcdef.liste-fruh-2026.xlsx'
    """
    suffix, bare = _suffix(name), name.strip()
    stem = re.split(r"[/\\]", bare[: len(bare) - len(suffix)])[-1]
    return f"{job}.{slugify(stem, max_length=_STEM_LENGTH) or 'list'}{suffix}"
