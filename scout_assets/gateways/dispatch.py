"""Which sources are due, and what was asked of them: each due slot is acted on once.

Belongs here: claiming due sources in the ledger, and the record of each dispatch. Does not
belong here: slots (`domain.cadence`), grouping (`domain.dispatch`), launching (`orchestration`).

A claim and its dispatch are one transaction. Whoever claims a source moves it to its next slots, so
of two automations one gets it. A dispatch is then asked of Dagster, under one run key, until its
run has begun: a daemon that dies in between loses nothing, and Dagster starts no run twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from scout_assets.domain.cadence import Scope
from scout_assets.domain.dispatch import WAITING_AT_MOST, Dispatch, Due, Reason, grouped
from scout_assets.domain.failures import BadConfig
from scout_assets.domain.sources import State
from scout_assets.gateways.ledger import Base, Ledger, SourceRow

__all__ = ["Dispatches"]

_NEVER_ASKED = sa.or_(
    SourceRow.last_attempt_at.is_(None), SourceRow.last_attempt_at < SourceRow.changed_at
)
_UNSCHEDULED = (
    SourceRow.state == State.ACTIVE,
    sa.or_(SourceRow.full_due_at.is_(None), SourceRow.price_due_at.is_(None)),
)


class _DispatchRow(Base):
    __tablename__ = "dispatches"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    kind: Mapped[str]
    scope: Mapped[str]
    reason: Mapped[str]
    priority: Mapped[int]
    slots: Mapped[dict[str, Any]]
    requested_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    run_id: Mapped[str | None]
    outcome: Mapped[str | None]
    counters: Mapped[dict[str, Any]]


class Dispatches:
    """The due sources of one ledger. Failures of the ledger are Transient: see `Ledger`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    # Due sources

    def due(self, now: datetime, kind: str | None = None) -> list[Due]:
        """Sources whose slot has passed, or that nobody has asked yet; none that is under way."""
        with self._ledger.session() as session:
            return [_due(row, now) for row in _due_rows(session, now, kind)]

    def ask(self, keys: Iterable[str] | None, reason: Reason, now: datetime) -> None:
        """Make sources due now, between their slots; None means every active one."""
        wanted = SourceRow.state == State.ACTIVE if keys is None else SourceRow.key.in_(list(keys))
        with self._ledger.session() as session:
            due = {"full_due_at": now, "due_reason": reason.value}
            session.execute(sa.update(SourceRow).where(wanted).values(due))

    def claim(
        self,
        kind: str,
        order: Sequence[str],
        now: datetime,
        missed_before: datetime | None = None,
        at_most: int = WAITING_AT_MOST,
    ) -> tuple[Dispatch, ...]:
        """Take the due sources of a kind, in dispatches of neighbours in `order`.

        Slots before `missed_before` are erased: those sources wait for their next ones. What
        makes more than `at_most` dispatches stays due.
        """
        with self._ledger.exclusive() as session:
            _schedule(session)
            rows = {
                row.key: row
                for row in _due_rows(session, now, kind)
                if missed_before is None or not _erased(row, now, missed_before)
            }
            due = (_due(row, now) for row in rows.values())
            groups = grouped(due, order)[: max(at_most, 0)]
            for one in (one for group in groups for one in group):
                rows[one.key].next_slots(now, one.scope)
                rows[one.key].due_reason = None
            dispatches = [_dispatch_row(kind, group, now) for group in groups]
            session.add_all(dispatches)
            session.flush()
            return tuple(_dispatch(row) for row in dispatches)

    # Dispatches

    def open(self, kind: str | None = None) -> tuple[Dispatch, ...]:
        """Dispatches whose run has not ended, oldest first."""
        with self._ledger.session() as session:
            return tuple(_dispatch(r) for r in session.scalars(_open()) if kind in (None, r.kind))

    def latest(self, limit: int = 50) -> tuple[Dispatch, ...]:
        """The last dispatches, newest first."""
        query = sa.select(_DispatchRow).order_by(_DispatchRow.number.desc()).limit(limit)
        with self._ledger.session() as session:
            return tuple(_dispatch(row) for row in session.scalars(query))

    def begin(self, number: int, run_id: str, parent_run_id: str | None, now: datetime) -> Dispatch:
        """Its run has begun: it need not be asked for any more.

        Raises BadConfig when another run has it, unless that one was `parent_run_id`: its process
        died, and this run repeats it.
        """
        with self._ledger.exclusive() as session:
            row = session.get(_DispatchRow, number)
            if row is None:
                raise BadConfig(f"dispatch {number} is not in this ledger; it is not run")
            if row.ended_at is not None or row.run_id not in (None, run_id, parent_run_id):
                raise BadConfig(
                    f"dispatch {number} was taken by run {row.run_id} already; it is not run twice"
                )
            row.run_id, row.started_at = run_id, row.started_at or now
            return _dispatch(row)

    def end(
        self, number: int, outcome: str, now: datetime, counters: Mapping[str, int] | None = None
    ) -> None:
        """Its run has ended; a second word about it changes nothing."""
        with self._ledger.session() as session:
            row = session.get_one(_DispatchRow, number)
            if row.ended_at is None:
                row.ended_at, row.outcome, row.counters = now, outcome, dict(counters or {})

    def forget(self, before: datetime, dry_run: bool = False) -> list[int]:
        """Remove dispatches that ended before; returns their numbers."""
        with self._ledger.session() as session:
            old = list(
                session.scalars(sa.select(_DispatchRow).where(_DispatchRow.ended_at < before))
            )
            for row in () if dry_run else old:
                session.delete(row)
            return [row.number for row in old]

    def lost(self, number: int, outcome: str, now: datetime) -> list[str]:
        """Its run ended without telling, or is not to run: what it did not ask is due again, since
        its own slot, so that what is erased in manual stays erased. Returns those keys."""
        with self._ledger.exclusive() as session:
            row = session.get_one(_DispatchRow, number)
            if row.ended_at is not None:
                return []
            row.ended_at, row.outcome = now, outcome
            asked_for = SourceRow.key.in_(list(row.slots))
            missing = [
                source
                for source in session.scalars(sa.select(SourceRow).where(asked_for))
                if source.last_attempt_at is None or source.last_attempt_at < row.requested_at
            ]
            for source in missing:
                slot = datetime.fromisoformat(row.slots[source.key])
                if row.scope == Scope.FULL:
                    source.full_due_at = slot
                else:
                    source.price_due_at = slot
            return sorted(source.key for source in missing)


