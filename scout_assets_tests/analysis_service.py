"""A small analysis service in a process of its own, to be killed and started again by tests.

Belongs here: the service's side of the contract in `domain.jobs`, over csv files with `;`.
Does not belong here: faults that a scripted server shows better (`loopback`).

    python -m scout_assets_tests.analysis_service PORT MEMORY STEPS PAUSE

A job is complete at its STEPS-th status; each status takes PAUSE seconds. MEMORY is the file
that keeps the jobs over a restart; `-` keeps none. Port 0 takes a free one; the first line
printed is the port.
"""

import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _Service(ThreadingHTTPServer):
    """The server with its jobs: id → [file, statuses told]."""

    allow_reuse_address = True

    def __init__(self, port: int, memory: Path | None, steps: int, pause: float) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.memory, self.steps, self.pause = memory, steps, pause
        known = memory is not None and memory.exists()
        self.jobs: dict[str, list[Any]] = json.loads(memory.read_text()) if known else {}

    def remember(self) -> None:
        if self.memory is not None:
            self.memory.write_text(json.dumps(self.jobs))


class _Handler(BaseHTTPRequestHandler):
    server: _Service

    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        job = f"a{time.time_ns()}"
        self.server.jobs[job] = [order["file_path"], 0]
        self.server.remember()
        self._answer({"job_id": job}, 202)

    def do_GET(self) -> None:
        if self.path == "/health":
            return self._answer({"status": "healthy"})
        job = self.path.rpartition("/")[2]
        if job not in self.server.jobs:
            return self._answer({"detail": "Job not found"}, 404)
        time.sleep(self.server.pause)
        self.server.jobs[job][1] += 1
        self.server.remember()
        return self._answer({"job_id": job, **self._status(*self.server.jobs[job])})

    def _status(self, file: str, told: int) -> dict[str, Any]:
        if told < self.server.steps:
            progress = 100 * told // self.server.steps
            return {"status": "processing", "progress_percentage": progress}
        with Path(file).open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter=";"))
        return {"status": "completed", "progress_percentage": 100, "items": rows}

    def _answer(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests look at what the courier made of it."""


@contextmanager
def running(
    port: int = 0, memory: Path | None = None, steps: int = 2, pause: float = 0.0
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The service as a process, and its port; killed at the end of the block, if not before."""
    arguments = [str(port), str(memory or "-"), str(steps), str(pause)]
    command = [sys.executable, "-m", "scout_assets_tests.analysis_service", *arguments]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def _main(port: str, memory: str, steps: str, pause: str) -> None:
    kept = None if memory == "-" else Path(memory)
    with _Service(int(port), kept, int(steps), float(pause)) as service:
        print(service.server_port, flush=True)
        service.serve_forever()


if __name__ == "__main__":
    _main(*sys.argv[1:])
