"""Databases as whole files: copied, made smaller and replaced while others may use them.

Belongs here: what DuckDB and SQLite need for that, their journals beside the file. Does not belong
here: what is in them (`warehouse`, `ledger`), when it is done (`maintenance`, `backup`).
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb

from scout_assets.domain.failures import Critical, Transient
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse, quoted

__all__ = [
    "copy_sqlite",
    "copy_warehouse",
    "digest",
    "replace",
    "shrink_sqlite",
    "shrink_warehouse",
    "sqlite_alone",
]

LEAST_FREE = 0.5
LEAST_WON = 1_000_000
"""A file is written anew when that share of it, and so many bytes, are free: both reuse the free
parts by themselves, so a file does not grow by being cleaned."""
JOURNALS = (".wal", "-wal", "-shm")
"""Never left beside another file than their own: they would be played into it."""


def digest(path: Path) -> str:
    """sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace(path: Path, new: Path, aside: Path) -> None:
    """Put a file in a database's place; what was there moves into the folder `aside`.

    For who holds it: `DuckDbWarehouse.held`, `sqlite_alone`.
    """
    aside.mkdir(parents=True, exist_ok=True)
    for name in (path.name, *(f"{path.name}{journal}" for journal in JOURNALS)):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(name).replace(aside / name)
    new.replace(path)


# DuckDB


def copy_warehouse(warehouse: DuckDbWarehouse, to: Path) -> None:
    """All tables and views in a new file without free blocks; others may read meanwhile."""
    with warehouse.reading():
        pass  # an older file gets its new columns, a new installation its file
    with warehouse.held(shared=True):
        _copy(warehouse.path, to)


def shrink_warehouse(warehouse: DuckDbWarehouse, dry_run: bool = False) -> int:
    """Fold the journal in, and write the file anew when much of it is free; returns bytes won.

    DuckDB's own VACUUM wins none. The new file is written beside and takes the old one's name.
    """
    if not warehouse.path.exists():
        return 0
    with warehouse.held(shared=dry_run):
        size = warehouse.path.stat().st_size
        free = _free(warehouse.path, dry_run)
        if not _worthwhile(free, size) or dry_run:
            return free if _worthwhile(free, size) else 0
        beside = warehouse.path.with_name(f"{warehouse.path.name}.smaller")
        _copy(warehouse.path, beside)
        beside.replace(warehouse.path)
        return size - warehouse.path.stat().st_size


def _copy(source: Path, to: Path) -> None:
    to.unlink(missing_ok=True)
    try:
        with contextlib.closing(duckdb.connect()) as db:
            db.execute(f"ATTACH {quoted(source)} AS kept (READ_ONLY)")
            db.execute(f"ATTACH {quoted(to)} AS fresh")
            db.execute("COPY FROM DATABASE kept TO fresh")
            db.execute("DETACH fresh")  # which writes its journal into it
    except duckdb.Error as error:
        to.unlink(missing_ok=True)
        raise _told(source, error) from error


def _free(path: Path, dry_run: bool) -> int:
    """Bytes of free blocks."""
    try:
        with contextlib.closing(duckdb.connect(str(path), read_only=dry_run)) as db:
            if not dry_run:
                db.execute("CHECKPOINT")
            query = "SELECT block_size * free_blocks FROM pragma_database_size()"
            ((free,),) = db.execute(query).fetchall()
            return int(free)
    except duckdb.Error as error:
        raise _told(path, error) from error


def _told(path: Path, error: duckdb.Error) -> Transient | Critical:
    if "lock" in str(error):
        return Transient(f"warehouse {path} is open in another program; close it there: {error}")
    mend = "`scout restore` brings a backup back"
    return Critical(f"warehouse {path} cannot be copied, {mend}: {error}")


# SQLite


def copy_sqlite(source: Path, to: Path) -> None:
    """A database as it is at one moment, in one new file, while others write."""
    to.unlink(missing_ok=True)
    with _opened(source) as db, contextlib.closing(sqlite3.connect(to)) as copy:
        db.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def shrink_sqlite(path: Path, dry_run: bool = False) -> int:
    """Fold the journal in, and write the file anew when much of it is free; returns bytes won.

    Others wait meanwhile, at most as long as a copy takes. Raises Transient when they do not let
    the file go.
    """
    if not path.exists():
        return 0
    with _opened(path) as db:
        free, total, page = (
            db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("freelist_count", "page_count", "page_size")
        )
        worthwhile = _worthwhile(free * page, total * page)
        if not dry_run:
            db.execute("PRAGMA optimize")
            if worthwhile:
                db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return int(free * page) if worthwhile else 0


@contextlib.contextmanager
def sqlite_alone(path: Path) -> Iterator[None]:
    """Nobody else has the database, and all of it is in its file; a damaged one nobody can use.

    Raises Transient while another process has it open.
    """
    if not path.exists():
        yield
        return
    with _opened(path) as db:
        try:
            db.execute("PRAGMA journal_mode = DELETE")  # refused while others have it open
            db.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            yield
            return
        yield


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as db:
            yield db
    except sqlite3.OperationalError as error:
        raise Transient(
            f"{path} is in use by another process ({error}): `scout stop --by NAME` ends automated "
            "runs; then end `dagster dev` and other runs, and try again"
        ) from error


def _worthwhile(free: int, size: int) -> bool:
    return free >= LEAST_WON and free >= LEAST_FREE * size
