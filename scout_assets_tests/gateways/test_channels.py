"""Channels against real servers: what arrives, what failures mean, that no secret is told."""

import json
import logging
import ssl
import time
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme

from scout_assets.domain.alerts import Alert, Severity
from scout_assets.domain.failures import Permanent, ScoutFailure, Transient
from scout_assets.gateways import channels
from scout_assets.gateways.channels import Channel, configured
from scout_assets_tests.loopback import Loopback, Reply, Store
from scout_assets_tests.mailbox import Mailbox, mailbox

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = "hunter2secret"
HOOK = f"/services/T00/{SECRET}"
ALERT = Alert("run:1", Severity.ERROR, "Köln & <Bonn> failed", "first line\nsecond line")


def channel(**environment: str) -> Channel:
    """The one channel beside the log."""
    found = configured(environment, "here")
    assert found.problems == ()
    _, made = found.channels
    return made


@pytest.fixture
def hook(loopback: Loopback) -> Store:
    store = loopback.store()
    store.route(HOOK, Reply.text("ok"))
    return store


def problem(made: Channel) -> ScoutFailure:
    with pytest.raises(ScoutFailure) as told:
        made.send(ALERT, NOW)
    return told.value


# What arrives


def test_the_log_is_always_there_and_warns(caplog: pytest.LogCaptureFixture):
    (log,) = configured({}, "here").channels
    log.send(ALERT, NOW)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("scout.alerts", "WARNING")
    assert record.getMessage() == "error: Köln & <Bonn> failed\nfirst line\nsecond line"


def test_a_webhook_gets_everything_as_json(hook: Store):
    channel(SCOUT_ALERT_WEBHOOK=hook.url(HOOK)).send(ALERT, NOW)
    (request,) = hook.requests
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {
        "key": "run:1",
        "severity": "error",
        "subject": "Köln & <Bonn> failed",
        "text": "first line\nsecond line",
        "at": "2026-11-22T12:00:00+00:00",
        "installation": "here",
    }


def test_the_same_alert_has_the_same_idempotency_key(hook: Store):
    made = channel(SCOUT_ALERT_WEBHOOK=hook.url(HOOK))
    for alert in (ALERT, ALERT, Alert("run:2", Severity.INFO, "other")):
        made.send(alert, NOW)
    first, again, other = (request.headers["idempotency-key"] for request in hook.requests)
    assert first == again != other


def test_a_login_in_the_address_becomes_basic_authentication(hook: Store):
    url = hook.url(HOOK).replace("://", "://me:p%40ss@")
    channel(SCOUT_ALERT_WEBHOOK=url).send(ALERT, NOW)
    assert hook.requests[0].headers["authorization"] == "Basic bWU6cEBzcw=="
    assert "me:" not in hook.requests[0].headers["host"]


def test_slack_gets_a_text_with_its_own_signs_escaped(hook: Store):
    channel(SCOUT_ALERT_SLACK=hook.url(HOOK)).send(ALERT, NOW)
    assert json.loads(hook.requests[0].body) == {
        "text": "*error: Köln &amp; &lt;Bonn&gt; failed*\nfirst line\nsecond line\n"
        "_here, 2026-11-22 12:00 UTC_"
    }


def email(box: Mailbox, login: str = "", scheme: str = "smtp", query: str = "") -> Channel:
    return channel(
        SCOUT_ALERT_EMAIL_TO="ops@shop.example, Ana <ana@shop.example>",
        SCOUT_SMTP_URL=f"{scheme}://{login}localhost:{box.port}{query}",
        SCOUT_ALERT_EMAIL_FROM="scout@shop.example",
    )


