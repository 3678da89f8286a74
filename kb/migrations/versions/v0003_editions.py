"""Who issued a document, and the collection it belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Both are empty for the documents that are there."""
    for name in ("issuer", "collection"):
        op.add_column("documents", sa.Column(name, sa.String, nullable=False, server_default=""))
