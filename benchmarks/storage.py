"""(c) The warehouse beside bare DuckDB and the stock IO manager, on 1M offers.

Bare: the same Arrow table inserted into a file without anything around it, in one transaction,
and read back as Arrow. Ours does that and looks after schema, watermarks, the file lock, and,
when appending, that no offer is there twice. Stock: dagster-duckdb-pandas, IO manager alone,
with a frame made beforehand and prices as floats, which favours it: as decimals, pandas holds a
Python object each. Every write starts from a new file, except `append`, which adds a second
capture to the first; opening and closing the file counts everywhere.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from dagster._core.types.dagster_type import resolve_dagster_type
from dagster_duckdb_pandas import DuckDBPandasIOManager

from benchmarks.measuring import Measured, interleaved, seconds
from scout_assets.domain.tables import OFFERS
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets.gateways.warehouse import Batch, Watermark

SOURCES = 100
KIND = "roaster"
BARE, STOCK = "bare Arrow and DuckDB", "dagster-duckdb-pandas"


def run(quick: bool) -> Iterator[Measured]:
    """Write, append and read, beside bare DuckDB; write and read beside the stock IO manager."""
    size, rounds = (20_000, 1) if quick else (1_000_000, 3)
    first, second = offers(size, 1), offers(size, 2)
    frame = as_floats(first).to_pandas()
    with tempfile.TemporaryDirectory(prefix="bench-storage-") as folder:
        fresh = (Path(folder) / f"bench-{number}.duckdb" for number in count())
        works = _works(fresh, first, second, frame)
        times = dict(zip(works, interleaved(rounds, *works.values()), strict=True))
    shape = f"{size:,} offers"
    for did, target in (("write", 1.3), ("append", 1.3), ("read", 1.3)):
        ours, bare = times[f"{did} ours"], times[f"{did} bare"]
        yield Measured(f"{did} {shape}", ours, BARE, bare, target, f"{size / ours:,.0f} rows/s")
    for did in ("write", "read"):
        yield Measured(f"{did} {shape}", times[f"{did} ours"], STOCK, times[f"{did} stock"])


def offers(size: int, snapshot: int) -> pa.Table:
    """`size` offers of 100 sources, as they are when capture number `snapshot` changed all."""
    number = pa.array(np.arange(size))
    source = pc.binary_join_element_wise(
        "store", pc.cast(pc.divide(number, max(1, size // SOURCES)), pa.string()), "-"
    )
    external = pc.cast(pc.add(number, 46_000_000_000_000), pa.string())
    product = pc.binary_join_element_wise(source, external, "/")
    price = pa.array((np.arange(size) * 7 + snapshot) % 9_000 + 500)
    printed = pc.binary_join_element_wise(pc.cast(pc.divide(price, 100), pa.string()), "50", ".")
    money = pc.cast(printed, OFFERS.schema.field("price").type)
    columns = {
        "kind": pa.repeat(KIND, size),
        "source": source,
        "offer_id": pc.binary_join_element_wise(product, str(snapshot), "@"),
        "product_id": product,
        "product_external_id": external,
        "snapshot": pa.repeat(snapshot, size),
        "snapshot_hash": pa.repeat(f"{snapshot:064x}", size),
        "observed_at": pa.repeat(datetime(2026, 9, snapshot, tzinfo=UTC), size),
        "price": money,
        "price_raw": printed,
        "compare_at_price": pa.nulls(size),
        "currency": pa.repeat("EUR", size),
        "available": pc.not_equal(pc.bit_wise_and(number, 7), 0),
        "unit_price_100g": money,
        "change": pa.repeat("new" if snapshot == 1 else "price", size),
    }
    return pa.table(columns).select(OFFERS.schema.names).cast(OFFERS.schema)


def _works(
    fresh: Iterator[Path], first: pa.Table, second: pa.Table, frame: object
) -> dict[str, Callable[[], float]]:
    """What is timed, in the order it is done: each side in turn, every read after its write."""
    paths: dict[str, Path] = {}

    def on_a_new_file(side: str, work: Callable[[Path], None]) -> float:
        if side in paths:
            paths[side].unlink()
        paths[side] = next(fresh)
        return seconds(lambda: work(paths[side]))

    def again(side: str, work: Callable[[Path], object]) -> float:
        return seconds(lambda: work(paths[side]))

    return {
        "write ours": lambda: on_a_new_file("ours", partial(_write, rows=first, snapshot=1)),
        "write bare": lambda: on_a_new_file("bare", partial(_write_bare, rows=first)),
        "write stock": lambda: on_a_new_file("stock", partial(_write_stock, frame=frame)),
        "read ours": lambda: again("ours", _read),
        "read bare": lambda: again("bare", _read_bare),
        "read stock": lambda: again("stock", _read_stock),
        "append ours": lambda: again("ours", partial(_write, rows=second, snapshot=2)),
        "append bare": lambda: again("bare", partial(_write_bare, rows=second)),
    }


def _write(path: Path, rows: pa.Table, snapshot: int) -> None:
    marks = {key: Watermark(snapshot, "1") for key in pc.unique(rows["source"]).to_pylist()}
    written = DuckDbWarehouse(path).write(Batch(OFFERS, KIND, rows, marks))
    if written.rows != rows.num_rows:
        raise AssertionError(f"wrote {written.rows} of {rows.num_rows} rows")


def _read(path: Path) -> pa.Table:
    return DuckDbWarehouse(path).read("offers", KIND)


def _write_bare(path: Path, rows: pa.Table) -> None:
    with closing(duckdb.connect(str(path))) as db:
        db.begin()
        db.register("incoming", rows)
        db.execute("CREATE TABLE IF NOT EXISTS offers AS FROM incoming LIMIT 0")
        db.execute("INSERT INTO offers FROM incoming")
        db.commit()


def _read_bare(path: Path) -> pa.Table:
    with closing(duckdb.connect(str(path), read_only=True)) as db:
        return db.sql("FROM offers").to_arrow_table()


def _stock(path: Path) -> Any:  # noqa: ANN401 (the stock IO manager's type is internal)
    configured = DuckDBPandasIOManager(database=str(path))
    context = dg.build_init_resource_context()
    return configured.create_io_manager(context)


def _stock_output(path: Path) -> dg.OutputContext:
    return dg.build_output_context(
        asset_key=["bench", "offers"], resource_config={"connection_config": {}, "database": path}
    )


def _write_stock(path: Path, frame: object) -> None:
    _stock(path).handle_output(_stock_output(path), frame)


def _read_stock(path: Path) -> object:
    context = dg.build_input_context(
        asset_key=["bench", "offers"],
        dagster_type=resolve_dagster_type(Any),
        upstream_output=_stock_output(path),
        resource_config={"connection_config": {}, "database": path},
    )
    return _stock(path).load_input(context)


def as_floats(rows: pa.Table) -> pa.Table:
    plain = [
        field.with_type(pa.float64()) if pa.types.is_decimal(field.type) else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(plain))
