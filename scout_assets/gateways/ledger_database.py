"""The ledger as a database: opening it, its version, its short transactions, what its errors mean.

Belongs here: SQLite (WAL; the default) or a schema of a Postgres server, which behave alike. Does
not belong here: any table (`ledger` and whoever keeps rows there).

Who writes. SQLite lets one transaction write at a time, and `exclusive` takes that place before it
reads. On Postgres writers go on beside each other, but for those: `exclusive` holds an advisory
lock alone, every other writer shares it from its first change on.
"""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError
from sqlalchemy.orm import ORMExecuteState, Session

from scout_assets.domain.failures import BadConfig, Critical, ScoutFailure, Transient
from scout_assets.gateways.postgres import Postgres

__all__ = ["HEAD", "LedgerDatabase"]

HEAD = "0006"
"""The newest migration; a test compares it with migrations/versions."""

_WRITERS = 0x1ED6E5
"""The advisory lock of writers on Postgres."""
_ALONE = sa.text(f"SELECT pg_advisory_xact_lock({_WRITERS}, hashtext(current_schema()))")
_SHARED = sa.text(f"SELECT pg_advisory_xact_lock_shared({_WRITERS}, hashtext(current_schema()))")


class LedgerDatabase:
    """A database that is brought to the newest version. `where`: a file of SQLite, or a server.

    Others' transactions are waited for, `wait_seconds` at most. Raises BadConfig for a server that
    lets us not in, Transient when it is away.
    """

    def __init__(self, where: Path | Postgres, wait_seconds: float = 30) -> None:
        self.where = where
        self._engine = _engine(where, wait_seconds)
        self._migrate()

    @property
    def path(self) -> Path:
        """Its file. Raises BadConfig when it is on a server."""
        if isinstance(self.where, Postgres):
            raise BadConfig(f"the ledger is on a server ({self.place}), not in a file")
        return self.where

    @property
    def is_file(self) -> bool:
        return isinstance(self.where, Path)

    @property
    def place(self) -> str:
        """Where it is, for people; without any password."""
        return self.where.place if isinstance(self.where, Postgres) else str(self.where)

    def _migrate(self) -> None:
        with self._explained():
            found = self._revision()
            if found == HEAD:
                return
            if found is not None and found > HEAD:
                raise BadConfig(
                    f"ledger {self.place} is of a newer version ({found}) than this program "
                    f"({HEAD}): use that version, or `scout restore` a backup of this one"
                )
            from scout_assets.gateways.migrations import upgrade  # alembic takes long to import

            if isinstance(self.where, Postgres):
                self.where.make_schema("ledger")
            upgrade(self._engine)

    def _revision(self) -> str | None:
        schema = self.where.schema if isinstance(self.where, Postgres) else None
        with self._engine.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version", schema):
                return None
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()

    def close(self) -> None:
        """Let go of it, for somebody who copies or replaces the file; the next use opens it."""
        self._engine.dispose()

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """One short transaction. Raises Transient when others keep it locked or the server is away,
        Critical when it is damaged."""
        with self._explained(), Session(self._engine) as session, session.begin():
            if isinstance(self.where, Postgres):
                _share_with_writers(session)
            yield session

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise  # the caller's affair
        except DatabaseError as error:
            raise self._failure(error) from None

    def _failure(self, error: DatabaseError) -> ScoutFailure:
        if isinstance(self.where, Postgres):
            return self.where.failure(error, "ledger", getattr(error.orig, "pgcode", None))
        if isinstance(error, OperationalError) and "no such" not in str(error.orig):
            return Transient(f"ledger {self.place} cannot be used now: {error.orig}")
        return Critical(
            f"ledger {self.place} is damaged ({error.orig}): `scout stop` what runs, then "
            "`scout restore` a backup"
        )

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[Session]:
        """One short transaction that reads and then writes: no other writes in between."""
        with self._explained(), Session(self._engine) as session, session.begin():
            if isinstance(self.where, Postgres):
                session.execute(_ALONE)
            else:
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session


def _engine(where: Path | Postgres, wait_seconds: float) -> sa.Engine:
    if isinstance(where, Postgres):
        return _of_server(where.address("psycopg2", lock_timeout=f"{wait_seconds * 1000:.0f}ms"))
    where.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(f"sqlite:///{where}", connect_args={"timeout": wait_seconds})
    sa.event.listen(engine, "connect", _pragmas)
    return engine


@functools.lru_cache(maxsize=4)
def _of_server(address: str) -> sa.Engine:
    """One for all of this process, for every `Home` opens a ledger of its own. One connection
    stays: a server lets in a hundred, and each is a process of its own to start."""
    return sa.create_engine(
        address, pool_size=1, max_overflow=20, pool_pre_ping=True, hide_parameters=True
    )


def _pragmas(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _share_with_writers(session: Session) -> None:
    """Wait, before the first change, for whoever writes alone."""

    def before_flush(*_: object) -> None:
        share()

    def before_statement(state: ORMExecuteState) -> None:
        if state.is_insert or state.is_update or state.is_delete:
            share()

    shared: list[bool] = []

    def share() -> None:
        if not shared:
            shared.append(True)
            session.connection().execute(_SHARED)

    sa.event.listen(session, "before_flush", before_flush)
    sa.event.listen(session, "do_orm_execute", before_statement)
