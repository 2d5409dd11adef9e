"""Suppliers' items: from a price list to rows, and from rows to what is matched and compared.

Belongs here: stable ids of items, their rows, items and products as the matcher's records,
quotes for `best_prices`. Does not belong here: reading a workbook (`price_lists`), comparing
(`matching`), decisions about matches (`linking`).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson
from pydantic import ValidationError

from scout_assets.domain.best_prices import Quote, unit_price
from scout_assets.domain.capture import RawSnapshot
from scout_assets.domain.catalogue import stable_id
from scout_assets.domain.failures import BrokenContract
from scout_assets.domain.history import Capture, Row
from scout_assets.domain.price_lists.model import (
    Item,
    PriceList,
    Reject,
    Role,
    SheetReport,
    marked_duplicates,
)
from scout_assets.domain.price_lists.profiles import amount_of, gtin_of
from scout_assets.domain.price_lists.reader import ReadSettings
from scout_assets.domain.price_lists.words import currency_of, is_no_price, is_sold_out
from scout_assets.domain.sources import Source
from scout_assets.domain.specs import extract
from scout_assets.domain.tables import SUPPLIER_ITEMS

__all__ = [
    "VERSION",
    "availability",
    "checked",
    "declared",
    "found_by_service",
    "item_records",
    "product_records",
    "product_title",
    "quotes_of_items",
    "quotes_of_offers",
    "read_items",
    "settings",
    "settled_ids",
]

VERSION = "2"
"""Bump when the same list gives other rows: items are then read anew from the snapshots."""


def settings(source: Source) -> ReadSettings:
    """What a source's declaration overrules in reading its list."""
    return ReadSettings(
        column_mapping=source.column_mapping,
        sheet_name=source.sheet_name,
        currency=source.currency,
    )


def declared(source: Source) -> str:
    """What of a declaration changes the rows of the same list."""
    said = [source.currency, source.sheet_name, source.column_mapping]
    said += [source.encoding, source.delimiter]
    text = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:12]


def checked(read: PriceList, place: str) -> PriceList:
    """A list that holds items. Raises BrokenContract for one that holds none."""
    if read.items:
        return read
    seen = "; ".join(f"{sheet.name}: {', '.join(sheet.reasons)}" for sheet in read.sheets)
    raise BrokenContract(
        f"{place}: no item found ({seen or 'no sheet'}). If it is a price list, name its columns "
        "in column_mapping; `scout try price-list` shows what was read"
    )


def read_items(source: Source, raw: RawSnapshot, read: PriceList) -> Capture:
    """The rows of one list: its distinct items, and what was refused."""
    counters = Counter(dict(read.counters))
    sure = {sheet.name: sheet.confidence for sheet in read.sheets}
    distinct = list(read.distinct())
    skus = Counter(item.sku for item in distinct)
    items: dict[str, Row] = {}
    quarantine = [_quarantined(source, raw, reject) for reject in read.quarantine]
    for item in distinct:
        row = _row(source, item, _external_id(item, skus), _confidence(sure, item))
        why = SUPPLIER_ITEMS.misfit(row)
        if why is None:
            items[row["item_id"]] = row
        else:
            counters["rows/quarantined"] += 1
            quarantine.append(_quarantined(source, raw, _refused(item, why)))
    counters["rows/items"] = len(items)
    return Capture(
        source=source.key,
        snapshot=raw.number,
        snapshot_hash=raw.hash,
        captured_at=raw.captured_at,
        items=list(items.values()),
        sheets=[_sheet(source, sheet, read.notices) for sheet in read.sheets],
        quarantine=quarantine,
        notices=read.notices,
        counters=counters,
    )


def _external_id(item: Item, skus: Mapping[str | None, int]) -> str:
    """The SKU where it names one item of the list, else a hash of what makes an offer one."""
    if item.sku and skus[item.sku] == 1:
        return item.sku
    text = "|".join(str(part) for part in item.identity)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{item.sku}~{digest}" if item.sku else digest


