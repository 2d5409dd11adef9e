"""The review queue: what waits for a person, in which order, with what a person sees."""

from datetime import timedelta

import pytest

from scout_assets.domain.failures import BadConfig
from scout_assets.gateways.review_queue import product_ids
from scout_assets_tests.supplies import Installation, coffees, csv_list

GTIN = "4006381333931"
GUJI = ("Q-1", "Ethiopia Guji Natural", "Berg Kaffe", "500 g", 6, "19,50", None)
NORDLYS = ("Q-2", "Nordlys blend", None, "250 g", 6, "8,10", None)
HUILA = ("Q-3", "Colombia Huila Decaf", "Berg Kaffe", "500 g", 6, "19,00", None)
GROUND = ("Q-4", "Kenya Embu Mwangaza AB", "Berg Kaffe", "250 g", 6, "10,40", GTIN)
CUPS = ("Q-5", "Paper cups, sleeve of 50", "Pappra", None, 20, "3,15", None)


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Installation:
    first = Installation(tmp_path_factory.mktemp("begun"))
    products = coffees()
    products[0]["variants"][1]["barcode"] = GTIN
    first.store(products)
    first.supplier("acme", csv_list([GUJI, NORDLYS, HUILA, GROUND, CUPS]))
    first.run()
    return first


@pytest.fixture
def place(begun, tmp_path) -> Installation:
    return begun.copied(tmp_path)


def order(place: Installation) -> list[str]:
    return [one.item_id for one in place.queue()]


def test_the_surest_comes_first_and_what_was_put_off_last(place):
    queue = place.queue()
    assert {one.item_id for one in queue} == {"acme/Q-1", "acme/Q-2", "acme/Q-3"}
    assert [one.score for one in queue] == sorted((one.score for one in queue), reverse=True)
    first, *others = order(place)
    place.decide(first, "defer")
    assert order(place) == [*others, first]
    place.match()
    assert order(place) == [*others, first], "it stays put off"


@pytest.mark.parametrize("verdict", ["accept", "reject"])
def test_what_is_decided_leaves_at_once_and_an_undo_brings_it_back(place, verdict):
    before = order(place)
    place.decide("acme/Q-1", verdict)
    assert order(place) == [item for item in before if item != "acme/Q-1"]
    place.home.decisions.undo("acme/Q-1", "ana", place.now)
    assert order(place) == before


def test_an_expired_proposal_is_left_out(place):
    place.pass_time(days=30)
    assert order(place) == []
    assert len(place.queue(decided=True)) == 5


def test_a_retired_suppliers_proposals_wait_for_nobody(place):
    place.home.ledger.retire("acme", place.now)
    assert order(place) == []


def test_a_person_sees_both_sides_and_why(place):
    one = next(one for one in place.queue() if one.item_id == "acme/Q-1")
    assert (one.item["name"], one.item["size"], one.item["price"]) == (GUJI[1], "500 g", 19.5)
    assert (one.product["id"], one.product["name"]) == ("berg/31", "Ethiopia Guji Natural")
    assert (one.product["size"], one.product["currency"]) == ("250 g", "EUR")
    assert one.reason == "veto: size"
    assert sum(part["contribution"] for part in one.evidence) == pytest.approx(one.linear, abs=1e-3)
    assert one.as_row().keys() == {
        "item_id",
        "product_id",
        "item",
        "product",
        "score",
        "reason",
        "proposed_at",
    }
    assert place.now - one.as_row()["proposed_at"] < timedelta(hours=1)


def test_a_variant_that_was_found_by_its_code_is_seen_too(place):
    one = next(one for one in place.queue(decided=True) if one.item_id == "acme/Q-4")
    assert (one.product_id, one.product.get("name")) == ("berg/12", "Kenya Embu Mwangaza AB")


def test_a_verdict_keeps_what_was_seen(place):
    one = next(one for one in place.queue() if one.item_id == "acme/Q-2")
    same, other = one.judged(), one.judged("berg/41")
    assert (same.source, same.product_id, same.score) == ("acme", "berg/21", one.score)
    assert same.evidence["linear"] == one.linear
    assert same.evidence["parts"] == one.evidence
    assert (other.product_id, other.score) == ("berg/41", None)
    assert (other.evidence["linear"], other.evidence["parts"]) == (None, [])
    vetoed = next(one for one in place.queue() if one.item_id == "acme/Q-1")
    assert (same.evidence["vetoed"], vetoed.judged().evidence["vetoed"]) == (False, True)


def test_without_a_proposed_product_a_verdict_has_to_name_one(place):
    one = next(one for one in place.queue(decided=True) if one.item_id == "acme/Q-5")
    assert one.product_id is None
    with pytest.raises(BadConfig, match="no product is proposed for acme/Q-5"):
        one.judged()
    assert one.judged("berg/41").product_id == "berg/41"


def test_every_product_and_draft_can_be_named(place):
    drafts = {row["draft_id"] for row in place.rows("drafts")}
    listed = {"berg/11", "berg/12", "berg/21", "berg/31", "berg/41"}
    assert drafts
    assert product_ids(place.home) == listed | drafts


def test_before_anything_is_matched_nothing_waits(tmp_path):
    assert Installation(tmp_path).queue() == []
