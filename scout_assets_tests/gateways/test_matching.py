"""Matching and best prices of an installation: done when an input changed, and only then."""

from decimal import Decimal

import pytest

from scout_assets.domain.matching.calibration import BUNDLED
from scout_assets_tests.stores import shopify_product
from scout_assets_tests.supplies import (
    ACME,
    BLEND,
    CUPS,
    KENYA,
    Installation,
    coffees,
    csv_list,
    xlsx_list,
)

ZETA = [("Z-1", *KENYA[1:5], "9,90", None), ("Z-9", *CUPS[1:5], "2,95", None)]


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Installation:
    """One supplier, matched and priced."""
    first = Installation(tmp_path_factory.mktemp("begun"))
    first.supplier("acme", csv_list())
    first.run()
    return first


@pytest.fixture
def place(begun, tmp_path) -> Installation:
    return begun.copied(tmp_path)


def outcome(place: Installation) -> dict[str, object]:
    """What everything was found to be, whatever the scores."""
    return {
        item: (row["status"], row["product_id"], row["draft_id"])
        for item, row in place.matches().items()
    }


def best(place: Installation, product: str) -> tuple[Decimal, str]:
    (row,) = (row for row in place.rows("best_prices") if row["product_id"] == product)
    return row["min_price"], row["best_source"]


def test_every_item_is_linked_reviewed_or_new(place):
    assert place.statuses() == {
        "acme/A-1": "auto_matched",
        "acme/A-2": "auto_matched",
        "acme/A-3": "potential_match",
        "acme/A-4": "unmatched",
    }
    (draft,) = place.rows("drafts")
    assert (draft["name"], draft["items"]) == (CUPS[1], ["acme/A-4"])
    made = place.match(anew=True)
    assert made.counters == {
        "items/auto_matched": 2,
        "items/potential_match": 1,
        "items/unmatched": 1,
        "items/matched": 4,
        "drafts": 1,
    }


def test_nothing_is_written_when_nothing_changed(place):
    before = place.rows("matches")
    assert place.fetch("acme") == "unchanged"
    place.read()
    made = place.match()
    assert (made.matches.watermarks, made.drafts.watermarks) == ({}, {})
    assert made.counters == {"slices/unchanged": 1}
    assert not place.price()
    assert place.rows("matches") == before


def test_anew_matches_though_nothing_changed_and_once_only(place):
    before = outcome(place)
    assert list(place.match(anew=True).matches.watermarks) == ["acme"]
    assert outcome(place) == before
    assert place.match().matches.watermarks == {}


# What makes it due


def test_a_decision_an_undo_and_a_calibration_make_it_due(place):
    place.decide("acme/A-3", "accept")
    assert place.match().matches.watermarks
    assert place.matches()["acme/A-3"]["status"] == "verified_match"
    assert place.match().matches.watermarks == {}
    place.home.decisions.undo("acme/A-3", "ana", place.now)
    assert place.match().matches.watermarks
    assert place.matches()["acme/A-3"]["status"] == "potential_match"
    strict = BUNDLED.model_copy(update={"percent": tuple(0.9 * p for p in BUNDLED.percent)})
    place.home.decisions.calibrated(strict, "ana", place.now)
    assert place.match().matches.watermarks
    assert place.matches()["acme/A-2"]["status"] == "potential_match"


def test_a_rejected_match_becomes_a_new_good_and_is_not_proposed_again(place):
    place.decide("acme/A-3", "reject")
    place.match()
    rejected = place.matches()["acme/A-3"]
    assert rejected["status"] == "rejected"
    assert rejected["draft_id"] is not None
    assert "berg/31" not in rejected["candidates"]
    assert place.queue() == []


def test_a_new_product_makes_it_due_and_a_draft_becomes_a_link(place):
    cups = shopify_product(9, title=CUPS[1], vendor=CUPS[2])
    place.store([*coffees(), cups])
    place.fetch("berg")
    place.read()
    assert place.match().matches.watermarks
    assert place.matches()["acme/A-4"]["product_id"] == "berg/91"


def test_a_vanished_product_makes_its_items_new_and_a_verified_one_stays(place):
    place.decide("acme/A-2", "accept")
    place.store(coffees()[2:])
    place.fetch("berg")
    place.read()
    place.match()
    found = place.matches()
    assert (found["acme/A-1"]["status"], found["acme/A-1"]["draft_id"] is None) == (
        "unmatched",
        False,
    )
    assert found["acme/A-2"]["status"] == "verified_match"


