"""The partitions of a run, as its tags tell them."""

import pytest

from scout_assets.orchestration.tags import partition_range, partitions_of, range_tags

ORDER = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("tags", "ends", "partitions"),
    [
        ({}, None, None),
        ({"dagster/partition": "b"}, ("b", "b"), ["b"]),
        ({"dagster/partition": "retired"}, ("retired", "retired"), ["retired"]),
        (range_tags(["b", "c", "d"]), ("b", "d"), ["b", "c", "d"]),
        (range_tags(["b", "retired"]), ("b", "retired"), []),
    ],
    ids=["none", "one", "one that is gone", "a range", "a range whose end is gone"],
)
def test_a_run_names_its_partitions(tags, ends, partitions):
    assert partition_range(tags) == ends
    assert partitions_of(tags, ORDER) == partitions
