"""One request and its answer, and what each way of failing means.

Belongs here: sending one GET over a guarded transport, taking the body in within a cap, telling
a network or server fault as one of our failures, and naming URLs without their secrets. Does
not belong here: anything that takes a second request (retries, redirects, robots.txt,
politeness: `http`), and which statuses a caller is content with.
"""

import base64
import re
import ssl
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from fnmatch import fnmatch

import httpx

from scout_assets.domain.failures import (
    BrokenContract,
    Permanent,
    Refused,
    ScoutFailure,
    Transient,
)
from scout_assets.gateways.address_guard import ForbiddenAddress, Unresolved

_RETRIED_4XX = frozenset({408, 425, 429})  # request time-out, too early, too many requests
# Sloppy servers label JSON and CSV as text/plain or octet-stream, which is left to the parser;
# a page or a picture in place of data is a login, a challenge or an error.
_NEVER_DATA = ("text/html", "application/xhtml+xml", "image/", "audio/", "video/", "font/")
_SECRET_PARAMETER = re.compile(
    r"(?i)([?&][^=&#]*(?:key|token|secret|passw(?:or)?d|pwd|sig|signature|auth|authorization"
    r"|credentials?|session|sid)=)[^&#]+"
)


class Retriable(Transient):
    """An attempt failed in a way the next may not; `whole_host`: nobody should ask meanwhile."""

    def __init__(
        self, message: str, retry_after: float | None = None, whole_host: bool = False
    ) -> None:
        super().__init__(message, retry_after)
        self.whole_host = whole_host


class _Truncated(Exception):
    """A compressed body is damaged or ends too early."""


@dataclass(frozen=True)
class Answer:
    """A status below 500 with its headers; `body` is decoded, and empty unless 200 or 203."""

    status: int
    headers: httpx.Headers
    body: bytes