def test_a_proposal_comes_back_once_it_has_expired_and_then_rests(place):
    proposed = place.matches()["acme/A-3"]["proposed_at"]
    place.pass_time(days=29)
    assert place.match().matches.watermarks == {}
    place.pass_time(days=1)
    assert place.queue() == []
    assert place.match().matches.watermarks
    again = place.matches()["acme/A-3"]
    assert (again["status"], again["proposed_at"] > proposed) == ("potential_match", True)
    assert [one.item_id for one in place.queue()] == ["acme/A-3"]
    assert place.match().matches.watermarks == {}


def test_a_new_version_of_a_list_makes_it_due_and_what_is_gone_has_no_match(place):
    place.supplier("acme", csv_list(ACME[:2]))
    place.fetch("acme")
    place.read()
    place.match()
    assert list(place.statuses()) == ["acme/A-1", "acme/A-2"]
    assert place.rows("drafts") == []


def test_a_retired_supplier_is_left_out_and_a_revived_one_is_back(place):
    place.supplier("zeta", xlsx_list(ZETA))
    place.run()
    both = place.statuses()
    assert best(place, "berg/11") == (Decimal("9.9000"), "zeta")
    place.home.ledger.retire("zeta", place.now)
    place.match()
    place.price()
    assert {item.partition("/")[0] for item in place.statuses()} == {"acme"}
    assert best(place, "berg/11") == (Decimal("10.4000"), "acme")
    place.home.ledger.revive("zeta", place.now)
    place.match()
    place.price()
    assert place.statuses() == both
    assert best(place, "berg/11") == (Decimal("9.9000"), "zeta")


def test_the_order_in_which_suppliers_come_changes_nothing(place, tmp_path_factory):
    other = Installation(tmp_path_factory.mktemp("other"))
    for here, key, body in (
        (place, "zeta", xlsx_list(ZETA)),
        (other, "zeta", xlsx_list(ZETA)),
        (other, "acme", csv_list()),
    ):
        here.supplier(key, body)
        here.run()
    assert outcome(place) == outcome(other)
    for table in ("drafts", "best_prices"):
        assert place.rows(table) == other.rows(table)
    (draft,) = place.rows("drafts")
    assert draft["items"] == ["acme/A-4", "zeta/Z-9"]


# Best prices


def test_best_prices_are_over_own_offers_links_and_drafts(place):
    assert best(place, "berg/11") == (Decimal("10.4000"), "acme")
    assert best(place, "berg/31") == (Decimal("12.5000"), "berg"), "undecided matches do not count"
    (draft,) = place.rows("drafts")
    assert best(place, draft["draft_id"]) == (Decimal("3.1500"), "acme")


def test_best_prices_change_with_a_match(place):
    place.decide("acme/A-2", "reject")
    place.match()
    assert place.price()
    assert best(place, "berg/21") == (Decimal("12.5000"), "berg")
    assert not place.price()


def test_best_prices_change_with_a_list_and_with_the_store(place):
    place.supplier("acme", csv_list([(*KENYA[:5], "13,00", None), BLEND]))
    place.fetch("acme")
    place.read()
    place.match()
    assert place.price()
    assert best(place, "berg/11") == (Decimal("12.5000"), "berg")
    reduced = coffees()
    reduced[1]["variants"][0]["price"] = "7.00"
    place.store(reduced)
    place.fetch("berg")
    place.read()
    place.match()
    assert place.price()
    assert best(place, "berg/21") == (Decimal("7.0000"), "berg")


def test_other_currencies_count_once_there_is_a_rate(place):
    body = csv_list([("N-1", *KENYA[1:5], "90,00", None)]).replace(b"EUR", b"NOK")
    place.supplier("nord", body)
    place.run()
    assert best(place, "berg/11")[1] == "acme"
    (place.root / "rates.csv").write_text("date,base,quote,rate\n2026-11-01,EUR,NOK,10\n")
    assert place.price()
    assert best(place, "berg/11") == (Decimal("9.0000"), "nord")
    assert not place.price()
    later = "date,base,quote,rate\n2026-11-01,EUR,NOK,10\n2026-12-01,EUR,NOK,20\n"
    (place.root / "rates.csv").write_text(later)
    assert not place.price(), "a rate counts from its day on"
    place.pass_time(days=10)
    assert place.price()
    assert best(place, "berg/11") == (Decimal("4.5000"), "nord")
