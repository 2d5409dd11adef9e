"""Checks for changes: who may be asked, what an answer means, how many fit into a time."""

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scout_assets.domain.dispatch import Reason
from scout_assets.domain.failures import NotFound, Refused, Transient
from scout_assets.domain.sources import Source
from scout_assets.gateways.changes import Changes, Check
from scout_assets.gateways.home import Home
from scout_assets.gateways.http import Policy, Stopped
from scout_assets_tests.gateways.http.fetching import policy, run
from scout_assets_tests.loopback import Loopback, Reply, Request, Store
from scout_assets_tests.stores import (
    declared,
    serve_shopify,
    serve_woocommerce,
    shopify_page,
    shopify_product,
    woocommerce_product,
)
from scout_assets_tests.supplies import ACME, BLEND, KENYA, csv_list, xlsx_list

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
REST = timedelta(minutes=60)
QUICK = policy(deadline_seconds=5.0, timeout_seconds=2.0, allow_private=False)
LISTING = "/products.json"


class Place:
    """An installation whose sources were fetched once."""

    def __init__(self, root: Path) -> None:
        self.home = Home.locate({}, str(root / "home"), str(root / "sources.yaml"))
        self.counters: Counter[str] = Counter()

    def fetched(self, *given: dict[str, Any]) -> None:
        """Declare sources and fetch each."""
        sources = [Source.read({"check_for_changes": True} | one, "test") for one in given]
        self.home.ledger.sync(sources, NOW)
        for source in sources:
            self.refresh(source)

    def refresh(self, source: Source) -> None:
        refresh = self.home.snapshots.refresh
        run(lambda http: refresh(source, http, QUICK, lambda: NOW))
        self.home.ledger.record_success(source.key, NOW)

    @property
    def changes(self) -> Changes:
        return Changes(self.home.ledger, self.home.dispatches, lambda: self.home.list_access)

    def askable(self, now: datetime = LATER) -> list[str]:
        return [one.key for one in self.changes.askable(now, REST)]

    def asked(
        self,
        seconds: float = 20.0,
        at_once: int = 10,
        rules: Policy = QUICK,
        **seams: Any,
    ) -> list[Check]:
        changes = self.changes
        asked = changes.askable(LATER, REST)
        return run(
            lambda http: changes.ask(asked, http, rules, self.counters, seconds, at_once), **seams
        )

    def only(self) -> Check:
        (check,) = self.asked()
        return check


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def store(loopback: Loopback) -> Store:
    return loopback.store()


def shop(store: Store, key: str = "berg", **fields: Any) -> dict[str, Any]:
    return declared(key, store) | fields


def asked_last(store: Store, path: str = LISTING) -> Request:
    return store.to(path)[-1]


# What an answer means


def test_304_is_no_change_and_is_asked_for_as_a_fetch_asks(place: Place, store: Store):
    serve_shopify(store, [shopify_product(1)], etags=True)
    place.fetched(shop(store))
    before = len(store.to(LISTING))
    assert place.only() == Check("berg", changed=False)
    assert len(store.to(LISTING)) == before + 1, "one request for one page"
    check = asked_last(store)
    place.refresh(place.home.ledger.source("berg").source)
    fetch = store.to(LISTING)[before + 1]
    assert check.target == fetch.target == f"{LISTING}?limit=250&page=1"
    assert check.headers["if-none-match"]
    assert check.headers == fetch.headers


def test_last_modified_is_asked_with_too(place: Place, store: Store):
    at = "Sun, 22 Nov 2026 10:00:00 GMT"
    page = Reply(body=shopify_page([shopify_product(1)]), headers={"Last-Modified": at})
    store.route(LISTING, page, Reply(body=shopify_page([])), Reply(status=304))
    place.fetched(shop(store, currency="EUR"))
    assert not place.only().changed
    assert asked_last(store).headers["if-modified-since"] == at


def test_the_same_bytes_without_validators_are_no_change(place: Place, store: Store):
    serve_shopify(store, [shopify_product(1)])
    place.fetched(shop(store))
    assert place.only() == Check("berg", changed=False)
    assert "if-none-match" not in asked_last(store).headers


