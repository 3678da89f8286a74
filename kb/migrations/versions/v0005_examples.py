"""Training examples and the chunks they rest on."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of training examples."""
    op.create_table(
        "examples",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("task", sa.String, nullable=False),
        sa.Column("language", sa.String, nullable=False),
        sa.Column("document", sa.String, nullable=False),
        sa.Column("unit", sa.String, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("topic", sa.String, nullable=False),
        sa.Column("generator", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.String, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("examples_of_state", "examples", ["state", "number"])
    op.create_index("examples_of_document", "examples", ["document"])
    op.create_table(
        "example_chunks",
        sa.Column("example", sa.Integer, sa.ForeignKey("examples.number", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("chunk_id", sa.String, nullable=False),
        sa.Column("chunk_hash", sa.String, nullable=False),
    )
    op.create_index("examples_of_chunk", "example_chunks", ["chunk_id"])
