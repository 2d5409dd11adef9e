"""The ledger as a database: opening it, its version, its short transactions, what its errors mean.

Belongs here: how it is reached. Does not belong here: any table (`ledger` and whoever keeps rows
there).
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from scout_assets.domain.failures import BadConfig, Critical, Transient

__all__ = ["HEAD", "LedgerDatabase"]

HEAD = "0005"
"""The newest migration; a test compares it with migrations/versions."""


class LedgerDatabase:
    """A database file of SQLite (WAL), brought to the newest version. `path`: the database file.

    Others' transactions are waited for, `wait_seconds` at most.
    """

    def __init__(self, path: Path, wait_seconds: float = 30) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": wait_seconds})
        sa.event.listen(self._engine, "connect", _pragmas)
        self._migrate()

    def _migrate(self) -> None:
        with self._explained():
            found = self._revision()
            if found == HEAD:
                return
            if found is not None and found > HEAD:
                raise BadConfig(
                    f"ledger {self.path} is of a newer version ({found}) than this program "
                    f"({HEAD}): use that version, or `scout restore` a backup of this one"
                )
            from scout_assets.gateways.migrations import upgrade  # alembic takes long to import

            upgrade(self._engine)

    def _revision(self) -> str | None:
        with self._engine.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()

    def close(self) -> None:
        """Let go of the file, for somebody who copies or replaces it; the next use opens it."""
        self._engine.dispose()

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """One short transaction. Raises Transient when the file stays locked, Critical when it is
        damaged."""
        with self._explained(), Session(self._engine) as session, session.begin():
            yield session

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise  # the caller's affair
        except DatabaseError as error:
            if isinstance(error, OperationalError) and "no such" not in str(error.orig):
                raise Transient(f"ledger {self.path} cannot be used now: {error.orig}") from error
            raise Critical(
                f"ledger {self.path} is damaged ({error.orig}): `scout stop` what runs, then "
                "`scout restore` a backup"
            ) from error

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[Session]:
        """One short transaction that reads and then writes: no other writes in between."""
        with self.session() as session:
            session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session


def _pragmas(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