def test_the_same_bytes_under_another_etag_are_no_change(place: Place, store: Store):
    body = shopify_page([shopify_product(1)])
    replies = [Reply(body=body, headers={"ETag": f'"{n}"'}) for n in range(3)]
    store.route(LISTING, *replies)
    place.fetched(shop(store, currency="EUR"))
    assert not place.only().changed


def test_bytes_are_compared_as_they_are_kept(place: Place, store: Store):
    """A fetch keeps UTF-8 whatever the store sends."""
    body = json.dumps({"products": [shopify_product(1, title="Café")]}, ensure_ascii=False)
    latin = {"Content-Type": "application/json; charset=iso-8859-1"}
    store.route(LISTING, Reply(body=body.encode("latin-1"), headers=latin))
    place.fetched(shop(store, currency="EUR"))
    assert not place.only().changed


@pytest.mark.parametrize("etags", [True, False])
def test_other_bytes_are_a_change_and_nothing_of_them_is_kept(
    place: Place, store: Store, etags: bool
):
    serve_shopify(store, [shopify_product(1)], etags=etags)
    place.fetched(shop(store))
    before = place.home.ledger.latest_snapshots(["berg"])
    serve_shopify(store, [shopify_product(1), shopify_product(2)], etags=etags)
    assert place.only() == Check("berg", changed=True)
    assert place.home.ledger.latest_snapshots(["berg"]) == before
    assert place.home.ledger.source("berg").fetch.last_attempt_at == NOW


def test_a_woocommerce_store_is_asked_for_its_first_page(place: Place, store: Store):
    path = "/wp-json/wc/store/v1/products"
    serve_woocommerce(store, [woocommerce_product(n) for n in range(150)])
    place.fetched(declared("molino", store, "woocommerce"))
    assert not place.only().changed
    assert asked_last(store, path).query["page"] == "1"
    serve_woocommerce(store, [woocommerce_product(n) for n in range(1, 150)])
    assert place.only().changed


@pytest.mark.parametrize("body", [csv_list(ACME), xlsx_list(ACME)], ids=["csv", "xlsx"])
def test_a_price_list_is_compared_unread(place: Place, store: Store, body: bytes):
    name = "/list.xlsx" if body[:2] == b"PK" else "/list.csv"
    store.route(name, Reply(body=body))
    place.fetched(
        {
            "key": "acme",
            "platform": "price-list",
            "location": store.url(name),
            "allow_private": True,
        }
    )
    assert not place.only().changed
    store.route(name, Reply(body=csv_list((KENYA, BLEND))))
    assert place.only().changed


SHEET = "1aB_cD-eFgHiJkLmNoPqRsTuVwXyZ"
LOGIN = Reply.text("<html><title>Sign in - Google Accounts</title>", "text/html; charset=utf-8")


def test_a_google_sheet_is_asked_for_its_export(place: Place, store: Store):
    export = f"/spreadsheets/d/{SHEET}/export"
    store.route(export, Reply(body=xlsx_list(ACME), headers={"ETag": '"1"'}), Reply(status=304))
    place.home = dataclasses.replace(place.home, google=store.url(""))
    address = store.url(f"/spreadsheets/d/{SHEET}/edit")
    place.fetched(
        {"key": "acme", "platform": "price-list", "location": address, "allow_private": True}
    )
    assert not place.only().changed
    assert asked_last(store, export).headers["if-none-match"] == '"1"'
    store.route(export, Reply(body=xlsx_list((KENYA,))))
    assert place.only().changed
    store.route(export, LOGIN)
    failure = place.only().failure
    assert isinstance(failure, Refused)
    assert "fetched when its cadence says so" in str(failure)


# A check that fails


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (Reply(status=500), Transient),
        (Reply(hang_up=True), Transient),
        (Reply(pause=3.0), Transient),
        (Reply(status=404), NotFound),
    ],
    ids=["500", "hangs up", "silent", "404"],
)
def test_a_check_that_fails_is_asked_once_and_leaves_no_trace(
    place: Place, store: Store, reply: Reply, failure: type[Exception]
):
    serve_shopify(store, [shopify_product(1)])
    place.fetched(shop(store))
    store.route(LISTING, reply)
    before, known = len(store.to(LISTING)), place.home.ledger.source("berg")
    (check,) = place.asked(rules=QUICK.model_copy(update={"timeout_seconds": 0.5}))
    assert not check.changed
    assert isinstance(check.failure, failure)
    assert len(store.to(LISTING)) == before + 1
    assert place.home.ledger.source("berg") == known


