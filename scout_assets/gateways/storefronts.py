"""Crawling a store: which pages to ask for, in which order, until when.

Shopify: `/products.json`, 250 a page, page x limit at most 25,000 (Shopify refuses more), and
`/meta.json` for the currency. WooCommerce Store API: `/wp-json/wc/store/v1/products`, 100 a
page, the number of pages in `X-WP-TotalPages`; variations are listed by `type=variation`.
Belongs here: that. Does not belong here: requests themselves (`http`), storing
(`snapshots`), what a page says (`domain.storefront`).
"""

import asyncio
import codecs
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from scout_assets.domain.capture import META_PAGE, PRODUCTS_PAGE
from scout_assets.domain.failures import Critical, Permanent
from scout_assets.domain.pages import page_items
from scout_assets.domain.sources import Platform, Source
from scout_assets.gateways.http import HttpGateway, Policy, Validators
from scout_assets.gateways.http import Page as HttpPage

__all__ = ["KnownPage", "RawPage", "crawl", "newer_page"]

SHOPIFY_PAGE_SIZE = 250
SHOPIFY_LAST_PAGE = 25_000 // SHOPIFY_PAGE_SIZE
WOOCOMMERCE_PAGE_SIZE = 100
WOOCOMMERCE_LAST_PAGE = 500
VARIATIONS = "type=variation"


@dataclass(frozen=True)
class RawPage:
    """One answer as it came; `items` is the number of products it lists."""

    role: str
    url: str
    body: bytes
    validators: Validators
    items: int


@dataclass(frozen=True)
class KnownPage:
    """A page of the last snapshot: what to ask with, and its bytes if nothing changed."""

    validators: Validators
    load: Callable[[], bytes]


@dataclass(frozen=True)
class _Crawl:
    source: Source
    http: HttpGateway
    policy: Policy
    known: Mapping[str, KnownPage]
    counters: Counter[str]

    async def page(self, role: str, url: str) -> tuple[RawPage, HttpPage]:
        known = self.known.get(url)
        answer = await self.ask(url, known.validators if known else None)
        if known and answer.not_modified:
            try:
                return self._raw(role, url, known.load(), known.validators), answer
            except Critical:
                # The bytes we knew are lost; the store still has them.
                self.counters["artifacts/fetched_again"] += 1
                answer = await self.ask(url, None)
        return self._raw(role, url, _utf8(answer), answer.validators), answer

    def _raw(self, role: str, url: str, body: bytes, validators: Validators) -> RawPage:
        """The page, held to its contract."""
        listed = role == PRODUCTS_PAGE
        items = page_items(self.source.platform, body) if listed else 0
        return RawPage(role, url, body, validators, items)

    async def ask(self, url: str, validators: Validators | None) -> HttpPage:
        return await self.http.get(
            url,
            policy=self.policy,
            validators=validators,
            counters=self.counters,
            source=self.source.key,
        )


async def crawl(
    source: Source,
    http: HttpGateway,
    policy: Policy,
    known: Mapping[str, KnownPage],
    counters: Counter[str],
) -> tuple[RawPage, ...]:
    """All pages of a store, asked conditionally where `known` has validators.

    `policy` holds for all sources; concurrency and allow_private are the source's own.

    A page that fails fails the crawl: half a catalogue would make the rest look vanished.
    Raises the failures of `HttpGateway.get`, and BrokenContract for a page of another shape.
    """
    work = _crawl_of(source, http, policy, known, counters)
    if source.platform is Platform.SHOPIFY:
        return await _shopify(work)
    return await _woocommerce(work)


async def newer_page(
    source: Source,
    http: HttpGateway,
    policy: Policy,
    url: str,
    validators: Validators,
    counters: Counter[str],
) -> bytes | None:
    """A page of the last crawl, asked and read as a crawl does; None where it is unchanged.

    Raises the failures of `HttpGateway.get`.
    """
    answer = await _crawl_of(source, http, policy, {}, counters).ask(url, validators)
    return None if answer.not_modified else _utf8(answer)


def _crawl_of(
    source: Source,
    http: HttpGateway,
    policy: Policy,
    known: Mapping[str, KnownPage],
    counters: Counter[str],
) -> _Crawl:
    own = {"concurrency": source.default_concurrency, "allow_private": source.allow_private}
    return _Crawl(source, http, policy.model_copy(update=own), known, counters)


