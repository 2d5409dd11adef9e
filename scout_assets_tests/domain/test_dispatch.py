"""How due sources are grouped into runs."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.cadence import Scope
from scout_assets.domain.dispatch import LARGEST, Dispatch, Due, Reason, grouped, spans

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ORDER = [f"s{number:03}" for number in range(LARGEST + 50)]


def due(key: str, priority: int = 0, scope: Scope = Scope.FULL, minutes: int = 0) -> Due:
    return Due(key, scope, Reason.SLOT, priority, NOW + timedelta(minutes=minutes))


def keys(*sources: Due) -> list[list[str]]:
    return [[one.key for one in group] for group in grouped(sources, ORDER)]


@pytest.mark.parametrize(
    ("sources", "groups"),
    [
        ([], []),
        ([due("s002"), due("s000"), due("s001")], [["s000", "s001", "s002"]]),
        ([due("s000"), due("s002"), due("s003")], [["s000"], ["s002", "s003"]]),
        ([due("s000"), due("nobody")], [["s000"]]),
        ([due("s000"), due("s001", scope=Scope.PRICES)], [["s000"], ["s001"]]),
        ([due("s000"), due("s001", priority=5)], [["s001"], ["s000"]]),
        ([due("s000"), due("s002", minutes=-9)], [["s002"], ["s000"]]),
    ],
    ids=["none", "neighbours", "gap", "no partition", "scopes", "priority first", "oldest first"],
)
def test_neighbours_that_are_alike_go_together(sources, groups):
    assert keys(*sources) == groups


def test_a_run_does_not_grow_without_bound():
    assert [len(group) for group in keys(*map(due, ORDER))] == [LARGEST, 50]


@given(st.lists(st.sampled_from(ORDER[:40]), unique=True))
def test_every_due_source_is_in_one_run_and_no_other_source_is(chosen):
    """A range of partitions takes all between its ends, so there must be none that is not due."""
    groups = keys(*map(due, chosen))
    assert sorted(key for group in groups for key in group) == sorted(chosen)
    for group in groups:
        first = ORDER.index(group[0])
        assert group == ORDER[first : first + len(group)]


def test_a_run_key_tells_the_dispatch_and_its_first_slot():
    slots = {"b": NOW + timedelta(hours=1), "a": NOW}
    dispatch = Dispatch(7, "roaster", Scope.FULL, Reason.SLOT, 0, slots, NOW)
    assert dispatch.run_key == "dispatch-7-20261122T120000"
    assert dispatch.keys == ["b", "a"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([], []),
        (["s001"], ["s001..s001"]),
        (["s001", "s004"], ["s001..s004"]),
        (["s000", "s199", "s200"], ["s000..s199", "s200..s200"]),
        (["s003", "s249"], ["s003..s003", "s249..s249"]),
        (["unknown", "s005"], ["s005..s005"]),
    ],
)
def test_spans_hold_all_keys_and_may_hold_others_between(wanted: list[str], found: list[str]):
    assert [f"{one[0]}..{one[-1]}" for one in spans(wanted, ORDER)] == found


@given(st.sets(st.sampled_from(ORDER)))
def test_spans_are_neighbours_not_too_many_and_cover_the_keys(wanted: set[str]):
    found = list(spans(wanted, ORDER))
    assert wanted <= {key for one in found for key in one}
    assert len(found) <= -(-len(ORDER) // LARGEST) + 1
    for one in found:
        start = ORDER.index(one[0])
        assert one == ORDER[start : start + len(one)]
        assert len(one) <= LARGEST
        assert {one[0], one[-1]} <= wanted
