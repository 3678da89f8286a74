"""Alembic migrations of the catalog, applied by kb.store when a home is opened for writing."""
