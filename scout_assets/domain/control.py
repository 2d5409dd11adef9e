"""Control: whether the installation acts by itself, within which settings, and who decided so.

Belongs here: the mode, the settings with their bounds, the entries of the audit log, what is bad
enough to stop everything. Does not belong here: keeping them (`gateways.control`), stopping runs
(`orchestration.control`).

In `manual`, the default, nothing acts by itself; what a person launches always runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from scout_assets.domain.failures import BadConfig, BrokenContract, Crashed

__all__ = [
    "SYSTEM",
    "AuditEntry",
    "ControlState",
    "Mode",
    "Settings",
    "broken_for_most",
]

SYSTEM = "system"
"""The actor of what the installation decides by itself."""


class Mode(StrEnum):
    """Who acts: a person only, or the installation too."""

    MANUAL = "manual"
    AUTO = "auto"


def _clamped(least: int, most: int) -> BeforeValidator:
    """A number beyond its bounds counts as the bound, as the parser's worker had it."""

    def clamp(value: Any) -> Any:  # noqa: ANN401 (not validated yet)
        try:
            return min(max(int(value), least), most)
        except (TypeError, ValueError):
            return value  # pydantic says what is wrong with it

    return BeforeValidator(clamp)


def _listed(value: Any) -> Any:  # noqa: ANN401 (not validated yet)
    """A list, also given as one text with commas."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Settings(BaseModel):
    """What an operator may set while everything runs; each change is a line of the audit log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enable_autoupdate: bool = Field(
        default=False, description="Follow changes between slots (sources with check_for_changes)"
    )
    update_interval_minutes: Annotated[int, _clamped(30, 60)] = Field(
        default=60, description="Least time between two such updates of one source; 30 to 60"
    )
    catalogue_interval_hours: Annotated[int, _clamped(1, 7 * 24)] = Field(
        default=24, description="How often sources.yaml is read, changed or not; 1 to 168"
    )
    stage_only: bool = Field(
        default=False, description="Fetch and keep snapshots, carry nothing downstream"
    )
    publish_enabled: bool = Field(
        default=True, description="Carry on to what people use: search index, best prices"
    )
    dry_run: bool = Field(default=False, description="Say what automation would do, and do nothing")
    blacklist_titles: Names = Field(
        default=(), description="Stores' products whose title contains one of these are left out"
    )
    blacklist_external_ids: Names = Field(
        default=(), description="Stores' products and variants with these ids are left out"
    )
    failure_budget: int = Field(
        default=5, ge=0, description="Failed automated runs in a window; one more stops automation"
    )
    failure_window_minutes: int = Field(
        default=60, ge=1, le=7 * 24 * 60, description="The window of the failure budget"
    )
    shrink_limit_pct: int = Field(
        default=80,
        ge=1,
        le=100,
        description="A store that loses more of its products at once stops automation",
    )

    def changed(self, values: Mapping[str, Any]) -> Self:
        """These settings with some changed. Raises BadConfig naming each wrong one."""
        try:
            return type(self).model_validate({**self.model_dump(), **values})
        except ValidationError as error:
            lines = [
                f"setting {'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r}); "
                "`scout settings` shows all"
                for e in error.errors()
            ]
            raise BadConfig("\n".join(lines)) from None


@dataclass(frozen=True)
class ControlState:
    """The mode with who set it, when and why; `since` is None where nobody ever did.

    `missed_before`: slots before it are erased; None lets missed ones be caught up.
    """

    mode: Mode = Mode.MANUAL
    since: datetime | None = None
    actor: str = SYSTEM
    reason: str = "nobody has said auto yet"
    missed_before: datetime | None = None
    settings: Settings = field(default_factory=Settings)

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


FEW = 5
"""Fewer sources tell nothing about ourselves: they may be broken by themselves."""
OURS = frozenset({BrokenContract.__name__, Crashed.__name__})


def broken_for_most(outcomes: Sequence[str | None]) -> str | None:
    """Why failures are ours rather than the sources'; None when they are theirs.

    `outcomes`: of the sources asked lately, a kind of failure each, None where all was well. When
    more than half of at least five break their contract or crash our readers, it is the reader or
    the way there that is broken.
    """
    ours = sum(kind in OURS for kind in outcomes)
    if len(outcomes) < FEW or 2 * ours <= len(outcomes):
        return None
    return f"{ours} of {len(outcomes)} sources asked lately broke their contract"