@dataclass(frozen=True)
class Exchange:
    """How to ask: media types wanted, seconds per read, bytes at most and by what, where to count.

    `sent` is called when the request goes out, which may be long after `send` was called: a
    name is to be resolved and a connection to be made first.
    """

    accept: str
    timeout_seconds: float
    max_bytes: int
    cap_name: str
    counters: Counter[str]
    sent: Callable[[], None]
    wall_clock: Callable[[], float] = time.time

    async def send(
        self, transport: httpx.AsyncBaseTransport, url: httpx.URL, headers: Mapping[str, str]
    ) -> Answer:
        """GET `url` once. User and password in it become Basic authentication.

        Raises Retriable (silence, broken connection or body, 408, 425, 429, 5xx),
        ForbiddenAddress, Refused (cap), BrokenContract (content type, coding), Permanent
        (certificate).
        """
        # The bare transport, not a client: a client keeps cookies across sources, reads
        # proxies from the environment, and logs whole URLs, secrets included.
        request = httpx.Request(
            "GET",
            url,
            headers={**headers, "Accept": self.accept, "Accept-Encoding": "gzip", **_login(url)},
            extensions={
                "timeout": httpx.Timeout(self.timeout_seconds, pool=None).as_dict(),
                "trace": self._trace,
            },
        )
        with self._explained(shown(url)):
            response = await transport.handle_async_request(request)
            try:
                self._raise_if_retriable(shown(url), response)
                body = await self._read(shown(url), response)
            finally:
                await response.aclose()
        return Answer(response.status_code, response.headers, body)

    async def _trace(self, event: str, info: Mapping[str, object]) -> None:
        if event == "http11.send_request_headers.started":
            self.sent()

    async def _read(self, name: str, response: httpx.Response) -> bytes:
        declared = response.headers.get("content-length", "")
        size = int(declared) if declared.isdigit() else None
        wanted = response.status_code in (200, 203)
        if not wanted and response.status_code != 304 and size != 0:
            return b""  # closing costs the connection, reading could cost more
        if wanted:
            self._check_type(name, response.headers.get("content-type", ""))
        if wanted and size is not None and size > self.max_bytes:
            raise self._oversized(name, f"{size:,} bytes declared")
        coding = response.headers.get("content-encoding", "").strip().lower() if wanted else ""
        return await self._collect(name, response, coding)

    async def _collect(self, name: str, response: httpx.Response, coding: str) -> bytes:
        """Take the body in chunk by chunk, decoding at most one byte beyond the cap."""
        if coding not in ("", "identity", "gzip", "x-gzip"):
            self.counters["http/off_contract"] += 1
            raise BrokenContract(
                f"{name} is encoded as {coding[:40]!r} though only gzip was offered; its server"
                " must honour Accept-Encoding"
            )
        gunzip = _Gunzip() if "gzip" in coding else None
        body, received = bytearray(), 0
        async for chunk in response.aiter_raw():
            received += len(chunk)
            body += gunzip.feed(chunk, self.max_bytes + 1 - len(body)) if gunzip else chunk
            if max(len(body), received) > self.max_bytes:
                raise self._oversized(name, f"stopped after {received:,} bytes received")
        if gunzip and not gunzip.complete:
            raise _Truncated("the gzip stream ends too early")
        self.counters["http/bytes"] += len(body)
        return bytes(body)

    def _oversized(self, name: str, found: str) -> Refused:
        self.counters["http/oversized"] += 1
        return Refused(
            f"{name} is larger than {self.max_bytes:,} bytes ({found}); raise {self.cap_name}, or"
            " give it a narrower url"
        )

    def _check_type(self, name: str, content_type: str) -> None:
        media = content_type.partition(";")[0].strip().lower()
        wanted = [part.partition(";")[0].strip().lower() for part in self.accept.split(",")]
        if not media.startswith(_NEVER_DATA) or any(fnmatch(media, want) for want in wanted):
            return
        self.counters["http/off_contract"] += 1
        raise BrokenContract(
            f"{name} answered with {media} where {self.accept} was due, likely a login, challenge"
            " or error page; open it in a browser and correct the url"
        )

    def _raise_if_retriable(self, name: str, response: httpx.Response) -> None:
        status = response.status_code
        if status < 500 and status not in _RETRIED_4XX:
            return
        wait = retry_after(response.headers, self.wall_clock())
        whole_host = status == 429 or (status == 503 and wait is not None)
        self.counters["http/throttled" if whole_host else "http/server_error"] += 1
        asked = "" if wait is None else f" and asks to wait {wait:.0f} s"
        raise Retriable(f"{name} answered {status}{asked}", wait, whole_host)

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Tell what the network stack raises as our failures, counted and named."""
        try:
            yield
        except ForbiddenAddress as error:
            self.counters["address/refused"] += 1
            raise ForbiddenAddress(f"{name} is not fetched: {error}") from error
        except httpx.TimeoutException as error:
            self.counters["http/timed_out"] += 1
            kind = type(error).__name__
            raise Retriable(f"{name} was silent for {self.timeout_seconds:g} s ({kind})") from error
        except (httpx.TransportError, _Truncated) as error:
            self.counters["http/unreachable"] += 1
            raise self._broken_off(name, error) from error

    def _broken_off(self, name: str, error: Exception) -> ScoutFailure:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, Unresolved):
                self.counters["address/unresolved"] += 1
                return Retriable(f"{name} could not be reached: {cause}; check its spelling")
            if isinstance(cause, ssl.SSLCertVerificationError):
                return Permanent(
                    f"{name} has a certificate that cannot be trusted ({cause.verify_message});"
                    " its owner must mend it, or the source's url is wrong"
                )
            cause = cause.__cause__ or cause.__context__
        return Retriable(f"{name} could not be read: {error or type(error).__name__}")


class _Gunzip:
    """Decodes gzip, several members included, never yielding more than asked for."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def complete(self) -> bool:
        return self._member.eof

    def feed(self, data: bytes, room: int) -> bytes:
        """At most `room` decoded bytes; less than all of `data` once that is reached."""
        decoded = bytearray()
        while data and len(decoded) < room:
            if self._member.eof:
                data = data.lstrip(b"\0")  # padding after the last member is legal
                if not data:
                    break
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                decoded += self._member.decompress(data, room - len(decoded))
            except zlib.error as error:
                raise _Truncated(f"the gzip stream is damaged ({error})") from error
            data = self._member.unconsumed_tail or self._member.unused_data
        return bytes(decoded)


def shown(url: str | httpx.URL) -> str:
    """`url` fit for a message: without user, password, fragment and secret-looking values."""
    bare = re.sub(r"//[^/?#]*@", "//", str(url).partition("#")[0])
    return _SECRET_PARAMETER.sub(r"\1***", bare)


def retry_after(headers: httpx.Headers, wall_time: float) -> float | None:
    """Seconds asked for by Retry-After, a number or an HTTP-date (RFC 9110 10.2.3).

    None when absent or unreadable. `wall_time` is in seconds since the epoch.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:  # no zone given: an HTTP-date is UTC
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - wall_time)


def _login(url: httpx.URL) -> dict[str, str]:
    if not url.userinfo:
        return {}
    login = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
    return {"Authorization": f"Basic {login}"}
