"""Asset checks of a lane: one step reads the tables once and judges them all.

Belongs here: which rule guards which asset, its severity, and how findings are shown. Does
not belong here: the rules (`domain.quality`).

Over a range a check runs once: one result per check and run, with a table of what fails and
where. Only schema and referential integrity block what follows.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import dagster as dg

from scout_assets.domain import quality
from scout_assets.domain.cadence import stale_since
from scout_assets.domain.catalogue import Kind
from scout_assets.domain.jobs import Phase
from scout_assets.domain.quality import Finding
from scout_assets.domain.sources import Source, State
from scout_assets.domain.tables import (
    LIST_SHEETS,
    MATCHES,
    OFFERS,
    PARENTS,
    PRODUCTS,
    QUARANTINE,
    SUPPLIER_ITEMS,
    Table,
)
from scout_assets.gateways.home import Home
from scout_assets.gateways.ledger import KnownSource
from scout_assets.gateways.readers import analysis
from scout_assets.orchestration.guard import guarded
from scout_assets.orchestration.reporting import table as as_table
from scout_assets.orchestration.resources import ScoutHome, Web
from scout_assets.orchestration.tags import partitions_of

__all__ = ["build_checks", "build_supplier_checks"]

SHOWN_FINDINGS = 50


@dataclass(frozen=True)
class _Evidence:
    """What the rules look at, each read at most once."""

    home: Home
    kind: Kind
    known: Sequence[KnownSource]
    now: datetime

    @property
    def keys(self) -> list[str]:
        return [item.source.key for item in self.known]

    @cached_property
    def parents(self) -> list[dict[str, Any]]:
        return self.rows("parents")

    @cached_property
    def products(self) -> list[dict[str, Any]]:
        return self.rows("products")

    @cached_property
    def current_offers(self) -> list[dict[str, Any]]:
        return self.rows("current_offers")

    @cached_property
    def last_capture(self) -> dict[str, datetime]:
        latest = self.home.ledger.latest_snapshots(self.keys)
        return {key: snapshot.captured_at for key, snapshot in latest.items()}

    def rows(self, relation: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.home.warehouse.read(
            relation, self.kind, self.keys
        ).to_pylist()
        return rows

    def duplicates(self, table: Table) -> list[Finding]:
        return self.home.warehouse.duplicates(table, self.kind, self.keys)

    def columns(self, table: Table) -> list[Finding]:
        return quality.wrong_columns(self.home.warehouse.stored_schema(table), table)

    def price_moves(self) -> list[Finding]:
        limits = {item.source.key: item.source.alert_price_delta_pct for item in self.known}
        return quality.price_moves(self.rows("price_history"), self.last_capture, limits)

    def stale(self) -> list[Finding]:
        return [
            {
                "source": item.source.key,
                "last success": item.fetch.last_success_at,
                "cadence": item.source.full_cadence,
                "failure": item.fetch.failure,
            }
            for item in self.known
            if item.fetch.last_success_at is None
            or item.fetch.last_success_at
            < stale_since(self.now, item.source.full_cadence, item.source.timezone)
        ]

    @cached_property
    def by_service(self) -> list[Source]:
        """Suppliers whose lists the ML service reads."""
        all_known = (self.home.resolved(item.source) for item in self.known)
        return [source for source in all_known if source.use_ml_processing]

    def silent_service(self) -> list[Finding]:
        """All suppliers that wait for a service which does not answer now."""
        if not self.by_service:
            return []
        health = asyncio.run(self.home.courier.health())
        told = {"said": health.detail, "mend": "start it, or correct ML_ANALYZE_URL"}
        return [] if health.healthy else [{"source": s.key, **told} for s in self.by_service]

    def failed_analyses(self) -> list[Finding]:
        jobs = (analysis(self.home, source) for source in self.by_service)
        return [
            {"source": job.source, "job": job.job_id, "error": job.error}
            for job in jobs
            if job is not None and job.phase is Phase.FAILED
        ]


@dataclass(frozen=True)
class _Rule:
    asset: str
    name: str
    description: str
    find: Callable[[_Evidence], list[Finding]]
    blocking: bool = False

    @property
    def severity(self) -> dg.AssetCheckSeverity:
        return dg.AssetCheckSeverity.ERROR if self.blocking else dg.AssetCheckSeverity.WARN


def _schema_rule(table: Table) -> _Rule:
    return _Rule(
        table.name,
        "schema",
        f"Table `{table.name}` has the columns and types of the registry",
        lambda seen: seen.columns(table),
        blocking=True,
    )


RULES: tuple[_Rule, ...] = (
    *(_schema_rule(table) for table in (PARENTS, PRODUCTS, OFFERS, QUARANTINE)),
    _Rule(
        "parents",
        "unique",
        "No parent is there twice",
        lambda seen: seen.duplicates(PARENTS),
    ),
    _Rule(
        "products",
        "unique",
        "No product is there twice",
        lambda seen: seen.duplicates(PRODUCTS),
    ),
    _Rule(
        "products",
        "referential",
        "Each product has its parent",
        lambda seen: quality.orphans(seen.products, seen.parents),
        blocking=True,
    ),
    _Rule(
        "products",
        "volume",
        f"No source lost more than {quality.SHRINK_LIMIT:.0%} of its products at once",
        lambda seen: quality.shrunk(seen.products, seen.last_capture),
    ),
    _Rule(
        "offers",
        "unique",
        "No product has two offers of one snapshot",
        lambda seen: seen.duplicates(OFFERS),
    ),
    _Rule(
        "offers",
        "plausible",
        "Prices are above zero and near what their source asks per 100 g",
        lambda seen: quality.implausible_prices(seen.current_offers),
    ),
    _Rule(
        "offers",
        "price_change",
        "No price moved by more than the source's alert_price_delta_pct",
        _Evidence.price_moves,
    ),
    _Rule(
        "quarantine",
        "empty",
        "Every row of the last snapshots could be read",
        lambda seen: seen.rows("quarantine"),
    ),
)
SUPPLIER_RULES: tuple[_Rule, ...] = (
    *(_schema_rule(table) for table in (SUPPLIER_ITEMS, LIST_SHEETS, QUARANTINE)),
    _Rule(
        "supplier_items",
        "unique",
        "No item is there twice",
        lambda seen: seen.duplicates(SUPPLIER_ITEMS),
    ),
    _Rule(
        "supplier_items",
        "volume",
        f"No list lost more than {quality.SHRINK_LIMIT:.0%} of its items at once",
        lambda seen: quality.shrunk(seen.rows("supplier_items"), seen.last_capture),
    ),
    _Rule(
        "list_sheets",
        "confidence",
        f"Every sheet was read with a confidence of {quality.LEAST_CONFIDENCE:g} at least",
        lambda seen: quality.unsure_sheets(seen.rows("list_sheets")),
    ),
    _Rule(
        "quarantine",
        "empty",
        "Every row of the last lists could be read",
        lambda seen: seen.rows("quarantine"),
    ),
)
ANALYSIS_RULES: tuple[_Rule, ...] = (
    _Rule(
        "analyses",
        "service",
        "The ML service answers, where it reads a supplier's lists",
        _Evidence.silent_service,
    ),
    _Rule(
        "analyses",
        "analysed",
        "No supplier's last list failed in the ML service; job `retry_analysis` tries again",
        _Evidence.failed_analyses,
    ),
)
MATCH_RULES: tuple[_Rule, ...] = (
    *(_schema_rule(table) for table in (MATCHES,)),
    _Rule(
        "matches",
        "complete",
        "Every listed item is linked, reviewed or new: none is lost, none counts twice",
        lambda seen: quality.unmatched(seen.rows("supplier_items"), seen.rows("matches")),
    ),
)


def _fresh(asset: str) -> _Rule:
    return _Rule(
        asset,
        "fresh",
        "Every source answered within two slots of its full_cadence",
        _Evidence.stale,
    )


def build_checks(kind: Kind, lane: str) -> list[dg.AssetChecksDefinition]:
    """All checks of a lane of stores."""
    return [
        _checks(kind, lane, f"{lane}_catalogue_checks", RULES),
        _checks(kind, lane, f"{lane}_snapshot_checks", (_fresh("snapshots"),)),
    ]


def build_supplier_checks(lane: str) -> list[dg.AssetChecksDefinition]:
    """All checks of the suppliers' lane."""
    return [
        _checks(Kind.SUPPLIER, lane, f"{lane}_analyses_checks", ANALYSIS_RULES),
        _checks(Kind.SUPPLIER, lane, f"{lane}_items_checks", SUPPLIER_RULES),
        _checks(Kind.SUPPLIER, lane, f"{lane}_matches_checks", MATCH_RULES),
        _checks(Kind.SUPPLIER, lane, f"{lane}_price_lists_checks", (_fresh("price_lists"),)),
    ]


