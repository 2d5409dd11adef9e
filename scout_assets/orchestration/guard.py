"""What a failure inside a step leads to: tried again, not tried again, or everything stopped.

Belongs here: turning our tree of failures into Dagster's. Does not belong here: failures of one
source among others (`assets.snapshots`), what is bad enough (`domain.failures`).

Dagster has three mechanisms that repeat work, and they agree: a step is tried again for Transient
failures only, three times; a run (`run_retries` in dagster.yaml) only when its process died; and
conditions ask again only when an input has changed. A Critical failure stops automation.
"""

import functools
import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from scout_assets.domain.failures import Critical, Permanent, ScoutFailure, Transient
from scout_assets.orchestration.resources import ScoutHome
from scout_assets.orchestration.tags import ELSEWHERE_TAG

__all__ = ["ATTEMPTS", "elsewhere", "guarded", "judged"]

ATTEMPTS = 3
"""How often a step is tried again."""
LONGEST_WAIT = 60.0
"""Seconds; a step that waits keeps its place among the runs."""


@contextmanager
def judged(home: ScoutHome, attempt: int) -> Iterator[None]:
    """Failures of ours leave as Dagster's. `attempt`: how often the step was tried before."""
    try:
        yield
    except Transient as failure:
        wait = min(failure.retry_after or home.retry_seconds * 2**attempt, LONGEST_WAIT)
        wait *= random.uniform(1, 1.25)
        raise dg.RetryRequested(max_retries=ATTEMPTS, seconds_to_wait=wait) from failure
    except Critical as failure:
        home.trip(str(failure))
        raise _final(failure) from failure
    except ScoutFailure as failure:
        raise _final(failure) from failure


@contextmanager
def elsewhere(context: dg.AssetExecutionContext, what: str) -> Iterator[None]:
    """What fails within is mended elsewhere: it fails its step, and stops nothing else."""
    try:
        yield
    except ScoutFailure as failure:
        context.instance.add_run_tags(context.run.run_id, {ELSEWHERE_TAG: what})
        if isinstance(failure, Critical):
            raise Permanent(f"{what}: {failure}") from failure
        raise


def _final(failure: ScoutFailure) -> dg.Failure:
    return dg.Failure(f"{type(failure).__name__}: {failure}", allow_retries=False)


def guarded(step: Callable[..., Any]) -> Callable[..., Any]:
    """An asset's function under `judged`; one of its resources is `home`."""
    if inspect.isgeneratorfunction(step):

        @functools.wraps(step)
        def yielding(*context: Any, home: ScoutHome, **given: Any) -> Iterator[Any]:  # noqa: ANN401
            with judged(home, _attempt()):
                yield from step(*context, home=home, **given)

        return yielding

    @functools.wraps(step)
    def returning(*context: Any, home: ScoutHome, **given: Any) -> Any:  # noqa: ANN401
        with judged(home, _attempt()):
            return step(*context, home=home, **given)

    return returning


def _attempt() -> int:
    return dg.OpExecutionContext.get().retry_number
