"""Price rules in the ledger, and the prices they look at in the warehouse.

Belongs here: keeping rules and what they remember, reading the prices they have not seen, raising
what they say. Does not belong here: what a rule says of a price (`domain.price_alerts`), sending
(`alerts`).

Every source brings a rule of its own: `alert_price_delta_pct` of its declaration. What rules
remember and what they say is one transaction: a killed evaluation is made again, and says the
same under the same keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from scout_assets.domain.alerts import Alert
from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BadConfig
from scout_assets.domain.price_alerts import Rule, Sighting, State, Trigger, judge
from scout_assets.domain.sources import State as SourceState
from scout_assets.gateways.alerts import raise_all
from scout_assets.gateways.audit import note
from scout_assets.gateways.ledger import Base, Ledger
from scout_assets.gateways.ledger_rows import insert
from scout_assets.gateways.warehouse import Warehouse

__all__ = ["Evaluated", "PriceRules"]

KIND = Kind.ROASTER
"""Whose prices are watched: what stores ask, not what suppliers list."""

_SIGHTINGS = """
    WITH priced AS (
        SELECT source, product_id, parent_id, title, variant, snapshot, valid_from, valid_to,
            price, currency, available, previous_price, delta_pct,
            min(price) FILTER (WHERE available IS DISTINCT FROM false) OVER (
                PARTITION BY product_id, currency ORDER BY snapshot
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS lowest_before
        FROM price_history WHERE kind = $1
    )
    SELECT * FROM priced p WHERE EXISTS (
        SELECT 1 FROM marks m WHERE m.source = p.source AND p.snapshot > m.snapshot
            AND (p.valid_to IS NULL OR p.valid_to > m.since)
    )
"""
_MARKS = pa.schema(
    [
        ("source", pa.string()),
        ("snapshot", pa.int64()),
        ("since", pa.timestamp("us", tz="UTC")),
    ]
)


class _RuleRow(Base):
    __tablename__ = "price_rules"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    trigger: Mapped[str]
    limit: Mapped[str | None]
    currency: Mapped[str | None]
    source: Mapped[str | None]
    product: Mapped[str | None]
    by: Mapped[str]
    added_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None]


class _SeenRow(Base):
    __tablename__ = "price_rules_seen"

    rule: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    snapshot: Mapped[int]


class _FiredRow(Base):
    """A rule that spoke of a product and is not armed again; currency is empty for none."""

    __tablename__ = "price_rules_fired"

    rule: Mapped[str] = mapped_column(primary_key=True)
    product: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    price: Mapped[str]


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation came to: the alerts that are new, rules asked and prices looked at."""

    fired: tuple[Alert, ...]
    rules: int
    prices: int


class PriceRules:
    """The price rules of one installation."""

    def __init__(self, ledger: Ledger, warehouse: Warehouse) -> None:
        self._ledger = ledger
        self._warehouse = warehouse

    def watch(
        self,
        trigger: Trigger,
        by: str,
        now: datetime,
        limit: Decimal | None = None,
        currency: str | None = None,
        source: str | None = None,
        product: str | None = None,
    ) -> Rule:
        """Add a rule. Raises BadConfig for one that makes no sense, names nothing or nobody."""
        if not by.strip():
            raise BadConfig("a price rule needs a name: --by NAME, or set SCOUT_ACTOR")
        wanted = Rule("new", trigger, now, limit, currency, source, product, by)
        if source is not None:
            self._ledger.source(source)
        if product is not None and not self._is_known(product):
            raise BadConfig(f"no product {product!r}; the columns product_id and parent_id of "
                            "the table products have those there are")  # fmt: skip
        row = _RuleRow(
            trigger=trigger.value, limit=None if limit is None else f"{limit:f}",
            currency=currency, source=source, product=product, by=by, added_at=now,
        )  # fmt: skip
        with self._ledger.session() as session:
            session.add(row)
            session.flush()
            made = _rule(row)
            note(session, now, by, f"price rule {made.id}", "watch", after={
                "says": wanted.says, "source": source, "product": product})  # fmt: skip
            return made

    def unwatch(self, number: int, by: str, now: datetime) -> Rule:
        """End a rule; raises BadConfig when there is none of that number, or no name."""
        if not by.strip():
            raise BadConfig("ending a price rule needs a name: --by NAME, or set SCOUT_ACTOR")
        with self._ledger.session() as session:
            row = session.get(_RuleRow, number)
            if row is None or row.ended_at is not None:
                raise BadConfig(f"no price rule {number}; `scout alerts rules` shows them")
            row.ended_at, row.ended_by = now, by
            for remembered in (_SeenRow, _FiredRow):
                session.execute(sa.delete(remembered).where(remembered.rule == str(number)))
            ended = _rule(row)
            note(session, now, by, f"price rule {ended.id}", "unwatch", before={"says": ended.says})
            return ended

    def rules(self) -> tuple[Rule, ...]:
        """The rules that people added and nobody ended."""
        query = sa.select(_RuleRow).where(_RuleRow.ended_at.is_(None)).order_by(_RuleRow.number)
        with self._ledger.session() as session:
            return tuple(_rule(row) for row in session.scalars(query))

    def of_sources(self) -> tuple[Rule, ...]:
        """The rule each active source brings: `alert_price_delta_pct`, since it is declared so."""
        return tuple(
            Rule(
                f"move-{known.source.key}",
                Trigger.MOVE,
                known.changed_at,
                Decimal(str(known.source.alert_price_delta_pct)),
                source=known.source.key,
            )
            for known in self._ledger.sources(KIND, SourceState.ACTIVE)
        )

    def evaluate(self, now: datetime) -> Evaluated:
        """Let all rules look at what they have not seen; raises their alerts."""
        brought = self.of_sources()
        rules = (*brought, *self.rules())
        sources = [rule.source for rule in brought if rule.source is not None]
        state = self._state(rules)
        sightings = self._sightings(_marks(rules, sources, state))
        judged = judge(rules, sightings, state)
        with self._ledger.session() as session:
            _remember(session, state, judged.state)
            fired = raise_all(session, judged.alerts, now)
        return Evaluated(fired, len(rules), len(sightings))

    def _state(self, rules: Sequence[Rule]) -> State:
        ids = [rule.id for rule in rules]
        with self._ledger.session() as session:
            seen = session.scalars(sa.select(_SeenRow).where(_SeenRow.rule.in_(ids)))
            fired = session.scalars(sa.select(_FiredRow).where(_FiredRow.rule.in_(ids)))
            return State(
                {(row.rule, row.source): row.snapshot for row in seen},
                {
                    (row.rule, row.product, row.currency or None): Decimal(row.price)
                    for row in fired
                },
            )

    def _sightings(self, marks: pa.Table) -> list[Sighting]:
        """The prices that any rule has not seen; `marks` is read by its name in the query."""
        if marks.num_rows == 0:
            return []
        with self._warehouse.reading() as db:
            db.stage("marks", marks)
            rows = db.arrow(_SIGHTINGS, [KIND.value]).to_pylist()
        return [_sighting(row) for row in rows]

    def _is_known(self, product: str) -> bool:
        query = "SELECT count(*) FROM products WHERE kind = $1 AND $2 IN (product_id, parent_id)"
        with self._warehouse.reading() as db:
            ((count,),) = db.execute(query, [KIND.value, product])
        return bool(count)


def _marks(rules: Iterable[Rule], sources: Sequence[str], state: State) -> pa.Table:
    """Rule by rule and source by source: after which snapshot, and since when, prices count."""
    rows = {
        (source, state.seen.get((rule.id, source), 0), rule.since)
        for rule in rules
        for source in ([rule.source] if rule.source else sources)
    }
    names = _MARKS.names
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], _MARKS)


