"""From linear score to percentage, and from decisions to a map."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.matching.calibration import (
    BUNDLED,
    LINK,
    Calibration,
    calibrate,
    isotonic,
    lower_bound,
)

scores = st.floats(-30, 30)
decided = st.lists(st.tuples(scores, st.booleans()), min_size=50, max_size=200)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([1, 2, 3], [1, 2, 3]),
        ([3, 1], [2, 2]),
        ([1, 0, 1, 0], [0.5, 0.5, 0.5, 0.5]),
        ([0, 3, 1, 5], [0, 2, 2, 5]),
    ],
)
def test_isotonic_pools_what_falls(values: list[float], expected: list[float]) -> None:
    assert isotonic(values).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("right", "count", "bound"), [(0, 0, 0.0), (90, 90, 0.9708), (50, 100, 0.4188), (0, 10, 0.0)]
)
def test_lower_bound(right: int, count: int, bound: float) -> None:
    assert lower_bound(right, count) == pytest.approx(bound, abs=1e-3)


@given(st.lists(scores, min_size=2))
def test_percentages_never_fall_and_stay_within_bounds(linear: list[float]) -> None:
    percent = BUNDLED.percentages(sorted(linear))
    assert np.all(np.diff(percent) >= 0)
    assert np.all((percent >= 0) & (percent <= 100))


@settings(max_examples=40)
@given(decided)
def test_a_fitted_map_never_falls_and_stays_within_bounds(
    decisions: list[tuple[float, bool]],
) -> None:
    linear, accepted = zip(*decisions, strict=True)
    percent = calibrate(linear, accepted).percentages(np.linspace(-40, 40, 500))
    assert np.all(np.diff(percent) >= 0)
    assert np.all((percent >= 0) & (percent <= 100))


def test_ninety_five_needs_enough_right_decisions() -> None:
    few, many = np.linspace(0, 5, 60), np.linspace(0, 5, 120)
    assert calibrate(few, np.ones(60)).percentages(5.0) < LINK
    assert calibrate(many, np.ones(120)).percentages(0.0) >= LINK


def test_wrong_decisions_take_the_link_band_away() -> None:
    linear = np.linspace(3, 9, 200)
    fitted = calibrate(linear, np.arange(200) % 5 > 0)  # four of five were right
    assert fitted.percentages(8.9) == pytest.approx(80, abs=10)
    assert BUNDLED.percentages(8.9) > LINK


def test_beyond_the_decisions_the_map_before_holds() -> None:
    fitted = calibrate(np.linspace(0, 1, 60), np.arange(60) % 2 == 0)
    assert fitted.percentages(0.5) == pytest.approx(50, abs=5)
    assert fitted.percentages(-12.0) == BUNDLED.percentages(-12.0)
    assert fitted.percentages(12.0) == BUNDLED.percentages(12.0)


def test_a_map_survives_json() -> None:
    fitted = calibrate(np.linspace(0, 1, 60), np.arange(60) % 3 > 0)
    assert Calibration.model_validate_json(fitted.model_dump_json()) == fitted
    assert fitted.decisions == 60


def test_reliability_counts_every_decision_once() -> None:
    linear = np.linspace(-10, 10, 77)
    table = BUNDLED.reliability(linear, linear > 0)
    assert sum(line.count for line in table) == 77
    assert sum(line.accepted for line in table) == (linear > 0).sum()
    assert all(
        line.mean_percent is None or line.low <= line.mean_percent <= line.high for line in table
    )


def test_too_few_decisions_are_refused() -> None:
    with pytest.raises(BadConfig, match="3 decisions are too few"):
        calibrate([1, 2, 3], [True, True, False])
    with pytest.raises(BadConfig, match="2 scores but 3 decisions"):
        calibrate([1, 2], [True, True, False])


@pytest.mark.parametrize(
    ("linear", "percent", "message"),
    [
        ((0, 1), (50,), "each with its percentage"),
        ((0, 1), (60, 50), "must not fall"),
        ((0, 1), (50, 101), "between 0 and 100"),
    ],
)
def test_a_broken_map_is_refused(
    linear: tuple[float, ...], percent: tuple[float, ...], message: str
) -> None:
    with pytest.raises(BadConfig, match=message):
        Calibration(linear=linear, percent=percent)
