"""The warehouse in a schema of a Postgres server.

Belongs here: Arrow in and out by ADBC, who may write a slice, what its errors mean. Does not belong
here: which rows a write takes in (`warehouse`).

Who may write. A write locks the watermarks of its slices, in the order of their sources, before it
reads them: of two writers of one slice the second waits, those of others go on, and as all take
them in one order none waits for one that waits for it. A slice nobody has written yet gets an empty
watermark first, which only its transaction sees.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from scout_assets.domain.tables import TABLES, Table
from scout_assets.gateways import pgvector
from scout_assets.gateways.postgres import Postgres
from scout_assets.gateways.warehouse import (
    Batch,
    Connection,
    Values,
    Warehouse,
    Watermark,
)

if TYPE_CHECKING:
    from adbc_driver_postgresql import dbapi
from scout_assets.gateways.warehouse_views import VIEWS

__all__ = ["PostgresWarehouse"]

_STORED = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0
    AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
"""
_MAKING = 0x5C008
"""Who makes tables holds this advisory lock: processes that start at once take turns."""


class PostgresConnection(Connection):
    """An open connection, in one transaction. `raw`: ADBC's own."""

    def __init__(self, raw: "dbapi.Connection", schema: str) -> None:
        self.raw = raw
        self.schema = schema

    def execute(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        with self._ran(sql, values) as cursor:
            return [] if cursor.description is None else cursor.fetchall()

    def arrow(self, sql: str, values: Values = ()) -> pa.Table:
        written = _written_out(sql, values)  # ADBC fetches by COPY only what has no values
        with self._ran(written or sql, () if written else values) as cursor:
            return _plain(cursor.fetch_arrow_table())

    @contextlib.contextmanager
    def _ran(self, sql: str, values: Values) -> "Iterator[dbapi.Cursor]":
        query, ordered = _in_order(sql, values)
        with contextlib.closing(self.raw.cursor()) as cursor:
            cursor.execute(query, ordered or None)
            yield cursor

    def stage(self, name: str, rows: pa.Table) -> None:
        with contextlib.closing(self.raw.cursor()) as cursor:
            cursor.adbc_ingest(name, rows, mode="create", temporary=True)

    def insert(self, table: Table, rows: pa.Table) -> None:
        with contextlib.closing(self.raw.cursor()) as cursor:
            cursor.adbc_ingest(table.name, rows, mode="append", db_schema_name=self.schema)

    def _columns(self) -> list[tuple[str, str, str]]:
        return [(table, name, made) for table, name, made in self.execute(_STORED, [self.schema])]

    def _views(self) -> dict[str, str | None]:
        return dict(
            self.execute(
                "SELECT relname, obj_description(oid, 'pg_class') FROM pg_catalog.pg_class "
                "WHERE relnamespace = to_regnamespace($1) AND relkind = 'v'",
                [self.schema],
            )
        )

    def alone(self) -> None:
        """Every writer begins with the watermarks; readers go on."""
        self.execute("LOCK TABLE watermarks IN SHARE ROW EXCLUSIVE MODE")

    def _hash(self, columns: Sequence[str]) -> str:
        return f"hashtextextended(concat_ws('/', {', '.join(columns)}), 0)"

    def mark(self, table: Table, kind: str, marks: Mapping[str, Watermark]) -> None:
        self.execute(
            "INSERT INTO watermarks SELECT $1, $2, source, snapshot, version, generation, now() "
            "FROM unnest($3::text[], $4::bigint[], $5::text[], $6::bigint[]) "
            "AS new(source, snapshot, version, generation) "
            "ON CONFLICT (table_name, kind, source) DO UPDATE SET snapshot = excluded.snapshot, "
            "version = excluded.version, generation = excluded.generation, "
            "written_at = excluded.written_at",
            [
                table.name,
                kind,
                list(marks),
                [mark.snapshot for mark in marks.values()],
                [mark.version for mark in marks.values()],
                [mark.generation for mark in marks.values()],
            ],
        )


class PostgresWarehouse(Warehouse):
    """A schema of a Postgres server; writers of one slice take turns, all others go on.

    `tables` and `views`: those that it holds.
    """

    sql_types: Mapping[pa.DataType, str] = {
        pa.string(): "text",
        pa.bool_(): "boolean",
        pa.int64(): "bigint",
        pa.float64(): "double precision",
        pa.decimal128(18, 4): "numeric(18,4)",
        pa.timestamp("us", tz="UTC"): "timestamp with time zone",
        pa.date32(): "date",
        pa.list_(pa.string()): "text[]",
        pa.list_(pa.float32()): "real[]",
    }
    empty_watermarks = """
        CREATE TABLE watermarks (
            table_name text, kind text, source text, snapshot bigint, version text,
            generation bigint, written_at timestamptz, PRIMARY KEY (table_name, kind, source)
        )
    """
    move_away = "Rename the schema"
    nearest = staticmethod(pgvector.nearest)

    def __init__(
        self,
        server: Postgres,
        wait_seconds: float = 120.0,
        tables: Mapping[str, Table] = TABLES,
        views: Mapping[str, str] = VIEWS,
    ) -> None:
        self.server = server
        self.tables, self.views = tables, views
        self.wait_seconds = wait_seconds
        self._current = False

    @property
    def place(self) -> str:
        return self.server.place

    def exists(self) -> bool:
        with self._open() as db:
            return bool(db.stored())

    @contextlib.contextmanager
    def reading(self) -> Iterator[PostgresConnection]:
        """As all was at one moment; nobody waits for it."""
        self._prepare()
        with self._open() as db:
            db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield db

    @contextlib.contextmanager
    def writing(self) -> Iterator[PostgresConnection]:
        self._prepare()
        with self._open() as db:
            yield db
            db.raw.commit()

    def prepare_ranking(self, table: Table) -> None:
        with self.writing() as db:
            pgvector.prepare(db, table)

    def _claimed(self, db: Connection, batch: Batch) -> dict[str, Watermark]:
        these = [batch.table.name, batch.kind, sorted(batch.watermarks)]
        db.execute(
            "INSERT INTO watermarks (table_name, kind, source) "
            "SELECT $1, $2, source FROM unnest($3::text[]) AS source ORDER BY source "
            "ON CONFLICT DO NOTHING",
            these,
        )
        rows = db.execute(
            "SELECT source, snapshot, version, generation FROM watermarks "
            "WHERE table_name = $1 AND kind = $2 AND source = ANY($3) ORDER BY source FOR UPDATE",
            these,
        )
        return {source: Watermark(*mark) for source, *mark in rows if mark[0] is not None}

    # Schema

    def _prepare(self) -> None:
        """Make or widen the schema; looked up until it is as it should be."""
        if self._current:
            return
        with self._open() as db:
            outdated = self._outdated(db)
        if outdated:
            self.server.make_schema("warehouse")
            with self._open() as db:
                db.execute("SELECT pg_advisory_xact_lock($1)", [_MAKING])
                if self._outdated(db):  # another process may have been first
                    self._update(db)
                db.raw.commit()
        self._current = True

    def _create(self, db: Connection, table: Table) -> None:
        super()._create(db, table)
        key = dict.fromkeys(("kind", "source", *table.key))
        db.execute(f'ALTER TABLE "{table.name}" ADD PRIMARY KEY ({", ".join(key)})')
        if table.key[0] != "source":
            db.execute(f'CREATE INDEX ON "{table.name}" ({", ".join(table.key)})')
        for column in table.columns:
            if not column.nullable:
                db.execute(f'ALTER TABLE "{table.name}" ALTER "{column.name}" SET NOT NULL')

    @contextlib.contextmanager
    def _open(self) -> Iterator[PostgresConnection]:
        with self.server.connection("warehouse") as raw:
            db = PostgresConnection(raw, self.server.schema)
            db.execute(f"SET LOCAL lock_timeout = {self.wait_seconds * 1000:.0f}")
            yield db


def _written_out(sql: str, values: Values) -> str | None:
    """The query with its values in it; None where they are not all texts and lists of texts."""
    query, ordered = _in_order(sql, values)
    texts = [_literal(value) for value in ordered]
    if None in texts:
        return None
    return re.sub(r"\$(\d+)", lambda found: str(texts[int(found[1]) - 1]), query)


def _literal(value: object) -> str | None:
    """A text or list of texts as SQL; quotes are doubled (`standard_conforming_strings` is on)."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return f"ARRAY[{', '.join(str(_literal(one)) for one in value)}]::text[]"
    return None


NAMED = re.compile(r"\$([a-z_]\w*)")


def _in_order(sql: str, values: Values) -> tuple[str, list[object]]:
    """Postgres knows values by number only."""
    if not isinstance(values, Mapping):
        return sql, list(values)
    used = list(dict.fromkeys(NAMED.findall(sql)))
    numbered = NAMED.sub(lambda found: f"${used.index(found[1]) + 1}", sql)
    return numbered, [values[name] for name in used]


def _plain(found: pa.Table) -> pa.Table:
    """Numbers and JSON come as what only ADBC knows: as the registry has them instead."""
    for place, field in enumerate(found.schema):
        if isinstance(field.type, pa.BaseExtensionType):
            kept = pa.chunked_array(
                [chunk.storage for chunk in found.column(place).chunks], field.type.storage_type
            )
            is_number = getattr(field.type, "type_name", "") == "numeric"
            plain = kept.cast(pa.decimal128(18, 4)) if is_number else kept
            found = found.set_column(place, field.name, plain)
    return found
