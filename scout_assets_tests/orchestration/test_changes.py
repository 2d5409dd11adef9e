"""The sensor `changed_sources`: what changed is due, a few requests at a time, in auto only."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg
import pytest

from scout_assets.definitions import build_defs
from scout_assets.domain.control import Mode
from scout_assets.domain.dispatch import Dispatch, Reason
from scout_assets.domain.failures import BadConfig, NotFound
from scout_assets.orchestration.changes import changed_sources
from scout_assets.orchestration.resources import ScoutHome
from scout_assets_tests.loopback import Loopback, Reply, Request, Store
from scout_assets_tests.orchestration.lanes import TestWeb, World, rows
from scout_assets_tests.orchestration.ticks import Tick, tick
from scout_assets_tests.stores import declared, serve_shopify, shopify_page, shopify_product

NOW = TestWeb().now()
LISTING = "/products.json"
HOUR = 60
ONE = 0.0
"""Seconds of a tick that has time for one source only, when sources are asked one by one."""


@dataclasses.dataclass
class Watch:
    """Stores that were fetched once, in auto, and the cursor of the sensor between its ticks."""

    world: World
    stores: Mapping[str, Store]
    cursor: str | None = None

    def tick(self, minutes: int = HOUR, cursor: str | None = None) -> Tick:
        """A tick as the daemon makes it; it remembers the cursor unless one is given."""
        found = tick(self.world, "changed_sources", cursor or self.cursor, minutes)
        self.cursor = found.cursor
        return found

    def stretch(self, minutes: int = HOUR, seconds: float = ONE) -> str:
        """A tick with time for so much only; what it said."""
        world, sensor = self.world, changed_sources(tick_seconds=seconds)
        resources = {
            "home": ScoutHome(root=str(world.home_root), sources_file=str(world.sources_file)),
            "web": TestWeb(minutes=minutes, sources_at_once=1),
        }
        with dg.build_sensor_context(
            instance=world.instance, cursor=self.cursor, resources=resources
        ) as context:
            found = sensor.evaluate_tick(context)
        self.cursor = found.cursor
        return found.skip_message or ""

    def change(self, *keys: str, number: int = 2) -> None:
        for key in keys:
            serve_shopify(self.stores[key], [shopify_product(number)], etags=True)

    def asked(self) -> dict[str, int]:
        """How often each store was asked for its listing."""
        return {key: len(store.to(LISTING)) for key, store in self.stores.items()}

    def asked_since(self, before: Mapping[str, int]) -> dict[str, int]:
        now = self.asked()
        return {key: now[key] - before[key] for key in now if now[key] != before[key]}

    def claimed(self, minutes: int = HOUR) -> Sequence[Dispatch]:
        """What is due because it changed, as `due_sources` takes it."""
        now = TestWeb(minutes=minutes).now()
        claimed = self.world.home.dispatches.claim("roaster", sorted(self.stores), now)
        return [one for one in claimed if one.reason is Reason.CHANGE]

    def set(self, **settings: Any) -> None:
        self.world.home.control.set(settings, "ana", NOW)


Stores = Callable[..., Watch]


@pytest.fixture
def watch(world: World, loopback: Loopback) -> Stores:
    def made(*keys: str) -> Watch:
        stores = {key: loopback.store() for key in keys or ("berg",)}
        found = Watch(world, stores)
        found.change(*stores, number=1)
        world.declare(
            *(declared(key, s) | {"check_for_changes": True} for key, s in stores.items())
        )
        assert world.run("roasters", *sorted(stores), selection=["roasters/snapshots"]).success
        world.home.control.switch(Mode.AUTO, "ana", "go", NOW)
        found.set(enable_autoupdate=True)
        return found

    return made


# What a tick does


def test_what_changed_is_due_and_the_tick_tells(watch: Stores):
    here = watch("berg", "dal", "elv")
    here.change("dal")
    here.stores["elv"].route(LISTING, Reply(status=404))
    told = here.tick()
    assert "checked 3, changed 1 (dal), failed 1 (elv)" in told.skipped
    assert "the round is over, the next one starts at 13:05:00 UTC" in told.skipped
    assert told.requests == (), "it is due_sources that asks for runs"
    assert "elv: not known to have changed: NotFound: http" in told.log
    (dispatch,) = here.claimed()
    assert (dispatch.keys, dispatch.reason) == (["dal"], Reason.CHANGE)


def test_nothing_changed_nothing_is_due(watch: Stores):
    here = watch()
    told = here.tick()
    assert "checked 1, changed 0, failed 0" in told.skipped
    assert here.claimed() == []
    assert here.stores["berg"].to(LISTING)[-1].headers["if-none-match"]


def test_a_failing_check_is_no_failure_of_the_source(watch: Stores):
    here = watch()
    here.stores["berg"].route(LISTING, Reply(status=503))
    before = here.world.home.ledger.source("berg")
    assert "failed 1 (berg)" in here.tick().skipped
    assert here.world.home.ledger.source("berg") == before
    assert here.claimed() == []


def test_a_store_that_forbids_it_is_named(watch: Stores):
    here = watch()
    here.stores["berg"].robots("User-agent: *\nDisallow: /")
    before = here.asked()
    told = here.tick()
    assert "failed 1 (berg)" in told.skipped
    assert "robots.txt" in told.log
    assert here.asked_since(before) == {}


def test_a_changed_source_is_fetched_and_carried_on(watch: Stores):
    """From the change to the rows, as the daemon goes."""
    here = watch("berg", "dal")
    here.change("dal", number=7)
    here.tick()
    world = here.world
    asked = tick(world, "due_sources", minutes=HOUR)
    (request,) = asked.requests
    assert request.partition_key == "dal"
    assert request.tags["scout/reason"] == "change"
    assert request.job_name is not None
    done = world.run(request.job_name, "dal", minutes=HOUR, tags=dict(request.tags))
    assert done.success
    landed = world.home.ledger.latest_snapshots(["berg", "dal"])
    assert {key: one.number for key, one in landed.items()} == {"berg": 1, "dal": 2}
    assert world.run("roasters", "dal", minutes=HOUR).success
    titles = {row["source"]: row["title"] for row in rows(world, "parents") if not row["gone_at"]}
    assert titles["dal"] == "Coffee number 7"
    before = here.asked()
    assert "changed 0" in here.tick(2 * HOUR + 5).skipped
    assert here.asked_since(before) == {"berg": 1, "dal": 1}
    assert not tick(world, "due_sources", minutes=2 * HOUR + 5).requests


# Rounds


def test_a_round_starts_every_interval(watch: Stores):
    here = watch()
    before = here.asked()
    assert "checked 1" in here.tick(HOUR).skipped
    for minute in range(1, 5):
        told = here.tick(HOUR + minute)
        assert "no round is due" in told.skipped
        assert "13:05:00 UTC" in told.skipped
    assert here.asked_since(before) == {"berg": 1}
    assert "checked 1" in here.tick(HOUR + 5).skipped
    assert here.asked_since(before) == {"berg": 2}


def test_the_interval_is_set_by_the_environment(watch: Stores, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FEED_CHECK_INTERVAL", "3600")
    here = watch()
    here.tick(HOUR)
    assert "no round is due" in here.tick(HOUR + 59).skipped
    assert "checked 1" in here.tick(2 * HOUR).skipped
    (sensor,) = (s for s in here.world.defs().sensors or () if s.name == "changed_sources")
    assert "every 3600 s" in (sensor.description or "")


@pytest.mark.parametrize("text", ["5 min", "-1", "0", "1.5"])
def test_a_wrong_interval_is_named(text: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FEED_CHECK_INTERVAL", text)
    with pytest.raises(BadConfig, match=f"FEED_CHECK_INTERVAL is '{text}'"):
        build_defs()


def test_a_round_is_cut_by_time_and_goes_on_at_its_cursor(watch: Stores):
    here = watch("berg", "dal", "elv")
    here.change("berg", "elv")
    before = here.asked()
    told = here.stretch()
    assert told.startswith("checked 1, changed 1 (berg)")
    assert "the round goes on after 'berg', 2 to ask" in told
    assert "after 'dal', 1 to ask" in here.stretch()
    told = here.stretch()
    assert told.startswith("checked 1, changed 1 (elv)")
    assert "the round is over" in told
    assert here.asked_since(before) == {"berg": 1, "dal": 1, "elv": 1}
    assert "no round is due" in here.stretch()
    assert [one.keys for one in here.claimed()] == [["berg"], ["elv"]]


def test_a_tick_that_was_killed_is_made_again(watch: Stores):
    """Its cursor was not kept. What it had made due is not asked again; the rest is."""
    here = watch("berg", "dal", "elv")
    here.stretch()
    here.change("dal", "elv")
    kept = here.cursor
    assert "checked 1, changed 1 (dal)" in here.stretch()
    here.cursor = kept
    before = here.asked()
    told = here.tick()
    assert "checked 1, changed 1 (elv)" in told.skipped
    assert here.asked_since(before) == {"elv": 1}
    (dispatch,) = here.claimed()
    assert dispatch.keys == ["dal", "elv"]


def test_a_change_is_asked_for_once_while_it_waits_or_runs(watch: Stores):
    here = watch()
    here.change("berg")
    assert "changed 1 (berg)" in here.tick(HOUR).skipped
    before = here.asked()
    assert "no source may be asked" in here.tick(HOUR + 5).skipped, "it is due"
    assert len(here.claimed(HOUR + 6)) == 1
    assert "no source may be asked" in here.tick(HOUR + 10).skipped, "it is under way"
    assert here.asked_since(before) == {}


def test_a_host_that_said_retry_after_is_left_alone_until_then(watch: Stores):
    here = watch()
    here.stores["berg"].route(LISTING, Reply(status=429, headers={"Retry-After": "540"}))
    assert "failed 1 (berg)" in here.tick(HOUR).skipped
    before = here.asked()
    here.tick(HOUR + 5)
    assert here.asked_since(before) == {}
    here.change("berg")
    assert "changed 1 (berg)" in here.tick(HOUR + 10).skipped


# Who may be asked, and when nobody is


def test_a_source_is_left_alone_after_a_fetch(watch: Stores):
    here = watch()
    here.change("berg")
    assert "no source may be asked" in here.tick(59).skipped
    here.set(update_interval_minutes=30)
    here.cursor = None
    assert "no source may be asked" in here.tick(29).skipped
    assert "changed 1 (berg)" in here.tick(34).skipped


def test_a_source_that_failed_for_good_is_never_asked(watch: Stores):
    here = watch()
    here.world.home.ledger.record_failure("berg", NotFound("berg answered 404"), NOW)
    before = here.asked()
    for day in range(1, 4):
        here.tick(day * 24 * HOUR)
    assert here.asked_since(before) == {}


def test_autoupdate_is_off_unless_somebody_says_so(watch: Stores):
    here = watch()
    here.change("berg")
    here.set(enable_autoupdate=False)
    before = here.asked()
    told = here.tick(cursor="as it was")
    assert "enable_autoupdate is off" in told.skipped
    assert told.cursor == "as it was"
    assert here.asked_since(before) == {}


def test_in_manual_nobody_is_asked(watch: Stores):
    here = watch()
    here.change("berg")
    here.world.home.control.switch(Mode.MANUAL, "ana", "enough", NOW)
    before = here.asked()
    told = here.tick(cursor="as it was")
    assert "mode is manual" in told.skipped
    assert told.cursor == "as it was"
    assert here.asked_since(before) == {}


def test_a_stop_ends_a_round_between_requests_and_auto_goes_on_with_it(watch: Stores):
    here = watch("berg", "dal", "elv")
    here.stretch()
    kept, control = here.cursor, here.world.home.control

    def stopped(request: Request) -> Reply:
        control.switch(Mode.MANUAL, "ana", "stop", NOW)
        return Reply(body=shopify_page([shopify_product(2)]))

    here.stores["dal"].route(LISTING, stopped)
    before = here.asked()
    assert "the operator stopped it" in here.stretch(seconds=20)
    assert here.asked_since(before) == {"dal": 1}
    assert here.cursor == kept
    assert here.claimed() == []
    control.switch(Mode.AUTO, "ana", "go on", NOW)
    here.change("dal")
    assert "checked 2, changed 1 (dal)" in here.tick().skipped


def test_a_dry_run_says_whom_it_would_ask(watch: Stores):
    here = watch("berg", "dal")
    here.change("berg")
    here.set(dry_run=True)
    before = here.asked()
    told = here.tick(cursor=None)
    assert "dry_run: would ask 2 (berg, dal)" in told.skipped
    assert told.cursor is None
    assert here.asked_since(before) == {}
    here.set(dry_run=False)
    assert "changed 1 (berg)" in here.tick().skipped
