"""The outbox of alerts in the ledger: raising is one short transaction, delivering comes later.

Belongs here: alerts, what holds that was told already, and how each alert stands with each
channel. Does not belong here: what is worth an alert (`orchestration.alerting`,
`domain.price_alerts`), sending one (`channels`).

    alerts.raise_(Alert("mode:…", Severity.CRITICAL, "automation stopped", why), now)   # anywhere
    alerts.follow("source", failing, told, now)        # one alert when something begins to hold
    ...
    alerts.deliver(channels, clock)                    # a sensor, every tick: bounded in time

A delivery is claimed in its row before it is sent, by compare-and-set and for a time: of two
deliverers one sends, a killed one loses its claim. So an alert may reach a channel twice when the
deliverer dies in between, but never once the channel's answer is on record.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from scout_assets.domain.alerts import GIVE_UP_AFTER, Alert, Delivery, Severity, next_try
from scout_assets.domain.failures import Permanent, ScoutFailure, Transient, contained
from scout_assets.gateways.channels import Channel
from scout_assets.gateways.ledger import Base, Ledger
from scout_assets.gateways.ledger_rows import insert

__all__ = ["Alerts", "ChannelState", "Delivered", "Pass", "Raised", "raise_all"]

_LOOK_BACK = timedelta(days=1)
"""How old an alert may be to reach a channel that is new: what was raised before it was set up."""
_CLAIM = timedelta(minutes=5)  # longer than any channel needs for one message
_PASS_SECONDS = 30.0  # Dagster ends a sensor's tick after 60


class _AlertRow(Base):
    __tablename__ = "alerts"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(unique=True, index=True)
    severity: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]
    raised_at: Mapped[datetime] = mapped_column(index=True)


class _DeliveryRow(Base):
    __tablename__ = "alert_deliveries"

    alert: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    attempts: Mapped[int]
    changed_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    reason: Mapped[str | None]


class _ChannelRow(Base):
    __tablename__ = "alert_channels"

    name: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]
    failures: Mapped[int]
    next_attempt_at: Mapped[datetime | None]
    failure: Mapped[str | None]


class _ConditionRow(Base):
    __tablename__ = "alert_conditions"

    family: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]


@dataclass(frozen=True)
class Delivered:
    """How one alert stands with one channel. `reason`: why it is not there."""

    state: Delivery
    at: datetime
    reason: str | None = None


@dataclass(frozen=True)
class Raised:
    """An alert of the outbox; channels that were never tried are not among its deliveries."""

    number: int
    alert: Alert
    raised_at: datetime
    deliveries: Mapping[str, Delivered] = field(default_factory=dict)


@dataclass(frozen=True)
class ChannelState:
    """How a channel does. `failures` in a row; it rests until `next_attempt_at`."""

    name: str
    failures: int = 0
    next_attempt_at: datetime | None = None
    failure: str | None = None


@dataclass(frozen=True)
class Pass:
    """What one pass over a channel came to: alerts sent and given up, and what ails it."""

    channel: str
    sent: tuple[Alert, ...] = ()
    failed: int = 0
    failure: str | None = None
    next_attempt_at: datetime | None = None


def raise_all(session: Session, alerts: Iterable[Alert], now: datetime) -> tuple[Alert, ...]:
    """Add to the outbox within a transaction; those whose key is new."""
    return tuple(alert for alert in alerts if _add(session, alert.fitted(), now))


def _add(session: Session, alert: Alert, now: datetime) -> bool:
    row = {
        "key": alert.key,
        "severity": alert.severity.value,
        "subject": alert.subject,
        "text": alert.text,
        "raised_at": now,
    }
    added = (
        insert(session, _AlertRow).values(row).on_conflict_do_nothing().returning(_AlertRow.number)
    )
    return session.execute(added).first() is not None


def _begins(session: Session, family: str, name: str, now: datetime) -> bool:
    """Whether it did not hold before."""
    row = {"family": family, "name": name, "since": now}
    added = insert(session, _ConditionRow).values(row).on_conflict_do_nothing()
    return session.execute(added.returning(_ConditionRow.name)).first() is not None


class Alerts:
    """The alerts of one ledger. Failures of the ledger are Transient: see `Ledger`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    # Raising

    def raise_(self, alert: Alert, now: datetime) -> bool:
        """Put an alert into the outbox; False when its key was raised already."""
        with self._ledger.session() as session:
            return bool(raise_all(session, [alert], now))

    def follow(
        self,
        family: str,
        holding: Collection[str],
        told: Callable[[Sequence[str]], Iterable[Alert]],
        now: datetime,
        among: Collection[str] | None = None,
    ) -> tuple[Alert, ...]:
        """Raise what `told` makes of the names that newly hold; the others are known.

        A name that holds no more is forgotten, and told again when it returns. `among`: the
        names that were looked at; None means all.
        """
        with self._ledger.session() as session:
            query = sa.select(_ConditionRow.name).where(_ConditionRow.family == family)
            over = set(session.scalars(query)) - set(holding)
            if among is not None:
                over &= set(among)
            session.execute(
                sa.delete(_ConditionRow).where(
                    _ConditionRow.family == family, _ConditionRow.name.in_(over)
                )
            )
            new = [name for name in sorted(set(holding)) if _begins(session, family, name, now)]
            return raise_all(session, told(new), now) if new else ()

    # Looking

    def listed(self, limit: int = 50) -> tuple[Raised, ...]:
        """The last alerts, newest first."""
        query = sa.select(_AlertRow).order_by(_AlertRow.number.desc()).limit(limit)
        with self._ledger.session() as session:
            rows = list(session.scalars(query))
            sent = sa.select(_DeliveryRow).where(
                _DeliveryRow.alert.in_([row.number for row in rows])
            )
            by_alert: dict[int, dict[str, Delivered]] = {row.number: {} for row in rows}
            for one in session.scalars(sent.order_by(_DeliveryRow.channel)):
                by_alert[one.alert][one.channel] = Delivered(
                    Delivery(one.state), one.changed_at, one.reason
                )
            return tuple(
                Raised(row.number, _alert(row), row.raised_at, by_alert[row.number]) for row in rows
            )

    def channels(self) -> tuple[ChannelState, ...]:
        """The channels that were ever tried."""
        with self._ledger.session() as session:
            rows = session.scalars(sa.select(_ChannelRow).order_by(_ChannelRow.name))
            return tuple(_channel(row) for row in rows)

    def forget(self, before: datetime, dry_run: bool = False) -> list[str]:
        """Remove alerts raised before that time, with their deliveries; returns their subjects."""
        old = sa.select(_AlertRow.number).where(_AlertRow.raised_at < before)
        with self._ledger.session() as session:
            subjects = list(
                session.scalars(sa.select(_AlertRow.subject).where(_AlertRow.raised_at < before))
            )
            if not dry_run:
                session.execute(sa.delete(_DeliveryRow).where(_DeliveryRow.alert.in_(old)))
                session.execute(sa.delete(_AlertRow).where(_AlertRow.raised_at < before))
            return subjects

    # Delivering

    def deliver(
        self,
        channels: Sequence[Channel],
        clock: Callable[[], datetime],
        seconds: float = _PASS_SECONDS,
    ) -> tuple[Pass, ...]:
        """Send what is due, all channels at once; none waits for another, nor longer than this.

        One that hangs past the end is left behind: its claim keeps others from sending the same.
        """
        deadline = time.monotonic() + seconds
        pool = ThreadPoolExecutor(max(len(channels), 1), thread_name_prefix="alerts")
        passes = {
            channel.name: pool.submit(self._serve, channel, clock, deadline) for channel in channels
        }
        wait(passes.values(), timeout=seconds)
        pool.shutdown(wait=False, cancel_futures=True)
        return tuple(_came_to(name, one) for name, one in passes.items())

    def _serve(self, channel: Channel, clock: Callable[[], datetime], deadline: float) -> Pass:
        state = self._meet(channel.name, clock())
        if state.next_attempt_at is not None and state.next_attempt_at > clock():
            return Pass(channel.name, (), 0, state.failure, state.next_attempt_at)
        failed = self._give_up(channel.name, clock())
        sent: list[Alert] = []
        while time.monotonic() < deadline:
            due = self._claim(channel.name, clock())
            if due is None:
                break
            try:
                with contained(channel.place):
                    channel.send(due.alert, due.raised_at)
            except ScoutFailure as failure:
                reason = channel.hide(str(failure))
                if isinstance(failure, Permanent):
                    self._settle(due, channel.name, Delivery.FAILED, clock(), reason)
                    failed += 1
                    continue
                self._settle(due, channel.name, Delivery.WAITING, clock(), reason)
                pause = failure.retry_after if isinstance(failure, Transient) else None
                until = self._rest(channel.name, reason, clock(), pause)
                return Pass(channel.name, tuple(sent), failed, reason, until)
            self._settle(due, channel.name, Delivery.DELIVERED, clock())
            sent.append(due.alert)
        return Pass(channel.name, tuple(sent), failed)

    def _meet(self, name: str, now: datetime) -> ChannelState:
        """How the channel does; a new one is due what was raised since a day ago."""
        row = {"name": name, "since": now - _LOOK_BACK, "failures": 0}
        with self._ledger.session() as session:
            session.execute(insert(session, _ChannelRow).values(row).on_conflict_do_nothing())
            return _channel(session.get_one(_ChannelRow, name))

    def _claim(self, name: str, now: datetime) -> Raised | None:
        """The next alert due at a channel, claimed; those tried least come first.

        So one that a channel chokes on keeps no other back.
        """
        while True:
            with self._ledger.session() as session:
                row = session.scalars(_due(name, now, later_than=now - GIVE_UP_AFTER)).first()
                found = None if row is None else Raised(row.number, _alert(row), row.raised_at)
            if found is None or self._take(found.number, name, now):
                return found

    def _take(self, number: int, name: str, now: datetime) -> bool:
        until = now + _CLAIM
        mine = {"state": Delivery.SENDING, "changed_at": now, "claimed_until": until}
        with self._ledger.session() as session:
            row = insert(session, _DeliveryRow)
            taken = (
                row.values(alert=number, channel=name, attempts=1, **mine)
                .on_conflict_do_update(
                    index_elements=[_DeliveryRow.alert, _DeliveryRow.channel],
                    set_={**mine, "attempts": _DeliveryRow.attempts + 1},
                    where=_is_open(now),
                )
                .returning(_DeliveryRow.alert)
            )
            return session.execute(taken).first() is not None

    def _settle(
        self, due: Raised, name: str, state: Delivery, now: datetime, reason: str | None = None
    ) -> None:
        with self._ledger.session() as session:
            row = session.get_one(_DeliveryRow, (due.number, name))
            if row.state == Delivery.DELIVERED:  # our claim ran out, and another one sent it
                return
            row.state, row.changed_at = state, now
            row.claimed_until, row.reason = None, reason
            channel = session.get_one(_ChannelRow, name)
            if state is Delivery.DELIVERED:
                channel.failures, channel.failure, channel.next_attempt_at = 0, None, None
            if state is Delivery.FAILED:  # the next message may pass: told, no rest
                channel.failures, channel.failure = channel.failures + 1, reason

    def _rest(self, name: str, reason: str, now: datetime, asked_seconds: float | None) -> datetime:
        with self._ledger.session() as session:
            row = session.get_one(_ChannelRow, name)
            row.failures, row.failure = row.failures + 1, reason
            row.next_attempt_at = next_try(now, row.failures, asked_seconds)
            return row.next_attempt_at

    def _give_up(self, name: str, now: datetime) -> int:
        """Mark what is too old to be sent; how many."""
        with self._ledger.session() as session:
            late = [row.number for row in session.scalars(_due(name, now, None, GIVE_UP_AFTER))]
            for number in late:
                row = session.get(_DeliveryRow, (number, name))
                if row is None:
                    row = _DeliveryRow(alert=number, channel=name, attempts=0)
                    session.add(row)
                why = f": {row.reason}" if row.reason else ""
                row.state, row.changed_at, row.claimed_until = Delivery.FAILED, now, None
                row.reason = f"not delivered within {GIVE_UP_AFTER.days} days{why}"
        return len(late)


