"""The DuckDB file: waiting for it, and who holds it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scout_assets.domain.failures import Transient
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets_tests.gateways.test_warehouse import batch


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDbWarehouse:
    return DuckDbWarehouse(tmp_path / "warehouse.duckdb", wait_seconds=20)


def test_a_writer_waits_for_another_and_says_who_holds_the_file(warehouse):
    hurried = DuckDbWarehouse(warehouse.path, wait_seconds=0.2)
    with (
        warehouse.writing(),
        pytest.raises(Transient, match=f"process {os.getpid()} has held it"),
    ):
        hurried.write(batch([], a=1))


def test_a_foreign_program_that_has_the_file_open_is_named(warehouse):
    warehouse.write(batch([], a=1))
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(warehouse.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(Transient, match=f"(?s)open in another program.*{holder.pid}"):
            DuckDbWarehouse(warehouse.path, wait_seconds=0.3).read("offers")
        holder.communicate("\n")
    assert warehouse.read("offers").num_rows == 0
