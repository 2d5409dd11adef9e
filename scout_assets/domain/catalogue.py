"""The canonical model: the rows every kind of source ends up as.

Belongs here: one pydantic model per concept, each field with its meaning and unit, and the
rule that makes stable ids. Does not belong here: how a storefront spells these facts
(`storefront`, `coffee`), which table holds them and how it is written (`tables`), how rows
change over time (`history`).
"""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Kind(StrEnum):
    """What a source is; each kind is a dynamic partition set of the same name."""

    ROASTER = "roaster"
    SUPPLIER = "supplier"


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


class SupplierItem(Lifespan):
    """One row of a supplier's price list."""

    item_id: str = Field(description="Stable id: source/SKU, else source/hash of what it names")
    external_id: str = Field(description="What the id is made of, within the list")
    sheet: str = Field(description="Sheet of the list; `page N` of a PDF")
    row: int = Field(description="Row of the sheet, from 1")
    sku: str | None = Field(description="The supplier's stock keeping unit")
    gtin: str | None = Field(description="Valid GTIN-8, -12, -13 or -14")
    brand: str | None = Field(description="Brand, producer or maker as printed")
    name: str = Field(description="Name as printed")
    price: Decimal | None = Field(description="Primary price; null when none is printed")
    price_basis: str | None = Field(description="What it is for: case, bottle, unit, retail, ...")
    price_alternatives: Json = Field(description="The list's other prices with their meaning")
    currency: str | None = Field(description="ISO 4217 code; null when the list does not say")
    vintage: str | None = Field(description="Year, or NV for goods of no single year")
    size_ml: Annotated[float | None, _unit("ml", "Volume of one unit")]
    net_weight_g: Annotated[float | None, _unit("g", "Weight of one unit")]
    pack_count: int | None = Field(description="Units in a pack or case; null when not printed")
    quantity: str | None = Field(description="Stock as printed")
    category: str | None = Field(description="Category as printed")
    section: list[str] = Field(description="Banners above the row, outermost first")
    hidden: bool = Field(description="The row is hidden in the list")
    characteristics: Json = Field(description="Further columns: header to value")
    specs: Json = Field(description="Voltage, power, storage, dimensions, ... read from the text")
    confidence: float = Field(description="0 to 1, of how its sheet was read")


class ListSheet(Row):
    """How one sheet of the last price list was read."""

    sheet: str = Field(description="Name of the sheet")
    role: str = Field(description="items, notes, empty or hidden")
    header_rows: str = Field(description="Rows of its headers, from 1")
    columns: Json = Field(description="Field to header, letter and confidence of its column")
    items: int = Field(description="Items found")
    confidence: float = Field(description="0 to 1")
    reasons: list[str] = Field(description="What the confidence rests on")
    notices: list[str] = Field(
        description="Of the whole list: a guessed encoding, macros, formulas, hidden sheets …"
    )


class Match(Row):
    """What a supplier item was found to be."""

    item_id: str = Field(description="Stable id of the supplier item")
    status: str = Field(
        description="unmatched, auto_matched, potential_match, verified_match or rejected"
    )
    product_id: str | None = Field(description="Best product, also when it is not linked")
    draft_id: str | None = Field(description="The draft product made of it, when it is new")
    score: float = Field(description="0 to 100; 95: at least 95 of 100 such links are right")
    linear: float | None = Field(description="The score before calibration")
    reason: str = Field(description="The key, veto or score that decided")
    candidates: Json = Field(description="Up to five products with their scores")
    evidence: Json = Field(description="Per feature: both values and the contribution")
    proposed_at: datetime | None = Field(description="Since when it waits for a person")


class Draft(Row):
    """A new product: what no product of the catalogue is."""

    draft_id: str = Field(description="Stable id: hash of the normalised identity")
    name: str = Field(description="Name as the first supplier (by key) prints it")
    brand: str | None = Field(description="Brand as printed")
    category: str | None = Field(description="Section or category of the item")
    gtin: str | None = Field(description="Valid GTIN")
    vintage: str | None = Field(description="Year, or NV for goods of no single year")
    size_ml: Annotated[float | None, _unit("ml", "Volume of one unit")]
    net_weight_g: Annotated[float | None, _unit("g", "Weight of one unit")]
    pack_count: int | None = Field(description="Units in a pack or case")
    items: list[str] = Field(description="Supplier items that are this product")


class BestPrice(Row):
    """What a product costs at least, over all who offer it, in comparable terms."""

    product_id: str = Field(description="Product or draft")
    title: str = Field(description="Its name")
    currency: str = Field(description="ISO 4217 code of all prices of the row")
    min_price: Decimal = Field(description="Lowest price of one unit of the pack")
    best_source: str = Field(description="Who asks it")
    best_item_id: str | None = Field(description="The supplier item; null for the own offer")
    available: bool | None = Field(description="Whether it can be bought there now")
    own_price: Decimal | None = Field(description="Lowest own offer, per unit of the pack")
    rate_date: date | None = Field(description="Date of the exchange rate, where one was needed")
    sources_count: int = Field(description="Sources with a comparable price")
    quotes: int = Field(description="Comparable prices")
    not_comparable: int = Field(description="Prices of another size, or without a rate")
