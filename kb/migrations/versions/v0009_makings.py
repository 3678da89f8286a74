"""How chunks were made (outline, cutter, sketch), why pages gave none, which documents are alike."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; the column is empty for what was read before."""
    op.add_column("pages", sa.Column("left_out", sa.String, nullable=False, server_default=""))
    document = sa.ForeignKey("documents.id", ondelete="CASCADE")
    op.create_table(
        "makings",
        sa.Column("document", sa.String, document, primary_key=True),
        sa.Column("cutter", sa.String, nullable=False),
        sa.Column("outline", sa.LargeBinary, nullable=False),
        sa.Column("text_hash", sa.String, nullable=False),
        sa.Column("sketch", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "likenesses",
        sa.Column("document", sa.String, sa.ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("other", sa.String, sa.ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("decision", sa.String, nullable=False),
    )
    op.create_index("ix_likenesses_other", "likenesses", ["other"])
