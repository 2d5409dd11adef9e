"""A stop ends whatever is under way, and nothing else."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import pytest

from scout_assets.domain.failures import Transient
from scout_assets.gateways.http import HttpGateway, Page, Stopped
from scout_assets_tests.gateways.http.fetching import FEED, QUICK, failure, policy, run
from scout_assets_tests.loopback import Reply, Store


def stopped_after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def test_a_stop_before_the_first_request_sends_none(shop: Store, counters: Counter[str]) -> None:
    error = failure(shop.url("/feed.json"), counters, seams={"cancelled": lambda: True})
    assert isinstance(error, Stopped)
    assert isinstance(error, Transient)
    assert shop.requests == []
    assert counters == {"http/stopped": 1}


def test_a_stop_while_robots_txt_is_due_is_no_fault_of_the_host(
    shop: Store, counters: Counter[str]
) -> None:
    signals = iter([False])  # at the start of the get; true from then on
    error = failure(
        shop.url("/feed.json"), counters, seams={"cancelled": lambda: next(signals, True)}
    )
    assert isinstance(error, Stopped)
    assert shop.requests == []
    assert counters == {"http/stopped": 1}


@pytest.mark.parametrize(
    ("reply", "changes"),
    [
        (Reply.json(FEED, pause=9), {"timeout_seconds": 9.0}),
        (Reply.json(list(range(999)), drip=1), {}),
        (Reply(status=500), {"backoff_seconds": 9.0, "deadline_seconds": 99.0}),
        (Reply(status=429, headers={"Retry-After": "9"}), {}),
        (Reply.json(FEED), {"delay_seconds": 9.0}),
    ],
    ids=["silent server", "dripping body", "back-off", "Retry-After", "politeness"],
)
def test_a_stop_ends_whatever_is_waited_for(
    shop: Store, counters: Counter[str], reply: Reply, changes: dict[str, object]
) -> None:
    shop.route("/x.json", reply)
    began = time.monotonic()
    error = failure(
        shop.url("/x.json"), counters, policy(**changes), seams={"cancelled": stopped_after(0.3)}
    )
    assert isinstance(error, Stopped)
    assert "stopped" in str(error)
    assert time.monotonic() - began < 1.2
    assert counters["http/stopped"] == 1


def test_a_stop_between_two_requests_of_a_crawl(shop: Store, counters: Counter[str]) -> None:
    async def work(gateway: HttpGateway) -> None:
        for _ in range(9):
            await gateway.get(shop.url("/feed.json"), policy=QUICK, counters=counters)

    with pytest.raises(Stopped):
        run(work, cancelled=lambda: len(shop.requests) >= 4)
    assert len(shop.requests) == 4


def test_a_stop_signal_that_cannot_be_read_stops(shop: Store, counters: Counter[str]) -> None:
    asked = []

    def broken() -> bool:
        asked.append(1)
        if len(asked) > 4:
            raise OSError("ledger is locked")
        return False

    shop.route("/x.json", Reply.json(FEED, pause=5))
    error = failure(shop.url("/x.json"), counters, seams={"cancelled": broken})
    assert isinstance(error, Stopped)
    assert "ledger is locked" in str(error)


def test_a_cancelled_task_leaves_the_gateway_in_order(shop: Store, counters: Counter[str]) -> None:
    shop.route("/slow.json", Reply.json(FEED, pause=5))
    rules = policy(concurrency=1)

    async def work(gateway: HttpGateway) -> Page:
        slow = asyncio.create_task(
            gateway.get(shop.url("/slow.json"), policy=rules, counters=counters)
        )
        await asyncio.sleep(0.2)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        return await gateway.get(shop.url("/feed.json"), policy=rules, counters=counters)

    assert run(work).status == 200
    assert counters["http/stopped"] == 0
