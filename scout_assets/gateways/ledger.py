"""The ledger: small operational state that many processes write.

Belongs here: which sources there are, which snapshots of them landed, how their last fetch
went. Does not belong here: rows of products and offers (`warehouse`), raw bytes
(`artifacts`), any decision about them (`domain`).

A snapshot row is written last, after its artifacts: validators stand on it, so an ETag never
vouches for bytes that did not land. Its number is claimed by the primary key, so of two runs
that fetch one source at once, one lands and the other sees that it did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from scout_assets.domain.cadence import Scope, next_attempt, slot_after
from scout_assets.domain.control import SYSTEM
from scout_assets.domain.failures import BadConfig, Permanent, ScoutFailure, Transient
from scout_assets.domain.sources import Platform, Source, State, SyncPlan, plan_sync
from scout_assets.gateways.audit import note
from scout_assets.gateways.landed import Page, Snapshot
from scout_assets.gateways.ledger_database import LedgerDatabase
from scout_assets.gateways.ledger_rows import Base

__all__ = [
    "Base",
    "FetchState",
    "KnownSource",
    "Ledger",
    "Page",
    "Snapshot",
    "SourceRow",
    "metadata",
]

PLACES = {"file": "sources.yaml", "master": "the suppliers' master list"}
"""Where sources of an origin are declared, as people call it."""


metadata = Base.metadata


class SourceRow(Base):
    """One source: its declaration, how its last fetches went, and when it is due.

    `full_due_at`, `price_due_at`: the next slot of each cadence, or the next attempt after a
    failure; None before the first look (`gateways.dispatch`).
    """

    __tablename__ = "sources"

    key: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(index=True)
    state: Mapped[str]
    origin: Mapped[str]
    declared: Mapped[dict[str, Any]]
    added_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    last_attempt_at: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
    last_full_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    failure: Mapped[str | None]
    failure_kind: Mapped[str | None]
    failure_permanent: Mapped[bool] = mapped_column(default=False)
    held: Mapped[bool] = mapped_column(default=False)
    full_due_at: Mapped[datetime | None] = mapped_column(index=True)
    price_due_at: Mapped[datetime | None] = mapped_column(index=True)
    due_reason: Mapped[str | None]
    overrides: Mapped[dict[str, Any]] = mapped_column(default=dict)

    @property
    def effective(self) -> dict[str, Any]:
        """The declaration with what a person set over it."""
        return {**self.declared, **self.overrides}

    def next_slots(self, now: datetime, scope: Scope = Scope.FULL) -> None:
        """Due again at the next slots; a full refresh is one of prices too."""
        cadences = self.effective
        zone = cadences.get("timezone", "UTC")
        self.price_due_at = slot_after(now, cadences["price_cadence"], zone)
        if scope is Scope.FULL:
            self.full_due_at = slot_after(now, cadences["full_cadence"], zone)


class _SnapshotRow(Base):
    __tablename__ = "snapshots"

    source: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str]
    captured_at: Mapped[datetime]
    landed_at: Mapped[datetime]
    platform: Mapped[str]
    pages: Mapped[list[dict[str, Any]]]
    counters: Mapped[dict[str, Any]]


@dataclass(frozen=True)
class FetchState:
    """How the last fetches of a source went."""

    last_attempt_at: datetime | None
    last_success_at: datetime | None
    next_attempt_at: datetime | None
    failures: int
    failure: str | None
    failure_permanent: bool

    def due(self, now: datetime) -> bool:
        """False while a failing source backs off, and after a permanent failure."""
        if self.failures == 0:
            return True
        return self.next_attempt_at is not None and self.next_attempt_at <= now


@dataclass(frozen=True)
class KnownSource:
    """A declared source with its state. `origin`: `file` (sources.yaml), `master` or `cli`.

    `changed_at`: when its declaration or state changed last. `overrides`: fields that a person set
    over the declaration; `source` has them already.
    """

    source: Source
    state: State
    origin: str
    fetch: FetchState
    changed_at: datetime
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_new(self) -> bool:
        """Whether nobody has asked it since it was declared as it is."""
        asked_at = self.fetch.last_attempt_at
        return asked_at is None or asked_at < self.changed_at


class Ledger(LedgerDatabase):
    """Sources and their snapshots. Failures of the database are those of `LedgerDatabase`."""

    # Sources

    @property
    def identity(self) -> str:
        """Tells installations apart, also after one moved: when its first source became known.

        Raises BadConfig before there is any.
        """
        with self.session() as session:
            first = session.scalar(sa.select(sa.func.min(SourceRow.added_at)))
        if first is None:
            raise BadConfig(f"ledger {self.place} knows no source: is SCOUT_HOME the right folder?")
        return str(first.isoformat())

    def sources(
        self, kind: str | None = None, state: State | None = None, keys: Sequence[str] | None = None
    ) -> tuple[KnownSource, ...]:
        """Known sources in key order."""
        query = sa.select(SourceRow)
        if kind is not None:
            query = query.where(SourceRow.kind == kind)
        if state is not None:
            query = query.where(SourceRow.state == state)
        wanted = None if keys is None else set(keys)
        with self.session() as session:
            rows = session.scalars(query)
            known = [_known(row) for row in rows if wanted is None or row.key in wanted]
        return tuple(sorted(known, key=lambda one: one.source.key))

    def active_keys(self, kind: str) -> set[str]:
        """The keys of a kind's active sources, without reading their declarations."""
        query = sa.select(SourceRow.key).where(
            SourceRow.kind == kind, SourceRow.state == State.ACTIVE
        )
        with self.session() as session:
            return set(session.scalars(query))

    def source(self, key: str) -> KnownSource:
        """Raises BadConfig when there is no source `key`."""
        found = self.sources(keys=[key])
        if not found:
            raise BadConfig(f"no source {key!r}; `scout sources list` shows the known ones")
        return found[0]

    def sync(
        self,
        declared: Sequence[Source],
        now: datetime,
        origin: str = "file",
        actor: str = SYSTEM,
    ) -> SyncPlan:
        """Make the sources of `origin` equal to `declared`.

        Sources of other origins stay, and so does what a person retired by hand. Raises BadConfig
        when a declared key is in use elsewhere or changes its kind.
        """
        with self.session() as session:
            rows = {row.key: row for row in session.scalars(sa.select(SourceRow))}
            _refuse_foreign(declared, rows, origin)
            wanted = [s for s in declared if s.key not in rows or not rows[s.key].held]
            keys = {source.key for source in wanted}
            ours = {k: r for k, r in rows.items() if r.origin == origin or k in keys}
            known = {k: _declared(r) for k, r in ours.items() if not r.held}
            plan = plan_sync(wanted, known)
            for source in plan.added:
                session.add(_new_row(source, origin, now))
            place = PLACES.get(origin, origin)
            for source in plan.added:
                _note(session, now, actor, source.key, f"added by {place}", {}, source)
            for source in (*plan.changed, *plan.revived):
                row = ours[source.key]
                _note(session, now, actor, row.key, f"changed by {place}", row.declared, source)
                _redeclare(row, source, now)
                row.origin = origin
            for key in plan.retired:
                _set_state(ours[key], State.RETIRED, now)
                _note(session, now, actor, key, f"retired by {place}")
        return plan

    def add(self, source: Source, now: datetime, actor: str = SYSTEM) -> None:
        """Add one source by hand, or bring back a retired one under a new declaration."""
        with self.session() as session:
            row = session.get(SourceRow, source.key)
            before = {} if row is None else row.declared
            _note(session, now, actor, source.key, "added", before, source)
            if row is None:
                session.add(_new_row(source, "cli", now))
                return
            if row.state == State.ACTIVE or row.kind != source.kind:
                raise BadConfig(
                    f"source {source.key!r} is there already, a {row.kind} "
                    f"({row.origin}, {row.state}); take another key, or retire it first"
                )
            _redeclare(row, source, now)
            row.origin, row.held = "cli", False

    def retire(self, key: str, now: datetime, actor: str = SYSTEM) -> None:
        """Stop watching a source, declared or not; its rows stay. `revive` takes it back.

        Raises BadConfig for an unknown key.
        """
        self._hold(key, True, now, actor)

    def revive(self, key: str, now: datetime, actor: str = SYSTEM) -> None:
        """Watch a retired source again. Raises BadConfig for an unknown key."""
        self._hold(key, False, now, actor)

    def _hold(self, key: str, held: bool, now: datetime, actor: str) -> None:
        with self.session() as session:
            row = session.get(SourceRow, key)
            if row is None:
                raise BadConfig(f"no source {key!r}; `scout sources list` shows the known ones")
            row.held = held
            _note(session, now, actor, key, "retired" if held else "revived")
            _forgive(row)
            _set_state(row, State.RETIRED if held else State.ACTIVE, now)

    def override(
        self, key: str, values: Mapping[str, Any], now: datetime, actor: str = SYSTEM
    ) -> Source:
        """Set fields of a source over its declaration; None takes one back.

        Raises BadConfig for an unknown key, a wrong field or value, and a field that identifies.
        """
        fixed = sorted({"key", "kind"} & values.keys())
        if fixed:
            raise BadConfig(f"{', '.join(fixed)} cannot be set: add another source instead")
        with self.exclusive() as session:
            row = session.get(SourceRow, key)
            if row is None:
                raise BadConfig(f"no source {key!r}; `scout sources list` shows the known ones")
            before, known = row.effective, {**row.overrides, **values}
            overrides = {name: value for name, value in known.items() if value is not None}
            source = Source.read({**row.declared, **overrides}, "overrides")
            plain = source.model_dump(mode="json")
            row.overrides = {name: plain[name] for name in overrides}
            _note(session, now, actor, key, "overridden", before, source)
            if row.state == State.ACTIVE:
                _changed(row, before, now)
            return source

    # Fetches

    def record_success(
        self, key: str, now: datetime, remark: str | None = None, scope: Scope = Scope.FULL
    ) -> None:
        """The source answered; its failures are over, and it is due at its next slots.

        `remark`: what was wrong all the same, told until the next success.
        """
        with self.session() as session:
            row = session.get_one(SourceRow, key)
            row.last_attempt_at, row.last_success_at = now, now
            if scope is Scope.FULL:
                row.last_full_at = now
            row.due_reason = None
            row.next_slots(now, scope)
            _forgive(row)
            row.failure = remark

    def record_failure(
        self, key: str, failure: ScoutFailure, now: datetime, scope: Scope = Scope.FULL
    ) -> None:
        """The source failed; it backs off as long as its host says at least, for ever after a
        permanent failure."""
        with self.session() as session:
            row = session.get_one(SourceRow, key)
            row.last_attempt_at = now
            row.failures += 1
            row.failure, row.failure_permanent = str(failure), isinstance(failure, Permanent)
            row.failure_kind, row.due_reason = type(failure).__name__, None
            wait = failure.retry_after if isinstance(failure, Transient) else None
            again = next_attempt(now, row.failures, row.failure_permanent, wait)
            row.next_attempt_at = again
            row.next_slots(now, scope)
            if again is not None and scope is Scope.FULL:
                row.full_due_at = again
            elif again is not None:
                row.price_due_at = again

    def outcomes_since(self, since: datetime) -> list[str | None]:
        """What the last attempts since then came to: a kind of failure, None where all was well."""
        query = sa.select(SourceRow.failures, SourceRow.failure_kind).where(
            SourceRow.state == State.ACTIVE, SourceRow.last_attempt_at >= since
        )
        with self.session() as session:
            return [kind if failures else None for failures, kind in session.execute(query)]

    # Snapshots

    def snapshots(self, source: str, after: int = 0) -> tuple[Snapshot, ...]:
        """Landed snapshots of a source in order, those numbered above `after`."""
        query = (
            sa.select(_SnapshotRow)
            .where(_SnapshotRow.source == source, _SnapshotRow.number > after)
            .order_by(_SnapshotRow.number)
        )
        with self.session() as session:
            return tuple(_snapshot(row) for row in session.scalars(query))

    def latest_snapshots(self, keys: Sequence[str]) -> dict[str, Snapshot]:
        """The last landed snapshot of each source that has one."""
        newest = (
            sa.select(_SnapshotRow.source, sa.func.max(_SnapshotRow.number).label("number"))
            .where(_SnapshotRow.source.in_(keys))
            .group_by(_SnapshotRow.source)
            .subquery()
        )
        same = sa.and_(
            _SnapshotRow.source == newest.c.source, _SnapshotRow.number == newest.c.number
        )
        with self.session() as session:
            rows = session.scalars(sa.select(_SnapshotRow).join(newest, same))
            return {row.source: _snapshot(row) for row in rows}

    def landed_pages(self) -> set[tuple[str, str]]:
        """Every page of every snapshot, by source and sha256: what the ledger points at."""
        query = sa.select(_SnapshotRow.source, _SnapshotRow.pages)
        with self.session() as session:
            rows = session.execute(query.execution_options(yield_per=1000))
            return {(source, page["sha256"]) for source, pages in rows for page in pages}

    def landed_before(self, kind: str, moment: datetime) -> dict[str, tuple[int, int]]:
        """The last snapshot of each active source that landed before that time, and the last of
        them that a full refresh saw (0: none)."""
        seen_whole = _SnapshotRow.landed_at <= SourceRow.last_full_at
        whole = sa.func.max(sa.case((seen_whole, _SnapshotRow.number), else_=0))
        query = (
            sa.select(_SnapshotRow.source, sa.func.max(_SnapshotRow.number), whole)
            .join(SourceRow, SourceRow.key == _SnapshotRow.source)
            .where(SourceRow.kind == kind, SourceRow.state == State.ACTIVE)
            .where(_SnapshotRow.landed_at < moment)
            .group_by(_SnapshotRow.source)
        )
        with self.session() as session:
            return {source: (last, full) for source, last, full in session.execute(query)}

    def answered_since(self, keys: Sequence[str], since: datetime) -> dict[str, bool]:
        """Those of the sources that answered at that time or later; whether anything landed."""
        landed = sa.func.max(_SnapshotRow.landed_at)
        query = (
            sa.select(SourceRow.key, SourceRow.last_success_at, landed)
            .join(_SnapshotRow, _SnapshotRow.source == SourceRow.key)
            .where(SourceRow.key.in_(keys))
            .group_by(SourceRow.key, SourceRow.last_success_at)
        )
        with self.session() as session:
            found = list(session.execute(query))
        return {
            key: at >= since
            for key, success, at in found
            if at >= since or (success is not None and success >= since)
        }

    def landed_since(self, since: datetime) -> int:
        """How many snapshots landed at that time or later."""
        query = sa.select(sa.func.count()).where(_SnapshotRow.landed_at >= since)
        with self.session() as session:
            return session.scalars(query).one()

    def land(self, snapshot: Snapshot, now: datetime) -> bool:
        """Record a snapshot whose artifacts are stored; False when another run was first."""
        row = _SnapshotRow(
            source=snapshot.source,
            number=snapshot.number,
            hash=snapshot.hash,
            captured_at=snapshot.captured_at,
            landed_at=now,
            platform=snapshot.platform.value,
            pages=[asdict(page) for page in snapshot.pages],
            counters=dict(snapshot.counters),
        )
        try:
            with self.session() as session:
                session.add(row)
        except IntegrityError:
            return False
        return True

    def renew_validators(self, snapshot: Snapshot, pages: Sequence[Page]) -> None:
        """The same bytes came with newer validators: keep those on the snapshot."""
        with self.session() as session:
            session.execute(
                sa.update(_SnapshotRow)
                .where(
                    _SnapshotRow.source == snapshot.source,
                    _SnapshotRow.number == snapshot.number,
                    _SnapshotRow.hash == Snapshot.hash_of(pages),
                )
                .values(pages=[asdict(page) for page in pages])
            )


