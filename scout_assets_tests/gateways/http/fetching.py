"""Fetching from the loopback: quick policies, one get with a gateway of its own, a made-up network.

Names such as public.example are resolved by the test itself, and connections to the addresses
it makes up are led to the loopback server, so nothing here leaves the machine. Belongs here: how
tests ask through the HTTP gateway. Does not belong here: what servers answer, expectations.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import httpcore
import pytest

from scout_assets.domain.failures import ScoutFailure
from scout_assets.gateways.http import HttpGateway, Page, Policy

QUICK = Policy(
    delay_seconds=0.0,
    jitter_seconds=0.0,
    backoff_seconds=0.01,
    timeout_seconds=2.0,
    deadline_seconds=10.0,
    attempts=3,
    allow_private=True,
)
GUARDED = QUICK.model_copy(update={"allow_private": False})
T = TypeVar("T")
FEED = {"products": [{"id": 1, "title": "Gunung Biru, 250 g"}]}


def policy(**changes: object) -> Policy:
    return Policy.model_validate({**QUICK.model_dump(), **changes})


def run(work: Callable[[HttpGateway], Awaitable[T]], **seams: Any) -> T:
    """Do `work` with an open gateway."""

    async def main() -> T:
        async with HttpGateway(**seams) as gateway:
            return await work(gateway)

    return asyncio.run(main())


def fetch(url: str, counters: Counter[str], rules: Policy = QUICK, **options: Any) -> Page:
    """One get with a gateway of its own; seams of the gateway go into `seams`."""
    seams = options.pop("seams", {})
    return run(lambda g: g.get(url, policy=rules, counters=counters, **options), **seams)


def failure(
    url: str, counters: Counter[str], rules: Policy = QUICK, **options: Any
) -> ScoutFailure:
    with pytest.raises(ScoutFailure) as caught:
        fetch(url, counters, rules, **options)
    return caught.value


class Rerouted(httpcore.AnyIOBackend):
    """A network where every address, public ones too, is the loopback; notes what was dialled."""

    def __init__(self) -> None:
        self.dialled: list[str] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.dialled.append(host)
        return await super().connect_tcp("127.0.0.1", port, timeout)


def names(**known: Sequence[str]) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A resolver; `public_example` stands for public.example. Others do not exist."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        if host.replace(".", "_") not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known[host.replace(".", "_")]

    return resolve


class Clock:
    """Time that passes only by sleeping, so that long waits can be read off at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)
