"""Documents, pages, chunks and vectors."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the first tables. Written out, not taken from kb.schema, so that it stays what it was."""
    op.create_table(
        "meta",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("sha256", sa.String, nullable=False, unique=True),
        sa.Column("file", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("pages", sa.Integer, nullable=False),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("language", sa.String, nullable=False),
        sa.Column("added", sa.String, nullable=False),
        sa.Column("edition", sa.String, nullable=False),
        sa.Column("issued", sa.String, nullable=False),
        sa.Column("supersedes", sa.String, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
    )
    document = sa.ForeignKey("documents.id", ondelete="CASCADE")
    op.create_table(
        "pages",
        sa.Column("document", sa.String, document, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("width", sa.Float, nullable=False),
        sa.Column("height", sa.Float, nullable=False),
        sa.Column("reader", sa.String, nullable=False),
        sa.Column("note", sa.String, nullable=False),
        sa.Column("lines", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "chunks",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("document", sa.String, sa.ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("first_page", sa.Integer, nullable=False),
        sa.Column("last_page", sa.Integer, nullable=False),
        sa.Column("heading", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("spans", sa.LargeBinary, nullable=False),
        sa.Column("language", sa.String, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("chunks_of_document", "chunks", ["document", "position"])
    op.create_index("chunks_of_page", "chunks", ["document", "first_page"])
    op.create_table(
        "vectors",
        sa.Column("embedder", sa.String, primary_key=True),
        sa.Column(
            "chunk", sa.Integer, sa.ForeignKey("chunks.number", ondelete="CASCADE"), primary_key=True, index=True
        ),
        sa.Column("vector", sa.LargeBinary, nullable=False),
    )