async def _shopify(work: _Crawl) -> tuple[RawPage, ...]:
    pages: list[RawPage] = []
    listing = _endpoint(work.source.location, "/products.json")
    for number in range(1, SHOPIFY_LAST_PAGE + 1):
        url = _with_query(listing, limit=SHOPIFY_PAGE_SIZE, page=number)
        page, _ = await work.page(PRODUCTS_PAGE, url)
        if pages and _ends(pages[-1], page):
            break
        pages.append(page)
        if page.items == 0:
            break
    else:
        work.counters["fetch/truncated"] += 1
    if work.source.currency is None:
        pages += await _shopify_meta(work)
    return tuple(pages)


def _ends(before: RawPage, page: RawPage) -> bool:
    """An empty page ends the listing. A file that ignores `page` repeats itself for ever.

    A page that is not full ends nothing: a store may have a page size of its own.
    """
    return page.items == 0 or page.body == before.body


async def _shopify_meta(work: _Crawl) -> list[RawPage]:
    """The store's own word on its currency; a store without it still has products."""
    url = _endpoint(work.source.location, "/meta.json")
    try:
        page, _ = await work.page(META_PAGE, url)
    except Permanent:
        if url in work.known:
            raise  # it was there: without it all prices would seem to change
        work.counters["currency/unknown"] += 1
        return []
    return [page]


async def _woocommerce(work: _Crawl) -> tuple[RawPage, ...]:
    listing = _endpoint(work.source.location, "/wp-json/wc/store/v1/products")
    products = await _woocommerce_pages(work, listing, {})
    if not any(b'"variable"' in page.body for page in products):
        return products
    try:
        return products + await _woocommerce_pages(work, listing, {"type": "variation"})
    except Permanent:
        if any(VARIATIONS in url for url in work.known):
            raise  # they were listed: without them all prices would seem to vanish
        # Older WooCommerce does not list variations: their own prices then stay unknown.
        work.counters["woocommerce/variations_unavailable"] += 1
        return products


async def _woocommerce_pages(
    work: _Crawl, listing: str, query: Mapping[str, str]
) -> tuple[RawPage, ...]:
    def url(number: int) -> str:
        return _with_query(listing, **query, per_page=WOOCOMMERCE_PAGE_SIZE, page=number)

    first, answer = await work.page(PRODUCTS_PAGE, url(1))
    total = answer.headers.get("x-wp-totalpages", "")
    if not total.isdigit():
        return await _woocommerce_until_empty(work, first, url)
    last = min(int(total), WOOCOMMERCE_LAST_PAGE)
    work.counters["fetch/truncated"] += int(total) > last
    rest = await asyncio.gather(*(work.page(PRODUCTS_PAGE, url(n)) for n in range(2, last + 1)))
    return (first, *(page for page, _ in rest))


async def _woocommerce_until_empty(
    work: _Crawl, first: RawPage, url: Callable[[int], str]
) -> tuple[RawPage, ...]:
    """Without the header (a 304 often lacks it) the listing ends as Shopify's does."""
    pages = [first]
    while first.items and len(pages) < WOOCOMMERCE_LAST_PAGE:
        page, _ = await work.page(PRODUCTS_PAGE, url(len(pages) + 1))
        if _ends(pages[-1], page):
            break
        pages.append(page)
    return tuple(pages)


def _utf8(answer: HttpPage) -> bytes:
    """The body in UTF-8, which JSON must be (RFC 8259 8.1) and stores sometimes are not."""
    body = answer.body.removeprefix(codecs.BOM_UTF8)
    charset = answer.charset
    if charset is None or charset in ("utf-8", "utf8"):
        return body
    try:
        return body.decode(charset).encode()
    except (LookupError, UnicodeDecodeError):
        return body


def _endpoint(location: str, path: str) -> str:
    """The address of `path` in a store; a location that names a .json file is that file."""
    parts = urlsplit(location)
    if parts.path.endswith(".json"):
        if path != "/meta.json":
            return location
        return urlunsplit(parts._replace(path=parts.path.rpartition("/")[0] + path, query=""))
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path, query=""))


def _with_query(url: str, **query: str | int) -> str:
    parts = urlsplit(url)
    asked = {**dict(parse_qsl(parts.query)), **query}
    return urlunsplit(parts._replace(query=urlencode(asked)))