def _remember(session: Session, before: State, after: State) -> None:
    for (rule, source), snapshot in after.seen.items():
        if before.seen.get((rule, source)) != snapshot:
            _put(session, _SeenRow, {"rule": rule, "source": source}, {"snapshot": snapshot})
    for (rule, product, currency), price in after.fired.items():
        if before.fired.get((rule, product, currency)) != price:
            key = {"rule": rule, "product": product, "currency": currency or ""}
            _put(session, _FiredRow, key, {"price": f"{price:f}"})
    for rule, product, currency in before.fired.keys() - after.fired.keys():
        row = session.get(_FiredRow, (rule, product, currency or ""))
        if row is not None:
            session.delete(row)


def _put(
    session: Session, table: type[Base], key: Mapping[str, str], value: Mapping[str, Any]
) -> None:
    row = insert(session, table).values(**key, **value)
    session.execute(row.on_conflict_do_update(index_elements=list(key), set_=dict(value)))


def _rule(row: _RuleRow) -> Rule:
    return Rule(
        str(row.number),
        Trigger(row.trigger),
        row.added_at,
        None if row.limit is None else Decimal(row.limit),
        row.currency,
        row.source,
        row.product,
        row.by,
    )


def _sighting(row: Mapping[str, Any]) -> Sighting:
    named = " / ".join(filter(None, (row["title"], row["variant"])))
    return Sighting(
        source=row["source"],
        product_id=row["product_id"],
        parent_id=row["parent_id"],
        title=named or row["product_id"],
        snapshot=row["snapshot"],
        seen_at=row["valid_from"],
        until=row["valid_to"],
        price=row["price"],
        currency=row["currency"],
        available=row["available"],
        previous=row["previous_price"],
        delta_pct=row["delta_pct"],
        lowest_before=row["lowest_before"],
    )
