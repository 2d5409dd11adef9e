"""A world of suppliers: nothing of the machine's own settings, Dagster's records in memory."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from scout_assets.domain.control import Mode
from scout_assets_tests.orchestration.lanes import TestWeb, World

SETTINGS = (
    "USE_ML_PROCESSING",
    "ML_ANALYZE_URL",
    "ML_POLL_INTERVAL_SECONDS",
    "MAX_FILE_SIZE_MB",
    "FILE_CLEANUP_TTL_HOURS",
    "SCOUT_SHARED",
    "SCOUT_WATCH_ROOTS",
    "SCOUT_MASTER_LIST",
    "SCOUT_MASTER_LIST_PRIVATE",
    "SCOUT_HOME",
    "SCOUT_SOURCES",
    "SCOUT_ARTIFACTS",
    "SCOUT_RATES",
)


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The shortest poll interval; all else as on a machine where nothing is set."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ML_POLL_INTERVAL_SECONDS", "0.001")
    monkeypatch.setenv("SCOUT_RATES", str(tmp_path / "rates.csv"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Nothing here outlives a process, and an instance in memory starts at once."""
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        made = World(tmp_path, instance)
        made.home.control.switch(Mode.AUTO, "ana", "sensors are tried here", TestWeb().now())
        yield made
