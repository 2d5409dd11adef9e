"""Shop payloads (Shopify `/products.json`, WooCommerce Store API) as platform-neutral listings.

Belongs here: the shape of each platform's pages, row by row; what cannot be read becomes a
`Reject` and the rest goes on. Does not belong here: what a listing means (see `coffee`), nor
fetching. A page that is not the promised document at all raises `BrokenContract`.

Counters: `rows/read` (every product and variant row met) = kept + `rows/quarantined` +
`rows/duplicate`; `listings/kept`, `variants/kept`; `price/placeholder` (a printed 0 is no
price), `price/missing`, `price/from_parent`, `variation/orphan`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from html import unescape
from typing import Any

import orjson

from scout_assets.domain.markup import plain_text
from scout_assets.domain.measure import from_minor_units, parse_money, parse_weight
from scout_assets.domain.pages import NUL, labelled, numbered
from scout_assets.domain.sources import Platform

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Variant:
    """One thing to buy. Prices are major units of `currency` (ISO 4217, None if not said);
    `shipping_grams` is the parcel weight in g; `price_raw` is the price as the page has it."""

    external_id: str
    title: str | None
    options: dict[str, str]
    sku: str | None
    barcode: str | None
    shipping_grams: float | None
    price: Decimal | None
    price_raw: str | None
    compare_at_price: Decimal | None
    currency: str | None
    available: bool | None


@dataclass(frozen=True, slots=True)
class Listing:
    """One product page: what its variants share. `description` is plain text, a line per
    block element, table cells parted by a tab; `url` is Shopify's handle or Woo's permalink."""

    external_id: str
    title: str
    url: str | None
    vendor: str | None
    product_type: str | None
    tags: tuple[str, ...]
    description: str
    options: dict[str, tuple[str, ...]]
    variants: tuple[Variant, ...]
    image_urls: tuple[str, ...]
    status: str
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be read: where it stood, why, and the row itself as JSON."""

    place: str
    reason: str
    row: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a capture holds: kept listings, rejected rows, and the count of each decision."""

    listings: tuple[Listing, ...]
    rejects: tuple[Reject, ...]
    counters: Counter[str]


class _BadRow(Exception):
    """A row is not what the platform promises; the message is the reject's reason."""


@dataclass(slots=True)
class _Tray:
    """Collects rejects and counters while a capture is read."""

    rejects: list[Reject] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)

    def reject(self, place: str, reason: str, row: object) -> None:
        self.counters["rows/quarantined"] += 1
        self.rejects.append(Reject(place, reason, orjson.dumps(row, default=str).decode()))

    def is_new(self, seen: dict[str, object], key: str, row: object, place: str) -> bool:
        """Pages overlap when a shop changes between two requests: the first copy stays."""
        if key not in seen:
            seen[key] = row
            return True
        if seen[key] == row:
            self.counters["rows/duplicate"] += 1
        else:
            self.reject(place, f"id {key} was met before with other content", row)
        return False


# --- Shopify ------------------------------------------------------------------------------


def read_shopify(pages: Sequence[bytes], currency: str | None = None) -> Reading:
    """Read the pages of `/products.json` in order.

    The payload names no currency: prices carry `currency` if the source's config gives one.
    Raises BrokenContract when a page is not JSON or has no `products` list.
    """
    tray, seen, listings = _Tray(), dict[str, object](), list[Listing]()
    for place, row in numbered(Platform.SHOPIFY, pages):
        tray.counters["rows/read"] += 1
        try:
            product = _object(row)
            key = _identity(product)
            title = _required_text(product, "title")
        except _BadRow as error:
            tray.reject(place, str(error), row)
            continue
        if tray.is_new(seen, key, product, place):
            listings.append(_shopify_listing(product, key, title, place, currency, tray))
    return _reading(listings, tray)


def _shopify_listing(
    product: Row, key: str, title: str, place: str, currency: str | None, tray: _Tray
) -> Listing:
    tags = _tags(product.get("tags"))
    names = _shopify_options(product.get("options"))
    variants = list[Variant]()
    seen = dict[str, object]()
    for index, row in enumerate(_rows(product.get("variants")), 1):
        tray.counters["rows/read"] += 1
        spot = f"{place}, variant {index}{labelled(row)}"
        try:
            variant = _shopify_variant(_object(row), tuple(names), currency, tray.counters)
        except _BadRow as error:
            tray.reject(spot, str(error), row)
            continue
        if tray.is_new(seen, variant.external_id, row, spot):
            variants.append(variant)
    return Listing(
        external_id=key,
        title=title,
        url=_text(product.get("handle")),
        vendor=_text(product.get("vendor")),
        product_type=_text(product.get("product_type")),
        tags=tags,
        description=plain_text(_text(product.get("body_html")) or ""),
        options=names,
        variants=tuple(variants),
        image_urls=_image_urls(product.get("images")),
        status=_status(tags),
        published_at=_moment(product.get("published_at")),
    )


