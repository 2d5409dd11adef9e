"""Exchange rates as dated data: amounts of one currency in terms of another.

Belongs here: reading a list of rates, converting at the rate that held on a day. Does not
belong here: parsing printed prices (`measure`), fetching rates: they are data a person gives.
"""

import csv
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation

from scout_assets.domain.failures import BadConfig

__all__ = ["Rates", "read_rates"]

COLUMNS = ("date", "base", "quote", "rate")


@dataclass(frozen=True)
class Rates:
    """`1 base = rate quote` from a day on; pairs work both ways and over one third currency."""

    pairs: dict[tuple[str, str], list[tuple[date, Decimal]]] = field(default_factory=dict)

    def convert(
        self, amount: Decimal, base: str, quote: str, on: date
    ) -> tuple[Decimal, date] | None:
        """The amount in `quote` and the date of the (oldest) rate used; None without a rate.

        The rate is the last one dated on or before `on`: a later one is never used.
        """
        if base == quote:
            return amount, on
        direct = self._rate(base, quote, on)
        found = direct or self._crossed(base, quote, on)
        return None if found is None else (amount * found[0], found[1])

    def until(self, on: date) -> "Rates":
        """The rates that can count on a day: those dated later are left out."""
        kept = {pair: [r for r in rates if r[0] <= on] for pair, rates in self.pairs.items()}
        return Rates({pair: rates for pair, rates in sorted(kept.items()) if rates})

    def _crossed(self, base: str, quote: str, on: date) -> tuple[Decimal, date] | None:
        for third in sorted({currency for pair in self.pairs for currency in pair}):
            first, second = self._rate(base, third, on), self._rate(third, quote, on)
            if first and second:
                return first[0] * second[0], min(first[1], second[1])
        return None

    def _rate(self, base: str, quote: str, on: date) -> tuple[Decimal, date] | None:
        found = self._dated(base, quote, on)
        if found is not None:
            return found[1], found[0]
        found = self._dated(quote, base, on)
        return None if found is None else (1 / found[1], found[0])

    def _dated(self, base: str, quote: str, on: date) -> tuple[date, Decimal] | None:
        known = self.pairs.get((base, quote), [])
        index = bisect_right(known, on, key=lambda rate: rate[0])
        return known[index - 1] if index else None


def read_rates(lines: Iterable[str], place: str) -> Rates:
    """Rates of a CSV with the columns date, base, quote, rate.

    Raises BadConfig naming the line of the first wrong value.
    """
    pairs: defaultdict[tuple[str, str], list[tuple[date, Decimal]]] = defaultdict(list)
    for base, quote, day, rate in _rows(lines, place):
        pairs[base, quote].append((day, rate))
    return Rates({pair: sorted(rates) for pair, rates in pairs.items()})


def _rows(lines: Iterable[str], place: str) -> Iterator[tuple[str, str, date, Decimal]]:
    reader = csv.DictReader(lines)
    missing = set(COLUMNS) - set(reader.fieldnames or ())
    if missing:
        raise BadConfig(f"{place}: no column {', '.join(sorted(missing))}; expected {COLUMNS}")
    for number, row in enumerate(reader, 2):
        try:
            rate = Decimal(row["rate"].strip())
            day = date.fromisoformat(row["date"].strip())
        except (ValueError, InvalidOperation, AttributeError):
            raise BadConfig(f"{place}, line {number}: not a dated rate: {row}") from None
        if not rate.is_finite() or rate <= 0:
            raise BadConfig(f"{place}, line {number}: a rate must be above zero, not {rate}")
        yield row["base"].strip().upper(), row["quote"].strip().upper(), day, rate
