"""From scores to matches: statuses, what a person's word changes, drafts of new goods."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_assets.domain.linking import Linked, accepted_pairs, link
from scout_assets.domain.matching.calibration import BUNDLED
from scout_assets.domain.matching.matcher import Settings
from scout_assets.domain.review import REVIEW_LASTS, Decision, Standing, Status, Verdict

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FACTS = ("sku", "gtin", "brand", "category", "price", "currency", "size", "pack_count", "vintage")


def product(number, name, **fields):
    return {"id": f"berg/{number}", "name": name, "brand": "Berg Kaffe", "size": "250 g"} | fields


KENYA = product(1, "Kenya Embu Mwangaza AB")
KENYA_AA = product(5, "Kenya Embu Mwangaza AA")
BLEND = product(2, "Nordlys Espresso Blend")
GUJI = product(3, "Ethiopia Guji Natural")
CATALOGUE = [KENYA, BLEND, GUJI]


def record(item_id, name, **fields):
    supplier = item_id.partition("/")[0]
    return dict.fromkeys(FACTS) | {"id": item_id, "name": name, "supplier": supplier} | fields


def coffee(item_id, name, **fields):
    return record(item_id, name, **{"brand": "Berg Kaffe", "size": "250 g"} | fields)


def row(record):
    """The stored item behind a record."""
    size = record["size"]
    return {
        "kind": "supplier",
        "source": record["supplier"],
        "item_id": record["id"],
        "name": record["name"],
        "brand": record["brand"],
        "category": record["category"],
        "section": ["Drinks", "Coffee"],
        "gtin": record["gtin"],
        "vintage": record["vintage"],
        "size_ml": None,
        "net_weight_g": float(size.split()[0]) if size else None,
        "pack_count": record["pack_count"],
    }


def linked(*records, products=None, standing=None, before=(), now=NOW, **options) -> Linked:
    return link(
        [row(one) for one in records],
        records,
        CATALOGUE if products is None else products,
        standing or Standing(),
        before,
        now,
        settings=Settings(threads=1),
        **options,
    )


def by_item(found: Linked):
    return {match["item_id"]: match for match in found.matches}


def only(*records, **given):
    (match,) = linked(*records, **given).matches
    return match


SURE = coffee("acme/1", "Kenya Embu Mwangaza AB")
LARGER = coffee("acme/2", "Ethiopia Guji Natural", size="500 g")
CUPS = record("acme/3", "Paper cups, sleeve of 50", brand="Pappra")


# Statuses


@pytest.mark.parametrize(
    ("one", "status", "product_id"),
    [
        (SURE, Status.AUTO_MATCHED, "berg/1"),
        (LARGER, Status.POTENTIAL_MATCH, "berg/3"),
        (CUPS, Status.UNMATCHED, None),
    ],
)
def test_a_score_becomes_a_status(one, status, product_id):
    match = only(one)
    assert (match["status"], match["product_id"]) == (status, product_id)
    assert (match["kind"], match["source"]) == ("supplier", "acme")
    assert (match["draft_id"] is None) == (status is not Status.UNMATCHED)
    assert (match["proposed_at"] == NOW) == (status is Status.POTENTIAL_MATCH)


def test_the_evidence_adds_up_to_the_score_before_calibration():
    match = only(SURE)
    parts = orjson.loads(match["evidence"])
    assert sum(part["contribution"] for part in parts) == pytest.approx(match["linear"], abs=1e-3)
    assert parts[0].keys() == {"feature", "meaning", "value", "weight", "contribution"}
    best, *_ = orjson.loads(match["candidates"])
    assert (best["product_id"], best["score"]) == ("berg/1", match["score"])


def test_nothing_is_matched_without_items_and_everything_is_new_without_products():
    assert linked() == Linked()
    match = only(SURE, products=[])
    assert (match["status"], match["product_id"], match["reason"]) == (
        Status.UNMATCHED,
        None,
        "no candidate",
    )


# A person's word


def test_what_a_person_accepted_is_never_matched_again():
    verified = Standing(verified={"acme/1": "berg/2"})
    match = only(SURE, standing=verified)
    assert (match["status"], match["product_id"]) == (Status.VERIFIED_MATCH, "berg/2")
    assert (match["score"], match["linear"], match["draft_id"]) == (100.0, None, None)
    assert only(SURE, standing=verified, products=[])["product_id"] == "berg/2"
    assert not linked(SURE, standing=verified).drafts


@pytest.mark.parametrize("before", ["nothing", "a link by SKU"])
def test_a_rejected_pair_is_never_proposed_again(before):
    item = SURE | {"sku": "K-1", "gtin": "4006381333931"}
    products = [KENYA | {"gtin": "4006381333931"}, BLEND]
    known = linked(item, products=products).matches if before != "nothing" else []
    refused = Standing(rejected={"acme/1": frozenset({"berg/1"})})
    match = only(item, products=products, standing=refused, before=known)
    assert match["product_id"] != "berg/1"
    assert "berg/1" not in match["candidates"]
    assert match["status"] == Status.REJECTED
    assert match["draft_id"] is not None, "what is no known product is a new one"


def test_after_a_rejection_the_next_best_is_looked_at():
    refused = Standing(rejected={"acme/1": frozenset({"berg/1"})})
    match = only(SURE, products=[KENYA, KENYA_AA, GUJI], standing=refused)
    assert match["product_id"] == "berg/5"


def test_a_link_by_the_suppliers_own_sku_is_looked_at_when_it_names_another_good():
    item = SURE | {"sku": "K-1"}
    before = linked(item).matches
    renamed = item | {"name": "Spring special", "brand": None}
    match = only(renamed, before=before)
    assert (match["status"], match["product_id"], match["reason"]) == (
        Status.POTENTIAL_MATCH,
        "berg/1",
        "known link, but little agrees",
    )
    nameless = only(renamed | {"sku": None}, before=before)
    assert nameless["product_id"] != "berg/1", "without a SKU nothing says it is the same"


def test_matching_again_keeps_scores_and_evidence():
    first = linked(SURE | {"sku": "K-1"}).matches
    again = linked(SURE | {"sku": "K-1"}, before=first).matches
    shown = ("status", "product_id", "score", "linear", "evidence", "candidates")
    assert [again[0][name] for name in shown] == [first[0][name] for name in shown]


def test_nobody_else_gets_what_was_accepted_for_one_item():
    stands = Standing(verified={"acme/1": "berg/1"})
    made = linked(SURE, SURE | {"id": "acme/2", "name": f"{SURE['name']} new"}, standing=stands)
    by_id = {match["item_id"]: match for match in made.matches}
    assert (by_id["acme/1"]["status"], by_id["acme/1"]["product_id"]) == (
        Status.VERIFIED_MATCH,
        "berg/1",
    )
    assert by_id["acme/1"]["evidence"] != "[]", "why they are alike is still to be seen"
    assert by_id["acme/2"]["status"] != Status.AUTO_MATCHED


def test_a_person_may_put_an_item_with_a_draft():
    new, other = CUPS, record("acme/2", "Beakers")
    (draft,) = linked(new).drafts
    made = linked(new, other, standing=Standing(verified={"acme/2": draft}))
    assert made.drafts[draft]["items"] == ["acme/2", new["id"]]
    verified = next(match for match in made.matches if match["item_id"] == "acme/2")
    assert (verified["status"], verified["product_id"], verified["draft_id"]) == (
        Status.VERIFIED_MATCH,
        None,
        draft,
    )
    alone = linked(other, standing=Standing(verified={"acme/2": draft}))
    assert alone.drafts[draft]["name"] == "Beakers", "the draft lasts as long as an item of it"


def test_a_known_link_to_a_product_that_is_gone_ends():
    before = linked(SURE | {"sku": "K-1"}).matches
    match = only(SURE | {"sku": "K-1"}, products=[GUJI], before=before)
    assert match["status"] == Status.UNMATCHED
    assert match["draft_id"] is not None


# Proposals


def test_a_proposal_keeps_its_date_and_comes_back_when_it_has_expired():
    first = linked(LARGER).matches
    later = linked(LARGER, before=first, now=NOW + timedelta(days=29)).matches
    assert [match["proposed_at"] for match in later] == [NOW]
    expired = NOW + REVIEW_LASTS
    back = only(LARGER, before=later, now=expired)
    assert (back["status"], back["proposed_at"]) == (Status.POTENTIAL_MATCH, expired)


# Drafts


def test_the_same_new_good_of_two_suppliers_is_one_draft():
    theirs = record("zeta/9", "PAPER CUPS (sleeve of 50)", brand="Pappra", sku="Z")
    found = linked(theirs, CUPS)
    (draft,) = found.drafts.values()
    assert draft["items"] == ["acme/3", "zeta/9"]
    assert (draft["source"], draft["name"]) == ("acme", CUPS["name"]), "of the first supplier"
    assert {match["draft_id"] for match in found.matches} == {draft["draft_id"]}
    assert (draft["brand"], draft["category"]) == ("Pappra", "Drinks / Coffee")


def test_a_new_good_spelt_otherwise_joins_the_draft_it_links_to():
    first = coffee("acme/7", "Burundi Kayanza Gitwe Lot 12 Washed", price=11.0, currency="EUR")
    other = coffee("zeta/7", "Burundi Kayanza Gitwe washed, lot 12 (filter)", price=11.5,
                   currency="EUR")  # fmt: skip
    assert len(linked(first, other).drafts) == 1


def test_new_goods_that_differ_are_two_drafts():
    large = record("zeta/9", "Paper cups, sleeve of 50", brand="Pappra", size="400 g")
    small = record("zeta/8", "Paper cups, sleeve of 50", brand="Pappra", size="200 g")
    assert len(linked(large, small).drafts) == 2


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"price": 9.0, "category": "Other"}, True),
        ({"name": "paper cups - sleeve of 50!"}, True),
        ({"name": "50 of sleeve, paper cups"}, True),
        ({"vintage": "2024"}, False),
        ({"pack_count": 20}, False),
        ({"name": "Paper plates, sleeve of 50"}, False),
    ],
)
def test_a_drafts_id_is_made_of_what_names_the_good(change, same):
    before, after = only(CUPS)["draft_id"], only(CUPS | change)["draft_id"]
    assert (before == after) is same


def test_a_code_alone_names_a_good():
    one = only(CUPS | {"gtin": "4006381333931"})["draft_id"]
    assert one == only(CUPS | {"gtin": "4006381333931", "name": "Becher"})["draft_id"]
    assert one != only(CUPS)["draft_id"]


# Laws

NAMES = (
    "Kenya Embu Mwangaza AB",
    "Ethiopia Guji Natural",
    "Nordlys Espresso",
    "Paper cups, sleeve of 50",
    "Paper cups sleeve 50",
    "Burundi Kayanza Gitwe Lot 12",
)
RECORDS = st.builds(
    coffee,
    st.builds("{}/{}".format, st.sampled_from(["acme", "mid", "zeta"]), st.integers(1, 4)),
    st.sampled_from(NAMES),
    size=st.sampled_from(["250 g", "500 g", None]),
    sku=st.sampled_from([None, "S-1", "S-2"]),
)
LISTS = st.lists(RECORDS, max_size=7, unique_by=lambda one: one["id"])
STANDINGS = st.builds(
    Standing,
    verified=st.dictionaries(st.sampled_from(["acme/1", "zeta/2"]), st.just("berg/2"), max_size=2),
    rejected=st.dictionaries(
        st.sampled_from(["acme/1", "acme/2", "mid/1"]),
        st.frozensets(st.sampled_from(["berg/1", "berg/3"]), min_size=1),
        max_size=2,
    ),
)


@given(LISTS, STANDINGS)
@settings(max_examples=20)
def test_every_item_has_exactly_one_match(records, standing):
    found = linked(*records, standing=standing)
    assert sorted(match["item_id"] for match in found.matches) == sorted(r["id"] for r in records)
    drafted = {match["item_id"]: match["draft_id"] for match in found.matches if match["draft_id"]}
    assert drafted == {item: key for key, draft in found.drafts.items() for item in draft["items"]}
    for match in found.matches:
        refused = standing.rejected.get(match["item_id"], frozenset())
        verified = match["item_id"] in standing.verified
        assert verified or match["product_id"] not in refused
        assert (match["status"] == Status.VERIFIED_MATCH) is verified


@given(st.data(), LISTS)
@settings(max_examples=20)
def test_the_order_of_suppliers_rows_and_products_changes_nothing(data, records):
    found = linked(*records)
    shuffled = data.draw(st.permutations(records))
    other = linked(*shuffled, products=data.draw(st.permutations(CATALOGUE)))
    assert by_item(other) == by_item(found)
    assert other.drafts == found.drafts


@given(LISTS)
@settings(max_examples=10)
def test_matching_again_changes_nothing(records):
    found = linked(*records)
    again = linked(*records, before=found.matches, now=NOW + timedelta(days=1))
    kept = {"status", "product_id", "draft_id", "proposed_at"}
    for item, match in by_item(again).items():
        assert {name: match[name] for name in kept} == {
            name: by_item(found)[item][name] for name in kept
        }
    assert again.drafts == found.drafts


# Calibration


def decision(item, verdict, linear=1.0, **fields):
    evidence = {"linear": linear, "vetoed": fields.pop("vetoed", False)}
    return Decision(1, "acme", item, "berg/1", Verdict(verdict), "ana", NOW, 80.0, evidence,
                    **fields)  # fmt: skip


def test_calibration_learns_from_standing_verdicts_that_saw_a_score():
    made = [
        decision("a", "accept", 3.0),
        decision("b", "reject", 1.0),
        decision("c", "defer"),
        decision("d", "accept", None),
        decision("e", "reject", 2.0, vetoed=True),
        decision("f", "accept", 2.0, undone_at=NOW),
        decision("b", "accept", -1.0),
    ]
    assert accepted_pairs(made) == [(3.0, True), (-1.0, True)]


def test_another_calibration_decides_otherwise():
    strict = BUNDLED.model_copy(update={"percent": tuple(p * 0.9 for p in BUNDLED.percent)})
    assert only(SURE, calibration=strict)["status"] == Status.POTENTIAL_MATCH
