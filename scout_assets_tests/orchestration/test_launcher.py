"""A run whose process is gone is told from one whose process lives."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from scout_assets.orchestration.launcher import WatchfulRunLauncher

HERE = '{"host": "localhost", "socket": "/tmp/code-server"}'
ELSEWHERE = '{"host": "far.example", "port": 4000}'


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    launcher = {"module": WatchfulRunLauncher.__module__, "class": WatchfulRunLauncher.__name__}
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides={"run_launcher": launcher}) as made:
        yield made


@dg.job
def anything() -> None:
    pass


def health(instance: dg.DagsterInstance, pid: int, place: str = HERE) -> WorkerStatus:
    """Of a run whose process told its number."""
    run = instance.create_run_for_job(
        anything, tags={GRPC_INFO_TAG: place}, status=dg.DagsterRunStatus.STARTED
    )
    instance.report_engine_event("Started", run, EngineEventData.in_process(pid))
    instance.report_engine_event("Something else", run)
    return instance.run_launcher.check_run_worker_health(run).status


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def test_a_run_goes_on_while_its_process_lives(instance: dg.DagsterInstance):
    assert health(instance, os.getpid()) is WorkerStatus.RUNNING


def test_a_run_whose_process_is_gone_has_failed(instance: dg.DagsterInstance, gone: int):
    assert health(instance, gone) is WorkerStatus.FAILED


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_process_that_ended_is_gone_before_its_parent_looks(instance: dg.DagsterInstance):
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert health(instance, process.pid) is WorkerStatus.FAILED
    process.wait()


def test_of_a_run_on_another_machine_nobody_here_can_tell(instance: dg.DagsterInstance, gone: int):
    assert health(instance, gone, ELSEWHERE) is WorkerStatus.RUNNING


def test_dagster_yaml_names_this_launcher():
    named = (Path(__file__).parents[2] / "dagster.yaml").read_text()
    assert f"module: {WatchfulRunLauncher.__module__}" in named
    assert f"class: {WatchfulRunLauncher.__name__}" in named
