"""Channels: one message out, by log, webhook, Slack or e-mail.

Belongs here: the settings of the channels, sending one alert, and telling a refusal for good from
a failure that may pass. Does not belong here: which alerts are due where (`alerts`), what an
alert is (`domain.alerts`).

The environment says which there are; the log always is.

    SCOUT_ALERT_WEBHOOK     POST of JSON: key, severity, subject, text, at, installation
    SCOUT_ALERT_SLACK       an incoming webhook of Slack
    SCOUT_ALERT_EMAIL_TO    addresses, separated by commas; needs
    SCOUT_SMTP_URL          smtp://user:password@host:587?starttls=1 or smtps://…
    SCOUT_ALERT_EMAIL_FROM  the sender; else the first of the addresses

These addresses hold secrets: no message, log or error of ours repeats more than their host.

How an outcome is told: sent; Transient (silence, 408, 425, 429, 5xx of the web; a mail server that
cannot be reached, used or logged in to, 4xx of SMTP); Permanent (any other status of the web,
redirects too; 5xx of SMTP over a message).
"""

import asyncio
import contextlib
import hashlib
import ipaddress
import logging
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
from pydantic_core import to_json

from scout_assets.domain.alerts import Alert
from scout_assets.domain.failures import BadConfig, Permanent, ScoutFailure, Transient
from scout_assets.gateways.exchange import retry_after

__all__ = ["LOG", "Channel", "Configured", "EMail", "Log", "Slack", "Webhook", "configured"]

LOG = logging.getLogger("scout.alerts")
SECONDS = 10.0
"""One request, or one step of a mail session, at most."""

_RETRIED_4XX = frozenset({408, 425, 429})
_DETAIL_BYTES = 500
_WEBHOOK, _SLACK = "SCOUT_ALERT_WEBHOOK", "SCOUT_ALERT_SLACK"
_TO, _FROM, _SMTP = "SCOUT_ALERT_EMAIL_TO", "SCOUT_ALERT_EMAIL_FROM", "SCOUT_SMTP_URL"
_HIDDEN = "its value is not shown, for it may hold a secret"


class Channel(Protocol):
    """A way out. `name` is kept with each delivery; `place` says where to, fit to be shown."""

    @property
    def name(self) -> str: ...

    @property
    def place(self) -> str: ...

    def send(self, alert: Alert, at: datetime) -> None:
        """Raises Transient or Permanent."""

    def hide(self, text: str) -> str:
        """`text` without the channel's secrets."""


@dataclass(frozen=True)
class Log:
    """Python's logging, at WARNING whatever the severity: the terminal of the daemon shows it."""

    name: str = "log"
    place: str = f"logger {LOG.name}"

    def send(self, alert: Alert, at: datetime) -> None:
        told = f"\n{alert.text}" if alert.text else ""
        LOG.warning("%s: %s%s", alert.severity.value, alert.subject, told)

    def hide(self, text: str) -> str:
        return text


@dataclass(frozen=True)
class Webhook:
    """A POST of JSON to `url`. User and password in it become Basic authentication."""

    url: httpx.URL = field(repr=False)
    installation: str
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    name: str = "webhook"

    @property
    def place(self) -> str:
        return f"{self.url.scheme}://{self.url.netloc.decode()}"

    def send(self, alert: Alert, at: datetime) -> None:
        with _explained(self):
            status, wait, said = asyncio.run(self._post(self.message(alert, at), alert.key))
        if 200 <= status < 300:
            return
        told = self.hide(f"{self.place} answered {status}" + (f": {said}" if said else ""))
        if status in _RETRIED_4XX or status >= 500:
            raise Transient(told, wait)
        moved = "; redirects are not followed, give the final address" if status < 400 else ""
        raise Permanent(f"{told}{moved}")

    def message(self, alert: Alert, at: datetime) -> Mapping[str, object]:
        """What is posted."""
        return {
            "key": alert.key,
            "severity": alert.severity.value,
            "subject": alert.subject,
            "text": alert.text,
            "at": at.isoformat(),
            "installation": self.installation,
        }

    def hide(self, text: str) -> str:
        return _without(text, _secrets_of(str(self.url)))

    async def _post(self, body: Mapping[str, object], key: str) -> tuple[int, float | None, str]:
        """Status, seconds to wait if it says so, and the first words of the answer."""
        request = httpx.Request(
            "POST",
            self.url.copy_with(userinfo=b""),
            content=to_json(body),
            headers={
                "Content-Type": "application/json",
                "Idempotency-Key": hashlib.sha256(key.encode()).hexdigest(),
                "User-Agent": "scout-assets",
            },
        )
        if self.url.userinfo:
            login = httpx.BasicAuth(self.url.username, self.url.password)
            request = next(login.auth_flow(request))
        # The bare transport: a client logs whole addresses, and here they are the secret.
        verify = self.tls or httpx.create_ssl_context(trust_env=True)
        async with asyncio.timeout(SECONDS), httpx.AsyncHTTPTransport(verify=verify) as transport:
            response = await transport.handle_async_request(request)
            try:
                said = "" if response.is_success else await _first_words(response)
            finally:
                await response.aclose()
        return response.status_code, retry_after(response.headers, time.time()), said


