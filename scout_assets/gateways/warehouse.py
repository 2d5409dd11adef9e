"""The warehouse: tables of assets in one DuckDB file.

Belongs here: DDL from the registry, Arrow in, Arrow out, one transaction per write, waiting
for the file. Does not belong here: what rows mean, or which rows to write.

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
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa

from scout_assets.domain.failures import BadConfig, Critical, Transient
from scout_assets.domain.tables import TABLES, Column, Table, WriteMode

__all__ = ["VIEWS", "Batch", "Slices", "Warehouse", "Watermark", "Written"]

SQL_TYPES: Mapping[pa.DataType, str] = {
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

WATERMARKS = """
CREATE TABLE IF NOT EXISTS watermarks (
    table_name VARCHAR, kind VARCHAR, source VARCHAR, snapshot BIGINT, version VARCHAR,
    generation BIGINT, written_at TIMESTAMPTZ
)
"""

VIEWS: Mapping[str, str] = {
    "current_offers": """
        SELECT * FROM offers
        QUALIFY row_number() OVER (PARTITION BY product_id ORDER BY snapshot DESC) = 1
    """,
    "price_history": """
        WITH priced AS (
            SELECT *, lag(price IGNORE NULLS) OVER product AS previous_price,
                lag(currency IGNORE NULLS) OVER product AS previous_currency,
                lead(observed_at) OVER product AS valid_to
            FROM offers
            WINDOW product AS (PARTITION BY product_id ORDER BY snapshot)
        )
        SELECT o.kind, o.source, o.product_id, p.parent_id, a.title, p.title AS variant, p.sku,
            o.observed_at AS valid_from, o.valid_to, o.price, o.currency, o.compare_at_price,
            o.available, o.unit_price_100g, o.previous_price,
            CASE WHEN o.currency IS NOT DISTINCT FROM o.previous_currency
                THEN round(100.0 * (o.price - o.previous_price) / nullif(o.previous_price, 0), 2)
            END AS delta_pct,
            o.change, o.snapshot
        FROM priced o
        LEFT JOIN products p USING (product_id)
        LEFT JOIN parents a USING (parent_id)
    """,
    "source_summary": """
        WITH sources AS (
            SELECT DISTINCT kind, source FROM watermarks
            WHERE table_name IN ('parents', 'products', 'offers')
        ),
        listed AS (
            SELECT source, count(*) FILTER (gone_at IS NULL) AS parents,
                count(*) FILTER (gone_at IS NULL AND is_coffee) AS coffees
            FROM parents GROUP BY source
        ),
        variants AS (
            SELECT source, count(*) FILTER (gone_at IS NULL) AS products,
                count(*) FILTER (gone_at IS NOT NULL) AS vanished
            FROM products GROUP BY source
        ),
        priced AS (
            SELECT source, count(*) AS offers,
                count(*) FILTER (change = 'price' AND delta_pct <> 0) AS price_changes
            FROM price_history GROUP BY source
        ),
        refused AS (SELECT source, count(*) AS quarantined FROM quarantine GROUP BY source)
        SELECT kind, source, coalesce(parents, 0) AS parents, coalesce(coffees, 0) AS coffees,
            coalesce(products, 0) AS products, coalesce(vanished, 0) AS vanished,
            coalesce(offers, 0) AS offers, coalesce(price_changes, 0) AS price_changes,
            coalesce(quarantined, 0) AS quarantined
        FROM sources
        LEFT JOIN listed USING (source) LEFT JOIN variants USING (source)
        LEFT JOIN priced USING (source) LEFT JOIN refused USING (source)
        ORDER BY kind, source
    """,
    "supply_summary": """
        WITH sources AS (
            SELECT DISTINCT kind, source FROM watermarks WHERE table_name = 'supplier_items'
        ),
        listed AS (
            SELECT source, count(*) FILTER (gone_at IS NULL) AS items,
                count(*) FILTER (gone_at IS NOT NULL) AS vanished
            FROM supplier_items GROUP BY source
        ),
        matched AS (
            SELECT source, count(*) FILTER (status IN ('auto_matched', 'verified_match')) AS linked,
                count(*) FILTER (status = 'potential_match') AS to_review,
                count(*) FILTER (status IN ('unmatched', 'rejected')) AS new
            FROM matches GROUP BY source
        ),
        refused AS (SELECT source, count(*) AS quarantined FROM quarantine GROUP BY source)
        SELECT kind, source, coalesce(items, 0) AS items, coalesce(vanished, 0) AS vanished,
            coalesce(linked, 0) AS linked, coalesce(to_review, 0) AS to_review,
            coalesce(new, 0) AS new, coalesce(quarantined, 0) AS quarantined
        FROM sources LEFT JOIN listed USING (source) LEFT JOIN matched USING (source)
        LEFT JOIN refused USING (source)
        ORDER BY kind, source
    """,
}


@dataclass(frozen=True)
class Watermark:
    """How far a slice has come: its last snapshot and the version of the code that made it.

    `generation` counts how often it was folded anew, so that what derives from it notices.
    """

    snapshot: int
    version: str
    generation: int = 0

    def replaces(self, other: "Watermark | None") -> bool:
        """A slice never moves back to an older snapshot; new code, or a new generation, may
        redo the same one."""
        if other is None or self.snapshot != other.snapshot:
            return other is None or self.snapshot > other.snapshot
        return self.version != other.version or self.generation > other.generation

    def after(self, other: "Watermark") -> "Watermark":
        """This watermark as the next generation after `other`."""
        return Watermark(self.snapshot, self.version, other.generation + 1)


@dataclass(frozen=True)
class Batch:
    """New slices of one table: for each source of `watermarks`, all its rows among `rows`.

    `rows` holds whole slices, or, for an append-on-change table, the rows to add. The slices
    of `rewritten` sources are replaced whatever the table's mode.
    """

    table: Table
    kind: str
    rows: pa.Table
    watermarks: Mapping[str, Watermark]
    rewritten: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Slices:
    """Rows of some sources of one table, and how far each had come, read at one moment."""

    rows: pa.Table
    watermarks: Mapping[str, Watermark]


@dataclass(frozen=True)
class Written:
    """What a write did. `superseded`: sources that already stood as far or further."""

    rows: int
    sources: tuple[str, ...]
    superseded: tuple[str, ...]


class Warehouse:
    """One DuckDB file. Instances are cheap; nothing stays open between calls."""

    def __init__(self, path: Path, wait_seconds: float = 120.0) -> None:
        self.path = path
        self.wait_seconds = wait_seconds
        self._current = False

    def read(
        self,
        relation: str,
        kind: str | None = None,
        sources: Sequence[str] | None = None,
    ) -> pa.Table:
        """Slices of a table or view of the registry; empty when nothing was written yet."""
        wanted = " AND ".join(
            [f"{column} = ANY(?)" for column, some in self._filters(kind, sources)] or ["true"]
        )
        values = [some for _, some in self._filters(kind, sources)]
        columns = _names(TABLES[relation]) if relation in TABLES else "*"
        query = f'SELECT {columns} FROM "{relation}" WHERE {wanted}'
        with self.reading() as db:
            arrow = db.sql(query, params=values).to_arrow_table()
        return arrow.cast(TABLES[relation].schema) if relation in TABLES else arrow

    def read_slices(
        self, table: Table, kind: str, sources: Sequence[str], view: str = ""
    ) -> Slices:
        """The slices of `sources` with their watermarks; the two always fit together.

        `view` may name a view with the table's columns to read the rows from.
        """
        relation = view or table.name
        query = f'SELECT {_names(table)} FROM "{relation}" WHERE kind = ? AND source = ANY(?)'
        with self.reading() as db:
            rows = db.sql(query, params=[kind, list(sources)]).to_arrow_table()
            marks = _watermarks(db, table, kind)
        wanted = {source: marks[source] for source in sources if source in marks}
        return Slices(rows.cast(table.schema), wanted)

    def stored_schema(self, table: Table) -> pa.Schema:
        """The columns as they are in the file; JSON counts as the text it is stored as."""
        with self.reading() as db:
            return db.sql(f'SELECT * FROM "{table.name}" LIMIT 0').to_arrow_table().schema

    def duplicates(
        self, table: Table, kind: str, sources: Sequence[str]
    ) -> list[dict[str, object]]:
        """Keys of `table` that more than one row has, by source."""
        key = ", ".join(f'"{part}"' for part in table.key)
        query = (
            f"SELECT source, concat_ws('/', {key}) AS key, count(*) AS rows "
            f'FROM "{table.name}" WHERE kind = ? AND source = ANY(?) '
            f"GROUP BY source, {key} HAVING count(*) > 1"
        )
        with self.reading() as db:
            found = db.sql(query, params=[kind, list(sources)]).to_arrow_table()
        rows: list[dict[str, object]] = found.to_pylist()
        return rows

    def glance(
        self, table: Table, kind: str, sources: Sequence[str], rows: int
    ) -> tuple[int, pa.Table]:
        """How many rows the slices of `sources` hold, and the first few of them."""
        these = f'FROM "{table.name}" WHERE kind = ? AND source = ANY(?)'
        values: list[object] = [kind, list(sources)]
        with self.reading() as db:
            ((count,),) = db.execute(f"SELECT count(*) {these}", values).fetchall()
            first = db.sql(f"SELECT * {these} LIMIT {rows:d}", params=values).to_arrow_table()
        return int(count), first

    def behind(
        self,
        table: Table,
        kind: str,
        sources: Sequence[str],
        version: str,
        upstream: Sequence[Table],
    ) -> dict[str, Watermark]:
        """Slices of a derived `table` that do not yet reflect what is upstream, and where to.

        A derived slice stands at its newest input's snapshot; its version names all inputs.
        Read this before the inputs: a slice may then claim less than it holds, never more.
        """
        with self.reading() as db:
            known = _watermarks(db, table, kind)
            inputs = [_watermarks(db, each, kind) for each in upstream]
        due = {}
        for source in sources:
            marks = [marks[source] for marks in inputs if source in marks]
            if marks:
                made_of = ",".join(f"{m.snapshot}:{m.version}:{m.generation}" for m in marks)
                mark = Watermark(max(m.snapshot for m in marks), f"{version}({made_of})")
                if mark.replaces(known.get(source)):
                    due[source] = mark
        return due

    @staticmethod
    def _filters(
        kind: str | None, sources: Sequence[str] | None
    ) -> list[tuple[str, Sequence[str]]]:
        filters = [("kind", None if kind is None else [kind]), ("source", sources)]
        return [(column, list(some)) for column, some in filters if some is not None]

    @contextlib.contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection; other readers may come in, writers wait."""
        if not self._is_current():
            with self.writing() as db:
                _ensure(db)
        with self._open(read_only=True) as db:
            yield db

    def _is_current(self) -> bool:
        """Whether the file has every column of the registry; looked up until it has."""
        if not self._current and self.path.exists():
            with self._open(read_only=True) as db:
                self._current = not _missing(_stored(db))
        return self._current

    @contextlib.contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The only connection, inside one transaction, which an exception rolls back."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._open(read_only=False) as db:
            try:
                db.begin()
                yield db
                db.commit()
            except (duckdb.IOException, duckdb.FatalException) as error:
                raise _unusable(self.path, error) from error
            except BaseException:
                db.rollback()
                raise

    def written_since(self, since: datetime) -> int:
        """How many slices were written at that time or later."""
        query = "SELECT count(*) FROM watermarks WHERE written_at >= ?"
        with self.reading() as db:
            ((count,),) = db.execute(query, [since]).fetchall()
        return int(count)

    def watermarks(self, table: Table, kind: str) -> dict[str, Watermark]:
        """How far each source's slice of `table` has come."""
        with self.reading() as db:
            return _watermarks(db, table, kind)

    def write(self, batch: Batch) -> Written:
        """Put the slices in, in one transaction.

        Slices that already stand as far or further are left alone, so a run that lost a race
        or is repeated after a kill changes nothing. Raises Transient when the file stays
        locked for `wait_seconds`, BadConfig when it holds another schema.
        """
        with self.writing() as db:
            _ensure(db)
            known = _watermarks(db, batch.table, batch.kind)
            accepted = tuple(
                source
                for source, mark in batch.watermarks.items()
                if mark.replaces(known.get(source))
            )
            rows = _put(db, batch, accepted, known)
        superseded = tuple(source for source in batch.watermarks if source not in set(accepted))
        return Written(rows, accepted, superseded)

    @contextlib.contextmanager
    def held(self, shared: bool = False) -> Iterator[None]:
        """The lock without the file, for who copies (`shared`) or replaces it whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _file_lock(self.path, shared, time.monotonic() + self.wait_seconds):
            yield

    @contextlib.contextmanager
    def _open(self, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        deadline = time.monotonic() + self.wait_seconds
        with (
            _file_lock(self.path, shared=read_only, deadline=deadline),
            contextlib.closing(_connect(self.path, read_only, deadline)) as db,
        ):
            db.execute("SET TimeZone = 'UTC'")
            yield db


def _may_repeat(batch: Batch, known: Mapping[str, Watermark]) -> bool:
    """Whether rows to append may be there already: only up to where their slice stands."""
    first = batch.rows.group_by("source").aggregate([("snapshot", "min")]).to_pylist()
    return any(
        row["source"] in known and row["snapshot_min"] <= known[row["source"]].snapshot
        for row in first
    )


def _put(
    db: duckdb.DuckDBPyConnection,
    batch: Batch,
    sources: Sequence[str],
    known: Mapping[str, Watermark],
) -> int:
    """Replace or extend the slices of `sources`; returns the number of rows that went in."""
    if not sources:
        return 0
    name, columns = batch.table.name, _names(batch.table)
    appends = batch.table.mode is WriteMode.APPEND_ON_CHANGE
    replaced = [source for source in sources if not appends or source in batch.rewritten]
    db.execute(f'DELETE FROM "{name}" WHERE kind = ? AND source = ANY(?)', [batch.kind, replaced])
    kept = ""
    if appends and _may_repeat(batch, known):
        key = " AND ".join(f'known."{part}" = incoming."{part}"' for part in batch.table.key)
        kept = (
            f'AND NOT EXISTS (FROM "{name}" known WHERE known.kind = incoming.kind '
            f"AND known.source = incoming.source AND {key})"
        )
    db.register("incoming", batch.rows)
    all_in = set(sources) == set(batch.watermarks)
    only = "" if all_in else "AND incoming.source = ANY(?)"
    ((count,),) = db.execute(
        f'INSERT INTO "{name}" ({columns}) SELECT {columns} FROM incoming WHERE true {only} {kept}',
        [] if all_in else [list(sources)],
    ).fetchall()
    db.unregister("incoming")
    _set_watermarks(db, batch, sources)
    return int(count)


def _watermarks(db: duckdb.DuckDBPyConnection, table: Table, kind: str) -> dict[str, Watermark]:
    rows = db.execute(
        "SELECT source, snapshot, version, generation FROM watermarks "
        "WHERE table_name = ? AND kind = ?",
        [table.name, kind],
    ).fetchall()
    return {source: Watermark(*mark) for source, *mark in rows}


def _set_watermarks(db: duckdb.DuckDBPyConnection, batch: Batch, sources: Sequence[str]) -> None:
    marks = pa.table(
        {
            "source": list(sources),
            "snapshot": pa.array([batch.watermarks[s].snapshot for s in sources], pa.int64()),
            "version": [batch.watermarks[s].version for s in sources],
            "generation": pa.array([batch.watermarks[s].generation for s in sources], pa.int64()),
        }
    )
    where = [batch.table.name, batch.kind]
    db.execute(
        "DELETE FROM watermarks WHERE table_name = ? AND kind = ? AND source = ANY(?)",
        [*where, list(sources)],
    )
    db.register("marks", marks)
    db.execute(
        "INSERT INTO watermarks "
        "SELECT ?, ?, source, snapshot, version, generation, now() FROM marks",
        where,
    )
    db.unregister("marks")


def _ensure(db: duckdb.DuckDBPyConnection) -> None:
    """Create what is missing; add new columns; refuse columns of another type."""
    stored = _stored(db)
    for table in TABLES.values():
        if table.name not in stored:
            columns = ", ".join(_ddl(column) for column in table.columns)
            db.execute(f'CREATE TABLE "{table.name}" ({columns})')
        else:
            _migrate(db, table, stored[table.name])
    if "watermarks" not in stored:
        db.execute(WATERMARKS)
    for name, sql in VIEWS.items():
        if name not in stored:
            db.execute(f'CREATE VIEW "{name}" AS {sql}')


def _stored(db: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Tables and views in the file: name → column → SQL type."""
    stored: dict[str, dict[str, str]] = {}
    for table, column, sql_type in db.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
    ).fetchall():
        stored.setdefault(table, {})[column] = sql_type
    return stored


