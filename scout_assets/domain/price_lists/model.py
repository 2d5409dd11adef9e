"""What a price list is read into: items, how each sheet was read, and what was refused.

Belongs here: the models and their rules of validity, and the JSON they make. Does not belong
here: how they are found.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer

__all__ = ["AlternativePrice", "ColumnUse", "Item", "PriceList", "Reject", "Role", "SheetReport"]

_LARGEST_PRICE = Decimal(100_000_000)
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Amount = Annotated[Decimal, Field(gt=0, lt=_LARGEST_PRICE)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


def plain(amount: Decimal) -> str:
    """A price as text: at least two decimals, at most four, never an exponent."""
    text = f"{amount.normalize():f}"
    return text if len(text.partition(".")[2]) >= 2 else f"{amount:.2f}"


class AlternativePrice(_Frozen):
    """Another price of the same row, with what it is for."""

    price: Amount
    basis: str = Field(
        description="case, bottle, unit, kg, pallet; retail, previous, discount, ..."
    )
    currency: str | None = None
    label: str = Field(description="Header, or the text that says it")
    min_quantity: int | None = Field(default=None, ge=1)

    @field_serializer("price", when_used="json")
    def _price(self, price: Decimal) -> str:
        return plain(price)


class Item(_Frozen):
    """One row of a price list, validated. `sheet` and `row` are as a person sees them."""

    sheet: str
    row: int = Field(ge=1)
    sku: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    gtin: Annotated[str, Field(pattern=r"^(\d{8}|\d{12,14})$")] | None = None
    brand: Text | None = None
    name: Text
    price: Amount | None = None
    price_basis: str | None = None
    price_alternatives: tuple[AlternativePrice, ...] = ()
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    vintage: Annotated[int, Field(ge=1800, le=2100)] | Literal["NV"] | None = None
    size_ml: Annotated[float, Field(gt=0)] | None = None
    size_g: Annotated[float, Field(gt=0)] | None = None
    pack_count: Annotated[int, Field(ge=1, le=100_000)] | None = None
    quantity: str | None = Field(default=None, description="Stock as printed")
    category: str | None = None
    section: tuple[str, ...] = Field(default=(), description="Banners above, outermost first")
    hidden: bool = False
    characteristics: dict[str, str] = Field(default_factory=dict, description="Further columns")
    specs: dict[str, Any] = Field(default_factory=dict, description="Features read from the name")
    duplicate_of: str | None = Field(
        default=None, description="Place of the row that stands for this one too: sheet!row"
    )

    @field_serializer("price", when_used="json")
    def _price(self, price: Decimal | None) -> str | None:
        return None if price is None else plain(price)

    @property
    def identity(self) -> tuple[object, ...]:
        """What two rows share when they are one offer; price is no part of it."""
        named = self.name.casefold() if not self.sku else self.sku.casefold()
        return (
            named,
            self.name.casefold(),
            (self.brand or "").casefold(),
            self.vintage,
            self.size_ml,
            self.size_g,
            self.pack_count,
            self.price_basis,
            self.currency,
        )


class Reject(_Frozen):
    """A row that looks like an item but cannot be one."""

    sheet: str
    row: int
    reason: str
    content: dict[str, str]


class Role(StrEnum):
    """What a sheet is."""

    ITEMS = "items"
    NOTES = "notes"
    EMPTY = "empty"
    HIDDEN = "hidden"


class ColumnUse(_Frozen):
    """Which column a field was read from, and how sure that is (0 to 1)."""

    header: str
    letter: str
    confidence: float
    basis: str | None = None


class SheetReport(_Frozen):
    """How one sheet was read. `header_rows` count from 1; `columns` are of its largest table."""

    name: str
    role: Role
    header_rows: tuple[int, ...] = ()
    columns: dict[str, ColumnUse | tuple[ColumnUse, ...]] = Field(default_factory=dict)
    tables: int = 0
    items: int = 0
    confidence: float = 0.0
    reasons: tuple[str, ...] = ()


class PriceList(_Frozen):
    """All of one file. Nothing is dropped: a row is an item, a reject, a section or a note."""

    items: tuple[Item, ...]
    sheets: tuple[SheetReport, ...]
    quarantine: tuple[Reject, ...]
    notices: tuple[str, ...] = ()
    counters: Mapping[str, int] = Field(default_factory=Counter)

    def distinct(self) -> Iterator[Item]:
        """The items without those that repeat another one."""
        return (item for item in self.items if item.duplicate_of is None)

    def as_json(self) -> dict[str, Any]:
        """One JSON object; prices are decimal strings."""
        return self.model_dump(mode="json")


def marked_duplicates(items: Sequence[Item], counters: Counter[str]) -> tuple[Item, ...]:
    """Within-file duplicates: same SKU, name, brand, vintage, size, pack, basis and currency.

    The row that stands for all is the first that is visible and priced, else the first
    priced, else the first. The others stay, marked with its place.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault(item.identity, []).append(index)
    result = list(items)
    for indexes in groups.values():
        if len(indexes) == 1:
            continue
        kept = min(indexes, key=lambda i: (items[i].price is None, items[i].hidden, i))
        place = f"{items[kept].sheet}!{items[kept].row}"
        for index in indexes:
            if index != kept:
                counters["items/duplicate"] += 1
                same = items[index].price == items[kept].price
                counters["items/duplicate_other_price"] += not same
                result[index] = items[index].model_copy(update={"duplicate_of": place})
    return tuple(result)
