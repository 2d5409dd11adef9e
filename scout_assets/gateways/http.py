"""Polite, bounded, guarded GET requests: the only way this system reads the public web.

Belongs here: what is true of fetching a URL whatever the source: robots.txt, the delay between
requests to a host, retries, Retry-After, deadlines, redirects, stopping, and the failure that
each outcome becomes. Does not belong here: which URLs a source has, paging, decoding and
parsing (domain), storing (artifacts, ledger), a single request (`exchange`), what a robots.txt
says (`robots`), which addresses may be reached (`address_guard`).

    async with HttpGateway(cancelled=mode_is_manual) as gateway:        # one per run
        page = await gateway.get(url, policy=Policy(), validators=known, counters=counters)

How an outcome is told:

    200, 203                                    Page
    304 to our validators                       Page(not_modified=True)
    404, 410                                    NotFound
    401, 403, other 4xx, bad certificate,
    redirects in a circle or too many           Permanent
    other 2xx and 3xx, HTML where data was due  BrokenContract
    robots.txt, address, size cap, https → http,
    a Crawl-delay longer than the deadline      Refused
    unusable url                                BadConfig
    silence, broken connection or body, 408,
    425, 429, 5xx                               retried, then Transient
    robots.txt silent or 5xx                    Transient (RFC 9309: all is forbidden for now)
    `cancelled` said so                         Stopped, a Transient

Counters; a name is there once it happened:

    http/requests         requests sent, robots.txt and retries included
    http/ok               answers with the wanted content
    http/not_modified     304 answers
    http/bytes            decoded body bytes
    http/redirected       redirects followed
    http/retried          attempts made again
    http/throttled        answers that make the whole host wait (429, 503 with Retry-After)
    http/held             requests not made because a host asked for more time than is left
    http/server_error     other answers worth another attempt (408, 425, 5xx)
    http/timed_out        attempts that ran into the time-out or the deadline
    http/unreachable      attempts that could not connect, broke off or came truncated
    http/gave_up          requests without success after the last attempt
    http/not_found, http/denied, http/off_contract, http/oversized    final answers refused
    http/stopped          gets not made, or broken off, because of a stop
    redirect/refused      redirects that were not followed
    address/refused       connections that the address guard refused
    address/unresolved    attempts that found no address for the name
    robots/fetched, robots/absent, robots/unreachable    robots.txt read, 4xx, unknown for now
    robots/denied         gets that a rule forbids
"""

import asyncio
import contextlib
import functools
import math
import random
import re
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpcore
import httpx
from pydantic import BaseModel, ConfigDict, Field
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_exponential_jitter

from scout_assets.domain.failures import (
    BadConfig,
    BrokenContract,
    NotFound,
    Permanent,
    Refused,
    Transient,
)
from scout_assets.gateways.address_guard import GuardedTransport, Resolver, system_resolver
from scout_assets.gateways.exchange import Answer, Exchange, Retriable, shown
from scout_assets.gateways.robots import RobotsRules

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_STOP_POLL_SECONDS = 0.25
_ROBOTS_TTL_SECONDS = 24 * 3600.0  # RFC 9309 2.4: not longer than 24 hours
_ROBOTS_RETRY_SECONDS = 60.0  # unknown rules are asked for again after this
_ROBOTS_MAX_BYTES = 1_000_000  # RFC 9309 2.5: at least 500 KiB


class Stopped(Transient):
    """The operator stopped this work; nothing is wrong with the source."""


