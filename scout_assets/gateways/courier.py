"""The courier: carries price lists to the analysis service and brings back the rows it found.

Belongs here: the shared folder, the jobs' rows in the ledger, who may work on a job now, and
the settings. Does not belong here: a job's life and the service's contract (`domain.jobs`), a
single request (`ml_service`), when to poll (`orchestration`), what the rows mean (the lane).

    courier = Courier(ledger, artifacts, settings)
    job = await courier.start("nord", "prices.xlsx", body, counters)     # one short request
    ...                                                                  # a sensor, every tick:
    for job in await courier.poll(counters): ...                         # bounded in time
    rows = courier.rows(courier.job(job.job_id))                         # once it is complete

A job's row is written before its file, and its file before the service hears of it; whatever is
cut off on the way, the next poll takes up. Who works on a job claims it in its row by
compare-and-set, for a time: of two pollers one asks, and a killed one loses its claim. A file
may so reach the service twice, but never two results one job.

Files stand in `<SCOUT_SHARED>/uploads`, which the service must see under the same path, each
beside its `.meta.json`.

Counters: ml/started, ml/known (these bytes have a job), ml/submitted, ml/polled, ml/not_due,
ml/raced (another one works on it), ml/unanswered, ml/completed, ml/failed, ml/retried,
ml/left (open, for the next pass), ml/files_removed.
"""

import asyncio
import hashlib
import json
import re
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import from_json, to_json
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from scout_assets.domain.failures import (
    BadConfig,
    BrokenContract,
    NotFound,
    Permanent,
    Refused,
    Transient,
)
from scout_assets.domain.jobs import (
    OPEN_PHASES,
    Job,
    Phase,
    RemoteState,
    Status,
    file_type,
    job_id,
    safe_name,
)
from scout_assets.domain.retention import Landed, over_with
from scout_assets.gateways.artifacts import Artifacts
from scout_assets.gateways.exchange import shown
from scout_assets.gateways.ledger import Base, Ledger
from scout_assets.gateways.ml_service import Health, MlService

__all__ = ["Courier", "CourierSettings", "Removed", "uses_ml"]

_CLAIM = timedelta(minutes=2)  # longer than anybody needs for a job's two requests
_AT_ONCE = 8
_OURS = re.compile(r"^(?P<job>[a-z0-9_-]{1,64}\.[0-9a-f]{16})\.")
_UPLOADS = "uploads"
_MEGABYTE = 1_000_000


class CourierSettings(BaseModel):
    """How price lists are handed over; each field is an environment variable."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    use_ml_processing: bool = Field(False, alias="USE_ML_PROCESSING")
    url: str = Field("http://ml-analyze:8001", alias="ML_ANALYZE_URL")
    poll_interval_seconds: float = Field(5, gt=0, le=3600, alias="ML_POLL_INTERVAL_SECONDS")
    max_file_size_mb: float = Field(50, gt=0, le=2000, alias="MAX_FILE_SIZE_MB")
    cleanup_ttl_hours: float = Field(24, gt=0, le=24 * 365, alias="FILE_CLEANUP_TTL_HOURS")
    shared: Path = Field(alias="SCOUT_SHARED")

    @field_validator("url")
    @classmethod
    def _web_url(cls, text: str) -> str:
        try:
            url = httpx.URL(text)
        except httpx.InvalidURL:
            url = httpx.URL("")
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError("write http://host:port")
        return text.rstrip("/")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], home: Path) -> Self:
        """Settings from variables; an empty one counts as unset. `home`: the installation.

        Raises BadConfig naming each wrong variable.
        """
        given = {name: text.strip() for name, text in environment.items() if text.strip()}
        shared = Path(given.get("SCOUT_SHARED") or home / "shared").expanduser().resolve()
        try:
            return cls.model_validate({**given, "SCOUT_SHARED": shared})
        except ValidationError as error:
            raise BadConfig("\n".join(map(_explained, error.errors()))) from None

    @property
    def max_bytes(self) -> int:
        return int(self.max_file_size_mb * _MEGABYTE)


def _explained(problem: Any) -> str:  # noqa: ANN401 (pydantic's ErrorDetails)
    variable, given = problem["loc"][0], problem["input"]
    told = shown(str(given)) if variable == "ML_ANALYZE_URL" else given
    mend = problem["msg"].removeprefix("Value error, ")
    return f"{variable} is {told!r}: {mend}; correct it, or unset it for the default"


def uses_ml(source_flag: bool | None, settings: CourierSettings) -> bool:
    """Whether a supplier's lists go to the service: its own word first, then the global one."""
    return settings.use_ml_processing if source_flag is None else source_flag


