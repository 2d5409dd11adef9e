"""An installation in files moved to a Postgres server, with all its history.

Belongs here: what is moved in which order, what is refused, how it is verified. Does not belong
here: which slices differ (`copying`), Dagster's own runs (`orchestration.dagster_history`).

The warehouse goes first, piece by piece; the ledger last, in one transaction: until then nobody
takes the new place for an installation. Interrupted at any point, the same command goes on. Before
anything is written, a ledger there that is not this one is refused, and so is a warehouse that is
not a copy of this one.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from scout_assets.domain.failures import BadConfig, Critical, Refused
from scout_assets.domain.tables import TABLES
from scout_assets.gateways.copying import bring, take, unlike
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets.gateways.home import Home, open_warehouse
from scout_assets.gateways.ledger import Ledger, metadata
from scout_assets.gateways.postgres import Postgres
from scout_assets.gateways.warehouse import Warehouse

__all__ = ["Moved", "move"]

NUL = r"\x00"
"""As it is in what `repr` makes; no server keeps it."""
CHUNK = 5_000
"""Rows of the ledger that are written at once."""


@dataclass(frozen=True)
class Moved:
    """A table that stands verified in its new place; `written`: rows that were not there yet."""

    part: str
    table: str
    rows: int
    written: int


def move(home: Home, url: str, told: Callable[[Moved], None]) -> list[Moved]:
    """Copy warehouse and ledger to the schemas of those names of a server, and verify both.

    Each table is `told` when it stands. Nothing here is changed, and nobody writes here meanwhile:
    who waits too long fails as passing. Raises Refused in auto; BadConfig when this installation is
    empty or not in two files, or the place holds what is not from here; Critical when what arrived
    is not what was sent.
    """
    here = home.warehouse
    if not isinstance(here, DuckDbWarehouse) or not home.ledger.is_file:
        raise BadConfig(
            f"warehouse ({here.place}) and ledger ({home.ledger.place}) are not one file each: "
            "unset SCOUT_DATABASE, SCOUT_WAREHOUSE_ANALYTICS and the like, then migrate"
        )
    owner = home.ledger.identity
    moved: list[Moved] = []
    with _still(home, here) as session:
        there = open_warehouse(Postgres(url, "warehouse"))
        ledger = Ledger(Postgres(url, "ledger"))
        with ledger.session() as theirs:
            _refuse_another(session, theirs, ledger.place)
        take(there, owner)
        steps = (_warehouse(here, there), _ledger(session, ledger))
        for one in (one for step in steps for one in step):
            told(one)
            moved.append(one)
    return moved


@contextlib.contextmanager
def _still(home: Home, here: DuckDbWarehouse) -> Iterator[Session]:
    """Nobody writes to warehouse or ledger meanwhile; the ledger, open."""
    with here.reading():
        pass  # an older file gets its new columns
    with here.held(shared=True), home.ledger.exclusive() as session:
        if home.control.state().is_auto:
            raise Refused("mode is auto: `scout stop --by NAME`, end Dagster, then migrate")
        yield session


# Warehouse


def _warehouse(here: Warehouse, there: Warehouse) -> Iterator[Moved]:
    for table in TABLES.values():
        copied = bring(here, there, table)
        wrong = unlike(here, there, table)
        if wrong:
            raise Critical(
                f"table {table.name}: {len(wrong)} slices did not arrive as they are here, such "
                f"as {'/'.join(wrong[0])}. See that nobody writes there, drop its schema "
                "`warehouse`, migrate again"
            )
        yield Moved("warehouse", table.name, copied.total, copied.rows)


# Ledger


def _ledger(here: Session, ledger: Ledger) -> Iterator[Moved]:
    """All tables or none; nothing is told before they stand."""
    with ledger.exclusive() as there:
        moved = [_table(here, there, table) for table in metadata.sorted_tables]
    yield from moved


def _refuse_another(here: Session, there: Session, place: str) -> None:
    """A ledger there is empty, or this one."""
    tables = metadata.sorted_tables
    if any(there.execute(sa.select(table).limit(1)).first() for table in tables):
        other = [t.name for t in tables if _digest(there, t) != _digest(here, t)]
        if other:
            raise BadConfig(
                f"{place} is that of another installation, or has gone on by itself: "
                f"{', '.join(other)} are not those from here. Name an empty database"
            )


def _table(here: Session, there: Session, table: sa.Table) -> Moved:
    wanted = _digest(here, table)
    if _digest(there, table) == wanted:
        return Moved("ledger", table.name, wanted[0], 0)
    for rows in here.execute(sa.select(table)).mappings().partitions(CHUNK):
        there.execute(sa.insert(table), [dict(row) for row in rows])
    _go_on_counting(there, table)
    if _digest(there, table) != wanted:
        raise Critical(f"ledger table {table.name} did not arrive as it is here; nothing was kept")
    return Moved("ledger", table.name, wanted[0], wanted[0])


def _digest(session: Session, table: sa.Table) -> tuple[int, str]:
    """How many rows there are, and a hash of all they hold, in the order of their keys."""
    count, made = 0, hashlib.sha256()
    for row in session.execute(sa.select(table).order_by(*_text_as_bytes(session, table))):
        count += 1
        made.update(repr(tuple(row)).replace(NUL, "").encode())
    return count, made.hexdigest()


def _text_as_bytes(session: Session, table: sa.Table) -> list[sa.ColumnElement[Any]]:
    """A server may sort texts as its language does; SQLite compares bytes."""
    on_server = session.get_bind().dialect.name == "postgresql"
    return [
        column.collate("C") if on_server and isinstance(column.type, sa.String) else column
        for column in table.primary_key
    ]


def _go_on_counting(session: Session, table: sa.Table) -> None:
    """Numbers that the server gives out come after those that are there."""
    column = table.autoincrement_column
    if column is not None:
        name = sa.func.pg_get_serial_sequence(table.name, column.name)
        last = sa.select(sa.func.max(column)).scalar_subquery()
        session.execute(sa.select(sa.func.setval(name, last)))
