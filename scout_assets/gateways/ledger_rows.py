"""What all rows of the ledger share.

Belongs here: the declarative base, its types, what each engine calls otherwise. Does not belong
here: any table.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session

__all__ = ["Base", "insert"]


class _UtcDateTime(sa.TypeDecorator[datetime]):
    """SQLite drops time zones: stored as UTC, read back aware."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class _Text(sa.TypeDecorator[str]):
    """Without U+0000, which a failure may quote of what a store sent; Postgres keeps it nowhere."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return value and value.replace("\0", "")


class Base(DeclarativeBase):
    """Rows of the ledger; what other gateways keep there derives from it."""

    type_annotation_map: ClassVar = {
        datetime: _UtcDateTime,
        str: _Text,
        dict[str, Any]: sa.JSON,
        list[dict[str, Any]]: sa.JSON,
    }


def insert(session: Session, row: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """An insert that may say what to do when the key is there already."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(row)
    return sqlite.insert(row)
