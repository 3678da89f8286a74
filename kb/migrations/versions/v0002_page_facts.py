"""How each page was read: by its text or by OCR, how surely, its tables, whether it was turned or garbled."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Pages read before are pages of text, not turned, without known tables."""
    op.add_column("pages", sa.Column("source", sa.String, nullable=False, server_default="text"))
    op.add_column("pages", sa.Column("confidence", sa.Float, nullable=True))
    op.add_column("pages", sa.Column("tables", sa.Integer, nullable=False, server_default="0"))
    op.add_column("pages", sa.Column("rotated", sa.Integer, nullable=False, server_default="0"))
    op.add_column("pages", sa.Column("garbled", sa.Boolean, nullable=False, server_default=sa.false()))
