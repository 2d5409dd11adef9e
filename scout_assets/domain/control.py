"""Control: whether the installation acts by itself, and who decided so.

Belongs here: the mode, the entries of the audit log. Does not
belong here: keeping them (`gateways.control`), stopping runs (`orchestration.control`).

In `manual`, the default, nothing acts by itself; what a person launches always runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

__all__ = ["SYSTEM", "AuditEntry", "ControlState", "Mode"]

SYSTEM = "system"
"""The actor of what the installation decides by itself."""


class Mode(StrEnum):
    """Who acts: a person only, or the installation too."""

    MANUAL = "manual"
    AUTO = "auto"


@dataclass(frozen=True)
class ControlState:
    """The mode with who set it, when and why; `since` is None where nobody ever did."""

    mode: Mode = Mode.MANUAL
    since: datetime | None = None
    actor: str = SYSTEM
    reason: str = "nobody has said auto yet"

    @property
    def is_auto(self) -> bool:
        """Whether anything may act by itself."""
        return self.mode is Mode.AUTO


@dataclass(frozen=True)
class AuditEntry:
    """One change: of what, by whom, from what to what. `number` counts in order of time."""

    number: int
    at: datetime
    actor: str
    entity: str
    action: str
    reason: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
