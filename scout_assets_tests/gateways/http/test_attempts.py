"""What is tried again, how long it waits, and when it is given up."""

import asyncio
import gzip
import socket
import time
from collections import Counter
from email.utils import formatdate

import httpx
import pytest

from scout_assets.domain.failures import Transient
from scout_assets.gateways.exchange import retry_after
from scout_assets.gateways.http import HttpGateway, Policy
from scout_assets_tests.gateways.http.fetching import FEED, Clock, failure, fetch, policy, run
from scout_assets_tests.loopback import Loopback, Reply, Store

# Attempts


@pytest.mark.parametrize(
    "fault",
    [
        Reply(status=500),
        Reply(status=502),
        Reply(status=503),
        Reply(status=408),
        Reply(status=425),
        Reply(status=429),
        Reply(hang_up=True),
        Reply(raw=b"SMTP ready\r\n\r\n"),
        Reply.json(FEED, declared=5000, cut_after=10),
        Reply.json(FEED, chunked=True, cut_after=10),
        Reply(body=gzip.compress(b"[1]" * 99)[:-9], headers={"Content-Encoding": "gzip"}),
        Reply(body=b"no gzip at all", headers={"Content-Encoding": "gzip"}),
        Reply(body=b"", headers={"Content-Encoding": "gzip"}),
    ],
    ids=lambda reply: str(reply.raw or reply.headers or reply.status)[:40],
)
def test_a_passing_fault_is_tried_again(shop: Store, counters: Counter[str], fault: Reply) -> None:
    shop.route("/feed.json", fault, Reply.json(FEED))
    assert fetch(shop.url("/feed.json"), counters).body.startswith(b'{"products"')
    assert (counters["http/retried"], counters["http/ok"]) == (1, 1)


def test_a_lasting_fault_is_transient_after_the_last_attempt(
    shop: Store, counters: Counter[str]
) -> None:
    shop.route("/feed.json", Reply(status=500))
    error = failure(shop.url("/feed.json"), counters)
    assert type(error) is Transient
    assert error.retry_after is None
    assert "answered 500" in str(error)
    assert "3 of 3 attempts" in str(error)
    assert len(shop.to("/feed.json")) == 3
    assert (counters["http/retried"], counters["http/gave_up"]) == (2, 1)


def test_a_truncated_body_is_never_half_a_page(shop: Store, counters: Counter[str]) -> None:
    shop.route("/feed.json", Reply.json(FEED, declared=5000, cut_after=20))
    assert type(failure(shop.url("/feed.json"), counters)) is Transient
    assert counters["http/unreachable"] == 3
    assert counters["http/ok"] == 0


def test_back_off_doubles_from_one_second_with_jitter(shop: Store, counters: Counter[str]) -> None:
    shop.route("/feed.json", Reply(status=500))
    clock = Clock()
    failure(
        shop.url("/feed.json"),
        counters,
        Policy(allow_private=True, delay_seconds=0, jitter_seconds=0, respect_robots=False),
        seams={"clock": clock, "sleep": clock.sleep},
    )
    assert len(shop.requests) == 6
    for slept, planned in zip(clock.sleeps, [1, 2, 4, 8, 16], strict=True):
        assert planned <= slept <= planned + 1