@dataclass(frozen=True)
class Removed:
    """Files a clean-up took away, or would. `size` in bytes."""

    files: tuple[Path, ...]
    size: int


class _JobRow(Base):
    __tablename__ = "jobs"

    job_id: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    file_type: Mapped[str]
    file: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    phase: Mapped[str] = mapped_column(index=True)
    progress: Mapped[int]
    attempts: Mapped[int]
    remote_id: Mapped[str | None]
    polled_at: Mapped[datetime | None]
    silent_since: Mapped[datetime | None]
    error: Mapped[str | None]
    retryable: Mapped[bool]
    result_sha256: Mapped[str | None]
    rows: Mapped[int | None]
    claimed_until: Mapped[datetime | None]


class _Jobs:
    """The table of jobs: every change is a compare-and-set."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def find(self, key: str) -> Job | None:
        with self._ledger.session() as session:
            row = session.get(_JobRow, key)
            return None if row is None else _job(row)

    def all(self, source: str | None, phases: Sequence[Phase]) -> tuple[Job, ...]:
        """Those asked about longest ago first."""
        query = (
            sa.select(_JobRow)
            .where(_JobRow.phase.in_(phases))
            .order_by(_JobRow.polled_at.nulls_first(), _JobRow.created_at, _JobRow.job_id)
        )
        if source is not None:
            query = query.where(_JobRow.source == source)
        with self._ledger.session() as session:
            return tuple(_job(row) for row in session.scalars(query))

    def add(self, job: Job, claim: datetime) -> bool:
        """A new job, claimed; False when it is there already."""
        try:
            with self._ledger.session() as session:
                session.add(_JobRow(**_columns(job), claimed_until=claim))
        except IntegrityError:
            return False
        return True

    def remove(self, jobs: Sequence[Job]) -> None:
        """Those that are still as they are given; somebody may have taken one up again."""
        with self._ledger.session() as session:
            for job in jobs:
                same = (_JobRow.phase == job.phase, _JobRow.attempts == job.attempts)
                session.execute(sa.delete(_JobRow).where(_JobRow.job_id == job.job_id, *same))

    def swap(
        self,
        old: Job,
        new: Job,
        *,
        now: datetime,
        held: datetime | None = None,
        claim: datetime | None = None,
    ) -> bool:
        """Replace `old` by `new` if that is how it still stands and nobody else claims it.

        `held`: the caller's claim so far; `claim`: its claim from now on.
        """
        until = _JobRow.claimed_until
        free = until == held if held else sa.or_(until.is_(None), until <= now)
        change = (
            sa.update(_JobRow)
            .where(
                _JobRow.job_id == old.job_id,
                _JobRow.phase == old.phase,
                _JobRow.attempts == old.attempts,
                _JobRow.polled_at.is_not_distinct_from(old.polled_at),
                free,
            )
            .values(**_columns(new), claimed_until=claim)
            .returning(_JobRow.job_id)
        )
        with self._ledger.session() as session:
            return session.execute(change).first() is not None


def _columns(job: Job) -> dict[str, Any]:
    return {item.name: getattr(job, item.name) for item in fields(job)} | {"phase": job.phase.value}


def _job(row: _JobRow) -> Job:
    told = {item.name: getattr(row, item.name) for item in fields(Job)}
    return Job(**told | {"phase": Phase(row.phase)})


class Courier:
    """Carries for one installation. `pass_seconds` bounds a poll, `clock` gives aware times."""

    def __init__(
        self,
        ledger: Ledger,
        artifacts: Artifacts,
        settings: CourierSettings,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pass_seconds: float = 20.0,
    ) -> None:
        self._jobs = _Jobs(ledger)
        self._artifacts = artifacts
        self._settings = settings
        self._clock = clock
        self._pass_seconds = pass_seconds
        self._folder = settings.shared / _UPLOADS

    # What is known

    def job(self, key: str) -> Job:
        """Raises BadConfig for an unknown job."""
        found = self._jobs.find(key)
        if found is None:
            raise BadConfig(f"there is no job {key!r} in the ledger")
        return found

    def jobs(
        self, source: str | None = None, phases: Sequence[Phase] = tuple(Phase)
    ) -> tuple[Job, ...]:
        """Known jobs, those asked about longest ago first."""
        return self._jobs.all(source, phases)

    def rows(self, job: Job) -> list[dict[str, Any]]:
        """What the service found. Raises BadConfig for a job that is not complete."""
        if job.phase is not Phase.COMPLETE or job.result_sha256 is None:
            raise BadConfig(f"job {job.job_id} is {job.phase}: it has no rows")
        rows: list[dict[str, Any]] = from_json(self._artifacts.get(job.result_sha256))
        return rows

    def path(self, job: Job) -> Path:
        """Where the job's file is, or was before a clean-up."""
        return self._folder / job.file

    async def health(self) -> Health:
        """Whether the service answers now."""
        async with self._service() as service:
            return await service.health()

    # Carrying

    async def start(self, source: str, name: str, body: bytes, counters: Counter[str]) -> Job:
        """Hand over a price list; `name` is its file name, whose suffix tells the type.

        The same bytes of a source are one job: open or complete, it is returned as it is;
        failed, it is attempted again. A service that does not answer leaves the job open, in
        `downloading`. Raises Refused above MAX_FILE_SIZE_MB, BadConfig for a name of no price
        list, BrokenContract for an empty file; then there is no job.
        """
        now = self._clock()
        job = self._new(source, name, body, now)
        claim = now + _CLAIM
        if self._jobs.add(job, claim):
            counters["ml/started"] += 1
        else:
            known = self.job(job.job_id)
            failed = known.phase is Phase.FAILED
            job = known.again(now) if failed else known
            if job.phase is not Phase.DOWNLOADING or not self._jobs.swap(
                known, job, now=now, claim=claim
            ):
                counters["ml/known"] += 1
                return self.job(job.job_id)
            counters["ml/retried"] += failed
        try:
            await asyncio.to_thread(self._write, job, body)
        except OSError as error:
            mend = "give it room and the right to write there, then retry"
            why = f"cannot write into the shared folder {self._folder}: {error.strerror}; {mend}"
            return self._keep(job, job.failed(why, now, True), claim, counters)
        return await self._deliver(job, claim, counters)

    def _new(self, source: str, name: str, body: bytes, now: datetime) -> Job:
        kind, size = file_type(name), len(body)
        if not body:
            raise BrokenContract(f"{name} of {source} is empty; ask the supplier for the list")
        if size > self._settings.max_bytes:
            raise Refused(
                f"{name} of {source} has {size:,} bytes, more than MAX_FILE_SIZE_MB allows "
                f"({self._settings.max_file_size_mb:g}); split the list, or raise the limit"
            )
        digest = hashlib.sha256(body).hexdigest()
        key = job_id(source, digest)
        return Job(key, source, name, kind, safe_name(key, name), digest, size, now, now)

    async def retry(self, key: str, counters: Counter[str]) -> Job:
        """Attempt a failed job again with the kept file; without it, the job says so.

        Raises BadConfig for an unknown job, and for one that did not fail.
        """
        now, job = self._clock(), self.job(key)
        again, claim = job.again(now), now + _CLAIM
        self._touch(job)  # a clean-up must not take the file meanwhile
        if not self._jobs.swap(job, again, now=now, claim=claim):
            counters["ml/raced"] += 1
            return self.job(key)
        counters["ml/retried"] += 1
        return await self._deliver(again, claim, counters)

    async def retry_all(self, keys: Sequence[str], counters: Counter[str]) -> tuple[Job, ...]:
        """Attempt these failed jobs again; without keys those that may well pass next time.

        Raises BadConfig for one that is unknown or did not fail, before any is attempted.
        """
        known = [self.job(key) for key in keys]
        for job in known:
            job.again(self._clock())
        failed = known or [job for job in self.jobs(phases=(Phase.FAILED,)) if job.retryable]
        return tuple([await self.retry(job.job_id, counters) for job in failed])

    async def _deliver(self, job: Job, claim: datetime, counters: Counter[str]) -> Job:
        async with self._service() as service:
            return await self._work(job, claim, service, counters)

    async def poll(self, counters: Counter[str]) -> tuple[Job, ...]:
        """One pass over the open jobs; those it asked about, as they stand now.

        Ends within `pass_seconds`: what it did not reach waits for the next one. Raises
        Transient when the ledger is locked.
        """
        now = self._clock()
        asked_before = now - timedelta(seconds=self._settings.poll_interval_seconds)
        jobs = self._jobs.all(None, OPEN_PHASES)
        due = [job for job in jobs if job.polled_at is None or job.polled_at <= asked_before]
        counters["ml/not_due"] += len(jobs) - len(due)
        if not due:
            return ()
        places = asyncio.Semaphore(_AT_ONCE)
        async with self._service() as service:
            tasks = [
                asyncio.create_task(self._visit(job, service, places, counters)) for job in due
            ]
            done, left = await asyncio.wait(tasks, timeout=self._pass_seconds)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        counters["ml/left"] += len(left)
        seen = [task.result() for task in tasks if task in done]
        return tuple(job for job in seen if job is not None)

    async def _visit(
        self, job: Job, service: MlService, places: asyncio.Semaphore, counters: Counter[str]
    ) -> Job | None:
        """Claim a job and bring it on; None when another one works on it."""
        async with places:
            now = self._clock()
            claim = now + _CLAIM
            if not self._jobs.swap(job, job, now=now, claim=claim):
                counters["ml/raced"] += 1
                return None
            counters["ml/polled"] += 1
            return await self._work(job, claim, service, counters)

    async def _work(
        self, job: Job, claim: datetime, service: MlService, counters: Counter[str]
    ) -> Job:
        """Bring a claimed job one step on, and give it back whatever happens."""
        try:
            after = await self._step(job, service, counters)
        except BaseException:
            self._jobs.swap(job, job, now=self._clock(), held=claim)
            raise
        return self._keep(job, after, claim, counters)

    def _keep(self, before: Job, after: Job, claim: datetime, counters: Counter[str]) -> Job:
        if not self._jobs.swap(before, after, now=self._clock(), held=claim):
            counters["ml/raced"] += 1  # the claim ran out, and another one took over
            return self.job(before.job_id)
        if after.phase is not before.phase and not after.is_open:
            counters["ml/completed" if after.phase is Phase.COMPLETE else "ml/failed"] += 1
        return after

    async def _step(self, job: Job, service: MlService, counters: Counter[str]) -> Job:
        """What the service's next answer makes of the job."""
        try:
            if job.phase is Phase.DOWNLOADING or job.remote_id is None:
                return await self._submit(job, service, counters)
            status = await service.status(job.remote_id)
            if status.status is RemoteState.COMPLETED:
                return await self._collect(job, status, service)
            return job.reported(status, self._clock())
        except Transient as failure:
            counters["ml/unanswered"] += 1
            return job.silent(str(failure), self._clock())
        except NotFound as failure:
            restarted = job.remote_id is not None
            mend = "; the service forgot the job, as after a restart: retry" if restarted else ""
            return job.failed(f"{failure}{mend}", self._clock(), restarted)
        except Permanent as failure:
            return job.failed(str(failure), self._clock())

    async def _submit(self, job: Job, service: MlService, counters: Counter[str]) -> Job:
        missing = await asyncio.to_thread(self._unusable, job)
        if missing is not None:
            return job.failed(missing, self._clock())
        answer = await service.submit(str(self.path(job)), job.source, job.file_type)
        counters["ml/submitted"] += 1
        return job.accepted(answer, self._clock())

    async def _collect(self, job: Job, status: Status, service: MlService) -> Job:
        rows = await service.rows(status)
        if not rows:
            why = f"the service found no row at all in {job.name}; the last rows stay"
            return job.failed(why, self._clock())
        body = to_json(rows, inf_nan_mode="null")
        digest = await asyncio.to_thread(self._artifacts.put, body)
        return job.completed(digest, len(rows), self._clock())

    def _service(self) -> MlService:
        return MlService(self._settings.url, min(10.0, self._pass_seconds / 2))

    # The shared folder

    def _write(self, job: Job, body: bytes) -> None:
        """The meta data first: no file stands without them. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        meta = {
            "job_id": job.job_id,
            "supplier_id": job.source,
            "original_filename": job.name,
            "file_type": job.file_type,
            "sha256": job.sha256,
            "size_bytes": job.size,
            "created_at": job.created_at.isoformat(),
        }
        _write_whole(_meta(self.path(job)), json.dumps(meta, indent=2).encode())
        _write_whole(self.path(job), body)

    def _touch(self, job: Job) -> None:
        for path in (self.path(job), _meta(self.path(job))):
            if path.exists():
                path.touch()

    def _unusable(self, job: Job) -> str | None:
        """Why the job's file cannot be handed over; None when it can."""
        path, again = self.path(job), "fetch the list again"
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            hours = f"{self._settings.cleanup_ttl_hours:g}"
            return f"{path} is gone (FILE_CLEANUP_TTL_HOURS is {hours}); {again}"
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}; {again}"
        return None if digest == job.sha256 else f"{path} was changed by somebody; {again}"

    def cleanup(self, now: datetime, counters: Counter[str], dry_run: bool = False) -> Removed:
        """Remove files older than FILE_CLEANUP_TTL_HOURS, each with its meta data.

        Files of open jobs and files that are not the courier's stay. With `dry_run` all stay.
        """
        oldest = (now - timedelta(hours=self._settings.cleanup_ttl_hours)).timestamp()
        removed: list[Path] = []
        size = 0
        for key, files in self._files_by_job().items():
            job = self._jobs.find(key)
            if (job is not None and job.is_open) or max(files.values())[0] > oldest:
                continue
            for path, (_, length) in files.items():
                if not dry_run:
                    path.unlink(missing_ok=True)
                removed.append(path)
                size += length
        counters["ml/files_removed"] += 0 if dry_run else len(removed)
        return Removed(tuple(sorted(removed)), size)

    def forget(
        self, landed: Landed, last: Landed, now: datetime, dry_run: bool = False
    ) -> list[Job]:
        """Remove old finished jobs that nothing needs (`retention.over_with`)."""
        over = over_with(self.jobs(), landed, last, now)
        if not dry_run:
            self._jobs.remove(over)
        return over

    def results(self) -> set[str]:
        """The artifacts that hold what the service found."""
        return {job.result_sha256 for job in self.jobs() if job.result_sha256 is not None}

    def _files_by_job(self) -> dict[str, dict[Path, tuple[float, int]]]:
        """Our files by job, each with its time of change and size."""
        found: dict[str, dict[Path, tuple[float, int]]] = {}
        if not self._folder.is_dir():
            return found
        for path in self._folder.iterdir():
            name = _OURS.match(path.name)
            if name is None or path.is_symlink() or not path.is_file():
                continue
            try:
                state = path.stat()
            except FileNotFoundError:
                continue  # another clean-up was first
            found.setdefault(name["job"], {})[path] = (state.st_mtime, state.st_size)
        return found


def _meta(path: Path) -> Path:
    return path.with_name(f"{path.name}.meta.json")


def _write_whole(path: Path, body: bytes) -> None:
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        beside.write_bytes(body)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
