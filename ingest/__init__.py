"""Files in, chunks out: read, clean, chunk, store, index."""
