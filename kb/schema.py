"""The catalog's tables. A change here needs a migration in kb/migrations/versions; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)

HEAD = "0003"
"""Revision of the newest migration: what this code reads and writes."""

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("id", String, primary_key=True),
    Column("sha256", String, nullable=False, unique=True),
    Column("file", String, nullable=False),
    Column("title", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("pages", Integer, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("language", String, nullable=False),
    Column("added", String, nullable=False),
    Column("edition", String, nullable=False),
    Column("issued", String, nullable=False),
    Column("supersedes", String, nullable=False),
    Column("issuer", String, nullable=False),
    Column("collection", String, nullable=False),
    Column("metadata", Text, nullable=False),
)

pages = Table(
    "pages",
    metadata,
    Column("document", String, ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("label", String, nullable=False),
    Column("width", Float, nullable=False),
    Column("height", Float, nullable=False),
    Column("reader", String, nullable=False),
    Column("note", String, nullable=False),
    Column("lines", LargeBinary, nullable=False),
    Column("source", String, nullable=False, server_default="text"),
    Column("confidence", Float, nullable=True),
    Column("tables", Integer, nullable=False, server_default="0"),
    Column("rotated", Integer, nullable=False, server_default="0"),
    Column("garbled", Boolean, nullable=False, server_default=false()),
)

chunks = Table(
    "chunks",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("document", String, ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("first_page", Integer, nullable=False),
    Column("last_page", Integer, nullable=False),
    Column("heading", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("spans", LargeBinary, nullable=False),
    Column("language", String, nullable=False),
    Column("tokens", Integer, nullable=False),
    Index("chunks_of_document", "document", "position"),
    Index("chunks_of_page", "document", "first_page"),
    sqlite_autoincrement=True,  # a number is never used again: index generations may still hold it
)

vectors = Table(
    "vectors",
    metadata,
    Column("embedder", String, primary_key=True),
    Column("chunk", Integer, ForeignKey("chunks.number", ondelete="CASCADE"), primary_key=True, index=True),
    Column("vector", LargeBinary, nullable=False),
)
