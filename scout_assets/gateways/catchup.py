"""Catching up: bring slices of the catalogue's tables to the last landed snapshot.

Belongs here: how far each slice has come, which snapshots it lacks, folding those in. Does
not belong here: the folds themselves (`domain.history`), the transaction (`warehouse`).

A slice made by other code is folded anew from all its snapshots. Offers are history: they are
folded anew only when the source's declaration changes what its pages mean, or when a person
asks (`rewrite`). Nothing here fails because of what a store wrote: a snapshot that can no
longer be read, or over which a reader crashes, goes to quarantine as one row.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scout_assets.domain.capture import RawSnapshot, Reader
from scout_assets.domain.failures import BrokenContract, Crashed, contained
from scout_assets.domain.history import Capture, Row, fold_offers, fold_rows
from scout_assets.domain.sources import Source
from scout_assets.domain.supply import settled_ids
from scout_assets.domain.tables import (
    LIST_SHEETS,
    OFFERS,
    PARENTS,
    PRODUCTS,
    QUARANTINE,
    SUPPLIER_ITEMS,
    Table,
    WriteMode,
)
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.snapshots import Snapshots
from scout_assets.gateways.warehouse import Batch, Warehouse, Watermark

__all__ = ["CATALOGUE_TABLES", "CaughtUp", "catch_up", "left_behind"]

CATALOGUE_TABLES: tuple[Table, ...] = (PARENTS, PRODUCTS, OFFERS, QUARANTINE)

CAPTURED: Mapping[str, Callable[[Capture], Sequence[Row]]] = {
    PARENTS.name: lambda seen: seen.parents,
    PRODUCTS.name: lambda seen: seen.products,
    SUPPLIER_ITEMS.name: lambda seen: seen.items,
    LIST_SHEETS.name: lambda seen: seen.sheets,
    QUARANTINE.name: lambda seen: seen.quarantine,
}
"""Where the rows of each table stand, but for those that are appended."""


@dataclass(frozen=True)
class CaughtUp:
    """Batches to write, one a table, and what happened to each source.

    `notices`: what readers noted about each source's last capture. `crashes`: readers that raised
    what they must not; each names its source.
    """

    batches: Mapping[str, Batch]
    counters: Mapping[str, Counter[str]]
    notices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    crashes: Sequence[Crashed] = ()


@dataclass(frozen=True)
class _Slice:
    """Where the slice of one table stands: the snapshot it is folded up to, and its rows."""

    base: int
    target: Watermark
    rewritten: bool = False
    rows: Sequence[Row] = ()


@dataclass
class _Work:
    """One source: its slices that are behind, and what their missing snapshots hold."""

    source: Source
    slices: dict[str, _Slice] = field(default_factory=dict)
    captures: list[Capture] = field(default_factory=list)
    unreadable: list[Row] = field(default_factory=list)
    crashes: list[Crashed] = field(default_factory=list)


def catch_up(
    kind: str,
    sources: Sequence[Source],
    tables: Sequence[Table],
    ledger: Ledger,
    snapshots: Snapshots,
    warehouse: Warehouse,
    reader: Reader,
    rewrite: bool = False,
) -> CaughtUp:
    """Fold into `tables` the snapshots that their slices of `sources` lack.

    Sources without a snapshot or not ready, and slices that stand at the last one, are left
    out of the batches. With `rewrite` every slice is folded anew. Writes nothing.
    """
    latest = ledger.latest_snapshots([source.key for source in sources])
    waiting = {
        source.key for source in sources if source.key in latest and not reader.ready(source)
    }
    works = {s.key: _Work(s) for s in sources if s.key in latest and s.key not in waiting}
    for table in tables:
        targets = {key: (work, latest[key].number) for key, work in works.items()}
        _stand(kind, table, targets, warehouse, reader, rewrite)
    counters: dict[str, Counter[str]] = {source.key: Counter() for source in sources}
    for key in waiting:
        counters[key]["sources/waiting"] += 1
    for key, work in works.items():
        if work.slices:
            _read(work, snapshots, reader, counters[key], latest[key].number)
        else:
            counters[key]["slices/unchanged"] += 1
    return CaughtUp(
        {t.name: _batch(kind, t, list(works.values())) for t in tables},
        counters,
        {key: work.captures[-1].notices for key, work in works.items() if work.captures},
        [crash for work in works.values() for crash in work.crashes],
    )


def left_behind(
    kind: str, landed: Mapping[str, tuple[int, int]], warehouse: Warehouse
) -> list[str]:
    """Sources of which no run has folded in whole what `landed` (`Ledger.landed_before`).

    Quarantine is written last, and always; a refresh of prices writes offers alone.
    """
    whole = warehouse.watermarks(QUARANTINE, kind)
    prices = warehouse.watermarks(OFFERS, kind)
    late = []
    for key, (last, full) in landed.items():
        folded = whole[key].snapshot if key in whole else 0
        priced = prices[key].snapshot if key in prices else 0
        if folded < full or max(folded, priced) < last:
            late.append(key)
    return late


def _stand(
    kind: str,
    table: Table,
    targets: Mapping[str, tuple[_Work, int]],
    warehouse: Warehouse,
    reader: Reader,
    rewrite: bool,
) -> None:
    """Find the slices of a table that are behind, with the rows to fold on from.

    Rows and watermarks are read at one moment: a rival may write at any other.
    """
    marks = warehouse.watermarks(table, kind)
    behind = [
        key
        for key, (work, number) in targets.items()
        if rewrite or Watermark(number, reader.version_of(work.source)).replaces(marks.get(key))
    ]
    relation = "current_offers" if table is OFFERS else table.name
    standing = warehouse.read_slices(table, kind, behind, relation)
    rows: dict[str, list[Row]] = {}
    for row in standing.rows.to_pylist():
        rows.setdefault(row["source"], []).append(row)
    for key in behind:
        work, number = targets[key]
        target = Watermark(number, reader.version_of(work.source))
        found = _slice(table, target, standing.watermarks.get(key), rewrite)
        if found is not None:
            kept = rows.get(key, ()) if found.base else ()
            work.slices[table.name] = replace(found, rows=kept)


def _slice(table: Table, target: Watermark, mark: Watermark | None, rewrite: bool) -> _Slice | None:
    """From where to where a slice is folded; None when a rival has brought it there."""
    if mark is None:
        return _Slice(0, target)
    if rewrite:
        return _Slice(0, target.after(mark), rewritten=True)
    if not target.replaces(mark):
        return None
    target = replace(target, generation=mark.generation)
    if mark.version == target.version:
        return _Slice(mark.snapshot, target)
    code, _, declared = target.version.partition("/")
    code_then, _, declared_then = mark.version.partition("/")
    if table is OFFERS and declared == declared_then and code != code_then:
        return _Slice(mark.snapshot, target)
    return _Slice(0, target.after(mark), rewritten=True)


def _read(
    work: _Work, snapshots: Snapshots, reader: Reader, counters: Counter[str], upto: int
) -> None:
    first = min(found.base for found in work.slices.values())
    for raw in snapshots.load(work.source.key, first, upto):
        try:
            with contained(f"{work.source.key}, snapshot {raw.number}"):
                seen = reader.read(work.source, raw)
        except (BrokenContract, Crashed) as error:
            counters["snapshots/unreadable"] += 1
            work.unreadable = [_unreadable(work.source, raw, error)]
            if isinstance(error, Crashed):
                counters["snapshots/crashed"] += 1
                work.crashes.append(error)
            continue
        counters.update(seen.counters)
        work.captures.append(seen)
        work.unreadable = []


def _unreadable(source: Source, raw: RawSnapshot, error: BrokenContract | Crashed) -> Row:
    return {
        "kind": source.kind.value,
        "source": source.key,
        "snapshot": raw.number,
        "place": "whole snapshot",
        "reason": str(error),
        "row": raw.hash,
    }


def _batch(kind: str, table: Table, works: Sequence[_Work]) -> Batch:
    due = [
        (work, work.slices[table.name])
        for work in works
        if table.name in work.slices and (table is QUARANTINE or not _lost(work, table))
    ]
    rows: list[Row] = []
    for work, found in due:
        fresh = [seen for seen in work.captures if seen.snapshot > found.base]
        rows.extend(_fold(table, found.rows, fresh, work.unreadable))
    return Batch(
        table,
        kind,
        table.arrow(rows),
        {work.source.key: found.target for work, found in due},
        frozenset(work.source.key for work, found in due if found.rewritten),
    )


def _lost(work: _Work, table: Table) -> bool:
    """Whether a slice would be folded anew from nothing: its last good rows stay instead."""
    return work.slices[table.name].rewritten and bool(work.unreadable) and not work.captures


def _fold(
    table: Table, before: Iterable[Row], captures: Sequence[Capture], unreadable: Sequence[Row]
) -> list[Row]:
    if table is OFFERS:
        return fold_offers(before, captures)
    if table is QUARANTINE and unreadable:
        return list(unreadable)
    if table.mode is WriteMode.REPLACE:
        return list(CAPTURED[table.name](captures[-1])) if captures else list(before)
    rows = [(seen.captured_at, CAPTURED[table.name](seen)) for seen in captures]
    if table is SUPPLIER_ITEMS:
        return fold_rows(before, rows, table.key[0], settled_ids)
    return fold_rows(before, rows, table.key[0])
