"""Maintenance: removing what nobody needs any more, step by step.

Belongs here: which rows, files and jobs go, and the report of each step. Does not belong here: how
old they must be (`domain.retention`), Dagster's own records (`orchestration.maintenance`).

A step is safe beside running runs, and to repeat. Deleting rows and giving their slices a new
generation is one transaction, so what derives from them notices. A replay by changed code may bring
back rows that vanished lately; the next cleaning takes them again.

Offers of forgotten products stay: they are history, and `price_history` shows them by their ids.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BadConfig, ScoutFailure, contained
from scout_assets.domain.retention import (
    ALERTS_AFTER,
    ARTIFACT_GRACE,
    DISPATCHES_AFTER,
    QUARANTINE_AFTER,
    VANISHED_AFTER,
)
from scout_assets.domain.sources import State
from scout_assets.domain.tables import (
    BEST_PRICES,
    EMBEDDINGS,
    MATCHES,
    PARENTS,
    PRODUCTS,
    QUARANTINE,
    SEARCH_DOCUMENTS,
    SUPPLIER_ITEMS,
    TABLES,
    Table,
)
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets.gateways.home import Home
from scout_assets.gateways.warehouse import Connection, Warehouse
from scout_assets.gateways.whole_files import shrink_sqlite, shrink_warehouse

__all__ = ["EXAMPLES", "STEPS", "Cleaned", "Slice", "attempted", "chosen", "clean"]

EXAMPLES = 5
"""So many of what went are named."""

Slice = tuple[str, str, str]
"""Table, kind and source."""


@dataclass(frozen=True)
class Cleaned:
    """What one step removed, or would: how many of what, their bytes, and some of them by name.

    `slices` lost rows that others derive from. `failure`: why the step did nothing, or not all.
    """

    step: str
    counts: Mapping[str, int] = field(default_factory=dict)
    size: int = 0
    examples: Sequence[str] = ()
    slices: Sequence[Slice] = ()
    failure: ScoutFailure | None = None

    @property
    def removed(self) -> int:
        return sum(self.counts.values())


def clean(
    home: Home, now: datetime, only: Sequence[str] = (), dry_run: bool = False
) -> list[Cleaned]:
    """Take the steps, or only those named; with `dry_run` nothing goes, the reports are the same.

    A step that fails says so in its report and stops no other. Raises BadConfig for an unknown one.
    """
    return [
        attempted(name, partial(STEPS[name], home, now, dry_run)) for name in chosen(only, STEPS)
    ]


def chosen(only: Sequence[str], steps: Iterable[str]) -> list[str]:
    """The steps named, in their order; all without names. Raises BadConfig for an unknown one."""
    known = list(steps)
    unknown = sorted(set(only) - set(known))
    if unknown:
        raise BadConfig(f"no step {', '.join(unknown)}; there are {', '.join(known)}")
    return [name for name in known if not only or name in only]


def attempted(name: str, step: Callable[[], Cleaned]) -> Cleaned:
    """The step's report; why it failed, if it did."""
    try:
        with contained(f"cleaning, step {name}"):
            return step()
    except ScoutFailure as failure:
        return Cleaned(name, failure=failure)


# Rows


@dataclass(frozen=True)
class _Doomed:
    """Rows of a table to delete, called by a column; whether others derive from their slices."""

    table: str
    name: str
    where: str
    renews: bool = False


def _of(table: Table, where: str, renews: bool = False) -> _Doomed:
    return _Doomed(table.name, table.key[-1], where, renews)


def _marks(where: str) -> _Doomed:
    """A slice without a watermark is made anew from all snapshots, should its source come back."""
    return _Doomed(WATERMARKS, "table_name", where)


WATERMARKS = "watermarks"
GONE = "gone_at <= $before"
CHILDLESS = "NOT EXISTS (SELECT 1 FROM products WHERE products.parent_id = doomed.parent_id)"
VANISHED = (
    _of(PRODUCTS, GONE, renews=True),
    _of(PARENTS, f"{GONE} AND {CHILDLESS}", renews=True),
    _of(SUPPLIER_ITEMS, GONE, renews=True),
)
"""Products first: no parent goes before its products."""

