"""How often and how much at once a host is asked, and the bounds of a policy."""

import asyncio
import time
from collections import Counter

import pytest
from pydantic import ValidationError

from scout_assets.gateways.http import HttpGateway, Policy
from scout_assets_tests.gateways.http.fetching import FEED, policy, run
from scout_assets_tests.loopback import Loopback, Reply, Store

# Politeness


def test_starts_to_one_host_are_spaced_whoever_asks(shop: Store, counters: Counter[str]) -> None:
    rules = policy(delay_seconds=0.12, jitter_seconds=0.04, concurrency=10)

    async def work(gateway: HttpGateway) -> None:
        url = shop.url("/feed.json")
        sources = ["north", "south"] * 3
        await asyncio.gather(
            *(gateway.get(url, policy=rules, counters=counters, source=s) for s in sources)
        )

    run(work)
    gaps = shop.gaps()
    assert len(gaps) == 6
    assert min(gaps) > 0.06
    assert 0.6 * 0.12 < sum(gaps) / 6 < 0.12 * 1.6


def test_hosts_do_not_wait_for_each_other(loopback: Loopback, counters: Counter[str]) -> None:
    stores = [loopback.store() for _ in range(20)]
    for store in stores:
        store.route("/feed.json", Reply.json(FEED))
    rules = policy(delay_seconds=0.2)

    async def crawl(gateway: HttpGateway, store: Store) -> None:
        for page in range(3):
            url = store.url(f"/feed.json?page={page}")
            await gateway.get(url, policy=rules, counters=counters)

    async def work(gateway: HttpGateway) -> None:
        await asyncio.gather(*(crawl(gateway, store) for store in stores))

    began = time.monotonic()
    run(work)
    floor = 3 * 0.2  # four requests each, robots.txt first
    assert floor <= time.monotonic() - began < 2.5 * floor  # one after another: 20 times
    assert counters["http/ok"] == 60


def test_a_source_has_so_many_gets_under_way_and_no_more(
    shop: Store, counters: Counter[str]
) -> None:
    shop.route("/slow.json", Reply.json(FEED, pause=0.2))
    rules = policy(concurrency=2, respect_robots=False)

    async def work(gateway: HttpGateway) -> None:
        asked = (
            gateway.get(shop.url("/slow.json"), policy=rules, counters=counters, source=name)
            for name in ["north"] * 4 + ["south"] * 2
        )
        await asyncio.gather(*asked)

    run(work)
    first, *_, last = [request.at for request in shop.requests]
    early = [request for request in shop.requests if request.at - first < 0.15]
    assert len(early) == 4
    assert 0.15 < last - first < 0.4


def test_a_run_has_so_many_requests_under_way_and_no_more(
    loopback: Loopback, counters: Counter[str]
) -> None:
    stores = [loopback.store() for _ in range(6)]
    for store in stores:
        store.route("/slow.json", Reply.json(FEED, pause=0.15))
    rules = policy(respect_robots=False)

    async def work(gateway: HttpGateway) -> None:
        asked = (s.url("/slow.json") for s in stores)
        await asyncio.gather(*(gateway.get(u, policy=rules, counters=counters) for u in asked))

    run(work, max_in_flight=2)
    times = sorted(store.requests[0].at for store in stores)
    assert times[2] - times[0] > 0.12
    assert times[4] - times[2] > 0.12


# Policy


@pytest.mark.parametrize(
    "changes",
    [
        {"concurrency": 0},
        {"concurrency": 11},
        {"max_bytes": 0},
        {"attempts": 0},
        {"timeout_seconds": 0},
        {"delay_seconds": -1},
        {"user_agent": "Mozilla/5.0 (X11; Linux)"},
        {"user_agent": "scout/1 (+https://a.example)\r\nX: y"},
        {"delay": 1},
    ],
)
def test_a_policy_out_of_bounds_is_rejected(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate(changes)
