"""The mode and the audit log: one truth, every change on record for ever."""

import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from scout_assets.domain.control import ControlState, Mode
from scout_assets.domain.failures import BadConfig, Critical
from scout_assets.gateways.control import Control, this_process
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.postgres import Postgres

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def control(ledger_place: Path | Postgres) -> Control:
    return Control(Ledger(ledger_place))


def test_until_an_operator_says_auto_the_mode_is_manual(control: Control):
    assert control.state() == ControlState()
    assert control.state().mode is Mode.MANUAL
    assert control.audit() == ()


def test_a_switch_is_kept_with_who_when_and_why(control: Control):
    control.switch(Mode.AUTO, "ana", "the crawl looks good", NOW)
    assert control.state() == ControlState(
        Mode.AUTO, NOW, "ana", "the crawl looks good", missed_before=NOW
    )


def test_every_switch_leaves_a_line_with_before_and_after(control: Control):
    control.switch(Mode.AUTO, "ana", "go", NOW)
    control.switch(Mode.MANUAL, "system", "failure budget exceeded", NOW + timedelta(hours=1))
    last, first = control.audit()
    assert (first.actor, first.action, first.before["mode"], first.after["mode"]) == (
        "ana",
        "mode auto",
        "manual",
        "auto",
    )
    assert (last.actor, last.reason, last.at) == (
        "system",
        "failure budget exceeded",
        NOW + timedelta(hours=1),
    )
    assert (last.before["actor"], last.after["mode"]) == ("ana", "manual")
    assert control.audit(limit=1) == (last,)


@pytest.mark.parametrize("actor", ["", "  "])
def test_nobody_switches_namelessly(control: Control, actor: str):
    with pytest.raises(BadConfig, match="needs a name: --by NAME"):
        control.switch(Mode.AUTO, actor, "", NOW)
    assert control.audit() == ()


@pytest.mark.parametrize("change", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"])
def test_the_audit_log_cannot_be_edited(ledger_place: Path | Postgres, change: str):
    ledger = Ledger(ledger_place)
    Control(ledger).switch(Mode.AUTO, "ana", "go", NOW)
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), ledger.session() as session:
        session.execute(sa.text(change))
    assert Control(ledger).audit()[0].actor == "ana"


def test_another_process_sees_the_switch_at_once(ledger_place: Path | Postgres, control: Control):
    other = Control(Ledger(ledger_place))
    control.switch(Mode.AUTO, "ana", "go", NOW)
    assert other.state().mode is Mode.AUTO


def test_a_ledger_that_is_gone_is_told_and_nothing_counts_as_auto(ledger_place: Path | Postgres):
    ledger = Ledger(ledger_place)
    control = Control(ledger)
    control.switch(Mode.AUTO, "ana", "go", NOW)
    with ledger.session() as session:
        session.execute(sa.text("ALTER TABLE parser_settings RENAME TO elsewhere"))
    with pytest.raises(Critical, match=r"ledger .* is damaged"):
        control.state()


# The fail-safe


def test_the_fail_safe_switches_once_and_never_in_manual(control: Control):
    assert not control.trip("the disk is full", NOW)
    control.switch(Mode.AUTO, "ana", "go", NOW)
    assert control.trip("the disk is full", NOW)
    assert not control.trip("the disk is full", NOW)
    state = control.state()
    assert (state.mode, state.actor, state.reason) == (
        Mode.MANUAL,
        "system",
        "fail-safe: the disk is full",
    )
    assert len(control.audit()) == 2


# What was missed in manual


def test_going_auto_erases_what_was_missed_unless_it_is_to_be_caught_up(control: Control):
    control.switch(Mode.AUTO, "ana", "go", NOW)
    assert control.state().missed_before == NOW
    control.switch(Mode.AUTO, "bo", "go on", NOW + timedelta(hours=1))
    assert control.state().missed_before == NOW, "it was auto all the time"
    control.switch(Mode.MANUAL, "ana", "stop", NOW + timedelta(hours=2))
    control.switch(Mode.AUTO, "ana", "go", NOW + timedelta(hours=9), catch_up=True)
    assert control.state().missed_before is None


