"""The DuckDB file: waiting for it, and who holds it."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from scout_assets.domain.failures import Transient
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets_tests.gateways.test_warehouse import bad_rows, batch


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


def opened_elsewhere(path: Path) -> str:
    """What another process says of the file, which it opens to write."""
    code = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); "
        "print(c.execute('SELECT count(*) FROM quarantine').fetchone(), "
        "c.execute('SELECT count(*) FROM current_offers').fetchone())"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() + done.stderr


def test_between_calls_nobody_holds_the_file(warehouse):
    """Also not after a failure, and though the engine is kept."""
    warehouse.write(batch(bad_rows("a", "1"), a=1))
    warehouse.read("offers")
    assert opened_elsewhere(warehouse.path) == "(1,) (0,)"
    for opening in (warehouse.reading, warehouse.writing):
        with pytest.raises(duckdb.CatalogException) as kept, opening() as db:
            db.execute("SELECT * FROM nothing_of_that_name")
        assert opened_elsewhere(warehouse.path) == "(1,) (0,)"
        assert kept.value is not None, "and though its traceback is kept"


def test_the_file_may_be_called_otherwise(warehouse):
    warehouse.write(batch(bad_rows("a", "1"), a=1))
    other = warehouse.path.with_name('it\'s "mine".db')
    warehouse.path.rename(other)
    assert opened_elsewhere(other) == "(1,) (0,)", "views are about its own tables"
    moved = DuckDbWarehouse(other)
    moved.write(batch(bad_rows("b", "1"), b=1))
    assert moved.read("quarantine").num_rows == 2
    assert moved.read("current_offers").num_rows == 0


def test_what_was_staged_is_gone_with_the_connection(warehouse):
    with warehouse.reading() as db:
        db.stage("marks", pa.table({"source": ["a"]}))
        assert db.execute("SELECT count(*) FROM marks") == [(1,)]
    with pytest.raises(duckdb.CatalogException, match="marks"), warehouse.reading() as db:
        db.execute("SELECT count(*) FROM marks")


def test_threads_of_one_process_read_beside_each_other_and_write_in_turns(warehouse):
    def work(number: int) -> int:
        warehouse.write(batch(bad_rows(f"s{number}", "1", "2"), **{f"s{number}": 1}))
        return warehouse.read("quarantine", sources=[f"s{number}"]).num_rows

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(24))) == [2] * 24
    assert warehouse.read("quarantine").num_rows == 48
    with warehouse.reading() as one, warehouse.reading() as other:
        query = "SELECT count(*) FROM quarantine"
        assert one.execute(query) == other.execute(query) == [(48,)]
