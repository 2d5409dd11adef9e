"""What a run's tags say: names of ours, by which the UI filters runs, and its partitions.

Belongs here: names, and reading and writing the tags of a range. Does not belong here: what is
done about a tag.
"""

from collections.abc import Mapping, Sequence

from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

__all__ = [
    "DISPATCH_TAG",
    "ELSEWHERE_TAG",
    "HARD_LIMIT_SECONDS",
    "REASON_TAG",
    "SCOPE_TAG",
    "SOURCES_FAILED_TAG",
    "TRIGGER_TAG",
    "partition_range",
    "partitions_of",
    "range_tags",
]

HARD_LIMIT_SECONDS = 3600
"""Dagster ends an automated run after an hour (tag `dagster/max_runtime`)."""

TRIGGER_TAG = "scout/trigger"
DISPATCH_TAG = "scout/dispatch"
SCOPE_TAG = "scout/scope"
REASON_TAG = "scout/reason"
ELSEWHERE_TAG = "scout/failed_elsewhere"
"""What failed of a run that is otherwise sound: a person mends it there, all else goes on."""
SOURCES_FAILED_TAG = "scout/sources_failed"
"""How many sources failed in a run that is otherwise sound: the fault is theirs."""


def range_tags(keys: Sequence[str]) -> dict[str, str]:
    """The tags of a run over neighbouring partitions, from the first to the last key."""
    return {ASSET_PARTITION_RANGE_START_TAG: keys[0], ASSET_PARTITION_RANGE_END_TAG: keys[-1]}


def partition_range(tags: Mapping[str, str]) -> tuple[str, str] | None:
    """The first and the last partition of a run, the same if it has one; None if it has none."""
    only = tags.get(PARTITION_NAME_TAG)
    first = tags.get(ASSET_PARTITION_RANGE_START_TAG, only)
    last = tags.get(ASSET_PARTITION_RANGE_END_TAG, only)
    return None if first is None or last is None else (first, last)


def partitions_of(tags: Mapping[str, str], order: Sequence[str]) -> list[str] | None:
    """The partitions of a run among those there are, in order; None for a run without any.

    One partition is that one, also if it is gone; a range whose end is gone holds none.
    """
    ends = partition_range(tags)
    if ends is None:
        return None
    if ends[0] == ends[1]:
        return [ends[0]]
    if not set(ends) <= set(order):
        return []
    return list(order[order.index(ends[0]) : order.index(ends[1]) + 1])
