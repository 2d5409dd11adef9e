"""Made-up stores of any size, as lifelike as the samples they are varied from.

Belongs here: products and pages in the shape Shopify serves. Does not belong here: serving or
storing them.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

__all__ = ["products", "shopify_page"]

SAMPLE = Path(__file__).parent.parent / "samples" / "stores" / "fjordlys" / "2026-09-07.json"
SYLLABLES = ("ka", "lo", "mi", "ra", "te", "no", "su", "pi", "ve", "gu", "cho", "ro")

Product = dict[str, Any]


def products(count: int, variants: int, first: int = 0) -> list[Product]:
    """`count` products of `variants` variants each, numbered from `first`.

    Each is a product of the sample under other ids and with a word of its own in title and
    text, so that no text is there twice and nothing remembered by text helps.
    """
    templates = [
        product
        for product in orjson.loads(SAMPLE.read_bytes())["products"]
        if len(product["variants"]) >= variants
    ]
    return [
        _varied(templates[number % len(templates)], number, variants)
        for number in range(first, first + count)
    ]


def shopify_page(listed: Iterable[Product]) -> bytes:
    """A page of `/products.json`."""
    return orjson.dumps({"products": list(listed)})


def _varied(template: Product, number: int, variants: int) -> Product:
    word = _word(number)
    product_id = 8_000_000_000_000 + number
    return template | {
        "id": product_id,
        "title": f"{template['title']} {word.title()}",
        "handle": f"{template['handle']}-{word}",
        "body_html": f"<p>{word.title()} is what its pickers call it.</p>{template['body_html']}",
        "images": [image | {"product_id": product_id} for image in template["images"]],
        "variants": [
            variant
            | {
                "id": product_id * 10 + place,
                "product_id": product_id,
                "sku": f"{variant['sku']}-{number}",
                "price": f"{8 + number % 23}.{number % 100:02}",
            }
            for place, variant in enumerate(_some(template["variants"], variants))
        ],
    }


def _some(variants: Sequence[Product], count: int) -> Sequence[Product]:
    """`count` of them, spread over sizes and grinds."""
    return [variants[place * len(variants) // count] for place in range(count)]


def _word(number: int) -> str:
    """A word for each number, no two alike."""
    word = ""
    while True:
        number, syllable = divmod(number, len(SYLLABLES))
        word += SYLLABLES[syllable]
        if not number:
            return word
