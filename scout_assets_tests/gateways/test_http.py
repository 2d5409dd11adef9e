"""What a fetch does, each behaviour against a real server on the loopback.

Names such as public.example are resolved by the test itself, and connections to the addresses
it makes up are led to the loopback server, so nothing here leaves the machine.
"""

import asyncio
import gzip
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from email.utils import formatdate
from typing import Any, TypeVar

import httpcore
import httpx
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scout_assets.domain.failures import (
    BadConfig,
    BrokenContract,
    NotFound,
    Permanent,
    Refused,
    ScoutFailure,
    Transient,
)
from scout_assets.gateways.address_guard import is_public
from scout_assets.gateways.exchange import retry_after, shown
from scout_assets.gateways.http import HttpGateway, Page, Policy, Stopped, Validators
from scout_assets.gateways.robots import RobotsRules
from scout_assets_tests.loopback import Loopback, Reply, Request, Store

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


@pytest.fixture(scope="module")
def loopback() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


@pytest.fixture
def shop(loopback: Loopback) -> Store:
    store = loopback.store()
    store.route("/feed.json", Reply.json(FEED))
    return store


@pytest.fixture
def counters() -> Counter[str]:
    return Counter()


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


# A page


def test_page_is_the_answer_as_bytes(shop: Store, counters: Counter[str]) -> None:
    page = fetch(shop.url("/feed.json?page=1#top"), counters)
    assert (page.status, page.not_modified, page.charset) == (200, False, "utf-8")
    assert page.body.startswith(b'{"products"')
    assert page.headers["CONTENT-TYPE"]
    assert page.url == shop.url("/feed.json?page=1")
    assert counters == {
        "http/requests": 2,  # robots.txt is one
        "robots/absent": 1,
        "http/ok": 1,
        "http/bytes": len(page.body),
    }


def test_request_says_who_asks_and_what_for(shop: Store, counters: Counter[str]) -> None:
    fetch(shop.url("/feed.json"), counters, accept="application/json, text/csv")
    sent = shop.to("/feed.json")[0].headers
    assert sent["user-agent"] == QUICK.user_agent
    assert "+https://" in sent["user-agent"]
    assert sent["accept"] == "application/json, text/csv"
    assert sent["accept-encoding"] == "gzip"
    assert sent["host"] == f"127.0.0.1:{shop.port}"
    assert "cookie" not in sent


def test_cookies_of_one_answer_are_not_sent_with_the_next(
    shop: Store, counters: Counter[str]
) -> None:
    shop.route("/set.json", Reply.json({}, headers={"Set-Cookie": "sid=7; Path=/"}))

    async def work(gateway: HttpGateway) -> None:
        for path in ("/set.json", "/feed.json"):
            await gateway.get(shop.url(path), policy=QUICK, counters=counters)

    run(work)
    assert "cookie" not in shop.to("/feed.json")[0].headers


def test_bytes_that_are_not_utf8_pass_untouched(shop: Store, counters: Counter[str]) -> None:
    text = "Café Señor".encode("latin-1")
    headers = {"Content-Type": 'text/csv; charset="ISO-8859-1"'}
    shop.route("/list.csv", Reply(body=text, headers=headers))
    page = fetch(shop.url("/list.csv"), counters, accept="text/csv")
    assert (page.body, page.charset) == (text, "iso-8859-1")


@pytest.mark.parametrize(
    ("content_type", "accept", "good"),
    [
        ("application/json; charset=utf-8", "application/json", True),
        ("application/ld+json", "application/json", True),
        ("text/plain", "application/json", True),
        ("", "application/json", True),
        ("text/html; charset=utf-8", "application/json", False),
        ("TEXT/HTML", "application/json", False),
        ("application/xhtml+xml", "application/json", False),
        ("image/png", "application/json", False),
        ("text/html", "text/html, application/json;q=0.5", True),
        ("text/html", "*/*", True),
        ("image/png", "image/*", True),
        ("text/html", "text/csv", False),
    ],
)
def test_a_web_page_in_place_of_data_breaks_the_contract(
    shop: Store, counters: Counter[str], content_type: str, accept: str, good: bool
) -> None:
    shop.route("/x", Reply(body=b"<html>", headers={"Content-Type": content_type}))
    if good:
        assert fetch(shop.url("/x"), counters, accept=accept).body == b"<html>"
        return
    error = failure(shop.url("/x"), counters, accept=accept)
    assert isinstance(error, BrokenContract)
    assert content_type.partition(";")[0].lower() in str(error)
    assert counters["http/off_contract"] == 1
    assert len(shop.to("/x")) == 1


