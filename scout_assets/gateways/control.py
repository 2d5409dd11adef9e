"""The mode, the settings and the lease in the ledger: the single source of truth about control.

Belongs here: keeping them, with one line of the audit log for every change; who of several
automations may act. Does not belong here: what a mode is (`domain.control`), stopping runs
(`orchestration`).
"""

import os
import socket
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Mapped, Session, mapped_column

from scout_assets.domain.alerts import Alert, Severity
from scout_assets.domain.control import SYSTEM, AuditEntry, ControlState, Mode, Settings
from scout_assets.domain.failures import BadConfig
from scout_assets.gateways.alerts import raise_all
from scout_assets.gateways.audit import note, noted
from scout_assets.gateways.ledger import Base, Ledger

__all__ = ["Control", "runs_here", "this_process"]

_ONLY = 1
_ENTITY = "parser_settings"
LEASE = timedelta(seconds=90)
"""Three ticks of a sensor: whoever misses them has gone."""


class _SettingsRow(Base):
    __tablename__ = "parser_settings"

    id: Mapped[int] = mapped_column(primary_key=True)
    mode: Mapped[str]
    since: Mapped[datetime]
    actor: Mapped[str]
    reason: Mapped[str]
    missed_before: Mapped[datetime | None]
    settings: Mapped[dict[str, Any]]


class _LeaseRow(Base):
    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str]
    until: Mapped[datetime]


class Control:
    """Control over one installation. Failures of the ledger are Transient: see `Ledger`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def state(self) -> ControlState:
        """The mode as it is now; cheap enough to be asked between requests."""
        with self._ledger.session() as session:
            return _state(session.get(_SettingsRow, _ONLY))

    def switch(
        self, mode: Mode, actor: str, reason: str, now: datetime, catch_up: bool = False
    ) -> ControlState:
        """Set the mode and write the audit line, both or neither.

        Slots missed until now are erased, unless `catch_up`. Setting the mode that holds already
        renews actor and reason, and erases nothing. Raises BadConfig when nobody is named as the
        actor.
        """
        _refuse_nobody(actor, "a change of mode")
        with self._ledger.exclusive() as session:
            return _switch(session, mode, actor, reason, now, catch_up)

    def trip(self, reason: str, now: datetime) -> bool:
        """The fail-safe: auto becomes manual, by `system`, with an alert: both or neither.

        False when it was manual already.
        """
        with self._ledger.exclusive() as session:
            if not _state(session.get(_SettingsRow, _ONLY)).is_auto:
                return False
            _switch(session, Mode.MANUAL, SYSTEM, f"fail-safe: {reason}", now, False)
            text = f"{reason}\n\nMode is manual now: nothing acts by itself until `scout auto`."
            key = f"fail-safe:{now.isoformat()}"
            alert = Alert(key, Severity.CRITICAL, "Automation stopped itself", text)
            raise_all(session, [alert], now)
            return True

    def set(self, values: Mapping[str, Any], actor: str, now: datetime) -> Settings:
        """Change some settings and write the audit line. Raises BadConfig for a wrong one."""
        _refuse_nobody(actor, "a change of settings")
        with self._ledger.exclusive() as session:
            row = _row(session, now)
            before = Settings.model_validate(row.settings)
            after = before.changed(values)
            row.settings = after.model_dump(mode="json")
            changes = [name for name, value in after if value != getattr(before, name)]
            note(
                session, now, actor, _ENTITY, f"set {', '.join(changes) or 'nothing new'}",
                before=before.model_dump(mode="json", include=set(changes)),
                after=after.model_dump(mode="json", include=set(changes)),
            )  # fmt: skip
            return after

    def audit(self, limit: int = 50) -> tuple[AuditEntry, ...]:
        """The last entries, newest first."""
        with self._ledger.session() as session:
            return noted(session, limit)

    def hold(self, now: datetime, holder: str = "", name: str = "automation") -> str | None:
        """Take or renew the lease of who may act; returns who has it, if somebody else.

        A holder that is gone from this machine is replaced at once, another when its lease ends.
        Processes of one Dagster share it: their runs are told apart by Dagster's own keys.
        """
        holder = holder or this_process()
        with self._ledger.session() as session:
            row = session.get(_LeaseRow, name)
            if row is not None and row.until - now > LEASE / 2 and _renewed(row.holder, holder):
                return None  # nothing to write
        with self._ledger.exclusive() as session:
            row = session.get(_LeaseRow, name) or _LeaseRow(name=name, holder=holder, until=now)
            if not _same(row.holder, holder) and _holds(row, now):
                return row.holder
            row.holder, row.until = holder, now + LEASE
            session.add(row)
            return None

    def acting(self, now: datetime, name: str = "automation") -> str | None:
        """Who has the lease now; None when nobody acts: no daemon runs, or none in auto."""
        with self._ledger.session() as session:
            row = session.get(_LeaseRow, name)
            return row.holder if row is not None and _holds(row, now) else None


def this_process(dagster: str = "") -> str:
    """Who acts here: this machine and process, and which Dagster it is of."""
    return f"{socket.gethostname()} process {os.getpid()}{_OF}{dagster}".removesuffix(_OF)


_OF = " of Dagster "


def _same(holder: str, other: str) -> bool:
    """Whether two holders are one process, or of one Dagster."""
    dagster = holder.partition(_OF)[2]
    return holder == other or (dagster != "" and other.partition(_OF)[2] == dagster)


def _renewed(holder: str, by: str) -> bool:
    """Whether the lease is `by`'s, and its process may be alive: others replace a dead one."""
    return holder == by or (_same(holder, by) and _lives(holder))