UNKNOWN = "kind = ANY($kinds) AND source <> ALL($known)"
"""Tables about all sources at once have a kind of their own."""
GOODS = "(SELECT product_id FROM products UNION ALL SELECT draft_id FROM drafts)"
ORPHANS = (
    *(_of(table, UNKNOWN) for table in TABLES.values()),
    _marks(UNKNOWN),
    *(
        _of(table, f"NOT EXISTS (SELECT 1 FROM {origin} o WHERE o.{key} = doomed.{column})")
        for table, column, origin, key in (
            (EMBEDDINGS, "source", "parents", "source"),
            (SEARCH_DOCUMENTS, "parent_id", "parents", "parent_id"),
            (MATCHES, "item_id", "supplier_items", "item_id"),
            (BEST_PRICES, "product_id", GOODS, "product_id"),
        )
    ),
)
"""Derived rows among them are those that making their slice anew would leave out too."""
UNREADABLE = (
    _marks(
        "table_name = 'quarantine' AND source = ANY($old) "
        "AND source IN (SELECT source FROM quarantine)"
    ),
    _of(QUARANTINE, "source = ANY($old)"),
)


def _vanished(home: Home, now: datetime, dry_run: bool) -> Cleaned:
    """What no source has listed for 30 days: products, parents, supplier items."""
    return _delete(home, "vanished", VANISHED, lambda: {"before": now - VANISHED_AFTER}, dry_run)


def _orphans(home: Home, now: datetime, dry_run: bool) -> Cleaned:
    """Rows of sources the ledger does not know, and derived rows of what is not there.

    A ledger that knows no source at all is a new or a lost one: then nothing is an orphan.
    """

    def known() -> Mapping[str, list[str]]:
        keys = [item.source.key for item in home.ledger.sources()]
        return {"known": keys, "kinds": [kind.value for kind in Kind]}

    if not known()["known"]:
        return Cleaned("orphans")
    return _delete(home, "orphans", ORPHANS, known, dry_run)


def _quarantine(home: Home, now: datetime, dry_run: bool) -> Cleaned:
    """Unreadable rows of sources retired for 30 days: the table holds the last snapshot's only."""
    retired = home.ledger.sources(state=State.RETIRED)
    old = [item.source.key for item in retired if item.changed_at <= now - QUARANTINE_AFTER]
    return _delete(home, "quarantine", UNREADABLE, lambda: {"old": old}, dry_run)


def _delete(
    home: Home,
    step: str,
    doomed: Sequence[_Doomed],
    values: Callable[[], Mapping[str, Any]],
    dry_run: bool,
) -> Cleaned:
    """In each place of the warehouse one transaction over its tables."""
    if not home.warehouse.exists():
        return Cleaned(step)
    found: list[tuple[_Doomed, tuple[str, str, str]]] = []
    for part in home.warehouse.parts:
        here = [d for d in doomed if d.table == WATERMARKS or home.warehouse.at(d.table) is part]
        found += _deleted_at(part, here, values, dry_run)
    rows = [(each.table, name) for each, (*_, name) in found if each.table != WATERMARKS]
    counts = Counter(table for table, _ in rows)
    examples = [f"{table} {name}" for table, name in rows][:EXAMPLES]
    return Cleaned(step, counts, 0, examples, _renewed(found))


def _deleted_at(
    part: Warehouse,
    doomed: Sequence[_Doomed],
    values: Callable[[], Mapping[str, Any]],
    dry_run: bool,
) -> list[tuple[_Doomed, tuple[str, str, str]]]:
    """One transaction, in which `values` are asked; a preview is rolled back."""
    found: list[tuple[_Doomed, tuple[str, str, str]]] = []
    with contextlib.suppress(_Preview), part.writing() as db:
        db.alone()
        given = values()
        found = [(each, row) for each in doomed for row in _deleted(db, each, given)]
        _renew(db, _renewed(found))
        if dry_run:
            raise _Preview
    return found


def _renewed(found: Iterable[tuple[_Doomed, tuple[str, str, str]]]) -> list[Slice]:
    """Slices that lost rows others derive from."""
    return sorted({(each.table, kind, source) for each, (kind, source, _) in found if each.renews})