class Policy(BaseModel):
    """How one source may be fetched. Times in seconds, sizes in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delay_seconds: float = Field(0.25, ge=0, description="mean gap between request starts")
    jitter_seconds: float = Field(0.10, ge=0, description="the gap varies by ± this much")
    concurrency: int = Field(3, ge=1, le=10, description="gets of one source under way")
    max_bytes: int = Field(50_000_000, gt=0, description="cap on one decoded body")
    cap_name: str = Field("max_bytes of the resource `web`", description="what raises that cap")
    timeout_seconds: float = Field(30.0, gt=0, description="to connect, and between two reads")
    deadline_seconds: float = Field(
        300.0, gt=0, description="requests and back-offs of one get, queueing left out"
    )
    attempts: int = Field(6, ge=1, le=20, description="tries of one request, with the first")
    backoff_seconds: float = Field(
        1.0, ge=0, description="first back-off, and the jitter on each; doubles every time"
    )
    max_redirects: int = Field(5, ge=0, le=20)
    allow_private: bool = Field(False, description="may reach addresses of the own network")
    respect_robots: bool = Field(True, description="off only for a host that is our own")
    user_agent: str = Field(
        "scout-assets/0.1 (+https://scout-assets.example/contact)",
        pattern=r"^[\x21-\x2e\x30-\x7e]+/[\x20-\x7e]*(\+https?://|@)[\x20-\x7e]+$",
        description="product/version and a contact: a +https:// link or an e-mail address",
    )


@dataclass(frozen=True)
class Validators:
    """What a server gave us to ask 'changed since?' with (RFC 9110 section 8.8)."""

    etag: str | None = None
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """The conditional request headers; validators no header can carry are left out."""
        asked = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {
            name: value
            for name, value in asked.items()
            if value and value.isascii() and value.isprintable()
        }


@dataclass(frozen=True)
class Page:
    """One answer. `url` is the final address as `shown`, `body` the bytes after gzip.

    The bytes are not decoded to text: that is the parser's, who may consult `charset`.
    """

    url: str
    status: int
    body: bytes
    headers: Mapping[str, str]
    validators: Validators
    not_modified: bool = False

    @property
    def charset(self) -> str | None:
        """The charset that Content-Type declares, lower case, not verified."""
        declared = re.search(r"(?i);\s*charset=\"?([\w.:-]+)", self.headers.get("content-type", ""))
        return declared[1].lower() if declared else None


@dataclass
class _Call:
    """One get on its way: what was asked, and the seconds it may still spend."""

    policy: Policy
    accept: str
    validators: Validators
    counters: Counter[str]
    budget: float
    crawl_delay: float = 0.0


class HttpGateway:
    """Fetches for many sources at once; open one per run, so that politeness is shared.

    `cancelled` is asked before every request and every 0.25 s, from the event loop: keep it
    cheap. Once it is true, every get, waiting or running, ends with Stopped. `max_in_flight`
    bounds the requests under way, and so the open sockets, over all sources. `tls` replaces the
    bundled certificate authorities. The other arguments are seams for tests.
    """

    def __init__(
        self,
        *,
        cancelled: Callable[[], bool] | None = None,
        max_in_flight: int = 200,
        tls: ssl.SSLContext | None = None,
        resolve: Resolver = system_resolver,
        network: httpcore.AsyncNetworkBackend | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._cancelled = cancelled or (lambda: False)
        self._tls, self._resolve, self._network = tls, resolve, network
        self._clock, self._wall_clock, self._sleep = clock, wall_clock, sleep
        self._in_flight = asyncio.Semaphore(max_in_flight)
        self._stop_reason: str | None = None
        self._alarms: set[asyncio.Timeout] = set()
        self._hosts: dict[str, _HostSlot] = {}
        self._sources: dict[tuple[str, int], asyncio.Semaphore] = {}
        self._robots: dict[str, _RobotsEntry] = {}
        self._transports: dict[bool, GuardedTransport] = {}

    async def __aenter__(self) -> Self:
        tls = self._tls or _bundled_authorities()
        for private in (False, True):
            self._transports[private] = GuardedTransport(
                allow_private=private, tls=tls, resolve=self._resolve, network=self._network
            )
        # The first use of the network backend imports it, for 0.1 s on the event loop: now,
        # and not while a host's gap or a time-out is running.
        await httpcore.AnyIOBackend().sleep(0)
        self._watcher = asyncio.create_task(self._watch_for_stop())
        self._watcher.add_done_callback(self._break_off)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watcher.cancel()
        await asyncio.gather(self._watcher, return_exceptions=True)
        for transport in self._transports.values():
            await transport.aclose()

    async def get(
        self,
        url: str,
        *,
        policy: Policy,
        validators: Validators | None = None,
        accept: str = "application/json",
        counters: Counter[str],
        source: str | None = None,
    ) -> Page:
        """Fetch `url`, or raise a ScoutFailure (see the table at the top).

        `accept` lists media types, `*` allowed. `source` names who shares `policy.concurrency`
        (default: the host). User and password in the url go to that origin only.
        """
        target = _web_url(url)
        call = _Call(policy, accept, validators or Validators(), counters, policy.deadline_seconds)
        key = (source or _host_key(target), policy.concurrency)
        places = self._sources.setdefault(key, asyncio.Semaphore(policy.concurrency))
        async with self._until_stopped(counters), places:
            final, answer = await self._follow(target, call)
        return _page(shown(final), answer, call)

    # Stopping

    @contextlib.asynccontextmanager
    async def _until_stopped(self, counters: Counter[str]) -> AsyncIterator[None]:
        """Run the body until it ends or the stop comes, whatever it waits for."""
        try:
            self._raise_if_stopped()
            async with asyncio.timeout(None) as alarm:
                self._alarms.add(alarm)
                try:
                    yield
                finally:
                    self._alarms.discard(alarm)
        except TimeoutError as error:
            counters["http/stopped"] += 1
            raise Stopped(f"fetch broken off: {self._stop_reason}") from error
        except Stopped:
            counters["http/stopped"] += 1
            raise

    def _raise_if_stopped(self) -> None:
        if self._stop_reason is None and self._cancelled():
            self._stop_reason = "the operator stopped it; start it by hand or return to auto"
        if self._stop_reason is not None:
            raise Stopped(f"fetch not made: {self._stop_reason}")

    async def _watch_for_stop(self) -> None:
        while True:
            self._raise_if_stopped()
            await asyncio.sleep(_STOP_POLL_SECONDS)

    def _break_off(self, watcher: asyncio.Task[None]) -> None:
        """End every get under way once the watcher ended, by a stop or by a fault."""
        if watcher.cancelled():  # the gateway closes
            return
        # Whatever keeps the signal from being read is a stop too: that is the safe side.
        fault = f"the stop signal cannot be read ({watcher.exception()})"
        self._stop_reason = self._stop_reason or fault
        for alarm in self._alarms:
            alarm.reschedule(asyncio.get_running_loop().time())

    # Redirects

    async def _follow(self, url: httpx.URL, call: _Call) -> tuple[httpx.URL, Answer]:
        """Ask `url` and wherever it redirects, each hop by the rules of its own host."""
        seen: list[httpx.URL] = []
        while True:
            call.crawl_delay = await self._obey_robots(url, call)
            answer = await self._ask(url, call)
            if answer.status not in _REDIRECTS:
                return url, answer
            seen.append(url)
            try:
                url = _next_hop(seen, answer, call.policy.max_redirects)
            except Permanent:
                call.counters["redirect/refused"] += 1
                raise
            call.counters["http/redirected"] += 1

    # robots.txt

    async def _obey_robots(self, url: httpx.URL, call: _Call) -> float:
        """Seconds that robots.txt asks between requests; Refused where it forbids `url`."""
        if not call.policy.respect_robots:
            return 0.0
        rules = await self._rules(url, call)
        agent = call.policy.user_agent.partition("/")[0]
        delay = rules.crawl_delay(agent)
        rule = rules.forbids(str(url.copy_with(userinfo=b"")), agent)
        if rule is None and delay > call.policy.deadline_seconds:
            rule = f"Crawl-delay {delay:g} s, which is beyond deadline_seconds"
        if rule is not None:
            call.counters["robots/denied"] += 1
            raise Refused(
                f"{shown(url)} is not fetched: robots.txt of {url.host} forbids it to {agent}"
                f" ({rule}); take the url out of the source, or ask the site's owner for leave"
            )
        return delay

    async def _rules(self, url: httpx.URL, call: _Call) -> RobotsRules:
        """The rules of the origin of `url`, fetched by the first who needs them."""
        address = url.copy_with(userinfo=b"", raw_path=b"/robots.txt")
        entry = self._robots.setdefault(str(address), _RobotsEntry())
        async with entry.lock:
            if self._clock() >= entry.expires:
                entry.found = await self._fetch_rules(address, call)
                lasting = isinstance(entry.found, RobotsRules)
                ttl = _ROBOTS_TTL_SECONDS if lasting else _ROBOTS_RETRY_SECONDS
                entry.expires = self._clock() + ttl
        if isinstance(entry.found, RobotsRules):
            return entry.found
        call.counters["robots/unreachable"] += 1
        raise Transient(
            f"{shown(url)} is not fetched: without its robots.txt all of {url.host} is forbidden"
            f" for now (RFC 9309): {entry.found}",
            entry.found.retry_after,
        )

    async def _fetch_rules(self, address: httpx.URL, call: _Call) -> RobotsRules | Transient:
        """The rules, or why nobody knows them now. Has a deadline of its own."""
        limits = {"respect_robots": False, "max_bytes": _ROBOTS_MAX_BYTES}
        policy = call.policy.model_copy(update=limits)
        errand = _Call(policy, "*/*", Validators(), call.counters, policy.deadline_seconds)
        try:
            _, answer = await self._follow(address, errand)
        except Stopped:
            raise
        except Transient as failure:
            return failure
        if 400 <= answer.status < 500:  # RFC 9309 2.3.1.3: unavailable means no rules
            call.counters["robots/absent"] += 1
            return RobotsRules("")
        call.counters["robots/fetched"] += 1
        return RobotsRules(answer.body.decode("utf-8-sig", errors="replace"))

    # One URL, several attempts

    async def _ask(self, url: httpx.URL, call: _Call) -> Answer:
        """The answer of `url`, after as many attempts as the policy and the budget allow."""
        host = self._hosts.setdefault(_host_key(url), _HostSlot(self._clock, self._sleep))
        retrying = self._retrying(host, call)
        try:
            async for attempt in retrying:
                with attempt:
                    return await self._attempt(url, host, call)
        except Retriable as last:
            call.counters["http/gave_up"] += 1
            tries = retrying.statistics["attempt_number"]
            raise Transient(
                f"{last}; given up after {tries} of {call.policy.attempts} attempts with"
                f" {max(call.budget, 0.0):.0f} s of the deadline left; the next run tries again",
                last.retry_after,
            ) from last
        raise AssertionError("tenacity ends with a result or an exception")

    def _retrying(self, host: "_HostSlot", call: _Call) -> AsyncRetrying:
        backoff = wait_exponential_jitter(
            multiplier=call.policy.backoff_seconds, jitter=call.policy.backoff_seconds
        )

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            if not isinstance(error, Retriable):
                return 0.0
            seconds = max(backoff(state), error.retry_after or 0.0)
            if error.whole_host:
                host.hold(seconds)
            return seconds

        def is_over(state: RetryCallState) -> bool:
            last = state.attempt_number >= call.policy.attempts
            return last or state.upcoming_sleep > call.budget

        async def back_off(seconds: float) -> None:
            call.counters["http/retried"] += 1
            call.budget -= seconds
            await self._sleep(seconds)

        return AsyncRetrying(
            retry=retry_if_exception_type(Retriable),
            wait=wait,
            stop=is_over,
            sleep=back_off,
            reraise=True,
        )

    async def _attempt(self, url: httpx.URL, host: "_HostSlot", call: _Call) -> Answer:
        """One request in its turn; raises Retriable where another attempt may help."""
        policy = call.policy
        gap = policy.delay_seconds + policy.jitter_seconds * random.uniform(-1, 1)
        try:
            await host.turn(max(gap, call.crawl_delay), call.budget, shown(url))
        except Transient:
            call.counters["http/held"] += 1
            raise
        exchange = Exchange(
            accept=call.accept,
            timeout_seconds=policy.timeout_seconds,
            max_bytes=policy.max_bytes,
            cap_name=policy.cap_name,
            counters=call.counters,
            sent=host.started,
            wall_clock=self._wall_clock,
        )
        async with self._in_flight:
            self._raise_if_stopped()
            call.counters["http/requests"] += 1
            return await self._within_budget(exchange, url, call)

    async def _within_budget(self, exchange: Exchange, url: httpx.URL, call: _Call) -> Answer:
        headers = {"User-Agent": call.policy.user_agent, **call.validators.headers()}
        transport = self._transports[call.policy.allow_private]
        began = self._clock()
        try:
            async with asyncio.timeout(call.budget):
                return await exchange.send(transport, url, headers)
        except TimeoutError as error:
            call.counters["http/timed_out"] += 1
            raise Transient(
                f"{shown(url)} did not come whole within {call.policy.deadline_seconds:g} s,"
                " retries included; the next run tries again; if it is just large, raise"
                " deadline_seconds"
            ) from error
        finally:
            call.budget -= self._clock() - began


class _HostSlot:
    """Request starts to one host: one after another, spaced, and all held when it says so."""

    def __init__(
        self, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._queue = asyncio.Lock()
        self._last_start = -math.inf
        self._held_until = -math.inf

    def hold(self, seconds: float) -> None:
        """Let nobody start for `seconds` from now."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    def started(self) -> None:
        """Count the next gap from now."""
        self._last_start = self._clock()

    async def turn(self, gap: float, patience: float, name: str) -> None:
        """Wait until `gap` seconds after the last start; Transient if held beyond `patience`."""
        async with self._queue:
            while True:
                held = self._held_until - self._clock()
                if held > patience:
                    raise Transient(
                        f"{name} is not fetched: its host told everybody to wait {held:.0f} s more"
                        f" and {patience:.0f} s of the deadline are left; the next run tries again",
                        retry_after=held,
                    )
                wait = max(held, self._last_start + gap - self._clock())
                if wait < 1e-6:  # finer than a sleep can be
                    break
                await self._sleep(wait)
            self.started()


