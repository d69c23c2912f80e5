"""Which columns of a model are sensitive, and the course of a job: each round of a retraining."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add both; what was there before has none."""
    with op.batch_alter_table("models", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.add_column(sa.Column("groups", sa.JSON(none_as_null=True), nullable=True))
    with op.batch_alter_table("jobs", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.add_column(sa.Column("course", sa.JSON(none_as_null=True), nullable=True))
