"""What a question was asked of."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what was asked before was asked of everything, as far as is known."""
    op.add_column("exchanges", sa.Column("scope", sa.Text, nullable=False, server_default=""))