def _due(
    name: str,
    now: datetime,
    later_than: datetime | None = None,
    older_than: timedelta | None = None,
) -> sa.Select[_AlertRow]:
    """Alerts that a channel still lacks and nobody is sending now."""
    mine = sa.and_(_DeliveryRow.alert == _AlertRow.number, _DeliveryRow.channel == name)
    since = sa.select(_ChannelRow.since).where(_ChannelRow.name == name).scalar_subquery()
    query = (
        sa.select(_AlertRow)
        .outerjoin(_DeliveryRow, mine)
        .where(_AlertRow.raised_at >= since, sa.or_(_DeliveryRow.alert.is_(None), _is_open(now)))
        .order_by(sa.func.coalesce(_DeliveryRow.attempts, 0), _AlertRow.number)
    )
    if later_than is not None:
        query = query.where(_AlertRow.raised_at > later_than)
    if older_than is not None:
        query = query.where(_AlertRow.raised_at <= now - older_than)
    return query


def _is_open(now: datetime) -> sa.ColumnElement[bool]:
    """Neither settled nor claimed."""
    return sa.and_(
        _DeliveryRow.state.in_((Delivery.WAITING, Delivery.SENDING)),
        sa.or_(_DeliveryRow.claimed_until.is_(None), _DeliveryRow.claimed_until <= now),
    )


def _came_to(name: str, one: "Future[Pass]") -> Pass:
    """Raises what went wrong on our side, such as a ledger that stays locked."""
    if not one.done():
        return Pass(name, failure="is still sending; the next pass takes up what is left")
    return one.result()


def _alert(row: _AlertRow) -> Alert:
    return Alert(row.key, Severity(row.severity), row.subject, row.text)


def _channel(row: _ChannelRow) -> ChannelState:
    return ChannelState(row.name, row.failures, row.next_attempt_at, row.failure)