# Settings


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"update_interval_minutes": 5}, {"update_interval_minutes": 30}),
        ({"update_interval_minutes": "45"}, {"update_interval_minutes": 45}),
        ({"catalogue_interval_hours": 0}, {"catalogue_interval_hours": 1}),
        ({"catalogue_interval_hours": 999}, {"catalogue_interval_hours": 168}),
        ({"dry_run": "yes"}, {"dry_run": True}),
        ({"blacklist_titles": "mug, gift card ,"}, {"blacklist_titles": ("mug", "gift card")}),
        ({"blacklist_external_ids": ["77"]}, {"blacklist_external_ids": ("77",)}),
    ],
)
def test_a_setting_is_kept_within_its_bounds(control: Control, given, kept):
    made = control.set(given, "ana", NOW)
    assert made == control.state().settings
    assert {name: getattr(made, name) for name in kept} == kept
    line = control.audit(1)[0]
    assert (line.actor, line.action) == ("ana", f"set {next(iter(kept))}")
    assert line.before.keys() == line.after.keys() == kept.keys()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"speed": 3}, "setting speed: "),
        ({"failure_budget": "many"}, "setting failure_budget: .*got 'many'"),
        ({"update_interval_minutes": "soon"}, "setting update_interval_minutes: "),
    ],
)
def test_a_wrong_setting_is_named_and_changes_nothing(control: Control, given, why):
    with pytest.raises(BadConfig, match=why):
        control.set(given, "ana", NOW)
    with pytest.raises(BadConfig, match="--by NAME"):
        control.set({"dry_run": True}, " ", NOW)
    assert control.state() == ControlState()


def test_settings_and_mode_leave_each_other_alone(control: Control):
    control.switch(Mode.AUTO, "ana", "go", NOW)
    control.set({"failure_budget": 9}, "bo", NOW)
    control.switch(Mode.MANUAL, "ana", "stop", NOW)
    state = control.state()
    assert (state.settings.failure_budget, state.actor) == (9, "ana")


# The lease

HERE = socket.gethostname()
OTHER = "another-machine process 7"


def test_one_automation_holds_the_lease_and_renews_it(control: Control):
    assert control.hold(NOW, OTHER) is None
    assert control.hold(NOW + timedelta(seconds=10), "third process 8") == OTHER
    assert control.hold(NOW + timedelta(seconds=80), OTHER) is None
    assert control.hold(NOW + timedelta(seconds=100), "third process 8") == OTHER


def test_who_does_not_renew_loses_it(control: Control):
    control.hold(NOW, OTHER)
    assert control.hold(NOW + timedelta(seconds=91), "third process 8") is None
    assert control.hold(NOW + timedelta(seconds=92), OTHER) == "third process 8"


def test_a_process_that_is_gone_from_this_machine_is_replaced_at_once(control: Control):
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    assert control.hold(NOW, f"{HERE} process {gone.pid}") is None
    assert control.hold(NOW + timedelta(seconds=1)) is None
    assert control.hold(NOW + timedelta(seconds=2), OTHER) == this_process()


def test_processes_of_one_dagster_share_it(control: Control):
    one, two = (f"another-machine process {pid} of Dagster a-b" for pid in (7, 8))
    other = "another-machine process 8 of Dagster c-d"
    assert control.hold(NOW, one) is None
    assert control.hold(NOW + timedelta(seconds=1), two) is None
    assert control.hold(NOW + timedelta(seconds=2), other) == one
    assert control.hold(NOW + timedelta(seconds=80), two) is None
    assert control.hold(NOW + timedelta(seconds=100), other) == two


def test_who_shares_it_with_a_dead_process_takes_its_place(control: Control):
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    mine = this_process("a-b")
    assert control.hold(NOW, f"{HERE} process {gone.pid} of Dagster a-b") is None
    assert control.hold(NOW + timedelta(seconds=1), mine) is None
    assert control.acting(NOW + timedelta(seconds=1)) == mine


def test_a_dead_process_is_seen_whatever_dagster_it_was_of(control: Control):
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    assert control.hold(NOW, f"{HERE} process {gone.pid} of Dagster a-b") is None
    mine = this_process("c-d")
    assert control.hold(NOW + timedelta(seconds=1), mine) is None
    assert control.acting(NOW + timedelta(seconds=2)) == mine


def test_a_clock_that_jumped_back_holds_nobody_up(control: Control):
    control.hold(NOW + timedelta(hours=1), OTHER)
    assert control.hold(NOW, "third process 8") is None


def test_of_many_at_once_one_gets_the_lease(ledger_place: Path | Postgres, control: Control):
    def ask(number: int) -> bool:
        mine = Control(Ledger(ledger_place))
        return mine.hold(NOW, f"machine-{number} process 7") is None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 1


def test_who_acts_is_told_until_the_lease_ends(control: Control):
    assert control.acting(NOW) is None
    control.hold(NOW, OTHER)
    assert control.acting(NOW + timedelta(seconds=89)) == OTHER
    assert control.acting(NOW + timedelta(seconds=91)) is None
