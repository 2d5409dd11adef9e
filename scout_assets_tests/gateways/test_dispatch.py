"""Claiming due sources: each slot is acted on once, whoever asks, however often."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from scout_assets.domain.cadence import Scope
from scout_assets.domain.dispatch import Dispatch, Reason
from scout_assets.domain.failures import BadConfig, NotFound, Transient
from scout_assets.domain.sources import Source
from scout_assets.gateways.dispatch import Dispatches
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.postgres import Postgres

START = datetime(2026, 11, 20, tzinfo=UTC)
HOURLY = {"full_cadence": "0 * * * *", "price_cadence": "0 4 * * 0"}


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


class Place:
    """A ledger with sources, all of which were asked at the start."""

    def __init__(self, where: Path | Postgres) -> None:
        self.ledger = Ledger(where)
        self.dispatches = Dispatches(self.ledger)
        self.order: list[str] = []

    def declare(self, *keys: str, asked: bool = True, hours: float = -1, **fields: Any) -> None:
        fields = {"platform": "shopify", "location": "https://x.example"} | HOURLY | fields
        known = {s.source.key: s.source for s in self.ledger.sources()}
        known |= {key: Source(key=key, **fields) for key in keys}
        self.ledger.sync(list(known.values()), at(hours))
        self.order = sorted(known)
        for key in keys if asked else ():
            self.ledger.record_success(key, START)

    def claim(self, hours: float, **options: Any) -> tuple[Dispatch, ...]:
        return self.dispatches.claim("roaster", self.order, at(hours), **options)

    def done(self, dispatch: Dispatch, hours: float) -> None:
        """Its run asked every source, and they answered."""
        self.dispatches.begin(dispatch.number, f"run-{dispatch.number}", None, at(hours))
        for key in dispatch.keys:
            self.ledger.record_success(key, at(hours), scope=dispatch.scope)
        self.dispatches.end(dispatch.number, "FETCHED", at(hours))


@pytest.fixture
def place(ledger_place: Path | Postgres) -> Place:
    return Place(ledger_place)


def asked(dispatches: Sequence[Dispatch]) -> list[tuple[list[str], str, str]]:
    return [(one.keys, one.scope.value, one.reason.value) for one in dispatches]


def test_a_source_is_due_when_a_slot_has_passed_since_it_was_asked(place: Place):
    place.declare("a", "b")
    assert place.claim(0.5) == ()
    (dispatch,) = place.claim(1)
    assert asked([dispatch]) == [(["a", "b"], "full", "slot")]
    assert set(dispatch.slots.values()) == {at(1)}


def test_a_slot_is_claimed_once(place: Place):
    place.declare("a")
    (first,) = place.claim(1)
    assert place.claim(1) == ()
    place.done(first, 1.1)
    assert place.claim(1.9) == ()
    assert asked(place.claim(2)) == [(["a"], "full", "slot")]


def test_missed_slots_collapse_into_one(place: Place):
    place.declare("a")
    (late,) = place.claim(7.5)
    place.done(late, 7.6)
    assert place.claim(7.7) == ()


def test_a_source_that_is_under_way_is_not_asked_again(place: Place):
    place.declare("a")
    (first,) = place.claim(1)
    assert place.claim(2.5) == ()
    place.done(first, 2.6)
    assert len(place.claim(3)) == 1


def test_prices_alone_when_only_their_slot_has_passed(place: Place):
    place.declare("a", full_cadence="0 0 1 * *", price_cadence="0 6 * * *")
    (prices,) = place.claim(6)
    assert asked([prices]) == [(["a"], "prices", "slot")]
    place.done(prices, 6.1)
    assert place.claim(7) == ()


def test_a_full_refresh_is_one_of_prices_too(place: Place):
    place.declare("a", full_cadence="0 6 * * *", price_cadence="0 6 * * *")
    (both,) = place.claim(6)
    assert both.scope is Scope.FULL
    place.done(both, 6.1)
    assert place.claim(6.2) == ()


def test_what_a_person_asked_meanwhile_is_not_due(place: Place):
    place.declare("a")
    place.ledger.record_success("a", at(1.2))
    assert place.claim(1.5) == ()


def test_a_new_source_is_due_at_once_a_changed_one_again(place: Place):
    place.declare("a", asked=False)
    (first,) = place.claim(0)
    assert asked([first]) == [(["a"], "full", "new")]
    place.done(first, 0.1)
    place.ledger.retire("a", at(0.2))
    assert place.claim(5) == ()
    place.ledger.revive("a", at(6.1))
    assert asked(place.claim(6.2)) == [(["a"], "full", "new")]


def test_a_failing_source_is_tried_again_when_its_pause_is_over(place: Place):
    place.declare("a", full_cadence="0 0 1 * *")
    place.ledger.record_failure("a", Transient("503"), at(1))
    assert place.claim(1 + 4 / 60) == ()
    assert asked(place.claim(1 + 5 / 60)) == [(["a"], "full", "retry")]


def test_a_pause_outlasts_slots(place: Place):
    place.declare("a", full_cadence="*/5 * * * *")
    for _ in range(4):
        place.ledger.record_failure("a", Transient("503"), at(1))
    assert place.claim(1.5) == (), "40 minutes of pause"
    assert asked(place.claim(1.7)) == [(["a"], "full", "retry")]


def test_a_permanent_failure_is_not_asked_until_its_declaration_changes(place: Place):
    place.declare("a")
    place.ledger.record_failure("a", NotFound("404"), at(1))
    assert place.claim(9999) == ()
    place.declare("a", asked=False, hours=9999, location="https://y.example")
    assert asked(place.claim(9999)) == [(["a"], "full", "new")]


def test_slots_missed_in_manual_are_erased_those_after_it_are_not(place: Place):
    place.declare("a", "b")
    assert place.claim(3.5, missed_before=at(3.4)) == ()
    assert asked(place.claim(4, missed_before=at(3.4))) == [(["a", "b"], "full", "slot")]


def test_slots_between_the_return_to_auto_and_the_next_tick_are_not_erased(place: Place):
    place.declare("a", "b", full_cadence="0 0 1 * *", price_cadence="0 * * * *")
    place.declare("c", full_cadence="0 3 * * *", price_cadence="0 2 * * *")
    (dispatch,) = place.claim(6, missed_before=at(4.5))
    assert asked([dispatch]) == [(["a", "b"], "prices", "slot")]
    assert set(dispatch.slots.values()) == {at(5)}, "of c both were missed"


def test_what_failed_before_manual_is_still_tried_again_after_it(place: Place):
    place.declare("a", full_cadence="0 0 1 * *")
    place.ledger.record_failure("a", Transient("503"), at(1))
    assert asked(place.claim(9, missed_before=at(8))) == [(["a"], "full", "retry")]


def test_a_host_that_says_when_to_come_again_is_not_asked_before(place: Place):
    place.declare("a")
    place.ledger.record_failure("a", Transient("503", retry_after=7200), at(1))
    assert place.claim(2.9) == ()
    assert asked(place.claim(3)) == [(["a"], "full", "retry")]


def test_a_source_that_was_never_asked_was_not_missed(place: Place):
    place.declare("a", asked=False)
    assert asked(place.claim(3.5, missed_before=at(3.4))) == [(["a"], "full", "new")]


@pytest.mark.parametrize("reason", [Reason.CHANGE, Reason.STARTUP])
def test_sources_may_be_asked_for_between_slots(place: Place, reason: Reason):
    place.declare("a", "b", full_cadence="0 0 1 * *")
    place.dispatches.ask(["b"] if reason is Reason.CHANGE else None, reason, at(1))
    (dispatch,) = place.claim(1.1)
    assert dispatch.reason is reason
    place.done(dispatch, 1.2)
    assert place.claim(1.3) == ()


def test_what_makes_too_many_runs_stays_due(place: Place):
    place.declare(*(f"s{number}" for number in range(9)))
    place.order = [key for one in place.order for key in (one, f"{one}-other")]
    first = place.claim(1, at_most=4)
    assert len(first) == 4
    rest = place.claim(1, at_most=99)
    assert len({key for one in (*first, *rest) for key in one.keys}) == 9


# What becomes of a dispatch


def test_a_dispatch_waits_until_its_run_has_begun(place: Place):
    place.declare("a")
    (dispatch,) = place.claim(1)
    assert place.dispatches.open() == (dispatch,)
    begun = place.dispatches.begin(dispatch.number, "r1", None, at(1.1))
    assert (begun.run_id, begun.started_at) == ("r1", at(1.1))
    place.dispatches.end(dispatch.number, "FETCHED", at(1.2), {"sources/fetched": 1})
    assert place.dispatches.open() == ()
    (kept,) = place.dispatches.latest()
    assert (kept.outcome, kept.counters) == ("FETCHED", {"sources/fetched": 1})


def test_a_second_run_of_a_dispatch_is_refused(place: Place):
    place.declare("a")
    (dispatch,) = place.claim(1)
    place.dispatches.begin(dispatch.number, "r1", None, at(1.1))
    place.dispatches.begin(dispatch.number, "r1", None, at(1.1))  # the step is tried again
    place.dispatches.begin(dispatch.number, "r2", "r1", at(1.2))  # Dagster repeats a dead run
    with pytest.raises(BadConfig, match="was taken by run r2 already; it is not run twice"):
        place.dispatches.begin(dispatch.number, "r9", None, at(1.3))
    place.dispatches.end(dispatch.number, "FETCHED", at(1.4))
    with pytest.raises(BadConfig, match="not run twice"):
        place.dispatches.begin(dispatch.number, "r2", None, at(1.5))
    with pytest.raises(BadConfig, match="not in this ledger"):
        place.dispatches.begin(999, "r3", None, at(1.5))


def test_what_a_lost_run_did_not_ask_is_due_again(place: Place):
    place.declare("a", "b")
    (dispatch,) = place.claim(1)
    place.dispatches.begin(dispatch.number, "r1", None, at(1.1))
    place.ledger.record_success("a", at(1.2))
    assert place.dispatches.lost(dispatch.number, "FAILURE", at(1.3)) == ["b"]
    assert place.dispatches.lost(dispatch.number, "FAILURE", at(1.3)) == [], "told once"
    assert asked(place.claim(1.3)) == [(["b"], "full", "slot")]


def test_old_dispatches_are_forgotten_once_they_have_ended(place: Place):
    place.declare("a")
    (first,) = place.claim(1)
    place.done(first, 1.1)
    (second,) = place.claim(2)
    assert place.dispatches.forget(at(9), dry_run=True) == [first.number]
    assert place.dispatches.forget(at(1)) == []
    assert place.dispatches.forget(at(9)) == [first.number]
    assert place.dispatches.latest() == (second,)


# Several automations, and faults


def test_of_many_at_once_one_gets_each_source(ledger_place: Path | Postgres):
    place = Place(ledger_place)
    place.declare(*(f"s{number:02}" for number in range(40)))
    claimed: list[str] = []

    def automation() -> None:
        rival = Dispatches(Ledger(ledger_place))
        for hours in (1.0, 1.01, 1.02):
            for one in rival.claim("roaster", place.order, at(hours)):
                claimed.extend(one.keys)

    threads = [threading.Thread(target=automation) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == place.order


def test_a_locked_ledger_is_told_and_loses_nothing(tmp_path: Path):
    place = Place(tmp_path / "ledger.sqlite")
    place.declare("a")
    hasty = Dispatches(Ledger(tmp_path / "ledger.sqlite", wait_seconds=0.1))
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            Transient, match=r"ledger.sqlite cannot be used now: database is locked"
        ):
            hasty.claim("roaster", ["a"], at(1))
    assert asked(hasty.claim("roaster", ["a"], at(1))) == [(["a"], "full", "slot")]


def test_a_process_killed_in_a_claim_claims_nothing(tmp_path: Path):
    place = Place(tmp_path / "ledger.sqlite")
    place.declare("a")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_A_CLAIM, str(tmp_path / "ledger.sqlite")], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert asked(place.claim(1)) == [(["a"], "full", "slot")]


KILLED_IN_A_CLAIM = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
import sqlalchemy as sa
from scout_assets.gateways.dispatch import Dispatches
from scout_assets.gateways.postgres import Postgres
from scout_assets.gateways.ledger import Ledger

ledger = Ledger(Path(sys.argv[1]))
sa.event.listen(ledger._engine, "commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))
Dispatches(ledger).claim("roaster", ["a"], datetime(2026, 11, 20, 1, tzinfo=UTC))
"""


def test_a_clock_that_jumps_ahead_collapses_slots_and_back_repeats_none(place: Place):
    place.declare("a")
    (ahead,) = place.claim(2.5)
    place.done(ahead, 2.6)
    assert place.claim(1.5) == (), "an hour back: that slot was acted on"
    assert len(place.claim(3)) == 1


def test_a_ledger_of_before_has_its_slots_counted_from_the_last_attempt(place: Place):
    place.declare("a", "b")
    with place.ledger.session() as session:
        session.execute(sa.text("UPDATE sources SET full_due_at = NULL, price_due_at = NULL"))
    assert place.claim(0.5) == ()
    assert asked(place.claim(1)) == [(["a", "b"], "full", "slot")]
