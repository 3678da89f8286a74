"""The knowledge base: what is stored, found and answered. Imports nothing from the other packages."""
