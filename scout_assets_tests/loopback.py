"""Real HTTP servers on 127.0.0.1 that do exactly what a test scripts, faults included.

Belongs here: stores with routes, the faults a real server shows, and the record of what was
asked and when. Does not belong here: what the stores sell (each test writes its own examples)
and any expectation about the client.

    with Loopback() as loopback:
        shop = loopback.store()                              # its own port: its own host
        shop.route("/products.json", Reply.json({"products": []}))
        shop.route("/flaky.json", Reply(status=503), Reply.json({}))    # in turn; last repeats
        shop.route("/echo.json", lambda request: Reply.json(request.query))
        ...                                                  # fetch shop.url("/products.json")
        assert shop.paths == ["/robots.txt", "/products.json"]

Routes match the path without its query. A path without a route answers 404, /robots.txt too:
a store without one forbids nothing. One background thread serves every store of a Loopback, so
hundreds of stores are cheap; times are `time.monotonic()`, comparable with the test's own.
Connections are kept alive, as real servers do.
"""

import asyncio
import contextlib
import gzip
import itertools
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """What a store was asked: header names in lower case, `at` in monotonic seconds."""

    method: str
    target: str
    headers: Mapping[str, str]
    at: float
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of a repeated one the last."""
        return dict(parse_qsl(urlsplit(self.target).query))


@dataclass(frozen=True)
class Reply:
    """One scripted answer. Sizes in bytes, times in seconds.

    `headers` win over the ones made here. `declared` lies in Content-Length; `undeclared` sends
    none and ends the body by closing; `chunked` uses chunks. `pause` waits before the first
    byte; `drip` sends `drip` bytes at a time with `drip_pause` between. `cut_after` closes the
    connection after that many body bytes; `repeat` sends the body that many times; `raw`
    replaces everything by these bytes; `hang_up` closes without a word.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False
    undeclared: bool = False
    declared: int | None = None
    repeat: int = 1
    pause: float = 0.0
    drip: int | None = None
    drip_pause: float = 0.05
    cut_after: int | None = None
    raw: bytes | None = None
    hang_up: bool = False

    @classmethod
    def json(cls, value: object, **options: Any) -> "Reply":
        """`value` as JSON; `options` are fields of Reply, `headers` are added."""
        return cls.text(json.dumps(value), "application/json; charset=utf-8", **options)

    @classmethod
    def text(cls, text: str, content_type: str = "text/plain", **options: Any) -> "Reply":
        """`text` in UTF-8 under `content_type`."""
        headers = {"Content-Type": content_type, **options.pop("headers", {})}
        return cls(body=text.encode(), headers=headers, **options)

    def gzipped(self) -> "Reply":
        """The same answer with its body compressed and labelled so."""
        headers = {**self.headers, "Content-Encoding": "gzip"}
        return replace(self, body=gzip.compress(self.body), headers=headers)

    def head(self) -> bytes:
        """Status line and headers as sent."""
        headers = dict(self.headers)
        if self.chunked:
            headers.setdefault("Transfer-Encoding", "chunked")
        elif self.undeclared:
            headers.setdefault("Connection", "close")
        elif self.status != HTTPStatus.NOT_MODIFIED:
            size = len(self.body) * self.repeat if self.declared is None else self.declared
            headers.setdefault("Content-Length", str(size))
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


Script = Reply | Callable[[Request], Reply]


class Store:
    """One host: its routes, and every request it got, in order of arrival."""

    def __init__(self, scheme: str, port: int) -> None:
        self.scheme = scheme
        self.port = port
        self.requests: list[Request] = []
        self._routes: dict[str, Sequence[Script]] = {}
        self._served: dict[str, int] = {}

    def url(self, target: str = "/", host: str = "127.0.0.1") -> str:
        """The absolute address of `target`; `host` for names a test resolves itself."""
        return f"{self.scheme}://{host}:{self.port}{target}"

    def route(self, path: str, *scripts: Script) -> None:
        """Answer `path` with `scripts` in turn, then with the last one for ever."""
        self._routes[path] = scripts
        self._served[path] = 0

    def robots(self, text: str) -> None:
        """Serve `text` as /robots.txt."""
        self.route("/robots.txt", Reply.text(text))

    @property
    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [request.path for request in self.requests]

    def to(self, path: str) -> list[Request]:
        """The requests for one path, in order."""
        return [request for request in self.requests if request.path == path]

    def gaps(self) -> list[float]:
        """Seconds between the arrivals of consecutive requests."""
        times = [request.at for request in self.requests]
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    def answer(self, request: Request) -> Reply:
        """Record `request` and pick its scripted reply."""
        self.requests.append(request)
        scripts = self._routes.get(request.path)
        if not scripts:
            return Reply(status=404)
        turn = self._served[request.path]
        self._served[request.path] += 1
        script = scripts[min(turn, len(scripts) - 1)]
        return script if isinstance(script, Reply) else script(request)


class Loopback:
    """A background thread that serves stores until the `with` block ends."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def store(self, tls: ssl.SSLContext | None = None) -> Store:
        """Open one more store on a free port; https with the server context `tls`."""
        return asyncio.run_coroutine_threadsafe(self._open(tls), self._loop).result(timeout=10)

    async def _open(self, tls: ssl.SSLContext | None) -> Store:
        store = Store("https" if tls else "http", 0)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._connections.add(task)
            try:
                await _serve(store, reader, writer)
            finally:
                self._connections.discard(task)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls, backlog=256)
        self._servers.append(server)
        store.port = server.sockets[0].getsockname()[1]
        return store

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        waiting = list(self._connections)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _serve(store: Store, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection until either side is done with it."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            request = _parse(head.decode("latin-1"))
            body = await reader.readexactly(int(request.headers.get("content-length", 0)))
            reply = store.answer(replace(request, body=body))
            if not await _send(reply, writer):
                break
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError, ssl.SSLError):
        pass  # the client left, or the test is over: nobody is there to be told
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


def _parse(head: str) -> Request:
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Request(method, target, headers, time.monotonic())


async def _send(reply: Reply, writer: asyncio.StreamWriter) -> bool:
    """Play `reply`; whether the connection may serve another request."""
    await asyncio.sleep(reply.pause)
    if reply.hang_up:
        return False
    if reply.raw is not None:
        writer.write(reply.raw)
        await writer.drain()
        return False
    writer.write(reply.head())
    sent = 0
    for _ in range(reply.repeat):
        for piece in _pieces(reply):
            room = None if reply.cut_after is None else reply.cut_after - sent
            writer.write(_framed(piece[:room], reply))
            sent += len(piece)
            await writer.drain()
            if room is not None and room <= len(piece):
                return False
            if reply.drip:
                await asyncio.sleep(reply.drip_pause)
    if reply.chunked:
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    return not reply.undeclared and reply.declared is None


def _pieces(reply: Reply) -> list[bytes]:
    size = reply.drip or max(len(reply.body), 1)
    return [reply.body[start : start + size] for start in range(0, len(reply.body), size)]


def _framed(piece: bytes, reply: Reply) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece) if reply.chunked else piece
