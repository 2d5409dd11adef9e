"""`dagster dev` as a process, asked by its GraphQL API.

Belongs here: starting, asking, ending and killing it. Does not belong here: what a test expects
of it.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from scout_assets_tests.loopback import Store
from scout_assets_tests.orchestration.commands import Workplace


class Live:
    """A running `dagster dev`."""

    def __init__(self, place: Workplace, slow: Sequence[Store] = (), **environment: str) -> None:
        self.place = place
        self.slow = slow
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self.log = place.root / f"dev-{port}.log"
        told = " ".join(f"{name}={value}" for name, value in environment.items())
        command = f"exec env {told} dagster dev -p {port} >{self.log} 2>&1"
        self._process = place.start("sh", "-c", command)

    def wait_until_up(self) -> None:
        wait_until(lambda: is_up(self.address), 180, f"dagster dev; see {self.log}")

    def end(self) -> None:
        """As its terminal would; what has not gone after a minute is killed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        self.kill()

    def kill(self) -> None:
        """End it with its code server and all its runs, as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.address}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            told = json.load(answer)
        assert "errors" not in told, told
        return dict(told["data"])

    def statuses(self, asset: str) -> dict[str, str]:
        found = self.ask(STATUSES, path=["roasters", asset])["assetNodeOrError"]
        partitions = found["assetPartitionStatuses"]
        return {
            key: state
            for state in ("unmaterialized", "materialized", "failed", "materializing")
            for key in partitions[f"{state}Partitions"]
        }

    def skipped(self, sensor: str) -> list[str]:
        """What the last ticks of a sensor said when they did nothing, newest first."""
        selector = {**PLACE, "sensorName": sensor}
        found = self.ask(TICKS, selector=selector)["sensorOrError"]["sensorState"]["ticks"]
        return [tick["skipReason"] or "" for tick in found]


STATUSES = """
query Statuses($path: [String!]!) {
  assetNodeOrError(assetKey: {path: $path}) {
    ... on AssetNode {
      assetPartitionStatuses {
        ... on DefaultPartitionStatuses {
          materializedPartitions failedPartitions unmaterializedPartitions materializingPartitions
        }
      }
    }
  }
}
"""
PLACE = {
    "repositoryLocationName": "scout_assets.definitions",
    "repositoryName": "__repository__",
}
TICKS = """
query Ticks($selector: SensorSelector!) {
  sensorOrError(sensorSelector: $selector) {
    ... on Sensor { sensorState { ticks(limit: 20) { status skipReason } } }
  }
}
"""
ALL_RUNS = """
query Runs {
  runsOrError(limit: 1000) {
    ... on Runs { results { runId status creationTime endTime tags { key value } } }
  }
}
"""
ENDED = {"SUCCESS", "CANCELED", "FAILURE"}


class Run(NamedTuple):
    """A run as the UI shows it. Times in seconds since 1970; `ended` is 0 while it goes on."""

    status: str
    created: float
    ended: float
    tags: dict[str, str]


def all_runs(live: Live) -> dict[str, Run]:
    told = live.ask(ALL_RUNS)["runsOrError"]["results"]
    return {
        one["runId"]: Run(
            one["status"],
            one["creationTime"],
            one["endTime"] or 0,
            {tag["key"]: tag["value"] for tag in one["tags"]},
        )
        for one in told
    }


def wait_until(done: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(1)


def is_up(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=2):
            return True
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
