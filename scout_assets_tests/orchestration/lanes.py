"""A lane in a folder of its own: definitions, instance and sources for tests.

Belongs here: materialising jobs in process over chosen partitions, and reading what landed.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from scout_assets.definitions import build_defs
from scout_assets.gateways.home import Home
from scout_assets.orchestration.resources import ScoutHome, Web

RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


class TestWeb(Web):
    """Quick and impatient, with a clock the test moves."""

    __test__ = False

    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    timeout_seconds: float = 1.0
    deadline_seconds: float = 5.0
    attempts: int = 2
    backoff_seconds: float = 0.01
    minutes: int = 0

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, tzinfo=UTC) + timedelta(minutes=self.minutes)


class World:
    """One installation: `root` holds its home and its sources.yaml."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.root = root
        self.instance = instance
        self.sources_file = root / "sources.yaml"
        self.home_root = root / "home"

    @property
    def home(self) -> Home:
        return Home.locate({}, str(self.home_root), str(self.sources_file))

    def declare(self, *sources: Mapping[str, Any]) -> None:
        """Write sources.yaml and materialise catalogue/sources."""
        self.sources_file.write_text(yaml.safe_dump({"sources": list(sources)}))
        assert self.run("__ASSET_JOB", selection=["catalogue/sources"]).success

    def defs(self, minutes: int = 0, web: Web | None = None) -> dg.Definitions:
        home = ScoutHome(
            root=str(self.home_root), sources_file=str(self.sources_file), retry_seconds=0.01
        )
        return build_defs(home=home, web=web or TestWeb(minutes=minutes))

    def run(
        self,
        job: str,
        *keys: str,
        minutes: int = 0,
        selection: Sequence[str] = (),
        run_config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        web: Web | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job over one partition, or over the range from the first to the last key."""
        ends = dict(zip(RANGE, (keys[0], keys[-1]), strict=True)) if len(keys) > 1 else {}
        job_def = self.defs(minutes, web).resolve_job_def(job)
        return job_def.execute_in_process(
            instance=self.instance,
            partition_key=keys[0] if len(keys) == 1 else None,
            tags={**ends, **(tags or {})},
            asset_selection=[dg.AssetKey(key.split("/")) for key in selection] or None,
            run_config=run_config,
            raise_on_error=False,
        )

    def statuses(self, *asset: str) -> dict[str, str]:
        """Partition → MATERIALIZED or FAILED, as the UI shows it."""
        from dagster._core.storage.partition_status_cache import (
            get_and_update_asset_status_cache_value,
        )

        partitions = dg.DynamicPartitionsDefinition(name="roaster")
        cached = get_and_update_asset_status_cache_value(
            self.instance, dg.AssetKey(list(asset)), partitions, self.instance
        )
        assert cached is not None
        good = cached.deserialize_materialized_partition_subsets(partitions)
        bad = cached.deserialize_failed_partition_subsets(partitions)
        return dict.fromkeys(good.get_partition_keys(), "MATERIALIZED") | dict.fromkeys(
            bad.get_partition_keys(), "FAILED"
        )


def materialized(result: dg.ExecuteInProcessResult, name: str) -> dict[str | None, dict[str, Any]]:
    """Partition → metadata of what the run materialised of an asset."""
    return {
        event.partition: {k: v.value for k, v in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None and event.asset_key.path[-1] == name
    }


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """`asset: check` → what the run's check found."""
    return {
        f"{found.asset_key.path[-1]}: {found.check_name}": found
        for found in result.get_asset_check_evaluations()
    }


def rows(world: World, table: str) -> list[dict[str, Any]]:
    """The rows of a warehouse table, always in the same order."""
    found: list[dict[str, Any]] = world.home.warehouse.read(table).to_pylist()
    return sorted(found, key=lambda row: str(list(row.values())))


def match_statuses(world: World) -> dict[str, str]:
    """Supplier item → the status of its match."""
    return {row["item_id"]: row["status"] for row in rows(world, "matches")}


def listed(world: World) -> dict[str, bool]:
    """Supplier item → whether its list still has it."""
    return {row["item_id"]: row["gone_at"] is None for row in rows(world, "supplier_items")}