def _schedule(session: Session) -> None:
    """Count slots where nobody has yet: from the last attempt; what was never asked is due."""
    at = SourceRow.changed_at
    session.execute(
        sa.update(SourceRow)
        .where(*_UNSCHEDULED, _NEVER_ASKED)
        .values(full_due_at=at, price_due_at=at)
    )
    for row in session.scalars(sa.select(SourceRow).where(*_UNSCHEDULED)):
        row.next_slots(row.last_attempt_at or row.changed_at)


def _due_rows(session: Session, now: datetime, kind: str | None) -> list[SourceRow]:
    """Active sources that are due, in key order, but for those under way."""
    busy = {key for one in session.scalars(_open()) for key in one.slots}
    unasked = sa.and_(SourceRow.full_due_at.is_(None), _NEVER_ASKED)
    query = (
        sa.select(SourceRow)
        .where(
            SourceRow.state == State.ACTIVE,
            SourceRow.failure_permanent.is_(False),
            sa.or_(SourceRow.full_due_at <= now, SourceRow.price_due_at <= now, unasked),
            sa.or_(SourceRow.next_attempt_at.is_(None), SourceRow.next_attempt_at <= now),
        )
        .order_by(SourceRow.key)
    )
    if kind is not None:
        query = query.where(SourceRow.kind == kind)
    return [row for row in session.scalars(query) if row.key not in busy]


def _open() -> sa.Select[_DispatchRow]:
    return (
        sa.select(_DispatchRow).where(_DispatchRow.ended_at.is_(None)).order_by(_DispatchRow.number)
    )


def _due(row: SourceRow, now: datetime) -> Due:
    """Prices only when nothing else is due: a full refresh brings them too."""
    full, prices = row.full_due_at or now, row.price_due_at or now
    scope, slot = (Scope.FULL, full) if full <= now else (Scope.PRICES, prices)
    return Due(row.key, scope, _reason(row), int(row.effective.get("priority", 0)), slot)


def _reason(row: SourceRow) -> Reason:
    if row.last_attempt_at is None or row.last_attempt_at < row.changed_at:
        return Reason.NEW
    if row.due_reason is not None:
        return Reason(row.due_reason)
    return Reason.RETRY if row.failures else Reason.SLOT


def _erased(row: SourceRow, now: datetime, missed_before: datetime) -> bool:
    """Whether it was missed in manual, and so waits for its next slot; that may have come since.

    What was never asked does not wait, nor what failed before and is to be tried again.
    """
    due = _due(row, now)
    missed = due.slot < missed_before and due.reason not in (Reason.NEW, Reason.RETRY)
    return missed and _next_due(row, missed_before) > now


def _next_due(row: SourceRow, moment: datetime) -> datetime:
    """When it is due again once its slots before `moment` are erased; one at `moment` stays."""
    full, prices = row.full_due_at, row.price_due_at
    row.next_slots(moment - timedelta.resolution)
    row.full_due_at = _later(full, row.full_due_at)
    row.price_due_at = _later(prices, row.price_due_at)
    row.due_reason = None
    return min(row.full_due_at, row.price_due_at)


def _later(one: datetime | None, other: datetime | None) -> datetime:
    return max(moment for moment in (one, other) if moment is not None)


def _dispatch_row(kind: str, group: Sequence[Due], now: datetime) -> _DispatchRow:
    first = group[0]
    return _DispatchRow(
        kind=kind,
        scope=first.scope.value,
        reason=first.reason.value,
        priority=first.priority,
        slots={one.key: one.slot.isoformat() for one in group},
        requested_at=now,
        counters={},
    )


def _dispatch(row: _DispatchRow) -> Dispatch:
    return Dispatch(
        row.number,
        row.kind,
        Scope(row.scope),
        Reason(row.reason),
        row.priority,
        {key: datetime.fromisoformat(slot) for key, slot in row.slots.items()},
        row.requested_at,
        row.started_at,
        row.ended_at,
        row.run_id,
        row.outcome,
        row.counters,
    )