def _shopify_options(value: object) -> dict[str, tuple[str, ...]]:
    """Option names and values in order; the platform's "Title: Default Title" is no option."""
    options = dict[str, tuple[str, ...]]()
    for row in _rows(value):
        if isinstance(row, str):
            options[row] = ()
        elif isinstance(row, dict) and (name := _text(row.get("name"))) is not None:
            values = tuple(v for v in map(_text, _rows(row.get("values"))) if v is not None)
            options[name] = values
    return {} if options.get("Title") == ("Default Title",) and len(options) == 1 else options


_OPTION_FIELDS = ("option1", "option2", "option3")  # the platform allows three


def _shopify_variant(
    row: Row, names: tuple[str, ...], currency: str | None, counters: Counter[str]
) -> Variant:
    key = _identity(row)
    price, price_raw = _major_price(row.get("price"), "price", counters)
    compare_at = _compare_at(row.get("compare_at_price"), counters)
    title = _text(row.get("title"))
    values = [_text(row.get(name)) for name in _OPTION_FIELDS[: len(names)]]
    available = row.get("available")
    return Variant(
        external_id=key,
        title=None if title == "Default Title" else title,
        options={n: v for n, v in zip(names, values, strict=False) if v is not None},
        sku=_text(row.get("sku")),
        barcode=_text(row.get("barcode")),
        shipping_grams=_positive(row.get("grams")),
        price=price,
        price_raw=price_raw,
        compare_at_price=compare_at,
        currency=_text(row.get("price_currency")) or currency,
        available=available if isinstance(available, bool) else None,
    )


def _compare_at(value: object, counters: Counter[str]) -> Decimal | None:
    """The former price; one that cannot be read is no reason to lose the offer."""
    try:
        return _major_price(value, "compare_at_price", None)[0]
    except _BadRow:
        counters["price/compare_at_unreadable"] += 1
        return None


def _major_price(
    value: object, name: str, counters: Counter[str] | None
) -> tuple[Decimal | None, str | None]:
    """Amount and raw text of a price in major units; a printed 0 is a placeholder, no price."""
    raw = None if value is None or isinstance(value, bool) else str(value).strip()
    if not raw:
        _bump(counters, "price/missing")
        return None, raw
    amount = _money(raw)
    if amount is None or amount < 0:
        raise _BadRow(f"{name} {raw!r} is not an amount of money")
    if amount == 0:
        _bump(counters, "price/placeholder")
        return None, raw
    return amount, raw


_PLAIN_AMOUNT = re.compile(r"\d+(?:\.\d+)?")


@lru_cache(maxsize=4096)
def _money(raw: str) -> Decimal | None:
    # The API prints plain decimals; anything else is a shop's own rendering.
    return Decimal(raw) if _PLAIN_AMOUNT.fullmatch(raw) else parse_money(raw)


# --- WooCommerce --------------------------------------------------------------------------


def read_woocommerce(pages: Sequence[bytes]) -> Reading:
    """Read pages of Store API products in order; variations may stand on later pages.

    A variable product's variation without its own record takes the parent's price only when
    all variations share it (`price_range` null or min = max), and no stock state. Attributes
    that make no variation (Origin, Process …) become "Name: value" lines of the description.
    Raises BrokenContract when a page is not JSON or not a list.
    """
    tray, seen = _Tray(), dict[str, object]()
    parents, variations = list[tuple[str, Row, str]](), dict[str, tuple[str, Row]]()
    for place, row in numbered(Platform.WOOCOMMERCE, pages):
        tray.counters["rows/read"] += 1
        try:
            record = _object(row)
            key = _identity(record)
            is_variation = record.get("type") == "variation" or bool(record.get("parent"))
            title = "" if is_variation else _required_text(record, "name")
        except _BadRow as error:
            tray.reject(place, str(error), row)
            continue
        if not tray.is_new(seen, key, record, place):
            continue
        if is_variation:
            variations[key] = (place, record)
        else:
            parents.append((place, record, title))
    listings = [
        _woo_listing(record, title, place, variations, tray) for place, record, title in parents
    ]
    for place, record in variations.values():
        tray.counters["variation/orphan"] += 1
        tray.reject(
            place,
            f"variation of product {record.get('parent')!r}, which the capture"
            " does not hold; fetch the products' pages too",
            record,
        )
    return _reading([listing for listing in listings if listing is not None], tray)