def _note(
    session: Session,
    now: datetime,
    actor: str,
    key: str,
    action: str,
    before: Mapping[str, Any] | None = None,
    after: Source | None = None,
) -> None:
    """The audit log's line about a source: only the fields that differ."""
    new = {} if after is None else after.model_dump(mode="json", exclude_defaults=not before)
    old = before or {}
    gone = {name: value for name, value in old.items() if new.get(name) != value} if after else {}
    come = {name: value for name, value in new.items() if old.get(name) != value}
    note(session, now, actor, f"source {key}", action, "", gone, come)


def _declared(row: SourceRow) -> tuple[Source, State]:
    """As its list has it: what a sync compares."""
    return Source.read(row.declared, "ledger"), State(row.state)


def _known(row: SourceRow) -> KnownSource:
    source, state = Source.read(row.effective, "ledger"), State(row.state)
    fetch = FetchState(
        row.last_attempt_at,
        row.last_success_at,
        row.next_attempt_at,
        row.failures,
        row.failure,
        row.failure_permanent,
    )
    return KnownSource(source, state, row.origin, fetch, row.changed_at, row.overrides)


def _new_row(source: Source, origin: str, now: datetime) -> SourceRow:
    return SourceRow(
        key=source.key,
        kind=source.kind,
        state=State.ACTIVE,
        origin=origin,
        declared=source.model_dump(mode="json"),
        added_at=now,
        changed_at=now,
        failures=0,
        failure_permanent=False,
        held=False,
        overrides={},
    )


