"""The outbox: one message per event, at each channel once, whatever fails on the way."""

import multiprocessing
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from scout_assets.domain.alerts import GIVE_UP_AFTER, Alert, Delivery, Severity
from scout_assets.domain.failures import Critical, Permanent, Transient
from scout_assets.gateways.alerts import Alerts, Pass
from scout_assets.gateways.channels import configured
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.postgres import Postgres
from scout_assets_tests.loopback import Loopback, Reply

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def alerts(ledger_place: Path | Postgres) -> Alerts:
    return Alerts(Ledger(ledger_place))


def alert(key: str = "run:1") -> Alert:
    return Alert(key, Severity.ERROR, f"{key} failed", "why")


@dataclass
class Place:
    """A channel that does what it is told: a failure for each message in turn, then none."""

    name: str = "slack"
    place: str = "a place"
    failures: list[Exception | None] = field(default_factory=list)
    got: list[str] = field(default_factory=list)
    pause: float = 0.0

    def send(self, alert: Alert, at: datetime) -> None:
        time.sleep(self.pause)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        self.got.append(alert.key)

    def hide(self, text: str) -> str:
        return text.replace("hunter2", "***")


def deliver(alerts: Alerts, *places: Place, after: timedelta = MINUTE) -> Sequence[Pass]:
    return alerts.deliver(places, lambda: NOW + after)


def states(alerts: Alerts, channel: str = "slack") -> dict[str, tuple[Delivery, str | None]]:
    """Alert → how it stands with a channel."""
    return {
        one.alert.key: (one.deliveries[channel].state, one.deliveries[channel].reason)
        for one in alerts.listed()
        if channel in one.deliveries
    }


# Raising


def test_a_key_is_raised_once_for_ever(alerts: Alerts):
    assert alerts.raise_(alert(), NOW)
    assert not alerts.raise_(Alert("run:1", Severity.INFO, "other words"), NOW + MINUTE)
    (one,) = alerts.listed()
    assert (one.alert, one.raised_at, one.deliveries) == (alert(), NOW, {})


def test_the_newest_alerts_are_listed_first(alerts: Alerts):
    for number in range(5):
        alerts.raise_(alert(f"run:{number}"), NOW)
    assert [one.alert.key for one in alerts.listed(2)] == ["run:4", "run:3"]


def test_no_secret_gets_into_the_outbox(alerts: Alerts, tmp_path: Path):
    url = "https://me:hunter2@a.example/x?token=hunter2"
    alerts.raise_(Alert("k", Severity.ERROR, f"{url} failed", f"see {url}"), NOW)
    assert "hunter2" not in repr(alerts.listed())
    for file in tmp_path.iterdir():
        assert b"hunter2" not in file.read_bytes()


def _raise(where: Path | Postgres, results: "multiprocessing.Queue[bool]") -> None:
    results.put(Alerts(Ledger(where)).raise_(alert(), NOW))