# Asking only for what changed


def test_validators_come_back_and_a_304_means_nothing_to_do(
    shop: Store, counters: Counter[str]
) -> None:
    day = "Mon, 02 Nov 2026 08:00:00 GMT"

    def answer(request: Request) -> Reply:
        if request.headers.get("if-none-match") == '"v1"':
            return Reply(status=304, headers={"ETag": '"v1"'})
        return Reply.json(FEED, headers={"ETag": '"v1"', "Last-Modified": day})

    shop.route("/feed.json", answer)
    first = fetch(shop.url("/feed.json"), counters)
    assert first.validators == Validators('"v1"', day)
    again = fetch(shop.url("/feed.json"), counters, validators=first.validators)
    assert (again.status, again.not_modified, again.body) == (304, True, b"")
    assert again.validators == first.validators  # what the 304 left out is kept
    assert shop.to("/feed.json")[1].headers["if-modified-since"] == day
    assert (counters["http/not_modified"], counters["http/ok"]) == (1, 1)


def test_a_304_that_nobody_asked_for_is_not_an_empty_result(
    shop: Store, counters: Counter[str]
) -> None:
    shop.route("/feed.json", Reply(status=304))
    assert isinstance(failure(shop.url("/feed.json"), counters), BrokenContract)


@pytest.mark.parametrize("etag", ["", '"v\r\nX-Evil: 1"', '"café"'])
def test_validators_no_header_can_carry_are_not_sent(
    shop: Store, counters: Counter[str], etag: str
) -> None:
    fetch(shop.url("/feed.json"), counters, validators=Validators(etag))
    sent = shop.to("/feed.json")[0].headers
    assert "if-none-match" not in sent
    assert "x-evil" not in sent


# Final answers


@pytest.mark.parametrize(
    ("status", "kind", "counter"),
    [
        (404, NotFound, "http/not_found"),
        (410, NotFound, "http/not_found"),
        (400, Permanent, "http/denied"),
        (401, Permanent, "http/denied"),
        (403, Permanent, "http/denied"),
        (405, Permanent, "http/denied"),
        (451, Permanent, "http/denied"),
        (202, BrokenContract, "http/off_contract"),
        (204, BrokenContract, "http/off_contract"),
        (206, BrokenContract, "http/off_contract"),
        (300, BrokenContract, "http/off_contract"),
    ],
)
def test_a_permanent_answer_is_asked_for_once(
    shop: Store, counters: Counter[str], status: int, kind: type[Permanent], counter: str
) -> None:
    shop.route("/x.json", Reply(status=status))
    error = failure(shop.url("/x.json"), counters)
    assert type(error) is kind
    assert shop.url("/x.json") in str(error)
    assert str(status) in str(error)
    assert len(shop.to("/x.json")) == 1
    assert counters[counter] == 1
    assert counters["http/retried"] == 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "feed.json",
        "//shop.example/feed.json",
        "ftp://shop.example/list.csv",
        "file:///etc/passwd",
        "http://",
        "http://shop.example:70000/",
        "http://shop.example:port/",
        "http://[::1/",
        "http://a\x00b/",
    ],
)
def test_an_unusable_url_is_bad_config(counters: Counter[str], url: str) -> None:
    assert isinstance(failure(url, counters), BadConfig)
    assert not counters


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


# Size


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"x" * 1000, repeat=99_000),
        Reply(body=b"x" * 1000, repeat=99_000, undeclared=True),
        Reply(body=b"x" * 1000, repeat=99_000, chunked=True),
        Reply(body=b"\0" * 50_000_000).gzipped(),
        replace(Reply(chunked=True).gzipped(), repeat=9_000),
    ],
    ids=["declared", "undeclared", "chunked", "gzip bomb", "endless empty gzip members"],
)
def test_a_body_beyond_the_cap_is_refused_while_it_streams(
    shop: Store, counters: Counter[str], reply: Reply
) -> None:
    shop.route("/big.json", reply)
    error = failure(shop.url("/big.json"), counters, policy(max_bytes=100_000))
    assert isinstance(error, Refused)
    assert "raise max_bytes" in str(error)
    assert counters["http/oversized"] == 1
    assert len(shop.to("/big.json")) == 1


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(("size", "good"), [(999, True), (1000, True), (1001, False)])
def test_the_cap_counts_decoded_bytes_exactly(
    shop: Store, counters: Counter[str], packed: bool, size: int, good: bool
) -> None:
    reply = Reply(body=b"x" * size, chunked=True)
    shop.route("/x", reply.gzipped() if packed else reply)
    rules = policy(max_bytes=1000)
    if good:
        assert fetch(shop.url("/x"), counters, rules).body == b"x" * size
        assert counters["http/bytes"] == size
    else:
        assert isinstance(failure(shop.url("/x"), counters, rules), Refused)