def _woo_listing(
    record: Row, title: str, place: str, variations: dict[str, tuple[str, Row]], tray: _Tray
) -> Listing | None:
    """The listing of one product; takes its variations out of `variations`."""
    own = [row for row in _rows(record.get("variations")) if record.get("type") == "variable"]
    variants = list[Variant]()
    if not own and not _claimed(record, variations):
        try:
            variants.append(_woo_variant(record, record, {}, True, tray.counters))
        except _BadRow as error:
            tray.reject(place, str(error), record)
            return None
    for spot, row, data, options in _woo_variations(record, own, place, variations):
        tray.counters["rows/read"] += 0 if data is not None else 1
        try:
            own_data = _object(row) if data is None else data
            variants.append(
                _woo_variant(own_data, record, options, data is not None, tray.counters)
            )
        except _BadRow as error:
            tray.reject(spot, str(error), row if data is None else data)
    tags = tuple(_names(record.get("tags")))
    return Listing(
        external_id=_identity(record),
        title=unescape(title),
        url=_text(record.get("permalink")) or _text(record.get("slug")),
        vendor=next(_names(record.get("brands")), None),
        product_type=" | ".join(_names(record.get("categories"))) or None,
        tags=tags,
        description=_woo_description(record),
        options=_woo_options(record),
        variants=tuple(variants),
        image_urls=_image_urls(record.get("images")),
        status=_status(tags),
        published_at=_moment(record.get("date_created")),
    )


def _claimed(record: Row, variations: dict[str, tuple[str, Row]]) -> bool:
    key = _identity(record)
    return any(str(row.get("parent")) == key for _, row in variations.values())


def _woo_variations(
    record: Row, own: list[object], place: str, variations: dict[str, tuple[str, Row]]
) -> Iterator[tuple[str, object, Row | None, dict[str, str]]]:
    """(place, row, own record or None, options) of each variation the product or capture has."""
    names = _woo_term_names(record)
    for index, row in enumerate(own, 1):
        attributes = _rows(row.get("attributes")) if isinstance(row, dict) else []
        options = dict(_woo_choice(attributes, names))
        spot, data = f"{place}, variation {index}", None
        if isinstance(row, dict) and str(row.get("id")) in variations:
            spot, data = variations.pop(str(row["id"]))
        yield spot, row, data, options
    key = _identity(record)
    for other, (spot, data) in list(variations.items()):
        if str(data.get("parent")) == key:
            del variations[other]
            yield spot, data, data, _printed_options(data)


def _woo_choice(
    attributes: Iterable[object], names: dict[tuple[str, str], str]
) -> Iterator[tuple[str, str]]:
    """Attribute and value of a variation; the payload gives the value's slug (None: any)."""
    for attribute in attributes:
        if not isinstance(attribute, dict):
            continue
        name, slug = _text(attribute.get("name")), _text(attribute.get("value"))
        if name is not None and slug is not None:
            yield name, names.get((name, slug), slug)


def _printed_options(data: Row) -> dict[str, str]:
    """Options out of the text a variation's own record has: "Weight: 1kg, Roast: Filter"."""
    parts = (part.partition(":") for part in (_text(data.get("variation")) or "").split(", "))
    return {name.strip(): value.strip() for name, mark, value in parts if mark}


def _woo_term_names(record: Row) -> dict[tuple[str, str], str]:
    return {
        (name, slug): term
        for name, _, terms in _woo_attributes(record)
        for slug, term in terms.items()
    }


def _woo_attributes(record: Row) -> Iterator[tuple[str, bool, dict[str, str]]]:
    """(name, makes variations, slug → printed term) of each attribute."""
    for row in _rows(record.get("attributes")):
        if not isinstance(row, dict) or (name := _text(row.get("name"))) is None:
            continue
        terms = (term for term in _rows(row.get("terms")) if isinstance(term, dict))
        named = {
            _text(term.get("slug")) or text: unescape(text)
            for term in terms
            if (text := _text(term.get("name"))) is not None
        }
        yield name, bool(row.get("has_variations")), named


def _woo_options(record: Row) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(terms.values()) for name, varies, terms in _woo_attributes(record) if varies
    }


def _woo_description(record: Row) -> str:
    parts = [plain_text(_text(record.get("short_description")) or "")]
    body = plain_text(_text(record.get("description")) or "")
    if body != parts[0]:
        parts.append(body)
    parts += [
        f"{name}: {', '.join(terms.values())}"
        for name, varies, terms in _woo_attributes(record)
        if terms and not varies
    ]
    return "\n".join(part for part in parts if part)


