"""The one registry of warehouse tables; everything else about tables derives from it.

Belongs here: which model a table holds, its key, how it is written, and the Arrow schema.
DDL (`gateways.warehouse`), Dagster column schemas, schema checks and docs/tables.md are
derived. Does not belong here: SQL, or the meaning of a column (`catalogue`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import pyarrow as pa
from pydantic.fields import FieldInfo

from scout_assets.domain import catalogue
from scout_assets.domain.failures import Critical

ANALYTICS = "analytics"
"""The group of what is only looked at."""


class WriteMode(StrEnum):
    """How a table takes a new slice; each is one transaction."""

    REPLACE = "replace"
    APPEND_ON_CHANGE = "append_on_change"
    UPSERT_WITH_GONE_AT = "upsert_with_gone_at"


ARROW_TYPES: Mapping[object, pa.DataType] = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    Decimal: pa.decimal128(18, 4),
    datetime: pa.timestamp("us", tz="UTC"),
    date: pa.date32(),
    list[str]: pa.list_(pa.string()),
    list[float]: pa.list_(pa.float32()),
}


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type, meaning and unit. `json` marks text that holds JSON."""

    name: str
    type: pa.DataType
    nullable: bool
    description: str
    unit: str | None = None
    json: bool = False


@dataclass(frozen=True)
class Table:
    """A warehouse table. A partition is the slice of one (kind, source)."""

    name: str
    model: type[catalogue.Row]
    key: tuple[str, ...]
    mode: WriteMode
    description: str
    ranked: str | None = None
    """The column of vectors that search ranks; of 32-bit floats, of length 1."""
    group: str = "catalogue"
    """What may be kept in another place as one; no query joins tables of two groups."""

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        return tuple(_column(name, info) for name, info in self.model.model_fields.items())

    @cached_property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.type, c.nullable) for c in self.columns])

    def arrow(self, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
        """Rows as an Arrow table of this schema.

        Raises pyarrow.ArrowInvalid or ArrowTypeError when a value does not fit its column,
        and Critical when a column that must hold a value holds none.
        """
        table = pa.Table.from_pylist(list(rows), schema=self.schema)
        empty = [c.name for c in self.columns if not c.nullable and table[c.name].null_count]
        if empty:
            raise Critical(f"table {self.name}: no value in {', '.join(empty)}, which need one")
        return table

    def misfit(self, row: Mapping[str, Any]) -> str | None:
        """Why a row's numbers do not fit their columns; None when they do."""
        for column in self._numeric:
            value = row.get(column.name)
            if value is None:
                continue
            if not (_fits_decimal(value) if pa.types.is_decimal(column.type) else _fits(value)):
                return f"{column.name} {value} does not fit {column.type}; correct it in the store"
        return None

    @cached_property
    def _numeric(self) -> tuple[Column, ...]:
        return tuple(
            c for c in self.columns if pa.types.is_decimal(c.type) or pa.types.is_integer(c.type)
        )


def _fits_decimal(value: Decimal) -> bool:
    exponent = value.normalize().as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -4 and abs(value) < Decimal(10) ** 14


def _fits(value: int) -> bool:
    return -(2**63) <= value < 2**63


def _column(name: str, info: FieldInfo) -> Column:
    plain, nullable = _without_none(info.annotation)
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    unit = extra.get("unit")
    return Column(
        name=name,
        type=ARROW_TYPES[plain],
        nullable=nullable,
        description=info.description or "",
        unit=unit if isinstance(unit, str) else None,
        json=bool(extra.get("json")),
    )


def _without_none(annotation: object) -> tuple[object, bool]:
    if get_origin(annotation) not in (Union, UnionType):
        return annotation, False
    (plain,) = (arg for arg in get_args(annotation) if arg is not NoneType)
    return plain, True


PARENTS = Table(
    "parents",
    catalogue.Parent,
    ("parent_id",),
    WriteMode.UPSERT_WITH_GONE_AT,
    "Product pages, with what their text says about the coffee",
)
PRODUCTS = Table(
    "products",
    catalogue.Product,
    ("product_id",),
    WriteMode.UPSERT_WITH_GONE_AT,
    "Variants one can buy: weight, pack, grind, SKU, GTIN",
)
OFFERS = Table(
    "offers",
    catalogue.Offer,
    ("offer_id",),
    WriteMode.APPEND_ON_CHANGE,
    "Price and availability of products over time; a row per change",
)
QUARANTINE = Table(
    "quarantine",
    catalogue.Quarantined,
    ("source", "snapshot", "place"),
    WriteMode.REPLACE,
    "Rows of the last snapshot that could not be read, each with its reason",
)
EMBEDDINGS = Table(
    "embeddings",
    catalogue.Embedding,
    ("source", "text_hash"),
    WriteMode.REPLACE,
    "Vectors of the texts of listed parents, and of gone ones that may return, by text hash",
)
SEARCH_DOCUMENTS = Table(
    "search_documents",
    catalogue.SearchDocument,
    ("parent_id",),
    WriteMode.REPLACE,
    "What search ranks; what vanished from its store is not in it",
    ranked="vector",
)
STATS = Table(
    "stats",
    catalogue.Stat,
    ("source", "metric", "dimension"),
    WriteMode.REPLACE,
    "Numbers about each source",
    group=ANALYTICS,
)

SUPPLIER_ITEMS = Table(
    "supplier_items",
    catalogue.SupplierItem,
    ("item_id",),
    WriteMode.UPSERT_WITH_GONE_AT,
    "Rows of suppliers' price lists, validated",
)
LIST_SHEETS = Table(
    "list_sheets",
    catalogue.ListSheet,
    ("source", "sheet"),
    WriteMode.REPLACE,
    "How each sheet of a supplier's last price list was read",
    group=ANALYTICS,
)
MATCHES = Table(
    "matches",
    catalogue.Match,
    ("item_id",),
    WriteMode.REPLACE,
    "Decisions about supplier items: link, review or new, with their evidence",
)
DRAFTS = Table(
    "drafts",
    catalogue.Draft,
    ("draft_id",),
    WriteMode.REPLACE,
    "New products, made of supplier items that no product matches",
)
BEST_PRICES = Table(
    "best_prices",
    catalogue.BestPrice,
    ("product_id", "currency"),
    WriteMode.REPLACE,
    "Lowest price of each product over suppliers and own offers",
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        PARENTS,
        PRODUCTS,
        OFFERS,
        QUARANTINE,
        EMBEDDINGS,
        SEARCH_DOCUMENTS,
        STATS,
        SUPPLIER_ITEMS,
        LIST_SHEETS,
        MATCHES,
        DRAFTS,
        BEST_PRICES,
    )
}

PUBLISHED: Mapping[str, Table] = {
    table.name: table for table in (PARENTS, PRODUCTS, OFFERS, SUPPLIER_ITEMS, MATCHES, BEST_PRICES)
}
"""What is copied for applications."""
