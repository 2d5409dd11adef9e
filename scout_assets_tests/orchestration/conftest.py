"""Worlds of their own for tests of the Dagster shell."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from scout_assets_tests.orchestration.lanes import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    folder = tmp_path / "dagster"
    folder.mkdir()
    quiet = {"telemetry": {"enabled": False}, "python_logs": {"python_log_level": "ERROR"}}
    with dg.DagsterInstance.local_temp(str(folder), overrides=quiet) as instance:
        yield World(tmp_path, instance)
