"""Review decisions, calibrations, and jobs handed to an external parser."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "decisions",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(), nullable=False),
        sa.Column("score", sa.Double()),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("undone_at", sa.DateTime()),
        sa.Column("undone_by", sa.String()),
    )
    op.create_index("ix_decisions_source", "decisions", ["source"])
    op.create_index("ix_decisions_item_id", "decisions", ["item_id"])
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.String(), primary_key=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("file_type", sa.String(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("remote_id", sa.String()),
        sa.Column("polled_at", sa.DateTime()),
        sa.Column("silent_since", sa.DateTime()),
        sa.Column("error", sa.String()),
        sa.Column("retryable", sa.Boolean(), nullable=False),
        sa.Column("result_sha256", sa.String()),
        sa.Column("rows", sa.Integer()),
        sa.Column("claimed_until", sa.DateTime()),
    )
    op.create_index("ix_jobs_source", "jobs", ["source"])
    op.create_index("ix_jobs_phase", "jobs", ["phase"])

    op.create_table(
        "calibrations",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("fitted", sa.JSON(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("calibrations")
    op.drop_table("jobs")
    op.drop_table("decisions")
