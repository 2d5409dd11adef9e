"""The brake on what acts by itself: schedules and sensors wait while the mode is manual.

Belongs here: asking before a tick. Does not belong here: the mode (`gateways.control`), runs
that were launched already (`control`, `resources`).
"""

import functools
from collections.abc import Callable
from typing import Any

import dagster as dg

from scout_assets.domain.control import Mode
from scout_assets.orchestration.control import refusal
from scout_assets.orchestration.resources import ScoutHome

__all__ = ["only_in_auto"]


def only_in_auto(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    """A tick that skips in manual and says why; its cursor stays, so nothing is lost.

    For functions of a context and resources, one of which is `home`.
    """

    @functools.wraps(evaluate)
    def asked(*context: Any, home: ScoutHome, **resources: Any) -> Any:  # noqa: ANN401
        state = home.open().control.state()
        if state.mode is not Mode.AUTO:
            return dg.SkipReason(refusal(state))
        return evaluate(*context, home=home, **resources)

    return asked
