"""What people decide sets off: matches follow by a sensor, expired proposals come back."""

import pytest

from scout_assets.domain.review import Verdict
from scout_assets.gateways.review_queue import waiting
from scout_assets_tests.orchestration.lanes import TestWeb, World, match_statuses, rows
from scout_assets_tests.orchestration.suppliers.test_lane import SOURCES
from scout_assets_tests.orchestration.ticks import Tick, tick
from scout_assets_tests.stores import shopify_page
from scout_assets_tests.supplies import ACME, coffees, csv_list

DAY = 24 * 60
FOLLOW = "__anonymous_asset_job_review_follows"


@pytest.fixture
def matched(world: World) -> World:
    """One supplier, matched with a roaster's catalogue; one item waits for a person."""
    (world.root / "berg.json").write_bytes(shopify_page(coffees()))
    (world.root / "acme.csv").write_bytes(csv_list(ACME))
    world.declare(*SOURCES[:2])
    compared = [f"roasters/{name}" for name in ("snapshots", "parents", "products", "offers")]
    assert world.run("roasters", "berg", selection=compared).success
    assert world.run("suppliers", "acme").success
    return world


def look(world: World, cursor: str | None, minutes: int = 0) -> Tick:
    return tick(world, "review_follows", cursor, minutes)


def test_a_decision_and_its_undo_are_followed_once_each(matched: World):
    first = look(matched, None)
    settled = look(matched, first.cursor)
    assert (settled.requests, "nothing was decided" in settled.skipped) == ((), True)

    (one,) = waiting(matched.home, TestWeb().now())
    matched.home.decisions.add(one.judged(), Verdict.ACCEPT, "ana", TestWeb().now())
    after = look(matched, settled.cursor)
    (request,) = after.requests
    assert request.tags["scout/why"] == "decided"
    assert look(matched, after.cursor).requests == ()
    assert matched.run(FOLLOW).success
    assert match_statuses(matched)[one.item_id] == "verified_match"

    matched.home.decisions.undo(one.item_id, "ana", TestWeb().now())
    undone = look(matched, after.cursor).requests
    assert [r.run_key for r in undone] != [request.run_key]
    assert matched.run(FOLLOW).success
    assert match_statuses(matched)[one.item_id] == "potential_match"


def test_an_expired_proposal_comes_back_by_itself(matched: World):
    cursor = look(matched, None).cursor
    early = look(matched, cursor, 29 * DAY)
    assert early.requests == ()
    late = look(matched, early.cursor, 31 * DAY)
    assert [request.tags["scout/why"] for request in late.requests] == ["expired"]
    assert waiting(matched.home, TestWeb(minutes=31 * DAY).now()) == []
    assert matched.run(FOLLOW, minutes=31 * DAY).success
    (one,) = waiting(matched.home, TestWeb(minutes=31 * DAY).now())
    assert one.proposed_at == TestWeb(minutes=31 * DAY).now()
    assert look(matched, late.cursor, 31 * DAY).requests == ()


def test_before_anything_is_matched_there_is_nothing_to_follow(world: World):
    first = look(world, None)
    assert look(world, first.cursor).requests == ()
    assert rows(world, "matches") == []