def _holds(row: _LeaseRow, now: datetime) -> bool:
    """Whether a lease stands; one that ends too late was taken by a clock that has jumped."""
    return now < row.until <= now + 2 * LEASE and _lives(row.holder)


def runs_here(process: str) -> bool:
    """Whether a process of this machine is still there; another machine's counts as gone."""
    return process.startswith(f"{socket.gethostname()} process ") and _lives(process)


def _lives(holder: str) -> bool:
    """Whether a holder may be alive; of another machine's nobody here can tell."""
    host, _, pid = holder.partition(_OF)[0].partition(" process ")
    if host != socket.gethostname() or not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it is somebody else's, so it is there
    return True


def _refuse_nobody(actor: str, what: str) -> None:
    if not actor.strip():
        raise BadConfig(f"{what} needs a name: --by NAME, or set SCOUT_ACTOR")


def _row(session: Session, now: datetime) -> _SettingsRow:
    row = session.get(_SettingsRow, _ONLY)
    if row is None:
        first = ControlState()
        row = _SettingsRow(
            id=_ONLY, mode=first.mode.value, since=now, actor=first.actor, reason=first.reason,
            settings={},
        )  # fmt: skip
        session.add(row)
    return row


def _switch(
    session: Session, mode: Mode, actor: str, reason: str, now: datetime, catch_up: bool
) -> ControlState:
    before = _state(session.get(_SettingsRow, _ONLY))
    row = _row(session, now)
    row.mode, row.since, row.actor, row.reason = mode.value, now, actor, reason
    if mode is Mode.AUTO and not before.is_auto:
        row.missed_before = None if catch_up else now
    new = _state(row)
    note(session, now, actor, _ENTITY, f"mode {mode}", reason, _plain(before), _plain(new))
    return new


def _state(row: _SettingsRow | None) -> ControlState:
    if row is None:
        return ControlState()
    settings = Settings.model_validate(row.settings or {})
    return ControlState(
        Mode(row.mode), row.since, row.actor, row.reason, row.missed_before, settings
    )


def _plain(state: ControlState) -> dict[str, Any]:
    since = None if state.since is None else state.since.isoformat()
    return {
        "mode": state.mode.value,
        "since": since,
        "actor": state.actor,
        "reason": state.reason,
    }