def test_retry_after_is_told(place: Place, store: Store):
    serve_shopify(store, [shopify_product(1)])
    place.fetched(shop(store))
    store.route(LISTING, Reply(status=429, headers={"Retry-After": "120"}))
    failure = place.only().failure
    assert isinstance(failure, Transient)
    assert failure.retry_after == 120


def test_a_host_that_says_wait_is_not_asked_for_its_other_sources(place: Place, store: Store):
    serve_shopify(store, [shopify_product(1)])
    place.fetched(shop(store, "a"), shop(store, "b"))
    store.route(LISTING, Reply(status=429, headers={"Retry-After": "120"}))
    before = len(store.to(LISTING))
    checks = place.asked(at_once=1)
    assert len(store.to(LISTING)) == before + 1
    assert all(isinstance(c.failure, Transient) and c.failure.retry_after for c in checks)


def test_robots_are_obeyed(place: Place, store: Store):
    serve_shopify(store, [shopify_product(1)])
    place.fetched(shop(store))
    store.robots("User-agent: *\nDisallow: /products.json")
    before = len(store.to(LISTING))
    assert isinstance(place.only().failure, Refused)
    assert len(store.to(LISTING)) == before


def test_private_addresses_are_refused(place: Place, store: Store):
    serve_shopify(store, [shopify_product(1)])
    place.fetched(shop(store))
    place.home.ledger.sync(
        [Source.read(shop(store, check_for_changes=True, allow_private=False), "test")], NOW
    )
    before = len(store.requests)
    assert isinstance(place.only().failure, Refused)
    assert len(store.requests) == before


def test_a_body_beyond_the_cap_is_not_downloaded(place: Place, store: Store):
    serve_shopify(store, [shopify_product(1)])
    place.fetched(shop(store))
    store.route(LISTING, Reply(body=b"x" * 1000, repeat=1000))
    (check,) = place.asked(rules=QUICK.model_copy(update={"max_bytes": 10_000}))
    assert isinstance(check.failure, Refused)
    assert place.counters["http/bytes"] < 200_000


def test_one_failure_leaves_the_others_be(place: Place, loopback: Loopback):
    good, bad = loopback.store(), loopback.store()
    for store in (good, bad):
        serve_shopify(store, [shopify_product(1)])
    place.fetched(shop(bad, "a"), shop(good, "b"))
    bad.route(LISTING, Reply(raw=b"garbage\r\n\r\n"))
    serve_shopify(good, [shopify_product(2)])
    checks = place.asked()
    assert [(one.key, one.changed, one.failure is None) for one in checks] == [
        ("a", False, False),
        ("b", True, True),
    ]


def test_a_wrong_setting_fails_the_lists_only(
    place: Place, store: Store, monkeypatch: pytest.MonkeyPatch
):
    serve_shopify(store, [shopify_product(1)])
    store.route("/list.csv", Reply(body=csv_list(ACME)))
    a_list = {"platform": "price-list", "location": store.url("/list.csv"), "allow_private": True}
    place.fetched({"key": "acme", **a_list}, shop(store))
    monkeypatch.setenv("MAX_FILE_SIZE_MB", "many")
    place.home = dataclasses.replace(place.home)
    acme, berg = place.asked()
    assert "MAX_FILE_SIZE_MB" in str(acme.failure)
    assert berg == Check("berg")


# Who may be asked


def a_failure(place: Place) -> None:
    place.home.ledger.record_failure("berg", Transient("503"), LATER - timedelta(minutes=1))


def a_permanent_failure(place: Place) -> None:
    place.home.ledger.record_failure("berg", NotFound("404"), NOW)


@pytest.mark.parametrize(
    "happened",
    [
        a_failure,
        a_permanent_failure,
        lambda place: place.home.ledger.retire("berg", NOW),
        lambda place: place.home.dispatches.ask(["berg"], Reason.CHANGE, NOW),
        lambda place: place.home.ledger.record_success("berg", LATER - REST / 2),
    ],
    ids=["backs off", "failed for good", "retired", "due", "fetched lately"],
)
def test_who_may_not_be_asked(place: Place, store: Store, happened: Callable[[Place], None]):
    serve_shopify(store, [shopify_product(1)])
    place.fetched(shop(store))
    assert place.askable() == ["berg"]
    happened(place)
    assert place.askable() == []


