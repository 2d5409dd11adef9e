"""Review decisions in the ledger, and the calibrations made of them: append-only.

Belongs here: keeping and listing decisions; an undo is a mark. Does not belong here: what they
come to (`domain.review`), which matches wait for one (`review_queue`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.matching.calibration import BUNDLED, Calibration
from scout_assets.domain.review import Decision, Verdict
from scout_assets.gateways.audit import note
from scout_assets.gateways.ledger import Base, Ledger

__all__ = ["Decisions", "Judged"]


class _DecisionRow(Base):
    __tablename__ = "decisions"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    source: Mapped[str] = mapped_column(index=True)
    item_id: Mapped[str] = mapped_column(index=True)
    product_id: Mapped[str]
    verdict: Mapped[str]
    actor: Mapped[str]
    decided_at: Mapped[datetime]
    score: Mapped[float | None]
    evidence: Mapped[dict[str, Any]]
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[str | None]


class _CalibrationRow(Base):
    __tablename__ = "calibrations"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    actor: Mapped[str]
    made_at: Mapped[datetime]
    fitted: Mapped[dict[str, Any]]


@dataclass(frozen=True)
class Judged:
    """What is decided on: an item of a source, a product, and what the person saw."""

    source: str
    item_id: str
    product_id: str
    score: float | None
    evidence: Mapping[str, Any]


class Decisions:
    """The decisions of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def all(self) -> tuple[Decision, ...]:
        """Every decision in order, undone ones too."""
        query = sa.select(_DecisionRow).order_by(_DecisionRow.number)
        with self._ledger.session() as session:
            return tuple(_decision(row) for row in session.scalars(query))

    def add(self, judged: Judged, verdict: Verdict, actor: str, now: datetime) -> Decision:
        """Record a verdict. Raises BadConfig when nobody is named as the actor."""
        if not actor.strip():
            raise BadConfig("a decision needs a name: --by NAME, or set SCOUT_ACTOR")
        row = _DecisionRow(
            source=judged.source,
            item_id=judged.item_id,
            product_id=judged.product_id,
            verdict=verdict.value,
            actor=actor,
            decided_at=now,
            score=judged.score,
            evidence=dict(judged.evidence),
        )
        with self._ledger.session() as session:
            session.add(row)
            note(session, now, actor, f"match {judged.item_id}", verdict.value,
                 after={"product_id": judged.product_id, "score": judged.score})  # fmt: skip
            session.flush()
            return _decision(row)

    def undo(self, item_id: str, actor: str, now: datetime) -> Decision:
        """Take back the last standing decision about an item; what stood before stands again.

        Raises BadConfig when there is none.
        """
        query = (
            sa.select(_DecisionRow)
            .where(_DecisionRow.item_id == item_id, _DecisionRow.undone_at.is_(None))
            .order_by(_DecisionRow.number.desc())
            .limit(1)
        )
        with self._ledger.session() as session:
            row = session.scalars(query).first()
            if row is None:
                raise BadConfig(f"nothing is decided about item {item_id!r}")
            row.undone_at, row.undone_by = now, actor
            note(session, now, actor, f"match {item_id}", "undone",
                 before={"product_id": row.product_id, "verdict": row.verdict})  # fmt: skip
            return _decision(row)

    def calibration(self) -> Calibration:
        """The map fitted last, else the bundled one."""
        query = sa.select(_CalibrationRow).order_by(_CalibrationRow.number.desc()).limit(1)
        with self._ledger.session() as session:
            row = session.scalars(query).first()
            return BUNDLED if row is None else Calibration.model_validate(row.fitted)

    def calibrated(self, fitted: Calibration, actor: str, now: datetime) -> None:
        """Use this map from the next matching on; earlier ones stay on record."""
        row = _CalibrationRow(actor=actor, made_at=now, fitted=fitted.model_dump(mode="json"))
        with self._ledger.session() as session:
            session.add(row)
            note(session, now, actor, "calibration", "fitted")

    def state(self) -> str:
        """Changes with every decision, undo and calibration: the data version of them all."""
        verdicts = sa.select(sa.func.count(), sa.func.count(_DecisionRow.undone_at))
        maps = sa.select(sa.func.count()).select_from(_CalibrationRow)
        with self._ledger.session() as session:
            made, undone = session.execute(verdicts).one()
            return f"{made}-{undone}-{session.scalars(maps).one()}"


def _decision(row: _DecisionRow) -> Decision:
    return Decision(
        row.number,
        row.source,
        row.item_id,
        row.product_id,
        Verdict(row.verdict),
        row.actor,
        row.decided_at,
        row.score,
        row.evidence,
        row.undone_at,
        row.undone_by,
    )
