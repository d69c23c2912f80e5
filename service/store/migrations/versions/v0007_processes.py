"""Several processes on one database: who is alive, who runs a job, and what each counted of a trial."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables of processes and of trials' counts, and say which process runs a job."""
    op.create_table(
        "processes",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("seen", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_processes")),
        sa.UniqueConstraint("id", name=op.f("uq_processes_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "trial_counts",
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("trial_outcome", sa.String(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["trial"], ["trials.number"], name=op.f("fk_trial_counts_trial")),
        sa.PrimaryKeyConstraint("trial", "what", "outcome", "trial_outcome", name=op.f("pk_trial_counts")),
    )
    op.add_column("jobs", sa.Column("process", sa.String(), nullable=True))
    op.create_index(op.f("ix_jobs_state"), "jobs", ["state"])
