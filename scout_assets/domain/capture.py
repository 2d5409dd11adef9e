"""From the raw pages of one snapshot to rows: the read path, without its fetching.

`scout try` and the assets call the same `read_capture`. Belongs here: putting what
`storefront` and `coffee` found into the rows of `catalogue`. Does not belong here: how a
storefront spells things, or what changed since the last capture (`history`).
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from scout_assets.domain import measure, storefront
from scout_assets.domain.catalogue import stable_id
from scout_assets.domain.coffee import facts as coffee
from scout_assets.domain.history import Capture, Row
from scout_assets.domain.sources import Platform, Source
from scout_assets.domain.storefront import Listing, Reading, Reject, Variant
from scout_assets.domain.tables import OFFERS, PARENTS, PRODUCTS

VERSION = "2"
"""Bump when the same pages give other rows: tables are then rebuilt from the snapshots."""

PRODUCTS_PAGE, META_PAGE = "products", "meta"


@dataclass(frozen=True)
class RawSnapshot:
    """The bytes of one snapshot; each page with its role, `products` or `meta`.

    `platform` is what the store ran on then; None means as declared now. `urls`: where each page
    came from, where that is known.
    """

    number: int
    hash: str
    captured_at: datetime
    pages: Sequence[tuple[str, bytes]]
    platform: Platform | None = None
    urls: Sequence[str] = ()


@dataclass(frozen=True)
class Blacklist:
    """What an operator wants left out: words in titles, and the stores' own ids."""

    titles: Sequence[str] = ()
    external_ids: Sequence[str] = ()

    def names(self, title: str, external_id: str) -> bool:
        """Whether a product, or a variant, is to be left out; case does not matter."""
        folded = title.casefold()
        return external_id in self.external_ids or any(
            word.casefold() in folded for word in self.titles if word
        )

    def __str__(self) -> str:
        """Part of what pages mean: slices are folded anew when it changes."""
        if not self.titles and not self.external_ids:
            return ""
        text = orjson.dumps([sorted(self.titles), sorted(self.external_ids)])
        return f"-{hashlib.sha256(text).hexdigest()[:12]}"


def read_capture(source: Source, raw: RawSnapshot, blacklist: Blacklist = Blacklist()) -> Capture:
    """All rows of one snapshot. Bad rows go to its quarantine.

    Raises BrokenContract when a page is not what the platform promises.
    """
    reading = _read(raw.platform or source.platform, source.currency, raw.pages)
    rows = _Rows(source, raw, blacklist, Counter(reading.counters))
    rows.quarantine.extend(_quarantined(source, raw, reject) for reject in reading.rejects)
    for listing in reading.listings:
        rows.take(listing)
    rows.counters.update(
        {
            "rows/parents": len(rows.parents),
            "rows/products": len(rows.products),
            "rows/offers": len(rows.offers),
        }
    )
    return Capture(
        source=source.key,
        snapshot=raw.number,
        snapshot_hash=raw.hash,
        captured_at=raw.captured_at,
        parents=rows.parents,
        products=rows.products,
        offers=rows.offers,
        quarantine=rows.quarantine,
        counters=rows.counters,
    )


@dataclass(frozen=True)
class Reader:
    """How snapshots of one kind become rows.

    `version` names the code and `declared` what else in a declaration makes the same pages
    give other rows. `read` raises BrokenContract when a snapshot cannot be read. `ready` is
    False while somebody else still reads a source's last snapshot.
    """

    version: str
    declared: Callable[[Source], str]
    read: Callable[[Source, RawSnapshot], Capture]
    ready: Callable[[Source], bool] = lambda _: True

    def version_of(self, source: Source) -> str:
        return f"{self.version}/{self.declared(source)}"


def store_reader(blacklist: Blacklist) -> Reader:
    """How store pages become rows; the declared currency is part of what a price means."""
    return Reader(
        VERSION,
        lambda source: f"{source.currency or ''}{blacklist}",
        lambda source, raw: read_capture(source, raw, blacklist),
    )


