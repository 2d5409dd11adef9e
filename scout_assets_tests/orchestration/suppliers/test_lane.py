"""The suppliers lane in Dagster: two lists and a roaster, end to end."""

from typing import Any

import dagster as dg
import pytest

from scout_assets.domain.review import Verdict
from scout_assets.gateways.review_queue import waiting
from scout_assets_tests.orchestration.lanes import (
    TestWeb,
    World,
    checks,
    listed,
    match_statuses,
    materialized,
    rows,
)
from scout_assets_tests.stores import shopify_page
from scout_assets_tests.supplies import ACME, CUPS, KENYA, coffees, csv_list, xlsx_list

UNNAMED = ("A-8", "", "Berg Kaffe", "250 g", 6, "9,10", None)
ZETA = [("Z-1", *KENYA[1:5], "9,90", None), ("Z-9", *CUPS[1:5], "2,95", None)]
SOURCES = (
    {"key": "berg", "platform": "shopify", "location": "berg.json", "currency": "EUR"},
    {"key": "acme", "platform": "price-list", "location": "acme.csv"},
    {"key": "zeta", "platform": "price-list", "location": "zeta.xlsx"},
)
BOTH = ("acme", "zeta")
TABLES = ("supplier_items", "list_sheets", "quarantine", "matches", "drafts", "best_prices")
AFTER_LISTS = tuple(
    f"suppliers/{name}"
    for name in ("supplier_items", "list_sheets", "quarantine", "decisions", "matches", "drafts")
)
MATCHES = tuple(f"suppliers/{name}" for name in ("decisions", "matches", "drafts"))
PRICES = "catalogue/best_prices"


@pytest.fixture
def listing(world: World) -> World:
    """Two suppliers and a roaster, of which nothing landed yet."""
    (world.root / "berg.json").write_bytes(shopify_page(coffees()))
    (world.root / "acme.csv").write_bytes(csv_list([*ACME, UNNAMED]))
    (world.root / "zeta.xlsx").write_bytes(xlsx_list(ZETA))
    world.declare(*SOURCES)
    return world


@pytest.fixture
def supplied(listing: World) -> World:
    """The roaster's catalogue is there too."""
    # What matching looks at; search and stats are the roasters' own business.
    compared = [f"roasters/{name}" for name in ("snapshots", "parents", "products", "offers")]
    assert listing.run("roasters", "berg", selection=compared).success
    return listing


def everything(world: World) -> dict[str, list[dict[str, Any]]]:
    return {table: rows(world, table) for table in TABLES}


def test_the_whole_lane_over_a_range(supplied: World):
    result = supplied.run("suppliers", *BOTH)
    assert result.success
    assert match_statuses(supplied) == {
        "acme/A-1": "auto_matched",
        "acme/A-2": "auto_matched",
        "acme/A-3": "potential_match",
        "acme/A-4": "unmatched",
        "zeta/Z-1": "auto_matched",
        "zeta/Z-9": "unmatched",
    }
    (draft,) = rows(supplied, "drafts")
    assert draft["items"] == ["acme/A-4", "zeta/Z-9"]
    priced = supplied.run("__ASSET_JOB", selection=[PRICES])
    assert priced.success
    found = {row["product_id"]: row for row in rows(supplied, "best_prices")}
    assert (float(found["berg/11"]["min_price"]), found["berg/11"]["best_source"]) == (9.9, "zeta")
    assert float(found[draft["draft_id"]]["min_price"]) == 2.95

    shown = materialized(result, "matches")[None]
    assert (shown["items/matched"], shown["items/potential_match"], shown["drafts"]) == (6, 1, 1)
    for picture in ("scores", "evidence of the best one waiting"):
        assert "data:image/png;base64," in shown[picture]
    assert "| item_id | status |" in shown["preview"]
    assert materialized(result, "price_lists")["zeta"]["outcome"] == "landed"

    judged = checks(result)
    failed = {name for name, check in judged.items() if not check.passed}
    assert failed == {"quarantine: empty"}, "the row without a name"
    assert judged["matches: complete"].passed
    items, quarantined = len(listed(supplied)), len(rows(supplied, "quarantine"))
    assert (items, quarantined) == (6, 1)

    before = everything(supplied)
    again = supplied.run("suppliers", *BOTH, minutes=5)
    assert again.success
    assert supplied.run("__ASSET_JOB", selection=[PRICES], minutes=5).success
    assert everything(supplied) == before, "a second run changes nothing"
    for asset in ("matches", "drafts"):
        assert materialized(again, asset)[None]["slices/written"] == 0
    assert materialized(again, "price_lists")["acme"]["outcome"] == "unchanged"


