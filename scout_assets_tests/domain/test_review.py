"""Review: what stands after all decisions."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.review import (
    REVIEW_LASTS,
    Decision,
    Status,
    Verdict,
    proposed_since,
    standing,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def decisions(*verdicts):
    return [
        Decision(n, "acme", item, product, Verdict(verdict), "ana", NOW + timedelta(minutes=n))
        for n, (item, verdict, product) in enumerate(verdicts, 1)
    ]


def undone(decision):
    return Decision(**{**decision.__dict__, "undone_at": NOW, "undone_by": "ana"})


def test_an_accepted_match_is_verified_and_a_rejected_one_is_not_proposed_again():
    stands = standing(decisions(("i", "accept", "p"), ("j", "reject", "p")))
    assert stands.verified == {"i": "p"}
    assert stands.rejected == {"j": frozenset({"p"})}


@pytest.mark.parametrize(
    ("verdicts", "verified", "rejected"),
    [
        ([("i", "accept", "p"), ("i", "accept", "q")], {"i": "q"}, {}),
        ([("i", "reject", "p"), ("i", "accept", "p")], {"i": "p"}, {}),
        ([("i", "accept", "p"), ("i", "reject", "p")], {}, {"i": frozenset("p")}),
        ([("i", "reject", "p"), ("i", "reject", "q")], {}, {"i": frozenset("pq")}),
        ([("i", "accept", "p"), ("i", "reject", "q")], {"i": "p"}, {"i": frozenset("q")}),
    ],
)
def test_the_last_word_counts(verdicts, verified, rejected):
    stands = standing(decisions(*verdicts))
    assert stands.verified == verified
    assert stands.rejected == rejected


def test_what_is_put_off_waits_until_it_is_decided():
    put_off = standing(decisions(("i", "defer", "p")))
    assert list(put_off.deferred) == ["i"]
    assert not standing(decisions(("i", "defer", "p"), ("i", "accept", "p"))).deferred


@given(
    st.lists(
        st.tuples(st.sampled_from("ij"), st.sampled_from(list(Verdict)), st.sampled_from("pq")),
        max_size=8,
    ),
    st.tuples(st.sampled_from("ij"), st.sampled_from(list(Verdict)), st.sampled_from("pq")),
)
def test_an_undone_decision_leaves_what_stood_before(before, last):
    made = decisions(*before, last)
    assert standing([*made[:-1], undone(made[-1])]) == standing(made[:-1])


def test_a_proposal_keeps_its_date_until_it_expires():
    then = NOW - timedelta(days=29)
    row = {"status": Status.POTENTIAL_MATCH, "product_id": "p", "proposed_at": then}
    assert proposed_since(row, "p", NOW) == then
    assert proposed_since(row, "q", NOW) == NOW
    assert proposed_since(row, "p", then + REVIEW_LASTS) == then + REVIEW_LASTS
    assert proposed_since(None, "p", NOW) == NOW
    linked = {"status": Status.AUTO_MATCHED, "product_id": "p", "proposed_at": None}
    assert proposed_since(linked, "p", NOW) == NOW