async def _first_words(response: httpx.Response) -> str:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= _DETAIL_BYTES:
            break
    return " ".join(body[:_DETAIL_BYTES].decode(errors="replace").split())[:200]


@dataclass(frozen=True)
class Slack(Webhook):
    """An incoming webhook of Slack."""

    name: str = "slack"

    def message(self, alert: Alert, at: datetime) -> Mapping[str, object]:
        text = f"*{alert.severity.value}: {_mrkdwn(alert.subject)}*\n{_mrkdwn(alert.text)}"
        return {"text": f"{text.rstrip()}\n_{_mrkdwn(self.installation)}, {at:%Y-%m-%d %H:%M} UTC_"}


def _mrkdwn(text: str) -> str:
    """Slack reads these three signs."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@dataclass(frozen=True)
class EMail:
    """One mail to all of `to`, over a session of its own."""

    host: str
    port: int
    to: tuple[str, ...]
    sender: str
    installation: str
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    starttls: bool = False
    name: str = "email"

    @property
    def place(self) -> str:
        return f"{', '.join(self.to)} by {self.host}:{self.port}"

    def send(self, alert: Alert, at: datetime) -> None:
        with _explained(self):
            session = self._session()
            try:
                refused = session.send_message(self.message(alert, at), self.sender, self.to)
            except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
                raise self._refusal(error) from error
            finally:
                # Whatever happens now, the server has the message or not.
                with contextlib.suppress(smtplib.SMTPException, OSError):
                    session.quit()
                session.close()
        for address, (code, _) in refused.items():
            LOG.warning("%s refused %s (%s); the others have it", self.host, address, code)

    def message(self, alert: Alert, at: datetime) -> EmailMessage:
        """The mail. Its Message-ID is the key's: who gets it twice sees that it is the same."""
        mail = EmailMessage()
        mail["Subject"] = f"[scout] {alert.severity.value}: {alert.subject}"
        mail["From"], mail["To"] = self.sender, ", ".join(self.to)
        mail["Date"] = format_datetime(at)
        digest = hashlib.sha256(f"{self.installation} {alert.key}".encode()).hexdigest()
        mail["Message-ID"] = f"<{digest[:32]}@{self.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(f"{alert.text}\n\n{alert.key}\n{self.installation}\n".lstrip())
        return mail

    def hide(self, text: str) -> str:
        return _without(text, [self.password])

    def _session(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        name = socket.gethostname()
        session = (
            smtplib.SMTP_SSL(self.host, self.port, name, timeout=SECONDS, context=context)
            if self.tls
            else smtplib.SMTP(self.host, self.port, name, timeout=SECONDS)
        )
        try:
            if self.starttls:
                session.starttls(context=context)
            if self.user:
                session.login(self.user, self.password)
        except BaseException:
            session.close()
            raise
        return session

    def _refusal(
        self, error: smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused
    ) -> ScoutFailure:
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            answers = [(code, _words(text)) for code, text in error.recipients.values()]
        else:
            answers = [(error.smtp_code, _words(error.smtp_error))]
        said = "; ".join(f"{code} {text}" for code, text in answers)
        kind = Permanent if all(code >= 500 for code, _ in answers) else Transient
        return kind(self.hide(f"{self.place} refused the message: {said}"))


def _words(answer: bytes | str) -> str:
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    return " ".join(text.split())[:200]


@contextlib.contextmanager
def _explained(channel: Channel) -> Iterator[None]:
    """Tell what network, TLS and mail session raise as Transient, without the secrets."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        raise Transient(
            f"{channel.place} refused the login ({error.smtp_code}); correct user or password in "
            f"{_SMTP}"
        ) from None
    except TimeoutError:
        raise Transient(f"{channel.place} was silent for {SECONDS:g} s") from None
    except (httpx.HTTPError, smtplib.SMTPException, OSError, UnicodeError) as error:
        why = channel.hide(str(error)) or type(error).__name__
        raise Transient(f"{channel.place} could not be reached or used: {why}") from None


def _secrets_of(url: str) -> list[str]:
    """What of an address may not be shown: all but scheme and host."""
    parts = urlsplit(url)
    pieces = [url, parts.path, parts.query, parts.password or "", *parts.path.split("/")]
    pieces += [value for values in parse_qs(parts.query).values() for value in values]
    return [text for piece in pieces for text in (piece, unquote(piece)) if len(text) > 3]


def _without(text: str, secrets: list[str]) -> str:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


# Settings


@dataclass(frozen=True)
class Configured:
    """The channels there are, and what is wrong with the settings of those that are not."""

    channels: tuple[Channel, ...]
    problems: tuple[BadConfig, ...] = ()


def configured(environment: Mapping[str, str], installation: str) -> Configured:
    """The channels of the environment. One that is set up wrongly does not silence the others."""
    given = {name: text.strip() for name, text in environment.items()}
    makers: tuple[Callable[[Mapping[str, str], str], Channel | None], ...] = (
        _webhook,
        _slack,
        _email,
    )
    channels: list[Channel] = [Log()]
    problems = []
    for make in makers:
        try:
            made = make(given, installation)
        except BadConfig as problem:
            problems.append(problem)
        else:
            channels += [made] if made is not None else []
    return Configured(tuple(channels), tuple(problems))


def _webhook(given: Mapping[str, str], installation: str) -> Channel | None:
    text = given.get(_WEBHOOK)
    return Webhook(_web_url(_WEBHOOK, text), installation) if text else None


def _slack(given: Mapping[str, str], installation: str) -> Channel | None:
    text = given.get(_SLACK)
    return Slack(_web_url(_SLACK, text), installation) if text else None


def _web_url(variable: str, text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not re.fullmatch(r"[\w.:-]+", url.host):
        raise BadConfig(f"{variable} is no address such as https://host/path; {_HIDDEN}")
    return url


def _email(given: Mapping[str, str], installation: str) -> Channel | None:
    to, server = given.get(_TO, ""), given.get(_SMTP, "")
    if not to and not server:
        return None
    if not to or not server:
        there, missing = (_TO, _SMTP) if to else (_SMTP, _TO)
        raise BadConfig(f"{there} is set, {missing} is not: set both, or none for no e-mail")
    recipients = _addresses(_TO, to)
    sender = _addresses(_FROM, given.get(_FROM) or recipients[0])[0]
    return _mail_server(server, recipients, sender, installation)


def _addresses(variable: str, text: str) -> tuple[str, ...]:
    found = tuple(address for _, address in getaddresses([text]))
    if not found or not text.isprintable() or not all(map(_is_address, found)):
        raise BadConfig(f"{variable} is no e-mail address such as ops@shop.example")
    return found


def _is_address(text: str) -> bool:
    name, at, host = text.partition("@")
    return bool(name and at and host) and "@" not in host and " " not in text


def _mail_server(server: str, to: tuple[str, ...], sender: str, installation: str) -> EMail:
    wrong = BadConfig(
        f"{_SMTP} is no address such as smtp://user:password@host:587?starttls=1 or "
        f"smtps://user:password@host; {_HIDDEN}"
    )
    try:
        parts = urlsplit(server)
        options, port = parse_qs(parts.query, strict_parsing=bool(parts.query)), parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path.strip("/"):
        raise wrong
    if options.keys() - {"starttls"} or parts.fragment:
        raise wrong
    tls = parts.scheme == "smtps"
    starttls = not tls and options.get("starttls", ["0"])[-1].lower() in ("1", "true", "yes")
    if parts.password and not (tls or starttls or _is_loopback(parts.hostname)):
        raise BadConfig(
            f"{_SMTP} would send its password in the clear: write smtps://, or add ?starttls=1"
        )
    return EMail(
        parts.hostname,
        port or (465 if tls else 587 if starttls else 25),
        to,
        sender,
        installation,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        tls,
        starttls,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
