"""A real SMTP server on 127.0.0.1 that keeps what it gets, and refuses what a test says.

Belongs here: the server and its records. Does not belong here: any expectation about the client.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class _AnyPort(Controller):
    """Takes a free port; the original connects to the one it was told."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@dataclass
class Mailbox:
    """What arrived, in order. `refuse`: address or "DATA" → the answer in place of OK."""

    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    port: int = 0

    async def handle_RCPT(  # noqa: N802 (aiosmtpd looks for this name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if "DATA" in self.refuse:
            return self.refuse["DATA"]
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients.append(envelope.rcpt_tos)
        return "250 OK"


@contextmanager
def mailbox(
    login: tuple[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
) -> Iterator[Mailbox]:
    """`tls` from the first byte; `starttls` on demand, and then needed for a login."""
    box = Mailbox()

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> Any:
        assert isinstance(given, LoginPassword)
        told = (given.login.decode(), given.password.decode())
        box.logins.append(told)
        return AuthResult(success=told == login, handled=False)

    controller = _AnyPort(
        box,
        hostname="127.0.0.1",
        port=0,
        ssl_context=tls,
        tls_context=starttls,
        require_starttls=starttls is not None,
        authenticator=authenticate if login else None,
        auth_require_tls=starttls is not None,
    )
    controller.start()
    box.port = controller.port
    try:
        yield box
    finally:
        controller.stop()
