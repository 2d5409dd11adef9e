"""The ledger: small operational state that many processes write.

Belongs here: which sources there are, which snapshots of them landed, how their last fetch
went. Does not belong here: rows of products and offers (`warehouse`), raw bytes
(`artifacts`), any decision about them (`domain`).

A snapshot row is written last, after its artifacts: validators stand on it, so an ETag never
vouches for bytes that did not land. Its number is claimed by the primary key, so of two runs
that fetch one source at once, one lands and the other sees that it did.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from scout_assets.domain.cadence import next_attempt
from scout_assets.domain.failures import BadConfig, Permanent, ScoutFailure, Transient
from scout_assets.domain.sources import Platform, Source, State, SyncPlan, plan_sync

__all__ = ["HEAD", "Base", "FetchState", "KnownSource", "Ledger", "Page", "Snapshot", "metadata"]

HEAD = "0003"
"""The newest migration; a test compares it with migrations/versions."""

PLACES = {"file": "sources.yaml", "master": "the suppliers' master list"}
"""Where sources of an origin are declared, as people call it."""


class _UtcDateTime(sa.TypeDecorator[datetime]):
    """SQLite drops time zones: stored as UTC, read back aware."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Rows of the ledger; what other gateways keep there derives from it."""

    type_annotation_map: ClassVar = {
        datetime: _UtcDateTime,
        dict[str, Any]: sa.JSON,
        list[dict[str, Any]]: sa.JSON,
    }


metadata = Base.metadata


