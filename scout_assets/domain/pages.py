"""Pages as the platforms promise them: one JSON document that lists products.

Belongs here: holding a page to that promise, counting and numbering its rows. Does not belong
here: what a row says (`storefront`), fetching (`gateways.storefronts`).
"""

from collections.abc import Iterator, Sequence

import msgspec
import orjson

from scout_assets.domain.failures import BrokenContract
from scout_assets.domain.sources import Platform


def page_items(platform: Platform, body: bytes) -> int:
    """Number of products on one page; 0 ends the paging.

    Raises BrokenContract when the body is not the document that `platform` promises.
    """
    try:
        body.decode()
        if platform is Platform.SHOPIFY:
            return len(_SHOPIFY_PAGE.decode(body).products)
        return len(_WOOCOMMERCE_PAGE.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return len(_items(platform, body, "page"))  # says what is wrong


class _ShopifyPage(msgspec.Struct):
    products: list[msgspec.Raw]


# Checks the whole document but builds none of it: eight times faster than reading it.
_SHOPIFY_PAGE = msgspec.json.Decoder(_ShopifyPage)
_WOOCOMMERCE_PAGE = msgspec.json.Decoder(list[msgspec.Raw])


def _items(platform: Platform, body: bytes, place: str) -> list[object]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        start = body.lstrip()[:60].decode("utf-8", "replace")
        hint = "HTML" if start.startswith("<") else repr(start) if start else "empty"
        raise BrokenContract(
            f"{platform} {place}: not JSON but {hint} ({error}); check the address and"
            " that the shop serves this API to visitors"
        ) from error
    items = None
    if platform is Platform.SHOPIFY and isinstance(document, dict):
        items = document.get("products")
    if platform is Platform.WOOCOMMERCE and isinstance(document, list):
        items = document
    if not isinstance(items, list):
        raise BrokenContract(f"{platform} {place}: {_shape_fault(platform, document)}")
    return items


def _shape_fault(platform: Platform, document: object) -> str:
    promise = '{"products": [...]}' if platform is Platform.SHOPIFY else "a list of products"
    if isinstance(document, dict):
        message = document.get("message") or document.get("errors")
        said = f"; it says {message!r}" if message else ""
        return f"expected {promise}, got an object with keys {sorted(document)[:6]}{said}"
    return f"expected {promise}, got {type(document).__name__}"


def numbered(platform: Platform, pages: Sequence[bytes]) -> Iterator[tuple[str, object]]:
    """Every product row of the pages with its place, "page 1, product 3 (id 17)".

    Raises BrokenContract as `page_items` does.
    """
    for number, body in enumerate(pages, 1):
        for index, item in enumerate(_items(platform, body, f"page {number}"), 1):
            yield f"page {number}, product {index}{labelled(item)}", item


def labelled(row: object) -> str:
    """A row's id as a place tells it, " (id 17)"; a place is part of a key, so it is cut."""
    if not isinstance(row, dict) or "id" not in row:
        return ""
    label = str(row["id"]).replace(NUL, "")
    return f" (id {label if len(label) <= LONGEST_LABEL else label[:LONGEST_LABEL] + '…'})"


NUL = "\0"
"""Kept by no engine, so in no key either."""
LONGEST_LABEL = 60
