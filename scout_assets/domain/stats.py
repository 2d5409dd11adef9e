"""Numbers about one source: counts, coverage, prices, changes and a price index.

| metric | dimension | value |
|---|---|---|
| parents_listed, parents_gone | | parents without and with gone_at |
| coffees, subscriptions | | listed parents that are coffee; listed subscriptions |
| products_listed, products_gone | | products without and with gone_at |
| products_available | | listed products that can be bought now |
| coverage | a field | share 0..1 of listed coffees, or of their listed products, with it |
| price_count, _min, _p25, _median, _p75, _max, _mean | currency | of the pack, coffee now |
| unit_price_100g_count, _min, ... | currency | the same per 100 g |
| change_new, _gone, _price, _availability, _back | capture | products with that change |
| price_index | currency and capture | 100 at the currency's first capture |
| price_index_matched | currency and capture | products the index moved by |

A capture is its ISO 8601 time in UTC; "currency and capture" is both with a blank between
(`currency_at`, `parse_currency_at`). A price without a currency counts under `unknown`.
A capture that changed no row of a source leaves no trace in its tables and has no numbers.
What has nothing to be measured on (coverage of no coffee) has no row, not a 0.

Belongs here: what is measured, and how. Does not belong here: pictures
(`orchestration.plots`), or what a change is (`history`).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, groupby
from operator import itemgetter
from statistics import fmean
from typing import Any, NamedTuple

VERSION = "1"
"""Bump when the same rows give other numbers: stats are then computed again."""

Row = Mapping[str, Any]

UNKNOWN_CURRENCY = "unknown"
CHANGES = ("new", "gone", "price", "availability", "back")
INDEX_BASE = 100.0

PARENT_COVERAGE: Mapping[str, tuple[str, ...]] = {
    "roast_level": ("roast_level",),
    "process": ("process",),
    "species": ("species",),
    "decaf": ("decaf",),
    "varieties": ("varieties",),
    "origin_country": ("origin_country",),
    "origin_region": ("origin_region",),
    "estate": ("estate",),
    "altitude": ("altitude_min_m", "altitude_max_m"),
    "tasting_notes": ("tasting_notes",),
    "crop_year": ("crop_year",),
}
"""Field of a coffee to the columns of which one must hold a value."""
PRODUCT_COVERAGE = ("net_weight_g", "grind", "sku", "gtin")
OFFER_COVERAGE = ("price", "currency")


class _Measured(NamedTuple):
    metric: str
    dimension: str
    value: float


def source_stats(
    kind: str,
    source: str,
    parents: Sequence[Row],
    products: Sequence[Row],
    offers: Sequence[Row],
) -> list[dict[str, Any]]:
    """Rows of `catalogue.Stat` for one source, in a stable order.

    parents, products: the source's rows, gone ones too. offers: its whole history in any
    order; a row holds until the product's next row. Times are aware. Takes O(rows).
    """
    history = sorted(offers, key=itemgetter("observed_at", "snapshot"))
    current = {offer["product_id"]: offer for offer in history}
    coffee = _coffee_products(parents, products)
    measured = chain(
        _counts(parents, products, current),
        _coverage(parents, coffee, current),
        _prices(_priced(coffee, current)),
        _changes(parents, products, history),
        _price_index(offer for offer in history if offer["product_id"] in coffee),
    )
    return [{"kind": kind, "source": source, **row._asdict()} for row in measured]


def coffee_offers(
    parents: Iterable[Row], products: Iterable[Row], offers: Iterable[Row]
) -> list[Row]:
    """The offers that the price metrics are about: current, priced, of listed coffee."""
    history = sorted(offers, key=itemgetter("observed_at", "snapshot"))
    current = {offer["product_id"]: offer for offer in history}
    return _priced(_coffee_products(parents, products), current)


def currency_at(currency: str | None, at: datetime) -> str:
    """Dimension of a number per currency and capture: `EUR 2026-09-07T00:00:00+00:00`."""
    return f"{currency or UNKNOWN_CURRENCY} {capture_key(at)}"


def parse_currency_at(dimension: str) -> tuple[str, datetime]:
    """What `currency_at` put together. Raises ValueError when it is not of that form."""
    currency, _, at = dimension.partition(" ")
    return currency, datetime.fromisoformat(at)


def capture_key(at: datetime) -> str:
    """Dimension of a number per capture: ISO 8601 in UTC."""
    return at.astimezone(UTC).isoformat()


def _coffee_products(parents: Iterable[Row], products: Iterable[Row]) -> dict[str, Row]:
    coffees = {parent["parent_id"] for parent in parents if parent["is_coffee"]}
    return {p["product_id"]: p for p in products if p["parent_id"] in coffees}


def _listed(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["gone_at"] is None]


def _has_price(offer: Row) -> bool:
    # A price of 0 is no price to compare: it has no logarithm and would pull every mean.
    return offer["price"] is not None and offer["price"] > 0


def _priced(coffee: Mapping[str, Row], current: Mapping[str, Row]) -> list[Row]:
    found = (current.get(product["product_id"]) for product in _listed(coffee.values()))
    return [offer for offer in found if offer is not None and _has_price(offer)]


def _counts(
    parents: Sequence[Row], products: Sequence[Row], current: Mapping[str, Row]
) -> Iterator[_Measured]:
    listed_parents, listed_products = _listed(parents), _listed(products)
    offers = (current.get(product["product_id"]) for product in listed_products)
    yield _Measured("parents_listed", "", float(len(listed_parents)))
    yield _Measured("parents_gone", "", float(len(parents) - len(listed_parents)))
    yield _Measured("coffees", "", float(sum(p["is_coffee"] for p in listed_parents)))
    yield _Measured("subscriptions", "", float(sum(p["subscription"] for p in listed_parents)))
    yield _Measured("products_listed", "", float(len(listed_products)))
    yield _Measured("products_gone", "", float(len(products) - len(listed_products)))
    available = sum(offer is not None and offer["available"] is True for offer in offers)
    yield _Measured("products_available", "", float(available))


def _coverage(
    parents: Sequence[Row], coffee: Mapping[str, Row], current: Mapping[str, Row]
) -> Iterator[_Measured]:
    coffees = [parent for parent in _listed(parents) if parent["is_coffee"]]
    for field, columns in PARENT_COVERAGE.items():
        yield from _share(field, coffees, columns)
    products = _listed(coffee.values())
    for field in PRODUCT_COVERAGE:
        yield from _share(field, products, (field,))
    offers: list[Row] = [current.get(product["product_id"], {}) for product in products]
    for field in OFFER_COVERAGE:
        yield from _share(field, offers, (field,))


def _share(field: str, rows: Sequence[Row], columns: Sequence[str]) -> Iterator[_Measured]:
    if rows:
        filled = sum(any(_is_filled(row.get(column)) for column in columns) for row in rows)
        yield _Measured("coverage", field, filled / len(rows))


def _is_filled(value: object) -> bool:
    # False and 0 are values; an empty text or list says nothing.
    return value not in (None, "", [], ())


def _prices(offers: Iterable[Row]) -> Iterator[_Measured]:
    by_currency: dict[str, list[Row]] = {}
    for offer in offers:
        by_currency.setdefault(offer["currency"] or UNKNOWN_CURRENCY, []).append(offer)
    for column in ("unit_price_100g", "price"):
        for currency, rows in sorted(by_currency.items()):
            values = [float(row[column]) for row in rows if row[column] is not None]
            for name, value in _distribution(values):
                yield _Measured(f"{column}_{name}", currency, value)


def _distribution(values: list[float]) -> Iterator[tuple[str, float]]:
    if not values:
        return
    ordered = sorted(values)
    yield "count", float(len(ordered))
    yield "min", ordered[0]
    for name, share in (("p25", 0.25), ("median", 0.5), ("p75", 0.75)):
        yield name, _quantile(ordered, share)
    yield "max", ordered[-1]
    yield "mean", fmean(ordered)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between order statistics: type 7 of Hyndman and Fan (1996), numpy's default."""
    at = share * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def _changes(
    parents: Iterable[Row], products: Iterable[Row], history: Iterable[Row]
) -> Iterator[_Measured]:
    counts = Counter((offer["observed_at"], offer["change"]) for offer in history)
    captures = {observed_at for observed_at, _ in counts}
    for row in chain(parents, products):
        captures.update((row["first_seen_at"], row["changed_at"], row["gone_at"]))
    captures.discard(None)
    for captured_at in sorted(captures):
        for change in CHANGES:
            value = float(counts[captured_at, change])
            yield _Measured(f"change_{change}", capture_key(captured_at), value)


