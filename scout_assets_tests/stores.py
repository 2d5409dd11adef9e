"""Small stores for tests, in the shapes the platforms serve.

Belongs here: payload builders, the routes and the declaration of a lifelike store on `loopback`.
Does not belong here: real stores' content.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scout_assets_tests.loopback import Reply, Request, Store


def declared(key: str, store: Store, platform: str = "shopify") -> dict[str, Any]:
    """A store on the loopback as `sources.yaml` has it."""
    return {"key": key, "platform": platform, "location": store.url(), "allow_private": True}


def shopify_variant(number: int, price: str = "12.50", **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "title": "250 g / Whole bean",
        "option1": "250 g",
        "option2": "Whole bean",
        "option3": None,
        "sku": f"SKU-{number}",
        "available": True,
        "price": price,
        "grams": 250,
        "compare_at_price": None,
        "position": 1,
    } | fields


def shopify_product(
    number: int, variants: Sequence[Mapping[str, Any]] | None = None, **fields: Any
) -> dict[str, Any]:
    return {
        "id": number,
        "title": f"Coffee number {number}",
        "handle": f"coffee-{number}",
        "body_html": "<p><b>Process:</b> Washed</p><p><b>Tasting notes:</b> plum, cocoa</p>",
        "vendor": "Test Roasters",
        "product_type": "Coffee",
        "tags": ["coffee"],
        "published_at": "2026-01-01T08:00:00+00:00",
        "variants": list(variants or [shopify_variant(number * 10 + 1)]),
        "images": [],
        "options": [
            {"name": "Size", "position": 1, "values": ["250 g"]},
            {"name": "Grind", "position": 2, "values": ["Whole bean"]},
        ],
    } | fields


def shopify_page(products: Iterable[Any]) -> bytes:
    return json.dumps({"products": list(products)}).encode()  # any size of number


def serve_shopify(
    store: Store, products: Sequence[Any], currency: str | None = "EUR", etags: bool = False
) -> None:
    """Serve `/products.json` with pagination, `/meta.json`, and ETags if asked for."""

    def listing(request: Request) -> Reply:
        limit, page = int(request.query.get("limit", 30)), int(request.query.get("page", 1))
        body = shopify_page(products[(page - 1) * limit : page * limit])
        tag = f'"{hash(body):x}"'
        if etags and request.headers.get("if-none-match") == tag:
            return Reply(status=304, headers={"ETag": tag})
        headers = {"Content-Type": "application/json"} | ({"ETag": tag} if etags else {})
        return Reply(body=body, headers=headers)

    store.route("/products.json", listing)
    if currency is not None:
        store.route("/meta.json", Reply.json({"currency": currency}))


def woocommerce_product(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"Café número {number} 250 g",
        "slug": f"cafe-{number}",
        "parent": 0,
        "type": "simple",
        "variation": "",
        "permalink": f"https://tienda.example/producto/cafe-{number}/",
        "sku": f"W-{number}",
        "short_description": "",
        "description": "<p>Proceso: Lavado</p>",
        "prices": woocommerce_prices("1250"),
        "is_in_stock": True,
        "categories": [{"id": 1, "name": "Café"}],
        "tags": [],
        "attributes": [],
        "variations": [],
        "images": [],
    } | fields


def woocommerce_prices(price: str, currency: str = "EUR", minor_unit: int = 2) -> dict[str, Any]:
    return {
        "price": price,
        "regular_price": price,
        "sale_price": price,
        "price_range": None,
        "currency_code": currency,
        "currency_minor_unit": minor_unit,
    }


def serve_woocommerce(
    store: Store, products: Sequence[Any], variations: Sequence[Any] = ()
) -> None:
    """Serve the Store API with header pagination; variations under `type=variation`."""

    def listing(request: Request) -> Reply:
        items = variations if request.query.get("type") == "variation" else products
        size, page = int(request.query["per_page"]), int(request.query["page"])
        pages = max(1, -(-len(items) // size))
        return Reply.json(
            list(items[(page - 1) * size : page * size]), headers={"X-WP-TotalPages": str(pages)}
        )

    store.route("/wp-json/wc/store/v1/products", listing)
