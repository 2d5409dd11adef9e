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
        pid = self._process(run) if _is_here(run) else None
        if pid is None or _lives(pid):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {pid} is gone")

    def _process(self, run: dg.DagsterRun) -> int | None:
        """The number of the run's newest process, as it reported."""
        reports = self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        for report in reversed(reports):
            pid = report.get_dagster_event().engine_event_data.metadata.get("pid")
            if pid is not None:
                return int(str(pid.value))
        return None


def _is_here(run: dg.DagsterRun) -> bool:
    """A code server that is reached by a socket is on this machine, and so are its runs."""
    return bool(json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("socket"))


def _lives(pid: int) -> bool:
    """Whether a process of that number is there. Should it be another's by now, the run is ended
    at its time limit; times are not compared, for a clock may jump."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _has_ended(pid)


def _has_ended(pid: int) -> bool:
    """A process that ended keeps its number until its parent looks; only Linux tells."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"