def _checks(kind: Kind, lane: str, name: str, rules: Sequence[_Rule]) -> dg.AssetChecksDefinition:
    specs = [
        dg.AssetCheckSpec(
            rule.name,
            asset=[lane, rule.asset],
            description=rule.description,
            blocking=rule.blocking,
        )
        for rule in rules
    ]

    @dg.multi_asset_check(name=name, specs=specs, can_subset=True)
    @guarded
    def checks(
        context: dg.AssetCheckExecutionContext, home: ScoutHome, web: Web
    ) -> Iterator[dg.AssetCheckResult]:
        opened = home.open()
        # Without partitions the checks run by themselves, over all sources.
        keys = partitions_of(context.run.tags, context.instance.get_dynamic_partitions(kind))
        known = opened.ledger.sources(kind, State.ACTIVE, keys)
        seen = _Evidence(opened, kind, known, web.now())
        chosen = context.selected_asset_check_keys
        for rule in rules:
            if dg.AssetCheckKey(dg.AssetKey([lane, rule.asset]), rule.name) in chosen:
                found = rule.find(seen)
                if found and rule.blocking:
                    home.trip(f"check {lane}/{rule.asset} {rule.name} failed: {found[0]}")
                yield _result(lane, rule, found, len(known))

    return checks


def _result(lane: str, rule: _Rule, found: Sequence[Finding], sources: int) -> dg.AssetCheckResult:
    shown: dict[str, Any] = {}
    if found:
        columns = [name for name in found[0] if name != "kind"]
        shown["findings"] = as_table(found[:SHOWN_FINDINGS], columns)
        shown["failing sources"] = ", ".join(sorted({row["source"] for row in found}))
    return dg.AssetCheckResult(
        passed=not found,
        check_name=rule.name,
        asset_key=[lane, rule.asset],
        severity=rule.severity,
        description=_summary(found, sources),
        metadata={"findings/count": len(found), "sources/checked": sources, **shown},
    )


def _summary(found: Iterable[Finding], sources: int) -> str:
    failing = [row["source"] for row in found]
    if not failing:
        return f"{sources} sources checked, nothing found"
    return f"{len(failing)} findings in {len(set(failing))} of {sources} sources"
