"""(a) The whole roasters lane over many roasters in one run.

Ours: the job `roasters` as it is shipped (fetch, parse, fold, embed, index, stats, overview,
checks) over file captures of 5 products x 4 variants. Peer: a graph of the same assets and
edges whose assets only make up a frame of as many rows, on dagster-duckdb-pandas' own IO
manager. Both run in this process, in one single-run backfill over the same range of dynamic
partitions, each with a Dagster instance and a DuckDB file of its own on disk; loading the job
counts, imports and partition registration do not. What the ratio tells is the price of all the
real work on top of what Dagster and its stock storage cost anyway.
On Postgres: the same run with warehouse, ledger and Dagster's storage on a server (PyPI's, with a
Postgres's own settings), beside all of them in files.
The second run finds every capture unchanged. The large run has no peer of its own: per roaster
it is compared with the small one.
"""

import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any

import dagster as dg
import pyarrow as pa
from dagster_duckdb_pandas import DuckDBPandasIOManager

from benchmarks.made_up import products, shopify_page
from benchmarks.measuring import Measured, interleaved, seconds
from scout_assets.definitions import build_defs
from scout_assets.gateways.home import Home
from scout_assets_tests.orchestration.lanes import RANGE, World
from scout_assets_tests.postgres import Server

PRODUCTS, VARIANTS = 5, 4
QUIET = {"telemetry": {"enabled": False}, "python_logs": {"python_log_level": "ERROR"}}
STOCK = "stock IO manager, trivial assets"


def run(quick: bool) -> Iterator[Measured]:
    """200 roasters beside the stock graph, again unchanged, and 1,000 roasters."""
    few, many, rounds = (20, 40, 1) if quick else (200, 1_000, 2)
    warnings.filterwarnings("ignore", category=dg.BetaWarning)  # the stock graph's backfill policy
    _lane(_keys(2), runs=1)  # imports of both sides
    _stock(_keys(2))
    again: list[float] = []

    def ours() -> float:
        first, second = _lane(_keys(few), runs=2)
        again.append(second)
        return first

    with _server() as server:
        _lane(_keys(2), 1, server.database())
        lane, stock, on_postgres = interleaved(
            rounds,
            ours,
            lambda: _stock(_keys(few)),
            lambda: _lane(_keys(few), 1, server.database())[0],
        )
    yield Measured(f"lane, {few} roasters", lane, STOCK, stock, 2.0, _per(lane, few))
    yield Measured(f"lane, {few} roasters on Postgres", on_postgres, "in files", lane, 1.5)
    unchanged = median(again)
    yield Measured(f"lane again, {few} unchanged", unchanged, STOCK, stock, 2.0)
    (large,) = _lane(_keys(many), runs=1)
    yield Measured(
        f"lane, {many} roasters",
        large,
        f"{many / few:g} x the {few}",
        lane * many / few,
        note=_per(large, many),
    )


def _keys(count: int) -> list[str]:
    return [f"store-{number:04}" for number in range(count)]


def _per(taken: float, count: int) -> str:
    return f"{1000 * taken / count:.0f} ms a roaster"


class HereOrThere(World):
    """A world that is where the environment says."""

    @property
    def home(self) -> Home:
        return Home.locate(os.environ, str(self.home_root), str(self.sources_file))


def _lane(keys: Sequence[str], runs: int, database: str = "") -> list[float]:
    """Seconds of the first run, and of further ones over unchanged captures.

    `database`: the address of an empty one on a server; else all is in files.
    """
    with _environment(database), _folder(STORAGE if database else {}) as (root, instance):
        world = HereOrThere(root, instance)
        world.declare(*(_declared(root, key, number) for number, key in enumerate(keys)))

        def once() -> None:
            _must_succeed(world.run("roasters", keys[0], keys[-1]))

        taken = [seconds(once) for _ in range(runs)]
        listed = world.home.warehouse.read("products").num_rows
        if listed != len(keys) * PRODUCTS * VARIANTS:
            raise AssertionError(f"the lane wrote {listed} products of {len(keys)} roasters")
        return taken


def _declared(root: Path, key: str, number: int) -> dict[str, Any]:
    path = root / f"{key}.json"
    path.write_bytes(shopify_page(products(PRODUCTS, VARIANTS, first=number * PRODUCTS)))
    return {"key": key, "platform": "shopify", "location": str(path), "currency": "EUR"}


def _stock(keys: Sequence[str]) -> float:
    """Seconds of the stock graph's first run."""
    with _folder() as (root, instance):
        instance.add_dynamic_partitions("roaster", list(keys))

        def once() -> None:
            job = _stock_graph(root / "stock.duckdb").resolve_job_def("trivial")
            tags = dict(zip(RANGE, (keys[0], keys[-1]), strict=True))
            _must_succeed(job.execute_in_process(instance=instance, tags=tags))

        return seconds(once)


def _stock_graph(database: Path) -> dg.Definitions:
    """The lane's keys and edges, with nothing behind them."""
    graph = build_defs().resolve_asset_graph()
    lane = dg.AssetSelection.groups("roasters").resolve(graph)
    return dg.Definitions(
        assets=[_trivial(key, sorted(graph.get(key).parent_keys & lane)) for key in sorted(lane)],
        jobs=[dg.define_asset_job("trivial")],
        executor=dg.in_process_executor,
        resources={"io_manager": DuckDBPandasIOManager(database=str(database))},
    )


def _trivial(key: dg.AssetKey, deps: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        key=key,
        deps=deps,
        partitions_def=dg.DynamicPartitionsDefinition(name="roaster"),
        backfill_policy=dg.BackfillPolicy.single_run(),
        metadata={"partition_expr": "source"},
    )
    def trivial(context: dg.AssetExecutionContext) -> Any:  # noqa: ANN401 (pandas has no types)
        rows = [
            {"source": source, "number": number, "title": f"{source} {number}", "price": 12.5}
            for source in context.partition_keys
            for number in range(PRODUCTS * VARIANTS)
        ]
        return pa.Table.from_pylist(rows).to_pandas()

    return trivial


def _must_succeed(result: dg.ExecuteInProcessResult) -> None:
    if not result.success:
        failures = [e.message for e in result.all_events if e.is_failure]
        raise AssertionError(f"a benchmarked run failed: {failures}")


STORAGE: Mapping[str, Any] = {
    "storage": {
        "custom": {
            "module": "scout_assets.orchestration.storage",
            "class": "ScoutStorage",
            "config": {"base_dir": "unused"},
        }
    }
}


@contextmanager
def _server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="bench-lane-") as folder:
        server = Server(Path(folder) / "server", durable=True)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def _environment(database: str) -> Iterator[None]:
    os.environ["SCOUT_DATABASE"] = database
    try:
        yield
    finally:
        del os.environ["SCOUT_DATABASE"]


@contextmanager
def _folder(
    storage: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[tuple[Path, dg.DagsterInstance]]:
    """A folder with a Dagster instance in it, on disk unless its storage is set elsewhere."""
    with tempfile.TemporaryDirectory(prefix="bench-lane-") as folder:
        dagster_home = Path(folder) / "dagster"
        dagster_home.mkdir()
        with dg.DagsterInstance.local_temp(
            str(dagster_home), overrides={**QUIET, **storage}
        ) as instance:
            yield Path(folder), instance
