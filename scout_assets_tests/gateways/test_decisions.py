"""Decisions in the ledger: append-only, with who, when and what was seen."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.matching.calibration import BUNDLED
from scout_assets.domain.review import Decision, Verdict, standing
from scout_assets.gateways.decisions import Decisions, Judged
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.postgres import Postgres

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SEEN = {"linear": 1.5, "vetoed": False, "reason": "names are alike", "parts": [{"value": 0.5}]}
PAIR = Judged("acme", "acme/1", "berg/1", 88.5, SEEN)
OTHER = Judged("acme", "acme/1", "berg/2", None, {})
FITTED = BUNDLED.model_copy(update={"decisions": 60})


@pytest.fixture
def decisions(ledger_place: Path | Postgres) -> Decisions:
    return Decisions(Ledger(ledger_place))


def test_a_decision_is_kept_with_who_when_and_what_was_seen(decisions, ledger_place):
    made = decisions.add(PAIR, Verdict.ACCEPT, "ana", NOW)
    assert made == Decision(
        1, "acme", "acme/1", "berg/1", Verdict.ACCEPT, "ana", NOW, 88.5, SEEN, None, None
    )
    assert Decisions(Ledger(ledger_place)).all() == (made,), "it is on disk"


@pytest.mark.parametrize("nobody", ["", "  "])
def test_nobody_decides(decisions, nobody):
    with pytest.raises(BadConfig, match="SCOUT_ACTOR"):
        decisions.add(PAIR, Verdict.ACCEPT, nobody, NOW)
    assert decisions.all() == ()


def test_an_undo_marks_the_last_standing_decision_and_what_stood_before_stands_again(decisions):
    decisions.add(PAIR, Verdict.ACCEPT, "ana", NOW)
    decisions.add(OTHER, Verdict.ACCEPT, "bo", NOW)
    assert standing(decisions.all()).verified == {"acme/1": "berg/2"}
    later = NOW + timedelta(hours=1)
    took_back = decisions.undo("acme/1", "cy", later)
    assert (took_back.number, took_back.undone_at, took_back.undone_by) == (2, later, "cy")
    assert [made.number for made in decisions.all()] == [1, 2], "nothing is deleted"
    assert standing(decisions.all()).verified == {"acme/1": "berg/1"}
    decisions.undo("acme/1", "cy", later)
    assert standing(decisions.all()).verified == {}
    with pytest.raises(BadConfig, match="nothing is decided about item 'acme/1'"):
        decisions.undo("acme/1", "cy", later)


def test_the_map_fitted_last_is_used_and_before_any_the_bundled_one(decisions):
    assert decisions.calibration() == BUNDLED
    decisions.calibrated(FITTED, "ana", NOW)
    assert decisions.calibration() == FITTED
    newer = FITTED.model_copy(update={"decisions": 70})
    decisions.calibrated(newer, "ana", NOW)
    assert decisions.calibration() == newer


def test_every_act_changes_the_state_and_reading_does_not(decisions):
    states = [decisions.state()]
    for act in (
        lambda: decisions.add(PAIR, Verdict.DEFER, "ana", NOW),
        lambda: decisions.add(PAIR, Verdict.ACCEPT, "ana", NOW),
        lambda: decisions.undo("acme/1", "ana", NOW),
        lambda: decisions.calibrated(FITTED, "ana", NOW),
    ):
        act()
        decisions.all()
        states.append(decisions.state())
        assert decisions.state() == states[-1]
    assert len(set(states)) == len(states)
