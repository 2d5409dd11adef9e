"""What landed: snapshots and their pages, as the ledger tells of them.

Belongs here: the two records. Does not belong here: keeping them (`ledger`), their bytes
(`artifacts`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from scout_assets.domain.sources import Platform

__all__ = ["Page", "Snapshot"]


@dataclass(frozen=True)
class Page:
    """One answer within a snapshot: where from, its bytes' sha256, and its validators."""

    role: str
    url: str
    sha256: str
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """One fetch of one source. `number` counts per source from 1."""

    source: str
    number: int
    hash: str
    captured_at: datetime
    pages: tuple[Page, ...]
    counters: Mapping[str, int] = field(default_factory=dict)
    platform: Platform = Platform.SHOPIFY

    @staticmethod
    def hash_of(pages: Sequence[Page]) -> str:
        """sha256 over the pages' roles and hashes: equal when all bytes are equal."""
        text = "\n".join(f"{page.role} {page.sha256}" for page in pages)
        return hashlib.sha256(text.encode()).hexdigest()
