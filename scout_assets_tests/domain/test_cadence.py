"""Back-off after failures, and when a source is stale."""

from datetime import UTC, datetime, timedelta

import pytest

from scout_assets.domain.cadence import next_attempt, stale_since

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("failures", "minutes"),
    [(1, 5), (2, 10), (3, 20), (8, 640), (9, 1280), (10, 1440), (999, 1440)],
)
def test_pauses_double_up_to_a_day(failures, minutes):
    assert next_attempt(NOW, failures, permanent=False) == NOW + timedelta(minutes=minutes)


def test_a_permanent_failure_is_not_tried_again():
    assert next_attempt(NOW, 1, permanent=True) is None


def test_a_source_is_stale_after_two_missed_slots():
    assert stale_since(NOW, "0 4 * * 0") == datetime(2026, 11, 15, 4, tzinfo=UTC)
    assert stale_since(NOW, "0 3 1 * *") == datetime(2026, 10, 1, 3, tzinfo=UTC)
