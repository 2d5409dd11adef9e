"""From the cells of a row to a validated item, or to a reject with its reason.

Belongs here: prices with their meaning and currency, sizes, packs and vintages from columns,
names and sections. Does not belong here: what kind of row it is (`rows`).

What a column says goes before what the name says, and that before what the section says.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from scout_assets.domain.grids import Cell, Sheet, shown
from scout_assets.domain.measure import parse_money
from scout_assets.domain.price_lists.columns import Columns, PriceColumn
from scout_assets.domain.price_lists.model import AlternativePrice, Item, Reject
from scout_assets.domain.price_lists.profiles import amount_of, gtin_of, vintage_of
from scout_assets.domain.price_lists.rows import Line, has_digits, price_in
from scout_assets.domain.price_lists.words import (
    currency_of,
    is_no_price,
    is_plain_dollar,
    is_size,
    meaning,
    tokens,
    word_list,
)
from scout_assets.domain.specs import NON_VINTAGE, Specs, Vintage, extract

__all__ = ["Context", "Maker"]

_VINTAGES_IN_NAMES = 0.15
"""Share of names with a year from which a year in a name is a vintage."""


@dataclass(frozen=True)
class Context:
    """What the sheet and the file say about all rows: a currency, which dollar "$" is, a basis."""

    currency: str | None = None
    dollar: str | None = None
    basis: str | None = None


class Unreadable(ValueError):
    """A cell that should hold one price holds something else."""


class Maker:
    """Makes the items of one table; `counters`: `items/gtin_invalid`."""

    def __init__(
        self, sheet: Sheet, columns: Columns, context: Context, names: Sequence[str]
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._sheet = sheet
        self._columns = columns
        self._context = context
        years = sum(extract(name).vintage is not None for name in names)
        self._years_in_names = bool(names) and (
            "vintage" in columns.fields or years >= _VINTAGES_IN_NAMES * len(names)
        )
        self._named = {p.meaning.currency for p in columns.prices if p.meaning.currency}
        self._size_factor = _bare_size(columns)
        self._liquid = _is_liquid(sheet, columns)
        said = columns.labels.get(columns.fields.get("name", -1), "")
        self._struck: dict[int, list[tuple[int, str]]] = {}
        for (row, column), text in sheet.struck.items():
            self._struck.setdefault(row, []).append((column, text))
        self._heading = extract(said) if len(said) < 120 else Specs()

    def make(self, line: Line, below: Sequence[Line], section: tuple[str, ...]) -> Item | Reject:
        """The item of a row and its second lines."""
        place = self._sheet.place(line.row)
        try:
            return Item(sheet=place.sheet, row=place.row, **self._fields(line, below, section))
        except Unreadable as error:
            return self.reject(line, str(error))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            return self.reject(
                line, f"{where}: {first['msg']} (found {str(first['input'])[:60]!r})"
            )

    def reject(self, line: Line, reason: str) -> Reject:
        """The row as a reject, with all it holds."""
        place = self._sheet.place(line.row)
        content = {self._columns.label(column): shown(cell) for column, cell in line.cells.items()}
        return Reject(sheet=place.sheet, row=place.row, reason=reason, content=content)

    def _fields(
        self, line: Line, below: Sequence[Line], section: tuple[str, ...]
    ) -> dict[str, Any]:
        name = self._name(line)
        said = extract(name)
        above = extract(section[-1]) if section else Specs()
        sizes = self._sizes(line, said, above)
        pack = self._pack(line, said, above)
        return {
            "sku": self._text(line, "sku"),
            "gtin": gtin_of(line.cells.get(self._columns.fields.get("gtin", -1))),
            "brand": self._text(line, "brand"),
            "name": name,
            **self._prices(line, below, section, pack),
            "vintage": self._vintage(line, said),
            **sizes,
            "pack_count": pack,
            "quantity": self._text(line, "quantity"),
            "category": self._text(line, "category"),
            "section": section,
            "hidden": self._sheet.hidden or line.row in self._sheet.hidden_rows,
            "characteristics": self._characteristics(line, below),
            "specs": {
                key: list(v) if isinstance(v, tuple) else v for key, v in said.named().items()
            },
        }

    def _name(self, line: Line) -> str:
        if line.name is not None:
            return " ".join(line.name.split())
        return " ".join(shown(line.cells.get(self._columns.fields.get("name", -1))).split())

    def _text(self, line: Line, field: str) -> str | None:
        text = shown(line.cells.get(self._columns.fields.get(field, -1)))
        if field in ("sku", "brand") and " ".join(tokens(text)) in word_list("placeholders"):
            return None
        return " ".join(text.split()) or None

    # Prices

    def _prices(
        self, line: Line, below: Sequence[Line], section: tuple[str, ...], pack: int | None
    ) -> dict[str, Any]:
        found = [
            (price, amount)
            for price in self._columns.prices
            if (amount := self._amount(line, price)) is not None
        ]
        first = next(((p, amount) for p, amount in found if self._may_be_primary(p)), None)
        others = [
            self._alternative(line, price, amount, section)
            for price, amount in found
            if first is None or price is not first[0]
        ]
        others += [one for second in below for one in self._from_second(line, second, section)]
        others += self._from_texts(line, section)
        if first is None:
            return {
                "price": None,
                "price_basis": None,
                "currency": self._currency(line, None, section),
                "price_alternatives": tuple(others),
            }
        price, amount = first
        return {
            "price": amount,
            "price_basis": self._basis(line, price, section, pack),
            "currency": self._currency(line, price, section),
            "price_alternatives": tuple(others),
        }

    def _may_be_primary(self, price: PriceColumn) -> bool:
        first = self._columns.prices[0]  # a declared one, and a secondary one only if all are
        return price is first or not (first.declared or price.is_secondary > first.is_secondary)

    def _amount(self, line: Line, price: PriceColumn) -> Decimal | None:
        """The price in a column; None below zero.

        Raises Unreadable for the primary column where digits make no single amount above zero.
        """
        cell = line.cells.get(price.column)
        amount = price_in(cell, price)
        text = shown(cell)
        if amount is None and isinstance(cell, str) and has_digits(text) and not is_no_price(text):
            if amount_of(cell, price.mark) == 0 or not re.match(r"\D{0,8}\d", text):
                return None
            if price is self._columns.prices[0]:
                raise Unreadable(f"{price.label}: {text[:60]!r} is not one price; mend the cell")
            return None
        if amount is None or amount > 0:
            return amount
        if price is self._columns.prices[0]:
            raise Unreadable(f"{price.label}: {text[:60]!r} is below zero; mend the cell")
        return None

    def _basis(
        self, line: Line, price: PriceColumn, section: tuple[str, ...], pack: int | None
    ) -> str:
        if price.meaning.kind == "retail":
            return "retail"
        printed = bool(meaning(price.label).bases)
        if not printed:
            for banner in reversed(section):
                said = meaning(banner)
                if said.bases and _speaks_of_prices(banner):
                    return said.bases[0]
        return (
            price.basis
            or self._measured(line)
            or self._context.basis
            or self._convention(line, price, pack)
        )

    def _measured(self, line: Line) -> str | None:
        """The basis in a column of units of measure: "btl", "CS", "szt"."""
        column = self._columns.unit_column
        bases = meaning(shown(line.cells.get(column))).bases if column is not None else ()
        return bases[0] if bases else None

    def _convention(self, line: Line, price: PriceColumn, pack: int | None) -> str:
        """American lists quote per case where they print its count; others per bottle or unit."""
        if pack is None or pack < 2:
            return "unit"
        if self._currency(line, price, ()) in (None, "USD"):
            return "case"
        return "bottle" if "vintage" in self._columns.fields else "unit"

    def _alternative(
        self, line: Line, price: PriceColumn, amount: Decimal, section: tuple[str, ...]
    ) -> AlternativePrice:
        return AlternativePrice(
            price=amount,
            basis=price.meaning.kind or price.basis or "unit",
            currency=self._currency(line, price, section),
            label=price.label[:200],
            min_quantity=price.meaning.min_quantity or None,
        )

    def _from_second(
        self, line: Line, second: Line, section: tuple[str, ...]
    ) -> Iterator[AlternativePrice]:
        for price in self._columns.prices:
            amount = price_in(second.cells.get(price.column), price)
            if amount is not None and amount > 0:
                yield AlternativePrice(
                    price=amount,
                    basis=price.also or "bottle",
                    currency=self._currency(line, price, section),
                    label=f"{price.label[:180]}, second line",
                )

    def _from_texts(self, line: Line, section: tuple[str, ...]) -> list[AlternativePrice]:
        """Prices in remarks: "was $120", "$98 from 14 cs"."""
        used = {price.column for price in self._columns.prices} | set(self._columns.fields.values())
        found = []
        for column, cell in line.cells.items():
            if column in used or not isinstance(cell, str) or len(cell) > 80:
                continue
            amounts = _MARKED_AMOUNT.findall(cell)
            amount = parse_money(amounts[0]) if len(amounts) == 1 else None
            if amount is not None and amount > 0:
                was = set(tokens(cell)[:2]) & word_list("was")
                found.append(
                    AlternativePrice(
                        price=amount,
                        basis="previous" if was else "offer",
                        currency=self._resolved(currency_of(cell, True), cell)
                        or self._currency(line, None, section),
                        label=cell.strip()[:200],
                        min_quantity=_lot(_MARKED_AMOUNT.sub(" ", cell)),
                    )
                )
        return found

    def _currency(
        self, line: Line, price: PriceColumn | None, section: tuple[str, ...]
    ) -> str | None:
        """From the row's own column, the cell, its format, the header, the section, the sheet,
        the file: the first. Headers of several currencies say more than one column can."""
        own = self._own_currency(line) if price is None or len(self._named) < 2 else None
        if own is not None:
            return own
        if price is not None:
            cell = line.cells.get(price.column)
            texts = [
                cell if isinstance(cell, str) else "",
                self._sheet.cell_format(line.row, price.column)
                if not isinstance(cell, str)
                else "",
                price.label,
                self._sheet.column_formats.get(price.column, ""),
            ]
            for text in texts:
                found = self._resolved(currency_of(text, True), text) if text else None
                if found:
                    return found
        for text in reversed(section):
            found = self._resolved(currency_of(text), text)
            if found:
                return found
        return self._context.currency

    def _own_currency(self, line: Line) -> str | None:
        """What the column of currencies says; there any code of three letters is one."""
        text = shown(line.cells.get(self._columns.fields.get("currency", -1)))
        code = text if _ISO_CODE.fullmatch(text) and not is_no_price(text) else None
        return self._resolved(currency_of(text, True), text) or code

    def _resolved(self, found: str | None, text: str) -> str | None:
        if found == "USD" and self._context.dollar and is_plain_dollar(text):
            return self._context.dollar
        return found

    # Sizes, packs, vintages

    def _sizes(self, line: Line, said: Specs, above: Specs) -> dict[str, float | None]:
        sources = [
            self._printed(line, "size"),
            self._printed(line, "pack"),
            said,
            above,
            self._heading,
        ]
        sources += [extract(p.label) for p in self._columns.prices[:1] if is_size(p.label)]
        for source in sources:
            if source.size_ml is not None or source.size_g is not None:
                return {
                    "size_ml": source.size_ml,
                    "size_g": source.size_g if source.size_ml is None else None,
                }
        return {"size_ml": None, "size_g": None}

    def _printed(self, line: Line, field: str) -> Specs:
        """The features in a cell of sizes; a bare number has the unit of the column."""
        cell = line.cells.get(self._columns.fields.get(field, -1))
        text = shown(cell)
        if not text:
            return Specs()
        said = extract(text)
        if field == "size" and self._liquid and said.size_g and _OUNCES.search(text):
            return replace(said, size_g=None, size_ml=round(said.size_g * _FLUID_OUNCE, 2))
        if field == "size" and said.size_ml is None and said.size_g is None:
            amount = amount_of(cell) if not re.search(r"[A-Za-z]{2}", text) else None
            if amount and self._size_factor:
                name, factor = self._size_factor
                size = round(float(amount) * factor, 4)
                return Specs(size_ml=size) if name == "size_ml" else Specs(size_g=size)
        return said

    def _pack(self, line: Line, said: Specs, above: Specs) -> int | None:
        cell = line.cells.get(self._columns.fields.get("pack", -1))
        amount = amount_of(cell) if not re.search(r"[A-Za-z\u0400-\u04ff/]", shown(cell)) else None
        if amount is not None and amount == int(amount) and amount >= 1:
            return int(amount)
        sources = (
            self._printed(line, "pack"),
            self._printed(line, "size"),
            said,
            above,
            self._heading,
        )
        found = next((source.pack_count for source in sources if source.pack_count), None)
        return found or self._columns.implied_pack

    def _vintage(self, line: Line, said: Specs) -> Vintage | None:
        cell = line.cells.get(self._columns.fields.get("vintage", -1))
        text = shown(cell)
        if text:
            found = vintage_of(cell)
            years = re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", text)
            if found is not None or len(set(years)) > 1:
                return found if len(set(years)) < 2 else None
            return extract(text).vintage
        return said.vintage if self._years_in_names or said.vintage == NON_VINTAGE else None

    def _characteristics(self, line: Line, below: Sequence[Line]) -> dict[str, str]:
        """Columns that are no field, cells a field could not be read from, further lines."""
        prices = {price.column for price in self._columns.prices}
        fields = set(self._columns.fields.values())
        rest = {
            self._columns.label(column): shown(cell)
            for column, cell in line.cells.items()
            if (column not in fields and column not in prices)
            or (column in prices and price_or_none(cell) is None)
            or self._is_unread(line, column)
        }
        struck = {
            f"{self._columns.label(column)}, struck out": text
            for (row, column), text in self._struck_in(line.row)
        }
        name = self._columns.fields.get("name", -1)
        details = " ".join(shown(second.cells[name]) for second in below if name in second.cells)
        return {**rest, **struck, **({"details": details} if details else {})}

    def _is_unread(self, line: Line, column: int) -> bool:
        """Whether a cell does not hold what its column does; a GTIN is counted too."""
        fields, cell = self._columns.fields, line.cells[column]
        if column == fields.get("vintage"):
            return vintage_of(cell) is None
        if column == fields.get("currency"):
            return self._own_currency(line) is None
        wrong = column == fields.get("gtin") and gtin_of(cell) is None
        self.counters["items/gtin_invalid"] += wrong and has_digits(shown(cell))
        return wrong

    def _struck_in(self, row: int) -> Iterator[tuple[tuple[int, int], str]]:
        for column, text in self._struck.get(row, ()):
            yield (row, column), text


def price_or_none(cell: Cell) -> Decimal | None:
    """A number above zero, whatever the column."""
    amount = amount_of(cell)
    return amount if amount and amount > 0 else None


_ISO_CODE = re.compile(r"[A-Z]{3}")
_SIGN = r"(?:[$\u20ac\u00a3\u20b9\u20bd\u20b4\u00a5]|\b(?:USD|EUR|GBP|CHF|CAD|AUD)\b)"
_MARKED_AMOUNT = re.compile(
    rf"{_SIGN}\s?\d[\d.,]*\d|{_SIGN}\s?\d|\d[\d.,]*\d?\s?(?:\u20ac|z\u0142|\u20bd|\u20b4|EUR|USD|CHF)"
)
_LOT = re.compile(r"(?<![\d.,])(\d{1,4})(?![\d.,%]|st\b|nd\b|rd\b|th\b)")


def _lot(text: str) -> int | None:
    found = _LOT.findall(text)
    return int(found[0]) if len(found) == 1 and int(found[0]) > 0 else None


@lru_cache(maxsize=1024)
def _speaks_of_prices(banner: str) -> bool:
    """Whether a banner names prices themselves, not only a case or a bottle."""
    return any(word.startswith(_PRICE_STEMS) for word in tokens(banner))


_PRICE_STEMS = (
    "price",
    "pricing",
    "preis",
    "prix",
    "tarif",
    "prezz",
    "preci",
    "preco",
    "prijs",
    "cena",
    "\u0446\u0435\u043d",
    "\u0446\u0456\u043d",
    "\u0446\u0438\u043d",
)

_OUNCES = re.compile(r"\d\s*oz", re.IGNORECASE)
_FLUID_OUNCE = 29.5735295625 / 28.349523125
"""Millilitres of a US fluid ounce over grams of an ounce: among bottles "12oz" is a volume."""


def _is_liquid(sheet: Sheet, columns: Columns) -> bool:
    """Whether the sizes of a table are mostly volumes."""
    column = columns.fields.get("size", -1)
    texts = [shown(row[column]) for row in sheet.rows[:2000] if 0 <= column < len(row)]
    sizes = [extract(text) for text in texts if 0 < len(text) <= 25]
    volumes, weights = (
        sum(getattr(s, f) is not None for s in sizes) for f in ("size_ml", "size_g")
    )
    return volumes > weights


_UNITS = {
    "ml": ("size_ml", 1.0),
    "cl": ("size_ml", 10.0),
    "dl": ("size_ml", 100.0),
    "l": ("size_ml", 1000.0),
    "lt": ("size_ml", 1000.0),
    "ltr": ("size_ml", 1000.0),
    "liter": ("size_ml", 1000.0),
    "litre": ("size_ml", 1000.0),
    "litro": ("size_ml", 1000.0),
    "litri": ("size_ml", 1000.0),
    "\u043b": ("size_ml", 1000.0),
    "\u043c\u043b": ("size_ml", 1.0),
    "g": ("size_g", 1.0),
    "gr": ("size_g", 1.0),
    "grams": ("size_g", 1.0),
    "\u0433": ("size_g", 1.0),
    "kg": ("size_g", 1000.0),
    "\u043a\u0433": ("size_g", 1000.0),
    "oz": ("size_g", 28.349523125),
    "lb": ("size_g", 453.59237),
    "lbs": ("size_g", 453.59237),
}
_WEIGHT_WORDS = frozenset(
    {
        "weight",
        "wt",
        "gewicht",
        "poids",
        "peso",
        "waga",
        "\u0432\u0435\u0441",
        "\u043c\u0430\u0441\u0441\u0430",
        "gramatura",
        "grammatura",
        "hmotnost",
        "netto",
    }
)


def _bare_size(columns: Columns) -> tuple[str, float] | None:
    """The unit of bare numbers in the size column: as its header says, else by their size."""
    column = columns.fields.get("size")
    if column is None:
        return None
    words = tokens(columns.labels.get(column, ""))
    printed = next((_UNITS[word] for word in words if word in _UNITS), None)
    if printed:
        return printed
    usual = columns.usual_number(column)
    if usual is None:
        return None
    if set(words) & _WEIGHT_WORDS:
        return ("size_g", 1000.0 if usual < 30 else 1.0)
    return "size_ml", 1.0 if usual >= 170 else 1000.0 if usual <= 9 else 10.0
