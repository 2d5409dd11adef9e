"""Runs benchmarks and prints one table: `python -m benchmarks [names] [--quick]`."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Measured

NAMES = (
    "lane",
    "crawl",
    "storage",
    "postgres_storage",
    "parsing",
    "search",
    "matching",
    "price_lists",
    "automation",
)


def main() -> None:
    """Each benchmark is imported when its turn comes: what one loads must not slow another."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    arguments.add_argument("names", nargs="*", metavar="name", help=", ".join(NAMES))
    arguments.add_argument("--quick", action="store_true", help="small sizes; ratios mean little")
    given = arguments.parse_args()
    unknown = sorted(set(given.names) - set(NAMES))
    if unknown:
        arguments.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    console = Console(width=None if sys.stdout.isatty() else 150)
    found = []
    for name in given.names or NAMES:
        for measured in _run(name, given.quick):
            console.print(f"{measured.name}: {measured.ratio:.2f} times {measured.peer_name}")
            found.append(measured)
    console.print(_table(found))


def _run(name: str, quick: bool) -> Iterator[Measured]:
    run: Callable[[bool], Iterator[Measured]] = import_module(f"benchmarks.{name}").run
    return run(quick)


def _table(found: Iterable[Measured]) -> Table:
    table = Table("benchmark", "ours", "peer or limit", "its", "ratio", "target", "met?", "")
    for column in (1, 3, 4, 5):
        table.columns[column].justify = "right"
    for one in found:
        table.add_row(
            one.name,
            _time(one.ours),
            one.peer_name,
            _time(one.peer),
            f"{one.ratio:.2f}",
            "" if one.target is None else f"≤ {one.target:g}",
            {None: "", True: "yes", False: "no"}[one.met],
            one.note,
        )
    return table


def _time(taken: float) -> str:
    return f"{taken:.2f} s" if taken >= 1 else f"{1000 * taken:.1f} ms"


if __name__ == "__main__":
    main()
