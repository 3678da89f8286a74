"""Accounts, sessions, keys; conversations with whole answers; feedback; the audit record, which refuses changes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def text(name: str) -> sa.Column[str]:
    """A column of text that is never NULL."""
    return sa.Column(name, sa.String, nullable=False)


def upgrade() -> None:
    """Create the tables, then the triggers that keep the audit record append-only."""
    _accounts()
    _conversations()
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        *map(text, ["at", "actor", "action", "object"]),
        sa.Column("detail", sa.Text, nullable=False),
        *map(text, ["previous", "hash"]),
    )
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit record is append-only'); END"
        )


def _accounts() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        *map(text, ["password", "role"]),
        sa.Column("disabled", sa.Integer, nullable=False),
        text("created"),
    )
    user = sa.ForeignKey("users.id", ondelete="CASCADE")
    op.create_table(
        "sessions",
        sa.Column("token", sa.String, primary_key=True),
        sa.Column("user", sa.String, user, nullable=False, index=True),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("seen", sa.Float, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("secret", sa.String, nullable=False, unique=True),
        sa.Column("user", sa.String, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
        *map(text, ["label", "created"]),
    )


def _conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.String, primary_key=True),
        *map(text, ["owner", "title", "created", "updated"]),
    )
    op.create_index("conversations_of_owner", "conversations", ["owner", "updated"])
    op.create_table(
        "exchanges",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("conversation", sa.String, sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=True),
        sa.Column("position", sa.Integer, nullable=False),
        *map(text, ["owner", "via", "asked", "state"]),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("question", "searched_as", "text", "notice", "answer", "hits", "timings")
        ),
    )
    op.create_index("exchanges_of_conversation", "exchanges", ["conversation", "position"])
    op.create_index("exchanges_by_age", "exchanges", ["asked"])
    op.create_table(
        "feedback",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("exchange", sa.String, sa.ForeignKey("exchanges.id", ondelete="CASCADE"), nullable=False, index=True),
        *map(text, ["author", "verdict"]),
        sa.Column("correction", sa.Text, nullable=False),
        *map(text, ["given", "handled"]),
    )
