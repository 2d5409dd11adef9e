"""(d) Parsing and normalising a capture beside decoding its JSON.

Ours: `read_capture`, from the bytes of one Shopify page to rows of parents, products and
offers, every fact read from the texts. Limit: `orjson.loads` of the same bytes, the least that
any reader in Python must do. The page is the sample store's, repeated under other ids and with
other words, 8 variants a product as there.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import orjson

from benchmarks.made_up import products, shopify_page
from benchmarks.measuring import Measured, interleaved, seconds
from scout_assets.domain.capture import PRODUCTS_PAGE, RawSnapshot, read_capture
from scout_assets.domain.sources import Platform, Source

VARIANTS = 8
NOW = datetime(2026, 9, 7, tzinfo=UTC)
SOURCE = Source(key="made-up", platform=Platform.SHOPIFY, location="made-up.json", currency="EUR")


def run(quick: bool) -> Iterator[Measured]:
    """One capture of 1,000 variants."""
    count, rounds = (10, 1) if quick else (125, 7)
    body = shopify_page(products(count, VARIANTS))
    raw = RawSnapshot(1, "0" * 64, NOW, [(PRODUCTS_PAGE, body)])
    listed = len(read_capture(SOURCE, raw).offers)
    if listed != count * VARIANTS:
        raise AssertionError(f"{listed} of {count * VARIANTS} variants were read")
    ours, limit = interleaved(
        rounds,
        lambda: seconds(lambda: read_capture(SOURCE, raw)),
        lambda: seconds(lambda: orjson.loads(body)),
    )
    yield Measured(
        f"parse and normalise {listed} variants",
        ours,
        "orjson.loads alone",
        limit,
        note=f"{listed / ours:,.0f} variants/s",
    )