def _woo_variant(
    data: Row, parent: Row, options: dict[str, str], own_record: bool, counters: Counter[str]
) -> Variant:
    """One variant from its own record, or from the parent's prices where it has none."""
    prices = data.get("prices") if own_record else parent.get("prices")
    prices = prices if isinstance(prices, dict) else {}
    price, raw, compare_at = _woo_prices(prices, counters)
    if not own_record and price is not None:
        span = prices.get("price_range")
        if isinstance(span, dict) and span.get("min_amount") != span.get("max_amount"):
            price = raw = compare_at = None
        else:
            counters["price/from_parent"] += 1
    stock = data.get("is_in_stock") if own_record else None
    weight = parse_weight(_text(data.get("formatted_weight")) or "").grams
    return Variant(
        external_id=_identity(data),
        title=" / ".join(options.values()) or None,
        options=options,
        sku=_text(data.get("sku")),
        barcode=_text(data.get("global_unique_id")),
        shipping_grams=weight,
        price=price,
        price_raw=raw,
        compare_at_price=compare_at,
        currency=_text(prices.get("currency_code")),
        available=stock if isinstance(stock, bool) else None,
    )


def _woo_prices(
    prices: Row, counters: Counter[str]
) -> tuple[Decimal | None, str | None, Decimal | None]:
    """(price, raw text, regular price if higher) from minor units of the record's currency."""
    raw = _text(prices.get("price"))
    if raw is None:
        counters["price/missing"] += 1
        return None, None, None
    exponent = prices.get("currency_minor_unit", 2)
    if not isinstance(exponent, int):
        raise _BadRow(f"currency_minor_unit {exponent!r} is not a number")
    price = from_minor_units(raw, exponent)
    if price is None or price < 0:
        raise _BadRow(f"price {raw!r} is not a count of minor units")
    if price == 0:
        counters["price/placeholder"] += 1
        return None, raw, None
    regular = from_minor_units(_text(prices.get("regular_price")) or "0", exponent)
    return price, raw, regular if regular is not None and regular > price else None


# --- shared -------------------------------------------------------------------------------

# Shops hide or announce products by tag; a page that lists them says nothing else.
_STATUS_TAGS = {
    "coming soon": "coming_soon",
    "comingsoon": "coming_soon",
    "discontinued": "discontinued",
    "retired": "discontinued",
    "archived": "archived",
    "archive": "archived",
    "hidden": "hidden",
    "hide": "hidden",
    "hideproduct": "hidden",
    "hide product": "hidden",
    "seasonal": "seasonal",
}


def _status(tags: tuple[str, ...]) -> str:
    plain = {tag.lower().replace("-", " ").replace("_", " ") for tag in tags}
    found = {_STATUS_TAGS[tag] for tag in plain & _STATUS_TAGS.keys()}
    ranked = ("archived", "discontinued", "hidden", "coming_soon", "seasonal")
    return next((status for status in ranked if status in found), "active")


def _reading(listings: list[Listing], tray: _Tray) -> Reading:
    tray.counters["listings/kept"] += len(listings)
    tray.counters["variants/kept"] += sum(len(listing.variants) for listing in listings)
    return Reading(tuple(listings), tuple(tray.rejects), tray.counters)


def _bump(counters: Counter[str] | None, name: str) -> None:
    if counters is not None:
        counters[name] += 1


def _object(row: object) -> Row:
    if not isinstance(row, dict):
        raise _BadRow(f"expected an object, got {type(row).__name__}")
    return row


LONGEST_ID = 200
"""Characters of an external id: stores have 36 at most, and keys of 2,704 bytes fit no index."""


def _identity(row: Row) -> str:
    key = row.get("id")
    if isinstance(key, bool) or not isinstance(key, int | str) or not str(key).strip():
        raise _BadRow("no id")
    text = str(key).replace(NUL, "").strip()
    if not 0 < len(text) <= LONGEST_ID:
        raise _BadRow(f"an id of {len(text):,} characters; {LONGEST_ID} are possible")
    return text


def _required_text(row: Row, name: str) -> str:
    text = _text(row.get(name))
    if text is None:
        raise _BadRow(f"no {name}")
    return text


def _rows(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    """A non-blank text, or a number as text; anything else is None."""
    if isinstance(value, str):
        return value.replace(NUL, "").strip() or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None


def _positive(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    return None


def _tags(value: object) -> tuple[str, ...]:
    """Shopify gives a list on the storefront, a comma-separated text elsewhere."""
    parts = value.split(",") if isinstance(value, str) else _rows(value)
    return tuple(tag for tag in map(_text, parts) if tag is not None)


def _names(value: object) -> Iterator[str]:
    for row in _rows(value):
        if isinstance(row, dict) and (name := _text(row.get("name"))) is not None:
            yield unescape(name)


def _image_urls(value: object) -> tuple[str, ...]:
    urls = (_text(row.get("src")) for row in _rows(value) if isinstance(row, dict))
    return tuple(url for url in urls if url is not None)


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
