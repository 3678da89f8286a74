"""What the engines said in an evaluation, and people's votes on pairs of those answers."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "evaluation_answers",
        sa.Column("evaluation", sa.String, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.execute("DROP TABLE IF EXISTS votes")  # homes of 26 November 2026 may have an older one, which nothing wrote to
    op.create_table(
        "votes",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("first", sa.String, nullable=False),
        sa.Column("second", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("question", sa.String, nullable=False),
        sa.Column("voter", sa.String, nullable=False),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.UniqueConstraint("first", "second", "dataset", "question", "voter"),
    )
