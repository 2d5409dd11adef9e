"""Evaluating sensors as the daemon does, and what came of it."""

import logging
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.partitions.context import partition_loading_context

from scout_assets_tests.orchestration.lanes import World


@dataclass(frozen=True)
class Tick:
    """What one evaluation of a sensor came to."""

    requests: tuple[dg.RunRequest, ...]
    skipped: str
    cursor: str | None
    log: str
    observed: tuple[dg.AssetObservation, ...] = ()


def tick(world: World, name: str, cursor: str | None = None, minutes: int = 0) -> Tick:
    """Evaluate a sensor as the daemon does: what it asks for must be partitions of its job."""
    return evaluated(world.instance, world.defs(minutes).get_repository_def(), name, cursor)


def evaluated(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    name: str,
    cursor: str | None = None,
) -> Tick:
    """`tick` of definitions that are there already."""
    resources = dict(repository.get_top_level_resources())
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    with (
        dg.build_sensor_context(
            instance=instance,
            cursor=cursor,
            repository_def=repository,
            resources=resources,
        ) as context,
        partition_loading_context(dynamic_partitions_store=instance),
    ):
        context.log.addHandler(handler)
        found = repository.get_sensor_def(name).evaluate_tick(context)
    requests = tuple(found.run_requests or ())
    observed = tuple(e for e in found.asset_events if isinstance(e, dg.AssetObservation))
    return Tick(requests, found.skip_message or "", found.cursor, "; ".join(said), observed)
