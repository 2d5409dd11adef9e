"""What an alert may show, and how long a failing channel rests."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.alerts import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Alert,
    Severity,
    next_try,
    redacted,
    stalled_after,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no address here: 3 @ 4", "no address here: 3 @ 4"),
        ("https://a.example/list.json failed", "https://a.example/list.json failed"),
        ("https://a.example/x?page=2&token=t: 404", "https://a.example/x?… 404"),
        ("smtp://me:hunter2@mail.example:587 refused", "smtp://mail.example:587 refused"),
        ("(https://me:hun/ter2@a.example/x)", "(https://a.example/x)"),
        ("https://hooks.slack.com/services/T0/B0/hunter2 is gone", "https://hooks.slack.com/… is"
         " gone"),
        ("https://a.example/webhook/hunter2?x=1", "https://a.example/…"),
        ("two: ftp://u:p@b.example and 'http://c.example#s'", "two: ftp://b.example and "
         "'http://c.example'"),
    ],
)  # fmt: skip
def test_addresses_are_shown_bare(text: str, shown: str):
    assert redacted(text) == shown


@given(
    user=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
    password=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8),
    around=st.sampled_from(["{}", "failed: {}.", "'{}'", "<{}>", "{}/x?y={}"]),
)
def test_no_login_is_ever_shown(user: str, password: str, around: str):
    url = f"https://{user}:{password}@a.example"
    assert password not in redacted(around.replace("{}", url)).replace("a.example", "")


def test_an_alert_is_fitted_to_a_message():
    made = Alert(
        "k", Severity.ERROR, "one\nline  " + "x" * 500, "https://u:hunter2@a.example " + "y" * 9999
    ).fitted()
    assert made.subject.startswith("one line x")
    assert (len(made.subject), len(made.text)) == (200, 3000)
    assert "hunter2" not in made.text
    assert made.fitted() == made


def test_a_failing_channel_rests_longer_each_time_and_as_long_as_it_asks():
    pauses = [next_try(NOW, failures) - NOW for failures in (1, 2, 3, 7, 50)]
    assert pauses == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    assert next_try(NOW, 1, 90) == NOW + timedelta(seconds=90)
    assert next_try(NOW, 1, 1e12) == NOW + timedelta(days=7), "no server silences us for ever"


def test_ten_missed_ticks_are_a_stall_but_never_less_than_five_minutes():
    assert stalled_after(timedelta(seconds=5)) == timedelta(minutes=5)
    assert stalled_after(timedelta(minutes=1)) == timedelta(minutes=10)
