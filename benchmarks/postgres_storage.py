"""(i) The warehouse on Postgres beside bare ADBC, pandas and DuckDB, on 1M offers.

The server is PyPI's, of this process, with a Postgres's own settings. Bare: `adbc_ingest` of the
same Arrow table into a table with the same columns, key and index, and `fetch_arrow_table` of it,
with decimals cast as ours are. pandas: `to_sql` with its fastest setting (`method="multi"`) on a
tenth of the rows, counted ten times, from a frame made beforehand. DuckDB: ours, on a file. Many
writers: sixteen, on slices of their own, beside one that writes the same slices one after another.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from benchmarks.measuring import Measured, interleaved, seconds
from benchmarks.storage import KIND, as_floats, offers
from scout_assets.domain.tables import OFFERS
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets.gateways.postgres import Postgres
from scout_assets.gateways.postgres_warehouse import PostgresWarehouse
from scout_assets.gateways.warehouse import Batch, Warehouse, Watermark
from scout_assets_tests.postgres import Server

BARE, PANDAS, DUCKDB = "bare ADBC", "pandas.to_sql", "DuckDB"
WRITERS = 16


def run(quick: bool) -> Iterator[Measured]:
    """Write and read beside each peer, and sixteen writers beside one."""
    size, rounds = (20_000, 1) if quick else (1_000_000, 3)
    with tempfile.TemporaryDirectory(prefix="bench-postgres-") as folder:
        server = Server(Path(folder) / "server", durable=True)
        try:
            yield from _beside(server, Path(folder), size, rounds)
            yield from _many(server, size // 10, rounds)
        finally:
            server.stop()


def _beside(server: Server, folder: Path, size: int, rounds: int) -> Iterator[Measured]:
    rows = offers(size, 1)
    tenth = as_floats(rows.slice(0, size // 10)).to_pandas()
    works = _works(server, folder, rows, tenth)
    times = dict(zip(works, interleaved(rounds, *works.values()), strict=True))
    shape = f"{size:,} offers"
    for did in ("write", "read"):
        ours, bare = times[f"{did} ours"], times[f"{did} bare"]
        yield Measured(f"{did} {shape}", ours, BARE, bare, 1.3, f"{size / ours:,.0f} rows/s")
        yield Measured(f"{did} {shape}", ours, DUCKDB, times[f"{did} duckdb"])
    yield Measured(f"write {shape}", times["write ours"], PANDAS, 10 * times["pandas"], 0.1)


def _works(
    server: Server, folder: Path, rows: pa.Table, tenth: pd.DataFrame
) -> dict[str, Callable[[], float]]:
    places: dict[str, Warehouse] = {}
    bare: list[Postgres] = []
    files = (folder / f"bench-{number}.duckdb" for number in count())

    def write_ours(kind: str, new: Callable[[], Warehouse]) -> float:
        places[kind] = new()
        places[kind].read("offers")  # the schema is made
        return seconds(lambda: _write(places[kind], rows))

    def write_bare() -> float:
        made = PostgresWarehouse(server.schema())
        made.read("offers")
        bare[:] = [made.server]
        return seconds(lambda: _write_bare(made.server, rows))

    return {
        "write ours": lambda: write_ours("postgres", lambda: PostgresWarehouse(server.schema())),
        "write bare": write_bare,
        "write duckdb": lambda: write_ours("duckdb", lambda: DuckDbWarehouse(next(files))),
        "pandas": lambda: seconds(lambda: _to_sql(server.schema(), tenth)),
        "read ours": lambda: seconds(lambda: places["postgres"].read("offers", KIND)),
        "read bare": lambda: seconds(lambda: _read_bare(bare[0])),
        "read duckdb": lambda: seconds(lambda: places["duckdb"].read("offers", KIND)),
    }


def _write(warehouse: Warehouse, rows: pa.Table) -> None:
    marks = {key: Watermark(1, "1") for key in pc.unique(rows["source"]).to_pylist()}
    written = warehouse.write(Batch(OFFERS, KIND, rows, marks))
    if written.rows != rows.num_rows:
        raise AssertionError(f"wrote {written.rows} of {rows.num_rows} rows")


def _write_bare(server: Postgres, rows: pa.Table) -> None:
    with server.connection("bench") as raw, contextlib.closing(raw.cursor()) as cursor:
        cursor.adbc_ingest("offers", rows, mode="append", db_schema_name=server.schema)
        raw.commit()


def _read_bare(server: Postgres) -> pa.Table:
    with server.connection("bench") as raw, contextlib.closing(raw.cursor()) as cursor:
        cursor.execute("SELECT * FROM offers")
        found = cursor.fetch_arrow_table()
    for place, field in enumerate(found.schema):
        if isinstance(field.type, pa.BaseExtensionType):
            chunks = [chunk.storage for chunk in found.column(place).chunks]
            exact = pa.chunked_array(chunks, field.type.storage_type).cast(pa.decimal128(18, 4))
            found = found.set_column(place, field.name, exact)
    return found


def _to_sql(server: Postgres, frame: pd.DataFrame) -> None:
    server.make_schema("bench")
    engine = sa.create_engine(server.address("psycopg2"))
    frame.to_sql("offers", engine, index=False, method="multi", chunksize=2_000)
    engine.dispose()


def _many(server: Server, size: int, rounds: int) -> Iterator[Measured]:
    """Each slice is a batch of its own, as runs of single sources write them."""
    rows = offers(size, 1)
    slices = [rows.filter(pc.equal(rows["source"], source)) for source in pc.unique(rows["source"])]

    def write(writers: int) -> float:
        warehouse = PostgresWarehouse(server.schema())
        warehouse.read("offers")
        with ThreadPoolExecutor(writers) as pool:
            return seconds(lambda: list(pool.map(lambda part: _write(warehouse, part), slices)))

    many, one = interleaved(rounds, lambda: write(WRITERS), lambda: write(1))
    name = f"{len(slices)} slices of {size // len(slices):,} by {WRITERS} writers"
    yield Measured(name, many, "one writer", one, 1.0)