def settled_ids(known: Mapping[str, Row], listed: Sequence[Row]) -> list[Row]:
    """The rows of a list under the ids that the same goods had before.

    An SKU that a list prints for two goods, or for one of two again, would else give a good
    another's id, and with it another's match.
    """
    of_good: dict[tuple[object, ...], str] = {}
    for item_id, row in sorted(known.items(), key=_listed_first):
        if row["sku"]:
            of_good.setdefault(_good(row), item_id)
    taken: set[str] = set()
    rows = []
    for row in listed:
        before = of_good.get(_good(row)) if row["sku"] else None
        if before is not None and before not in taken:
            row = {**row, "item_id": before, "external_id": known[before]["external_id"]}
        taken.add(row["item_id"])
        rows.append(row)
    return rows


def _listed_first(one: tuple[str, Row]) -> tuple[bool, str]:
    return one[1]["gone_at"] is not None, one[0]


_GOOD = ("size_ml", "net_weight_g", "pack_count", "vintage")


def _good(row: Row) -> tuple[object, ...]:
    return row["sku"], row["name"].casefold(), *(row[name] for name in _GOOD)


def _confidence(sure: Mapping[str, float], item: Item) -> float:
    """Of its sheet; a PDF's pages are reported as one."""
    return sure.get(item.sheet, min(sure.values(), default=0.0))


def _row(source: Source, item: Item, external_id: str, confidence: float) -> Row:
    return {
        "kind": source.kind.value,
        "source": source.key,
        "item_id": stable_id(source.key, external_id),
        "external_id": external_id,
        "sheet": item.sheet,
        "row": item.row,
        "sku": item.sku,
        "gtin": item.gtin,
        "brand": item.brand,
        "name": item.name,
        "price": item.price,
        "price_basis": item.price_basis,
        "price_alternatives": _json([a.model_dump(mode="json") for a in item.price_alternatives]),
        "currency": item.currency,
        "vintage": None if item.vintage is None else str(item.vintage),
        "size_ml": item.size_ml,
        "net_weight_g": item.size_g,
        "pack_count": item.pack_count,
        "quantity": item.quantity,
        "category": item.category,
        "section": list(item.section),
        "hidden": item.hidden,
        "characteristics": _json(item.characteristics),
        "specs": _json(item.specs),
        "confidence": confidence,
    }


def _sheet(source: Source, sheet: SheetReport, notices: Sequence[str]) -> Row:
    return {
        "kind": source.kind.value,
        "source": source.key,
        "sheet": sheet.name,
        "role": sheet.role.value,
        "header_rows": ", ".join(map(str, sheet.header_rows)),
        "columns": _json(sheet.model_dump(mode="json")["columns"]),
        "items": sheet.items,
        "confidence": sheet.confidence,
        "reasons": list(sheet.reasons),
        "notices": list(notices),
    }


def _json(value: object) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS).decode()


def _refused(item: Item, why: str) -> Reject:
    return Reject(sheet=item.sheet, row=item.row, reason=why, content={"name": item.name})


def _quarantined(source: Source, raw: RawSnapshot, reject: Reject) -> Row:
    return {
        "kind": source.kind.value,
        "source": source.key,
        "snapshot": raw.number,
        "place": f"{reject.sheet}, row {reject.row}",
        "reason": reject.reason,
        "row": _json(reject.content),
    }


# --- what is matched ------------------------------------------------------------------------


def item_records(items: Iterable[Row]) -> list[Row]:
    """Supplier items as the matcher's rows; prices are for one unit of the pack."""
    return [
        {
            "id": row["item_id"],
            "name": row["name"],
            "sku": row["sku"],
            "gtin": row["gtin"],
            "brand": row["brand"],
            "category": row["category"] or " / ".join(row["section"]) or None,
            "price": _number(_unit_price(row)),
            "currency": row["currency"],
            "size": _size(row),
            "pack_count": row["pack_count"],
            "vintage": row["vintage"],
            "supplier": row["source"],
        }
        for row in items
    ]


