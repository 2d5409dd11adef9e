"""The matcher as its users see it: items and catalogue in, one decision for each item out."""

from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.matching.calibration import BUNDLED, LINK, REVIEW
from scout_assets.domain.matching.matcher import SCHEMA, Matches, Settings, match

Row = dict[str, Any]
CATALOGUE = [
    {"id": "lamp", "name": "Halden Arc Desk Lamp HD-4410 Black", "brand": "Halden", "price": 79},
    {"id": "lamp-w", "name": "Halden Arc Desk Lamp HD-4411 White", "brand": "Halden", "price": 79},
    {"id": "drill", "name": "Torvik Hammer Drill TKX900 18V", "brand": "Torvik", "price": 129},
    {"id": "paint", "name": "Pixelbrook Studio 9 for Windows", "brand": "Pixelbrook", "price": 59},
    {"id": "wine", "name": "Cantina Rocca Alta Barbera d'Asti", "vintage": "2019", "size": "750ml",
     "pack_count": 12, "brand": "Rocca Alta", "price": 96},
    {"id": "beans", "name": "Morning Harbour Espresso Beans 1kg", "brand": "Morning Harbour",
     "price": 19},
    {"id": "cable", "name": "Linkwell Patch Cable Cat6 5m", "brand": "Linkwell", "price": 4},
]  # fmt: skip


def frame(rows: list[Row]) -> pl.DataFrame:
    kinds = {"price": pl.Float64, "pack_count": pl.Float64}
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["id", "name"]
    return pl.DataFrame(rows, schema={name: kinds.get(name, pl.String) for name in names})


def matched(items: list[Row], catalogue: list[Row] | None = None, **given: Any) -> Matches:
    products = CATALOGUE if catalogue is None else catalogue
    return match(frame(items), frame(products), Settings(threads=1), **given)


def only(items: list[Row], catalogue: list[Row] | None = None, **given: Any) -> Row:
    (row,) = matched(items, catalogue, **given).table.to_pylist()
    return row


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("HALDEN ARC DESK LAMP BLACK HD4410", "lamp"),
        ("Halden desk lamp Arc, white - HD 4411", "lamp-w"),
        ("Torvik TKX-900 hammer drill 18 volt", "drill"),
        ("pixelbrook studio 9.0 (win)", "paint"),
        ("Morning Harbour espresso beans 1000 g", "beans"),
        ("Linkwell Cat6 Patch Cabel 5 meter", "cable"),
    ],
)
def test_the_right_product_is_found(name: str, product: str) -> None:
    found = only([{"id": "1", "name": name}])
    assert found["product_id"] == product
    assert found["decision"] in ("link", "review")


def test_what_is_not_in_the_catalogue_is_new() -> None:
    found = only([{"id": "1", "name": "Sundvall Cast Iron Pan 28 cm"}])
    assert found["decision"] == "new"
    assert found["score"] < REVIEW


WINE = {
    "id": "1", "name": "Cantina Rocca Alta Barbera d'Asti", "brand": "Rocca Alta",
    "vintage": "2019", "size": "0.75 L", "pack_count": 12, "price": 99.0,
}  # fmt: skip


def test_the_same_wine_is_linked() -> None:
    found = only([WINE])
    assert (found["product_id"], found["decision"]) == ("wine", "link")


@pytest.mark.parametrize(
    ("change", "veto"),
    [
        ({"vintage": "2020"}, "vintage"),
        ({"vintage": "NV"}, "vintage"),
        ({"size": "1.5 L"}, "size"),
        ({"size": "375ml"}, "size"),
        ({"pack_count": 6}, "pack count"),
        ({"price": 320.0}, "price"),
        ({"price": 30.0}, "price"),
    ],
)
def test_a_stated_difference_is_for_a_person(change: Row, veto: str) -> None:
    found = only([WINE | change])
    assert (found["product_id"], found["decision"]) == ("wine", "review")
    assert found["reason"] == f"veto: {veto}"