def _price_index(history: Iterable[Row]) -> Iterator[_Measured]:
    """Chained matched-model Jevons index per currency, of the captures with a row in `history`.

    A link is the geometric mean of the price relatives of the products priced in that
    currency at both captures: an unweighted elementary index. Source: Consumer Price Index
    Manual: Theory and Practice (ILO, IMF and others, 2004), chapters 9 and 20.
    """
    index = _ChainedIndex()
    for captured_at, rows in groupby(history, key=itemgetter("observed_at")):
        index.move({row["product_id"]: _currency_and_price(row) for row in rows})
        for currency in index.currencies():
            at = currency_at(currency, captured_at)
            yield _Measured("price_index", at, index.value(currency))
            yield _Measured("price_index_matched", at, float(index.matched[currency]))


def _currency_and_price(offer: Row) -> tuple[str, float] | None:
    if not _has_price(offer):
        return None
    return offer["currency"] or UNKNOWN_CURRENCY, float(offer["price"])


class _ChainedIndex:
    """The state of all currencies' indices after the captures seen so far.

    A capture only brings the products whose offer changed; all others hold their price, with
    a relative of 1. So a link is the sum of the changed ones' logarithms over the number of
    matched ones, and the work is O(rows) instead of products times captures.
    """

    def __init__(self) -> None:
        self.matched: Counter[str] = Counter()
        self._prices: dict[str, tuple[str, float]] = {}
        self._priced: Counter[str] = Counter()
        self._log_index: defaultdict[str, float] = defaultdict(float)

    def currencies(self) -> list[str]:
        """Those in which a product is priced now."""
        return sorted(+self._priced)

    def value(self, currency: str) -> float:
        return INDEX_BASE * math.exp(self._log_index[currency])

    def move(self, after: Mapping[str, tuple[str, float] | None]) -> None:
        """To the next capture. A currency without a matched product stays where it is."""
        self.matched = Counter(self._priced)
        log_relatives: defaultdict[str, list[float]] = defaultdict(list)
        for product_id, now in after.items():
            before = self._prices.get(product_id)
            self._set(product_id, now)
            if before is None:
                continue
            currency, price = before
            if now is not None and now[0] == currency:
                log_relatives[currency].append(math.log(now[1] / price))
            else:
                self.matched[currency] -= 1
        for currency, logs in log_relatives.items():
            self._log_index[currency] += math.fsum(logs) / self.matched[currency]

    def _set(self, product_id: str, now: tuple[str, float] | None) -> None:
        before = self._prices.pop(product_id, None)
        if before is not None:
            self._priced[before[0]] -= 1
        if now is not None:
            self._prices[product_id] = now
            self._priced[now[0]] += 1