def test_of_processes_that_raise_the_same_one_is_first(ledger_place: Path | Postgres):
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    racers = [spawn.Process(target=_raise, args=(ledger_place, results)) for _ in range(3)]
    for racer in racers:
        racer.start()
    raised = [results.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join(60)
    assert sorted(raised) == [False, False, True]


# What holds


def follow(alerts: Alerts, *holding: str, among: Sequence[str] | None = None) -> list[str]:
    """The names that are told now."""
    told: list[str] = []

    def tell(new: Sequence[str]) -> list[Alert]:
        told.extend(new)
        return [alert(f"{','.join(new)}:{time.monotonic_ns()}")]

    raised = alerts.follow("check", holding, tell, NOW, among)
    assert len(raised) == (1 if told else 0)
    return told


def test_what_goes_on_holding_is_told_once(alerts: Alerts):
    assert follow(alerts) == []
    assert follow(alerts, "a") == ["a"]
    assert follow(alerts, "a") == []
    assert follow(alerts, "b", "a", "c") == ["b", "c"], "those that begin at once are one message"
    assert follow(alerts) == []
    assert follow(alerts, "a") == ["a"], "it was well meanwhile"
    assert len(alerts.listed()) == 3


def test_what_was_not_looked_at_stays_as_it_was(alerts: Alerts):
    follow(alerts, "a", "b")
    assert follow(alerts, among=["b"]) == []
    assert follow(alerts, "a", "b", among=["a", "b"]) == ["b"]


def test_families_do_not_meddle(alerts: Alerts):
    follow(alerts, "a")
    alerts.follow("source", [], lambda new: [], NOW)
    assert follow(alerts, "a") == []


def test_a_message_that_cannot_be_made_leaves_nothing_told(alerts: Alerts):
    def broken(new: Sequence[str]) -> list[Alert]:
        raise RuntimeError("no words")

    with pytest.raises(RuntimeError):
        alerts.follow("check", ["a"], broken, NOW)
    assert follow(alerts, "a") == ["a"]


# Delivering


def test_each_channel_gets_each_alert_once_and_in_order(alerts: Alerts):
    slack, mail = Place("slack"), Place("email")
    for number in range(3):
        alerts.raise_(alert(f"run:{number}"), NOW)
    (first, _) = deliver(alerts, slack, mail)
    assert [one.key for one in first.sent] == slack.got == mail.got == ["run:0", "run:1", "run:2"]
    assert [one.sent for one in deliver(alerts, slack, mail)] == [(), ()]
    assert set(states(alerts, "email").values()) == {(Delivery.DELIVERED, None)}


def test_a_channel_that_is_down_rests_and_then_gets_what_it_lacks(alerts: Alerts):
    place = Place(failures=[Transient("hunter2 is down"), Transient("still down")])
    for number in range(2):
        alerts.raise_(alert(f"run:{number}"), NOW)
    (one,) = deliver(alerts, place)
    assert (one.sent, one.failure) == ((), "*** is down")
    assert one.next_attempt_at == NOW + MINUTE + timedelta(seconds=30)
    assert states(alerts) == {"run:0": (Delivery.WAITING, "*** is down")}
    (one,) = deliver(alerts, place, after=MINUTE + timedelta(seconds=29))
    assert one.failure == "*** is down", "what ails it is told while it rests"
    assert len(place.failures) == 1, "nothing was sent meanwhile"
    deliver(alerts, place, after=2 * MINUTE)
    (state,) = alerts.channels()
    assert (state.failures, state.failure) == (2, "still down")
    assert state.next_attempt_at == NOW + 3 * MINUTE
    deliver(alerts, place, after=3 * MINUTE)
    assert sorted(place.got) == ["run:0", "run:1"]
    (state,) = alerts.channels()
    assert (state.failures, state.failure, state.next_attempt_at) == (0, None, None)


def test_a_channel_is_given_the_time_it_asks_for(alerts: Alerts):
    alerts.raise_(alert(), NOW)
    (one,) = deliver(alerts, Place(failures=[Transient("busy", retry_after=3600)]))
    assert one.next_attempt_at == NOW + MINUTE + timedelta(hours=1)


def test_one_channel_does_not_wait_for_another(alerts: Alerts):
    down, good = Place("email", failures=[Transient("down")]), Place("slack")
    alerts.raise_(alert(), NOW)
    deliver(alerts, down, good)
    assert (down.got, good.got) == ([], ["run:1"])
    deliver(alerts, down, good, after=timedelta(hours=1))
    assert (down.got, good.got) == (["run:1"], ["run:1"])


def test_a_message_that_can_never_go_is_marked_and_the_next_one_goes(alerts: Alerts):
    place = Place(failures=[Permanent("404, hunter2"), None])
    for number in range(2):
        alerts.raise_(alert(f"run:{number}"), NOW)
    (one,) = deliver(alerts, place)
    assert (one.failed, place.got) == (1, ["run:1"])
    assert states(alerts)["run:0"] == (Delivery.FAILED, "404, ***")
    deliver(alerts, place, after=timedelta(hours=1))
    assert place.got == ["run:1"], "it is not tried again"


def test_a_message_that_a_channel_chokes_on_keeps_no_other_back(alerts: Alerts):
    place = Place(failures=[Transient("500"), None, None, Transient("500 again")])
    for number in range(3):
        alerts.raise_(alert(f"run:{number}"), NOW)
    deliver(alerts, place)
    deliver(alerts, place, after=timedelta(hours=1))
    assert place.got == ["run:1", "run:2"]
    assert states(alerts)["run:0"] == (Delivery.WAITING, "500 again")


def test_after_a_week_a_message_is_given_up(alerts: Alerts):
    alerts.raise_(alert(), NOW)
    place = Place(failures=[Transient("down")])
    deliver(alerts, place)
    (one,) = deliver(alerts, place, after=GIVE_UP_AFTER)
    assert (one.failed, place.got) == (1, [])
    assert states(alerts) == {"run:1": (Delivery.FAILED, "not delivered within 7 days: down")}


def test_a_new_channel_gets_the_news_of_a_day_but_no_old_ones(alerts: Alerts):
    alerts.raise_(alert("old"), NOW - timedelta(days=2))
    alerts.raise_(alert("new"), NOW)
    place = Place()
    deliver(alerts, place)
    assert place.got == ["new"]


def test_old_alerts_are_forgotten_with_their_deliveries(alerts: Alerts):
    place = Place()
    alerts.raise_(alert("old"), NOW)
    deliver(alerts, place)
    alerts.raise_(alert("new"), NOW + MINUTE)
    limit = NOW + MINUTE
    assert alerts.forget(limit, dry_run=True) == ["old failed"]
    assert [one.alert.key for one in alerts.listed()] == ["new", "old"]
    assert alerts.forget(limit) == ["old failed"]
    assert alerts.forget(limit) == []
    deliver(alerts, place, after=2 * MINUTE)
    assert states(alerts) == {"new": (Delivery.DELIVERED, None)}


def test_a_channel_that_crashes_is_told_as_failing(alerts: Alerts):
    alerts.raise_(alert(), NOW)
    (one,) = deliver(alerts, Place(failures=[RuntimeError("hunter2")]))
    assert one.failure is not None
    assert "crashed (RuntimeError: ***)" in one.failure
    assert states(alerts)["run:1"][0] is Delivery.WAITING


def test_a_pass_ends_in_time_and_leaves_a_hanging_channel_behind(alerts: Alerts):
    alerts.raise_(alert(), NOW)
    slow, quick = Place("email", pause=1.0), Place("slack")
    began = time.monotonic()
    hanging, done = alerts.deliver([slow, quick], lambda: NOW, seconds=0.2)
    assert time.monotonic() - began < 0.9
    assert hanging.failure == "is still sending; the next pass takes up what is left"
    assert [one.key for one in done.sent] == ["run:1"]
    again = Place("email")
    deliver(alerts, again)
    assert again.got == [], "its message is claimed"
    time.sleep(1.2)
    assert slow.got == ["run:1"]
    assert states(alerts, "email") == {"run:1": (Delivery.DELIVERED, None)}


def test_a_claim_of_a_killed_deliverer_runs_out(alerts: Alerts, ledger_place: Path | Postgres):
    alerts.raise_(alert(), NOW)
    ledger = Ledger(ledger_place)
    place = Place(failures=[KeyboardInterrupt()])  # type: ignore[list-item]
    with pytest.raises(KeyboardInterrupt):
        deliver(alerts, place)
    assert states(alerts) == {"run:1": (Delivery.SENDING, None)}
    deliver(Alerts(ledger), place, after=5 * MINUTE)
    assert place.got == []
    deliver(Alerts(ledger), place, after=6 * MINUTE)
    assert place.got == ["run:1"]


def test_of_two_deliverers_at_once_one_sends(alerts: Alerts):
    for number in range(10):
        alerts.raise_(alert(f"run:{number}"), NOW)
    place = Place(pause=0.01)
    both = [threading.Thread(target=deliver, args=(alerts, place)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(30)
    assert sorted(place.got) == [f"run:{number}" for number in range(10)]


def test_a_real_webhook_that_recovers_gets_each_alert_once(alerts: Alerts, loopback: Loopback):
    store = loopback.store()
    store.route("/x", Reply(status=503), Reply.text("ok"))
    found = configured({"SCOUT_ALERT_WEBHOOK": store.url("/x")}, "here").channels
    alerts.raise_(alert(), NOW)
    assert "answered 503" in str(alerts.deliver(found, lambda: NOW)[1].failure)
    for hours in (1, 2):
        alerts.deliver(found, lambda hours=hours: NOW + timedelta(hours=hours))
    assert len(store.requests) == 2
    assert {name: sent.state for name, sent in alerts.listed()[0].deliveries.items()} == {
        "log": Delivery.DELIVERED,
        "webhook": Delivery.DELIVERED,
    }


def test_a_ledger_that_cannot_be_used_is_told(alerts: Alerts, ledger_place: Path | Postgres):
    with Ledger(ledger_place).session() as session:
        session.execute(sa.text("ALTER TABLE alerts RENAME TO elsewhere"))
    with pytest.raises(Critical, match="is damaged"):
        alerts.raise_(alert(), NOW)
    with pytest.raises(Critical, match="is damaged"):
        deliver(alerts, Place())
