"""(h) What automation costs while it looks for work.

The tick of `due_sources` over 10,000 sources: idle, and with every one of them due, when it claims
as many as may wait (20 dispatches of 200). The idle tick of `flow_on` over 1,000 roasters that have
run through their lane: all its conditions are evaluated, and nothing has changed. Both are the real
sensors, in this process, on an instance of Dagster on disk. The limits are ours: a tick of
`due_sources` comes every 30 seconds, and Dagster gives up on one after 60. The note has the time of
the processor, which tells apart what else the machine does.
"""

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

import dagster as dg
import sqlalchemy as sa

from benchmarks.made_up import products, shopify_page
from benchmarks.measuring import Measured
from scout_assets.domain.catalogue import Kind
from scout_assets.domain.control import Mode
from scout_assets.domain.dispatch import LARGEST, WAITING_AT_MOST
from scout_assets.domain.sources import Platform, Source
from scout_assets.gateways.ledger import SourceRow
from scout_assets_tests.orchestration.lanes import TestWeb, World
from scout_assets_tests.orchestration.ticks import evaluated

QUIET = {"telemetry": {"enabled": False}, "python_logs": {"python_log_level": "ERROR"}}
NOW = TestWeb().now()
CADENCES = [("0 3 1 * *", "0 4 * * 0"), ("0 3 * * 1", "0 */6 * * *"), ("@daily", "@hourly")]
TICK, FOLLOWING = 1.0, 10.0


def run(quick: bool) -> Iterator[Measured]:
    """Ticks of `due_sources`, idle and busy, and one of `flow_on`."""
    many, few, rounds = (300, 10, 2) if quick else (10_000, 1_000, 5)
    warnings.filterwarnings("ignore", category=dg.BetaWarning)  # of evaluating conditions
    idle, busy = _ticks(many, rounds)
    yield _measured(f"due_sources, {many} sources, idle", idle, TICK)
    yield _measured(f"due_sources, {many} sources, all due", busy, TICK)
    yield _measured(f"flow_on, {few} roasters, idle", _following(few, rounds), FOLLOWING)


@dataclass(frozen=True)
class Taken:
    """Seconds by the clock, and of the processor."""

    wall: float
    cpu: float

    @classmethod
    def by(cls, work: Callable[[], object]) -> "Taken":
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return cls(time.perf_counter() - wall, time.process_time() - cpu)


def _measured(name: str, taken: Sequence[Taken], limit: float) -> Measured:
    """The median of what was taken."""
    cpu = median(one.cpu for one in taken)
    wall = median(one.wall for one in taken)
    return Measured(name, wall, f"limit of {limit:g} s", limit, 1.0, f"{cpu:.2f} s of processor")


def _ticks(count: int, rounds: int) -> tuple[list[Taken], list[Taken]]:
    """Ticks when nothing is due, and when everything is."""
    with _world() as world:
        _know(world, count)
        repository = world.defs().get_repository_def()

        def tick() -> int:
            return len(evaluated(world.instance, repository, "due_sources").requests)

        def timed(due_at: datetime, expected: int) -> Taken:
            _due_at(world, due_at)
            taken = Taken.by(lambda: _must_equal(tick(), expected))
            for dispatch in world.home.dispatches.open():
                world.home.dispatches.end(dispatch.number, "FETCHED", NOW)
            return taken

        full = min(WAITING_AT_MOST, -(-count // LARGEST))
        timed(NOW, full)  # imports
        pairs = [
            (timed(NOW + timedelta(hours=1), 0), timed(NOW - timedelta(hours=1), full))
            for _ in range(rounds)
        ]
    return [idle for idle, _ in pairs], [busy for _, busy in pairs]


def _know(world: World, count: int) -> None:
    """So many sources, as the ledger and Dagster have them once they were asked."""
    declared = [
        Source(
            key=f"store-{number:05}",
            platform=Platform.SHOPIFY,
            location=f"https://store-{number}.example",
            full_cadence=CADENCES[number % len(CADENCES)][0],
            price_cadence=CADENCES[number % len(CADENCES)][1],
        )
        for number in range(count)
    ]
    world.home.ledger.sync(declared, NOW - timedelta(days=1))
    world.home.control.switch(Mode.AUTO, "bench", "measuring", NOW - timedelta(days=1))
    world.instance.add_dynamic_partitions(Kind.ROASTER, [source.key for source in declared])


def _due_at(world: World, moment: datetime) -> None:
    """Every source was asked lately, and is due at `moment`."""
    asked = {"last_attempt_at": NOW - timedelta(hours=2), "failures": 0}
    due = {"full_due_at": moment, "price_due_at": moment}
    with world.home.ledger.session() as session:
        session.execute(sa.update(SourceRow).values(**asked, **due))


def _following(count: int, rounds: int) -> list[Taken]:
    """Evaluations of `flow_on`'s conditions in which nothing has changed."""
    with _world() as world:
        keys = [f"store-{number:04}" for number in range(count)]
        world.declare(*(_captured(world.root, key, number) for number, key in enumerate(keys)))
        ran = world.run("roasters", keys[0], keys[-1])
        if not ran.success:
            raise AssertionError("the lane failed")
        world.home.control.switch(Mode.AUTO, "bench", "measuring", NOW)
        repository = world.defs().get_repository_def()
        cursor = evaluated(world.instance, repository, "flow_on").cursor

        def idle() -> None:
            again = evaluated(world.instance, repository, "flow_on", cursor)
            _must_equal(len(again.requests), 0)
            if again.cursor == cursor:
                raise AssertionError(f"no condition was evaluated: {again.skipped}")

        return [Taken.by(idle) for _ in range(rounds)]


def _captured(root: Path, key: str, number: int) -> dict[str, str]:
    path = root / f"{key}.json"
    path.write_bytes(shopify_page(products(1, 2, first=number)))
    return {"key": key, "platform": "shopify", "location": str(path), "currency": "EUR"}


def _must_equal(found: int, expected: int) -> None:
    if found != expected:
        raise AssertionError(f"{found} were asked for, not {expected}: not the tick to measure")


@contextmanager
def _world() -> Iterator[World]:
    """An installation and an instance of Dagster, in a folder on disk."""
    with tempfile.TemporaryDirectory(prefix="bench-automation-") as folder:
        dagster_home = Path(folder) / "dagster"
        dagster_home.mkdir()
        with dg.DagsterInstance.local_temp(str(dagster_home), overrides=QUIET) as instance:
            yield World(Path(folder), instance)