@dataclass
class _Rows:
    """The rows of one capture as they grow; what does not fit goes to quarantine."""

    source: Source
    raw: RawSnapshot
    blacklist: Blacklist
    counters: Counter[str]
    parents: list[Row] = field(default_factory=list)
    products: list[Row] = field(default_factory=list)
    offers: list[Row] = field(default_factory=list)
    quarantine: list[Row] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)

    def take(self, listing: Listing) -> None:
        """Add a listing with its variants, but for what the blacklist names."""
        if self.blacklist.names(listing.title, listing.external_id):
            self.counters["rows/blacklisted"] += 1 + len(listing.variants)
            return
        facts, about = coffee.normalise(listing)
        parent = _parent(self.source, listing, facts)
        why = PARENTS.misfit(parent)
        if why is not None:
            self._refuse(f"product {listing.external_id}", why, parent)
            return
        self.parents.append(parent)
        for variant, variant_facts in zip(listing.variants, about, strict=True):
            if variant.external_id in self.blacklist.external_ids:
                self.counters["rows/blacklisted"] += 1
            else:
                self._take_variant(listing, variant, variant_facts)

    def _take_variant(self, listing: Listing, variant: Variant, facts: coffee.VariantFacts) -> None:
        product = _product(self.source, listing, variant, facts)
        offer = _offer(self.source, self.raw, variant, facts)
        why = PRODUCTS.misfit(product) or OFFERS.misfit(offer)
        other = self.seen.setdefault(variant.external_id, listing.external_id)
        if other != listing.external_id:
            why = f"its id stands under product {other} already; ids must be the store's own"
        if why is not None:
            place = f"product {listing.external_id}, variant {variant.external_id}"
            self._refuse(place, why, {**product, **offer})
            return
        self.products.append(product)
        self.offers.append(offer)

    def _refuse(self, place: str, why: str, row: Row) -> None:
        self.counters["rows/quarantined"] += 1
        text = orjson.dumps(row, default=str).decode()
        self.quarantine.append(_quarantined(self.source, self.raw, Reject(place, why, text)))


def _read(platform: Platform, declared: str | None, pages: Sequence[tuple[str, bytes]]) -> Reading:
    listed = [body for role, body in pages if role == PRODUCTS_PAGE]
    if platform is Platform.WOOCOMMERCE:
        return storefront.read_woocommerce(listed)
    said = next((_currency(body) for role, body in pages if role == META_PAGE), None)
    return storefront.read_shopify(listed, declared or said)


def _currency(body: bytes) -> str | None:
    """The store's currency, from Shopify's `/meta.json`."""
    try:
        meta = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    found = meta.get("currency") if isinstance(meta, Mapping) else None
    return found if isinstance(found, str) and len(found) == 3 else None


def _parent(source: Source, listing: Listing, facts: coffee.CoffeeFacts) -> Row:
    return {
        "kind": source.kind.value,
        "source": source.key,
        "parent_id": stable_id(source.key, listing.external_id),
        "external_id": listing.external_id,
        "title": listing.title,
        "url": listing.url,
        "vendor": listing.vendor,
        "product_type": listing.product_type,
        "tags": list(listing.tags),
        "description": listing.description,
        "image_urls": list(listing.image_urls),
        "status": listing.status,
        "published_at": listing.published_at,
        "is_coffee": facts.is_coffee,
        "is_coffee_confidence": facts.is_coffee_confidence,
        "subscription": facts.subscription,
        "roast_level": facts.roast_level,
        "roast_level_raw": facts.roast_level_raw,
        "process": facts.process,
        "process_raw": facts.process_raw,
        "species": facts.species,
        "species_raw": facts.species_raw,
        "decaf": facts.decaf,
        "varieties": list(facts.varieties),
        "origin_country": facts.origin_country,
        "origin_region": facts.origin_region,
        "estate": facts.estate,
        "altitude_min_m": facts.altitude_min_m,
        "altitude_max_m": facts.altitude_max_m,
        "tasting_notes": list(facts.tasting_notes),
        "crop_year": facts.crop_year,
        "confidence": facts.confidence,
    }


def _product(source: Source, listing: Listing, variant: Variant, facts: coffee.VariantFacts) -> Row:
    return {
        "kind": source.kind.value,
        "source": source.key,
        "product_id": stable_id(source.key, variant.external_id),
        "external_id": variant.external_id,
        "parent_id": stable_id(source.key, listing.external_id),
        "parent_external_id": listing.external_id,
        "title": variant.title,
        "options": orjson.dumps(variant.options).decode(),
        "sku": variant.sku,
        "gtin": facts.gtin,
        "barcode_raw": variant.barcode,
        "net_weight_g": facts.net_weight_g,
        "net_weight_source": facts.net_weight_source,
        "pack_count": facts.pack_count,
        "grind": facts.grind,
        "grind_raw": facts.grind_raw,
        "confidence": facts.confidence,
    }


def _offer(source: Source, raw: RawSnapshot, variant: Variant, facts: coffee.VariantFacts) -> Row:
    product_id = stable_id(source.key, variant.external_id)
    return {
        "kind": source.kind.value,
        "source": source.key,
        "offer_id": f"{product_id}@{raw.number}",
        "product_id": product_id,
        "product_external_id": variant.external_id,
        "snapshot": raw.number,
        "snapshot_hash": raw.hash,
        "observed_at": raw.captured_at,
        "price": variant.price,
        "price_raw": variant.price_raw,
        "compare_at_price": variant.compare_at_price,
        "currency": variant.currency,
        "available": variant.available,
        "unit_price_100g": measure.unit_price_per_100g(
            variant.price, facts.net_weight_g, facts.pack_count
        ),
    }


def _quarantined(source: Source, raw: RawSnapshot, reject: Reject) -> Row:
    return {
        "kind": source.kind.value,
        "source": source.key,
        "snapshot": raw.number,
        "place": reject.place,
        "reason": reject.reason,
        "row": reject.row,
    }
