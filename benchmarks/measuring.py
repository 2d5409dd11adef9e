"""How times are taken and what a benchmark hands back.

Belongs here: the row of the result table and fair timing. Does not belong here: what is timed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

__all__ = ["Measured", "interleaved", "seconds"]


@dataclass(frozen=True)
class Measured:
    """One line of the result table: `ours` and `peer` in seconds, `target` the largest ratio."""

    name: str
    ours: float
    peer_name: str
    peer: float
    target: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.ours / self.peer

    @property
    def met(self) -> bool | None:
        """None where there is no target."""
        return None if self.target is None else self.ratio <= self.target


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(rounds: int, *works: Callable[[], float]) -> list[float]:
    """The median of what each of `works` returns, asked in turn `rounds` times.

    In turn, so that what else the machine does falls on all of them alike; each times itself,
    so that its preparations do not count.
    """
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for taken, work in zip(times, works, strict=True):
            taken.append(work())
    return [median(taken) for taken in times]
