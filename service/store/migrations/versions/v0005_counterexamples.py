"""Counterexamples: rows that a rule decides wrongly, by somebody's word."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table of counterexamples."""
    op.create_table(
        "counterexamples",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("ruleset", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("row", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("withdrawn", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["ruleset"], ["rulesets.id"], name=op.f("fk_counterexamples_ruleset")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_counterexamples")),
        sa.UniqueConstraint("id", name=op.f("uq_counterexamples_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_counterexamples_ruleset"), "counterexamples", ["ruleset"])