def test_what_the_reader_noted_is_shown_and_kept(listing: World):
    (listing.root / "zeta.csv").write_bytes(xlsx_list(ZETA))
    listing.declare(*SOURCES[:2], {**SOURCES[2], "location": "zeta.csv"})
    result = listing.run("suppliers", *BOTH)
    for name in ("supplier_items", "list_sheets"):
        shown = materialized(result, name)["zeta"]["notices"]
        assert "| zeta | " in shown
        assert "xlsx" in shown, "the workbook that calls itself csv"
    (kept,) = (row["notices"] for row in rows(listing, "list_sheets") if row["source"] == "zeta")
    assert any("xlsx" in notice for notice in kept)


def test_one_supplier_alone_and_a_new_version_of_its_list(listing: World):
    assert listing.run("suppliers", "acme").success
    assert (
        set(listed(listing)) == set(match_statuses(listing)) == {f"acme/A-{n}" for n in range(1, 5)}
    )
    dearer = (*KENYA[:5], "11,00", None)
    novelty = ("A-9", "Colombia Huila Decaf", *KENYA[2:])
    (listing.root / "acme.csv").write_bytes(csv_list([dearer, novelty]))
    result = listing.run("suppliers", "acme", minutes=5)
    assert result.success
    assert listed(listing) == {
        "acme/A-1": True,
        "acme/A-2": False,
        "acme/A-3": False,
        "acme/A-4": False,
        "acme/A-9": True,
    }
    assert list(match_statuses(listing)) == ["acme/A-1", "acme/A-9"]
    (kenya,) = (row for row in rows(listing, "supplier_items") if row["sku"] == "A-1")
    assert float(kenya["price"]) == 11.0
    assert checks(result)["matches: complete"].passed


def test_a_supplier_that_fails_fails_alone_and_keeps_its_last_items(listing: World):
    assert listing.run("suppliers", *BOTH).success
    before = listed(listing)
    (listing.root / "zeta.xlsx").write_bytes(b"")
    (listing.root / "acme.csv").write_bytes(csv_list(ACME[:2]))
    fetched = listing.run("suppliers", *BOTH, minutes=5, selection=["suppliers/price_lists"])
    assert not fetched.success
    said = fetched.failure_data_for_node("suppliers_price_lists").user_failure_data.description
    assert "1 of 2 sources failed" in said
    assert "zeta" in said
    after = listing.run("suppliers", *BOTH, minutes=6, selection=AFTER_LISTS)
    assert after.success
    assert {item for item, here in listed(listing).items() if here} == {
        "acme/A-1",
        "acme/A-2",
        *(item for item in before if item.startswith("zeta/")),
    }
    assert checks(after)["matches: complete"].passed


def test_each_decision_is_an_input_of_the_next_materialisation(supplied: World):
    def decisions_version() -> str:
        event = supplied.instance.get_latest_materialization_event(
            dg.AssetKey(["suppliers", "decisions"])
        )
        assert event is not None
        assert event.asset_materialization is not None
        tags = event.asset_materialization.tags or {}
        return tags["dagster/data_version"]

    def matched(minutes: int) -> dict[str, str]:
        assert supplied.run("__ASSET_JOB", minutes=minutes, selection=MATCHES).success
        return match_statuses(supplied)

    supplied.run("suppliers", "acme")
    home, now, version = supplied.home, TestWeb().now(), decisions_version()
    (one,) = waiting(home, now)
    home.decisions.add(one.judged(), Verdict.ACCEPT, "ana", now)
    assert matched(1)["acme/A-3"] == "verified_match"
    assert decisions_version() != version
    home.decisions.undo(one.item_id, "ana", now)
    assert matched(2)["acme/A-3"] == "potential_match"


def test_a_list_that_was_hardly_understood_warns_and_blocks_nothing(listing: World):
    goods = ("Plate large blue", "Plate small green", "Bowl deep white", "Cup with saucer")
    lines = [f"AB-100{number};{name};on request\n" for number, name in enumerate(goods)]
    (listing.root / "acme.csv").write_text("Code;Thing;Price\n" + "".join(lines))
    result = listing.run("suppliers", "acme")
    assert result.success
    unsure = checks(result)["list_sheets: confidence"]
    assert (unsure.passed, unsure.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "column_mapping" in str(unsure.metadata["findings"].value)
    assert all(listed(listing).values())


def test_an_item_without_a_match_is_found_by_the_check(listing: World):
    listing.run("suppliers", "acme")
    with listing.home.warehouse.writing() as db:
        db.execute("DELETE FROM matches WHERE item_id = 'acme/A-2'")
    checked = listing.run("suppliers", "acme", minutes=1, selection=MATCHES)
    complete = checks(checked)["matches: complete"]
    assert (complete.passed, complete.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "acme/A-2" in str(complete.metadata["findings"].value)