@pytest.mark.parametrize(
    ("item", "product", "veto"),
    [
        ("Torvik Hammer Drill 12V", "Torvik Hammer Drill 18V", "voltage"),
        ("Corvex Pocket Drive 64 GB", "Corvex Pocket Drive 128GB", "capacity"),
        ("Halden Infuser Mug 300 ml", "Halden Infuser Mug 450ml", "size"),
        ("Halden Dish Towel pack of 3", "Halden Dish Towel 6-pack", "pack count"),
        ("Rocca Alta Barbera 2018", "Rocca Alta Barbera 2021", "vintage"),
        ("Halden Arc Desk Lamp HD4410", "Halden Arc Desk Lamp ZX7725", "code"),
    ],
)
def test_a_difference_in_the_names_is_never_linked(item: str, product: str, veto: str) -> None:
    found = only([{"id": "1", "name": item}], [{"id": "p", "name": product}])
    assert found["decision"] != "link"
    assert veto in found["reason"]


@pytest.mark.parametrize(
    ("item", "product"),
    [({"currency": "EUR"}, {"currency": "JPY"}), ({"currency": "EUR"}, {}), ({}, {"price": None})],
)
def test_prices_in_other_currencies_are_not_compared(item: Row, product: Row) -> None:
    bottle = next(row for row in CATALOGUE if row["id"] == "wine")
    found = only([WINE | {"price": 9_000.0} | item], [bottle | product])
    assert found["decision"] == "link"


EXACT = [
    {"id": "a", "name": "Halden Lamp", "gtin": "4006381333931", "brand": "Halden", "mpn": "HD 1"},
    {"id": "b", "name": "Torvik Saw", "gtin": "96385074", "brand": "Torvik", "mpn": "TS-77"},
    {"id": "c", "name": "Corvex Drive", "supplier": "north", "sku": "N-100"},
]


@pytest.mark.parametrize(
    ("item", "product", "reason"),
    [
        ({"gtin": "4006381333931"}, "a", "gtin"),
        ({"gtin": "04006381333931"}, "a", "gtin"),  # the same number as a GTIN-14
        ({"gtin": "00000096385074"}, "b", "gtin"),
        ({"brand": "TORVIK GmbH", "mpn": "ts 77"}, "b", "brand and mpn"),
        ({"supplier": "North", "sku": "n100"}, "c", "sku"),
    ],
)
def test_exact_keys_link_whatever_the_name(item: Row, product: str, reason: str) -> None:
    found = only([{"id": "1", "name": "no such words"} | item], EXACT)
    assert (found["product_id"], found["reason"], found["decision"]) == (product, reason, "link")


@pytest.mark.parametrize(
    "item",
    [
        {"gtin": "4006381333932"},  # wrong check digit
        {"brand": "Corvex", "mpn": "TS-77"},  # another maker's part
        {"supplier": "south", "sku": "N-100"},  # another supplier's numbering
    ],
)
def test_what_only_looks_like_a_key_does_not_link(item: Row) -> None:
    assert only([{"id": "1", "name": "no such words"} | item], EXACT)["decision"] == "new"


@pytest.mark.parametrize(
    ("item", "veto"),
    [
        ({"gtin": "96385074"}, "code"),
        ({"brand": "Halden", "mpn": "HD 2"}, "code"),
    ],
)
def test_codes_that_differ_forbid_a_link(item: Row, veto: str) -> None:
    found = only([{"id": "1", "name": "Halden Lamp"} | item], EXACT[:1])
    assert found["decision"] != "link"
    assert found["reason"] == f"veto: {veto}"


def test_an_exact_key_does_not_overrule_a_stated_difference() -> None:
    product = {"id": "p", "name": "Rocca Alta Barbera", "gtin": "4006381333931", "vintage": "2019"}
    found = only([product | {"id": "1", "vintage": "2020"}], [product])
    assert (found["decision"], found["reason"]) == ("review", "veto: vintage")


def test_a_part_number_is_found_in_the_name_of_the_other_side() -> None:
    found = matched([{"id": "1", "name": "Hammer drill", "mpn": "TKX-900"}])
    assert found.table["product_id"].to_pylist() == ["drill"]
    assert "code_agrees" in {part.feature for part in found.explain("1").records}