def _missing(stored: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether the registry has a table, column or view that the file lacks."""
    columns = any(
        column.name not in stored.get(table.name, {})
        for table in TABLES.values()
        for column in table.columns
    )
    return columns or not VIEWS.keys() <= stored.keys()


def _names(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.columns)


def _ddl(column: Column) -> str:
    return f'"{column.name}" {_sql_type(column)}'


def _sql_type(column: Column) -> str:
    return "JSON" if column.json else SQL_TYPES[column.type]


def _migrate(db: duckdb.DuckDBPyConnection, table: Table, found: Mapping[str, str]) -> None:
    for column in table.columns:
        if column.name not in found:
            db.execute(f'ALTER TABLE "{table.name}" ADD COLUMN {_ddl(column)}')
            continue
        here, there = _bare(_sql_type(column)), _bare(found[column.name])
        if here != there:
            raise BadConfig(
                f"warehouse table {table.name}, column {column.name}: is {there}, should be "
                f"{here}. Move the warehouse file away and materialise again: snapshots are kept"
            )


def _bare(sql_type: str) -> str:
    return sql_type.replace(" ", "").replace("TIMESTAMPWITHTIMEZONE", "TIMESTAMPTZ")


def _connect(path: Path, read_only: bool, deadline: float) -> duckdb.DuckDBPyConnection:
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only)
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise _unusable(path, error) from error
            if time.monotonic() > deadline:
                raise Transient(
                    f"warehouse {path} is open in another program; close it there: {error}"
                ) from error
        _pause()


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
