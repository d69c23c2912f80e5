"""Approvals and expiry of releases, and who wrote a rule set that no model's answers did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add who made, proposed and approved a release, when, and until when it serves."""
    with op.batch_alter_table("releases") as table:
        table.add_column(sa.Column("made_by", sa.String(), nullable=False, server_default=""))
        table.add_column(sa.Column("expires", sa.String(), nullable=True))
        table.add_column(sa.Column("proposed_by", sa.String(), nullable=True))
        table.add_column(sa.Column("approved_by", sa.String(), nullable=True))
        table.add_column(sa.Column("approved", sa.String(), nullable=True))
    with op.batch_alter_table("rulesets") as table:
        table.add_column(sa.Column("author", sa.String(), nullable=False, server_default=""))
    with op.batch_alter_table("activations", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.alter_column("release", existing_type=sa.String(), nullable=True)