def known(item: dict[str, object], product: str, **options: Any) -> dict[str, Any]:
    links = pl.DataFrame({"item_id": ["1", "gone"], "product_id": [product, product]})
    return only([item], known_links=links, **options)


def test_a_known_link_is_kept_though_the_name_has_changed_a_little() -> None:
    renamed = WINE | {"name": "Serrata Barbera"}
    alone, found = only([renamed]), known(renamed, "wine")
    assert (alone["decision"], alone["product_id"]) == ("review", "wine")
    assert (found["product_id"], found["reason"], found["decision"]) == (
        "wine", "known link", "link",
    )  # fmt: skip
    assert found["score"] == 95.0, "as sure as a link must be, and not surer"
    assert found["linear"] == alone["linear"], "what is known does not count as likeness"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vintage": "2020"}, "veto: vintage"),
        ({"name": "Stainless steel milk jug"}, "known link, but little agrees"),
    ],
)
def test_a_known_link_that_something_speaks_against_is_looked_at(change, reason) -> None:
    found = known(WINE | change, "wine")
    assert (found["product_id"], found["decision"], found["reason"]) == ("wine", "review", reason)


def test_a_calibration_that_links_nothing_keeps_no_known_link() -> None:
    strict = BUNDLED.model_copy(update={"percent": tuple(0.9 * p for p in BUNDLED.percent)})
    assert known(WINE, "wine", calibration=strict)["decision"] == "review"


def test_decisions_of_people_count() -> None:
    vetoed = WINE | {"vintage": "2020"}
    verdicts = {"item_id": ["1"], "product_id": ["wine"], "verdict": ["accepted"]}
    accepted = only([vetoed], decisions=pa.table(verdicts))
    assert (accepted["product_id"], accepted["decision"]) == ("wine", "link")
    rejected = only([WINE], decisions=pl.DataFrame(verdicts | {"verdict": ["rejected"]}))
    assert rejected["product_id"] != "wine"


def test_a_second_row_for_the_same_product_is_not_linked_too() -> None:
    rows = [WINE, WINE | {"id": "2", "name": "Barbera d'Asti"}]
    decisions = {row["item_id"]: row["decision"] for row in matched(rows).table.to_pylist()}
    assert list(decisions.values()).count("link") <= 1


def test_where_rows_share_products_they_all_keep_theirs() -> None:
    rows = [WINE | {"id": str(number)} for number in range(3)]
    shared = match(frame(rows), frame(CATALOGUE), Settings(one_to_one=False, threads=1))
    assert shared.table["product_id"].to_pylist() == ["wine"] * 3
    assert set(shared.table["decision"].to_pylist()) == {"link"}


def test_at_most_five_candidates_best_first() -> None:
    shelf = [{"id": f"p{at}", "name": f"Halden Arc Desk Lamp {at} W"} for at in range(20)]
    found = only([{"id": "1", "name": "Halden Arc Desk Lamp 7 W"}], shelf)
    scores = [candidate["score"] for candidate in found["candidates"]]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert found["candidates"][0]["product_id"] == found["product_id"] == "p7"


def test_evidence_adds_up_to_the_score() -> None:
    rows = [{"id": str(at), "name": row["name"], "price": 50.0} for at, row in enumerate(CATALOGUE)]
    found = matched(rows)
    for row in found.table.to_pylist():
        why = found.explain(row["item_id"])
        assert sum(part.contribution for part in why.records) == pytest.approx(why.linear)
        assert why.linear == pytest.approx(row["linear"], abs=1e-4)
        assert why.percent == pytest.approx(row["score"], abs=0.01)
        assert all(p.contribution == pytest.approx(p.weight * p.value) for p in why.records)


def test_evidence_names_what_speaks_against() -> None:
    why = matched([WINE | {"vintage": "2020"}]).explain("1", "wine")
    against = {part.feature for part in why.records if part.contribution < 0}
    assert "facts_conflict" in against
    assert why.vetoes == ("vintage",)


