"""Rounds: each source has its turn once, wherever a round is cut."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.rounds import Round

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
INTERVAL = timedelta(minutes=5)
KEYS = st.sets(st.from_regex(r"[a-z0-9_-]{1,4}", fullmatch=True))


@given(KEYS, st.lists(st.integers(1, 4)))
def test_each_has_its_turn_once_however_the_round_is_cut(keys: set[str], cuts: list[int]):
    text, turns = None, []
    for cut in [*cuts, len(keys) + 1]:
        going_on = Round.read(text).at(NOW, INTERVAL)
        if going_on is None:
            break
        left = going_on.left(keys, NOW)
        turns += left[:cut]
        text = going_on.past(left[:cut], cut < len(left)).text
    assert turns == sorted(keys)
    assert Round.read(text).over


def test_a_new_round_starts_an_interval_after_the_start_of_the_last():
    first = Round().at(NOW, INTERVAL)
    assert first is not None
    over = Round.read(first.past(["a"], more=False).text)
    assert over.at(NOW + INTERVAL - timedelta(seconds=1), INTERVAL) is None
    assert over.next_at(INTERVAL) == NOW + INTERVAL
    second = over.at(NOW + INTERVAL, INTERVAL)
    assert second is not None
    assert (second.started_at, second.left("ba", NOW)) == (NOW + INTERVAL, ["a", "b"])


def test_a_round_that_is_not_over_goes_on_whenever():
    first = Round().at(NOW, INTERVAL)
    assert first is not None
    cut = Round.read(first.past(["a"], more=True).text)
    later = cut.at(NOW + timedelta(days=3), INTERVAL)
    assert later == cut
    assert cut.left("abc", NOW) == ["b", "c"]


def test_who_asked_to_wait_is_left_out_until_then():
    first = Round().at(NOW, INTERVAL)
    assert first is not None
    until = NOW + timedelta(minutes=7)
    text = first.past(["a", "b"], more=False, waiting={"a": until}).text
    second = Round.read(text).at(NOW + INTERVAL, INTERVAL)
    assert second is not None
    assert second.left("ab", NOW + INTERVAL) == ["b"]
    text = second.past(["b"], more=False).text
    third = Round.read(text).at(NOW + 2 * INTERVAL, INTERVAL)
    assert third is not None
    assert third.left("ab", NOW + 2 * INTERVAL) == ["a", "b"]
    assert third.waiting == {}


def test_a_clock_that_was_set_back_starts_a_round():
    first = Round().at(NOW, INTERVAL)
    assert first is not None
    over = first.past([], more=False)
    assert over.at(NOW - timedelta(days=1), INTERVAL) is not None


@pytest.mark.parametrize("text", [None, "", "as it was", "[]", '{"started_at": 3}', '{"asked": 1}'])
def test_a_text_of_another_version_starts_a_round(text: str | None):
    assert Round.read(text).at(NOW, INTERVAL) is not None
