"""Chunks that are made beside the live ones, and the live ones' predecessors until the index has let go of them."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("document", sa.String, sa.ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("first_page", sa.Integer, nullable=False),
        sa.Column("last_page", sa.Integer, nullable=False),
        sa.Column("heading", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("spans", sa.LargeBinary, nullable=False),
        sa.Column("language", sa.String, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
    ]


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "staged",
        sa.Column("document", sa.String, sa.ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("cutter", sa.String, nullable=False),
        sa.Column("left_out", sa.Text, nullable=False),
    )
    op.create_table(
        "staged_chunks",
        sa.Column("id", sa.String, primary_key=True),
        *_columns(),
        sa.Column("vector", sa.LargeBinary, nullable=True),
    )
    op.create_index("ix_staged_chunks_document", "staged_chunks", ["document"])
    op.create_table(
        "past_chunks",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String, nullable=False),
        *_columns(),
    )
    op.create_index("ix_past_chunks_document", "past_chunks", ["document"])
    op.create_index("ix_past_chunks_id", "past_chunks", ["id"])
