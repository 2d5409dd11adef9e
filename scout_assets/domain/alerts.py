"""Alerts: what a person is told without having asked.

Belongs here: what an alert is, what of it may be shown, how its delivery can stand and how long
a channel rests after a failure. Does not belong here: keeping alerts (`gateways.alerts`), sending
them (`gateways.channels`), what raises them (`orchestration.alerting`, `price_alerts`).

One event is one alert: its key names the event, and a key is raised once for ever.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

__all__ = [
    "FAILED_TICKS",
    "FIRST_PAUSE",
    "GIVE_UP_AFTER",
    "LONGEST_PAUSE",
    "Alert",
    "Delivery",
    "Severity",
    "next_try",
    "redacted",
    "stalled_after",
]

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=30)
"""A channel that is back should not wait for hours."""
GIVE_UP_AFTER = timedelta(days=7)
"""Older news is in the list; nobody wants it by mail after a long outage."""
FAILED_TICKS = 5
"""A sensor whose last ticks all failed, this many, does nothing although it is evaluated."""
_LEAST_SILENCE = timedelta(minutes=5)
_MISSED_TICKS = 10

_SUBJECT_LENGTH = 200
_TEXT_LENGTH = 3000
"""Slack cuts at 4000."""
_URL = re.compile(r"(?i)\b[a-z][a-z0-9+.-]*://[^\s\"'<>]+")


class Severity(StrEnum):
    """How much it matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Delivery(StrEnum):
    """How an alert stands with one channel."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True)
class Alert:
    """One event, told once. `key` names the event; `subject` is one line."""

    key: str
    severity: Severity
    subject: str
    text: str = ""

    def fitted(self) -> "Alert":
        """The same without secrets, with a subject of one line and no longer than a message."""
        subject = " ".join(redacted(self.subject).split())
        text = redacted(self.text).strip()
        return replace(self, subject=_cut(subject, _SUBJECT_LENGTH), text=_cut(text, _TEXT_LENGTH))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def redacted(text: str) -> str:
    """`text` with every address in it bare: no login, no query, and of a hook only the host."""
    return _URL.sub(lambda found: _bare(found[0]), text)


def _bare(url: str) -> str:
    scheme, _, rest = url.partition("://")
    login = re.match(r"[^/?#]*@|[^@:]*:[^@]*@", rest)  # the second: a password with a slash
    if login is not None:
        rest = rest[login.end() :]
    path, mark, _ = rest.partition("?")
    path = path.partition("#")[0]
    host, slash, _ = path.partition("/")
    if "hook" in path.lower():
        return f"{scheme}://{host}{slash and '/…'}"
    return f"{scheme}://{path}{mark and '?…'}"


def next_try(now: datetime, failures: int, asked_seconds: float | None = None) -> datetime:
    """When a failing channel is tried again: 30 s, 1, 2 … 30 minutes, or later if it asks so."""
    doublings: int = min(max(failures, 1) - 1, 10)
    pause = min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)
    asked = timedelta(seconds=min(asked_seconds or 0.0, GIVE_UP_AFTER.total_seconds()))
    return now + max(pause, asked)


def stalled_after(interval: timedelta = timedelta(0)) -> timedelta:
    """How long what ticks every `interval` may be silent: ten ticks, and five minutes at least."""
    return max(_MISSED_TICKS * interval, _LEAST_SILENCE)
