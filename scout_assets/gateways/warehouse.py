"""The warehouse: tables of assets, one interface whatever engine keeps them.

Belongs here: which slices a write takes in, what may be read, how far each slice has come. Does not
belong here: what rows mean, which rows to write, how an engine is opened and locked
(`duckdb_warehouse`, `postgres_warehouse`).

Every write is one transaction. SQL here is what all engines understand, with `$1` for the first
value.
"""

import contextlib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.tables import TABLES, Column, Table, WriteMode
from scout_assets.gateways.warehouse_views import VIEWS

__all__ = [
    "Batch",
    "Connection",
    "Nearest",
    "Slice",
    "Slices",
    "Standing",
    "Values",
    "Warehouse",
    "Watermark",
    "Written",
    "without_nul",
]

Values = Sequence[object] | Mapping[str, object]
"""Of a query: for `$1`, `$2` … in order, or by name."""


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


Slice = tuple[str, str]
"""Kind and source: which slice of a table."""


@dataclass(frozen=True)
class Standing:
    """How far a slice has come, and its number of rows."""

    mark: Watermark
    rows: int


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


class Connection(ABC):
    """A warehouse that is open, within one transaction."""

    @abstractmethod
    def execute(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Run one statement; returns its rows."""

    @abstractmethod
    def arrow(self, sql: str, values: Values = ()) -> pa.Table:
        """The rows of a query; JSON as text, decimals as decimal128(18, 4)."""

    @abstractmethod
    def stage(self, name: str, rows: pa.Table) -> None:
        """Let queries of this connection see `rows` as a relation."""

    @abstractmethod
    def insert(self, table: Table, rows: pa.Table) -> None:
        """Add rows of the table's schema."""

    @abstractmethod
    def _columns(self) -> list[tuple[str, str, str]]:
        """Table or view, column and SQL type of all that is there."""

    @abstractmethod
    def _hash(self, columns: Sequence[str]) -> str:
        """SQL for a 64-bit number that changes with what the columns of a row hold."""

    @abstractmethod
    def _views(self) -> dict[str, str | None]:
        """The views that are there, each with its comment."""

    @abstractmethod
    def alone(self) -> None:
        """Nobody else writes until the end of the transaction; before the first change."""

    @abstractmethod
    def mark(self, table: Table, kind: str, marks: Mapping[str, "Watermark"]) -> None:
        """Set the watermarks of some slices."""

    def stored(self) -> dict[str, dict[str, str]]:
        """Tables and views that are there: name → column → SQL type."""
        stored: dict[str, dict[str, str]] = {}
        for table, column, sql_type in self._columns():
            stored.setdefault(table, {})[column] = sql_type
        return stored

    def fingerprint(self, relation: str, columns: Sequence[str]) -> tuple[int, int]:
        """How many rows there are, and a 64-bit number that changes with what they hold."""
        ((count, content),) = self.execute(
            f'SELECT count(*), coalesce(bit_xor({self._hash(columns)}), 0) FROM "{relation}"'
        )
        return int(count), int(content) & 0xFFFF_FFFF_FFFF_FFFF

    def watermarks(self, table: Table, kind: str) -> "dict[str, Watermark]":
        """How far each source's slice of `table` has come."""
        rows = self.execute(
            "SELECT source, snapshot, version, generation FROM watermarks "
            "WHERE table_name = $1 AND kind = $2",
            [table.name, kind],
        )
        return {source: Watermark(*mark) for source, *mark in rows}


class Nearest(Protocol):
    """Rows of `table` most like `vector`: their key and inner product (`likeness`), in no order.

    `passing`: the condition of the rows that count, with its `values`, by name; of them there are
    `limit` or more.
    """

    def __call__(
        self,
        db: "Connection",
        table: Table,
        vector: NDArray[np.float32],
        passing: str,
        values: Mapping[str, object],
        limit: int,
    ) -> pa.Table: ...


class Warehouse(ABC):
    """Tables of assets in some place. Instances are cheap; nothing stays open between calls."""

    nearest: Nearest | None = None
    """Ranks vectors where they are; None where whoever searches had better read them."""

    sql_types: Mapping[pa.DataType, str]
    """The engine's names of the types of `domain.tables`."""
    tables: Mapping[str, Table] = TABLES
    views: Mapping[str, str] = VIEWS
    """What is kept: all of the registry, or for a copy some of it."""
    empty_watermarks: str
    """The table that tells how far each slice has come, as DDL."""

    @abstractmethod
    def prepare_ranking(self, table: Table) -> None:
        """See that whoever ranks the table's vectors is ready, where the engine does.

        Raises BadConfig, with the mend, when it cannot.
        """

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, for people; without any password."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether anything was ever written."""

    @abstractmethod
    def reading(self) -> contextlib.AbstractContextManager[Connection]:
        """To read, everything at one moment."""

    @abstractmethod
    def writing(self) -> contextlib.AbstractContextManager[Connection]:
        """To write, in one transaction, which an exception rolls back.

        As `reading`, it first gives an older warehouse what the registry has by now.
        """

    def at(self, relation: str) -> "Warehouse":
        """Where a table or view is kept; elsewhere only in a `MixedWarehouse`."""
        return self

    @property
    def parts(self) -> "tuple[Warehouse, ...]":
        """The places it consists of, the main one first."""
        return (self,)

    @abstractmethod
    def _claimed(self, db: Connection, batch: Batch) -> dict[str, Watermark]:
        """The watermarks of the batch's slices, which nobody else moves until the end of the
        transaction."""

    def read(
        self,
        relation: str,
        kind: str | None = None,
        sources: Sequence[str] | None = None,
    ) -> pa.Table:
        """Slices of a table or view of the registry; empty when nothing was written yet."""
        filters = {"kind": None if kind is None else [kind], "source": sources}
        wanted = {column: list(some) for column, some in filters.items() if some is not None}
        where = [f"{column} = ANY(${place})" for place, column in enumerate(wanted, start=1)]
        columns = names(TABLES[relation]) if relation in TABLES else "*"
        query = f'SELECT {columns} FROM "{relation}" WHERE {" AND ".join(where) or "true"}'
        with self.at(relation).reading() as db:
            arrow = db.arrow(query, list(wanted.values()))
        return arrow.cast(TABLES[relation].schema) if relation in TABLES else arrow

    def read_slices(
        self, table: Table, kind: str, sources: Sequence[str], view: str = ""
    ) -> Slices:
        """The slices of `sources` with their watermarks; the two always fit together.

        `view` may name a view with the table's columns to read the rows from.
        """
        relation = view or table.name
        query = f'SELECT {names(table)} FROM "{relation}" WHERE {_SLICES}'
        with self.at(table.name).reading() as db:
            rows = db.arrow(query, [kind, list(sources)])
            marks = db.watermarks(table, kind)
        wanted = {source: marks[source] for source in sources if source in marks}
        return Slices(rows.cast(table.schema), wanted)

    def stored_schema(self, table: Table) -> pa.Schema:
        """The columns as they are in the file; JSON counts as the text it is stored as."""
        with self.at(table.name).reading() as db:
            return db.arrow(f'SELECT * FROM "{table.name}" LIMIT 0').schema

    def duplicates(
        self, table: Table, kind: str, sources: Sequence[str]
    ) -> list[dict[str, object]]:
        """Keys of `table` that more than one row has, by source."""
        key = ", ".join(f'"{part}"' for part in table.key)
        query = (
            f"SELECT source, concat_ws('/', {key}) AS key, count(*) AS rows "
            f'FROM "{table.name}" WHERE {_SLICES} '
            f"GROUP BY source, {key} HAVING count(*) > 1"
        )
        with self.at(table.name).reading() as db:
            found = db.arrow(query, [kind, list(sources)])
        rows: list[dict[str, object]] = found.to_pylist()
        return rows

    def glance(
        self, table: Table, kind: str, sources: Sequence[str], rows: int
    ) -> tuple[int, pa.Table]:
        """How many rows the slices of `sources` hold, and the first few of them."""
        these = f'FROM "{table.name}" WHERE {_SLICES}'
        values: list[object] = [kind, list(sources)]
        with self.at(table.name).reading() as db:
            ((count,),) = db.execute(f"SELECT count(*) {these}", values)
            first = db.arrow(f"SELECT * {these} LIMIT {rows:d}", values)
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
        with self.at(table.name).reading() as db:
            known = db.watermarks(table, kind)
            inputs = [db.watermarks(each, kind) for each in upstream if self._beside(table, each)]
        inputs += [self.watermarks(e, kind) for e in upstream if not self._beside(table, e)]
        due = {}
        for source in sources:
            marks = [marks[source] for marks in inputs if source in marks]
            if marks:
                made_of = ",".join(f"{m.snapshot}:{m.version}:{m.generation}" for m in marks)
                mark = Watermark(max(m.snapshot for m in marks), f"{version}({made_of})")
                if mark.replaces(known.get(source)):
                    due[source] = mark
        return due

    def _beside(self, table: Table, other: Table) -> bool:
        return self.at(table.name) is self.at(other.name)

    def written_since(self, since: datetime) -> int:
        """How many slices were written at that time or later."""
        query = "SELECT count(*) FROM watermarks WHERE written_at >= $1"
        written = 0
        for part in self.parts:
            with part.reading() as db:
                ((count,),) = db.execute(query, [since])
                written += count
        return written

    def last_written(self, table: Table, kind: str) -> datetime | None:
        """When a slice of `table` was written last; None when none ever was."""
        query = "SELECT max(written_at) FROM watermarks WHERE table_name = $1 AND kind = $2"
        with self.at(table.name).reading() as db:
            ((at,),) = db.execute(query, [table.name, kind])
        return None if at is None else at.astimezone(UTC)

    def watermarks(self, table: Table, kind: str) -> dict[str, Watermark]:
        """How far each source's slice of `table` has come."""
        with self.at(table.name).reading() as db:
            return db.watermarks(table, kind)

    def write(self, batch: Batch) -> Written:
        """Put the slices in, in one transaction.

        Slices that already stand as far or further are left alone, so a run that lost a race
        or is repeated after a kill changes nothing. Raises Transient when others' writes had to be
        waited for too long, BadConfig when it holds another schema.
        """
        return self.at(batch.table.name)._write(batch, Watermark.replaces)

    def mirror(self, batch: Batch) -> Written:
        """Make the slices what they are in the batch, however far they stand: for a copy.

        Raises as `write`.
        """
        whole = replace(batch, rewritten=frozenset(batch.watermarks))
        return self.at(batch.table.name)._write(whole, lambda _mark, _known: True)

    def _write(
        self, batch: Batch, accepts: Callable[[Watermark, Watermark | None], bool]
    ) -> Written:
        with self.writing() as db:
            known = self._claimed(db, batch)
            accepted = {
                source: mark
                for source, mark in batch.watermarks.items()
                if accepts(mark, known.get(source))
            }
            rows = _put(db, batch, accepted, known)
        superseded = tuple(source for source in batch.watermarks if source not in accepted)
        return Written(rows, tuple(accepted), superseded)

    def standing(self, table: Table) -> dict[Slice, Standing]:
        """How all slices of `table` stand."""
        marks = (
            "SELECT kind, source, snapshot, version, generation FROM watermarks "
            "WHERE table_name = $1"
        )
        counts = f'SELECT kind, source, count(*) FROM "{table.name}" GROUP BY kind, source'
        with self.at(table.name).reading() as db:
            rows = {(kind, source): count for kind, source, count in db.execute(counts)}
            return {
                (kind, source): Standing(Watermark(*mark), rows.get((kind, source), 0))
                for kind, source, *mark in db.execute(marks, [table.name])
            }

    def forget(self, table: Table, slices: Iterable[Slice]) -> None:
        """Remove slices with their watermarks, in one transaction."""
        with self.at(table.name).writing() as db:
            db.alone()
            for piece in slices:
                db.execute(f'DELETE FROM "{table.name}" WHERE kind = $1 AND source = $2', piece)
                db.execute(
                    "DELETE FROM watermarks WHERE table_name = $1 AND kind = $2 AND source = $3",
                    [table.name, *piece],
                )

    # Schema

    def _update(self, db: Connection) -> None:
        """Give an outdated warehouse what is missing; refuse columns of another type."""
        stored = db.stored()
        for table in self.tables.values():
            if table.name not in stored:
                self._create(db, table)
            else:
                self._migrate(db, table, stored[table.name])
        if WATERMARKS not in stored:
            db.execute(self.empty_watermarks)
        for name in reversed(list(self.views)):
            db.execute(f'DROP VIEW IF EXISTS "{name}"')
        versions = self._versions()
        for name, sql in self.views.items():
            db.execute(f'CREATE VIEW "{name}" AS {sql}')
            db.execute(f"""COMMENT ON VIEW "{name}" IS '{versions[name]}'""")

    def _outdated(self, db: Connection) -> bool:
        """Whether a table, column or view of the registry is not there, or is another."""
        stored = db.stored()
        columns = all(
            _bare(stored.get(table.name, {}).get(column.name, "")) == _bare(self._sql_type(column))
            for table in self.tables.values()
            for column in table.columns
        )
        return not columns or WATERMARKS not in stored or db._views() != self._versions()

    def _versions(self) -> dict[str, str | None]:
        """Kept as comments: a view whose SQL has changed is made anew."""
        digests = {name: hashlib.sha256(sql.encode()) for name, sql in self.views.items()}
        return {name: digest.hexdigest()[:16] for name, digest in digests.items()}

    def _create(self, db: Connection, table: Table) -> None:
        columns = ", ".join(self._ddl(column) for column in table.columns)
        db.execute(f'CREATE TABLE "{table.name}" ({columns})')

    def _migrate(self, db: Connection, table: Table, found: Mapping[str, str]) -> None:
        for column in table.columns:
            if column.name not in found:
                db.execute(f'ALTER TABLE "{table.name}" ADD COLUMN {self._ddl(column)}')
                continue
            here, there = _bare(self._sql_type(column)), _bare(found[column.name])
            if here != there:
                raise BadConfig(
                    f"warehouse table {table.name}, column {column.name}: is {there}, should be "
                    f"{here}. {self.move_away} and materialise again: snapshots are kept"
                )

    move_away: str
    """How a person gets a warehouse of another schema out of the way."""

    def _ddl(self, column: Column) -> str:
        return f'"{column.name}" {self._sql_type(column)}'

    def _sql_type(self, column: Column) -> str:
        return "JSON" if column.json else self.sql_types[column.type]


WATERMARKS = "watermarks"
_SLICES = "kind = $1 AND source = ANY($2)"


def names(table: Table) -> str:
    """The table's columns as a query lists them."""
    return ", ".join(f'"{column.name}"' for column in table.columns)


def _put(
    db: Connection,
    batch: Batch,
    accepted: Mapping[str, Watermark],
    known: Mapping[str, Watermark],
) -> int:
    """Replace or extend the slices of accepted sources; returns the number of rows that went in."""
    if not accepted:
        return 0
    name, rows = batch.table.name, batch.rows
    if len(accepted) < len(batch.watermarks):
        rows = rows.filter(pc.is_in(rows["source"], pa.array(accepted, pa.string())))
    appends = batch.table.mode is WriteMode.APPEND_ON_CHANGE
    replaced = [source for source in accepted if not appends or source in batch.rewritten]
    db.execute(f'DELETE FROM "{name}" WHERE {_SLICES}', [batch.kind, replaced])
    if appends:
        rows = _not_there(db, batch, rows, known)
    if rows.num_rows:
        db.insert(batch.table, without_nul(rows))
    db.mark(batch.table, batch.kind, accepted)
    return int(rows.num_rows)


def _not_there(
    db: Connection, batch: Batch, rows: pa.Table, known: Mapping[str, Watermark]
) -> pa.Table:
    """Rows to append that are not there already; they may be up to where their slice stands."""
    first = rows.group_by("source").aggregate([("snapshot", "min")]).to_pylist()
    again = [
        row["source"]
        for row in first
        if row["source"] in known and row["snapshot_min"] <= known[row["source"]].snapshot
    ]
    if not again:
        return rows
    columns = ["source", *batch.table.key]
    listed = ", ".join(f'"{column}"' for column in columns)
    query = f'SELECT {listed} FROM "{batch.table.name}" WHERE {_SLICES}'
    there = set(db.execute(query, [batch.kind, again]))
    keys = zip(*(rows[column].to_pylist() for column in columns), strict=True)
    return rows.filter(pa.array([key not in there for key in keys], pa.bool_()))


def without_nul(rows: pa.Table) -> pa.Table:
    """Texts without U+0000, which stores send at times and Postgres keeps in no text."""
    for place, field in enumerate(rows.schema):
        of_lists = pa.types.is_list(field.type) and pa.types.is_string(field.type.value_type)
        if not (of_lists or pa.types.is_string(field.type)):
            continue
        texts = pc.list_flatten(rows[place]) if of_lists else rows[place]
        if pc.any(pc.match_substring(texts, "\0")).as_py():
            clean = [_bare_of_nul(value) for value in rows[place].to_pylist()]
            rows = rows.set_column(place, field, pa.array(clean, field.type))
    return rows


def _bare_of_nul(value: str | list[str] | None) -> str | list[str] | None:
    if isinstance(value, list):
        return [text.replace("\0", "") for text in value]
    return value and value.replace("\0", "")


def _bare(sql_type: str) -> str:
    return sql_type.upper().replace(" ", "").replace("TIMESTAMPWITHTIMEZONE", "TIMESTAMPTZ")