def test_a_refused_connection_is_transient(loopback: Loopback, counters: Counter[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/feed.json"
        error = failure(url, counters, policy(respect_robots=False))
    assert type(error) is Transient
    assert counters["http/unreachable"] == 3


def test_a_silent_server_runs_into_the_time_out(shop: Store, counters: Counter[str]) -> None:
    shop.route("/feed.json", Reply.json(FEED, pause=5))
    error = failure(shop.url("/feed.json"), counters, policy(timeout_seconds=0.1))
    assert type(error) is Transient
    assert "silent for 0.1 s" in str(error)
    assert counters["http/timed_out"] == 3


def test_a_dripping_body_runs_into_the_deadline(shop: Store, counters: Counter[str]) -> None:
    shop.route("/feed.json", Reply.json(list(range(999)), drip=1, drip_pause=0.05))
    began = time.monotonic()
    error = failure(shop.url("/feed.json"), counters, policy(deadline_seconds=0.4))
    assert type(error) is Transient
    assert "0.4 s" in str(error)
    assert time.monotonic() - began < 1.5
    assert counters["http/timed_out"] == 1


def test_no_back_off_outlives_the_deadline(shop: Store, counters: Counter[str]) -> None:
    shop.route("/feed.json", Reply(status=500))
    error = failure(
        shop.url("/feed.json"), counters, policy(backoff_seconds=60.0, deadline_seconds=5.0)
    )
    assert "1 of 3 attempts" in str(error)
    assert len(shop.to("/feed.json")) == 1


# Being told to wait


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
def test_retry_after_is_waited_for(
    shop: Store, counters: Counter[str], status: int, as_date: bool
) -> None:
    epoch = 1_800_000_000.0
    value = formatdate(epoch + 7, usegmt=True) if as_date else "7"
    shop.route("/feed.json", Reply(status=status, headers={"Retry-After": value}), Reply.json(FEED))
    clock = Clock()
    seams = {"clock": clock, "sleep": clock.sleep, "wall_clock": lambda: epoch}
    fetch(shop.url("/feed.json"), counters, seams=seams)
    assert sum(clock.sleeps) == pytest.approx(7, abs=0.1)
    assert (counters["http/throttled"], counters["http/retried"]) == (1, 1)


def test_a_429_holds_every_request_to_that_host_and_to_no_other(
    loopback: Loopback, shop: Store, counters: Counter[str]
) -> None:
    other = loopback.store()
    other.route("/feed.json", Reply.json(FEED))
    shop.route("/busy.json", Reply(status=429, headers={"Retry-After": "1"}), Reply.json(FEED))
    rules = policy(respect_robots=False)

    async def later(gateway: HttpGateway, url: str) -> None:
        await asyncio.sleep(0.2)
        await gateway.get(url, policy=rules, counters=counters, source="another")

    async def work(gateway: HttpGateway) -> None:
        await asyncio.gather(
            gateway.get(shop.url("/busy.json"), policy=rules, counters=counters),
            later(gateway, shop.url("/feed.json")),
            later(gateway, other.url("/feed.json")),
        )

    run(work)
    told = shop.requests[0].at
    assert shop.paths[0] == "/busy.json"
    assert len(shop.requests) == 3
    assert all(request.at - told >= 0.95 for request in shop.requests[1:])
    assert other.requests[0].at - told < 0.8


def test_a_wait_beyond_the_deadline_fails_at_once_for_the_whole_host(
    shop: Store, counters: Counter[str]
) -> None:
    shop.route("/busy.json", Reply(status=429, headers={"Retry-After": "3600"}))
    rules = policy(respect_robots=False)

    async def work(gateway: HttpGateway) -> list[Transient]:
        errors = []
        for path in ("/busy.json", "/feed.json"):
            with pytest.raises(Transient) as caught:
                await gateway.get(shop.url(path), policy=rules, counters=counters)
            errors.append(caught.value)
        return errors

    began = time.monotonic()
    errors = run(work)
    assert time.monotonic() - began < 1
    assert [error.retry_after for error in errors] == [3600, pytest.approx(3600, abs=2)]
    assert shop.paths == ["/busy.json"]  # the second was never sent
    assert counters["http/held"] == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Tue, 15 Sep 2026 08:00:30 GMT", 30.0),
        ("Tue, 15 Sep 2026 08:00:30 -0000", 30.0),
        ("Tue, 15 Sep 2026 07:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e3", None),
        ("9" * 5000, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    eight = 1_789_459_200.0  # 2026-09-15T08:00:00Z
    assert retry_after(httpx.Headers({"Retry-After": value}), eight) == seconds
