"""The same world on each engine: files by default, one setting for a server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from scout_assets.definitions import build_defs
from scout_assets.domain.control import Mode
from scout_assets.domain.tables import OFFERS, TABLES
from scout_assets.gateways.copying import unlike
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets.gateways.home import Home
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.maintenance import clean
from scout_assets.gateways.postgres import Postgres
from scout_assets.gateways.postgres_warehouse import PostgresWarehouse
from scout_assets.gateways.warehouse import Batch, Watermark
from scout_assets.gateways.warehouse_views import VIEWS
from scout_assets.orchestration.resources import ScoutHome
from scout_assets_tests.orchestration.commands import BIN, PROJECT, Workplace
from scout_assets_tests.orchestration.lanes import TestWeb, World
from scout_assets_tests.postgres import Server


class SampleWorld(World):
    """The project's samples, in a home of this environment."""

    @property
    def home(self) -> Home:
        return Home.locate(os.environ, str(self.home_root), str(PROJECT / "sources.yaml"))

    def ingest(self) -> None:
        """As `make run` does."""
        self.sources_file = PROJECT / "sources.yaml"
        assert self.run("__ASSET_JOB", selection=["catalogue/sources"]).success
        for lane, kind in (("roasters", "roaster"), ("suppliers", "supplier")):
            keys = self.instance.get_dynamic_partitions(kind)
            assert self.run(lane, keys[0], keys[-1]).success
        assert self.run("match_and_compare", selection=["catalogue/best_prices"]).success

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of every table and view, always in the same order."""
        read = self.home.warehouse.read
        return {name: sorted(read(name).to_pylist(), key=repr) for name in (*TABLES, *VIEWS)}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("SCOUT_RATES", str(PROJECT / "rates.csv"))
    return monkeypatch


def ingested(root: Path) -> dict[str, list[dict[str, Any]]]:
    root.mkdir()
    (root / "dagster").mkdir()
    quiet = {"telemetry": {"enabled": False}, "python_logs": {"python_log_level": "ERROR"}}
    with dg.DagsterInstance.local_temp(str(root / "dagster"), overrides=quiet) as instance:
        world = SampleWorld(root, instance)
        world.ingest()
        return world.rows()


def test_the_sample_world_gives_the_same_rows_on_both_engines(
    tmp_path: Path, postgres: Server, settings: pytest.MonkeyPatch
):
    wanted = ingested(tmp_path / "files")
    settings.setenv("SCOUT_DATABASE", postgres.database())
    found = ingested(tmp_path / "server")
    assert not (tmp_path / "server" / "home" / "ledger.sqlite").exists()
    for name, rows in wanted.items():
        assert len(rows) > 0, f"{name} is not empty"
        assert found[name] == rows, name


def test_a_command_may_have_a_server_of_its_own(tmp_path: Path):
    place = Workplace(tmp_path / "place")
    on_postgres = (sys.executable, "samples/postgres.py")
    place.run(*on_postgres, *place.materialize("key:catalogue/sources"))
    listed = place.run(*on_postgres, "scout", "sources", "list")
    assert "fjordlys" in listed
    assert not (place.root / ".scout" / "dagster" / "history").exists(), "runs are there too"
    assert not list(place.root.rglob("*.sqlite"))


def test_each_part_may_be_moved_alone(
    tmp_path: Path, postgres: Server, settings: pytest.MonkeyPatch
):
    settings.setenv("SCOUT_DATABASE", postgres.database())
    settings.setenv("SCOUT_WAREHOUSE", f"duckdb:///{tmp_path}/own.duckdb")
    home = Home.locate(os.environ, str(tmp_path))
    assert isinstance(home.warehouse, DuckDbWarehouse)
    assert home.warehouse.place == f"{tmp_path}/own.duckdb"
    assert home.engines() == {"duckdb": "duckdb", "sqlite": "postgres"}
    settings.setenv("SCOUT_LEDGER", f"sqlite:///{tmp_path}/own.sqlite")
    settings.setenv("SCOUT_WAREHOUSE", postgres.database())
    home = Home.locate(os.environ, str(tmp_path))
    assert isinstance(home.warehouse, PostgresWarehouse)
    assert home.ledger.path == tmp_path / "own.sqlite"


def test_the_analytics_may_stay_in_a_file(
    tmp_path: Path, postgres: Server, settings: pytest.MonkeyPatch
):
    """One line for the server, one for the file; the lane and its cleaning find both."""
    settings.setenv("SCOUT_DATABASE", postgres.database())
    settings.setenv("SCOUT_WAREHOUSE_ANALYTICS", f"duckdb:///{tmp_path}/analytics.duckdb")
    found = ingested(tmp_path / "server")
    assert found["stats"] != [] != found["offers"]
    file = DuckDbWarehouse(tmp_path / "analytics.duckdb")
    assert sorted(file.read("stats").to_pylist(), key=repr) == found["stats"]
    assert file.read("offers").num_rows == 0
    home = Home.locate(os.environ, str(tmp_path / "server" / "home"))
    assert home.engines("stats")["duckdb"] == "duckdb"
    assert home.engines("offers")["duckdb"] == "postgres"
    retired = found["stats"][0]["source"]
    with home.ledger.session() as session:
        session.execute(sa.text("DELETE FROM sources WHERE key = :key"), {"key": retired})
    (cleaned,) = clean(home, datetime.now(UTC), ["orphans"])
    assert cleaned.failure is None
    left = {row["source"] for row in file.read("stats").to_pylist()}
    assert left == {row["source"] for row in found["stats"]} - {retired}


def test_assets_are_shown_with_what_keeps_them(tmp_path: Path, settings: pytest.MonkeyPatch):
    def kinds() -> dict[str, set[str]]:
        repository = build_defs(ScoutHome(root=str(tmp_path)), TestWeb()).get_repository_def()
        nodes = repository.asset_graph.asset_nodes
        return {node.key.to_user_string(): set(node.kinds) for node in nodes}

    assert kinds()["roasters/parents"] == {"duckdb"}
    assert kinds()["roasters/snapshots"] == {"http", "sqlite"}
    settings.setenv("SCOUT_DATABASE", "postgresql://user:hunter2@nowhere.example/db")
    settings.setenv("SCOUT_WAREHOUSE_ANALYTICS", "duckdb:////tmp/analytics.duckdb")
    assert kinds()["roasters/parents"] == {"postgres"}
    assert kinds()["roasters/snapshots"] == {"http", "postgres"}
    assert kinds()["roasters/stats"] == {"duckdb"}


MILLION = 1_000_000
STORES = 50


def made_up_offers(count: int) -> Iterator[Batch]:
    """So many offers with prices of their own, of fifty stores nobody has heard of."""
    for number in range(STORES):
        source, each = f"made-up-{number}", count // STORES
        ids = [f"{source}/{n}" for n in range(each)]
        filled: dict[str, list[Any]] = {
            "kind": ["roaster"] * each,
            "source": [source] * each,
            "offer_id": [f"{one}@1" for one in ids],
            "product_id": ids,
            "product_external_id": ids,
            "snapshot": [1] * each,
            "snapshot_hash": ["x"] * each,
            "observed_at": [datetime(2026, 11, 22, tzinfo=UTC)] * each,
            "price": [Decimal(number * each + n) / 100 for n in range(each)],
            "currency": ["EUR"] * each,
            "change": ["new"] * each,
        }
        rows = pa.table(
            {name: filled.get(name, [None] * each) for name in OFFERS.schema.names},
            schema=OFFERS.schema,
        )
        yield Batch(OFFERS, "roaster", rows, {source: Watermark(1, "1")})


@pytest.mark.soak
def test_a_million_offers_move_although_it_is_interrupted_twice(
    tmp_path: Path, postgres: Server, settings: pytest.MonkeyPatch
):
    """The sample world and a million offers: killed in the middle of them, twice, then verified."""
    ingested(tmp_path / "files")
    root, address = tmp_path / "files" / "home", postgres.database()
    here = Home.locate(os.environ, str(root))
    for batch in made_up_offers(MILLION):
        here.warehouse.write(batch)
    here.control.switch(Mode.MANUAL, "ana", "moving house", datetime.now(UTC))
    here.ledger.close()
    there = PostgresWarehouse(Postgres(address, "warehouse"))
    environment = {**os.environ, "SCOUT_HOME": str(root)}
    command = [str(BIN / "scout"), "migrate", "--to", address]
    landed = [0]
    for _ in range(2):
        moving = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        while moving.poll() is None and len(there.standing(OFFERS)) < landed[-1] + 15:
            time.sleep(0.02)
        moving.kill()
        assert moving.wait() == -signal.SIGKILL, "it was at it"
        landed.append(len(there.standing(OFFERS)))
    assert 0 < landed[1] < landed[2] < STORES
    began = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    print(f"interrupted at {landed[1:]} slices; the rest in {time.monotonic() - began:.0f} s")
    print(done.stdout)
    for table in TABLES.values():
        assert unlike(here.warehouse, there, table) == [], table.name
    asked = ("sum(price)", "min(price)", "max(price)", "count(DISTINCT product_id)")
    sums = f"SELECT {', '.join(f'CAST({one} AS varchar)' for one in asked)} FROM offers"
    with here.warehouse.reading() as one, there.reading() as other:
        assert one.execute(sums) == other.execute(sums)
    (row,) = there.read("current_offers", sources=["made-up-49"]).slice(19_999, 1).to_pylist()
    assert row["product_id"].startswith("made-up-49/")
    assert Ledger(Postgres(address, "ledger")).sources() == here.ledger.sources()