def test_what_is_under_way_is_not_asked(place: Place, store: Store):
    serve_shopify(store, [shopify_product(1)])
    place.fetched(shop(store))
    place.home.dispatches.ask(["berg"], Reason.CHANGE, LATER)
    (dispatch,) = place.home.dispatches.claim("roaster", ["berg"], LATER)
    assert place.askable() == []
    place.home.dispatches.end(dispatch.number, "SUCCESS", LATER)
    assert place.askable() == ["berg"]


def test_only_addresses_that_wish_it_and_have_a_snapshot(
    place: Place, store: Store, tmp_path: Path
):
    serve_shopify(store, [shopify_product(1)])
    capture = tmp_path / "capture.json"
    capture.write_bytes(shopify_page([shopify_product(1)]))
    on_disk = {"key": "disk", "platform": "shopify", "location": str(capture)}
    quiet, wishes = shop(store, "quiet", check_for_changes=False), shop(store, "wishes")
    place.fetched(on_disk, quiet, wishes)
    everyone = [
        Source.read({"check_for_changes": True} | one, "test")
        for one in (on_disk, quiet, wishes, shop(store, "never"))
    ]
    place.home.ledger.sync(everyone, NOW)
    assert place.askable() == ["wishes"], "who is new is due anyway"


# Time


def many(place: Place, store: Store, count: int) -> list[str]:
    serve_shopify(store, [shopify_product(1)])
    keys = [f"shop-{number:02}" for number in range(count)]
    place.fetched(*(shop(store, key) for key in keys))
    return keys


def test_sources_are_asked_side_by_side(place: Place, store: Store):
    keys = many(place, store, 10)
    store.route(LISTING, Reply(body=shopify_page([shopify_product(1)]), pause=0.3))
    began = time.monotonic()
    assert [one.key for one in place.asked()] == keys
    assert time.monotonic() - began < 2


def test_when_the_time_is_up_no_further_one_is_begun(place: Place, store: Store):
    keys = many(place, store, 10)
    store.route(LISTING, Reply(body=shopify_page([shopify_product(1)]), pause=0.1))
    before = len(store.to(LISTING))
    checks = place.asked(seconds=0.25, at_once=1)
    assert 1 <= len(checks) < 10
    assert [one.key for one in checks] == keys[: len(checks)]
    assert len(store.to(LISTING)) == before + len(checks)


def slow(store: Store, pause: float) -> None:
    store.route(LISTING, Reply(body=shopify_page([shopify_product(1)]), pause=pause))


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scout_assets.gateways.changes.GRACE_SECONDS", 0.3)


def test_what_is_cut_off_is_left_for_the_next_time(place: Place, loopback: Loopback, brief: None):
    quick, lame = loopback.store(), loopback.store()
    for store in (quick, lame):
        serve_shopify(store, [shopify_product(1)])
    place.fetched(shop(quick, "a"), shop(lame, "b"), shop(quick, "c"))
    slow(lame, 1.5)
    began = time.monotonic()
    assert [one.key for one in place.asked(seconds=0.1)] == ["a"], "c is asked again, after b"
    assert time.monotonic() - began < 1.2
    assert place.counters["changes/cut_off"] == 1


def test_one_that_fills_all_the_time_has_failed(place: Place, loopback: Loopback, brief: None):
    quick, lame = loopback.store(), loopback.store()
    for store in (quick, lame):
        serve_shopify(store, [shopify_product(1)])
    place.fetched(shop(lame, "a"), shop(quick, "b"))
    slow(lame, 1.5)
    (check,) = place.asked(seconds=0.1)
    assert (check.key, check.changed) == ("a", False)
    assert isinstance(check.failure, Transient)


def test_a_stop_ends_the_checks(place: Place, store: Store):
    many(place, store, 5)
    slow(store, 0.5)
    before, stop = len(store.to(LISTING)), time.monotonic() + 0.2
    with pytest.raises(Stopped):
        place.asked(at_once=1, cancelled=lambda: time.monotonic() > stop)
    assert len(store.to(LISTING)) == before + 1
