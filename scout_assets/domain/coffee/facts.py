"""A shop's listing read as coffee: facts of the product and of each of its variants.

Belongs here: `normalise` and the shape of its facts. Does not belong here: reading single facts
(`goods`, `roast`, `process`, `provenance`, `notes`, `packs`, `grinds`).

Conventions:
- A fact the page does not state is None (or empty): never a guess. Raw text stays beside it.
- Which goods are coffee, and which are a subscription: see `goods`.
- decaf is False for coffee not sold as decaf, None for other goods.
- origin_country is an ISO 3166-1 alpha-2 code.
- Other goods have no coffee facts; their pack count is still read.
"""

from dataclasses import dataclass

from scout_assets.domain.coffee import process, provenance, roast
from scout_assets.domain.coffee.goods import classify, is_subscription
from scout_assets.domain.coffee.notes import tasting_notes
from scout_assets.domain.coffee.packs import VariantFacts, variant_facts
from scout_assets.domain.coffee.passages import Fact, Page
from scout_assets.domain.storefront import Listing

__all__ = ["CoffeeFacts", "VariantFacts", "normalise"]


@dataclass(frozen=True, slots=True)
class CoffeeFacts:
    """Facts shared by a listing's variants. Altitudes are metres above sea level; confidences
    run from 0 to 1 and rank places on the page (label, title, tag, prose), no probability."""

    is_coffee: bool
    is_coffee_confidence: float
    subscription: bool
    roast_level: str | None = None
    roast_level_raw: str | None = None
    process: str | None = None
    process_raw: str | None = None
    species: str | None = None
    species_raw: str | None = None
    decaf: bool | None = None
    varieties: tuple[str, ...] = ()
    origin_country: str | None = None
    origin_region: str | None = None
    estate: str | None = None
    altitude_min_m: int | None = None
    altitude_max_m: int | None = None
    tasting_notes: tuple[str, ...] = ()
    crop_year: int | None = None
    confidence: float = 0.0


def normalise(listing: Listing) -> tuple[CoffeeFacts, tuple[VariantFacts, ...]]:
    """Facts of a listing and of each variant, in the listing's order. Total: never raises."""
    page = Page(listing)
    is_coffee, sureness = classify(page)
    subscription = is_subscription(page)
    variants = variant_facts(page, is_coffee=is_coffee, subscription=subscription)
    if not is_coffee:
        return CoffeeFacts(False, sureness, subscription, confidence=sureness), variants
    return _coffee_facts(page, sureness, subscription), variants


def _coffee_facts(page: Page, sureness: float, subscription: bool) -> CoffeeFacts:
    roasted, processed = roast.roast(page), process.process(page)
    species = provenance.species(page)
    lowest, highest = provenance.altitude(page)
    trusts = [fact.trust for fact in (roasted, processed, species) if fact is not None]
    return CoffeeFacts(
        is_coffee=True,
        is_coffee_confidence=sureness,
        subscription=subscription,
        roast_level=_value(roasted),
        roast_level_raw=_raw(roasted),
        process=_value(processed),
        process_raw=_raw(processed),
        species=_value(species),
        species_raw=_raw(species),
        decaf=process.decaf(page),
        varieties=provenance.varieties(page, subscription=subscription),
        origin_country=provenance.country(page),
        origin_region=provenance.region(page),
        estate=provenance.estate(page),
        altitude_min_m=lowest,
        altitude_max_m=highest,
        tasting_notes=tasting_notes(page),
        crop_year=provenance.crop_year(page),
        confidence=round(min([sureness, *trusts]), 2),
    )


def _value(fact: Fact | None) -> str | None:
    return fact.value if fact is not None else None


def _raw(fact: Fact | None) -> str | None:
    return fact.raw if fact is not None else None
