"""`scout alerts`: the outbox, the channels and the price rules at a terminal."""

import json
from pathlib import Path
from typing import Any

import pytest

from scout_assets.cli.terminal import now
from scout_assets.domain.alerts import Alert, Severity
from scout_assets.domain.sources import Source
from scout_assets.gateways.home import Home
from scout_assets_tests.loopback import Loopback, Reply, Store
from scout_assets_tests.mailbox import mailbox
from scout_assets_tests.test_cli import scout

SECRET = "hunter2secret"
HOOK = f"/services/{SECRET}"


@pytest.fixture
def hook(loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A Slack for the installation in the working directory."""
    store = loopback.store()
    store.route(HOOK, Reply.text("ok"))
    monkeypatch.chdir(tmp_path)
    for name in ("SCOUT_SOURCES", "SCOUT_ARTIFACTS", "SCOUT_ACTOR", "SCOUT_ALERT_WEBHOOK",
                 "SCOUT_ALERT_EMAIL_TO", "SCOUT_ALERT_EMAIL_FROM", "SCOUT_SMTP_URL"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SCOUT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SCOUT_ALERT_SLACK", store.url(HOOK))
    return store


def raise_and_deliver() -> None:
    home = Home.locate()
    home.alerts.raise_(Alert("run:1", Severity.ERROR, "run failed: roasters", "why"), now())
    home.alerts.deliver(home.channels.channels, now)


def listed() -> dict[str, Any]:
    told = scout("alerts", "list", "--json")
    assert told.exit_code == 0, told.output
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def test_a_new_installation_has_told_nothing(hook: Store):
    assert listed() == {"alerts": [], "channels": [], "problems": []}
    assert "0 alerts" in scout("alerts", "list").stdout


def test_alerts_are_listed_with_how_they_stand_with_each_channel(hook: Store):
    raise_and_deliver()
    (one,) = listed()["alerts"]
    assert (one["key"], one["severity"], one["text"]) == ("run:1", "error", "why")
    assert {name: sent["state"] for name, sent in one["deliveries"].items()} == {
        "log": "delivered",
        "slack": "delivered",
    }
    shown = scout("alerts", "list").stdout
    assert "run failed: roasters" in shown
    assert "log, slack" in shown


@pytest.mark.parametrize("status", [503, 404])
def test_a_failing_channel_is_shown_without_its_secret(hook: Store, status: int):
    hook.route(HOOK, Reply.text(f"{HOOK}: {SECRET}", status=status))
    raise_and_deliver()
    slack = listed()["alerts"][0]["deliveries"]["slack"]
    assert slack["state"] == ("waiting" if status == 503 else "failed")
    assert f"answered {status}" in slack["reason"]
    for told in (scout("alerts", "list"), scout("alerts", "list", "--json")):
        assert SECRET not in told.output
    assert f"slack failed once: http://127.0.0.1:{hook.port} answered {status}" in (
        scout("alerts", "list").stderr
    )


def test_the_test_message_goes_over_every_channel(hook: Store, monkeypatch: pytest.MonkeyPatch):
    with mailbox() as box:
        monkeypatch.setenv("SCOUT_ALERT_EMAIL_TO", "ops@shop.example")
        monkeypatch.setenv("SCOUT_SMTP_URL", f"smtp://localhost:{box.port}")
        told = scout("alerts", "test")
    assert told.exit_code == 0, told.output
    assert "this is a test" in json.loads(hook.requests[0].body)["text"]
    assert "this is a test" in str(box.mails[0]["Subject"])
    for worked in ("log: sent to", "slack: sent to", "email: sent to ops@shop.example"):
        assert worked in told.stdout
    assert listed()["alerts"] == [], "a test is no event"


def test_the_test_says_which_channel_does_not_work(hook: Store, monkeypatch: pytest.MonkeyPatch):
    hook.route(HOOK, Reply(status=403))
    monkeypatch.setenv("SCOUT_ALERT_WEBHOOK", f"nonsense {SECRET}")
    told = scout("alerts", "test")
    assert told.exit_code == 1
    assert "log: sent to" in told.stdout
    assert f"slack: http://127.0.0.1:{hook.port} answered 403" in told.stderr
    assert "SCOUT_ALERT_WEBHOOK is no address such as" in told.stderr
    assert SECRET not in told.output


@pytest.fixture
def berg(hook: Store) -> None:
    declared = {"key": "berg", "platform": "shopify", "location": "https://b.example"}
    Home.locate().ledger.sync([Source.read(declared, "test")], now())


def test_rules_are_added_shown_and_ended(berg: None):
    told = scout("alerts", "watch", "--below", "12.50", "--currency", "eur", "--by", "ana")
    assert told.exit_code == 0, told.output
    assert "rule 1: at or below 12.50 EUR" in told.stdout
    assert "nothing to tell now" in told.stdout
    assert scout("alerts", "watch", "--new-low", "--source", "berg", "--by", "ana").exit_code == 0
    assert scout("alerts", "watch", "--drop-pct", "10", "--by", "ben").exit_code == 0
    rules = json.loads(scout("alerts", "rules", "--json").stdout)
    assert [(rule["id"], rule["says"], rule["source"], rule["by"]) for rule in rules] == [
        ("1", "at or below 12.50 EUR", None, "ana"),
        ("2", "lower than ever", "berg", "ana"),
        ("3", "down by 10.00 % or more", None, "ben"),
    ]
    assert "ended rule 2" in scout("alerts", "unwatch", "2", "--by", "ana").stdout
    shown = scout("alerts", "rules", "--all").stdout
    assert "lower than ever" not in shown
    assert "move-berg" in shown
    actions = [entry.entity for entry in Home.locate().control.audit()]
    assert actions[:2] == ["price rule 2", "price rule 3"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--by", "ana"], "one of --below, --drop-pct and --new-low"),
        (["--below", "5", "--new-low", "--by", "ana"], "one of --below, --drop-pct and"),
        (["--below", "cheap", "--currency", "EUR", "--by", "ana"], "'cheap' is no number"),
        (["--below", "5", "--by", "ana"], "needs a currency: --currency EUR"),
        (["--below", "5", "--currency", "euro", "--by", "ana"], "'euro' is no currency"),
        (["--drop-pct", "100", "--by", "ana"], "below 100"),
        (["--new-low"], "needs a name: --by NAME, or set SCOUT_ACTOR"),
        (["--new-low", "--source", "nobody", "--by", "ana"], "no source 'nobody'"),
        (["--new-low", "--product", "berg/1", "--by", "ana"], "no product 'berg/1'"),
    ],
)
def test_a_wrong_rule_is_explained(berg: None, words: list[str], said: str):
    told = scout("alerts", "watch", *words)
    assert told.exit_code == 1
    assert said in told.stderr
    assert json.loads(scout("alerts", "rules", "--json").stdout) == []


def test_only_a_rule_that_is_there_can_be_ended(berg: None):
    told = scout("alerts", "unwatch", "7", "--by", "ana")
    assert told.exit_code == 1
    assert "no price rule 7; `scout alerts rules` shows them" in told.stderr
