"""When sources are due, what was asked of them, further settings, and who may act."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

DUE = ("full_due_at", "price_due_at")


def upgrade() -> None:
    for name in DUE:
        op.add_column("sources", sa.Column(name, sa.DateTime()))
        op.create_index(f"ix_sources_{name}", "sources", [name])
    op.add_column("sources", sa.Column("failure_kind", sa.String()))
    op.add_column("sources", sa.Column("due_reason", sa.String()))
    op.add_column("sources", sa.Column("overrides", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "dispatches",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("slots", sa.JSON(), nullable=False),
        sa.Column("requested_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime()),
        sa.Column("ended_at", sa.DateTime()),
        sa.Column("run_id", sa.String()),
        sa.Column("outcome", sa.String()),
        sa.Column("counters", sa.JSON(), nullable=False),
    )
    op.create_index("ix_dispatches_ended_at", "dispatches", ["ended_at"])
    op.add_column("parser_settings", sa.Column("missed_before", sa.DateTime()))
    op.add_column(
        "parser_settings", sa.Column("settings", sa.JSON(), nullable=False, server_default="{}")
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("leases")
    op.drop_column("parser_settings", "settings")
    op.drop_column("parser_settings", "missed_before")
    op.drop_table("dispatches")
    op.drop_column("sources", "overrides")
    op.drop_column("sources", "due_reason")
    op.drop_column("sources", "failure_kind")
    for name in DUE:
        op.drop_index(f"ix_sources_{name}", "sources")
        op.drop_column("sources", name)
