"""(b) A crawl of many stores beside what politeness alone costs.

50 Shopify stores x 4 pages on loopback, in a process of their own so that serving does not
take from the client's share of Python. The limit is computed from the policy: a host is asked
for robots.txt and its pages one after another, `delay_seconds` apart (jitter 0), so that no
client that keeps the policy is done sooner, however fast the network. Hosts are independent:
the limit is that of one host. Once as a bare crawl, once with landing what came (`Snapshots`:
artifacts and ledger), as the asset does it.
"""

import asyncio
import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.made_up import products, shopify_page
from benchmarks.measuring import Measured, interleaved, seconds
from scout_assets.domain.sources import Platform, Source
from scout_assets.gateways.artifacts import Artifacts
from scout_assets.gateways.http import HttpGateway, Policy
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.snapshots import Snapshots
from scout_assets.gateways.storefronts import SHOPIFY_PAGE_SIZE, crawl
from scout_assets_tests.loopback import Loopback, Reply, Request

PAGES = 4
VARIANTS = 1
SHORT_PAGE = 25  # products on the last page, which ends the crawl
POLICY = Policy(jitter_seconds=0)
NOW = datetime(2026, 9, 7, tzinfo=UTC)

Fetch = Callable[[Source, HttpGateway], Awaitable[Counter[str]]]


def run(quick: bool) -> Iterator[Measured]:
    """Crawl alone, and crawl with landing, each beside the floor."""
    stores, rounds = (5, 1) if quick else (50, 3)
    gaps = PAGES  # between robots.txt and the pages
    floor = gaps * POLICY.delay_seconds
    with _served(stores) as sources:
        asyncio.run(_all(sources[:1], _crawl))  # imports

        def bare() -> float:
            return seconds(lambda: asyncio.run(_all(sources, _crawl)))

        crawled, landed = interleaved(rounds, bare, lambda: _landing(sources))
    limit = f"politeness: {gaps} gaps of {POLICY.delay_seconds:g} s"
    shape = f"{stores} stores x {PAGES} pages"
    yield Measured(f"crawl, {shape}", crawled, limit, floor, 1.15)
    yield Measured(f"crawl and land, {shape}", landed, limit, floor)


async def _all(sources: Sequence[Source], fetch: Fetch) -> None:
    """Every source at once; checks that each was asked for all of its pages and no more."""
    async with HttpGateway() as gateway:
        counters = await asyncio.gather(*(fetch(source, gateway) for source in sources))
    asked = sum(counters, Counter[str]())
    if asked["http/requests"] != len(sources) * (PAGES + 1):
        raise AssertionError(f"not the crawl that the limit is for: {asked}")


async def _crawl(source: Source, gateway: HttpGateway) -> Counter[str]:
    counters: Counter[str] = Counter()
    await crawl(source, gateway, POLICY, {}, counters)
    return counters


def _landing(sources: Sequence[Source]) -> float:
    with tempfile.TemporaryDirectory(prefix="bench-crawl-") as folder:
        ledger = Ledger(Path(folder) / "ledger.sqlite")
        snapshots = Snapshots(ledger, Artifacts(str(Path(folder) / "artifacts")))

        async def land(source: Source, gateway: HttpGateway) -> Counter[str]:
            landing = await snapshots.refresh(source, gateway, POLICY, lambda: NOW)
            return Counter(landing.counters)

        return seconds(lambda: asyncio.run(_all(sources, land)))


@contextmanager
def _served(count: int) -> Iterator[list[Source]]:
    """Sources for `count` stores that another process serves meanwhile."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    server = spawn.Process(target=_serve, args=(there, count), daemon=True)
    server.start()
    there.close()
    try:
        yield [
            Source(
                key=f"store-{number}",
                platform=Platform.SHOPIFY,
                location=location,
                currency="EUR",
                allow_private=True,
            )
            for number, location in enumerate(here.recv())
        ]
    finally:
        here.close()
        server.join(timeout=10)


def _serve(pipe: Connection, count: int) -> None:
    """Serve until the other end of `pipe` is closed."""
    with Loopback() as loopback:
        locations = []
        for number in range(count):
            store = loopback.store()
            store.route("/products.json", _listing(number))
            locations.append(store.url())
        pipe.send(locations)
        pipe.poll(None)


def _listing(store: int) -> Callable[[Request], Reply]:
    """Pages ready made: what rendering costs a store is not what we measure."""
    sizes = [SHOPIFY_PAGE_SIZE] * (PAGES - 2) + [SHORT_PAGE, 0]  # an empty page ends it
    first = store * SHOPIFY_PAGE_SIZE * PAGES
    pages = [
        shopify_page(products(size, VARIANTS, first + number * SHOPIFY_PAGE_SIZE))
        for number, size in enumerate(sizes)
    ]
    replies = [Reply(body=page, headers={"Content-Type": "application/json"}) for page in pages]
    return lambda request: replies[int(request.query["page"]) - 1]
