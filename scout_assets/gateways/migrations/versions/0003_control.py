"""The mode, and the audit log, which the database itself keeps from being edited."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_REFUSED = {
    "sqlite": """
        CREATE TRIGGER audit_no_{verb} BEFORE {verb} ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
    """,
    "postgresql": """
        CREATE TRIGGER audit_no_{verb} BEFORE {verb} ON audit
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_edit()
    """,
}
_REFUSING = """
CREATE OR REPLACE FUNCTION refuse_audit_edit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = '23000'; END $$
"""


def upgrade() -> None:
    op.create_table(
        "parser_settings",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
    )
    op.create_index("ix_audit_entity", "audit", ["entity"])
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        op.execute(_REFUSING)
    for verb in ("UPDATE", "DELETE"):
        op.execute(_REFUSED[dialect].format(verb=verb))


def downgrade() -> None:
    op.drop_table("audit")
    op.drop_table("parser_settings")