class _Preview(Exception):
    """Takes a transaction back."""


def _deleted(
    db: Connection, doomed: _Doomed, values: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """Kind, source and name of each row that went."""
    query = (
        f'DELETE FROM "{doomed.table}" doomed WHERE {doomed.where} '
        f'RETURNING kind, source, "{doomed.name}"'
    )
    used = {name: value for name, value in values.items() if f"${name}" in doomed.where}
    return [(kind, source, name) for kind, source, name in db.execute(query, used)]


def _renew(db: Connection, slices: Sequence[Slice]) -> None:
    """The slices as a new generation, so that what derives from them is made anew."""
    for each in slices:
        db.execute(
            "UPDATE watermarks SET generation = generation + 1 "
            "WHERE table_name = $1 AND kind = $2 AND source = $3",
            each,
        )


# Jobs and files


def _tasks(home: Home, now: datetime, dry_run: bool) -> Cleaned:
    """Jobs of the ML service that ended 7 days ago and that no replay reads."""
    landed = home.ledger.landed_pages()
    keys = [item.source.key for item in home.ledger.sources()]
    latest = home.ledger.latest_snapshots(keys).items()
    last = {(key, page.sha256) for key, snapshot in latest for page in snapshot.pages}
    jobs = home.courier.forget(landed, last, now, dry_run)
    return Cleaned("tasks", {"jobs": len(jobs)}, 0, [job.job_id for job in jobs][:EXAMPLES])


def _dispatches(home: Home, now: datetime, dry_run: bool) -> Cleaned:
    """Records of what was asked of Dagster, 30 days after their runs ended."""
    numbers = home.dispatches.forget(now - DISPATCHES_AFTER, dry_run)
    names = [f"dispatch {number}" for number in numbers]
    return Cleaned("dispatches", {"dispatches": len(names)}, 0, names[:EXAMPLES])


def _alerts(home: Home, now: datetime, dry_run: bool) -> Cleaned:
    """Alerts raised 90 days ago, delivered or not: delivering was given up long before."""
    subjects = home.alerts.forget(now - ALERTS_AFTER, dry_run)
    return Cleaned("alerts", {"alerts": len(subjects)}, 0, subjects[:EXAMPLES])


def _shared_files(home: Home, now: datetime, dry_run: bool) -> Cleaned:
    """Files handed to the ML service, after FILE_CLEANUP_TTL_HOURS."""
    removed = home.courier.cleanup(now, Counter(), dry_run)
    names = [path.name for path in removed.files]
    return Cleaned("shared_files", {"files": len(names)}, removed.size, names[:EXAMPLES])


def _artifacts(home: Home, now: datetime, dry_run: bool) -> Cleaned:
    """Artifacts of more than a day that neither a snapshot nor a job points at.

    A ledger that points at none is a new or a lost one: then all stay.
    """

    def used() -> set[str]:
        return {sha256 for _, sha256 in home.ledger.landed_pages()} | home.courier.results()

    if not used():
        return Cleaned("artifacts")
    removed = home.artifacts.remove_unused(used, now - ARTIFACT_GRACE, dry_run)
    size = sum(removed.values())
    return Cleaned("artifacts", {"files": len(removed)}, size, list(removed)[:EXAMPLES])


def _space(home: Home, now: datetime, dry_run: bool) -> Cleaned:
    """Journals folded in; files of which most is free written anew."""
    won = {
        part.path.stem: shrink_warehouse(part, dry_run)
        for part in home.warehouse.parts
        if isinstance(part, DuckDbWarehouse)
    }
    if home.ledger.is_file:
        won["ledger"] = shrink_sqlite(home.ledger.path, dry_run)
    return Cleaned("space", {}, sum(won.values()), [name for name, size in won.items() if size])


STEPS: Mapping[str, Callable[[Home, datetime, bool], Cleaned]] = {
    "vanished": _vanished,
    "orphans": _orphans,
    "quarantine": _quarantine,
    "tasks": _tasks,
    "dispatches": _dispatches,
    "alerts": _alerts,
    "shared_files": _shared_files,
    "artifacts": _artifacts,
    "space": _space,
}
"""In this order: a step frees what the next ones may take."""
