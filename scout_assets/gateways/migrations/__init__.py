"""The ledger's schema, version by version (Alembic)."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

__all__ = ["config", "upgrade"]


def config(engine: sa.Engine) -> Config:
    """Alembic's configuration for this folder; it needs no ini file."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.attributes["engine"] = engine
    return made


def upgrade(engine: sa.Engine) -> None:
    """Bring the ledger to the newest version; processes that start at once take turns."""
    command.upgrade(config(engine), "head")