QUIET = frozenset(
    {
        "name",
        "full_cadence",
        "price_cadence",
        "timezone",
        "priority",
        "check_for_changes",
        "default_concurrency",
        "alert_price_delta_pct",
    }
)
"""Fields that say when and how a source is asked, and not for what: it is not asked anew."""


def _redeclare(row: SourceRow, source: Source, now: datetime) -> None:
    """Take a new declaration over."""
    before, row.declared = row.effective, source.model_dump(mode="json")
    _changed(row, before, now)


def _changed(row: SourceRow, before: Mapping[str, Any], now: datetime) -> None:
    """A changed declaration may mend what failed, so the source is due again."""
    after = row.effective
    if row.state == State.ACTIVE and all(
        before.get(name) == value for name, value in after.items() if name not in QUIET
    ):
        row.full_due_at = row.price_due_at = None  # slots are counted anew from the last attempt
        return
    _forgive(row)
    _set_state(row, State.ACTIVE, now)


def _forgive(row: SourceRow) -> None:
    row.failures, row.failure, row.next_attempt_at, row.failure_permanent = 0, None, None, False


def _set_state(row: SourceRow, state: State, now: datetime) -> None:
    row.state, row.changed_at = state, now
    row.full_due_at = row.price_due_at = row.due_reason = None


def _refuse_foreign(declared: Sequence[Source], rows: Mapping[str, SourceRow], origin: str) -> None:
    for source in declared:
        row = rows.get(source.key)
        if row is None or row.origin == origin or row.state != State.ACTIVE:
            continue
        if row.origin == "cli":
            raise BadConfig(
                f"source {source.key!r} was added by hand already; "
                f"`scout sources retire {source.key}` first, or take another key"
            )
        here, there = (PLACES.get(name, name) for name in (origin, row.origin))
        raise BadConfig(
            f"source {source.key!r} stands in {here}, and in {there} too: delete it from one of "
            "them and sync that one first, or take another key"
        )


def _snapshot(row: _SnapshotRow) -> Snapshot:
    return Snapshot(
        row.source,
        row.number,
        row.hash,
        row.captured_at,
        tuple(Page(**page) for page in row.pages),
        row.counters,
        Platform(row.platform),
    )