@dataclass
class _RobotsEntry:
    """What is known of one robots.txt until `expires` (by the gateway's clock)."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    expires: float = -math.inf
    found: RobotsRules | Transient = field(default_factory=lambda: Transient("not asked yet"))


@functools.cache
def _bundled_authorities() -> ssl.SSLContext:
    """Reading the bundle takes longer than many a fetch, hence once per process."""
    return httpx.create_ssl_context(trust_env=False)


def _web_url(text: str) -> httpx.URL:
    """`text` as an absolute http(s) URL without fragment; raises BadConfig."""
    try:
        url = httpx.URL(text.strip()).copy_with(fragment=None)
    except (httpx.InvalidURL, UnicodeError):
        # Neither the text nor its error is repeated: what cannot be parsed may hold a password.
        raise BadConfig("the source's url cannot be parsed; write https://host/path") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise BadConfig(f"{shown(url)!r} is no web address; write https://host/path")
    if not 0 < (url.port or 80) < 65536:
        raise BadConfig(f"{shown(url)} has port {url.port}; ports go from 1 to 65535")
    return url


def _next_hop(seen: list[httpx.URL], answer: Answer, limit: int) -> httpx.URL:
    """Where the redirect of the last one `seen` leads; Permanent if it may not be followed."""
    here = seen[-1]
    mend = "open it in a browser and give the source the final address"
    try:
        target = _web_url(str(here.join(answer.headers["location"])))
    except (KeyError, httpx.InvalidURL, UnicodeError, BadConfig) as error:
        raise BrokenContract(
            f"{shown(here)} answered {answer.status} without a usable Location; {mend}"
        ) from error
    if here.scheme == "https" and target.scheme == "http":
        raise Refused(f"{shown(here)} redirects to {shown(target)}, without encryption; {mend}")
    if _host_key(target) == _host_key(here) and not target.userinfo:
        target = target.copy_with(userinfo=here.userinfo)
    if target in seen:
        raise Permanent(f"{shown(seen[0])} redirects in a circle to {shown(target)}; {mend}")
    if len(seen) > limit:
        raise Permanent(f"{shown(seen[0])} redirects more than {limit} times; {mend}")
    return target


def _host_key(url: httpx.URL) -> str:
    """http and https of one name share a slot: httpx leaves default ports out."""
    return f"{url.host.rstrip('.')}:{url.port or ''}"


def _page(name: str, answer: Answer, call: _Call) -> Page:
    """The final answer as a Page, or the failure that its status means."""
    counters, asked = call.counters, call.validators
    given = Validators(answer.headers.get("etag"), answer.headers.get("last-modified"))
    if answer.status in (200, 203):
        counters["http/ok"] += 1
        return Page(name, answer.status, answer.body, answer.headers, given)
    if answer.status == 304 and asked.headers():
        counters["http/not_modified"] += 1
        kept = Validators(given.etag or asked.etag, given.last_modified or asked.last_modified)
        return Page(name, 304, b"", answer.headers, kept, not_modified=True)
    if answer.status in (404, 410):
        counters["http/not_found"] += 1
        raise NotFound(f"{name} answered {answer.status}: nothing is there; correct the url")
    if answer.status >= 400:
        counters["http/denied"] += 1
        raise Permanent(f"{name} answered {answer.status}: {_mend(answer.status)}")
    counters["http/off_contract"] += 1
    raise BrokenContract(
        f"{name} answered {answer.status} where 200 with content was due, as challenge pages do;"
        " open it in a browser, and ask its owner for leave if it wants a human"
    )


def _mend(status: int) -> str:
    match status:
        case 401:
            return "it wants a login; put user and password in the source's url"
        case 403:
            return "it does not let us in; ask its owner for leave, or retire the source"
        case _:
            return "it rejects the request; correct the url"
