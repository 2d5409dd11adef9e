"""Slots of cadences, back-off after failures, and when a source is stale."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.cadence import is_cron, next_attempt, slot_after, slot_before, stale_since

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "cron",
    ["0 3 1 * *", "*/15 * * * *", "0 9-17/2 * * 1-5", "5,35 4 1,15 * *", "@weekly", "0 0 * * sun"],
)
def test_all_legal_cron_is_taken(cron):
    assert is_cron(cron)


@pytest.mark.parametrize(
    "text",
    ["", "daily", "0 3 1 *", "61 * * * *", "0 3 1 * * 30", "@often", "0 0 30 2 *", "R 4 * * *"],
)
def test_what_is_no_cron_of_five_fields_is_not(text):
    assert not is_cron(text)


BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
YEARS = (datetime(2026, 1, 1), datetime(2027, 12, 31))  # noqa: DTZ001 (hypothesis adds the zone)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "slots"),
    [
        ("0 4 * * 0", "UTC", "2026-11-22T12:00", ["2026-11-29T04:00", "2026-12-06T04:00"]),
        ("@weekly", "UTC", "2026-11-22T12:00", ["2026-11-29T00:00"]),
        ("0 3 1 * *", BERLIN, "2026-03-01T12:00", ["2026-04-01T01:00", "2026-05-01T01:00"]),
        ("0 0 29 2 *", "UTC", "2026-11-22T12:00", ["2028-02-29T00:00"]),
        # 02:30 does not exist on 29 March in Berlin, and comes an hour later
        ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["2026-03-29T01:30", "2026-03-30T00:30"]),
        # it comes twice on 25 October, and is taken once
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("30 1 * * *", NEW_YORK, "2026-10-31T12:00", ["2026-11-01T05:30", "2026-11-02T06:30"]),
        # every hour is every hour, also the one that comes twice
        ("0 * * * *", BERLIN, "2026-10-24T23:30", ["2026-10-25T00:00", "2026-10-25T01:00"]),
        ("*/30 * * * *", BERLIN, "2026-03-29T00:30", ["2026-03-29T01:00", "2026-03-29T01:30"]),
    ],
)
def test_slots_follow_the_wall_clock_of_their_zone(cron, zone, after, slots):
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    for slot in slots:
        moment = slot_after(moment, cron, zone)
        assert moment == datetime.fromisoformat(slot).replace(tzinfo=UTC)


@given(
    st.datetimes(*YEARS, timezones=st.just(UTC)),
    st.sampled_from(["*/15 * * * *", "30 2 * * *", "0 0 * * 0", "15 1-3 * * *", "0 3 1 * *"]),
    st.sampled_from([BERLIN, NEW_YORK, "Australia/Lord_Howe", "UTC"]),
)
def test_going_back_over_slots_meets_the_same_ones(moment, cron, zone):
    ahead = [moment]
    for _ in range(4):
        ahead.append(slot_after(ahead[-1], cron, zone))
    assert all(earlier < later for earlier, later in pairwise(ahead))
    back = [ahead[-1]]
    for _ in range(3):
        back.append(slot_before(back[-1], cron, zone))
    assert back[::-1] == ahead[1:]
    assert slot_before(ahead[1], cron, zone) <= moment
    minute = ahead[1].astimezone(ZoneInfo(zone)).minute
    assert zone == "Australia/Lord_Howe" or minute in {0, 15, 30, 45}


@pytest.mark.parametrize(
    ("failures", "minutes"),
    [(1, 5), (2, 10), (3, 20), (8, 640), (9, 1280), (10, 1440), (999, 1440)],
)
def test_pauses_double_up_to_a_day(failures, minutes):
    assert next_attempt(NOW, failures, permanent=False) == NOW + timedelta(minutes=minutes)


@pytest.mark.parametrize(("seconds", "minutes"), [(60, 20), (7200, 120), (1e15, 1440)])
def test_a_pause_is_as_long_as_the_host_says_at_least_and_a_day_at_most(seconds, minutes):
    again = next_attempt(NOW, 3, permanent=False, retry_after=seconds)
    assert again == NOW + timedelta(minutes=minutes)


def test_a_permanent_failure_is_not_tried_again():
    assert next_attempt(NOW, 1, permanent=True) is None


def test_a_source_is_stale_after_two_missed_slots():
    assert stale_since(NOW, "0 4 * * 0") == datetime(2026, 11, 15, 4, tzinfo=UTC)
    assert stale_since(NOW, "0 3 1 * *") == datetime(2026, 10, 1, 3, tzinfo=UTC)