@pytest.mark.parametrize(
    "tail", [b"", b"\0" * 700, gzip.compress(b"!")], ids=["none", "padding", "a member"]
)
def test_gzip_may_come_in_members_and_padded(
    shop: Store, counters: Counter[str], tail: bytes
) -> None:
    body = gzip.compress(b"beans " * 500) + gzip.compress(b"ground") + tail
    reply = Reply(body=body, headers={"Content-Encoding": "gzip"}, drip=7, drip_pause=0.0)
    shop.route("/x", reply)
    extra = b"!" if tail.startswith(b"\x1f") else b""
    assert fetch(shop.url("/x"), counters).body == b"beans " * 500 + b"ground" + extra


@pytest.mark.parametrize("coding", ["br", "zstd", "deflate", "gzip, gzip"])
def test_a_coding_that_was_not_offered_breaks_the_contract(
    shop: Store, counters: Counter[str], coding: str
) -> None:
    shop.route("/x", Reply(body=b"??", headers={"Content-Encoding": coding}))
    error = failure(shop.url("/x"), counters)
    assert isinstance(error, BrokenContract)
    assert coding in str(error)


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_to_the_final_address(
    shop: Store, counters: Counter[str], status: int
) -> None:
    shop.route("/old/a.json", Reply(status=status, headers={"Location": "../b.json"}))
    shop.route("/b.json", Reply(status=status, headers={"Location": shop.url("/feed.json#x")}))
    page = fetch(shop.url("/old/a.json"), counters)
    assert page.url == shop.url("/feed.json")
    assert counters["http/redirected"] == 2


@pytest.mark.parametrize(
    ("location", "kind", "words"),
    [
        ("/here.json", Permanent, "in a circle"),
        ("ftp://shop.example/x", BrokenContract, "usable Location"),
        ("file:///etc/passwd", BrokenContract, "usable Location"),
        ("http://[::1", BrokenContract, "usable Location"),
        (None, BrokenContract, "usable Location"),
    ],
)
def test_a_redirect_to_nowhere_is_permanent(
    shop: Store, counters: Counter[str], location: str | None, kind: type[Permanent], words: str
) -> None:
    headers = {} if location is None else {"Location": location}
    shop.route("/here.json", Reply(status=302, headers=headers))
    error = failure(shop.url("/here.json"), counters)
    assert type(error) is kind
    assert words in str(error)
    assert counters["redirect/refused"] == 1
    assert len(shop.to("/here.json")) == 1


def test_redirects_are_counted(shop: Store, counters: Counter[str]) -> None:
    for step in range(9):
        shop.route(f"/{step}", Reply(status=302, headers={"Location": f"/{step + 1}"}))
    error = failure(shop.url("/0"), counters, policy(max_redirects=2))
    assert type(error) is Permanent
    assert "more than 2 times" in str(error)
    assert shop.paths == ["/robots.txt", "/0", "/1", "/2"]


def test_a_redirect_obeys_the_robots_txt_of_the_new_host(
    loopback: Loopback, shop: Store, counters: Counter[str]
) -> None:
    other = loopback.store()
    other.robots("User-agent: *\nDisallow: /private")
    shop.route("/a", Reply(status=302, headers={"Location": other.url("/private/b")}))
    error = failure(shop.url("/a"), counters)
    assert isinstance(error, Refused)
    assert "Disallow: /private" in str(error)
    assert other.paths == ["/robots.txt"]


def test_a_redirect_into_the_own_network_is_refused(
    loopback: Loopback, shop: Store, counters: Counter[str]
) -> None:
    inner = loopback.store()
    shop.route("/a", Reply(status=302, headers={"Location": inner.url("/secret")}))
    known = {"public_example": ["8.8.4.4"], "127_0_0_1": ["127.0.0.1"]}
    seams = {"network": Rerouted(), "resolve": names(**known)}
    error = failure(shop.url("/a", "public.example"), counters, GUARDED, seams=seams)
    assert isinstance(error, Refused)
    assert "127.0.0.1" in str(error)
    assert shop.paths[-1] == "/a"
    assert inner.requests == []
    assert counters["address/refused"] == 1