@pytest.mark.parametrize(
    ("item", "product", "message"),
    [("9", None, "no item '9'"), ("1", "nowhere", "no product 'nowhere'"),
     ("1", "cable", "was not compared")],
)  # fmt: skip
def test_what_cannot_be_explained_says_so(item: str, product: str | None, message: str) -> None:
    with pytest.raises(BadConfig, match=message):
        matched([WINE]).explain(item, product)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([{"id": "1"}], "items have no column 'name'"),
        ([{"id": "1", "name": "a"}, {"id": "1", "name": "b"}], "id '1' stands more than once"),
        ([{"id": None, "name": "a"}], "1 of the items have no id"),
    ],
)
def test_bad_input_is_refused(items: list[Row], message: str) -> None:
    with pytest.raises(BadConfig, match=message):
        matched(items)


def test_an_unknown_verdict_is_refused() -> None:
    verdicts = pl.DataFrame({"item_id": ["1"], "product_id": ["wine"], "verdict": ["maybe"]})
    with pytest.raises(BadConfig, match="'maybe' is neither accepted nor rejected"):
        matched([WINE], decisions=verdicts)


@pytest.mark.parametrize(("items", "catalogue"), [([], CATALOGUE), ([WINE], []), ([], [])])
def test_an_empty_side_is_no_fault(items: list[Row], catalogue: list[Row]) -> None:
    found = matched(items, catalogue)
    assert found.table.schema == SCHEMA
    assert found.table["decision"].to_pylist() == ["new"] * len(items)


VOCABULARY = "halden torvik lamp drill desk arc HD-4410 TKX900 18V 12V 750ml 2019 2020 black white"
WORDS = st.sampled_from(VOCABULARY.split(" "))
NAMES = st.lists(WORDS, min_size=0, max_size=6).map(" ".join)
LISTS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "price": st.sampled_from([None, 5.0, 50.0]),
         "supplier": st.sampled_from([None, "north", "south"])}
    ), max_size=12,
)  # fmt: skip


def with_ids(rows: list[Row], prefix: str) -> list[Row]:
    return [row | {"id": f"{prefix}{at}"} for at, row in enumerate(rows)]


@settings(deadline=None, max_examples=30)
@given(LISTS, LISTS)
def test_no_row_is_lost_and_bands_hold(items: list[Row], products: list[Row]) -> None:
    rows = with_ids(items, "i")
    found = matched(rows, with_ids(products, "p"))
    table = found.table.to_pylist()
    assert sorted(row["item_id"] for row in table) == sorted(row["id"] for row in rows)
    for row in table:
        band = "link" if row["score"] >= LINK else "review" if row["score"] >= REVIEW else "new"
        assert row["decision"] == band
        assert 0 <= row["score"] <= 100
    assert sum(found.counters[f"match/{name}"] for name in ("link", "review", "new")) == len(rows)


@settings(deadline=None, max_examples=30)
@given(LISTS, LISTS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(
    items: list[Row], products: list[Row], random: Any
) -> None:
    left, right = with_ids(items, "i"), with_ids(products, "p")
    found = matched(left, right).table
    random.shuffle(left)
    random.shuffle(right)
    assert matched(left, right).table.equals(found)


@settings(deadline=None, max_examples=30)
@given(LISTS, LISTS)
def test_one_to_one_holds_within_a_supplier(items: list[Row], products: list[Row]) -> None:
    rows = with_ids(items, "i")
    supplier = {row["id"]: row["supplier"] for row in rows}
    found = match(frame(rows), frame(with_ids(products, "p")), Settings(True, threads=1))
    links = [
        (supplier[row["item_id"]], row["product_id"])
        for row in found.table.to_pylist()
        if row["decision"] == "link"
    ]
    assert len(links) == len(set(links))


def test_the_bundled_map_is_conservative_about_nothing() -> None:
    """A pair about which nothing at all is known is no match."""
    assert BUNDLED.percentages(-6.5) < REVIEW
