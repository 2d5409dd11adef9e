"""The launcher of runs, which also sees when the process of a run is gone.

Belongs here: whether a run's process lives. Does not belong here: what follows; Dagster fails such
a run and repeats it (`run_monitoring` and `run_retries` in dagster.yaml).

Dagster's own launcher leaves this to the code server that started the process. When both are
killed nobody notices before the hour is over, and four such runs hold every place there is.
"""

import json
import os
from pathlib import Path

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.tags import GRPC_INFO_TAG

__all__ = ["WatchfulRunLauncher"]


class WatchfulRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher; named in dagster.yaml."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """FAILED when the process is gone; of those on other machines nobody here can tell."""
        found = self._process(run) if _is_here(run) else None
        if found is None or _lives(*found):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {found[0]} is gone")

    def _process(self, run: dg.DagsterRun) -> tuple[int, float] | None:
        """The run's newest process and when it reported."""
        reports = self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        for report in reversed(reports):
            pid = report.get_dagster_event().engine_event_data.metadata.get("pid")
            if pid is not None:
                return int(str(pid.value)), report.timestamp
        return None


def _is_here(run: dg.DagsterRun) -> bool:
    """A code server that is reached by a socket is on this machine, and so are its runs."""
    return bool(json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("socket"))


def _lives(pid: int, seen: float) -> bool:
    """Whether the process seen under this number is still there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _began(pid) <= seen + 1


def _began(pid: int) -> float:
    """When the process of that number began; for ever ago where only Linux could tell.

    A number is given to others, and a process that ended may keep it until its parent looks.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/stat").read_text().partition("btime ")[2].split()[0]
    except (OSError, IndexError):
        return float("-inf")
    if state == "Z":
        return float("inf")
    return int(boot) + int(fields[18]) / os.sysconf("SC_CLK_TCK")
