"""When a source last answered a full refresh, beside one of prices only."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("sources", sa.Column("last_full_at", sa.DateTime()))


def downgrade() -> None:
    op.drop_column("sources", "last_full_at")
