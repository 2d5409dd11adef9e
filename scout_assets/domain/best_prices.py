"""Best prices: what a product costs at least, over all who offer it, in comparable terms.

Belongs here: which quotes are comparable, and the least of them. Does not belong here: which
item is which product (`matching`), reading prices (`price_lists`, `storefront`).

Comparable means: a price for the same size, brought to one unit of the pack, in one currency.
The currency is the one the product itself is sold in, else the one most quotes are in; quotes
in others are converted at a dated rate, or counted as not comparable when there is none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from scout_assets.domain.money import Rates

__all__ = ["Good", "Quote", "best_prices", "unit_price"]

SIZE_TOLERANCE = 0.01
"""Sizes this near are one size: 354 ml and 12 oz."""
CENT = Decimal("0.0001")


@dataclass(frozen=True)
class Good:
    """A product of the catalogue or a draft, as far as prices need it. `size`: g or ml."""

    kind: str
    source: str
    product_id: str
    title: str
    size: float | None = None


@dataclass(frozen=True)
class Quote:
    """One price for a product. `item_id` is None for the product's own offer.

    `price` is for one unit, of `size` (g or ml) where known; None: it cannot be brought to one.
    """

    product_id: str
    source: str
    item_id: str | None
    price: Decimal | None
    currency: str
    size: float | None = None
    available: bool | None = None
    on: date = date.min


@dataclass(frozen=True)
class _Comparable:
    quote: Quote
    unit_price: Decimal
    rate_date: date | None

    @property
    def rank(self) -> tuple[bool, Decimal, str, str]:
        """What cannot be bought now comes last; ties go by name, so order changes nothing."""
        gone = self.quote.available is False
        return gone, self.unit_price, self.quote.source, self.quote.item_id or ""


def best_prices(
    goods: Iterable[Good], quotes: Iterable[Quote], rates: Rates, on: date
) -> list[dict[str, Any]]:
    """One row per product that has a comparable price; `on` is the day of the rates."""
    by_product: defaultdict[str, list[Quote]] = defaultdict(list)
    for quote in quotes:
        by_product[quote.product_id].append(quote)
    rows = []
    for good in goods:
        found = by_product.get(good.product_id)
        row = _row(good, found, rates, on) if found else None
        if row is not None:
            rows.append(row)
    return rows


def _row(good: Good, quotes: Sequence[Quote], rates: Rates, on: date) -> dict[str, Any] | None:
    currency = _currency(quotes)
    made = [_comparable(good, quote, currency, rates, on) for quote in quotes]
    comparable = sorted((c for c in made if c is not None), key=lambda c: c.rank)
    if not comparable:
        return None
    best = comparable[0]
    own = min((c.unit_price for c in comparable if c.quote.item_id is None), default=None)
    return {
        "kind": good.kind,
        "source": good.source,
        "product_id": good.product_id,
        "title": good.title,
        "currency": currency,
        "min_price": best.unit_price,
        "best_source": best.quote.source,
        "best_item_id": best.quote.item_id,
        "available": best.quote.available,
        "own_price": own,
        "rate_date": best.rate_date,
        "sources_count": len({c.quote.source for c in comparable}),
        "quotes": len(comparable),
        "not_comparable": len(quotes) - len(comparable),
    }


def _currency(quotes: Sequence[Quote]) -> str:
    own = sorted(quote.currency for quote in quotes if quote.item_id is None)
    if own:
        return own[0]
    counted = Counter(quote.currency for quote in quotes)
    return min(counted, key=lambda currency: (-counted[currency], currency))


def _comparable(
    good: Good, quote: Quote, currency: str, rates: Rates, on: date
) -> _Comparable | None:
    if quote.price is None or not _same_size(good.size, quote.size):
        return None
    converted = rates.convert(quote.price, quote.currency, currency, on)
    if converted is None:
        return None
    unit_price = converted[0].quantize(CENT, ROUND_HALF_UP)
    return _Comparable(quote, unit_price, None if quote.currency == currency else converted[1])


def _same_size(one: float | None, other: float | None) -> bool:
    """An unknown size is taken for the same: the match already vouches for it."""
    if one is None or other is None:
        return True
    return abs(one - other) <= SIZE_TOLERANCE * max(one, other)


def unit_price(
    price: Decimal,
    basis: str | None,
    pack_count: int | None,
    size_ml: float | None = None,
    size_g: float | None = None,
) -> Decimal | None:
    """What one unit of the pack costs; None where the basis cannot be brought to it.

    A case price stands for the whole pack, which must be known; a price per kg, lb or litre
    counts by the unit's size; bottle, unit and retail prices are for one. Of a pallet nobody
    knows how much it holds.
    """
    if basis in _OF_ONE:
        return price
    if basis in _MEASURES:
        grams_or_ml, per = _MEASURES[basis]
        size = size_ml if grams_or_ml == "ml" else size_g
        return price * Decimal(str(size)) / per if size else None
    if basis is None:
        return price / (pack_count or 1)
    return price / pack_count if basis in _OF_PACK and pack_count else None


_OF_ONE = frozenset(("bottle", "unit", "retail"))
_OF_PACK = frozenset(("case", "pack"))
_MEASURES = {
    "kg": ("g", Decimal(1000)),
    "lb": ("g", Decimal("453.59237")),
    "litre": ("ml", Decimal(1000)),
}