def _unit_price(row: Mapping[str, Any]) -> Decimal | None:
    if row["price"] is None:
        return None
    facts = (row["price_basis"], row["pack_count"], row["size_ml"], row["net_weight_g"])
    return unit_price(row["price"], *facts)


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def _size(row: Mapping[str, Any]) -> str | None:
    if row.get("size_ml"):
        return f"{row['size_ml']:g} ml"
    return f"{row['net_weight_g']:g} g" if row["net_weight_g"] else None


def product_records(
    products: Iterable[Row],
    parents: Mapping[str, Row],
    offers: Mapping[str, Row],
    codes: frozenset[str] = frozenset(),
) -> list[Row]:
    """Listed products with their parent and current offer as the matcher's rows.

    Variants that differ by their grind only stand for one thing a supplier sells: the whole
    beans, else the first, are compared; others only where `codes`, all GTINs of the items,
    holds theirs. A store's SKUs are its own: they say nothing about a supplier's.
    """
    listed = [row for row in products if row["gone_at"] is None and row["parent_id"] in parents]
    first: dict[tuple[object, ...], Row] = {}
    for row in sorted(listed, key=lambda row: (row["grind"] != "whole", row["product_id"])):
        first.setdefault(_sold_as(row), row)
    return [
        _product_record(row, parents[row["parent_id"]], offers.get(row["product_id"], {}))
        for row in listed
        if first[_sold_as(row)] is row or row["gtin"] in codes
    ]


def _sold_as(row: Row) -> tuple[object, ...]:
    """What makes variants one good apart from the grind; without a weight the title tells."""
    size = row["net_weight_g"] or row["title"]
    return row["parent_id"], size, row["pack_count"]


def _product_record(row: Row, parent: Row, offer: Mapping[str, Any]) -> Row:
    price = offer.get("price")
    return {
        "id": row["product_id"],
        "name": parent["title"] if row["net_weight_g"] else product_title(row, parent),
        "gtin": row["gtin"],
        "brand": parent["vendor"],
        "category": parent["product_type"],
        "description": parent["description"] or None,
        "price": None if price is None else float(price) / row["pack_count"],
        "currency": offer.get("currency"),
        "size": _size(row),
        "pack_count": row["pack_count"] if row["pack_count"] > 1 else None,
        "vintage": None,
    }


def product_title(product: Mapping[str, Any], parent: Mapping[str, Any]) -> str:
    """The page's title with the variant's, where the variant has one of its own."""
    own = product["title"]
    return parent["title"] if own in (None, parent["title"]) else f"{parent['title']}, {own}"


# --- what is compared -----------------------------------------------------------------------


def quotes_of_items(items: Mapping[str, Row], linked: Mapping[str, str]) -> list[Quote]:
    """Quotes of listed items for the products they are linked to (item → product)."""
    return [
        Quote(
            product_id,
            row["source"],
            row["item_id"],
            _unit_price(row),
            row["currency"],
            row["size_ml"] or row["net_weight_g"],
            availability(row["quantity"]),
        )
        for item_id, product_id in sorted(linked.items())
        if (row := items.get(item_id)) is not None
        and row["gone_at"] is None
        and row["price"] is not None
        and row["currency"] is not None
    ]


def availability(quantity: str | None) -> bool | None:
    """Whether a printed stock can be ordered from; None where it does not say."""
    if quantity is None:
        return None
    amount = amount_of(quantity)
    if amount is not None:
        return amount > 0
    return False if is_sold_out(quantity) else None


