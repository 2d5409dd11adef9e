"""The mode and the audit log: one truth, every change on record for ever."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from scout_assets.domain.control import ControlState, Mode
from scout_assets.domain.failures import BadConfig, Transient
from scout_assets.gateways.control import Control
from scout_assets.gateways.ledger import Ledger

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(Ledger(tmp_path / "ledger.sqlite"))


def test_until_an_operator_says_auto_the_mode_is_manual(control: Control):
    assert control.state() == ControlState()
    assert control.state().mode is Mode.MANUAL
    assert control.audit() == ()


def test_a_switch_is_kept_with_who_when_and_why(control: Control):
    control.switch(Mode.AUTO, "ana", "the crawl looks good", NOW)
    assert control.state() == ControlState(Mode.AUTO, NOW, "ana", "the crawl looks good")


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
def test_the_audit_log_cannot_be_edited(tmp_path: Path, change: str):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    Control(ledger).switch(Mode.AUTO, "ana", "go", NOW)
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), ledger.session() as session:
        session.execute(sa.text(change))
    assert Control(ledger).audit()[0].actor == "ana"


def test_another_process_sees_the_switch_at_once(tmp_path: Path, control: Control):
    other = Control(Ledger(tmp_path / "ledger.sqlite"))
    control.switch(Mode.AUTO, "ana", "go", NOW)
    assert other.state().mode is Mode.AUTO


def test_a_ledger_that_is_gone_is_told_and_nothing_counts_as_auto(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    control = Control(ledger)
    control.switch(Mode.AUTO, "ana", "go", NOW)
    with ledger.session() as session:
        session.execute(sa.text("ALTER TABLE parser_settings RENAME TO elsewhere"))
    with pytest.raises(Transient, match=r"ledger .* cannot be used now"):
        control.state()
