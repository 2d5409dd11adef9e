"""The canonical model: the rows every kind of source ends up as.

Belongs here: one pydantic model per concept, each field with its meaning and unit, and the
rule that makes stable ids. Does not belong here: how a storefront spells these facts
(`storefront`, `coffee`), which table holds them and how it is written (`tables`), how rows
change over time (`history`).
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Kind(StrEnum):
    """What a source is; each kind is a dynamic partition set of the same name."""

    ROASTER = "roaster"


def stable_id(source: str, external_id: str) -> str:
    """`source/external_id`: unique because source keys are unique and never reused."""
    return f"{source}/{external_id}"


def _unit(unit: str, description: str) -> object:
    return Field(description=description, json_schema_extra={"unit": unit})


Json = Annotated[str, Field(json_schema_extra={"json": True})]
Vector = Annotated[list[float], Field(json_schema_extra={"vector": True})]


class Row(BaseModel):
    """What every row says about where it came from."""

    model_config = ConfigDict(frozen=True)

    kind: str = Field(description="Kind of the source")
    source: str = Field(description="Key of the source; the partition")


class Lifespan(Row):
    """A row that can vanish from its source and come back."""

    first_seen_at: datetime = Field(description="Capture in which it was first seen")
    changed_at: datetime = Field(description="Capture that last changed any field of it")
    gone_at: datetime | None = Field(description="First capture without it; null while listed")


class Parent(Lifespan):
    """What groups variants: one product page of a store."""

    parent_id: str = Field(description="Stable id: source/external_id")
    external_id: str = Field(description="The platform's product id")
    title: str = Field(description="Title as printed")
    url: str | None = Field(description="Permalink, or the handle below the store's address")
    vendor: str | None = Field(description="Vendor or brand as printed")
    product_type: str | None = Field(description="The store's own category")
    tags: list[str] = Field(description="Tags as printed")
    description: str = Field(description="Page text without markup")
    image_urls: list[str] = Field(description="Addresses of the pictures, first one first")
    status: str | None = Field(description="active, seasonal, discontinued, draft, hidden, ...")
    published_at: datetime | None = Field(description="When the store published it")
    is_coffee: bool = Field(description="Holds coffee to brew or drink; gear and gifts do not")
    is_coffee_confidence: float = Field(description="0 to 1")
    subscription: bool = Field(description="Sold as a recurring delivery")
    roast_level: str | None = Field(description="light, light_medium, medium, medium_dark, dark")
    roast_level_raw: str | None = Field(description="The words roast_level was read from")
    process: str | None = Field(description="washed, natural, honey, anaerobic, ...")
    process_raw: str | None = Field(description="The words process was read from")
    species: str | None = Field(description="arabica, robusta, liberica or blend")
    species_raw: str | None = Field(description="The words species was read from")
    decaf: bool | None = Field(description="Decaffeinated; null for what is not coffee")
    varieties: list[str] = Field(description="Cultivars the page names")
    origin_country: str | None = Field(description="Country of the farm")
    origin_region: str | None = Field(description="Region within the country")
    estate: str | None = Field(description="Estate, farm or washing station")
    altitude_min_m: Annotated[int | None, _unit("m", "Lowest altitude printed")]
    altitude_max_m: Annotated[int | None, _unit("m", "Highest altitude printed")]
    tasting_notes: list[str] = Field(description="Flavours as printed, one each")
    crop_year: int | None = Field(description="Harvest year")
    confidence: float = Field(description="0 to 1, of the facts read from the page as a whole")


class Product(Lifespan):
    """What one can buy: a variant of a parent."""

    product_id: str = Field(description="Stable id: source/external_id")
    external_id: str = Field(description="The platform's variant id")
    parent_id: str = Field(description="Stable id of the parent")
    parent_external_id: str = Field(description="The platform's product id")
    title: str | None = Field(description="Variant title as printed")
    options: Json = Field(description="Option name to value, as JSON")
    sku: str | None = Field(description="The store's stock keeping unit")
    gtin: str | None = Field(description="Valid GTIN-8, -12, -13 or -14")
    barcode_raw: str | None = Field(description="The barcode as printed, valid or not")
    net_weight_g: Annotated[float | None, _unit("g", "Printed weight of one pack unit")]
    net_weight_source: str | None = Field(description="Where the weight was read from")
    pack_count: int = Field(description="Pack units in this variant; 1 when nothing is printed")
    grind: str | None = Field(description="whole, filter, espresso, omni, moka, ...")
    grind_raw: str | None = Field(description="The words grind was read from")
    confidence: float = Field(description="0 to 1, of weight, pack and grind")


class Offer(Row):
    """What a product costs from a capture on; the next row of the product ends it."""

    offer_id: str = Field(description="product_id@snapshot")
    product_id: str = Field(description="Stable id of the product")
    product_external_id: str = Field(description="The platform's variant id")
    snapshot: int = Field(description="Number of the source's snapshot that showed the change")
    snapshot_hash: str = Field(description="sha256 of that snapshot")
    observed_at: datetime = Field(description="When that snapshot was captured")
    price: Decimal | None = Field(description="Price of the whole pack; null when none is printed")
    price_raw: str | None = Field(description="The price as printed")
    compare_at_price: Decimal | None = Field(description="Struck-out former price")
    currency: str | None = Field(description="ISO 4217 code; null when the source does not say")
    available: bool | None = Field(description="Can be bought now")
    unit_price_100g: Annotated[Decimal | None, _unit("currency/100 g", "Price per 100 g")]
    change: str = Field(description="new, price, availability, gone or back")


class Quarantined(Row):
    """A row of the last snapshot that could not be read."""

    snapshot: int = Field(description="Number of the source's snapshot that held it")
    place: str = Field(description="Page, product and variant")
    reason: str = Field(description="Why it was refused, and the mend")
    row: str = Field(description="The row itself")


class Embedding(Row):
    """The vector of one text."""

    text_hash: str = Field(description="sha256 of model and text")
    model: str = Field(description="Embedder and its version")
    vector: Vector = Field(description="Unit length")


class SearchDocument(Row):
    """What search ranks: one listed coffee or thing."""

    parent_id: str = Field(description="Stable id of the parent")
    text: str = Field(description="What is searched")
    text_hash: str = Field(description="sha256 of model and text")
    vector: Vector = Field(description="Unit length")


class Stat(Row):
    """One number about a source."""

    metric: str = Field(description="What is counted or measured")
    dimension: str = Field(description="Field, currency, capture date or empty")
    value: float = Field(description="The number; shares are 0 to 1")
