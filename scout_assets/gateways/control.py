"""The mode and the audit log in the ledger: the single source of truth about control.

Belongs here: keeping the mode, and one line for every change of it; lines are never edited.
Does not belong here: what a mode is (`domain.control`), stopping runs (`orchestration`).
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from scout_assets.domain.control import AuditEntry, ControlState, Mode
from scout_assets.domain.failures import BadConfig
from scout_assets.gateways.ledger import Base, Ledger

__all__ = ["Control"]

_ONLY = 1
_ENTITY = "parser_settings"


class _SettingsRow(Base):
    __tablename__ = "parser_settings"

    id: Mapped[int] = mapped_column(primary_key=True)
    mode: Mapped[str]
    since: Mapped[datetime]
    actor: Mapped[str]
    reason: Mapped[str]


class _AuditRow(Base):
    __tablename__ = "audit"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    entity: Mapped[str] = mapped_column(index=True)
    action: Mapped[str]
    reason: Mapped[str]
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]


class Control:
    """Control over one installation. Failures of the ledger are Transient: see `Ledger`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def state(self) -> ControlState:
        """The mode as it is now; cheap enough to be asked between requests."""
        with self._ledger.session() as session:
            row = session.get(_SettingsRow, _ONLY)
            return ControlState() if row is None else _state(row)

    def switch(self, mode: Mode, actor: str, reason: str, now: datetime) -> ControlState:
        """Set the mode and write the audit line, both or neither.

        Setting the mode that holds already renews actor and reason. Raises BadConfig when
        nobody is named as the actor.
        """
        if not actor.strip():
            raise BadConfig("a change of mode needs a name: --by NAME, or set SCOUT_ACTOR")
        new = ControlState(mode, now, actor, reason)
        with self._ledger.session() as session:
            row = session.get(_SettingsRow, _ONLY, with_for_update=True)
            before = ControlState() if row is None else _state(row)
            if row is None:
                row = _SettingsRow(id=_ONLY)
                session.add(row)
            row.mode, row.since, row.actor, row.reason = mode.value, now, actor, reason
            entry = _AuditRow(
                at=now, actor=actor, entity=_ENTITY, action=f"mode {mode.value}", reason=reason,
                before=_plain(before), after=_plain(new),
            )  # fmt: skip
            session.add(entry)
        return new

    def audit(self, limit: int = 50) -> tuple[AuditEntry, ...]:
        """The last entries, newest first."""
        query = sa.select(_AuditRow).order_by(_AuditRow.number.desc()).limit(limit)
        with self._ledger.session() as session:
            return tuple(_entry(row) for row in session.scalars(query))


def _state(row: _SettingsRow) -> ControlState:
    return ControlState(Mode(row.mode), row.since, row.actor, row.reason)


def _plain(state: ControlState) -> dict[str, Any]:
    since = None if state.since is None else state.since.isoformat()
    return {**asdict(state), "mode": state.mode.value, "since": since}


def _entry(row: _AuditRow) -> AuditEntry:
    return AuditEntry(
        row.number, row.at, row.actor, row.entity, row.action, row.reason, row.before, row.after
    )
