"""Training runs."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("base", sa.String, nullable=False),
        sa.Column("base_hash", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("dataset_version", sa.String, nullable=False),
        sa.Column("dataset_hash", sa.String, nullable=False),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("parent", sa.String, nullable=False),
        sa.Column("author", sa.String, nullable=False),
        sa.Column("folder", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("steps", sa.Integer, nullable=False),
        sa.Column("loss", sa.Float, nullable=True),
        sa.Column("learning_rate", sa.Float, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("trained_tokens", sa.Integer, nullable=False),
        sa.Column("tokens_per_s", sa.Float, nullable=False),
        sa.Column("trained_tokens_per_s", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("left_s", sa.Float, nullable=True),
        sa.Column("memory_mb", sa.Float, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("boot", sa.String, nullable=False),
        sa.Column("wanted", sa.String, nullable=False),
        sa.Column("created", sa.String, nullable=False),
        sa.Column("started", sa.String, nullable=False),
        sa.Column("changed", sa.String, nullable=False),
        sa.Column("ended", sa.String, nullable=False),
        sqlite_autoincrement=True,
    )
