"""Gradio tabs, one file each. Holds no logic: every decision is taken in kb or ingest."""
