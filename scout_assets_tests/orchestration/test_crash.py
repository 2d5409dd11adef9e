"""A run killed at any moment: after the next run the tables equal those of an undisturbed one.

Also runs at the same time, on different partitions and on the same one.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from scout_assets.domain.tables import TABLES
from scout_assets.gateways.home import Home
from scout_assets_tests.orchestration.commands import Workplace

pytestmark = pytest.mark.xdist_group("crash")

RANGE = ("--partition-range", "casa-tostada...molino-verde")

Tables = dict[str, list[dict]]


def tables(place: Workplace) -> Tables:
    warehouse = Home.locate({}, str(place.root / ".scout")).warehouse
    return {
        table.name: sorted(
            warehouse.read(table.name).to_pylist(),
            key=lambda row: [str(row[part]) for part in table.key],
        )
        for table in TABLES.values()
    }


def prepared(root: Path) -> Workplace:
    place = Workplace(root)
    place.run(*place.materialize("key:catalogue/sources"))
    return place


def undisturbed(root: Path) -> tuple[Tables, float]:
    place = prepared(root)
    started = time.monotonic()
    place.run(*place.materialize("group:roasters", *RANGE))
    return tables(place), time.monotonic() - started


def kill_and_run_again(root: Path, moments: list[float]) -> tuple[Tables, int]:
    """Kill a run at each of `moments` (seconds after its start), then let one finish."""
    place = prepared(root)
    killed = 0
    for moment in moments:
        process = place.start(*place.materialize("group:roasters", *RANGE))
        time.sleep(moment)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.communicate()
    place.run(*place.materialize("group:roasters", *RANGE))
    return tables(place), killed


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tables, float]:
    """What a run that nobody disturbs comes to, and its seconds."""
    return undisturbed(tmp_path_factory.mktemp("alone") / "place")


def assert_tables_survive(tmp_path: Path, alone: tuple[Tables, float], kills: int) -> None:
    wanted, seconds = alone
    assert all(wanted[name] for name in ("parents", "products", "offers", "search_documents"))
    moments = [random.uniform(0.3, 1.0) * seconds for _ in range(kills)]
    found, killed = kill_and_run_again(tmp_path / "killed", moments)
    print(f"\n{killed} of {kills} runs of {seconds:.1f} s killed at {sorted(moments)}")
    assert killed > 0
    assert found == wanted


def test_tables_survive_kills(tmp_path: Path, alone: tuple[Tables, float]):
    assert_tables_survive(tmp_path, alone, 3)


@pytest.mark.soak
def test_tables_survive_many_kills(tmp_path: Path, alone: tuple[Tables, float]):
    assert_tables_survive(tmp_path, alone, 30)


def test_runs_at_once_on_the_same_and_on_other_partitions_lose_nothing(
    tmp_path: Path, alone: tuple[Tables, float]
):
    wanted, _ = alone
    place = prepared(tmp_path / "crowded")
    runs = [
        place.start(*place.materialize("group:roasters", "--partition", key))
        for key in ("fjordlys", "fjordlys", "casa-tostada")
    ]
    outputs = [run.communicate(timeout=180)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], "\n".join(outputs)
    place.run(*place.materialize("group:roasters", "--partition", "molino-verde"))
    assert tables(place) == wanted
