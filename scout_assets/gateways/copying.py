"""One warehouse brought to what another holds, and whether both hold the same.

Belongs here: whose copy it is, which slices differ, copying them in pieces. Does not belong here:
which tables, from where and why (`moving`, `orchestration.assets.published`).

A piece is one transaction, and how far a slice has come goes with its rows: a copy that was
interrupted goes on where it stopped, and one of nothing new writes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import duckdb
import pyarrow as pa

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.tables import Table
from scout_assets.gateways.warehouse import (
    Batch,
    Connection,
    Slice,
    Standing,
    Warehouse,
    without_nul,
)

__all__ = ["Copied", "behind", "bring", "take", "unlike"]

_OWNER = "owner"
"""In the place of a table's name, the watermark that tells whose copy a warehouse is."""

PIECE = 200_000
"""Rows that are copied at once, unless one slice alone has more."""


@dataclass(frozen=True)
class Copied:
    """What a copy wrote: `rows` in so many `slices`, of `total` rows; `removed` slices the original
    has no more."""

    total: int
    rows: int
    slices: int
    removed: int


def take(there: Warehouse, owner: str) -> None:
    """Make sure that a copy is the owner's, an installation by its identity.

    Raises BadConfig when it is another one's, or holds anything and is nobody's copy.
    """
    with there.writing() as db:
        if not _owners(db):
            db.alone()  # of two who come first, one does
            if not db.execute("SELECT true FROM watermarks LIMIT 1"):
                db.execute(
                    "INSERT INTO watermarks (table_name, kind, source, version) "
                    "VALUES ($1, '', '', $2)",
                    [_OWNER, owner],
                )
        if _owners(db) != [(owner,)]:
            raise BadConfig(
                f"{there.place} holds what is not from this installation. Name an empty database, "
                "or drop that schema if nobody needs it: it is filled anew"
            )


def _owners(db: Connection) -> list[tuple[str]]:
    return db.execute("SELECT version FROM watermarks WHERE table_name = $1", [_OWNER])


def behind(here: Warehouse, there: Warehouse, table: Table) -> bool:
    """Whether a copy of a table is not what the original is."""
    return here.standing(table) != there.standing(table)


def bring(here: Warehouse, there: Warehouse, table: Table) -> Copied:
    """Make a table `there` what it is `here`; only slices that differ are read and written.

    Slices differ by how far they have come or by their number of rows: maintenance takes rows away
    and leaves the watermark.
    """
    wanted, known = here.standing(table), there.standing(table)
    differing = {piece: stands for piece, stands in wanted.items() if known.get(piece) != stands}
    rows = 0
    for kind, sources in _pieces(differing):
        read = here.read_slices(table, kind, sources)
        rows += there.mirror(Batch(table, kind, read.rows, read.watermarks)).rows
    gone = known.keys() - wanted.keys()
    if gone:
        there.forget(table, gone)
    total = sum(stands.rows for stands in wanted.values())
    return Copied(total, rows, len(differing), len(gone))


def unlike(here: Warehouse, there: Warehouse, table: Table) -> list[Slice]:
    """Slices of a table that do not hold the same rows, by number and hash of all they hold."""
    wanted, known = here.standing(table), there.standing(table)
    same = {piece: stands for piece, stands in wanted.items() if known.get(piece) == stands}
    found = sorted((wanted.keys() | known.keys()) - same.keys())
    for kind, sources in _pieces(same):
        sides = (each.read_slices(table, kind, sources).rows for each in (here, there))
        one, other = map(_contents, sides)
        found += [(kind, source) for source in sources if one.get(source) != other.get(source)]
    return found


def _pieces(slices: Mapping[Slice, Standing]) -> Iterator[tuple[str, list[str]]]:
    """Kind and sources that are copied in one transaction."""
    for kind, some in groupby(sorted(slices), key=lambda piece: piece[0]):
        sources: list[str] = []
        rows = 0
        for _, source in some:
            if sources and rows + slices[kind, source].rows > PIECE:
                yield kind, sources
                sources, rows = [], 0
            sources.append(source)
            rows += slices[kind, source].rows
        yield kind, sources


def _contents(rows: pa.Table) -> dict[str, tuple[int, int]]:
    """Source → how many rows, and a number that changes with anything in them, not their order."""
    with duckdb.connect() as db:
        db.register("rows", without_nul(rows))
        found: Iterable[tuple[str, int, int]] = db.execute(
            "SELECT source, count(*), sum(hash(rows)::HUGEINT) FROM rows GROUP BY source"
        ).fetchall()
    return {source: (count, int(content)) for source, count, content in found}
