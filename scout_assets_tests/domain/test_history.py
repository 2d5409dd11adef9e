"""Folding captures: what is new, changed, gone and back; and the law that makes it safe."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.history import Capture, fold_offers, fold_rows

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(number: int) -> datetime:
    return START + number * DAY


def offer(product: str, number: int, price: str | None = "10", available: bool = True) -> dict:
    return {
        "kind": "roaster",
        "source": "s",
        "offer_id": f"{product}@{number}",
        "product_id": product,
        "product_external_id": product,
        "snapshot": number,
        "snapshot_hash": f"hash{number}",
        "observed_at": at(number),
        "price": None if price is None else Decimal(price),
        "price_raw": price,
        "compare_at_price": None,
        "currency": "EUR",
        "available": available,
        "unit_price_100g": None,
    }


def capture(number: int, *offers: dict) -> Capture:
    return Capture("s", number, f"hash{number}", at(number), offers=offers)


def test_a_row_is_dated_by_the_capture_that_first_showed_it():
    (row,) = fold_rows([], [(at(1), [{"id": "a", "title": "A"}])], "id")
    assert row == {
        "id": "a",
        "title": "A",
        "first_seen_at": at(1),
        "changed_at": at(1),
        "gone_at": None,
    }


def test_an_unchanged_row_keeps_its_dates_and_a_changed_one_moves_changed_at():
    captures = [
        (at(1), [{"id": "a", "title": "A"}, {"id": "b", "title": "B"}]),
        (at(2), [{"id": "a", "title": "A"}, {"id": "b", "title": "B2"}]),
    ]
    rows = {row["id"]: row for row in fold_rows([], captures, "id")}
    assert rows["a"]["changed_at"] == at(1)
    assert rows["b"]["changed_at"] == at(2)
    assert rows["b"]["first_seen_at"] == at(1)


def test_what_vanishes_stays_marked_and_what_returns_is_listed_again():
    captures = [(at(1), [{"id": "a"}]), (at(2), []), (at(3), [])]
    (gone,) = fold_rows([], captures, "id")
    assert gone["gone_at"] == at(2), "the first capture without it, not the last"
    (back,) = fold_rows([gone], [(at(4), [{"id": "a"}])], "id")
    assert back["gone_at"] is None
    assert back["first_seen_at"] == at(1)


def test_what_has_been_gone_for_thirty_days_is_forgotten_and_new_should_it_return():
    captures = [(at(1), [{"id": "a"}]), (at(2), []), (at(31), [])]
    (gone,) = fold_rows([], captures, "id")
    assert gone["gone_at"] == at(2)
    assert fold_rows([gone], [(at(32), [])], "id") == []
    (new,) = fold_rows([gone], [(at(32), [{"id": "a"}])], "id")
    assert new["first_seen_at"] == at(32), "as it would be, had a cleaning removed it before"
    assert fold_rows([], [(at(32), [{"id": "a"}])], "id") == [new]


@pytest.mark.parametrize(
    ("second", "change"),
    [
        (offer("a", 2, "10"), None),
        (offer("a", 2, "11"), "price"),
        (offer("a", 2, "10.00"), None),
        (offer("a", 2, "10", available=False), "availability"),
        (offer("a", 2, "11", available=False), "price"),
        (offer("a", 2, None), "price"),
        (offer("a", 2) | {"currency": "USD"}, "price"),
        (offer("a", 2) | {"compare_at_price": Decimal(12)}, "price"),
        (offer("a", 2) | {"price_raw": "10,00"}, None),
    ],
)
def test_an_offer_row_is_added_only_on_change(second, change):
    added = fold_offers([], [capture(1, offer("a", 1)), capture(2, second)])
    assert [row["change"] for row in added] == (["new"] if change is None else ["new", change])


def test_a_vanished_product_ends_its_offer_once_and_comes_back():
    captures = [capture(1, offer("a", 1)), capture(2), capture(3), capture(4, offer("a", 4))]
    added = fold_offers([], captures)
    assert [(row["change"], row["snapshot"]) for row in added] == [
        ("new", 1),
        ("gone", 2),
        ("back", 4),
    ]
    gone = added[1]
    assert (gone["price"], gone["available"], gone["offer_id"]) == (None, False, "a@2")


STATES = st.dictionaries(
    st.sampled_from("abcd"),
    st.tuples(st.sampled_from(["10", "11", None]), st.booleans()),
)


@given(st.lists(STATES, max_size=6), st.integers(0, 6), st.sampled_from([1, 20]))
def test_folding_may_be_cut_anywhere(states, cut, days):
    """The law: fold(fold([], a), b) == fold([], a + b), for rows and for offers."""
    captures = [
        capture(n, *(offer(p, n, price, stock) for p, (price, stock) in state.items()))
        for n, state in enumerate(states, start=1)
    ]
    whole = fold_offers([], captures)
    first = fold_offers([], captures[:cut])
    last = {row["product_id"]: row for row in first}
    assert first + fold_offers(last.values(), captures[cut:]) == whole

    listed = [
        (at(n * days), [{"id": p, "price": price} for p, (price, _) in state.items()])
        for n, state in enumerate(states, start=1)
    ]
    before = fold_rows([], listed[:cut], "id")
    assert fold_rows(before, listed[cut:], "id") == fold_rows([], listed, "id")


@given(st.lists(STATES, min_size=1, max_size=5))
def test_seeing_the_same_capture_again_adds_no_offer(states):
    captures = [
        capture(n, *(offer(p, n, price, stock) for p, (price, stock) in state.items()))
        for n, state in enumerate(states, start=1)
    ]
    last = {row["product_id"]: row for row in fold_offers([], captures)}
    again = len(states) + 1
    repeated = capture(
        again, *(offer(p, again, price, stock) for p, (price, stock) in states[-1].items())
    )
    assert fold_offers(last.values(), [repeated]) == []
