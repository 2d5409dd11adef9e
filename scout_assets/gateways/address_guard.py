"""Which network addresses a fetch may connect to, and the transport that holds to it.

Belongs here: resolving a name, judging every address it gives, and connecting to exactly an
address that was judged. Does not belong here: URLs, redirects, robots.txt, retries (`http`).

A name is resolved once per connection and the socket goes to the judged address, so a name
that answers differently a moment later (DNS rebinding) gains nothing. TLS and the Host header
still see the name: connections are pooled by name, never by address, because many stores
share one address and a certificate checked for one must not vouch for another.

    ForbiddenAddress   (Refused)            a name leads into private or special address space
    Unresolved         (httpcore error)     a name leads nowhere, at least for now
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence

import httpcore
import httpx

from scout_assets.domain.failures import Refused

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) → textual IP addresses in order of preference; raises OSError."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_ALSO_SPECIAL = tuple(
    ipaddress.ip_network(block)
    for block in (
        "192.0.0.0/24",  # RFC 6890, IETF protocol assignments; one cloud keeps metadata there
        "192.88.99.0/24",  # RFC 7526, retired 6to4 relays
        "168.63.129.16/32",  # public by number, but the platform agent of a cloud's own hosts
        "fec0::/10",  # RFC 3879, retired site-local
        "2001::/23",  # RFC 2928, protocol assignments; holds Teredo, which wraps IPv4
    )
)
_SHARDS = 64
_KEPT_ALIVE_PER_SHARD = 4  # 256 idle sockets at most, however many hosts a run visits


class ForbiddenAddress(Refused):
    """A name leads to an address that a fetch from the public web must not reach."""


class Unresolved(httpcore.ConnectError):
    """A name has no address now."""


def is_public(address: str) -> bool:
    """Whether `address` (textual IPv4 or IPv6) belongs to the public internet.

    The rule is the IANA special-purpose registries (RFC 6890) as `ipaddress` knows them, plus
    the blocks above. An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) decides for it.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
    if any(ip.version == block.version and ip in block for block in _ALSO_SPECIAL):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """Ask the operating system; raises OSError (gaierror) when it knows no address."""
    with contextlib.suppress(ValueError):
        return [str(ipaddress.ip_address(host))]  # an address needs no thread to look it up
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedTransport(httpx.AsyncBaseTransport):
    """HTTP/1.1 over connections that only lead to judged addresses; pooled and kept alive.

    One transport is either public-only or open to private addresses: a pooled connection made
    under the wider permission must never serve a request under the narrower one.
    Raises ForbiddenAddress besides httpx.TransportError.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        tls: ssl.SSLContext,
        resolve: Resolver = system_resolver,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        guarded = _GuardedNetwork(allow_private, resolve, network or httpcore.AnyIOBackend())
        # httpcore looks at every connection of a pool for every request, some of it squared;
        # with one pool, 50 hosts cost more time in there than in all the rest [measured].
        self._shards = [_PooledTransport(tls, guarded) for _ in range(_SHARDS)]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send over the pool that this host always uses."""
        shard = hash((request.url.host, request.url.port)) % _SHARDS
        return await self._shards[shard].handle_async_request(request)

    async def aclose(self) -> None:
        """Close every connection."""
        for shard in self._shards:
            await shard.aclose()


class _PooledTransport(httpx.AsyncHTTPTransport):
    def __init__(self, tls: ssl.SSLContext, network: httpcore.AsyncNetworkBackend) -> None:
        # No proxies from the environment: behind a proxy the addresses judged here are not
        # the ones connected to, and the guard would guard nothing.
        super().__init__(verify=tls, trust_env=False)
        # httpx 0.28 takes no network backend; its pool is a public class of httpcore's, so it
        # is replaced before its first use.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=None,  # callers bound the gets under way, per source
            max_keepalive_connections=_KEPT_ALIVE_PER_SHARD,
            keepalive_expiry=30.0,
            network_backend=network,
        )


class _GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Resolves, judges, then connects to what was judged."""

    def __init__(
        self, allow_private: bool, resolve: Resolver, inner: httpcore.AsyncNetworkBackend
    ) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._lookup(host, port, timeout)
        if not self._allow_private:
            _refuse_special(host, addresses)
        # A dead first address (often IPv6) must leave time for the next.
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            try:
                return await self._inner.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(
            addresses[-1], port, share, local_address, socket_options
        )

    async def _lookup(self, host: str, port: int, timeout: float | None) -> Sequence[str]:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
        except TimeoutError as error:
            raise Unresolved(f"the name {host} was not resolved within {timeout:g} s") from error
        except (OSError, UnicodeError) as error:
            raise Unresolved(f"the name {host} does not resolve ({error})") from error
        if not addresses:
            raise Unresolved(f"the name {host} has no address")
        return addresses

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def _refuse_special(host: str, addresses: Sequence[str]) -> None:
    """One special address condemns the name: a mixed answer is how rebinding looks."""
    special = [address for address in addresses if not is_public(address)]
    if special:
        raise ForbiddenAddress(
            f"{host} leads to {', '.join(special)}, which is not on the public internet; if this"
            " source really lives in your own network, set allow_private: true on it"
        )
