"""The catalog's tables. A change here needs a migration in kb/migrations/versions; a test compares the two."""

from __future__ import annotations

from typing import Any

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
    UniqueConstraint,
    false,
)

HEAD = "0013"
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
    Column(
        "left_out", String, nullable=False, server_default=""
    ),  # why no chunk holds anything of it, though it has text
)

makings = Table(
    "makings",
    metadata,
    Column("document", String, ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("cutter", String, nullable=False),  # what its chunks were cut by; other than today's: they may be cut anew
    Column("outline", LargeBinary, nullable=False),
    Column("text_hash", String, nullable=False),
    Column("sketch", LargeBinary, nullable=False),
)

likenesses = Table(
    "likenesses",
    metadata,
    Column("document", String, ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("other", String, ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("share", Float, nullable=False),  # 1: the same text; below: estimated share of phrases in common
    Column("decision", String, nullable=False),  # empty until an admin has decided, then 'kept'
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


def _as_chunks() -> list[Column[Any]]:
    """What a chunk is, its number and id apart."""
    return [
        Column("document", String, ForeignKey("documents.id", ondelete="CASCADE"), nullable=False, index=True),
        Column("position", Integer, nullable=False),
        Column("first_page", Integer, nullable=False),
        Column("last_page", Integer, nullable=False),
        Column("heading", String, nullable=False),
        Column("text", Text, nullable=False),
        Column("spans", LargeBinary, nullable=False),
        Column("language", String, nullable=False),
        Column("tokens", Integer, nullable=False),
    ]


staged = Table(  # documents that are cut anew beside their live chunks
    "staged",
    metadata,
    Column("document", String, ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("cutter", String, nullable=False),
    Column("left_out", Text, nullable=False),  # JSON: [[page, why], ..]
)

staged_chunks = Table(
    "staged_chunks",
    metadata,
    Column("id", String, primary_key=True),
    *_as_chunks(),
    Column("vector", LargeBinary, nullable=True),
)

past_chunks = Table(  # what index generations from before the last switch still name
    "past_chunks",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False, index=True),
    *_as_chunks(),
)

vectors = Table(
    "vectors",
    metadata,
    Column("embedder", String, primary_key=True),
    Column("chunk", Integer, ForeignKey("chunks.number", ondelete="CASCADE"), primary_key=True, index=True),
    Column("vector", LargeBinary, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("password", String, nullable=False),
    Column("role", String, nullable=False),
    Column("disabled", Integer, nullable=False),
    Column("created", String, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token", String, primary_key=True),  # SHA-256 of what the browser holds
    Column("user", String, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created", Float, nullable=False),
    Column("seen", Float, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("secret", String, nullable=False, unique=True),  # SHA-256 of the key
    Column("user", String, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("label", String, nullable=False),
    Column("created", String, nullable=False),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("title", String, nullable=False),
    Column("created", String, nullable=False),
    Column("updated", String, nullable=False),
    Index("conversations_of_owner", "owner", "updated"),
)

exchanges = Table(
    "exchanges",
    metadata,
    Column("id", String, primary_key=True),
    Column("conversation", String, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=True),
    Column("position", Integer, nullable=False),
    Column("owner", String, nullable=False),
    Column("via", String, nullable=False),
    Column("asked", String, nullable=False),
    Column("state", String, nullable=False),
    Column("question", Text, nullable=False),
    Column("searched_as", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("notice", Text, nullable=False),
    Column("answer", Text, nullable=False),  # JSON of kb.types.Answer without its hits; empty until finished
    Column("hits", Text, nullable=False),  # JSON: ids, places, scores and ranks
    Column("timings", Text, nullable=False),  # JSON: step → seconds
    Column(
        "scope", Text, nullable=False, server_default=""
    ),  # JSON of kb.types.Scope and quotes_only; empty: everything
    Index("exchanges_of_conversation", "conversation", "position"),
    Index("exchanges_by_age", "asked"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", String, primary_key=True),
    Column("exchange", String, ForeignKey("exchanges.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("author", String, nullable=False),
    Column("verdict", String, nullable=False),
    Column("correction", Text, nullable=False),
    Column("given", String, nullable=False),
    Column("handled", String, nullable=False),  # what review made of it; empty while it waits
)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("object", String, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String, nullable=False),
    Column("hash", String, nullable=False),
)

examples = Table(
    "examples",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("task", String, nullable=False),
    Column("language", String, nullable=False),
    Column("document", String, nullable=False),  # no foreign key: the example outlives its document, as a stale one
    Column("unit", String, nullable=False),
    Column("question", Text, nullable=False),
    Column("topic", String, nullable=False),
    Column("generator", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created", String, nullable=False),
    Index("examples_of_state", "state", "number"),
    Index("examples_of_document", "document"),
    sqlite_autoincrement=True,
)

example_chunks = Table(
    "example_chunks",
    metadata,
    Column("example", Integer, ForeignKey("examples.number", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("chunk_id", String, nullable=False),
    Column("chunk_hash", String, nullable=False),
    Index("examples_of_chunk", "chunk_id"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("priority", Integer, nullable=False),
    Column("key", String, nullable=False, index=True),
    Column("tries", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("worker", String, nullable=False),
    Column("lease_until", Float, nullable=False),  # monotonic seconds of the boot beside it
    Column("lease_boot", String, nullable=False),
    Column("wanted", String, nullable=False),
    Column("step", String, nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("step_since", Float, nullable=False),
    Column("step_from", Integer, nullable=False),
    Column("passed", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("created", String, nullable=False),
    Column("changed", String, nullable=False),
    sqlite_autoincrement=True,  # a number names one job for ever
)

requests = Table(
    "requests",
    metadata,
    Column("key", String, primary_key=True),  # hash of task, prompt version, model, passage and wish
    Column("task", String, nullable=False),
    Column("model", String, nullable=False),
    Column("chunk_id", String, nullable=False),
    Column("state", String, nullable=False),  # done, unreadable, failed
    Column("reason", Text, nullable=False),
    Column("reply", LargeBinary, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("at", String, nullable=False),
)

reviews = Table(
    "reviews",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("example", String, nullable=False, index=True),
    Column("reviewer", String, nullable=False),
    Column("verdict", String, nullable=False),  # accepted, rejected, edited
    Column("reason", Text, nullable=False),
    Column("at", String, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),  # pretrain, sft, embedder
    Column("name", String, nullable=False),  # of the model it makes: <home>/models/<name>/
    Column("state", String, nullable=False),  # queued, running, done, cancelled, failed
    Column("reason", Text, nullable=False),
    Column("base", String, nullable=False),
    Column("base_hash", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("dataset_version", String, nullable=False),
    Column("dataset_hash", String, nullable=False),
    Column("code", String, nullable=False),
    Column("arguments", Text, nullable=False),  # JSON, as are environment, facts and result
    Column("seed", Integer, nullable=False),
    Column("environment", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("parent", String, nullable=False),  # the run whose model it started from
    Column("author", String, nullable=False),
    Column("folder", String, nullable=False),
    Column("model", String, nullable=False),
    Column("step", Integer, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("loss", Float, nullable=True),
    Column("learning_rate", Float, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("trained_tokens", Integer, nullable=False),
    Column("tokens_per_s", Float, nullable=False),
    Column("trained_tokens_per_s", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("left_s", Float, nullable=True),
    Column("memory_mb", Float, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("boot", String, nullable=False),
    Column("wanted", String, nullable=False),  # '' or cancel
    Column("created", String, nullable=False),
    Column("started", String, nullable=False),
    Column("changed", String, nullable=False),
    Column("ended", String, nullable=False),
    sqlite_autoincrement=True,
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("model", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("report", Text, nullable=False),  # JSON of train.evaluate.Evaluation
    Column("actor", String, nullable=False),
    Column("at", String, nullable=False),
    Index("evaluations_of_model", "model", "number"),
)

promotions = Table(
    "promotions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("model", String, nullable=False),  # empty: the settings' engine
    Column("hash", String, nullable=False),
    Column("prompt_format", String, nullable=False),
    Column("evaluation", String, nullable=False),
    Column("overridden", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String, nullable=False),
    Column("at", String, nullable=False),
)

evaluation_answers = Table(
    "evaluation_answers",
    metadata,
    Column("evaluation", String, primary_key=True),
    Column("body", LargeBinary, nullable=False),  # compressed JSON of train.blind.Said by question and engine
)

votes = Table(
    "votes",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("first", String, nullable=False),  # name@hash of an engine, the lesser of the two in order
    Column("second", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("question", String, nullable=False),
    Column("voter", String, nullable=False),
    Column("verdict", String, nullable=False),  # first, second, same, neither
    Column("at", String, nullable=False),
    UniqueConstraint("first", "second", "dataset", "question", "voter"),
)
