"""Vectors of a table on Postgres, ranked by pgvector's HNSW index.

Belongs here: the extension, the index, the query that uses it. Does not belong here: what is
searched and within which filters (`vectors`).

Vectors stay arrays of reals, as ADBC reads and writes them; the index is over an expression. Below
`INDEXED_FROM` rows there is none: comparing all takes milliseconds, is exact, and each write of an
indexed row costs one. Where the filters leave few rows, Postgres compares those instead.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.tables import Table
from scout_assets.gateways.warehouse import Connection

__all__ = ["INDEXED_FROM", "nearest", "prepare"]

INDEXED_FROM = 10_000
"""Rows from which on there is an index: 10,000 x 256 are compared in about 20 ms."""
EXPLORED = 1000
"""Candidates that a query keeps (`hnsw.ef_search`, at most 1000): more is slower and finds more."""
CONSIDERED = 128
"""Candidates for the neighbours of a row when it comes in (`ef_construction`, default 64). With
both, recall@10 over 100,000 texts was 0.99, one query 13 ms, the index made in half a minute."""
_BUILDING = {"maintenance_work_mem": "'512MB'", "max_parallel_maintenance_workers": 0}
"""In memory, but of one process: several take as much of /dev/shm, which containers have not."""
OLDEST = (0, 8)
"""The first pgvector that goes on scanning while filters drop what it found."""
_ASKING = {
    "hnsw.ef_search": EXPLORED,
    "hnsw.iterative_scan": "relaxed_order",
    "hnsw.max_scan_tuples": 2**31 - 1,
    "hnsw.scan_mem_multiplier": 100,
}
"""While filters drop what was found the scan goes on, within that many times work_mem; whoever asks
puts what came in order."""
_PREPARING = 0x5C009
"""Who makes extension or index holds this advisory lock: runs that end at once take turns."""

_INSTALLED = """
SELECT extversion, nspname FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'vector'
"""
_MAY_INSTALL = """
SELECT true FROM pg_catalog.pg_available_extension_versions
WHERE name = 'vector' AND (
    trusted OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
)
"""


def prepare(db: Connection, table: Table) -> None:
    """Install the extension where that is allowed; from `INDEXED_FROM` rows on make the index.

    Raises BadConfig, with the mend, where pgvector is missing or too old.
    """
    db.execute("SELECT pg_advisory_xact_lock($1)", [_PREPARING])
    if not db.execute(_INSTALLED) and db.execute(_MAY_INSTALL):
        db.execute("CREATE EXTENSION vector SCHEMA public")
    _need_extension(db)
    row = db.execute(f'SELECT cardinality("{table.ranked}") FROM "{table.name}" LIMIT 1')
    if row and not _is_indexed(db, table, row[0][0]):
        _index(db, table, row[0][0])


def _is_indexed(db: Connection, table: Table, size: int) -> bool:
    named = "SELECT to_regclass(format('%I.%I', current_schema(), $1))"
    ((made,),) = db.execute(named, [_named(table, size)])
    return made is not None


def _index(db: Connection, table: Table, size: int) -> None:
    of_size = _of_size(table, size)
    ((count,),) = db.execute(f'SELECT count(*) FROM "{table.name}" WHERE {of_size}')
    if count < INDEXED_FROM:
        return
    for name, value in _BUILDING.items():
        db.execute(f"SET LOCAL {name} = {value}")
    db.execute(
        f'CREATE INDEX "{_named(table, size)}" ON "{table.name}" USING hnsw '
        f"({_as_vector(table, size)} vector_ip_ops) WITH (ef_construction = {CONSIDERED}) "
        f"WHERE {of_size}"
    )


def _named(table: Table, size: int) -> str:
    return f"{table.name}_{table.ranked}_{size:d}"


def nearest(
    db: Connection,
    table: Table,
    vector: NDArray[np.float32],
    passing: str,
    values: Mapping[str, object],
    limit: int,
) -> pa.Table:
    """As `warehouse.Nearest` says. Raises BadConfig as `prepare`."""
    _need_extension(db)
    for name, value in _ASKING.items():
        db.execute(f"SET LOCAL {name} = {value}")
    (key,), size = table.key, len(vector)
    distance = f"{_as_vector(table, size)} <#> CAST($asked AS vector({size:d}))"
    query = (
        f'SELECT "{key}", -({distance}) AS likeness FROM "{table.name}" '
        f"WHERE {_of_size(table, size)} AND {passing} ORDER BY {distance} LIMIT {limit:d}"
    )
    asked = {**values, "asked": f"[{','.join(map(str, vector.tolist()))}]"}
    found = db.arrow(query, asked)
    if found.num_rows < limit:  # the scan ended early: compare all that pass
        db.execute("SET LOCAL enable_indexscan = off")
        found = db.arrow(query, asked)
    return found


def _need_extension(db: Connection) -> None:
    """Its types and operators are found by name afterwards, wherever they are."""
    installed = db.execute(_INSTALLED)
    version, schema = installed[0] if installed else ("none", "public")
    if not installed or tuple(map(int, version.split(".")[:2])) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise BadConfig(
            f"search on Postgres needs the extension `vector` {wanted} or newer, and there is "
            f"{version}. Install pgvector on the server, then in this database, as its superuser: "
            f"{'ALTER EXTENSION vector UPDATE' if installed else 'CREATE EXTENSION vector'}"
        )
    path = "current_setting('search_path') || ', ' || quote_ident($1)"
    db.execute(f"SELECT set_config('search_path', {path}, true)", [schema])


def _as_vector(table: Table, size: int) -> str:
    return f'("{table.ranked}"::vector({size:d}))'


def _of_size(table: Table, size: int) -> str:
    return f'cardinality("{table.ranked}") = {size:d}'
