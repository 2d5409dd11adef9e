"""Alerts with their deliveries, what holds that was told, and price rules."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("raised_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_alerts_key", "alerts", ["key"], unique=True)
    op.create_index("ix_alerts_raised_at", "alerts", ["raised_at"])
    op.create_table(
        "alert_deliveries",
        sa.Column("alert", sa.Integer(), primary_key=True),
        sa.Column("channel", sa.String(), primary_key=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.Column("claimed_until", sa.DateTime()),
        sa.Column("reason", sa.String()),
    )
    op.create_table(
        "alert_channels",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime()),
        sa.Column("failure", sa.String()),
    )
    op.create_table(
        "alert_conditions",
        sa.Column("family", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("since", sa.DateTime(), nullable=False),
    )
    _create_price_tables()


def _create_price_tables() -> None:
    op.create_table(
        "price_rules",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("limit", sa.String()),
        sa.Column("currency", sa.String()),
        sa.Column("source", sa.String()),
        sa.Column("product", sa.String()),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("added_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime()),
        sa.Column("ended_by", sa.String()),
    )
    op.create_table(
        "price_rules_seen",
        sa.Column("rule", sa.String(), primary_key=True),
        sa.Column("source", sa.String(), primary_key=True),
        sa.Column("snapshot", sa.Integer(), nullable=False),
    )
    op.create_table(
        "price_rules_fired",
        sa.Column("rule", sa.String(), primary_key=True),
        sa.Column("product", sa.String(), primary_key=True),
        sa.Column("currency", sa.String(), primary_key=True),
        sa.Column("price", sa.String(), nullable=False),
    )


def downgrade() -> None:
    for table in (
        "price_rules_fired",
        "price_rules_seen",
        "price_rules",
        "alert_conditions",
        "alert_channels",
        "alert_deliveries",
        "alerts",
    ):
        op.drop_table(table)