# Which addresses


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.0.0.192", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("168.63.129.16", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("::127.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::8.8.8.8", True),
        ("64:ff9b:1::8.8.8.8", False),
        ("2002:7f00:1::", False),
        ("2002:808:808::", True),
    ],
)
def test_public_addresses_are_told_from_special_ones(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0"]
)
def test_every_spelling_of_the_loopback_is_refused(
    shop: Store, counters: Counter[str], host: str
) -> None:
    error = failure(shop.url("/feed.json", host), counters, GUARDED)
    assert isinstance(error, Refused)
    assert "allow_private: true" in str(error)
    assert shop.requests == []
    assert counters["address/refused"] == 1
    assert counters["http/retried"] == 0


def test_one_private_address_among_public_ones_condemns_the_name(
    shop: Store, counters: Counter[str]
) -> None:
    seams = {"network": Rerouted(), "resolve": names(mixed_example=["8.8.4.4", "10.0.0.7"])}
    error = failure(shop.url("/feed.json", "mixed.example"), counters, GUARDED, seams=seams)
    assert isinstance(error, Refused)
    assert "10.0.0.7" in str(error)
    assert shop.requests == []


def test_the_connection_goes_to_the_judged_address_and_asks_for_the_name(
    shop: Store, counters: Counter[str]
) -> None:
    network = Rerouted()
    seams = {"network": network, "resolve": names(public_example=["8.8.4.4"])}
    fetch(shop.url("/feed.json", "public.example"), counters, GUARDED, seams=seams)
    assert set(network.dialled) == {"8.8.4.4"}
    assert shop.requests[0].headers["host"] == f"public.example:{shop.port}"