def quotes_of_offers(offers: Iterable[Row], products: Mapping[str, Row]) -> list[Quote]:
    """Quotes that listed products make themselves."""
    return [
        Quote(
            row["product_id"],
            row["source"],
            None,
            row["price"] / products[row["product_id"]]["pack_count"],
            row["currency"],
            products[row["product_id"]]["net_weight_g"],
            row["available"],
        )
        for row in offers
        if row["price"] is not None
        and row["currency"] is not None
        and products.get(row["product_id"], {"gone_at": True})["gone_at"] is None
    ]


# --- what a service found ---------------------------------------------------------------------

SERVICE_NAMES: Mapping[str, tuple[str, ...]] = {
    "name": ("name", "title", "product", "product_name", "description"),
    "sku": ("sku", "code", "article", "item_code"),
    "price": ("price", "unit_price", "cost"),
    "currency": ("currency",),
    "gtin": ("gtin", "ean", "upc", "barcode"),
    "brand": ("brand", "producer", "manufacturer"),
    "category": ("category",),
    "quantity": ("quantity", "stock"),
    "pack_count": ("pack_count", "pack"),
    "vintage": ("vintage", "year"),
}
"""Fields of an item, and the names a service may give them."""


def found_by_service(rows: Iterable[Mapping[str, Any]]) -> PriceList:
    """Rows as an ML service found them, validated one by one; `row` counts from 1."""
    items: list[Item] = []
    refused: list[Reject] = []
    for number, row in enumerate(rows, 1):
        try:
            items.append(_service_item(number, row))
        except ValidationError as error:
            reasons = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'row'}: {e['msg']}" for e in error.errors()
            )
            content = {str(name): str(value) for name, value in row.items()}
            refused.append(Reject(sheet=SERVICE, row=number, reason=reasons, content=content))
    counters: Counter[str] = Counter()
    report = SheetReport(
        name=SERVICE, role=Role.ITEMS, items=len(items), confidence=1.0, reasons=("by the service",)
    )
    return PriceList(
        items=marked_duplicates(items, counters),
        sheets=(report,),
        quarantine=tuple(refused),
        counters={**counters, "rows/quarantined": len(refused)},
    )


SERVICE = "analysis"
"""The sheet that rows of a service count as."""


def _service_item(number: int, row: Mapping[str, Any]) -> Item:
    given = {str(name).strip().lower(): _stripped(value) for name, value in row.items()}
    given = {name: value for name, value in given.items() if value not in (None, "")}
    names = {
        field: next((name for name in spellings if name in given), "")
        for field, spellings in SERVICE_NAMES.items()
    }
    named = {field: given.get(name) for field, name in names.items()}
    for field in ("name", "sku", "brand", "category", "quantity"):
        named[field] = None if named[field] is None else str(named[field])
    named["currency"] = _service_currency(named["currency"], named["price"])
    named["price"] = _service_price(named["price"])
    named["gtin"] = None if named["gtin"] is None else gtin_of(str(named["gtin"]))
    if named["gtin"] is None:
        names["gtin"] = ""  # a code that is none stays as it was printed
    said = extract(named["name"] or "")
    for field in ("pack_count", "vintage"):
        named[field] = named[field] if named[field] is not None else getattr(said, field)
    sizes = {"size_ml": said.size_ml, "size_g": said.size_g, "specs": said.named()}
    further = {n: str(value) for n, value in given.items() if n not in names.values()}
    basis = "unit" if names["price"] == "unit_price" else None
    return Item(
        sheet=SERVICE, row=number, characteristics=further, price_basis=basis, **named, **sizes
    )


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _service_price(value: object) -> object:
    """Text as people print prices; a printed 0 or "inquire" is none. Else left to validation."""
    if isinstance(value, str):
        amount = None if is_no_price(value) else amount_of(value)
        return value if amount is None and not is_no_price(value) else amount or None
    return None if value == 0 else value


def _service_currency(value: object, price: object) -> str | None:
    """Its code, from any way to write it, else from the sign beside the price."""
    if value is not None:
        return currency_of(str(value), near_amount=True) or str(value).upper()
    return currency_of(price, near_amount=True) if isinstance(price, str) else None