class _SourceRow(Base):
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
    next_attempt_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    failure: Mapped[str | None]
    failure_permanent: Mapped[bool] = mapped_column(default=False)
    held: Mapped[bool] = mapped_column(default=False)


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
class Page:
    """One answer within a snapshot: where from, its bytes' sha256, and its validators."""

    role: str
    url: str
    sha256: str
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """One fetch of one source. `number` counts per source from 1."""

    source: str
    number: int
    hash: str
    captured_at: datetime
    pages: tuple[Page, ...]
    counters: Mapping[str, int] = field(default_factory=dict)
    platform: Platform = Platform.SHOPIFY

    @staticmethod
    def hash_of(pages: Sequence[Page]) -> str:
        """sha256 over the pages' roles and hashes: equal when all bytes are equal."""
        text = "\n".join(f"{page.role} {page.sha256}" for page in pages)
        return hashlib.sha256(text.encode()).hexdigest()


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

    `changed_at`: when its declaration or state changed last.
    """

    source: Source
    state: State
    origin: str
    fetch: FetchState
    changed_at: datetime

    @property
    def is_new(self) -> bool:
        """Whether nobody has asked it since it was declared as it is."""
        asked_at = self.fetch.last_attempt_at
        return asked_at is None or asked_at < self.changed_at


class Ledger:
    """Small operational state in SQLite (WAL). `path`: the database file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
        sa.event.listen(self._engine, "connect", _pragmas)
        self._migrate()

    def _migrate(self) -> None:
        if self._revision() == HEAD:
            return
        from scout_assets.gateways.migrations import upgrade  # alembic takes long to import

        upgrade(self._engine)

    def _revision(self) -> str | None:
        with self._engine.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """One short transaction. Raises Transient when the file stays locked."""
        try:
            with Session(self._engine) as session, session.begin():
                yield session
        except OperationalError as error:
            raise Transient(f"ledger {self.path} cannot be used now: {error.orig}") from error

    # Sources

    def sources(
        self, kind: str | None = None, state: State | None = None, keys: Sequence[str] | None = None
    ) -> tuple[KnownSource, ...]:
        """Known sources in key order."""
        query = sa.select(_SourceRow).order_by(_SourceRow.key)
        if kind is not None:
            query = query.where(_SourceRow.kind == kind)
        if state is not None:
            query = query.where(_SourceRow.state == state)
        with self.session() as session:
            rows = [_known(row) for row in session.scalars(query)]
        wanted = None if keys is None else set(keys)
        return tuple(row for row in rows if wanted is None or row.source.key in wanted)

    def source(self, key: str) -> KnownSource:
        """Raises BadConfig when there is no source `key`."""
        found = self.sources(keys=[key])
        if not found:
            raise BadConfig(f"no source {key!r}; `scout sources list` shows the known ones")
        return found[0]

    def sync(self, declared: Sequence[Source], now: datetime, origin: str = "file") -> SyncPlan:
        """Make the sources of `origin` equal to `declared`.

        Sources of other origins stay, and so does what a person retired by hand. Raises BadConfig
        when a declared key is in use elsewhere or changes its kind.
        """
        with self.session() as session:
            rows = {row.key: row for row in session.scalars(sa.select(_SourceRow))}
            _refuse_foreign(declared, rows, origin)
            wanted = [s for s in declared if s.key not in rows or not rows[s.key].held]
            keys = {source.key for source in wanted}
            ours = {k: r for k, r in rows.items() if r.origin == origin or k in keys}
            known = {k: _declared(r) for k, r in ours.items() if not r.held}
            plan = plan_sync(wanted, known)
            for source in plan.added:
                session.add(_new_row(source, origin, now))
            for source in (*plan.changed, *plan.revived):
                _redeclare(ours[source.key], source, now)
                ours[source.key].origin = origin
            for key in plan.retired:
                _set_state(ours[key], State.RETIRED, now)
        return plan

    def add(self, source: Source, now: datetime) -> None:
        """Add one source by hand, or bring back a retired one under a new declaration."""
        with self.session() as session:
            row = session.get(_SourceRow, source.key)
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

    def retire(self, key: str, now: datetime) -> None:
        """Stop watching a source, declared or not; its rows stay. `revive` takes it back.

        Raises BadConfig for an unknown key.
        """
        self._hold(key, True, now)

    def revive(self, key: str, now: datetime) -> None:
        """Watch a retired source again. Raises BadConfig for an unknown key."""
        self._hold(key, False, now)

    def _hold(self, key: str, held: bool, now: datetime) -> None:
        with self.session() as session:
            row = session.get(_SourceRow, key)
            if row is None:
                raise BadConfig(f"no source {key!r}; `scout sources list` shows the known ones")
            row.held = held
            _forgive(row)
            _set_state(row, State.RETIRED if held else State.ACTIVE, now)

    # Fetches

    def record_success(self, key: str, now: datetime, remark: str | None = None) -> None:
        """The source answered; its failures are over.

        `remark`: what was wrong all the same, told until the next success.
        """
        with self.session() as session:
            row = session.get_one(_SourceRow, key)
            row.last_attempt_at, row.last_success_at = now, now
            _forgive(row)
            row.failure = remark

    def record_failure(self, key: str, failure: ScoutFailure, now: datetime) -> None:
        """The source failed; it backs off, for ever after a permanent failure."""
        with self.session() as session:
            row = session.get_one(_SourceRow, key)
            row.last_attempt_at = now
            row.failures += 1
            row.failure, row.failure_permanent = str(failure), isinstance(failure, Permanent)
            row.next_attempt_at = next_attempt(now, row.failures, row.failure_permanent)

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


def _pragmas(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "busy_timeout = 30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _declared(row: _SourceRow) -> tuple[Source, State]:
    return Source.read(row.declared, "ledger"), State(row.state)


def _known(row: _SourceRow) -> KnownSource:
    source, state = _declared(row)
    fetch = FetchState(
        row.last_attempt_at,
        row.last_success_at,
        row.next_attempt_at,
        row.failures,
        row.failure,
        row.failure_permanent,
    )
    return KnownSource(source, state, row.origin, fetch, row.changed_at)


def _new_row(source: Source, origin: str, now: datetime) -> _SourceRow:
    return _SourceRow(
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
    )


def _redeclare(row: _SourceRow, source: Source, now: datetime) -> None:
    """A changed declaration may mend what failed, so the source is due again."""
    row.declared = source.model_dump(mode="json")
    _forgive(row)
    _set_state(row, State.ACTIVE, now)


def _forgive(row: _SourceRow) -> None:
    row.failures, row.failure, row.next_attempt_at, row.failure_permanent = 0, None, None, False


def _set_state(row: _SourceRow, state: State, now: datetime) -> None:
    row.state, row.changed_at = state, now


def _refuse_foreign(
    declared: Sequence[Source], rows: Mapping[str, _SourceRow], origin: str
) -> None:
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
