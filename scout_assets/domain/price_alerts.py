"""Price alerts: which prices are worth a message, each told once.

Belongs here: rules, what they say of a price, when they may speak again. Does not belong here:
reading prices and keeping rules (`gateways.price_rules`), sending (`gateways.alerts`).

A sighting is one row of the price history. Each rule sees each of them once, in order, so that
it does not matter in how many portions they come: `alerts(a + b) == alerts(a) + alerts(b)`, cut
anywhere between two snapshots of a source. On first sight a rule judges the prices that hold now;
what was over before the rule was there is only what came earlier.

What cannot be bought raises nothing, and its price changes nothing: a threshold stays as it was,
and a low counts once it can be bought. Prices of different currencies are never compared.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from scout_assets.domain.alerts import Alert, Severity
from scout_assets.domain.failures import BadConfig
from scout_assets.domain.quality import beyond

__all__ = [
    "LOW_MARGIN",
    "MANY",
    "REARM_MARGIN",
    "Fired",
    "Judgement",
    "Rule",
    "Sighting",
    "State",
    "Trigger",
    "judge",
]

REARM_MARGIN = Decimal("0.02")
"""A price must rise this share above a threshold before the rule speaks again: rounding, VAT and
exchange rates move prices by a percent or so to and fro."""
LOW_MARGIN = Decimal("0.01")
"""A new low must be lower by this share than the last one told: a cent a day is no news."""
MANY = 10
"""More products of one snapshot than this are one message: a store that reprices everything is
one event."""


class Trigger(StrEnum):
    """What a rule waits for."""

    BELOW = "below"
    DROP = "drop"
    NEW_LOW = "new_low"
    MOVE = "move"


@dataclass(frozen=True)
class Rule:
    """What somebody wants to hear of; `since` when. Empty filters mean all.

    `limit`: an amount for BELOW; percent for DROP (at least) and MOVE (more than, up or down).
    `product`: a variant or a product page.
    """

    id: str
    trigger: Trigger
    since: datetime
    limit: Decimal | None = None
    currency: str | None = None
    source: str | None = None
    product: str | None = None
    by: str = ""

    def __post_init__(self) -> None:
        if self.trigger is Trigger.BELOW and self.currency is None:
            raise BadConfig("a threshold needs a currency: --currency EUR")
        if self.trigger is Trigger.NEW_LOW:
            return
        if self.limit is None or not self.limit.is_finite() or self.limit <= 0:
            raise BadConfig(f"a rule `{self.trigger}` needs a number above zero")
        if self.trigger is Trigger.DROP and self.limit >= 100:
            raise BadConfig("a drop is a number of percent below 100")

    @property
    def says(self) -> str:
        """The rule in words."""
        return {
            Trigger.BELOW: f"at or below {_amount(self.limit)} {self.currency}",
            Trigger.DROP: f"down by {_amount(self.limit)} % or more",
            Trigger.NEW_LOW: "lower than ever",
            Trigger.MOVE: f"moved by more than {_amount(self.limit)} %",
        }[self.trigger]

    def concerns(self, seen: "Sighting") -> bool:
        """Whether the rule is about this product and currency, and was there before it was over."""
        return (
            self.product in (None, seen.product_id, seen.parent_id)
            and self.currency in (None, seen.currency)
            and (seen.until is None or seen.until > self.since)
        )


@dataclass(frozen=True)
class Sighting:
    """What a product cost from `seen_at` until `until`, which is None while it holds.

    `lowest_before`: the lowest price before it could be bought at, in the same currency.
    `delta_pct`: the change against the price before, where both are of one currency.
    """

    source: str
    product_id: str
    parent_id: str | None
    title: str
    snapshot: int
    seen_at: datetime
    until: datetime | None
    price: Decimal | None
    currency: str | None
    available: bool | None
    previous: Decimal | None = None
    delta_pct: float | None = None
    lowest_before: Decimal | None = None

    @property
    def offer_id(self) -> str:
        return f"{self.product_id}@{self.snapshot}"


Fired = tuple[str, str, str | None]
"""(rule, product, currency) that a rule has spoken of."""


@dataclass(frozen=True)
class State:
    """What the rules remember. `seen`: (rule, source) → the last snapshot they looked at;
    `fired`: the price they spoke of last, until it is armed again."""

    seen: Mapping[tuple[str, str], int] = field(default_factory=dict)
    fired: Mapping[Fired, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """The alerts of some sightings, and what the rules remember from now on."""

    alerts: tuple[Alert, ...]
    state: State


def judge(rules: Sequence[Rule], sightings: Iterable[Sighting], state: State) -> Judgement:
    """Let every rule see every sighting it has not seen. Order: as the sightings are numbered."""
    seen, fired = dict(state.seen), dict(state.fired)
    by_source: defaultdict[str, list[Sighting]] = defaultdict(list)
    for sighting in sorted(sightings, key=lambda one: (one.snapshot, one.product_id)):
        by_source[sighting.source].append(sighting)
    told: defaultdict[tuple[int, str, int], list[Sighting]] = defaultdict(list)
    for number, rule in enumerate(rules):
        for source in by_source if rule.source is None else [rule.source]:
            last = state.seen.get((rule.id, source), 0)
            for sighting in by_source.get(source, ()):
                if sighting.snapshot <= last:
                    continue
                seen[rule.id, source] = sighting.snapshot  # they come in order
                if rule.concerns(sighting) and _speaks(rule, sighting, fired):
                    told[number, source, sighting.snapshot].append(sighting)
    alerts = tuple(
        alert
        for (number, _, _), group in sorted(told.items(), key=lambda item: item[0][2])
        for alert in _alerts(rules[number], group)
    )
    return Judgement(alerts, State(seen, fired))


def _speaks(rule: Rule, seen: Sighting, fired: dict[Fired, Decimal]) -> bool:
    """Whether the rule fires for a price; remembers what it spoke of, or is armed again."""
    if seen.price is None or seen.available is False:
        return False
    mark = (rule.id, seen.product_id, seen.currency)
    if rule.trigger is Trigger.BELOW and rule.limit is not None:
        holds = _below(seen.price, rule.limit, mark, fired)
    elif rule.trigger is Trigger.NEW_LOW:
        holds = _new_low(seen.price, seen.lowest_before, fired.get(mark))
    else:
        return _moved(rule, seen.delta_pct)
    if holds:
        fired[mark] = seen.price
    return holds


def _below(price: Decimal, limit: Decimal, mark: Fired, fired: dict[Fired, Decimal]) -> bool:
    if price > limit * (1 + REARM_MARGIN):
        fired.pop(mark, None)
    return price <= limit and mark not in fired


def _new_low(price: Decimal, before: Decimal | None, told: Decimal | None) -> bool:
    is_lower = before is not None and price < before
    return is_lower and (told is None or price < told * (1 - LOW_MARGIN))


def _moved(rule: Rule, delta_pct: float | None) -> bool:
    limit = float(rule.limit or 0)
    if rule.trigger is Trigger.DROP:
        return delta_pct is not None and delta_pct <= -limit
    return beyond(delta_pct, limit)


def _alerts(rule: Rule, group: Sequence[Sighting]) -> Iterable[Alert]:
    if len(group) <= MANY:
        for seen in group:
            key = f"price:{rule.id}:{seen.offer_id}"
            yield Alert(key, Severity.INFO, _line(seen, rule), _text(seen, rule))
        return
    first = group[0]
    lines = "\n".join(f"- {_line(seen, rule)}" for seen in group[:MANY])
    yield Alert(
        f"price:{rule.id}:{first.source}@{first.snapshot}",
        Severity.INFO,
        f"{first.source}: {len(group)} prices {rule.says}",
        f"{lines}\nand {len(group) - MANY} more; the view price_history has them all",
    )


def _line(seen: Sighting, rule: Rule) -> str:
    return f"{seen.title}: {_amount(seen.price)} {seen.currency or ''}, {rule.says} ({seen.source})"


def _text(seen: Sighting, rule: Rule) -> str:
    change = "" if seen.delta_pct is None else f" ({seen.delta_pct:+.2f} %)"
    before = "none" if seen.previous is None else f"{_amount(seen.previous)}{change}"
    asked = f", asked for by {rule.by}" if rule.by else ""
    return (
        f"{seen.product_id} of {seen.source}, seen {seen.seen_at:%Y-%m-%d %H:%M} UTC\n"
        f"price {_amount(seen.price)} {seen.currency or ''}, before {before}\n"
        f"rule {rule.id}: {rule.says}{asked}"
    )


def _amount(value: Decimal | None) -> str:
    if value is None:
        return "none"
    cents = f"{value:.2f}"
    return cents if Decimal(cents) == value else f"{value.normalize():f}"
