"""The audit log: a line for every change of mode, setting, source and decision.

Belongs here: writing and listing lines. The database itself refuses to edit or delete one. Does
not belong here: what is changed (`control`, `ledger`, `decisions`).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from scout_assets.domain.control import AuditEntry
from scout_assets.gateways.ledger_rows import Base

__all__ = ["note", "noted"]


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


def note(
    session: Session,
    at: datetime,
    actor: str,
    entity: str,
    action: str,
    reason: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write one line, in the transaction of the change itself."""
    session.add(
        _AuditRow(
            at=at,
            actor=actor,
            entity=entity,
            action=action,
            reason=reason,
            before=dict(before or {}),
            after=dict(after or {}),
        )
    )


def noted(session: Session, limit: int) -> tuple[AuditEntry, ...]:
    """The last lines, newest first."""
    query = sa.select(_AuditRow).order_by(_AuditRow.number.desc()).limit(limit)
    return tuple(
        AuditEntry(r.number, r.at, r.actor, r.entity, r.action, r.reason, r.before, r.after)
        for r in session.scalars(query)
    )