def text(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


def test_a_mail_goes_to_all_recipients_at_once():
    with mailbox() as box:
        email(box).send(ALERT, NOW)
        email(box).send(ALERT, NOW)
    mail, again = box.mails
    assert box.recipients[0] == ["ops@shop.example", "ana@shop.example"]
    assert mail["Subject"] == "[scout] error: Köln & <Bonn> failed"
    assert (mail["From"], mail["To"]) == (
        "scout@shop.example",
        "ops@shop.example, ana@shop.example",
    )
    assert text(mail) == "first line\nsecond line\n\nrun:1\nhere\n"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"] == again["Message-ID"], "twice the same is told as the same"


def test_without_a_sender_the_first_recipient_is():
    with mailbox() as box:
        made = channel(
            SCOUT_ALERT_EMAIL_TO="ops@shop.example", SCOUT_SMTP_URL=f"smtp://localhost:{box.port}"
        )
        made.send(ALERT, NOW)
    assert box.mails[0]["From"] == "ops@shop.example"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """One that this process trusts."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return made


def server_side(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize(("scheme", "query"), [("smtps", ""), ("smtp", "?starttls=1")])
def test_a_login_over_tls(authority: trustme.CA, scheme: str, query: str):
    context = server_side(authority)
    tls = {"tls" if scheme == "smtps" else "starttls": context}
    with mailbox(login=("me@x", "p@ss/word"), **tls) as box:
        email(box, "me%40x:p%40ss%2Fword@", scheme, query).send(ALERT, NOW)
    assert box.logins == [("me@x", "p@ss/word")]
    assert len(box.mails) == 1


def test_a_mail_server_that_nobody_vouches_for_gets_no_password(tmp_path: Path):
    stranger = server_side(trustme.CA())
    with mailbox(login=("me", SECRET), tls=stranger) as box:
        told = problem(email(box, f"me:{SECRET}@", "smtps"))
    assert isinstance(told, Transient)
    assert "certificate" in str(told)
    assert box.logins == []


def test_a_webhook_over_https(authority: trustme.CA, loopback: Loopback):
    store = loopback.store(server_side(authority))
    store.route(HOOK, Reply.text("ok"))
    channel(SCOUT_ALERT_WEBHOOK=store.url(HOOK, "localhost")).send(ALERT, NOW)
    assert store.paths == [HOOK]


# What failures mean


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(status=400), Permanent),
        (Reply(status=403), Permanent),
        (Reply(status=404), Permanent),
        (Reply(status=410), Permanent),
        (Reply(status=301, headers={"Location": "/elsewhere"}), Permanent),
        (Reply(status=307, headers={"Location": "/elsewhere"}), Permanent),
        (Reply(status=408), Transient),
        (Reply(status=429), Transient),
        (Reply(status=500), Transient),
        (Reply(status=503), Transient),
        (Reply(hang_up=True), Transient),
        (Reply(raw=b"HTTP/1.1 nonsense\r\n\r\n"), Transient),
    ],
    ids=lambda value: str(getattr(value, "status", value)),
)
def test_which_answers_of_a_webhook_are_final(hook: Store, reply: Reply, kind: type[ScoutFailure]):
    hook.route(HOOK, reply)
    told = problem(channel(SCOUT_ALERT_WEBHOOK=hook.url(HOOK)))
    assert type(told) is kind
    assert hook.paths == [HOOK], "no redirect is followed"


def test_a_webhook_that_asks_for_time_is_given_it(hook: Store):
    hook.route(HOOK, Reply(status=429, headers={"Retry-After": "120"}))
    told = problem(channel(SCOUT_ALERT_SLACK=hook.url(HOOK)))
    assert isinstance(told, Transient)
    assert told.retry_after == 120


@pytest.mark.parametrize("reply", [Reply(pause=5), Reply.text("x" * 50, drip=1, status=500)])
def test_a_webhook_that_dawdles_is_left(hook: Store, reply: Reply, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(channels, "SECONDS", 0.3)
    hook.route(HOOK, reply)
    began = time.monotonic()
    told = problem(channel(SCOUT_ALERT_WEBHOOK=hook.url(HOOK)))
    assert isinstance(told, Transient)
    assert "silent for 0.3 s" in str(told)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("refuse", "kind"),
    [
        ({"DATA": "554 no spam here"}, Permanent),
        ({"DATA": "451 try later"}, Transient),
        ({"ops@shop.example": "550 who", "ana@shop.example": "551 who"}, Permanent),
        ({"ops@shop.example": "550 who", "ana@shop.example": "450 full"}, Transient),
    ],
)
def test_which_answers_of_a_mail_server_are_final(refuse: dict[str, str], kind: type[ScoutFailure]):
    with mailbox() as box:
        box.refuse = refuse
        told = problem(email(box))
    assert type(told) is kind
    assert "refused the message: " in str(told)
    assert box.mails == []


def test_one_unknown_recipient_keeps_nobody_else_from_the_mail(caplog: pytest.LogCaptureFixture):
    with mailbox() as box:
        box.refuse = {"ops@shop.example": "550 who"}
        email(box).send(ALERT, NOW)
    assert box.recipients == [["ana@shop.example"]]
    assert "refused ops@shop.example (550)" in caplog.text


def test_a_wrong_password_is_told_and_tried_again_once_it_is_mended():
    with mailbox(login=("me", "right")) as box:
        told = problem(email(box, f"me:{SECRET}@"))
    assert isinstance(told, Transient)
    assert "correct user or password in SCOUT_SMTP_URL" in str(told)


def test_a_mail_server_that_is_down_may_be_back_later():
    with mailbox() as box:
        made = email(box)
    told = problem(made)
    assert isinstance(told, Transient)
    assert "could not be reached" in str(told)


# Secrets


@pytest.mark.parametrize(
    "reply",
    [
        Reply.text(f"no such hook: {HOOK} {SECRET}", status=404),
        Reply.text(f"key={SECRET}", status=500),
        Reply(status=302, headers={"Location": f"/x?token={SECRET}"}),
        Reply(hang_up=True),
    ],
    ids=lambda reply: str(reply.status),
)
@pytest.mark.parametrize("variable", ["SCOUT_ALERT_WEBHOOK", "SCOUT_ALERT_SLACK"])
def test_no_error_or_log_tells_the_address_of_a_hook(
    hook: Store, reply: Reply, variable: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    hook.route(HOOK, reply)
    url = hook.url(f"{HOOK}?token={SECRET}").replace("://", f"://me:{SECRET}@")
    made = channel(**{variable: url})
    told = str(problem(made))
    assert f"127.0.0.1:{hook.port}" in told
    for said in (told, caplog.text, repr(made), made.place):
        assert SECRET not in said


def test_no_error_or_log_tells_the_password_of_a_mail_server(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    with mailbox(login=("me", "right")) as box:
        made = email(box, f"me:{SECRET}@")
        refused = str(problem(made))
    down = str(problem(made))
    for said in (refused, down, caplog.text, repr(made), made.place):
        assert SECRET not in said


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"SCOUT_ALERT_WEBHOOK": f"ftp://x/{SECRET}"}, "SCOUT_ALERT_WEBHOOK"),
        ({"SCOUT_ALERT_WEBHOOK": f"{SECRET}"}, "SCOUT_ALERT_WEBHOOK"),
        ({"SCOUT_ALERT_SLACK": f"https://[{SECRET}"}, "SCOUT_ALERT_SLACK"),
        ({"SCOUT_ALERT_EMAIL_TO": "a@b.example"}, "SCOUT_SMTP_URL is not"),
        ({"SCOUT_SMTP_URL": f"smtps://me:{SECRET}@b.example"}, "SCOUT_ALERT_EMAIL_TO is not"),
    ],
)
def test_a_wrong_setting_is_named_and_not_shown(environment: dict[str, str], named: str):
    found = configured(environment, "here")
    assert [one.name for one in found.channels] == ["log"]
    (wrong,) = found.problems
    assert named in str(wrong)
    assert SECRET not in str(wrong)


@pytest.mark.parametrize(
    "server",
    [
        f"smtp:/{SECRET}",
        f"http://me:{SECRET}@mail.example",
        f"smtp://me:{SECRET}@mail.example:port",
        f"smtp://me:{SECRET}@mail.example?startls=1",
        f"smtp://me:{SECRET}@mail.example/inbox",
        f"smtp://me:{SECRET}@",
        f"smtp://me:{SECRET}@mail.example:25",  # in the clear
    ],
)
def test_a_wrong_mail_server_is_not_shown_either(server: str):
    environment = {"SCOUT_ALERT_EMAIL_TO": "a@b.example", "SCOUT_SMTP_URL": server}
    (wrong,) = configured(environment, "here").problems
    assert "SCOUT_SMTP_URL" in str(wrong)
    assert SECRET not in str(wrong)


@pytest.mark.parametrize("to", ["nobody", "a@b@c", "a@b.example\nBcc: x@y.example", ","])
def test_addresses_are_looked_at_before_they_are_used(to: str):
    environment = {"SCOUT_ALERT_EMAIL_TO": to, "SCOUT_SMTP_URL": "smtp://localhost"}
    (wrong,) = configured(environment, "here").problems
    assert "SCOUT_ALERT_EMAIL_TO is no e-mail address" in str(wrong)


def test_a_wrong_channel_does_not_silence_the_others(hook: Store):
    found = configured({"SCOUT_ALERT_SLACK": "x", "SCOUT_ALERT_WEBHOOK": hook.url(HOOK)}, "here")
    assert [one.name for one in found.channels] == ["log", "webhook"]
    assert len(found.problems) == 1