def test_a_name_that_is_rebound_gains_nothing(shop: Store, counters: Counter[str]) -> None:
    answers = [["8.8.4.4"], ["127.0.0.1"]]
    network = Rerouted()

    async def rebinding(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    shop.route("/feed.json", Reply.json(FEED, headers={"Connection": "close"}))

    async def work(gateway: HttpGateway) -> None:
        url = shop.url("/feed.json", "rebound.example")
        rules = GUARDED.model_copy(update={"respect_robots": False})
        await gateway.get(url, policy=rules, counters=counters)
        with pytest.raises(Refused):
            await gateway.get(url, policy=rules, counters=counters)

    run(work, network=network, resolve=rebinding)
    assert network.dialled == ["8.8.4.4"]
    assert len(shop.requests) == 1


def test_a_connection_made_with_leave_is_not_lent_to_a_source_without(
    shop: Store, counters: Counter[str]
) -> None:
    async def work(gateway: HttpGateway) -> None:
        await gateway.get(shop.url("/feed.json"), policy=QUICK, counters=counters)
        with pytest.raises(Refused):
            await gateway.get(shop.url("/feed.json"), policy=GUARDED, counters=counters)

    run(work)
    assert len(shop.to("/feed.json")) == 1


def test_a_dead_first_address_leaves_the_next_one(shop: Store, counters: Counter[str]) -> None:
    # Nothing listens on 127.0.0.2: the store is bound to 127.0.0.1 alone.
    seams = {"resolve": names(two_example=["127.0.0.2", "127.0.0.1"])}
    assert fetch(shop.url("/feed.json", "two.example"), counters, seams=seams).status == 200


def test_a_name_without_address_is_transient(counters: Counter[str]) -> None:
    seams = {"resolve": names()}
    rules = policy(respect_robots=False)
    error = failure("http://nowhere.example/", counters, rules, seams=seams)
    assert type(error) is Transient
    assert "nowhere.example does not resolve" in str(error)
    assert counters["address/unresolved"] == 3


def test_proxies_of_the_environment_are_left_alone(
    shop: Store, counters: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(shop.url("/feed.json"), counters).status == 200


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whoever certifies the servers of these tests."""
    return trustme.CA()


@pytest.fixture
def secure(loopback: Loopback, authority: trustme.CA) -> Store:
    """A store with a certificate for secure.example."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("secure.example").configure_cert(context)
    store = loopback.store(tls=context)
    store.route("/feed.json", Reply.json(FEED))
    return store


def trusting(authority: trustme.CA, *hosts: str) -> dict[str, Any]:
    """Seams of a gateway that trusts `authority` alone and finds `hosts` on the loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    known = {host.replace(".", "_"): ["127.0.0.1"] for host in hosts}
    return {"tls": context, "resolve": names(**known)}


def test_tls_is_checked_against_the_name(
    secure: Store, authority: trustme.CA, counters: Counter[str]
) -> None:
    seams = trusting(authority, "secure.example", "other.example")
    assert fetch(secure.url("/feed.json", "secure.example"), counters, seams=seams).status == 200
    error = failure(secure.url("/feed.json", "other.example"), counters, seams=seams)
    assert type(error) is Permanent
    assert "certificate" in str(error)
    assert counters["http/retried"] == 0


def test_a_redirect_that_drops_encryption_is_refused(
    secure: Store, shop: Store, authority: trustme.CA, counters: Counter[str]
) -> None:
    secure.route("/a", Reply(status=301, headers={"Location": shop.url("/feed.json")}))
    seams = trusting(authority, "secure.example")
    error = failure(secure.url("/a", "secure.example"), counters, seams=seams)
    assert isinstance(error, Refused)
    assert "without encryption" in str(error)
    assert shop.requests == []


# robots.txt


def test_a_forbidden_url_is_refused_with_the_rule(shop: Store, counters: Counter[str]) -> None:
    shop.robots("User-agent: *\nDisallow: /admin\nDisallow: /feed # not for robots\n")
    error = failure(shop.url("/feed.json"), counters)
    assert isinstance(error, Refused)
    assert shop.url("/feed.json") in str(error)
    assert "line 3: Disallow: /feed" in str(error)
    assert "ask the site's owner" in str(error)
    assert shop.paths == ["/robots.txt"]
    assert counters["robots/denied"] == 1


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("User-agent: *\nDisallow:", None),
        ("User-agent: *\nDisallow: /\nAllow: /feed", None),
        ("User-agent: other\nDisallow: /", None),
        ("User-agent: *\nDisallow: /*.json$", "line 2: Disallow: /*.json$"),
        ("\ufeffUser-agent: *\nDisallow: /feed", "line 2: Disallow: /feed"),
        (
            "User-agent: other\nDisallow: /feed.json\n\nUser-agent: scout-assets\nDisallow: /f",
            "line 5: Disallow: /f",
        ),
        ("User-agent: scout-assets\nAllow: /\n\nUser-agent: *\nDisallow: /", None),
        ("<html>Not here</html>", None),
    ],
)
def test_the_rules_of_our_own_group_decide(
    shop: Store, counters: Counter[str], text: str, rule: str | None
) -> None:
    shop.robots(text)
    if rule is None:
        assert fetch(shop.url("/feed.json"), counters).status == 200
    else:
        assert rule in str(failure(shop.url("/feed.json"), counters))


def test_the_deciding_rule_is_found_in_a_long_file() -> None:
    lines = ["User-agent: *", *(f"Disallow: /shop{'/x' * n}" for n in range(2000))]
    found = RobotsRules("\n".join(lines)).forbids("https://a.example/shop/x/x/y", "scout-assets")
    assert found == "line 4: Disallow: /shop/x/x"


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_host_without_robots_txt_forbids_nothing(
    shop: Store, counters: Counter[str], status: int
) -> None:
    shop.route("/robots.txt", Reply(status=status))
    assert fetch(shop.url("/feed.json"), counters).status == 200
    assert counters["robots/absent"] == 1


@pytest.mark.parametrize(
    "fault", [Reply(status=500), Reply(status=429), Reply(hang_up=True)], ids=["500", "429", "-"]
)
def test_unknown_rules_forbid_everything_for_now(
    shop: Store, counters: Counter[str], fault: Reply
) -> None:
    shop.route("/robots.txt", fault)

    async def work(gateway: HttpGateway) -> None:
        for _ in range(2):
            with pytest.raises(Transient, match=r"robots\.txt all of 127\.0\.0\.1 is forbidden"):
                await gateway.get(shop.url("/feed.json"), policy=QUICK, counters=counters)

    run(work)
    assert shop.paths == ["/robots.txt"] * 3  # one round of attempts serves both
    assert counters["robots/unreachable"] == 2


def test_robots_txt_is_fetched_once_for_all_and_kept_a_day(
    shop: Store, counters: Counter[str]
) -> None:
    shop.robots("User-agent: *\nDisallow: /admin")
    clock = Clock()

    async def work(gateway: HttpGateway) -> None:
        url = shop.url("/feed.json")
        for _ in range(2):
            asked = [gateway.get(url, policy=QUICK, counters=counters) for _ in range(5)]
            await asyncio.gather(*asked)
        assert len(shop.to("/robots.txt")) == 1
        clock.now += 24 * 3600 + 1
        await gateway.get(url, policy=QUICK, counters=counters)

    run(work, clock=clock, sleep=clock.sleep)
    assert len(shop.to("/robots.txt")) == 2
    assert counters["robots/fetched"] == 2


def test_robots_txt_may_be_redirected(
    loopback: Loopback, shop: Store, counters: Counter[str]
) -> None:
    other = loopback.store()
    other.robots("User-agent: *\nDisallow: /feed")
    shop.route("/robots.txt", Reply(status=301, headers={"Location": other.url("/robots.txt")}))
    assert isinstance(failure(shop.url("/feed.json"), counters), Refused)


def test_crawl_delay_is_obeyed(shop: Store, counters: Counter[str]) -> None:
    shop.robots("User-agent: *\nCrawl-delay: 0.3")

    async def work(gateway: HttpGateway) -> None:
        asked = [shop.url(f"/feed.json?page={page}") for page in range(2)]
        await asyncio.gather(*(gateway.get(u, policy=QUICK, counters=counters) for u in asked))

    run(work)
    assert min(shop.gaps()) > 0.28


def test_a_crawl_delay_nobody_can_wait_for_is_refused(shop: Store, counters: Counter[str]) -> None:
    shop.robots("User-agent: *\nCrawl-delay: 86400")
    error = failure(shop.url("/feed.json"), counters)
    assert isinstance(error, Refused)
    assert "Crawl-delay 86400 s" in str(error)


def test_a_host_of_our_own_need_not_be_asked(shop: Store, counters: Counter[str]) -> None:
    shop.robots("User-agent: *\nDisallow: /")
    assert fetch(shop.url("/feed.json"), counters, policy(respect_robots=False)).status == 200
    assert shop.paths == ["/feed.json"]


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


# Stopping


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


# Secrets


SECRET = "hunter2"


@pytest.mark.parametrize(
    "reply",
    [
        Reply.json(FEED),
        Reply(status=404),
        Reply(status=403),
        Reply(status=500),
        Reply(status=204),
        Reply(status=429, headers={"Retry-After": "3600"}),
        Reply(status=302, headers={"Location": "http://[::1"}),
        Reply(status=302, headers={"Location": f"/x?access_token={SECRET}"}),
        Reply(hang_up=True),
        Reply(body=b"<html>", headers={"Content-Type": "text/html"}),
        Reply(body=b"x" * 2000),
        Reply.json(FEED, pause=1),
    ],
    ids=lambda reply: str(reply.status),
)
def test_no_message_counter_or_log_tells_a_secret(
    shop: Store, counters: Counter[str], reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shop.route("/x", reply)
    url = shop.url(f"/x?access_token={SECRET}&page=2").replace("://", f"://me:{SECRET}@")
    rules = policy(max_bytes=1000, timeout_seconds=0.1)
    try:
        told = fetch(url, counters, rules).url
    except ScoutFailure as error:
        told = str(error)
    assert SECRET not in told
    assert SECRET not in repr(counters)
    assert SECRET not in caplog.text
    assert "page=2" in told
    assert "access_token=***" in told


@given(password=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1))
def test_a_shown_url_holds_no_login(password: str) -> None:
    url = f"https://me:{password}@shop.example/a?b=1&api_key={password}#{password}"
    assert shown(url) == "https://shop.example/a?b=1&api_key=***"


def test_a_url_that_cannot_be_parsed_is_not_repeated(counters: Counter[str]) -> None:
    assert SECRET not in str(failure(f"http://me:{SECRET}/x@shop.example/", counters))


def test_a_login_goes_to_its_own_host_only(
    loopback: Loopback, shop: Store, counters: Counter[str]
) -> None:
    other = loopback.store()
    other.route("/c", Reply.json(FEED))
    shop.route("/a", Reply(status=302, headers={"Location": shop.url("/b")}))
    shop.route("/b", Reply(status=302, headers={"Location": other.url("/c")}))
    fetch(shop.url("/a").replace("://", "://me:p%40ss@"), counters)
    logins = {request.path: request.headers.get("authorization") for request in shop.requests}
    assert logins == {"/robots.txt": None, "/a": "Basic bWU6cEBzcw==", "/b": "Basic bWU6cEBzcw=="}
    assert all("authorization" not in request.headers for request in other.requests)


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
