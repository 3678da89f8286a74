"""Evaluations of models, and promotions."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "evaluations",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("at", sa.String, nullable=False),
    )
    op.create_index("evaluations_of_model", "evaluations", ["model", "number"])
    op.create_table(
        "promotions",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("prompt_format", sa.String, nullable=False),
        sa.Column("evaluation", sa.String, nullable=False),
        sa.Column("overridden", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("at", sa.String, nullable=False),
    )
