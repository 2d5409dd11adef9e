"""The warehouse in one DuckDB file, the default.

Belongs here: opening the file, waiting for it, what its errors mean. Does not belong here: which
rows a write takes in (`warehouse`).

Who may open the file. DuckDB lets one process write or several read, never both, and fails
at once otherwise. We take an advisory lock beside the file first (shared to read, exclusive
to write). The kernel drops it when its holder dies, however it dies, so a killed run blocks
nobody; a slot in Dagster's own concurrency pools would stay taken until a daemon frees it.
"""

import contextlib
import fcntl
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import duckdb
import pyarrow as pa

from scout_assets.domain.failures import Critical, Transient
from scout_assets.domain.tables import Table
from scout_assets.gateways.warehouse import (
    Batch,
    Connection,
    Values,
    Warehouse,
    Watermark,
    names,
)

__all__ = ["DuckDbWarehouse", "quoted"]


class DuckDbConnection(Connection):
    """An open DuckDB file. `raw`: DuckDB's own connection."""

    def __init__(self, raw: duckdb.DuckDBPyConnection) -> None:
        self.raw = raw

    def execute(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        return self.raw.execute(sql, values).fetchall()

    def arrow(self, sql: str, values: Values = ()) -> pa.Table:
        return self.raw.sql(sql, params=values).to_arrow_table()  # without a copy of the rows

    def stage(self, name: str, rows: pa.Table) -> None:
        self.raw.register(name, rows)

    def insert(self, table: Table, rows: pa.Table) -> None:
        columns = names(table)
        self.stage("incoming", rows)
        self.execute(f'INSERT INTO "{table.name}" ({columns}) SELECT {columns} FROM incoming')
        self.raw.unregister("incoming")

    def _columns(self) -> list[tuple[str, str, str]]:
        query = (
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE database_name = current_database() AND NOT internal"
        )
        return [(table, name, made) for table, name, made in self.execute(query)]

    def _views(self) -> dict[str, str | None]:
        return dict(
            self.execute(
                "SELECT view_name, comment FROM duckdb_views() "
                "WHERE database_name = current_database() AND NOT internal"
            )
        )

    def alone(self) -> None:
        """Whoever writes is alone anyhow."""

    def _hash(self, columns: Sequence[str]) -> str:
        return f"hash({', '.join(columns)})"

    def mark(self, table: Table, kind: str, marks: Mapping[str, Watermark]) -> None:
        where: list[object] = [table.name, kind]
        self.execute(
            "DELETE FROM watermarks WHERE table_name = $1 AND kind = $2 AND source = ANY($3)",
            [*where, list(marks)],
        )
        rows = [
            {"source": s, "snapshot": m.snapshot, "version": m.version, "generation": m.generation}
            for s, m in marks.items()
        ]
        self.stage("marks", pa.Table.from_pylist(rows, MARKS))
        self.execute(
            "INSERT INTO watermarks "
            "SELECT $1, $2, source, snapshot, version, generation, now() FROM marks",
            where,
        )
        self.raw.unregister("marks")


MARKS = pa.schema(
    [
        ("source", pa.string()),
        ("snapshot", pa.int64()),
        ("version", pa.string()),
        ("generation", pa.int64()),
    ]
)


class DuckDbWarehouse(Warehouse):
    """One DuckDB file; writers and readers of other processes are waited for."""

    sql_types: Mapping[pa.DataType, str] = {
        pa.string(): "VARCHAR",
        pa.bool_(): "BOOLEAN",
        pa.int64(): "BIGINT",
        pa.float64(): "DOUBLE",
        pa.decimal128(18, 4): "DECIMAL(18, 4)",
        pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
        pa.date32(): "DATE",
        pa.list_(pa.string()): "VARCHAR[]",
        pa.list_(pa.float32()): "FLOAT[]",
    }
    empty_watermarks = """
        CREATE TABLE IF NOT EXISTS watermarks (
            table_name VARCHAR, kind VARCHAR, source VARCHAR, snapshot BIGINT, version VARCHAR,
            generation BIGINT, written_at TIMESTAMPTZ
        )
    """
    move_away = "Move the warehouse file away"

    def __init__(self, path: Path, wait_seconds: float = 120.0) -> None:
        self.path = path
        self.wait_seconds = wait_seconds
        self._current = False

    @property
    def place(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        return self.path.exists()

    @contextlib.contextmanager
    def reading(self) -> Iterator[DuckDbConnection]:
        """A read-only connection; other readers may come in, writers wait."""
        if not self._is_current():
            with self.writing():
                pass
        with self._open(read_only=True) as db:
            yield db

    def _is_current(self) -> bool:
        """Whether the file is as the registry has it; looked up until it has."""
        if not self._current and self.path.exists():
            with self._open(read_only=True) as db:
                self._current = not self._outdated(db)
        return self._current

    @contextlib.contextmanager
    def writing(self) -> Iterator[DuckDbConnection]:
        """The only connection there is, inside one transaction."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._open(read_only=False) as db:
            try:
                db.raw.begin()
                if self._outdated(db):
                    self._update(db)
                yield db
                db.raw.commit()
            except (duckdb.IOException, duckdb.FatalException) as error:
                raise _unusable(self.path, error) from error
            except BaseException:
                db.raw.rollback()
                raise

    def prepare_ranking(self, table: Table) -> None:
        """Vectors are read and compared."""

    def _claimed(self, db: Connection, batch: Batch) -> dict[str, Watermark]:
        return db.watermarks(batch.table, batch.kind)

    @contextlib.contextmanager
    def held(self, shared: bool = False) -> Iterator[None]:
        """The lock without the file, for who copies (`shared`) or replaces it whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _file_lock(self.path, shared, time.monotonic() + self.wait_seconds):
            yield

    @contextlib.contextmanager
    def _open(self, read_only: bool) -> Iterator[DuckDbConnection]:
        deadline = time.monotonic() + self.wait_seconds
        with (
            _file_lock(self.path, shared=read_only, deadline=deadline),
            _attached(self.path, read_only, deadline) as raw,
        ):
            yield DuckDbConnection(raw)


_IDLE: list[tuple[int, duckdb.DuckDBPyConnection]] = []
"""Engines without a file, and the process that started them: to start one takes 14 ms, to attach a
file to it 2."""


@contextlib.contextmanager
def _attached(path: Path, read_only: bool, deadline: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own to the file; after a failure its engine is not used again."""
    name = '"' + path.stem.replace('"', '""') + '"'
    engine = _engine()
    try:
        _attach(engine, path, f"{quoted(path)} AS {name}", read_only, deadline)
        with contextlib.closing(engine.cursor()) as raw:
            raw.execute(f"USE {name}")
            raw.execute("SET TimeZone = 'UTC'")
            yield raw
        engine.execute(f"DETACH {name}")  # which writes its journal into it
    except BaseException:
        engine.close()
        raise
    _IDLE.append((os.getpid(), engine))


def _engine() -> duckdb.DuckDBPyConnection:
    while _IDLE:
        with contextlib.suppress(IndexError):  # another thread took the last one
            process, engine = _IDLE.pop()
            if process == os.getpid():
                return engine
    return duckdb.connect()


def _attach(
    engine: duckdb.DuckDBPyConnection, path: Path, what: str, read_only: bool, deadline: float
) -> None:
    while True:
        try:
            engine.execute(f"ATTACH {what} ({'READ_ONLY' if read_only else 'READ_WRITE'})")
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise _unusable(path, error) from error
            if time.monotonic() > deadline:
                raise Transient(
                    f"warehouse {path} is open in another program; close it there: {error}"
                ) from error
        else:
            return
        _pause()


def quoted(path: Path) -> str:
    """A path as SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def _unusable(path: Path, error: Exception) -> Critical:
    return Critical(
        f"warehouse {path} cannot be used: {error}. See that the disk has room and the file may be "
        "written; if it is damaged, `scout restore`, or move it away: snapshots are kept"
    )


@contextlib.contextmanager
def _file_lock(path: Path, shared: bool, deadline: float) -> Iterator[None]:
    lock_path = path.with_name(path.name + ".lock")
    try:
        opened = lock_path.open("a+", encoding="utf-8")
    except OSError as error:
        raise _unusable(path, error) from error
    with opened as lock:
        mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        while not _try_lock(lock, mode):
            if time.monotonic() > deadline:
                raise Transient(
                    f"warehouse {path} is busy: {_holder(lock)} has held it for too long. "
                    "Wait for that run to end, or end it"
                )
            _pause()
        if not shared:
            _sign(lock)
        yield


def _try_lock(lock: IO[str], mode: int) -> bool:
    try:
        fcntl.flock(lock, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(lock: IO[str]) -> None:
    lock.truncate(0)
    lock.write(f"process {os.getpid()}")
    lock.flush()


def _holder(lock: IO[str]) -> str:
    lock.seek(0)
    return lock.read() or "a reader"


def _pause() -> None:
    time.sleep(random.uniform(0.005, 0.03))
