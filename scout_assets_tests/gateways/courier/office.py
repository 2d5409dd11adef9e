"""An analysis service on the loopback, and a courier with all it stands on.

Belongs here: scripting what the service says, handing lists over, letting time pass. Does not
belong here: what should come of it.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scout_assets.domain.jobs import Job
from scout_assets.gateways.artifacts import Artifacts
from scout_assets.gateways.courier import Courier, CourierSettings
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.postgres import Postgres
from scout_assets_tests.loopback import Reply, Request, Store

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
    ledger_at: Path | Postgres | None = None

    def courier(self) -> Courier:
        environment = {"ML_ANALYZE_URL": self.url, **self.options}
        return Courier(
            Ledger(self.ledger_at or self.folder / "ledger.sqlite"),
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
